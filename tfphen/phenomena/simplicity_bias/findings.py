"""Reads off the findings table which blocks networks use, for verdicts and figure.

Rows of slab trainings have an `arm` and a `network`, those of sets of networks an `arm`
(`"set"`, `"other_seeds"` or `"upper_bound"`) and a `strength`. Light to import: what computes is
imported when a function is called.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

    from tfphen.phenomena.simplicity_bias.trials import Diversity

# What is shuffled among test examples: nothing, the simple block, or all other blocks.
SCORES = ("standard", "simple_shuffled", "complex_shuffled")
# AUC of a control's networks from which on they have learned anything.
LEARNED = 0.95


def auc(labels: Sequence[int], scores: Sequence[float]) -> float:
    """Area under the receiver operating characteristic: how often class 1 has the higher score.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]`. Equal ones count half.

    Example:

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    import numpy as np
    from scipy.stats import rankdata

    labels = np.asarray(labels) == 1
    ones, zeros = labels.sum(), (~labels).sum()
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - ones * (ones + 1) / 2) / (ones * zeros))


def _stacked(rows: "pandas.DataFrame", column: str) -> "np.ndarray":
    import numpy as np

    return np.stack([np.asarray(value) for value in rows[column]])


# ---- slab trainings ----------------------------------------------------------------------------


def slab_values(
    table: "pandas.DataFrame", arm: str, score: str, column: str = "aucs"
) -> "np.ndarray":
    """Returns AUCs or `"accuracies"` of the first network of each seed, `[seeds]`.

    Args:
        table: The records.
        arm: Of the training.
        score: One of `SCORES`.
        column: `"aucs"` or `"accuracies"`.
    """
    rows = rows_of(table, arm=arm, network=0)
    return _stacked(rows, column)[:, SCORES.index(score)]


def slab_auc(table: "pandas.DataFrame", arm: str, score: str) -> stats.Estimate:
    """Mean AUC. NaN for shuffled blocks where a network has not learned its classes."""
    import numpy as np

    values = slab_values(table, arm, score)
    if score != "standard":
        values = np.where(slab_values(table, arm, "standard") >= LEARNED, values, math.nan)
    return stats.mean_if_defined(values, f"AUC, {score}, {arm}")


def slab_accuracy(table: "pandas.DataFrame", arm: str, score: str = "standard") -> stats.Estimate:
    """Mean test accuracy."""
    return stats.mean(slab_values(table, arm, score, "accuracies"), f"accuracy, {score}, {arm}")


def train_accuracy(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean training accuracy."""
    errors = rows_of(table, arm=arm, network=0).train_error.to_numpy()
    return stats.mean(1 - errors, f"training accuracy, {arm}")


def ensemble_aucs(table: "pandas.DataFrame", arm: str, score: str) -> "np.ndarray":
    """Returns the AUC of the mean logits of all networks of each seed, `[seeds]`."""
    import numpy as np

    found = []
    for _, rows in rows_of(table, arm=arm).groupby("seed"):
        scores = _stacked(rows, "test_scores")[:, SCORES.index(score)].mean(0)
        found.append(auc(rows.test_labels.iloc[0], scores))
    return np.asarray(found)


def ensemble_auc(table: "pandas.DataFrame", arm: str, score: str) -> stats.Estimate:
    """Mean over seeds of `ensemble_aucs`."""
    return stats.mean(ensemble_aucs(table, arm, score), f"AUC of mean logits, {score}, {arm}")


# ---- sets of networks --------------------------------------------------------------------------


def block_accuracies(
    table: "pandas.DataFrame", arm: str, block: int, strength: float, fitted: float
) -> "np.ndarray":
    """Returns test accuracies where one block is predictive, `[seeds, models]`.

    Args:
        table: The records.
        arm: `"set"`, `"other_seeds"` or `"upper_bound"`.
        block: Its place.
        strength: Of the similarity.
        fitted: Training accuracy below which a network counts as guessing, since what has not
            learned its task has found nothing in it.
    """
    import numpy as np

    rows = rows_of(table, arm=arm, strength=strength)
    if arm == "upper_bound":
        rows = rows_of(rows, block=block)
    counts = _stacked(rows, "train_accuracies") >= fitted
    return np.where(counts, _stacked(rows, "block_accuracies")[..., block], 0.5)


def best(table: "pandas.DataFrame", diversity: "Diversity", block: int, **which) -> "np.ndarray":
    """Returns the accuracy of the best network of each set, `[seeds]`.

    An oracle: the block's own test set chooses. It is held against what the same choice makes of a
    set that is trained without the similarity.

    Args:
        table: The records.
        diversity: Settings of the sets.
        block: Place of the block that is predictive.
        **which: `arm` and `strength`; by default the sets, without the similarity.
    """
    return _of_sets(table, diversity, block, **which).max(1)


def _of_sets(table, diversity: "Diversity", block: int, arm: str = "set", strength: float = 0.0):
    return block_accuracies(table, arm, block, strength, diversity.fitted)


def plain_accuracy(
    table: "pandas.DataFrame", diversity: "Diversity", block: int, times: float = 1.0
) -> stats.Estimate:
    """Mean accuracy, times a number, where one block is predictive, of sets without similarity."""
    means = times * _of_sets(table, diversity, block).mean(1)
    name = diversity.names()[block]
    return stats.mean(means, f"accuracy where {name} is predictive, mean of networks, strength 0")


def upper_bounds(
    table: "pandas.DataFrame", diversity: "Diversity", block: int
) -> "np.ndarray | None":
    """Returns what a block allows, `[seeds]`: the best of a set for which it is all there is.

    None where no such sets were trained, since a block allows certainty.
    """
    if not diversity.upper_bounds:
        return None
    return block_accuracies(table, "upper_bound", block, 0.0, fitted=0.0).max(1)


def _possible(table, diversity: "Diversity", block: int):
    """Returns how much accuracy a block allows beyond chance."""
    import numpy as np

    bounds = upper_bounds(table, diversity, block)
    return 0.5 if bounds is None else np.maximum(bounds - 0.5, 1e-6)


def gain(table: "pandas.DataFrame", diversity: "Diversity", block: int, arm: str) -> stats.Estimate:
    """Gain in the best accuracy over sets without the similarity, as a share of what is possible.

        (best of the set - best of one without) / (upper bound - 1/2)

    Args:
        table: The records.
        diversity: Settings of the sets.
        block: Place of the block that is predictive.
        arm: `"set"` for those with the similarity, `"other_seeds"` for others without it.
    """
    strength = diversity.strength if arm == "set" else 0.0
    ours = best(table, diversity, block, arm=arm, strength=strength)
    gains = (ours - best(table, diversity, block)) / _possible(table, diversity, block)
    name = (
        f"best accuracy where {diversity.names()[block]} is predictive, share of what is possible"
    )
    return stats.mean(gains, f"{name}, {arm}, strength {strength:g} minus 0")


def luck(table: "pandas.DataFrame", diversity: "Diversity", block: int) -> stats.Estimate:
    """How far below chance the worst network is, as a share of what is possible above.

    Networks that lean to a block without having learned it are wrong about it as often as right, so
    the worst of a set is as far below chance as the best is above.
    """
    worst = _of_sets(table, diversity, block, strength=diversity.strength).min(1)
    name = f"chance minus worst accuracy where {diversity.names()[block]} is predictive"
    shares = (0.5 - worst) / _possible(table, diversity, block)
    return stats.mean(shares, f"{name}, share of what is possible, strength {diversity.strength:g}")
