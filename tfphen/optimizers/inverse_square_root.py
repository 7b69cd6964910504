"""Inverse-square-root decay, for training without a fixed end."""

import keras

import tfphen.optimizers.schedule_factors as schedule_factors
from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.optimizers.warmup_schedule import WarmupSchedule


@keras.saving.register_keras_serializable(package="tfphen")
class InverseSquareRootDecay(WarmupSchedule):
    """A linear warm-up, then inverse-square-root decay.

        r(t) = learning_rate / sqrt(1 + (t - W) / P)   after the warm-up W

    Args:
        learning_rate: The peak rate.
        period: P, above 0, in steps, or in epochs where `steps_per_epoch` is given.
        staircase: Whether (t - W) / P is rounded down, so that the rate is constant within a
            period.
        warmup: W, in the same unit, 0 for none.
        warmup_start: As in `StepDecay`.
        steps_per_epoch: As in `StepDecay`.
        per_epoch: As in `StepDecay`.
        name: Name of the schedule.

    Call arguments:
        step: Number of updates so far, an integer, or a scalar tensor.

    Returns:
        When called, the learning rate, a scalar.

    Raises:
        ValueError: A setting out of range.

    Example:

    >>> schedule = InverseSquareRootDecay(0.1)  # that of deep double descent
    >>> [round(float(schedule(step)), 4) for step in (0, 511, 512, 1536)]
    [0.1, 0.1, 0.0707, 0.05]

    When not to use:
        Where the length of the training is known: a schedule that ends at 0 gives a better last
        model.

    Migration:
        The schedule of "Attention Is All You Need" with `warmup_steps` W and width d is
        `InverseSquareRootDecay((d * W) ** -0.5, period=W, staircase=False, warmup=W)`, except that
        the factor after the warm-up is that of the step before.

    Reference:
        P. Nakkiran et al., "Deep Double Descent", ICLR 2020, arXiv 1912.02292; A. Vaswani et al.,
        "Attention Is All You Need", NeurIPS 2017, arXiv 1706.03762, equation 3.
    """

    def __init__(
        self,
        learning_rate: float,
        period: float = 512,
        staircase: bool = True,
        warmup: float = 0,
        warmup_start: float | None = None,
        steps_per_epoch: int | None = None,
        per_epoch: bool = False,
        name: str = "InverseSquareRootDecay",
    ) -> None:
        super().__init__(
            learning_rate,
            warmup,
            warmup_start,
            steps_per_epoch,
            per_epoch,
            name,
            period=checks.number("period", period, 0, low_open=True),
            staircase=bool(staircase),
        )

    def factor(self, step: TensorLike) -> Tensor:
        period, warmup = self.in_steps(self.period), self.in_steps(self.warmup)
        return schedule_factors.inverse_square_root(step, period, warmup, self.staircase)
