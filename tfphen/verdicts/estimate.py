"""Statistics with confidence intervals, on which every verdict rests. Imports nothing heavy."""

import dataclasses
import math

from tfphen.core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A statistic with its confidence interval.

    Args:
        statistic: Description of the statistic.
        value: The point estimate; NaN if undefined.
        low: Lower end of the interval; NaN if there is none.
        high: Upper end of the interval; NaN if there is none.
        n: Number of independent units (runs or pairs of runs).
        confidence: Confidence level of the interval.
        spread: Standard deviation between runs, in the units of `value`; None if unknown.
    """

    statistic: str
    value: float
    low: float
    high: float
    n: int
    confidence: float = 0.95
    spread: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "n", int(self.n))
        if self.spread is not None:
            object.__setattr__(self, "spread", float(self.spread))
        check_confidence(self.confidence)
        if self.low > self.high:
            raise UsageError(
                "An interval starts at its lower end. "
                f"Received: low={self.low}, high={self.high} for {self.statistic!r}"
            )

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval that can support a verdict.

        A single unit with an interval of zero width is a point, not an interval.
        """
        known = not any(math.isnan(x) for x in (self.value, self.low, self.high))
        return known and (self.n >= 2 or self.low < self.high)


def check_confidence(confidence: float) -> None:
    """Raises `UsageError` unless `confidence` is a probability strictly between 0 and 1."""
    if not 0 < confidence < 1:
        raise UsageError(f"`confidence` lies between 0 and 1. Received: confidence={confidence}")
