"""The one-cycle schedule: one rise and one fall of the learning rate."""

from typing import Any

import keras

import tfphen.optimizers.schedule_factors as schedule_factors
from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.optimizers.warmup_schedule import WarmupSchedule


@keras.saving.register_keras_serializable(package="tfphen")
class OneCycle(WarmupSchedule):
    """One cycle of the learning rate as PyTorch defines it: up, then down to almost nothing.

    With T steps, share p, divisors D and F, and c(x) = (1 - cos πx) / 2 (or c(x) = x):

        r(t) = r (1/D + (1 - 1/D) c(t / (pT - 1)))                        up to t = pT - 1
        r(t) = r (1 + (1/(DF) - 1) c((t - pT + 1) / (T - pT)))            up to t = T - 1

    The paper's cycle rises and falls linearly and has a third part, in which the rate is brought
    down further; PyTorch's default, and this, has two. Momentum is not changed; PyTorch cycles it
    too, unless `cycle_momentum=False`.

    Args:
        learning_rate: r, the highest rate.
        length: T, of the whole training in steps, or in epochs where `steps_per_epoch` is given.
            The rate stays at its last value afterwards.
        rise: p, the share of the training in which the rate rises, in (0, 1).
        initial_divisor: D: the first rate is r / D.
        final_divisor: F: the last rate is r / (D F).
        anneal: `"cosine"` or `"linear"`.
        steps_per_epoch: Updates per epoch. None takes `length` in steps.
        name: Name of the schedule.

    Call arguments:
        step: Number of updates so far, an integer, or a scalar tensor.

    Returns:
        When called, the learning rate, a scalar.

    Raises:
        ValueError: A setting out of range, or a training too short for a rise.

    Example:

    >>> schedule = OneCycle(1.0, length=100)
    >>> [round(float(schedule(step)), 4) for step in (0, 29, 99)]
    [0.04, 1.0, 0.0]

    When not to use:
        Where the length of the training may change: a longer one needs another schedule from its
        first step on. To compare numbers of epochs within one training.

    Migration:
        `torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=r, total_steps=T, pct_start=p,
        div_factor=D, final_div_factor=F, cycle_momentum=False)`, stepped after every batch, is
        `OneCycle(r, T, p, D, F)`; `anneal_strategy="linear"` is `anneal="linear"`.

    Reference:
        L. Smith, N. Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
        Learning Rates", 2017, arXiv 1708.07120.
    """

    def __init__(
        self,
        learning_rate: float,
        length: float,
        rise: float = 0.3,
        initial_divisor: float = 25.0,
        final_divisor: float = 1e4,
        anneal: str = "cosine",
        steps_per_epoch: int | None = None,
        name: str = "OneCycle",
    ) -> None:
        super().__init__(
            learning_rate,
            0,
            None,
            steps_per_epoch,
            False,
            name,
            length=checks.number("length", length, 0, low_open=True),
            rise=checks.number("rise", rise, 0, 1, low_open=True, high_open=True),
            initial_divisor=checks.number("initial_divisor", initial_divisor, 1),
            final_divisor=checks.number("final_divisor", final_divisor, 1),
            anneal=checks.one_of("anneal", anneal, ("cosine", "linear")),
        )
        if not self.rise * self.in_steps(self.length) > 1:
            raise ValueError(
                "`length` times `rise` must be more than one step. "
                f"Received: length={self.in_steps(self.length):g} steps, rise={self.rise}"
            )

    def factor(self, step: TensorLike) -> Tensor:
        return schedule_factors.one_cycle(
            step,
            self.in_steps(self.length),
            self.rise,
            self.initial_divisor,
            self.final_divisor,
            self.anneal,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for key in ("warmup", "warmup_start", "per_epoch"):
            del config[key]
        return config
