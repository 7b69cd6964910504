"""Kernel functions of pairs of points."""

import numpy as np

from tfphen.core.types import Floats


def gaussian_kernel(first: Floats, second: Floats, gamma: float) -> Floats:
    """Returns exp(-gamma |x - x'|²) of all pairs.

    Args:
        first: `[n, d]`.
        second: `[m, d]`, of the same type, which is also that of the result.
        gamma: Inverse squared width.

    Returns:
        `[n, m]`.
    """
    kernel = first @ second.T
    kernel *= -2.0
    kernel += np.square(first).sum(1)[:, None]
    kernel += np.square(second).sum(1)
    np.maximum(kernel, 0.0, out=kernel)
    kernel *= -gamma
    return np.exp(kernel, out=kernel)
