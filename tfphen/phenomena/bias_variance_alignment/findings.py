"""How variance follows squared bias from point to point: statistics, signatures and controls."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.core.seeds import stream
from tfphen.metrics.runs.bias_variance import (
    Alignment,
    BiasVariance,
    bias_variance,
    bias_variance_alignment,
)
from tfphen.phenomena.bias_variance_alignment.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Thresholds of the findings.

    Attributes:
        slope: Interval for the slope of log variance on log squared bias.
        r_squared: R² of that regression.
        median_log_ratio: Interval for the median of log(variance / squared bias): a factor of 2.
        share_bounded: Share of points with variance at most 3 times squared bias.
        r_squared_gain: R² of the large model minus that of the small one.
    """

    slope: tuple[float, float] = (0.8, 1.2)
    r_squared: float = 0.8
    median_log_ratio: tuple[float, float] = (-math.log(2.0), math.log(2.0))
    share_bounded: float = 0.95
    r_squared_gain: float = 0.02


THRESHOLDS = Thresholds()
_PERMUTED = "The variances are permuted over the points."
_CONSTANT_NOISE = "Members are the large model's mean and noise that has one size at all points."
_NAMES = {
    "slope": "slope of log variance on log squared bias",
    "r_squared": "R² of log variance on log squared bias",
    "median_log_ratio": "median over points of log(variance / squared bias)",
    "share_bounded": "share of points with variance at most 3 times squared bias",
}


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on the ensembles of the large model, and of the small one beside it."""
    points = decompositions(table, "wide")
    fits, permuted = alignments(points), alignments(points, permuted=True)
    noise = alignments(_constant_noise(table))
    limits = THRESHOLDS

    yield Signature(
        "wide/slope",
        _mean(fits, "slope"),
        within=limits.slope,
        description="In ensembles of the large model, log variance grows with log squared bias "
        "with slope 1.",
    )
    yield Control(
        "wide_permuted/slope",
        _mean(permuted, "slope"),
        within=limits.slope,
        description="The slope is 1 if variances are permuted over points.",
        note=_PERMUTED,
    )
    yield Control(
        "constant_noise/slope",
        _mean(noise, "slope"),
        within=limits.slope,
        description="The slope is 1 if members deviate by noise of one size at all points.",
        note=_CONSTANT_NOISE,
    )
    if config.control_members:
        yield Control(
            "one_epoch/slope",
            _mean(alignments(decompositions(table, "one_epoch")), "slope"),
            within=limits.slope,
            description="The slope is 1 after one epoch of training.",
        )
        yield Control(
            "shuffled_labels/slope",
            _mean(alignments(decompositions(table, "shuffled_labels")), "slope"),
            within=limits.slope,
            description="The slope is 1 after training on shuffled labels.",
        )

    yield Signature(
        "wide/r_squared",
        _mean(fits, "r_squared"),
        above=limits.r_squared,
        description="Squared bias explains most of the variation of log variance over points.",
    )
    yield Control(
        "wide_permuted/r_squared",
        _mean(permuted, "r_squared"),
        above=limits.r_squared,
        description="Squared bias explains most of the variation of permuted log variances.",
        note=_PERMUTED,
    )

    yield Signature(
        "wide/median_log_ratio",
        _mean(fits, "median_log_ratio"),
        within=limits.median_log_ratio,
        description="At the median point, variance and squared bias agree within a factor of 2.",
        note=_terms(points),
    )
    if config.control_members:
        linear = alignments(decompositions(table, "linear"))
        slope, r_squared = (_mean(linear, name).value for name in ("slope", "r_squared"))
        yield Control(
            "linear/median_log_ratio",
            _mean(linear, "median_log_ratio"),
            within=limits.median_log_ratio,
            description="Variance and squared bias of softmax regression agree within a factor of "
            "2 at the median point.",
            note=f"Softmax regression, of slope {slope:.2f} and R² {r_squared:.2f}.",
        )

    yield Signature(
        "wide/share_bounded",
        _mean(fits, "share_bounded"),
        above=limits.share_bounded,
        description="At nearly all points, variance is at most 3 times squared bias.",
    )
    yield Control(
        "wide_permuted/share_bounded",
        _mean(permuted, "share_bounded"),
        above=limits.share_bounded,
        description="At nearly all points, a permuted variance is at most 3 times squared bias.",
        note=_PERMUTED,
    )

    narrow = alignments(decompositions(table, "narrow"))
    yield Signature(
        "wide/r_squared_gain_over_narrow",
        _r_squared_gain(fits, narrow, "the large model", "the small one"),
        above=limits.r_squared_gain,
        description="Variance follows squared bias more closely in the large model than in the "
        "small one.",
    )
    halves = [
        alignments(decompositions(table[table.member % 2 == half], "wide")) for half in (0, 1)
    ]
    yield Control(
        "half_ensemble/r_squared_gain_over_other_half",
        _r_squared_gain(*halves, "half an ensemble", "the other half"),
        above=limits.r_squared_gain,
        description="Variance follows squared bias more closely in one half of an ensemble than "
        "in the other half.",
    )


# ---- statistics ----------------------------------------------------------------------------------


def decompositions(table: "pandas.DataFrame", arm: str) -> dict[int, BiasVariance]:
    """Returns squared bias and variance of an arm's ensembles, point by point."""
    ensembles = _log_probabilities(table, arm)
    return {ensemble: bias_variance(labels, members) for ensemble, labels, members in ensembles}


def _log_probabilities(
    table: "pandas.DataFrame", arm: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields ensemble, labels `[n]` and log-probabilities `[members, n, classes]`."""
    for ensemble, rows in table[table.arm == arm].groupby("ensemble"):
        yield ensemble, rows.test_labels.iloc[0], np.stack(list(rows.test_log_probabilities))


def _constant_noise(table: "pandas.DataFrame") -> dict[int, BiasVariance]:
    """Returns ensembles around the means of the large model's, with one variance at all points."""
    ensembles = {}
    for ensemble, labels, members in _log_probabilities(table, "wide"):
        classes = members.shape[-1]
        # A Dirichlet draw is uniform over the simplex: mixing it in keeps members in the simplex.
        noise = stream(ensemble, "constant_noise").dirichlet(np.ones(classes), members.shape[:-1])
        mixed = 0.9 * np.exp(members).mean(0) + 0.1 * noise
        ensembles[ensemble] = bias_variance(labels, mixed, from_logits=False)
    return ensembles


def alignments(points: Mapping[int, BiasVariance], permuted: bool = False) -> list[Alignment]:
    """Fits each ensemble's variance to its squared bias, over correctly classified points."""
    fits = []
    for ensemble, terms in points.items():
        variance = terms.unbiased_variance
        if permuted:
            variance = stream(ensemble, "permuted_variance").permutation(variance)
        fits.append(bias_variance_alignment(terms.unbiased_squared_bias, variance, terms.correct))
    return fits


def _mean(fits: Sequence[Alignment], field: str) -> Estimate:
    """Mean over ensembles; undefined where it is undefined for one of them."""
    return stats.mean_if_defined([getattr(fit, field) for fit in fits], _NAMES[field])


def _r_squared_gain(
    fits: Sequence[Alignment], baselines: Sequence[Alignment], name: str, baseline_name: str
) -> Estimate:
    """Mean over ensembles of the difference of two R²."""
    pairs = zip(fits, baselines, strict=True)
    differences = [fit.r_squared - baseline.r_squared for fit, baseline in pairs]
    return stats.mean_if_defined(differences, f"R² of {name} minus that of {baseline_name}")


def _terms(points: Mapping[int, BiasVariance]) -> str:
    """States which terms of the exact identity separate squared bias from variance."""
    impurity = sum(terms.impurity.mean() for terms in points.values()) / len(points)
    gap = sum(terms.calibration_gap.mean() for terms in points.values()) / len(points)
    return (
        f"Over all points squared bias minus variance is {impurity + gap:.4f}: {impurity:.4f} from "
        f"members that are unsure, {gap:.4f} from an ensemble that is not calibrated."
    )


# ---- published numbers ---------------------------------------------------------------------------


def slope(table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]) -> Estimate:
    """Slope of log variance on log squared bias in ensembles of the large model."""
    return _mean(alignments(decompositions(table, "wide")), "slope")


STATISTICS = {"slope": slope}
