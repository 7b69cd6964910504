"""Reads off the findings table how uncertainty behaves, for verdicts and figure.

Light to import: what computes is imported when a function is called.
"""

from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas


def values(table: "pandas.DataFrame", part: str, arm: str, column: str) -> "np.ndarray":
    """Returns a column of an arm in the order of its seeds, empty where it was not measured."""
    rows = rows_of(table, part=part, arm=arm)
    found = rows[column].to_numpy("float64") if column in rows else rows.index.to_numpy()[:0]
    return found


def level(table: "pandas.DataFrame", part: str, arm: str, column: str) -> stats.Estimate:
    """Mean of a column of an arm."""
    name = f"{column.replace('_', ' ')}, {arm.replace('_', ' ')}, mean over seeds"
    return stats.mean_if_defined(values(table, part, arm, column), name)


def gain(
    table: "pandas.DataFrame",
    part: str,
    arm: str,
    column: str,
    baseline: str | None = None,
    lower: bool = False,
) -> stats.Estimate:
    """Mean gain of an arm over the deterministic network, paired by seed.

    Args:
        table: The records.
        part: `"moons"` or `"task"`.
        arm: Of `tfphen.phenomena.sngp.phenomenon.ARMS`.
        column: Of the arm.
        baseline: Column of the deterministic network; None for the same.
        lower: Whether less is better.
    """
    baseline = baseline or column
    ours = values(table, part, arm, column)
    plain = values(table, part, "deterministic", baseline)
    words = [f"{column.replace('_', ' ')} of {arm.replace('_', ' ')}"]
    words.append(f"{baseline.replace('_', ' ')} of the deterministic network")
    if lower:
        ours, plain, words = plain, ours, words[::-1]
    return stats.paired_difference(ours, plain, " minus ".join(words))
