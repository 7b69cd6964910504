"""Inverse participation ratio: concentration of a vector's Fourier spectrum."""

import numpy as np

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array, float_or_array


def inverse_participation_ratio(rows: TensorLike) -> float | Array:
    """Inverse participation ratio of a vector's Fourier spectrum: 1 for a single frequency.

    With c_0, ..., c_{n // 2} the discrete Fourier transform of a real vector of n entries, without
    the conjugate half:

        IPR = sum_j |c_j|^4 / (sum_j |c_j|²)²

    It lies between 1 / (n // 2 + 1), all frequencies alike, and 1, one of them alone. A factor or a
    cyclic shift of the vector changes nothing. Normal noise has about 4 / n. In a network that
    has learned sums modulo n, the rows of the first layer, one entry per number, are near 1.

    Args:
        rows: Real vectors, `[..., n]`, n of at least 2.

    Returns:
        A float in (0, 1], or an array `[...]` for inputs with leading axes. NaN for a vector of
        zeros.

    Raises:
        ValueError: NaN or infinite entries, or vectors of fewer than two entries.

    Example:

    >>> wave = np.cos(2 * np.pi * 3 * np.arange(53) / 53 + 0.7)
    >>> round(inverse_participation_ratio(wave), 6)
    1.0
    >>> round(inverse_participation_ratio([1, 0, 0, 0]), 6)
    0.333333

    When not to use:
        Where the order of the entries means nothing, such as hidden units. To tell which frequency
        there is: take the largest |c_j|. On few entries, where noise comes close to 1 too.

    Reference:
        A. Gromov, "Grokking modular arithmetic", arXiv 2301.02679; D. Doshi, A. Das, T. He,
        A. Gromov, "To grok or not to grok", arXiv 2310.13061.
    """
    values = float64_array(rows, "rows")
    if values.ndim < 1 or values.shape[-1] < 2:
        raise ValueError(
            "`rows` must hold vectors of two entries or more, (..., n). "
            f"Received: rows.shape={values.shape}"
        )
    largest = np.abs(values).max(-1, keepdims=True)
    # Divided by the largest first, so that fourth powers neither overflow nor vanish.
    power = np.abs(np.fft.rfft(values / np.where(largest > 0, largest, 1.0))) ** 2
    total = power.sum(-1)
    known = total > 0
    ratio = (power**2).sum(-1) / np.where(known, total, 1.0) ** 2
    ratio = np.where(known, ratio, np.nan)
    return float_or_array(ratio)
