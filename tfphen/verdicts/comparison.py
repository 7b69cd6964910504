"""Verdicts on published numbers. SciPy is imported when first needed."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import finite_or_none
from tfphen.verdicts.published import Number

REPRODUCED = "reproduced"
DIRECTION_ONLY = "direction only"
CONTRADICTED = "contradicted"
INCONCLUSIVE = "inconclusive"
NOT_COMPARABLE = "not comparable"
NOT_RUN = "not run"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A published number and our estimate of it.

    Args:
        number: The published number.
        verdict: One of `"reproduced"`, `"direction only"`, `"contradicted"`, `"inconclusive"`,
            `"not comparable"` and `"not run"`.
        reason: The reason for the verdict, in words.
        estimate: Our estimate; None if it was not run.
        difference: Confidence interval of our estimate minus the published value, where computed.
    """

    number: Number
    verdict: str
    reason: str
    estimate: Estimate | None = None
    difference: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the comparison as JSON data. `value` is None where a bound was published."""
        number, ours = self.number, self.estimate
        return {
            "id": number.id,
            "experiment": number.experiment,
            "dataset": number.dataset,
            "model": number.model,
            "metric": number.metric,
            "value": number.value,
            "spread": number.spread,
            "n": number.n,
            "reproduced": finite_or_none(ours.value) if ours else None,
            "ci_low": finite_or_none(ours.low) if ours else None,
            "ci_high": finite_or_none(ours.high) if ours else None,
            "verdict": self.verdict,
            "source": number.source,
            "provenance": number.provenance,
            "reason": self.reason,
            "setting": {
                name: list(value) if isinstance(value, (list, tuple)) else value
                for name, value in number.setting.items()
            },
        }


def compare(
    number: Number,
    estimate: Estimate | None,
    baseline: Estimate | None = None,
    differs: Sequence[str] = (),
    resolution: float | None = None,
) -> Comparison:
    """Returns the verdict on a published number.

    The first rule that applies decides:

    1. No estimate: `not run`. Then `not comparable` if the number is recalled from memory, or our
       run differs from its own `paper` protocol in `differs`.
    2. No interval on our side, or no spread where one is needed: `inconclusive`.
    3. A bound was published: `reproduced` if our interval lies within it, off if it lies outside,
       else `inconclusive`.
    4. A value was published: the interval of ours minus the published value contains 0 and is at
       most `resolution` wide: `reproduced`. Contains 0 and is wider: `inconclusive`, since it could
       not have told a difference that matters. Does not contain 0: off.
    5. Off, and no published baseline: `contradicted`. With one, the interval of ours minus our own
       baseline decides: the published direction gives `direction only`, the opposite one
       `contradicted`, and `inconclusive` if it contains 0 or our baseline is missing.

    The interval of 4 is Welch's if the published spread and number of runs are known, the standard
    error of ours being half our interval over Student's quantile. If only the number of runs is
    known, the spread is taken to be ours. If the published value comes from one run, or from an
    unknown number, it is a prediction interval: one run deviates by the larger of the known
    spreads. That of 5 is Welch's, which errs to the wide side where runs are paired by seed.

    Args:
        number: The published number.
        estimate: Our estimate over seeds, with `spread` the standard deviation between runs.
        baseline: Our estimate of `number.baseline`.
        differs: Settings in which our run deviates from the experiment in ways that could matter.
        resolution: Width of the widest interval that can show agreement. By default half of the
            published effect `|value - baseline|`, and without a baseline a tenth of `|value|`.
    """
    differs = (differs,) if isinstance(differs, str) else tuple(differs)
    if estimate is None:
        return Comparison(number, NOT_RUN, "The experiment has not been run.")

    def verdict(
        which: str, reason: str, difference: tuple[float, float] | None = None
    ) -> Comparison:
        return Comparison(number, which, reason + _caveats(number), estimate, difference)

    if number.provenance == "recalled":
        return verdict(NOT_COMPARABLE, "The published number is recalled from memory, not read.")
    if differs:
        return verdict(NOT_COMPARABLE, f"Our run differs in: {', '.join(differs)}.")
    if not estimate.has_interval or estimate.n < 2:
        return verdict(INCONCLUSIVE, f"Ours has no interval (n = {estimate.n}).")
    if number.value is None:
        least = -math.inf if number.lower is None else number.lower
        greatest = math.inf if number.upper is None else number.upper
        reason = f"Published: {number.statement}; ours: {_interval(estimate.low, estimate.high)}."
        if least <= estimate.low and estimate.high <= greatest:
            return verdict(REPRODUCED, reason)
        if least <= estimate.high and estimate.low <= greatest:
            return verdict(INCONCLUSIVE, reason)
        return verdict(*_off(number, estimate, baseline, reason))

    deviation, how = _published_deviation(number, estimate)
    if deviation is None:
        return verdict(INCONCLUSIVE, how)
    low, high = _difference(estimate, number.value, *deviation)
    if resolution is None:
        effect = 0.0 if number.baseline is None else abs(number.value - number.baseline)
        resolution = effect / 2 or abs(number.value) / 10
    reason = (
        f"Ours minus published: {_interval(low, high)} at {estimate.confidence:.3g} confidence, "
        f"to be at most {resolution:.4g} wide; {how}."
    )
    # Two deterministic numbers agree if they differ by no more than rounding.
    rounding = 1e-9 * max(abs(number.value), abs(estimate.value))
    if low - rounding <= 0 <= high + rounding:
        agrees = high - low <= resolution
        return verdict(REPRODUCED if agrees else INCONCLUSIVE, reason, (low, high))
    return verdict(*_off(number, estimate, baseline, reason), (low, high))


def _published_deviation(
    number: Number, estimate: Estimate
) -> tuple[tuple[float, int | None] | None, str]:
    """Returns standard error and degrees of freedom (None: ours), and how they were obtained."""
    if number.n is not None and number.n > 1:
        if number.spread is not None:
            return (number.spread / math.sqrt(number.n), number.n - 1), "Welch's interval"
        if estimate.spread is not None:
            error = estimate.spread / math.sqrt(number.n)
            return (error, None), "the published spread is unknown and taken to be ours"
    else:
        runs = "a single run" if number.n == 1 else "an unknown number of runs"
        spreads = [known for known in (number.spread, estimate.spread) if known is not None]
        if spreads:
            how = f"widened, since {runs} was published, by the spread of one, {max(spreads):.4g}"
            return (max(spreads), None), how
    return None, "No spread from run to run is known, neither the published one nor ours."


def _off(
    number: Number, estimate: Estimate, baseline: Estimate | None, reason: str
) -> tuple[str, str]:
    """Returns verdict and reason for a published value that our estimate disagrees with."""
    if number.value is not None:
        published = number.value
    else:
        bounds = [bound for bound in (number.lower, number.upper) if bound is not None]
        published = sum(bounds) / len(bounds)
    if number.baseline is None or published == number.baseline:
        return CONTRADICTED, f"{reason} No direction was published."
    if baseline is None or not baseline.has_interval or baseline.n < 2:
        return INCONCLUSIVE, f"{reason} The direction is open: our baseline has no interval."
    low, high = _difference(
        estimate, baseline.value, _standard_error(baseline), degrees=baseline.n - 1
    )
    reason = f"{reason} Ours minus our baseline: {_interval(low, high)}."
    if low <= 0 <= high:
        return INCONCLUSIVE, reason
    same = (low > 0) == (published > number.baseline)
    return (DIRECTION_ONLY if same else CONTRADICTED), reason


def _standard_error(estimate: Estimate) -> float:
    from scipy import special

    quantile = special.stdtrit(estimate.n - 1, (1 + estimate.confidence) / 2)
    return (estimate.high - estimate.low) / 2 / quantile


def _difference(
    estimate: Estimate, other: float, error: float, degrees: int | None
) -> tuple[float, float]:
    """Returns the interval of `estimate` minus a number with a standard error (Welch)."""
    from scipy import special

    ours, own = _standard_error(estimate) ** 2, estimate.n - 1
    theirs = error**2
    if degrees is None or theirs == 0:
        freedom = float(own)
    else:
        freedom = (ours + theirs) ** 2 / (ours**2 / own + theirs**2 / degrees)
    half = special.stdtrit(freedom, (1 + estimate.confidence) / 2) * math.sqrt(ours + theirs)
    center = estimate.value - other
    return float(center - half), float(center + half)


def _interval(low: float, high: float) -> str:
    return f"[{low:.4g}, {high:.4g}]"


def _caveats(number: Number) -> str:
    known = f" Known differences: {'; '.join(number.differs)}." if number.differs else ""
    return known + (f" Not published: {'; '.join(number.unknown)}." if number.unknown else "")
