"""Learning-rate schedules as pure functions of the step: multipliers of the base rate.

Each takes `step`, the number of updates done so far, and returns the factor, float32. `step` and
lengths are numbers or tensors in one unit, and broadcast: members of one population may have
trainings of different lengths. A warm-up takes the first part of the training, and what follows
has the rest.
"""

import math
from collections.abc import Sequence

from keras import ops

from tfphen.core.types import Tensor, TensorLike


def _float32(value: TensorLike) -> Tensor:
    return ops.cast(ops.convert_to_tensor(value), "float32")


def warmup_factor(
    step: TensorLike, length: TensorLike, start: float | None = None, unit: float = 1.0
) -> Tensor:
    """Factor of a linear warm-up, 1 after it.

        (s + 1) / L, or with a start a: a + (1 - a) s / L

    Args:
        step: s.
        length: L, 0 for no warm-up.
        start: None: the first update has factor 1 / L, the last of the warm-up 1. A number a in
            [0, 1]: the first update has factor a, the first after the warm-up 1.
        unit: Replaces 1 above where the rate changes less often than every step.

    Returns:
        Factors, of the broadcast shape of `step` and `length`.

    Example:

    >>> [round(float(warmup_factor(step, 4)), 3) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    >>> [round(float(warmup_factor(step, 4, start=0.0)), 3) for step in range(5)]
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    step, length = _float32(step), _float32(length)
    given = length > 0
    safe = ops.where(given, length, 1.0)
    factor = (step + unit) / safe if start is None else start + (1.0 - start) * (step / safe)
    return ops.where(given, ops.minimum(factor, 1.0), 1.0)


def _progress(step: TensorLike, total: TensorLike, warmup: TensorLike) -> Tensor:
    """The share of the time after the warm-up that has gone by, in [0, 1]."""
    step, total, warmup = _float32(step), _float32(total), _float32(warmup)
    return ops.minimum(ops.maximum(step - warmup, 0.0) / (total - warmup), 1.0)


def linear(
    step: TensorLike, total: TensorLike, warmup: TensorLike = 0.0, final_factor: TensorLike = 0.0
) -> Tensor:
    """A straight line from 1 at the end of the warm-up to `final_factor` at `total`.

    Example:

    >>> float(linear(75, 100))
    0.25
    """
    left = 1.0 - _progress(step, total, warmup)
    return final_factor + (1.0 - final_factor) * left


def cosine(
    step: TensorLike, total: TensorLike, warmup: TensorLike = 0.0, final_factor: TensorLike = 0.0
) -> Tensor:
    """Half a cosine from 1 at the end of the warm-up to `final_factor` at `total`.

    Example:

    >>> float(cosine(25, 100))  # (1 + cos(pi / 4)) / 2
    0.85355...

    Reference:
        I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR
        2017, arXiv 1608.03983, equation 5.
    """
    factor = 0.5 * (1.0 + ops.cos(math.pi * _progress(step, total, warmup)))
    return final_factor + (1.0 - final_factor) * factor


def inverse_square_root(
    step: TensorLike, period: TensorLike, warmup: TensorLike = 0.0, staircase: bool = True
) -> Tensor:
    """1 / sqrt(1 + t / period) with t counted from the end of the warm-up.

    Args:
        step: Number of updates so far.
        period: Number of steps after which the factor is 1 / sqrt(2).
        warmup: Length of the warm-up.
        staircase: Whether t / period is rounded down, so that the factor is constant within a
            period.

    Example:

    >>> [round(float(inverse_square_root(step, 512)), 4) for step in (0, 511, 512, 1536)]
    [1.0, 1.0, 0.7071, 0.5]

    Reference:
        P. Nakkiran et al., "Deep Double Descent", ICLR 2020, arXiv 1912.02292 (period 512, rounded
        down); A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv 1706.03762 (not
        rounded, with the period as long as the warm-up, up to one step).
    """
    periods = ops.maximum(_float32(step) - _float32(warmup), 0.0) / _float32(period)
    return ops.rsqrt(1.0 + (ops.floor(periods) if staircase else periods))


def piecewise(
    step: TensorLike, boundaries: Sequence[TensorLike], factors: Sequence[float]
) -> Tensor:
    """Piecewise-constant factor.

    Args:
        step: Number of updates so far.
        boundaries: Starts of the pieces, in increasing order: numbers or tensors.
        factors: The factor from each boundary on, one for each; it is 1 before the first.

    Example:

    >>> [round(float(piecewise(step, [10, 20], [0.1, 0.01])), 3) for step in (9, 10, 20)]
    [1.0, 0.1, 0.01]
    """
    step = _float32(step)
    factor = ops.ones_like(step)
    for boundary, value in zip(boundaries, factors, strict=True):
        factor = ops.where(step >= _float32(boundary), float(value), factor)
    return factor


def one_cycle(
    step: TensorLike,
    total: TensorLike,
    rise: float = 0.3,
    initial_divisor: float = 25.0,
    final_divisor: float = 1e4,
    anneal: str = "cosine",
) -> Tensor:
    """Rises to 1 and falls again, along half a cosine or a straight line.

    With D = `initial_divisor` and F = `final_divisor`: from 1 / D at the first step to 1 at step
    `rise * total - 1`, then down to 1 / (D F) at step `total - 1`, the last one.

    Args:
        step: Number of updates so far.
        total: Length of the training.
        rise: Share of the training in which the rate rises, in (0, 1).
        initial_divisor: D.
        final_divisor: F, on top of D.
        anneal: `"cosine"` or `"linear"`.

    Example:

    >>> [round(float(one_cycle(step, 10)), 3) for step in (0, 2, 9)]
    [0.04, 1.0, 0.0]

    Reference:
        L. Smith, N. Topin, "Super-Convergence", 2017, arXiv 1708.07120, in the form of PyTorch's
        `OneCycleLR`, which has two parts and anneals by a cosine.
    """
    step, total = _float32(step), _float32(total)
    top, end = rise * total - 1.0, total - 1.0
    # A training of so few steps that the top is its first one starts there.
    up = ops.minimum(step / ops.maximum(top, 1e-6), 1.0)
    down = ops.minimum(ops.maximum((step - top) / (end - top), 0.0), 1.0)
    if anneal == "cosine":
        up, down = (0.5 - 0.5 * ops.cos(math.pi * part) for part in (up, down))
    initial = 1.0 / initial_divisor
    rising = initial + (1.0 - initial) * up
    falling = 1.0 + (initial / final_divisor - 1.0) * down
    return ops.where(step <= top, rising, falling)
