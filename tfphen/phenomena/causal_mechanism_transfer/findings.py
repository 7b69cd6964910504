"""Reads errors of transfer off the findings table, for verdicts, published numbers and figure.

Light to import: what computes is imported when a function is called.
"""

import dataclasses
from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

    from tfphen.verdicts.published import Number

# The targets of the panel in the alphabetical order of their names, by code.
# fmt: off
COUNTRIES = (
    "AUT", "BEL", "CAN", "DNK", "FRA", "DEU", "GRC", "IRL", "ITA",
    "JPN", "NLD", "NOR", "ESP", "SWE", "CHE", "TUR", "GBR", "USA",
)
# fmt: on
# Those of the published table that are run here, and those of which a figure shows the fit.
COMPARED = ("learned", "target_only", "source_only", "source_and_target")
SHOWN_ARMS = ("true_mechanism", "target_only")


def errors(table: "pandas.DataFrame", case: str, arm: str) -> "np.ndarray":
    """Returns the squared errors of an arm, `[seeds]`.

    Those of `"learned"` are of the flow, and of the moment in its training, with which the target's
    points that are left out are predicted best; what is found before any training does not count.
    """
    import numpy as np

    rows = rows_of(table, case=case, arm=arm)
    if arm != "learned":
        return rows.error.to_numpy()
    chosen = []
    for _, flows in rows.groupby("seed"):
        scores, values = (
            np.stack(list(flows[f"curve_learned_{name}"]))[:, 1:] for name in ("score", "error")
        )
        best = np.argmin(np.where(np.isfinite(scores), scores, np.inf))
        chosen.append(values.flat[best])
    return np.asarray(chosen)


def _beside_target_only(table, case: str, arm: str) -> "tuple[np.ndarray, np.ndarray]":
    """Returns the errors of an arm and of `"target_only"` in the seeds that both have."""
    seeds = rows_of(table, case=case, arm=arm).seed.unique()
    return errors(table, case, arm), errors(table[table.seed.isin(seeds)], case, "target_only")


def log_ratios(table: "pandas.DataFrame", case: str, arm: str) -> "np.ndarray":
    """Returns log(error / error of the target's points alone), `[seeds]`."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.divide(*_beside_target_only(table, case, arm)))


def log_ratio(table: "pandas.DataFrame", case: str, arm: str) -> stats.Estimate:
    """Mean of `log_ratios`."""
    name = f"log(error / error of target only), {arm.replace('_', ' ')}, {case.replace('_', ' ')}"
    return stats.mean_if_defined(log_ratios(table, case, arm), name)


def country_log_ratios(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns log(mean error / mean error of the target's points alone), `[countries]`."""
    import numpy as np

    pairs = [_beside_target_only(table, country, arm) for country in COUNTRIES]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log([mine.mean() / other.mean() for mine, other in pairs])


def over_countries(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean of `country_log_ratios`: its units are countries, not repetitions."""
    name = f"log(error / error of target only), {arm.replace('_', ' ')}, mean over countries"
    return stats.mean_if_defined(country_log_ratios(table, arm), name)


def relative(table: "pandas.DataFrame", country: str, arm: str) -> "np.ndarray":
    """Returns the error over that of a target whose points are all known but one, `[seeds]`."""
    return (
        errors(table, country, arm)
        / rows_of(table, case=country, arm="all_target").score.to_numpy()
    )


def wins(table: "pandas.DataFrame", arms: tuple[str, ...]) -> int:
    """Returns in how many countries the first of some arms has the least mean relative error."""
    means = {arm: [relative(table, country, arm).mean() for country in COUNTRIES] for arm in arms}
    columns = list(zip(*means.values(), strict=True))
    return sum(column[0] < min(column[1:]) for column in columns)


def published(
    table: "pandas.DataFrame", number: "Number"
) -> tuple[stats.Estimate, stats.Estimate | None] | None:
    """Returns our estimate, and that of the baseline, of a published number of the panel."""
    arm, country = number.setting.get("arm"), number.setting.get("country")
    if arm not in set(table.arm):
        return None
    if country in COUNTRIES:
        ours, base = (relative(table, country, one) for one in (arm, "target_only"))
        baseline = None if arm == "target_only" else stats.mean(base, number.metric)
        return stats.mean(ours, number.metric), baseline
    beaten = number.setting.get("beaten")
    if not beaten or not set(beaten) <= set(table.arm):
        return None
    share = stats.proportion(wins(table, (arm, *beaten)), len(COUNTRIES), number.metric)
    scaled = {name: len(COUNTRIES) * getattr(share, name) for name in ("value", "low", "high")}
    return dataclasses.replace(share, **scaled), None
