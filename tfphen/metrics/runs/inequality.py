"""Inequality of a quantity over examples."""

import numpy as np

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array, float_or_array


def gini_coefficient(values: TensorLike) -> float | Array:
    """Gini coefficient of nonnegative values: 0 if all are equal, 1 - 1 / n if one has everything.

    With the values sorted, v_1 ≤ ... ≤ v_n:

        G = sum_i (2 i - n - 1) v_i / (n sum_i v_i)

    A common factor changes nothing. It measures how concentrated loss sensitivity is on few
    examples.

    Args:
        values: Nonnegative, `[..., n]`, n ≥ 1.

    Returns:
        A float in [0, 1 - 1 / n], or an array `[...]` for inputs with leading axes. NaN where all
        values are 0.

    Raises:
        ValueError: NaN, infinite or negative values, or none.

    Example:

    >>> gini_coefficient([1, 2, 3, 4]), gini_coefficient([0, 0, 0, 0, 1])
    (0.25, 0.8)

    When not to use:
        On values of both signs; take absolute values first. To compare sets of different n where
        few examples carry everything: the largest value is 1 - 1 / n.

    Reference:
        C. Gini, "Variabilità e mutabilità", 1912; for loss sensitivity: D. Arpit et al., "A Closer
        Look at Memorization in Deep Networks", ICML 2017, arXiv 1706.05394, figure 3.
    """
    values = float64_array(values, "values")
    if values.ndim < 1 or not values.size or values.min() < 0:
        raise ValueError(
            "`values` must be nonnegative, of shape (..., n) with n >= 1. "
            f"Received: values.shape={values.shape}, smallest {values.min(initial=0.0)}"
        )
    largest = values.max(-1, keepdims=True)
    # Divided by the largest first, so that sums of huge values do not overflow.
    ordered = np.sort(values / np.where(largest > 0, largest, 1.0), axis=-1)
    count = ordered.shape[-1]
    weights = 2.0 * np.arange(1, count + 1) - count - 1
    total = ordered.sum(-1)
    # The first weights are negative: equal values may round to -1e-17.
    spread = np.maximum((ordered * weights).sum(-1), 0.0)
    result = np.where(total > 0, spread / (count * np.where(total > 0, total, 1.0)), np.nan)
    return float_or_array(result)


def binomial_dispersion(correct: TensorLike) -> float:
    """Spread of examples' success rates over runs, relative to that of coin tosses.

    With p_i the fraction of S runs in which example i is right, and p the mean of p_i:

        D = S · mean_i (p_i - p)² / (p (1 - p))

    About 1 where every example is as easy as every other, S where each is right in all runs or in
    none. Real data are far above 1 after one epoch of training, inputs of pure noise near 1.

    Args:
        correct: Zeros and ones or bools, `[S, n]`: run by example; S ≥ 2 and n ≥ 2.

    Returns:
        D in [0, S]. NaN where all entries are equal.

    Raises:
        ValueError: Another shape, NaN, or entries that are not zeros and ones.

    Example:

    >>> binomial_dispersion([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]])
    3.0
    >>> binomial_dispersion([[1, 0], [0, 1]])
    0.0

    When not to use:
        To compare different S: what real differences between examples add grows with S - 1. With
        few examples: by chance alone D varies by about sqrt(2 / n) around 1.

    Reference:
        D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017,
        arXiv 1706.05394, section 3.1 and figure 1, which compares curves; the ratio is elementary.
    """
    table = float64_array(correct, "correct")
    if table.ndim != 2 or min(table.shape) < 2 or not np.isin(table, (0.0, 1.0)).all():
        raise ValueError(
            "`correct` must hold zeros and ones, of shape (runs, examples), at least (2, 2). "
            f"Received: correct.shape={table.shape}, values {np.unique(table)[:5].tolist()}"
        )
    runs, count = table.shape
    # Whole numbers: rates that are equal have a spread of exactly zero.
    successes = table.sum(0).astype("int64")
    total = int(successes.sum())
    if total in (0, runs * count):
        return float("nan")
    spread = count * int((successes**2).sum()) - total**2
    return float(runs * spread / (total * (runs * count - total)))
