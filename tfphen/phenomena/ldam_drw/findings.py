"""Reads what rare classes gain off the findings table, for verdicts and figure.

Light to import: what computes is imported when a function is called.
"""

from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas


def errors(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns the balanced test error of each training of an arm, `[seeds]`."""
    return rows_of(table, arm=arm).test_balanced_error.to_numpy()


def least_errors(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns the least balanced test error on the curve of each training, `[seeds]`."""
    import numpy as np

    curves = rows_of(table, arm=arm).curve_test_balanced_error
    return np.asarray([min(curve) for curve in curves])


def by_rank(table: "pandas.DataFrame", arm: str, column: str) -> "np.ndarray":
    """Returns a number of each class, the most frequent class first, `[seeds, classes]`."""
    import numpy as np

    rows = rows_of(table, arm=arm)
    orders = [np.argsort(-np.asarray(counts), kind="stable") for counts in rows.class_counts]
    pairs = zip(rows[column], orders, strict=True)
    return np.stack([np.asarray(values)[order] for values, order in pairs])


def gain(table: "pandas.DataFrame", arm: str, other: str) -> stats.Estimate:
    """Compares two arms, paired by seed, in balanced test error."""
    name = f"balanced test error, {other} minus {arm}"
    return stats.paired_difference(errors(table, other), errors(table, arm), name)


def recall_gain(table: "pandas.DataFrame", half: str, arm: str, other: str) -> stats.Estimate:
    """Compares two arms in the mean test recall of half of the classes.

    Args:
        table: The records.
        half: `"rare"` or `"frequent"`; of an odd number the middle class is in neither.
        arm, other: The arms.
    """

    def recalls(name):
        values = by_rank(table, name, "test_class_recall")
        count = values.shape[1] // 2
        return (values[:, -count:] if half == "rare" else values[:, :count]).mean(1)

    name = f"test recall of the {half} half of classes, {arm} minus {other}"
    return stats.paired_difference(recalls(arm), recalls(other), name)


def rank_correlations(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns Spearman's correlation of rarity and mean training margin of the classes, `[seeds]`.

    It is 1 where the rarer of any two classes has the larger margin. Equally frequent classes have
    equal ranks.
    """
    import numpy as np

    counts = by_rank(table, arm, "class_counts")
    margins = by_rank(table, arm, "train_class_margin")
    finite = np.isfinite(margins).all(1)
    pairs = zip(-counts, margins, finite, strict=True)
    return np.asarray([stats.spearman(*pair).value if known else np.nan for *pair, known in pairs])


def margin_order(table: "pandas.DataFrame", arm: str, other: str) -> stats.Estimate:
    """Compares two arms in `rank_correlations`; NaN where a training diverged."""
    differences = rank_correlations(table, arm) - rank_correlations(table, other)
    name = f"rank correlation of rarity and training margin, {arm} minus {other}"
    return stats.mean_if_defined(differences, name)
