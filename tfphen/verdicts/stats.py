"""Estimates with confidence intervals. Every verdict starts from one of these.

NumPy and SciPy are imported when a function is called, so that the command line starts fast.

Conventions of all functions: non-finite input is rejected, because diverged runs must be dropped or
counted explicitly; a single value gives an estimate without an interval (`low` and `high` are NaN);
equal values give an interval of zero width.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tfphen.core.errors import UsageError
from tfphen.verdicts.estimate import Estimate, check_confidence

if TYPE_CHECKING:
    import numpy as np

    from tfphen.core.types import Floats, Values

__all__ = [
    "Estimate",
    "bootstrap",
    "geometric_ratio",
    "mean",
    "mean_if_defined",
    "median",
    "paired_difference",
    "proportion",
    "spearman",
    "variance_ratio",
]


def mean(values: "Values", statistic: str = "mean", confidence: float = 0.95) -> Estimate:
    """Returns the mean over runs with Student's t interval.

    Args:
        values: One number per run, `[n]`.
        statistic: Name of the statistic.
        confidence: Confidence level of the interval.
    """
    from scipy import special

    sample = _sample(values, "values")
    n = len(sample)
    check_confidence(confidence)
    if n == 1:
        return Estimate(statistic, sample[0], math.nan, math.nan, 1, confidence)
    if _all_equal(sample):  # Rounding in the mean would otherwise leave a width of 1e-17.
        return Estimate(statistic, sample[0], sample[0], sample[0], n, confidence, 0.0)
    center, spread = sample.mean(), sample.std(ddof=1)
    half = special.stdtrit(n - 1, (1 + confidence) / 2) * spread / math.sqrt(n)
    return Estimate(statistic, center, center - half, center + half, n, confidence, spread)


def paired_difference(
    a: "Values",
    b: "Values",
    statistic: str = "mean paired difference",
    confidence: float = 0.95,
) -> Estimate:
    """Returns the mean of `a - b` over pairs with Student's t interval.

    Args:
        a: One number per run, `[n]`.
        b: The partner of each run, in the same order, `[n]`.
        statistic: Name of the statistic.
        confidence: Confidence level of the interval.
    """
    first, second = _pair(a, b, "a", "b")
    return mean(first - second, statistic, confidence)


def mean_if_defined(
    values: "Values", statistic: str = "mean", confidence: float = 0.95
) -> Estimate:
    """Returns `mean`, or an estimate that is NaN where it is not defined for one of the runs.

    Examples are the time of an event that did not happen and a correlation with a constant. Runs
    without a value are not dropped, since that would select runs by their outcome.

    Args:
        values: One number per run, NaN or infinite where there is none, `[n]`.
        statistic: Name of the statistic.
        confidence: Confidence level of the interval.
    """
    values = [float(value) for value in values]
    if all(map(math.isfinite, values)):
        return mean(values, statistic, confidence)
    return Estimate(statistic, math.nan, math.nan, math.nan, len(values), confidence)


def geometric_ratio(
    a: "Values",
    b: "Values",
    statistic: str = "geometric mean ratio",
    confidence: float = 0.95,
) -> Estimate:
    """Returns the geometric mean of `a / b` over pairs, with Student's t interval of the logarithm.

    NaN, like `mean_if_defined`, where a quotient is not a positive number.

    Args:
        a: One positive number a run, `[n]`.
        b: The partner of each run, in the same order, `[n]`.
        statistic: Name of the statistic.
        confidence: Confidence level of the interval.
    """
    pairs = zip(a, b, strict=True)
    logs = [math.log(x / y) if x > 0 and y > 0 else math.nan for x, y in pairs]
    estimate = mean_if_defined(logs, statistic, confidence)
    return dataclasses.replace(
        estimate,
        value=math.exp(estimate.value),
        low=math.exp(estimate.low),
        high=math.exp(estimate.high),
        spread=None,
    )


def bootstrap(
    values: "Sequence[Any] | Floats",
    statistic_function: "Callable[[Floats], float]",
    generator: "np.random.Generator",
    name: str = "statistic",
    confidence: float = 0.95,
    resamples: int = 5000,
) -> Estimate:
    """Returns any statistic with a bootstrap interval (BCa) over the first axis of `values`.

    Where BCa is undefined, for instance when leaving out a unit never changes the statistic, the
    percentile interval is used; the estimate's name tells which. With fewer than about ten units
    bootstrap intervals are too short: prefer `mean` or `median` there.

    Args:
        values: One row a run, `[n, ...]`. Rows are resampled whole.
        statistic_function: Maps rows, `[m, ...]`, to a number. It is given as many rows as
            there are and, for BCa, one fewer.
        generator: Random generator of the resamples, see `tfphen.core.seeds.stream`.
        name: Name of the statistic.
        confidence: Confidence level of the interval.
        resamples: Number of resamples.
    """
    import numpy as np
    from scipy import stats

    rows = _sample(values, "values", dimensions=None)
    n = len(rows)
    check_confidence(confidence)
    value = float(statistic_function(rows))
    if n == 1:
        return Estimate(f"{name} (bootstrap)", value, math.nan, math.nan, 1, confidence)
    if _all_equal(rows):
        return Estimate(f"{name} (bootstrap)", value, value, value, n, confidence)

    def of_rows(index: "Floats") -> float:
        return float(statistic_function(rows[np.asarray(index).astype(np.intp)]))

    settings = {"confidence_level": confidence, "vectorized": False, "rng": generator}
    with warnings.catch_warnings():
        # SciPy warns where BCa is not defined; what happens then is the fallback below.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        percentile = stats.bootstrap(
            (np.arange(n),), of_rows, n_resamples=resamples, method="percentile", **settings
        )
        # No new resamples: the interval changes, not the draws.
        corrected = stats.bootstrap(
            (np.arange(n),),
            of_rows,
            n_resamples=0,
            bootstrap_result=percentile,
            method="BCa",
            **settings,
        )
    method, (low, high) = "BCa", corrected.confidence_interval
    if math.isnan(low) or math.isnan(high):
        method, (low, high) = "percentile", percentile.confidence_interval
    return Estimate(f"{name} (bootstrap, {method})", value, low, high, n, confidence)


def proportion(
    successes: int, n: int, statistic: str = "proportion", confidence: float = 0.95
) -> Estimate:
    """Returns `successes / n` with the exact interval of Clopper and Pearson.

    It is the only interval here that is defined for a single trial, and a wide one.

    Args:
        successes: Number of successes.
        n: Number of independent trials.
        statistic: Name of the statistic.
        confidence: Minimum coverage of the interval.

    Reference:
        Clopper and Pearson, 1934, Biometrika 26, 404-413.
    """
    from scipy import special

    check_confidence(confidence)
    if int(n) != n or int(successes) != successes or not (n >= 1 and 0 <= successes <= n):
        raise UsageError(
            "A proportion is of whole numbers, 0 <= successes <= n and n >= 1. "
            f"Received: successes={successes}, n={n}"
        )
    k, n = int(successes), int(n)
    tail = (1 - confidence) / 2
    low = special.betaincinv(k, n - k + 1, tail) if k > 0 else 0.0
    high = special.betaincinv(k + 1, n - k, 1 - tail) if k < n else 1.0
    return Estimate(statistic, k / n, low, high, n, confidence)


def variance_ratio(
    ratio: float, runs: int, statistic: str = "variance ratio", confidence: float = 0.95
) -> Estimate:
    """Returns the ratio of an observed variance to a known one, with a chi-square interval.

    If the runs are Gaussian, `(runs - 1) * ratio / true_ratio` has a chi-square distribution with
    `runs - 1` degrees of freedom.

    Args:
        ratio: Sample variance over runs (divided by `runs - 1`) over the expected variance.
        runs: Number of runs.
        statistic: Name of the statistic.
        confidence: Confidence level of the interval.
    """
    from scipy import special

    check_confidence(confidence)
    if not (math.isfinite(ratio) and ratio >= 0) or runs < 1 or int(runs) != runs:
        raise UsageError(
            "A variance ratio is finite and not negative, over at least one run. "
            f"Received: ratio={ratio}, runs={runs}"
        )
    if runs == 1:
        return Estimate(statistic, ratio, math.nan, math.nan, 1, confidence)
    tail = (1 - confidence) / 2
    scaled = (runs - 1) * ratio
    low = scaled / special.chdtri(runs - 1, tail)
    high = scaled / special.chdtri(runs - 1, 1 - tail)
    return Estimate(statistic, ratio, low, high, runs, confidence)


def median(values: "Values", statistic: str = "median", confidence: float = 0.95) -> Estimate:
    """Returns the median with the exact interval between two order statistics (sign test).

    The coverage is at least `confidence` for any continuous distribution. Fewer than six values
    cannot give 95%, not even from the smallest to the largest: then there is no interval.

    Args:
        values: One number per run, `[n]`.
        statistic: Name of the statistic.
        confidence: Confidence level of the interval.
    """
    import numpy as np
    from scipy import special

    sample = np.sort(_sample(values, "values"))
    n = len(sample)
    check_confidence(confidence)
    value = float(np.median(sample))
    if n == 1:
        return Estimate(statistic, value, math.nan, math.nan, 1, confidence)
    spread = sample.std(ddof=1)
    if _all_equal(sample):
        return Estimate(statistic, value, value, value, n, confidence, 0.0)
    # The interval from the k-th smallest to the k-th largest misses the median with probability
    # 2 P(at most k - 1 of n coin flips are heads).
    covers = [2 * special.bdtr(k - 1, n, 0.5) <= 1 - confidence for k in range(1, n // 2 + 1)]
    k = sum(covers)
    low, high = (sample[k - 1], sample[n - k]) if k else (math.nan, math.nan)
    return Estimate(statistic, value, low, high, n, confidence, spread)


def spearman(
    x: "Values",
    y: "Values",
    statistic: str = "Spearman correlation",
    confidence: float = 0.95,
) -> Estimate:
    """Returns Spearman's rank correlation with the interval of Bonett and Wright.

    The interval is Fisher's, with standard error `sqrt((1 + r**2 / 2) / (n - 3))`, and needs four
    points. A perfect correlation in a small sample does not prove a perfect one, so the standard
    error and the center are taken half a step of the rank scale below 1. If `x` or `y` is
    constant, value and interval are NaN.

    Args:
        x: `[n]`.
        y: The partner of each entry of `x`, `[n]`.
        statistic: Name of the statistic.
        confidence: Confidence level of the interval.

    Reference:
        Bonett and Wright, 2000, Psychometrika 65, 23-28.
    """
    import numpy as np
    from scipy import special, stats

    first, second = _pair(x, y, "x", "y")
    n = len(first)
    check_confidence(confidence)
    if _all_equal(first) or _all_equal(second):
        return Estimate(statistic, math.nan, math.nan, math.nan, n, confidence)
    ranks = stats.rankdata(first), stats.rankdata(second)
    value = float(np.clip(np.corrcoef(*ranks)[0, 1], -1, 1))
    if n < 4:
        return Estimate(statistic, value, math.nan, math.nan, n, confidence)
    limit = 1 - 6 / (n * (n**2 - 1))
    center = min(max(value, -limit), limit)
    half = special.ndtri((1 + confidence) / 2) * math.sqrt((1 + center**2 / 2) / (n - 3))
    low = min(math.tanh(math.atanh(center) - half), value)
    high = max(math.tanh(math.atanh(center) + half), value)
    return Estimate(statistic, value, low, high, n, confidence)


def _sample(values: "Sequence[Any] | Floats", name: str, dimensions: int | None = 1) -> "Floats":
    import numpy as np

    try:
        sample = np.asarray(values)
        if sample.dtype.kind not in "biufO":
            raise TypeError(f"dtype {sample.dtype}")
        sample = sample.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`{name}` holds numbers only ({error}). Received: {values!r}") from error
    if sample.ndim == 0 or len(sample) == 0 or dimensions not in (None, sample.ndim):
        raise UsageError(
            f"`{name}` holds at least one entry a run. Received: an array of shape {sample.shape}"
        )
    finite = np.isfinite(sample).reshape(len(sample), -1).all(axis=1)
    if not finite.all():
        raise UsageError(
            f"`{name}` must be finite: drop the runs that diverged, or count them, before. "
            f"Received: {(~finite).sum()} of {len(sample)} not finite, at positions "
            f"{np.flatnonzero(~finite)[:10].tolist()}"
        )
    return sample


def _pair(a: "Values", b: "Values", name_a: str, name_b: str) -> tuple["Floats", "Floats"]:
    first, second = _sample(a, name_a), _sample(b, name_b)
    if len(first) != len(second):
        raise UsageError(
            f"`{name_a}` and `{name_b}` hold pairs. Received: {len(first)} and {len(second)} values"
        )
    return first, second


def _all_equal(sample: "Floats") -> bool:
    return bool((sample == sample[0]).all())
