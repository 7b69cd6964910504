"""Reads what tells patterns from noise off the findings table, for verdicts and figure.

Light to import: the metrics are imported when a function is called.
"""

from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

_NAMES = {
    "curve_critical_sample_ratio": "critical sample ratio on validation examples",
    "loss_sensitivity": "Gini coefficient of loss sensitivity",
    "train_error": "training error",
    "validation_error": "validation error",
}


def curves_of(table: "pandas.DataFrame", arm: str, column: str) -> "np.ndarray":
    """Returns a curve of each long training of an arm, `[seeds, points]`."""
    import numpy as np

    return np.stack(list(rows_of(table, study="long", arm=arm)[f"curve_{column}"]))


def values_of(rows: "pandas.DataFrame", column: str) -> "np.ndarray":
    """Returns one number a row: of a curve the last, of loss sensitivity the Gini coefficient."""
    import numpy as np

    from tfphen.metrics import gini_coefficient

    values = list(rows[column])
    if column.startswith("curve_"):
        return np.asarray([value[-1] for value in values])
    return (
        gini_coefficient(np.stack(values)) if column == "loss_sensitivity" else np.asarray(values)
    )


def at_step(rows: "pandas.DataFrame", column: str, step: int | None) -> "np.ndarray":
    """Returns the number of each row after `step` updates, None for all, where it was measured."""
    import numpy as np

    curves = zip(rows[f"curve_{column}"], rows.curve_step, strict=True)
    found = [values[steps == (step or steps[-1])] for values, steps in curves]
    return np.concatenate([np.zeros(0), *found])


def difference(
    table: "pandas.DataFrame", arm: str, other: str, column: str, study: str = "long"
) -> stats.Estimate:
    """Compares two arms, paired by seed, in what `values_of` reads from a column."""
    pair = (values_of(rows_of(table, study=study, arm=name), column) for name in (arm, other))
    return stats.paired_difference(*pair, f"{_NAMES[column]}, {arm} minus {other}")


def dispersion_ratio(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Dispersion of success rates over the runs of a seed, over that of randX, mean over seeds.

    NaN where all runs of a seed agree on every example.
    """
    import numpy as np

    from tfphen.metrics import binomial_dispersion

    def dispersions(name):
        seeds = rows_of(table, study="short", arm=name).groupby("seed")
        runs = [~np.stack(list(rows.train_wrong)) for _, rows in seeds]
        return np.asarray([binomial_dispersion(right) for right in runs])

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = dispersions(arm) / dispersions("randX")
    name = f"dispersion of success rates over runs, {arm} over randX"
    return stats.mean_if_defined(ratios, name)


def drop(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """How far validation accuracy falls behind its peak until the end."""
    from tfphen.phenomena._shared.interior_peak import interior_peak

    drops = interior_peak(1 - curves_of(table, arm, "validation_error")).drop
    return stats.mean(drops, f"validation accuracy, at its peak minus at the end, {arm}")


def fit_gap(table: "pandas.DataFrame", when: str) -> stats.Estimate:
    """Fit of clean labels minus that of flipped ones, where validation is best or at the end.

    Args:
        table: The records.
        when: `"at_the_peak"` or `"at_the_end"`.
    """
    import numpy as np

    gaps = curves_of(table, "noisy", "clean_fit") - curves_of(table, "noisy", "flipped_fit")
    places = np.argmin(curves_of(table, "noisy", "validation_error"), 1)
    places = places if when == "at_the_peak" else np.full(len(gaps), -1)
    chosen = gaps[np.arange(len(gaps)), places]
    return stats.mean(chosen, f"fit of clean minus fit of flipped labels {when.replace('_', ' ')}")


def forgotten_and_known(
    table: "pandas.DataFrame", decay: float, when: str, step: int | None
) -> tuple[stats.Estimate, stats.Estimate]:
    """What a weight decay takes from the fit of wrong sums, and the test accuracy under it.

    Args:
        table: The records.
        decay: The weight decay, compared with none.
        when: Name of the time.
        step: The updates until then, None for all.
    """
    arms = (f"{value:g}" for value in (0.0, decay))
    none, with_it = (rows_of(table, study="arithmetic", arm=arm) for arm in arms)
    fits = [at_step(rows, "flipped_fit", step) for rows in (none, with_it)]
    how = f"{when.replace('_', ' ')}, weight decay {decay:g}"
    known = 1 - at_step(with_it, "test_error", step)
    return (
        stats.paired_difference(*fits, f"fit of wrong sums, without decay minus with, {how}"),
        stats.mean(known, f"test accuracy, {how}"),
    )
