"""What invariance to circular shifts leaves of the margin, and kernels of wide two-layer networks.

All exact, in float64 NumPy.
"""

import math
from typing import NamedTuple

import numpy as np

from tfphen.core.errors import UsageError


class DcMargin(NamedTuple):
    """A margin and the unit normal that attains it."""

    margin: float
    normal: np.ndarray


def dc_component(inputs) -> np.ndarray:
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


def dc_margin(first, second) -> DcMargin:
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


def circular_shifts(signals) -> np.ndarray:
    """All circular shifts of signals, `[n, d] -> [n, d, d]`: entry (i, s) is `roll(signal i, -s)`.

    Example:

    >>> circular_shifts([[1.0, 2.0, 3.0]])[0].tolist()
    [[1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [3.0, 1.0, 2.0]]
    """
    signals = np.asarray(signals, "float64")
    size = signals.shape[1]
    return signals[:, (np.arange(size)[:, None] + np.arange(size)) % size]


def relu_tangent_function(cosines) -> np.ndarray:
    """The neural tangent kernel of two ReLU layers without biases, on unit vectors.

        κ(u) = u κ₀(u) + κ₁(u),  κ₀ = (π - arccos u) / π,
        κ₁ = (u (π - arccos u) + sqrt(1 - u²)) / π

    Since κ(u) - κ(-u) = 2u, what it fits to an antipodal pair is linear.

    Args:
        cosines: u in [-1, 1], any shape.

    Returns:
        float64 of the same shape.

    Example:

    >>> relu_tangent_function([1.0, -1.0]).tolist()
    [2.0, 0.0]

    Reference:
        A. Bietti, J. Mairal, "On the Inductive Bias of Neural Tangent Kernels", NeurIPS 2019,
        arXiv 1905.12173.
    """
    cosines = np.clip(np.asarray(cosines, "float64"), -1.0, 1.0)
    angle = np.pi - np.arccos(cosines)
    return (2 * cosines * angle + np.sqrt(1 - cosines**2)) / np.pi


def dense_tangent_kernel(first, second) -> np.ndarray:
    """The tangent kernel of a wide fully connected ReLU network with one hidden layer.

        K(x, z) = |x| |z| κ(⟨x, z⟩ / |x| |z|)

    Args:
        first: Signals, `[n, d]`.
        second: Signals, `[m, d]`.

    Returns:
        float64, `[n, m]`.
    """
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    lengths = np.linalg.norm(first, axis=-1)[..., :, None] * np.linalg.norm(second, axis=-1)
    products = first @ np.swapaxes(second, -1, -2)
    cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
    return lengths * relu_tangent_function(cosines)


def pooled_tangent_kernel(first, second) -> np.ndarray:
    """The tangent kernel of a wide circular convolution with ReLU and global average pooling.

        K(x, z) = Σ_{i,j} K_dense(shift_i x, shift_j z) / d²

    The kernel of the convolution is as long as the signal. What it fits to an antipodal pair
    depends on the sum of a signal only.

    Args:
        first: Signals, `[n, d]`.
        second: Signals, `[m, d]`.

    Returns:
        float64, `[n, m]`.

    Reference:
        V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness", NeurIPS 2021,
        arXiv 2103.02695, Theorem 2.
    """
    # The kernel knows the difference of the two shifts only.
    shifted = circular_shifts(second)
    count, size = shifted.shape[:2]
    kernel = dense_tangent_kernel(first, shifted.reshape(count * size, size))
    return kernel.reshape(-1, count, size).mean(2)
