"""Errors of transfer, relative to fits of the target's points alone."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.causal_mechanism_transfer.trials import COUNTRIES, Config
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Limits of log(error / error of the target's points alone).

    Attributes:
        gain: Below it an arm gains on synthetic domains: its error is less than two thirds.
        loss: Above it source data mislead.
        panel_gain: Below it an arm gains on the panel of countries.
    """

    gain: float = -0.4
    loss: float = 0.0
    panel_gain: float = 0.0


THRESHOLDS = Thresholds()

# Arms of the published table that are run here.
COMPARED = ("learned", "target_only", "source_only", "source_and_target")

# ---- statistics --------------------------------------------------------------------------------


def errors(table: "pandas.DataFrame", case: str, arm: str) -> np.ndarray:
    """Squared errors of an arm, `[seeds]`.

    Those of `"learned"` are of the flow and the moment in its training with the lowest
    leave-one-out error on the target's points; untrained flows are not candidates.
    """
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


def _paired_errors(table: "pandas.DataFrame", case: str, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Errors of an arm and of `"target_only"` in the seeds that both have."""
    seeds = rows_of(table, case=case, arm=arm).seed.unique()
    return errors(table, case, arm), errors(table[table.seed.isin(seeds)], case, "target_only")


def log_ratios(table: "pandas.DataFrame", case: str, arm: str) -> np.ndarray:
    """log(error / error of the target's points alone), `[seeds]`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.divide(*_paired_errors(table, case, arm)))


def log_ratio(table: "pandas.DataFrame", case: str, arm: str) -> stats.Estimate:
    """Mean of `log_ratios`."""
    name = f"log(error / error of target only), {arm.replace('_', ' ')}, {case.replace('_', ' ')}"
    return stats.mean_if_defined(log_ratios(table, case, arm), name)


def country_log_ratios(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """log(mean error / mean error of the target's points alone), `[countries]`."""
    pairs = [_paired_errors(table, country, arm) for country in COUNTRIES]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log([ours.mean() / other.mean() for ours, other in pairs])


def over_countries(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean of `country_log_ratios`: the units are countries, not repetitions."""
    name = f"log(error / error of target only), {arm.replace('_', ' ')}, mean over countries"
    return stats.mean_if_defined(country_log_ratios(table, arm), name)


def relative_errors(table: "pandas.DataFrame", country: str, arm: str) -> np.ndarray:
    """Errors divided by the leave-one-out error of all points of the target, `[seeds]`."""
    return (
        errors(table, country, arm)
        / rows_of(table, case=country, arm="all_target").score.to_numpy()
    )


def wins(table: "pandas.DataFrame", arms: tuple[str, ...]) -> int:
    """Number of countries in which the first of some arms has the lowest mean relative error."""
    means = {
        arm: [relative_errors(table, country, arm).mean() for country in COUNTRIES] for arm in arms
    }
    columns = list(zip(*means.values(), strict=True))
    return sum(column[0] < min(column[1:]) for column in columns)


# ---- signatures and controls -------------------------------------------------------------------

_NONLINEAR, _LINEAR = "where the mechanism is nonlinear", "where the mechanism is linear"
_HAS = "have a lower error than the target's points alone"


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls."""
    yield from (_panel_findings if config.data == "gasoline" else _synthetic_findings)(table)


def _synthetic_findings(table: "pandas.DataFrame") -> Iterator[Signature]:
    for case, arm, text in (
        ("nonlinear", "true_mechanism", f"Combinations by the true mechanism {_HAS} {_NONLINEAR}"),
        ("linear", "true_mechanism", f"Combinations by the true mechanism {_HAS} {_LINEAR}"),
        ("linear", "fast_ica", f"Combinations by FastICA {_HAS} {_LINEAR}"),
    ):
        yield Signature(
            f"{arm}_{case}/log_error_ratio",
            log_ratio(table, case, arm),
            below=THRESHOLDS.gain,
            description=f"{text}.",
        )
    yield Signature(
        "source_only_nonlinear/log_error_ratio",
        log_ratio(table, "nonlinear", "source_only"),
        above=THRESHOLDS.loss,
        description="Source points alone have a higher error than the target's points alone.",
    )
    for arm, name in (
        ("linear_mechanism", "a linear mechanism"),
        ("fast_ica", "FastICA"),
        ("turned_fast_ica", "FastICA with rotated components"),
    ):
        yield Control(
            f"{arm}_nonlinear/log_error_ratio",
            log_ratio(table, "nonlinear", arm),
            below=THRESHOLDS.gain,
            description=f"Combinations by {name} do not {_HAS} {_NONLINEAR}.",
        )
    yield Control(
        "source_only_same_laws/log_error_ratio",
        log_ratio(table, "same_laws", "source_only"),
        above=THRESHOLDS.loss,
        description="Without a shift between domains source points alone do not have a higher "
        "error than the target's points alone.",
    )


def _panel_findings(table: "pandas.DataFrame") -> Iterator[Signature]:
    yield Signature(
        "learned/log_error_ratio",
        over_countries(table, "learned"),
        below=THRESHOLDS.panel_gain,
        description=f"Combinations by a learned flow {_HAS}, on average over countries.",
    )
    yield Control(
        "source_only/log_error_ratio",
        over_countries(table, "source_only"),
        below=THRESHOLDS.panel_gain,
        description="Source points alone do not have a lower error than the target's points "
        "alone, on average over countries.",
    )


# ---- published numbers -------------------------------------------------------------------------


def relative_error(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> stats.Estimate | tuple[stats.Estimate, stats.Estimate] | None:
    """Mean relative error of an arm in a country; beside it that of the target's points alone.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `arm` and `country`.
    """
    arm, country = setting["arm"], setting["country"]
    if config.data != "gasoline" or arm not in set(table.arm):
        return None
    ours, target_only = (
        stats.mean(relative_errors(table, country, name), "target error over leave-one-out error")
        for name in (arm, "target_only")
    )
    return ours if arm == "target_only" else (ours, target_only)


def countries_won(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> stats.Estimate | None:
    """Number of countries in which an arm has the lowest mean relative error.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `arm`, and the arms `beaten`.
    """
    arms = (setting["arm"], *setting["beaten"])
    if config.data != "gasoline" or not set(arms) <= set(table.arm):
        return None
    name = "countries in which the arm has the least error, of 18"
    share = stats.proportion(wins(table, arms), len(COUNTRIES), name)
    scaled = {name: len(COUNTRIES) * getattr(share, name) for name in ("value", "low", "high")}
    return dataclasses.replace(share, **scaled)


STATISTICS = {"relative_error": relative_error, "countries_won": countries_won}
