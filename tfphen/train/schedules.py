"""Learning-rate schedules of trials: factors on the optimizer's own rate, as functions of the step.

Each takes `step`, the number of updates done so far, and `total`, the length of the training in
steps, float32 tensors that broadcast, and returns the factor. Members of one population may differ
in length, so settings are fractions of it. The formulas are those of
`tfphen.optimizers.schedule_factors`, which the Keras schedules of `tfphen.optimizers` use too.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf
from keras import ops

from tfphen.optimizers import schedule_factors


def _warm(
    step: tf.Tensor, total: tf.Tensor, warmup: float, warmup_start: float | None
) -> tf.Tensor:
    return schedule_factors.warmup_factor(step, warmup * total, warmup_start)


def constant(
    step: tf.Tensor, total: tf.Tensor, warmup: float = 0.0, warmup_start: float | None = None
) -> tf.Tensor:
    """1 throughout, after a linear warm-up.

    Args:
        step: Updates done so far.
        total: Length of the training in steps.
        warmup: In all schedules, the fraction of `total` in which the rate rises linearly.
        warmup_start: In all schedules, the factor of the first update; None for the inverse of the
            number of warm-up steps, so that the last of them has factor 1.
    """
    return _warm(step, total, warmup, warmup_start) * ops.ones_like(total + step)


def cosine(
    step: tf.Tensor, total: tf.Tensor, warmup: float = 0.0, warmup_start: float | None = None
) -> tf.Tensor:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5)."""
    falling = schedule_factors.cosine(step, total, warmup * total)
    return _warm(step, total, warmup, warmup_start) * falling


def linear(
    step: tf.Tensor, total: tf.Tensor, warmup: float = 0.0, warmup_start: float | None = None
) -> tf.Tensor:
    """A straight line from 1 to 0."""
    falling = schedule_factors.linear(step, total, warmup * total)
    return _warm(step, total, warmup, warmup_start) * falling


def inverse_square_root(
    step: tf.Tensor,
    total: tf.Tensor,
    period: float = 512,
    staircase: bool = True,
    warmup: float = 0.0,
    warmup_start: float | None = None,
) -> tf.Tensor:
    """`1 / sqrt(1 + floor(step / period))` (Nakkiran et al. 2020, arXiv 1912.02292).

    Args:
        step: Updates done so far.
        total: Length of the training in steps; only a warm-up depends on it.
        period: Period in steps.
        staircase: Whether to round `step / period` down.
        warmup: As in `constant`. Steps count from its end.
        warmup_start: As in `constant`.
    """
    falling = schedule_factors.inverse_square_root(step, period, warmup * total, staircase)
    return _warm(step, total, warmup, warmup_start) * falling


def piecewise(
    step: tf.Tensor,
    total: tf.Tensor,
    fractions: Sequence[float],
    factors: Sequence[float],
    warmup: float = 0.0,
    warmup_start: float | None = None,
) -> tf.Tensor:
    """A factor for each piece of training.

    Args:
        step: Updates done so far.
        total: Length of the training in steps.
        fractions: Starts of the pieces, as increasing fractions of `total`.
        factors: The factor of each piece; 1 before the first.
        warmup: As in `constant`. Pieces count from the start of the training.
        warmup_start: As in `constant`.
    """
    boundaries = [fraction * total for fraction in fractions]
    pieces = schedule_factors.piecewise(step, boundaries, factors)
    return _warm(step, total, warmup, warmup_start) * pieces


def one_cycle(
    step: tf.Tensor,
    total: tf.Tensor,
    rise: float = 0.3,
    initial_divisor: float = 25.0,
    final_divisor: float = 1e4,
    anneal: str = "cosine",
) -> tf.Tensor:
    """A rise to 1 and a fall, see `tfphen.optimizers.schedule_factors.one_cycle`."""
    return schedule_factors.one_cycle(step, total, rise, initial_divisor, final_divisor, anneal)


# Functions `(step, total, **settings) -> factor`, for `Trial.schedule`.
SCHEDULES: dict[str, Callable[..., tf.Tensor]] = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "inverse_square_root": inverse_square_root,
    "one_cycle": one_cycle,
    "piecewise": piecewise,
}
