"""Settings of adversarial attacks, as constants of trials."""

import dataclasses

from tfphen.core import checks
from tfphen.core.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Attack:
    """Settings of the attacks on trained networks, carried by trials as constants.

    Args:
        steps: Of the minimum-norm attack in l2 (DDN); 0 to skip it.
        l2_sizes, linf_sizes: Radii of projected gradient descent (PGD); empty to skip it.
        ascent_steps: Steps of PGD.
        step_share: Step size of PGD, as a share of the radius.
        random_start: Whether PGD starts from a random point of the ball.
        box: Minimum and maximum of an input, or empty for no limits.
        examples: Number of attacked test examples; None for all.
        shifts: Rounds of random circular shifts for the consistency; 0 to skip it.
        max_shift: Maximum shift along each axis; None for all shifts.
    """

    steps: int = 300
    l2_sizes: tuple[float, ...] = ()
    linf_sizes: tuple[float, ...] = ()
    ascent_steps: int = 40
    step_share: float = 0.1
    random_start: bool = False
    box: tuple[float, ...] = ()
    examples: int | None = None
    shifts: int = 0
    max_shift: int | None = None

    def __post_init__(self):
        checks.whole("steps", self.steps, 0)
        checks.whole("shifts", self.shifts, 0)
        checks.wholes(ascent_steps=self.ascent_steps)
        checks.positive("step_share", self.step_share)
        if self.box and not (len(self.box) == 2 and self.box[0] < self.box[1]):
            raise UsageError(
                f"`box` holds the minimum and the maximum, in order. Received: box={self.box}"
            )

    def constants(self) -> dict:
        """Returns the settings as constants of a trial."""
        constants = {"distance_steps": self.steps} if self.steps else {}
        for norm, sizes in (("l2", self.l2_sizes), ("linf", self.linf_sizes)):
            constants |= {f"{norm}_sizes": sizes} if sizes else {}
        if self.l2_sizes or self.linf_sizes:
            constants |= {"ascent_steps": self.ascent_steps, "step_share": self.step_share}
            constants |= {"random_start": 1} if self.random_start else {}
        if self.box:
            constants |= {"low": self.box[0], "high": self.box[1]}
        if self.examples is not None:
            constants["examples"] = self.examples
        if self.shifts:
            constants["shifts"] = self.shifts
            constants |= {} if self.max_shift is None else {"max_shift": self.max_shift}
        return constants

    def measures(self) -> tuple[str, ...]:
        """Returns the names of the measures."""
        names = ["test_error"]
        names += ["distances"] if self.steps else []
        names += ["robust_l2"] if self.l2_sizes else []
        names += ["robust_linf"] if self.linf_sizes else []
        return (*names, *(["consistency"] if self.shifts else []))
