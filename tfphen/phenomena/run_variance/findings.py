"""How test error varies over the runs of a split: statistics, signatures and controls."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.core.seeds import stream
from tfphen.metrics import run_variance
from tfphen.phenomena.run_variance.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Thresholds of the findings.

    Attributes:
        variance_ratio: Of the variance of test error to that of independent errors, which is 1 if
            the runs do not differ in quality.
        ratio_contrast: Of that ratio after short training to that after long training.
        half_correlation: Of the errors on the two halves of the test set.
        test_error_sd: Standard deviation of test error over runs, %.
    """

    variance_ratio: float = 1.5
    ratio_contrast: float = 4.0
    half_correlation: float = 0.3
    test_error_sd: float = 0.05


THRESHOLDS = Thresholds()
_PERMUTED = "Each test point's errors are permuted over the runs, which makes them independent."


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on runs of the shortest and the longest training."""
    short, long = errors_by_split(table, "short"), errors_by_split(table, "long")
    short_permuted, long_permuted = _permuted(short, "short"), _permuted(long, "long")
    limits = THRESHOLDS

    yield Signature(
        "short/variance_ratio",
        _variance_ratio(short),
        above=limits.variance_ratio,
        description="After short training, test error varies more between runs than independent "
        "errors would: some runs are better than others.",
    )
    yield Control(
        "short_permuted/variance_ratio",
        _variance_ratio(short_permuted),
        above=limits.variance_ratio,
        description="After short training, permuted errors vary more than independent errors.",
        note=_PERMUTED,
    )
    yield Signature(
        "long/variance_ratio",
        _variance_ratio(long),
        below=limits.variance_ratio,
        description="After training to convergence, test error varies between runs about as much "
        "as independent errors would.",
    )
    yield Signature(
        "short/variance_ratio_over_long",
        _variance_ratio(short, long),
        above=limits.ratio_contrast,
        description="The variance ratio after short training is several times that after "
        "training to convergence.",
    )
    yield Control(
        "short_permuted/variance_ratio_over_long",
        _variance_ratio(short_permuted, long_permuted),
        above=limits.ratio_contrast,
        description="The variance ratios of permuted errors differ with training length.",
        note=_PERMUTED,
    )
    yield Signature(
        "short/half_correlation",
        _half_correlation(short),
        above=limits.half_correlation,
        description="After short training, runs that are better on one half of the test set are "
        "better on the other half.",
    )
    yield Control(
        "short_permuted/half_correlation",
        _half_correlation(short_permuted),
        above=limits.half_correlation,
        description="Permuted errors on the two halves of the test set are correlated.",
        note=_PERMUTED,
    )
    yield Signature(
        "long/half_correlation",
        _half_correlation(long),
        below=limits.half_correlation,
        description="After training to convergence, accuracy on one half of the test set says "
        "little about accuracy on the other half.",
    )
    if config.unequal_runs:
        note = f"Runs saw {config.smallest_share:.0%} to all of the training set."
        unequal = errors_by_split(table, "unequal")
        yield Control(
            "unequal/variance_ratio",
            _variance_ratio(unequal),
            below=limits.variance_ratio,
            description="Runs on training sets of unequal size vary no more than independent "
            "errors would.",
            note=note,
        )
        yield Control(
            "unequal/half_correlation",
            _half_correlation(unequal),
            below=limits.half_correlation,
            description="Errors of runs on training sets of unequal size are uncorrelated between "
            "the two halves of the test set.",
            note=note,
        )
    if config.convex_runs:
        yield Signature(
            "long/test_error_sd",
            _test_error_sd(long),
            above=limits.test_error_sd,
            description="After training to convergence, test error still varies between runs.",
        )
        yield Control(
            "convex/test_error_sd",
            _test_error_sd(errors_by_split(table, "convex")),
            above=limits.test_error_sd,
            description="Test error varies between runs that minimize a strictly convex loss.",
            note="Softmax regression with a penalty, converged.",
        )


# ---- statistics ----------------------------------------------------------------------------------


def errors_by_split(table: "pandas.DataFrame", *arms: str) -> dict[int, np.ndarray]:
    """Returns which runs misclassify which test points, bool `[runs, test points]`, by split."""
    splits = table[table.arm.isin(arms)].groupby("split")
    return {split: np.stack(list(rows.test_wrong)) for split, rows in splits}


def _permuted(runs: Mapping[int, np.ndarray], arm: str) -> dict[int, np.ndarray]:
    """Permutes each test point's column over the runs of its split."""
    generators = {split: stream(split, f"permuted_{arm}_runs") for split in runs}
    return {split: generators[split].permuted(errors, axis=0) for split, errors in runs.items()}


def _of_splits(runs: Mapping[int, np.ndarray], field: str) -> list[float]:
    """Returns a field of `tfphen.metrics.RunVariance` for each split."""
    return [getattr(run_variance(errors), field) for errors in runs.values()]


def _variance_ratio(runs: Mapping, over: Mapping | None = None) -> Estimate:
    """Geometric mean over splits of the variance ratio, or of the quotient of two."""
    name = "variance of test error over that of independent errors, geometric mean over splits"
    ratios = _of_splits(runs, "ratio")
    if over is not None:
        name = f"short over long: {name}"
        pairs = zip(ratios, _of_splits(over, "ratio"), strict=True)
        ratios = [first / second if second else math.nan for first, second in pairs]
    logs = [math.log(ratio) if ratio > 0 else math.nan for ratio in ratios]
    mean = stats.mean_if_defined(logs, name)
    ends = {end: math.exp(getattr(mean, end)) for end in ("value", "low", "high")}
    return dataclasses.replace(mean, **ends, spread=None)


def _half_correlation(runs: Mapping) -> Estimate:
    return stats.mean_if_defined(
        _of_splits(runs, "half_correlation"),
        "correlation over runs of the errors on two halves of the test set",
    )


def _test_error_sd(runs: Mapping, name: str = "sd of test error over runs, %") -> Estimate:
    deviations = [100 * variance**0.5 for variance in _of_splits(runs, "test_variance")]
    return stats.mean_if_defined(deviations, name)


# ---- published numbers ---------------------------------------------------------------------------


def _runs_of_length(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> "pandas.DataFrame":
    """Returns the runs of the number's training length, by default the longest."""
    epochs = setting.get("epochs", max(config.epochs))
    return table[table.arm.isin(("short", "middle", "long")) & (table.epochs == epochs)]


def mean_accuracy(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> Estimate | None:
    """Mean over runs of test accuracy, %."""
    runs = _runs_of_length(table, config, setting)
    if not len(runs):
        return None
    return stats.mean_if_defined(100 * (1 - runs.test_error), "mean test accuracy, %")


def accuracy_sd(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> Estimate | None:
    """Standard deviation over runs of test accuracy, %, mean over splits."""
    runs = _runs_of_length(table, config, setting)
    if not len(runs):
        return None
    return _test_error_sd(errors_by_split(runs, *runs.arm), "sd of test accuracy, %")


STATISTICS = {
    "mean_test_accuracy": mean_accuracy,
    "test_accuracy_sd": accuracy_sd,
}
