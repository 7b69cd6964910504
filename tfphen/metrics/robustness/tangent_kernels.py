"""Tangent kernels of wide two-layer networks, with and without invariance to circular shifts.

All exact, in float64 NumPy.
"""

import numpy as np

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.robustness.dc_margin import circular_shifts


def relu_tangent_function(cosines: TensorLike) -> Array:
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


def dense_tangent_kernel(first: TensorLike, second: TensorLike) -> Array:
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


def pooled_tangent_kernel(first: TensorLike, second: TensorLike) -> Array:
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
