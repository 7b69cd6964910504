"""Reads off the findings table how far class weights move decisions, for verdicts and figure.

The share of points that are put into class 1 is read at each point of a curve. The spread of an
arm is that share with class 1 weighted up, less the share with it weighted down by the same ratio:
between -1 and 1, and 0 where weights do nothing. Light to import.
"""

from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

# Points that belong to neither class: a grid, or images of other classes.
AMBIGUOUS = "ambiguous_share"
# What is measured along a training.
CURVE = (AMBIGUOUS, "test_share", "noise_share", "train_error", "margin", "logit_norm")


def curves(
    table: "pandas.DataFrame", arm: str, ratio: float, column: str = AMBIGUOUS
) -> "np.ndarray":
    """Returns a curve measure of the trainings with one weight ratio, `[seeds, points]`."""
    import numpy as np

    return np.stack(list(rows_of(table, arm=arm, ratio=ratio)[f"curve_{column}"]))


def steps(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns after how many updates the points of an arm's curves are, `[points]`."""
    return rows_of(table, arm=arm).iloc[0].curve_step


def ratios(table: "pandas.DataFrame", arm: str) -> list[float]:
    """Returns the ratios above 1 whose inverses were trained with too."""
    found = set(rows_of(table, arm=arm).ratio)
    return sorted(ratio for ratio in found if ratio > 1 and 1 / ratio in found)


def spread(table: "pandas.DataFrame", arm: str, column: str = AMBIGUOUS) -> "np.ndarray":
    """Returns the spread, a mean over ratios, `[seeds, points]`."""
    pairs = [
        curves(table, arm, ratio, column) - curves(table, arm, 1 / ratio, column)
        for ratio in ratios(table, arm)
    ]
    return sum(pairs) / len(pairs)


def typical(table: "pandas.DataFrame", arm: str, column: str) -> "np.ndarray":
    """Returns the mean of a curve measure over weighted trainings, `[seeds, points]`."""
    found = [
        curves(table, arm, weight, column)
        for ratio in ratios(table, arm)
        for weight in (ratio, 1 / ratio)
    ]
    return sum(found) / len(found)


def late_decline(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Share of the spread at a tenth of the training that is lost by its end.

    Not from the first steps on: there the spread falls on any data, as weights leave zero.
    """
    import numpy as np

    values, at = spread(table, arm), steps(table, arm)
    tenth, end = values[:, np.flatnonzero(10 * at == at[-1])[0]], values[:, -1]
    lost = 1 - np.divide(end, tenth, out=np.full(len(end), np.nan), where=tenth > 0)
    name = f"share of the spread lost in the last nine tenths, {arm}, mean over seeds"
    return stats.mean_if_defined(lost, name)


def kept(table: "pandas.DataFrame", arm: str, early: int) -> stats.Estimate:
    """The last spread over the mean of the first `early` ones."""
    import numpy as np

    values = spread(table, arm)
    first = values[:, :early].mean(1)
    share = np.divide(values[:, -1], first, out=np.full(len(first), np.nan), where=first > 0)
    return stats.mean_if_defined(share, f"last spread over early spread, {arm}, mean over seeds")


def fit(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Training accuracy at the end, a mean over ratios."""
    accuracy = 1 - typical(table, arm, "train_error")[:, -1]
    return stats.mean(accuracy, f"training accuracy, {arm}, mean over seeds")


def restored(table: "pandas.DataFrame", arm: str, plain: str) -> stats.Estimate:
    """The last spread less that of the arm without a regularizer, paired by seed."""
    pair = (spread(table, one)[:, -1] for one in (arm, plain))
    return stats.paired_difference(*pair, f"last spread, {arm} minus {plain}")


def restored_beyond_a_third(
    table: "pandas.DataFrame", arm: str, other: str, plain: str
) -> stats.Estimate:
    """What an arm restores of the spread, less a third of what another does, paired by seed."""
    ours, theirs, none = (spread(table, one)[:, -1] for one in (arm, other, plain))
    name = f"restored by {arm} minus a third of that by {other}"
    return stats.paired_difference(ours - none, (theirs - none) / 3, name)


def moved_without_weights(table: "pandas.DataFrame", arm: str, plain: str) -> stats.Estimate:
    """How far a regularizer moves the last share where the classes weigh the same."""
    ours, none = (curves(table, one, 1.0)[:, -1] for one in (arm, plain))
    return stats.mean(abs(ours - none), f"absolute change of the share, {arm} from {plain}, 1:1")


def moved(table: "pandas.DataFrame", arm: str, plain: str) -> stats.Estimate:
    """By how much the last share is below that of the plain arm with equal weights.

    Class 1 is either weighted down or thinned out, by one ratio; a mean over such ratios.
    """
    base = curves(table, plain, 1.0)[:, -1]
    below = [ratio for ratio in set(rows_of(table, arm=arm).ratio) if ratio < 1]
    falls = [base - curves(table, arm, ratio)[:, -1] for ratio in sorted(below)]
    name = f"last share with equal weights minus that of {arm}, mean over seeds"
    return stats.mean(sum(falls) / len(falls), name)
