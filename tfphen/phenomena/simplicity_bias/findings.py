"""Blocks that networks rely on, alone, in ensembles, and in sets trained to be diverse.

Rows of slab trainings have an `arm` and a `network`, those of sets of networks an `arm`
(`"set"`, `"other_seeds"` or `"upper_bound"`) and a `strength`.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.simplicity_bias.auc import auc
from tfphen.phenomena.simplicity_bias.trials import SCORES, Config, Diversity
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Limits of the statistics.

    Attributes:
        accurate_auc: Minimum AUC of an accurate network.
        learned_auc: Minimum AUC of a network that has learned its task at all.
        chance: AUCs and accuracies at chance level, an interval.
        accuracy_slack: Maximum accuracy beyond what noise in the simple block leaves.
        gain: Minimum gain of the best accuracy of a set, as a share of the maximum gain.
    """

    accurate_auc: float = 0.99
    learned_auc: float = 0.95
    chance: tuple[float, float] = (0.45, 0.55)
    accuracy_slack: float = 0.02
    gain: float = 0.2


THRESHOLDS = Thresholds()
STANDARD, SIMPLE_SHUFFLED, COMPLEX_SHUFFLED = SCORES

# Subjects of descriptions.
ARM_NAMES = {
    "slab_test": "networks on one simple block and complex ones",
    "untrained": "untrained networks",
    "label_free": "networks on a simple block that is independent of the class and complex ones",
    "equal": "networks on equally simple blocks",
    "noisy": "networks on a noisy simple block and complex ones",
    "without_simple": "networks on complex blocks alone",
}


def _stacked(rows: "pandas.DataFrame", column: str) -> np.ndarray:
    return np.stack([np.asarray(value) for value in rows[column]])


# ---- statistics of slab trainings --------------------------------------------------------------


def slab_values(
    table: "pandas.DataFrame", arm: str, score: str, column: str = "aucs"
) -> np.ndarray:
    """Returns AUCs or `"accuracies"` of the first network of each seed, `[seeds]`.

    Args:
        table: The records.
        arm: The arm.
        score: One of `SCORES`.
        column: `"aucs"` or `"accuracies"`.
    """
    rows = rows_of(table, arm=arm, network=0)
    return _stacked(rows, column)[:, SCORES.index(score)]


def slab_auc(table: "pandas.DataFrame", arm: str, score: str) -> stats.Estimate:
    """Mean AUC. NaN for shuffled blocks if a network has not learned the task."""
    values = slab_values(table, arm, score)
    if score != "standard":
        learned = slab_values(table, arm, "standard") >= THRESHOLDS.learned_auc
        values = np.where(learned, values, math.nan)
    return stats.mean_if_defined(values, f"AUC, {score}, {arm}")


def slab_accuracy(table: "pandas.DataFrame", arm: str, score: str = "standard") -> stats.Estimate:
    """Mean test accuracy."""
    return stats.mean(slab_values(table, arm, score, "accuracies"), f"accuracy, {score}, {arm}")


def train_accuracy(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean training accuracy."""
    errors = rows_of(table, arm=arm, network=0).train_error.to_numpy()
    return stats.mean(1 - errors, f"training accuracy, {arm}")


def ensemble_aucs(table: "pandas.DataFrame", arm: str, score: str) -> np.ndarray:
    """Returns the AUC of the mean logits of all networks of each seed, `[seeds]`."""
    aucs = []
    for _, rows in rows_of(table, arm=arm).groupby("seed"):
        scores = _stacked(rows, "test_scores")[:, SCORES.index(score)].mean(0)
        aucs.append(auc(rows.test_labels.iloc[0], scores))
    return np.asarray(aucs)


def ensemble_auc(table: "pandas.DataFrame", arm: str, score: str) -> stats.Estimate:
    """Mean over seeds of `ensemble_aucs`."""
    return stats.mean(ensemble_aucs(table, arm, score), f"AUC of mean logits, {score}, {arm}")


# ---- statistics of sets of networks ------------------------------------------------------------


def block_accuracies(
    table: "pandas.DataFrame", arm: str, block: int, strength: float, fitted: float
) -> np.ndarray:
    """Returns test accuracies where one block is predictive, `[seeds, models]`.

    Args:
        table: The records.
        arm: `"set"`, `"other_seeds"` or `"upper_bound"`.
        block: Its position.
        strength: Weight of the similarity penalty.
        fitted: Training accuracy below which a network counts as guessing, since it has not learned
            its task.
    """
    rows = rows_of(table, arm=arm, strength=strength)
    if arm == "upper_bound":
        rows = rows_of(rows, block=block)
    counts = _stacked(rows, "train_accuracies") >= fitted
    return np.where(counts, _stacked(rows, "block_accuracies")[..., block], 0.5)


def best(table: "pandas.DataFrame", diversity: Diversity, block: int, **which) -> np.ndarray:
    """Returns the accuracy of the best network of each set, `[seeds]`.

    Oracle selection: the block's own test set selects. It is compared with the same selection from
    a set trained without the penalty.

    Args:
        table: The records.
        diversity: Settings of the sets.
        block: Position of the predictive block.
        **which: `arm` and `strength`; by default the sets without the penalty.
    """
    return _of_sets(table, diversity, block, **which).max(1)


def _of_sets(table, diversity: Diversity, block: int, arm: str = "set", strength: float = 0.0):
    return block_accuracies(table, arm, block, strength, diversity.fitted)


def plain_accuracy(
    table: "pandas.DataFrame", diversity: Diversity, block: int, times: float = 1.0
) -> stats.Estimate:
    """Mean accuracy, times a factor, with one predictive block, of sets without the penalty."""
    means = times * _of_sets(table, diversity, block).mean(1)
    name = diversity.names()[block]
    return stats.mean(means, f"accuracy where {name} is predictive, mean of networks, strength 0")


def upper_bounds(table: "pandas.DataFrame", diversity: Diversity, block: int) -> np.ndarray | None:
    """Returns the best accuracy of sets trained with a block as the only predictive one, `[seeds]`.

    None if no such sets were trained, since the block allows an accuracy of 1.
    """
    if not diversity.upper_bounds:
        return None
    return block_accuracies(table, "upper_bound", block, 0.0, fitted=0.0).max(1)


def _maximum_gain(table, diversity: Diversity, block: int):
    """Returns the upper bound of a block minus chance."""
    bounds = upper_bounds(table, diversity, block)
    return 0.5 if bounds is None else np.maximum(bounds - 0.5, 1e-6)


def gain(table: "pandas.DataFrame", diversity: Diversity, block: int, arm: str) -> stats.Estimate:
    """Gain in the best accuracy over sets without the penalty, normalized by its maximum.

        (best of the set - best of one without) / (upper bound - 1/2)

    Args:
        table: The records.
        diversity: Settings of the sets.
        block: Position of the predictive block.
        arm: `"set"` for those with the penalty, `"other_seeds"` for another set without it.
    """
    strength = diversity.strength if arm == "set" else 0.0
    ours = best(table, diversity, block, arm=arm, strength=strength)
    gains = (ours - best(table, diversity, block)) / _maximum_gain(table, diversity, block)
    name = (
        f"best accuracy where {diversity.names()[block]} is predictive, share of the maximum gain"
    )
    return stats.mean(gains, f"{name}, {arm}, strength {strength:g} minus 0")


def mirrored_gain(table: "pandas.DataFrame", diversity: Diversity, block: int) -> stats.Estimate:
    """Distance of the worst network below chance, normalized as `gain`.

    A network that correlates with a block by chance does so with either sign, so the worst of a set
    is then as far below chance as the best is above.
    """
    worst = _of_sets(table, diversity, block, strength=diversity.strength).min(1)
    name = f"chance minus worst accuracy where {diversity.names()[block]} is predictive"
    shares = (0.5 - worst) / _maximum_gain(table, diversity, block)
    return stats.mean(shares, f"{name}, share of the maximum gain, strength {diversity.strength:g}")


# ---- findings ----------------------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls of the parts that were run."""
    if config.slab_test:
        yield from _slab_findings(table, config)
    if config.noisy:
        limit = 1 - config.noisy.noisy / 2 + THRESHOLDS.accuracy_slack
        for kind, arm in ((Signature, "noisy"), (Control, "without_simple")):
            yield kind(
                f"{arm}/test_accuracy",
                slab_accuracy(table, arm),
                below=limit,
                description=(
                    f"The test accuracy of {ARM_NAMES[arm]} does not exceed what a noisy simple "
                    "block allows."
                ),
            )
    if config.diversity:
        yield from _set_findings(table, config.diversity)


def _slab_findings(table, config: Config) -> Iterator[Signature]:
    """Yields findings on AUCs with shuffled blocks."""
    for kind, arm in (
        (Signature, "slab_test"),
        (Control, "untrained"),
        (Control, "label_free"),
        (Control, "equal"),
    ):
        if arm not in config.slab_trainings():
            continue
        subject = ARM_NAMES[arm]
        if arm in ("slab_test", "untrained"):
            yield kind(
                f"{arm}/auc",
                slab_auc(table, arm, STANDARD),
                above=THRESHOLDS.accurate_auc,
                description=f"The AUC of {subject} on the test set is near 1.",
            )
        if arm != "untrained":
            yield kind(
                f"{arm}/auc_simple_shuffled",
                slab_auc(table, arm, SIMPLE_SHUFFLED),
                within=THRESHOLDS.chance,
                description=f"Shuffling the first block reduces {subject} to chance.",
            )
            yield kind(
                f"{arm}/auc_complex_shuffled",
                slab_auc(table, arm, COMPLEX_SHUFFLED),
                above=THRESHOLDS.accurate_auc,
                description=f"Shuffling all other blocks keeps the AUC of {subject} near 1.",
            )
    for kind, arm in ((Signature, "slab_test"), (Control, "equal")) if config.networks > 1 else ():
        yield kind(
            f"{arm}/ensemble_auc_simple_shuffled",
            ensemble_auc(table, arm, SIMPLE_SHUFFLED),
            within=THRESHOLDS.chance,
            description=(
                f"Shuffling the first block reduces the mean logits of {config.networks} "
                f"{ARM_NAMES[arm]} to chance."
            ),
        )


def _set_findings(table, diversity: Diversity) -> Iterator[Signature]:
    """Yields findings on the blocks that networks learn, alone and in sets."""
    names = diversity.names()
    for kind, block in ((Control, 0), *((Signature, block) for block in diversity.claimed)):
        name = names[block]
        yield kind(
            f"cross_entropy/accuracy_{name}",
            plain_accuracy(table, diversity, block),
            within=THRESHOLDS.chance,
            description=(
                "Networks trained with cross-entropy alone are at chance when only the block "
                f"{name} is predictive."
            ),
        )
    for block in diversity.claimed:
        name = names[block]
        condition = f"when only the block {name} is predictive"
        yield Signature(
            f"diverse_set/accuracy_gain_{name}",
            gain(table, diversity, block, "set"),
            above=THRESHOLDS.gain,
            description=(
                "The best network of a set trained with the similarity penalty is more accurate "
                f"than that of a set without it {condition}."
            ),
        )
        yield Control(
            f"other_seeds/accuracy_gain_{name}",
            gain(table, diversity, block, "other_seeds"),
            above=THRESHOLDS.gain,
            description=(
                "The best network of a set with another initialization and data order, without "
                f"the penalty, is more accurate {condition}."
            ),
        )
        yield Control(
            f"worst_network/mirrored_gain_{name}",
            mirrored_gain(table, diversity, block),
            above=THRESHOLDS.gain,
            description=(
                "The worst network of a set trained with the penalty is as far below chance "
                f"{condition}."
            ),
        )


# ---- published numbers -------------------------------------------------------------------------


def mean_auc(table, config: Config, setting: Mapping[str, Any]):
    """Mean AUC of an arm on the inputs `score`, one of `SCORES`."""
    if setting["arm"] not in config.slab_trainings():
        return None
    return slab_auc(table, setting["arm"], setting["score"])


def mean_ensemble_auc(table, config: Config, setting: Mapping[str, Any]):
    """As `mean_auc`, of the mean logits of an ensemble of the published size."""
    if setting["arm"] not in config.slab_trainings() or setting["ensemble"] != config.networks:
        return None
    return ensemble_auc(table, setting["arm"], setting["score"])


def mean_accuracy(table, config: Config, setting: Mapping[str, Any]):
    """Mean accuracy of an arm on the training set, `score = "train"`, or on one of `SCORES`."""
    if setting["arm"] not in config.slab_trainings():
        return None
    if setting["score"] == "train":
        return train_accuracy(table, setting["arm"])
    return slab_accuracy(table, setting["arm"], setting["score"])


def block_accuracy_percent(table, config: Config, setting: Mapping[str, Any]):
    """Accuracy in percent with one predictive block.

    Of networks trained with cross-entropy alone, or the upper bound of the block.
    """
    diversity, name = config.diversity, setting["block"]
    if not diversity or name not in diversity.names():
        return None
    block = diversity.names().index(name)
    if setting["arm"] == "cross_entropy":
        return plain_accuracy(table, diversity, block, 100)
    if setting["arm"] == "upper_bound" and diversity.upper_bounds:
        bounds = upper_bounds(table, diversity, block)
        return stats.mean(100 * bounds, f"upper bound, {name}, %")
    return None


STATISTICS = {
    "mean_auc": mean_auc,
    "mean_ensemble_auc": mean_ensemble_auc,
    "mean_accuracy": mean_accuracy,
    "block_accuracy_percent": block_accuracy_percent,
}
