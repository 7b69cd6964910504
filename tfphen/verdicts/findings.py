"""Findings: signatures of a phenomenon, their negative controls, and the overall verdict.

Imports nothing heavy.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar

from tfphen.core.errors import UsageError
from tfphen.verdicts.estimate import Estimate

PRESENT = "present"
ABSENT = "absent"
INCONCLUSIVE = "inconclusive"


@dataclasses.dataclass(frozen=True)
class Signature:
    """A criterion on an estimate that is met where the phenomenon is present.

    Exactly one of `above`, `below` and `within` defines the criterion.

    Args:
        id: Name of the finding, unique in its phenomenon: `"<arm>/<statistic>"`, such as
            `"noisy/error_peak"`.
        estimate: The statistic with its interval.
        above: The statistic is greater than this.
        below: The statistic is less than this.
        within: The statistic lies in this closed interval, a pair.
        description: The finding in one sentence.
        note: Caveats for the reader.

    Raises:
        UsageError: If not exactly one threshold is given, or it is not a number.
    """

    role: ClassVar[str] = "signature"

    id: str
    estimate: Estimate
    above: float | None = None
    below: float | None = None
    within: tuple[float, float] | None = None
    description: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.id, str) and self.id.strip()):
            raise UsageError(f"A finding has an id. Received: id={self.id!r}")
        if not isinstance(self.estimate, Estimate):
            raise UsageError(
                f"Finding {self.id!r} needs a `tfphen.verdicts.stats.Estimate`: a verdict rests on "
                f"an interval. Received: estimate={self.estimate!r}"
            )
        given = {
            name: limit
            for name in ("above", "below", "within")
            if (limit := getattr(self, name)) is not None
        }
        if len(given) != 1:
            raise UsageError(
                f"Finding {self.id!r} has exactly one of `above`, `below` and `within`. "
                f"Received: {given or 'none of them'}"
            )
        if self.within is not None:
            limits: tuple[float, ...] = tuple(float(limit) for limit in self.within)
            if len(limits) != 2 or not limits[0] < limits[1]:
                raise UsageError(
                    f"`within` of finding {self.id!r} is a pair, the smaller number first. "
                    f"Received: within={self.within}"
                )
            object.__setattr__(self, "within", limits)
        else:
            ((name, limit),) = given.items()
            limits = (float(limit),)
            object.__setattr__(self, name, limits[0])
        if not all(math.isfinite(limit) for limit in limits):
            raise UsageError(f"The threshold of finding {self.id!r} is finite. Received: {given}")

    @property
    def threshold(self) -> str:
        """The criterion in words, such as `"> 0.1"` or `"in [0.8, 1.2]"`."""
        if self.within is not None:
            return f"in [{self.within[0]:.12g}, {self.within[1]:.12g}]"
        if self.above is not None:
            return f"> {self.above:.12g}"
        return f"< {self.below:.12g}"

    @property
    def verdict(self) -> str:
        """`"present"`, `"absent"` or `"inconclusive"`, from the interval alone.

        Present if the criterion is met throughout the interval, absent if it is met nowhere in it.
        Without an interval (NaN, or a single run) inconclusive.
        """
        low, high = self.estimate.low, self.estimate.high
        if not self.estimate.has_interval:
            return INCONCLUSIVE
        if self.above is not None:
            holds, fails = low > self.above, high <= self.above
        elif self.within is not None:
            least, greatest = self.within
            holds, fails = least <= low and high <= greatest, high < least or low > greatest
        else:
            assert self.below is not None, "exactly one of the three is given"
            holds, fails = high < self.below, low >= self.below
        return PRESENT if holds else ABSENT if fails else INCONCLUSIVE

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as JSON data. A number that is not finite becomes None."""
        estimate = self.estimate
        finding = {
            "id": self.id,
            "role": self.role,
            "statistic": estimate.statistic,
            "estimate": finite_or_none(estimate.value),
            "ci_low": finite_or_none(estimate.low),
            "ci_high": finite_or_none(estimate.high),
            "n": estimate.n,
            "threshold": self.threshold,
            "verdict": self.verdict,
        }
        texts = {"description": self.description, "note": self.note}
        return finding | {name: text for name, text in texts.items() if text}


class Control(Signature):
    """A negative control: the same criterion where it must not be met. Expected verdict: absent."""

    role: ClassVar[str] = "control"


def overall(findings: Iterable[Signature]) -> str:
    """Returns the verdict on a phenomenon from those on its signatures and controls.

    The first rule that applies decides:

    1. A control is present: `"inconclusive"`. A test that fires on its negative control is not
       informative, whichever way it comes out.
    2. A signature is absent: `"absent"`. The published claim is all of its signatures. A control
       that is inconclusive does not matter here, since it guards against false positives only.
    3. Every signature is present and every control is absent: `"present"`.
    4. Otherwise `"inconclusive"`.

    Raises:
        UsageError: If there is no signature, no control, or one id twice.
    """
    findings = list(findings)
    ids = [finding.id for finding in findings]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise UsageError(f"The id of a finding is unique in its phenomenon. Received: {repeated}")
    verdicts = {
        role: [finding.verdict for finding in findings if finding.role == role]
        for role in (Signature.role, Control.role)
    }
    signatures, controls = verdicts.values()
    if not signatures or not controls:
        raise UsageError(
            "Every signature has a negative control, so a phenomenon has at least one of each. "
            f"Received: {len(signatures)} signatures, {len(controls)} controls"
        )
    if PRESENT in controls:
        return INCONCLUSIVE
    if ABSENT in signatures:
        return ABSENT
    if set(signatures) == {PRESENT} and set(controls) == {ABSENT}:
        return PRESENT
    return INCONCLUSIVE


def finite_or_none(number: float | None) -> float | None:
    """Returns `number`, or None where JSON cannot represent it."""
    return number if number is not None and math.isfinite(number) else None
