"""The linear margin that invariance to circular shifts leaves. Exact, in float64 NumPy."""

import math
from typing import NamedTuple

import numpy as np

from tfphen.core.errors import UsageError
from tfphen.core.types import Array, TensorLike


class DcMargin(NamedTuple):
    """A margin and the unit normal that attains it."""

    margin: float
    normal: Array


def dc_component(inputs: TensorLike) -> Array:
    """The projection of signals on the constant one, `f_dc(x) = Σ xᵢ / sqrt(d)`.

    Args:
        inputs: `[n, ...]`; d is the number of entries of one.

    Returns:
        float64, `[n]`.

    Example:

    >>> dc_component([[1.0, 2.0, 3.0, 4.0]]).tolist()
    [5.0]
    """
    flat = np.asarray(inputs, "float64")
    flat = flat.reshape(len(flat), -1)
    return flat.sum(1) / math.sqrt(flat.shape[1])


def dc_margin(first: TensorLike, second: TensorLike) -> DcMargin:
    """The largest margin of a linear classifier that is invariant to circular shifts.

    With S₁ and S₂ all circular shifts of the signals of both classes, a hyperplane separates them
    if and only if their components f_dc do, and then the largest gap between the classes is

        min f_dc(S₂) - max f_dc(S₁)   or, the other way round,   min f_dc(S₁) - max f_dc(S₂)

    along the normal (1, …, 1) / sqrt(d): averaging a separating normal over all shifts keeps it
    separating and leaves nothing but its mean.

    Args:
        first: Signals or images of one class, `[n, ...]`.
        second: Those of the other, `[m, ...]`, of the same size.

    Returns:
        The gap between the classes in units of the inputs, twice the least distance to the best
        boundary, 0 or less where no invariant linear classifier separates them; and the unit
        normal `[...]`, which points from the first class to the second.

    Raises:
        UsageError: A class is empty, or the signals differ in shape.

    Example:

    >>> margin, normal = dc_margin([[-1.0, 0.0, 0.0, 0.0]], [[1.0, 0.0, 0.0, 0.0]])
    >>> margin, normal.tolist()  # 2 without invariance, 2 / sqrt(4) with it
    (1.0, [0.5, 0.5, 0.5, 0.5])

    When not to use:
        For networks with hidden units, which may separate what no invariant linear classifier
        does.

    Reference:
        V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness", NeurIPS 2021,
        arXiv 2103.02695, Theorem 1.
    """
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    if first.ndim < 2 or first.shape[1:] != second.shape[1:] or not (first.size and second.size):
        raise UsageError(
            "Both classes hold signals of one shape, [n, ...] and [m, ...]. "
            f"Received: shapes {first.shape} and {second.shape}"
        )
    low, high = dc_component(first), dc_component(second)
    upward, downward = low.max() - high.min(), high.max() - low.min()
    shape = first.shape[1:]
    normal = np.full(shape, 1.0 / math.sqrt(math.prod(shape)))
    # `upward` is minus the margin with the second class above the first.
    if upward <= downward:
        return DcMargin(float(-upward), normal)
    return DcMargin(float(-downward), -normal)


def circular_shifts(signals: TensorLike) -> Array:
    """All circular shifts of signals, `[n, d] -> [n, d, d]`: entry (i, s) is `roll(signal i, -s)`.

    Example:

    >>> circular_shifts([[1.0, 2.0, 3.0]])[0].tolist()
    [[1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [3.0, 1.0, 2.0]]
    """
    signals = np.asarray(signals, "float64")
    size = signals.shape[1]
    return signals[:, (np.arange(size)[:, None] + np.arange(size)) % size]
