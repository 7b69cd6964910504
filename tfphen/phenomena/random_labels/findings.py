"""What networks and exact solutions fit, and what they learn: statistics, signatures, controls."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.random_labels.trials import DROPOUT_NOISE, RANDOMIZATIONS, Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Thresholds of the findings.

    Attributes:
        fitted: Training accuracy of a model that has fitted its training labels.
        generalization: Test accuracy above chance of a model that generalizes.
        near_chance: Largest distance of test accuracy from chance of one that has learned nothing.
        correlation: Rank correlation of test error with the fraction of corrupted labels.
        time_ratio: Ratio of the epochs to fit to those with true labels.
        order: Ratio of the epochs to fit of two arms that are fitted one after the other.
        regularizer_gain: Gain in test accuracy by a regularizer.
        log10_error: log10 of the largest error of a construction that is exact.
    """

    fitted: float = 0.99
    generalization: float = 0.3
    near_chance: float = 0.03
    correlation: float = 0.9
    time_ratio: float = 1.5
    order: float = 1.0
    regularizer_gain: float = 0.03
    log10_error: float = -6.0


THRESHOLDS = Thresholds()
CHANCE = 0.1  # Ten classes.


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on the arms that were trained."""
    for model, prefix in (("network", ""), ("kernel interpolation", "kernel_")):
        if len(rows_of(table, arm=f"{prefix}true", rate=0.0)):
            yield from _fit_and_generalization(table, config, model, prefix)
    if config.arms:
        yield from _times_to_fit(table, config)
        if config.controls:
            yield from _unable_to_fit(table)
    yield from _regularizers(table, config)
    if config.construction is not None:
        yield from _construction(table)


def _fit_and_generalization(
    table: "pandas.DataFrame", config: Config, model: str, prefix: str
) -> Iterator[Signature]:
    true, random = (advantage(table, f"{prefix}{arm}") for arm in ("true", "random_labels"))
    chance = (-THRESHOLDS.near_chance, THRESHOLDS.near_chance)
    yield Signature(
        f"{prefix}random_labels/train_accuracy",
        train_accuracy(table, f"{prefix}random_labels"),
        above=THRESHOLDS.fitted,
        description=f"The {model} fits random labels.",
    )
    yield Signature(
        f"{prefix}true_labels/generalizes",
        true,
        above=THRESHOLDS.generalization,
        description=f"The {model} generalizes when it is trained on true labels.",
    )
    yield Control(
        f"{prefix}random_labels/generalizes",
        random,
        above=THRESHOLDS.generalization,
        description=f"The {model} generalizes when it is trained on random labels.",
    )
    yield Control(
        f"{prefix}true_labels/at_chance",
        true,
        within=chance,
        description=f"The {model} predicts at chance when it is trained on true labels.",
    )
    yield Signature(
        f"{prefix}random_labels/at_chance",
        random,
        within=chance,
        description=f"The {model} predicts at chance when it is trained on random labels.",
    )
    if not config.rates:
        return
    if prefix:
        yield Control(
            f"{prefix}random_labels/error_corruption_correlation",
            corruption_correlation(table, "kernel_null_noise"),
            above=THRESHOLDS.correlation,
            description=f"Test error of the {model} rises with the fraction of corrupted labels "
            "where all labels were random before.",
        )
    else:
        yield Signature(
            "true_labels/error_corruption_correlation",
            corruption_correlation(table, "true"),
            above=THRESHOLDS.correlation,
            description=f"Test error of the {model} rises with the fraction of corrupted labels.",
        )


def _times_to_fit(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    for kind, arm, words in (
        (Signature, "random_labels", "Random labels"),
        (Control, "shuffled_pixels", "Images with shuffled pixels"),
    ):
        if arm in config.arms:
            yield kind(
                f"{arm}/time_to_fit_ratio",
                time_ratio_to_true(table, arm),
                above=THRESHOLDS.time_ratio,
                description=f"{words} take longer to fit than the true data.",
            )
    if set(config.arms) != set(RANDOMIZATIONS):
        return
    # Without shuffled pixels: an MLP sees no difference between them and true labels.
    arms = [arm for arm in RANDOMIZATIONS if arm != "shuffled_pixels"]
    names = {"true": ("true_labels", "True"), "random_labels": ("random_labels", "Random")}
    for kind, arm in ((Signature, "true"), (Control, "random_labels")):
        name, words = names[arm]
        yield kind(
            f"{name}/fitted_first",
            fitted_first(table, arm, arms),
            above=THRESHOLDS.order,
            description=f"{words} labels are fitted before every other randomization.",
        )
    for kind, arm in ((Signature, "random_labels"), (Control, "true")):
        name, words = names[arm]
        yield kind(
            f"{name}/fitted_last",
            fitted_last(table, arm, arms),
            above=THRESHOLDS.order,
            description=f"{words} labels are fitted after every other randomization.",
        )


def _unable_to_fit(table: "pandas.DataFrame") -> Iterator[Signature]:
    for arm, name, words in (
        ("linear", "linear", "Softmax regression fits random labels."),
        ("redrawn", "resampled_labels", "The network fits labels resampled at every step."),
    ):
        yield Control(
            f"{name}/train_accuracy",
            train_accuracy(table, arm),
            above=THRESHOLDS.fitted,
            description=words,
        )


def _regularizers(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    for arm, words in (("weight_decay", "Weight decay"), ("dropout", "Dropout")):
        if getattr(config, arm) is not None:
            yield Signature(
                f"{arm}/test_accuracy_gain",
                gain(table, arm),
                below=THRESHOLDS.regularizer_gain,
                description=f"{words} adds little to test accuracy.",
            )
    if config.dropout is not None:
        yield Control(
            "dropout_label_noise/test_accuracy_gain",
            gain(table, "dropout", DROPOUT_NOISE),
            below=THRESHOLDS.regularizer_gain,
            description="With label noise, dropout adds little to test accuracy.",
        )


def _construction(table: "pandas.DataFrame") -> Iterator[Signature]:
    for kind, arm, words in (
        (Signature, "construction", "with 2n + d weights"),
        (Control, "half_construction", "with half of the units"),
    ):
        yield kind(
            f"{arm}/log10_max_error",
            log10_max_error(table, arm),
            below=THRESHOLDS.log10_error,
            description=f"The constructed network {words} fits any n labels exactly.",
        )


# ---- statistics ----------------------------------------------------------------------------------


def accuracy(
    table: "pandas.DataFrame", arm: str, column: str = "test_error", rate: float = 0.0
) -> np.ndarray:
    """Returns one minus an error, `[seeds]`."""
    return 1 - rows_of(table, arm=arm, rate=rate)[column].to_numpy()


def training_errors(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """Returns training errors after each epoch, `[seeds, epochs]`."""
    return np.stack(list(rows_of(table, arm=arm, rate=0.0).curve_train_error))


def epochs_to_fit(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """Returns the first epoch whose training accuracy is `fitted`, or NaN, `[seeds]`."""
    fitted = training_errors(table, arm) <= 1 - THRESHOLDS.fitted
    return np.where(fitted.any(1), 1.0 + fitted.argmax(1), np.nan)


def _time_ratio(first: np.ndarray, second: np.ndarray, name: str) -> Estimate:
    name = f"epochs to fit, {name}, geometric mean over seeds"
    return stats.geometric_ratio(first, second, name)


def time_ratio_to_true(table: "pandas.DataFrame", arm: str) -> Estimate:
    """Mean ratio of the epochs to fit of an arm to those of true labels."""
    times = (epochs_to_fit(table, one) for one in (arm, "true"))
    return _time_ratio(*times, f"{arm} over true")


def fitted_first(table: "pandas.DataFrame", arm: str, arms: Iterable[str]) -> Estimate:
    """Mean ratio of the epochs to fit of the fastest other arm to those of an arm."""
    least = np.min([epochs_to_fit(table, other) for other in arms if other != arm], 0)
    return _time_ratio(least, epochs_to_fit(table, arm), f"least of the others over {arm}")


def fitted_last(table: "pandas.DataFrame", arm: str, arms: Iterable[str]) -> Estimate:
    """Mean ratio of the epochs to fit of an arm to those of the slowest other arm."""
    most = np.max([epochs_to_fit(table, other) for other in arms if other != arm], 0)
    return _time_ratio(epochs_to_fit(table, arm), most, f"{arm} over most of the others")


def train_accuracy(table: "pandas.DataFrame", arm: str) -> Estimate:
    """Mean training accuracy."""
    accuracies = accuracy(table, arm, "train_error")
    return stats.mean_if_defined(accuracies, f"training accuracy, {arm}, mean over seeds")


def advantage(table: "pandas.DataFrame", arm: str) -> Estimate:
    """Mean test accuracy above chance."""
    return stats.mean(accuracy(table, arm) - CHANCE, f"test accuracy minus chance, {arm}")


def gain(table: "pandas.DataFrame", arm: str, rate: float = 0.0) -> Estimate:
    """Mean gain in test accuracy over the network without a regularizer, paired by seed."""
    pair = (accuracy(table, one, rate=rate) for one in (arm, "true"))
    return stats.paired_difference(*pair, f"test accuracy, {arm} minus none, noise {rate}")


def log10_max_error(table: "pandas.DataFrame", arm: str) -> Estimate:
    """Mean logarithm of the largest error of a construction on an example."""
    logs = np.log10(np.maximum(rows_of(table, arm=arm, rate=0.0).misfit, 1e-300))
    name = f"log10 of the largest error on an example, {arm}, mean over seeds"
    return stats.mean_if_defined(logs, name)


def accuracy_by_corruption(table: "pandas.DataFrame", arm: str) -> tuple[list[float], np.ndarray]:
    """Returns fractions of corrupted labels, and test accuracies `[seeds, fractions]`.

    For an arm on true labels, random labels are added as the fraction of 1.
    """
    fractions = sorted(table[table.arm == arm].rate.unique())
    values = [accuracy(table, arm, rate=rate) for rate in fractions]
    if arm.endswith("true"):
        fractions, random = [*fractions, 1.0], arm.replace("true", "random_labels")
        values.append(accuracy(table, random))
    return fractions, np.stack(values, 1)


def corruption_correlation(table: "pandas.DataFrame", arm: str) -> Estimate:
    """Mean rank correlation of test error with the fraction of corrupted labels."""
    fractions, accuracies = accuracy_by_corruption(table, arm)
    ranks = [stats.spearman(fractions, 1 - one).value for one in accuracies]
    name = f"rank correlation of test error and share of corrupted labels, {arm}, mean over seeds"
    return stats.mean_if_defined(ranks, name)


# ---- published numbers ---------------------------------------------------------------------------


def accuracy_in_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], *, split: str
) -> Estimate | None:
    """Mean accuracy of the `arm` of the number without label noise, on `split`, in percent."""
    arm = setting["arm"]
    if arm not in set(table.arm):
        return None
    return stats.mean(100 * accuracy(table, arm, f"{split}_error"), f"{split} accuracy, %")


def error_in_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], *, split: str
) -> Estimate | None:
    """Mean error of the `arm` of the number without label noise, on `split`, in percent."""
    arm = setting["arm"]
    if arm not in set(table.arm):
        return None
    return stats.mean(100 - 100 * accuracy(table, arm, f"{split}_error"), f"{split} error, %")


STATISTICS = {"accuracy": accuracy_in_percent, "error": error_in_percent}
