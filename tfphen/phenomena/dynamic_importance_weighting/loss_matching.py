"""Kernel mean matching of the losses of training batches to those of held-out examples."""

import numpy as np
import tensorflow as tf

from tfphen.phenomena.dynamic_importance_weighting import box_qp

# Rank of the approximation of a kernel of losses, and ridge on its diagonal.
_RANK, _RIDGE = 32, 1e-5


def kernel_gamma(losses, real, kernel: str):
    """Returns γ of the kernel exp(-γ (l - l')²) of losses, `[members]`.

    With m and q the median and the 1% quantile of |lᵢ - lⱼ| over pairs of different rows:

        "median": m,   "quantile": q,   "inverse_median": 1 / (2 m²), or 0 where m is 0

    The first two follow the released code, with a distance in place of an inverse squared one: a
    small distance gives a wide kernel.

    Args:
        losses: `[members, n]`.
        real: 1.0 for rows that count, else 0.0, `[members, n]`.
        kernel: One of `trials.KERNELS`.
    """
    distances = tf.abs(losses[:, :, None] - losses[:, None])
    later = np.triu(np.ones((losses.shape[1],) * 2), 1)
    counts = real[:, :, None] * real[:, None] * tf.constant(later, real.dtype)
    quantile = _quantile(distances, counts, 0.01 if kernel == "quantile" else 0.5)
    if kernel == "inverse_median":
        return tf.math.divide_no_nan(tf.cast(0.5, quantile.dtype), tf.square(quantile))
    return quantile


def _quantile(values, counts, share: float):
    """Interpolated quantile of the values that count, `[members]`; 0 if none do.

    Bisection, since compiled sorting is slow.

    Args:
        values: Not negative, `[members, n, n]`.
        counts: 1.0 for values that count, else 0.0.
        share: In [0, 1].
    """

    def number_to(limit):
        return tf.reduce_sum(tf.where(values <= limit[:, None, None], counts, 0.0), (1, 2))

    def halve(i, low, high):
        middle = 0.5 * (low + high)
        enough = number_to(middle) > below
        return i + 1, tf.where(enough, low, middle), tf.where(enough, middle, high)

    place = tf.maximum(tf.reduce_sum(counts, (1, 2)) - 1, 0.0) * share
    below = tf.floor(place)
    largest = tf.reduce_max(values * counts, (1, 2))
    start = tf.constant(0), tf.zeros_like(largest) - 1.0, largest
    _, _, high = tf.while_loop(lambda i, *_: i < 32, halve, start)
    limit = high[:, None, None]
    # Of rank `below`, counted from 0, and the one after it.
    first = tf.reduce_max(tf.where(values <= limit, values * counts, 0.0), (1, 2))
    above = tf.where((values > limit) & (counts > 0), values, largest[:, None, None])
    second = tf.where(number_to(high) > below + 1, first, tf.reduce_min(above, (1, 2)))
    return first + (second - first) * (place - below)


def matched_weights(
    losses,
    held_out_losses,
    real=None,
    kernel: str = "median",
    bound: float = 50.0,
    gap: float = 1e-6,
    steps: int = 30,
):
    """Kernel mean matching of losses, for many batches at once; compiles under XLA.

        minimize ½ w'K w - k'w,   kᵢ = (n / m) Σⱼ exp(-γ (lᵢ - l'ⱼ)²),   0 ≤ w ≤ B,
        |Σ w - n| ≤ n (√n - 1) / √n

    The kernel is nearly singular, so weights depend on the solver's tolerance: like the released
    code, this stops where the duality gap is a millionth of the objective.

    Args:
        losses: Of the batch, `[members, n]`.
        held_out_losses: `[members, m]`.
        real: 1.0 for rows that count, else 0.0, `[members, n]`; None for all.
        kernel: See `kernel_gamma`.
        bound: B, above 1.
        gap: Duality gap, relative to the objective, at which to stop.
        steps: Maximum number of iterations of the interior-point method.

    Returns:
        w, float32, `[members, n]`, 0 for rows that do not count. Not rescaled.

    Example:

    >>> weights = matched_weights([[0.1, 0.2, 0.1, 4.0, 5.0]], [[0.1, 0.2]])
    >>> bool(tf.reduce_min(weights[0, :3]) > 20 * tf.reduce_max(weights[0, 3:]))
    True

    When not to use:
        On the host, for a whole dataset: `tfphen.density_ratio.kernel_mean_matching`.

    Reference:
        T. Fang, N. Lu, G. Niu, M. Sugiyama, "Rethinking Importance Weighting for Deep Learning
        under Distribution Shift", NeurIPS 2020, arXiv 2006.04662.
    """
    losses, held_out_losses = (tf.cast(x, tf.float64) for x in (losses, held_out_losses))
    real = tf.ones_like(losses) if real is None else tf.cast(real, tf.float64)
    gamma = kernel_gamma(losses, real, kernel)
    features, residual = box_qp.gaussian_features(losses, gamma, real, _RANK)
    count = tf.reduce_sum(real, 1)
    distances = tf.square(losses[:, :, None] - held_out_losses[:, None, :])
    near = tf.reduce_mean(tf.exp(-gamma[:, None, None] * distances), -1)
    # A single row would leave the sum no slack.
    slack = tf.maximum(count - tf.sqrt(count), 0.5)
    weights = box_qp.solve(
        features, residual + _RIDGE, count[:, None] * near, real, bound, slack, gap, steps
    )
    return tf.cast(weights, tf.float32)
