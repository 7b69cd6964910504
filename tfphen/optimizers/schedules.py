"""Keras learning-rate schedules in steps or epochs, with warm-up.

The formulas are in `schedule_factors`, which populations use too. Rates are functions of the number
of updates done so far, float32 and so exact up to 16 million updates.
"""

import itertools
from collections.abc import Sequence

import keras
import numpy as np

import tfphen.optimizers.schedule_factors as schedule_factors
from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.optimizers.warmup_schedule import WarmupSchedule


def _checked_numbers(name: str, values: Sequence[float]) -> list[float]:
    """Returns numbers of at least 0 as a list, or raises ValueError."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise ValueError(f"`{name}` must be a list of numbers. Received: {name}={values!r}")
    return [checks.number(name, value, 0) for value in values]


@keras.saving.register_keras_serializable(package="tfphen")
class StepDecay(WarmupSchedule):
    """A linear warm-up, then a piecewise-constant rate.

        r(t) = learning_rate · warm-up(t) · factors[i],   boundaries[i] <= t < boundaries[i + 1]

    Args:
        learning_rate: The rate before the first boundary.
        boundaries: Steps at which the rate changes, increasing, counted from the start of the
            training, in steps, or in epochs where `steps_per_epoch` is given.
        factors: One multiplier of `learning_rate` (not of the previous rate) from each boundary on.
        warmup: Length of the warm-up in the same unit, 0 for none.
        warmup_start: None: the first of L warm-up steps has 1 / L of the rate, the last all of it.
            A number: the first has this factor, and the first after the warm-up all of it.
        steps_per_epoch: Updates per epoch. None takes all lengths in steps.
        per_epoch: Whether the rate changes only when an epoch begins, as in training scripts that
            set it once per epoch. A warm-up of L epochs then has factors 1 / L, 2 / L, …, 1.
        name: Name of the schedule.

    Call arguments:
        step: Number of updates so far, an integer, or a scalar tensor.

    Returns:
        When called, the learning rate, a scalar.

    Raises:
        ValueError: A setting out of range; boundaries that do not increase; not one factor for
            each; `per_epoch` without `steps_per_epoch`.

    Example:

    >>> schedule = StepDecay(  # of LDAM: rate 0.1 e / 5, then drops after 160 and 180 epochs
    ...     0.1, [160, 180], [0.01, 0.0001], warmup=5, steps_per_epoch=110, per_epoch=True
    ... )
    >>> [round(float(schedule(110 * epoch)), 8) for epoch in (0, 4, 159, 160, 180)]
    [0.02, 0.1, 0.1, 0.001, 1e-05]

    When not to use:
        Where the drop should wait for a plateau: use `keras.callbacks.ReduceLROnPlateau`.

    Migration:
        `torch.optim.lr_scheduler.MultiStepLR(milestones=b, gamma=g)`, stepped once an epoch, is
        `StepDecay(r, b, [g, g**2, …], steps_per_epoch=…)`.
        `keras.optimizers.schedules.PiecewiseConstantDecay` has rates in place of factors, knows
        no epochs, and changes one step later: it keeps the old rate at a boundary.

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413, and its published code (the example).
    """

    def __init__(
        self,
        learning_rate: float,
        boundaries: Sequence[float],
        factors: Sequence[float],
        warmup: float = 0,
        warmup_start: float | None = None,
        steps_per_epoch: int | None = None,
        per_epoch: bool = False,
        name: str = "StepDecay",
    ) -> None:
        boundaries = _checked_numbers("boundaries", boundaries)
        factors = _checked_numbers("factors", factors)
        if len(boundaries) != len(factors):
            raise ValueError(
                "`factors` has one entry for each of `boundaries`. "
                f"Received: boundaries={boundaries}, factors={factors}"
            )
        if any(b <= a for a, b in itertools.pairwise(boundaries)):
            raise ValueError(f"`boundaries` must increase. Received: boundaries={boundaries}")
        super().__init__(
            learning_rate,
            warmup,
            warmup_start,
            steps_per_epoch,
            per_epoch,
            name,
            boundaries=boundaries,
            factors=factors,
        )

    def factor(self, step: TensorLike) -> Tensor:
        boundaries = [self.in_steps(boundary) for boundary in self.boundaries]
        return schedule_factors.piecewise(step, boundaries, self.factors)


@keras.saving.register_keras_serializable(package="tfphen")
class LinearDecay(WarmupSchedule):
    """A linear warm-up, then linear decay.

        r(t) = learning_rate · (1 - (1 - f) (t - W) / (T - W))   after the warm-up W

    Args:
        learning_rate: The peak rate.
        length: T, of the whole training, warm-up included, in steps, or in epochs where
            `steps_per_epoch` is given. The rate stays at its last value afterwards.
        final_factor: f, the factor at the end, in [0, 1].
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
        ValueError: A setting out of range, or a warm-up as long as the training.

    Example:

    >>> schedule = LinearDecay(0.5, 10, warmup=2, warmup_start=1e-4, steps_per_epoch=100)
    >>> [round(float(schedule(step)), 5) for step in (0, 200, 600, 1000)]
    [5e-05, 0.5, 0.25, 0.0]

    When not to use:
        Where the length of the training is not known in advance.

    Migration:
        `keras.optimizers.schedules.PolynomialDecay(r, T)` with power 1 and `end_learning_rate=0`
        is this without a warm-up.

    Reference:
        K. Jordan, "On the Variance of Neural Network Training with respect to Test Sets and
        Distributions", ICLR 2024, arXiv 2304.01910 (the example's shape).
    """

    _shape = staticmethod(schedule_factors.linear)

    def __init__(
        self,
        learning_rate: float,
        length: float,
        final_factor: float = 0.0,
        warmup: float = 0,
        warmup_start: float | None = None,
        steps_per_epoch: int | None = None,
        per_epoch: bool = False,
        name: str = "LinearDecay",
    ) -> None:
        super().__init__(
            learning_rate,
            warmup,
            warmup_start,
            steps_per_epoch,
            per_epoch,
            name,
            length=checks.number("length", length, 0, low_open=True),
            final_factor=checks.number("final_factor", final_factor, 0, 1),
        )
        if not self.warmup < self.length:
            raise ValueError(
                "`length` is that of the whole training, so `warmup` is shorter. "
                f"Received: length={self.length}, warmup={self.warmup}"
            )

    def factor(self, step: TensorLike) -> Tensor:
        length, warmup = self.in_steps(self.length), self.in_steps(self.warmup)
        return self._shape(step, length, warmup, self.final_factor)


@keras.saving.register_keras_serializable(package="tfphen")
class CosineDecay(LinearDecay):
    """A linear warm-up, then cosine decay.

        r(t) = learning_rate · (f + (1 - f) (1 + cos(π (t - W) / (T - W))) / 2)

    Args:
        learning_rate: The peak rate.
        length: T, as in `LinearDecay`.
        final_factor: f, the factor at the end, in [0, 1].
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
        ValueError: A setting out of range, or a warm-up as long as the training.

    Example:

    >>> schedule = CosineDecay(0.1, 100, warmup=20)
    >>> [round(float(schedule(step)), 4) for step in (0, 19, 20, 60, 100)]
    [0.005, 0.1, 0.1, 0.05, 0.0]

    When not to use:
        Where the length of the training is not known in advance.

    Migration:
        `torch.optim.lr_scheduler.CosineAnnealingLR(T_max=T)`, stepped once an epoch, is
        `CosineDecay(r, T, steps_per_epoch=…, per_epoch=True)` up to its end; PyTorch's goes up
        again after it. `keras.optimizers.schedules.CosineDecay(r0, T - W, alpha, warmup_target=r,
        warmup_steps=W)` is this with `warmup_start=r0 / r` and `final_factor=alpha`.

    Reference:
        I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR
        2017, arXiv 1608.03983, equation 5.
    """

    _shape = staticmethod(schedule_factors.cosine)

    def __init__(
        self,
        learning_rate: float,
        length: float,
        final_factor: float = 0.0,
        warmup: float = 0,
        warmup_start: float | None = None,
        steps_per_epoch: int | None = None,
        per_epoch: bool = False,
        name: str = "CosineDecay",
    ) -> None:
        super().__init__(
            learning_rate,
            length,
            final_factor,
            warmup,
            warmup_start,
            steps_per_epoch,
            per_epoch,
            name,
        )
