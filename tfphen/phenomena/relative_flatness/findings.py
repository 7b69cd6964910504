"""How measures rank the networks of the findings table, for verdicts and figure.

Light to import: what computes is imported when a function is called.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

    from tfphen.verdicts.estimate import Estimate


def stopped(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Drops networks that did not reach the training loss, and adds the gap of the losses."""
    rows = rows[rows.stopped_at >= 0]
    return rows.assign(gap=rows.test_loss - rows.train_loss)


def kendall(first, second) -> float:
    """Returns tau_b, or NaN of fewer than three networks."""
    from scipy import stats

    return float(stats.kendalltau(first, second).statistic) if len(first) > 2 else math.nan


def tau(
    rows: "pandas.DataFrame",
    measure: str,
    outcome: str = "test_error",
    less: str | None = None,
    given: str | None = None,
    permutations: int = 0,
) -> "Estimate":
    """Mean over seeds of Kendall's tau_b of a measure and an outcome within the seed.

    Args:
        rows: Networks.
        measure, outcome: Columns.
        less: A second measure, whose tau is subtracted.
        given: A column to hold fixed: partial tau.
        permutations: Permute the outcome within each seed, so many times.
    """
    import numpy as np

    from tfphen.core.seeds import stream

    values = []
    for seed, part in rows.groupby("seed"):
        x, y = part[measure].to_numpy(), part[outcome].to_numpy()
        value = kendall(x, y)
        if permutations:
            generator = stream(seed, "permuted_test_errors")
            value = np.mean([kendall(x, generator.permutation(y)) for _ in range(permutations)])
        if less:
            value -= kendall(part[less].to_numpy(), y)
        if given:
            with_x, with_y = (kendall(part[given].to_numpy(), other) for other in (x, y))
            value = (value - with_x * with_y) / math.sqrt((1 - with_x**2) * (1 - with_y**2))
        values.append(value)
    words = f" less that of {less}" if less else f" given {given}" if given else ""
    permuted = "permuted " if permutations else ""
    return _over_seeds(
        values, f"tau of {measure} and {permuted}{outcome} within a seed{words}, mean"
    )


def largest_change(nets: "pandas.DataFrame", change: "pandas.Series", name: str) -> "Estimate":
    """Mean over seeds of the log10 of the largest relative change, at least that of rounding."""
    largest = change.abs().groupby(nets.seed).max()
    logs = (math.log10(max(value, 2.0**-52)) for value in largest)
    return _over_seeds(logs, f"log10 of the largest relative change of {name}, mean over seeds")


def _over_seeds(values: Iterable[float], name: str) -> "Estimate":
    """Mean over seeds; undefined where there is none, or where one has no value."""
    from tfphen.verdicts import stats
    from tfphen.verdicts.estimate import Estimate

    values = list(values)
    if not values:
        return Estimate(name, math.nan, math.nan, math.nan, 0)
    return stats.mean_if_defined(values, name)


def pearson(chosen, other, nets: "pandas.DataFrame", seed: int) -> "Estimate":
    """Correlation with the gap, less that of another measure, with a bootstrap over networks.

    Args:
        chosen: A measure, one number a network.
        other: Another one, or None.
        nets: The networks, see `stopped`.
        seed: Of the resamples.
    """
    import numpy as np

    from tfphen.core.seeds import stream
    from tfphen.verdicts import stats

    columns = [nets.gap, chosen] + ([] if other is None else [other])
    values = np.column_stack([np.asarray(column, "float64") for column in columns])

    def statistic(rows):
        first, *rest = np.corrcoef(rows.T)[0, 1:]
        return first - sum(rest)

    name = "Pearson r with the gap" + ("" if other is None else ", difference")
    return stats.bootstrap(values, statistic, stream(seed, "bootstrap"), name)
