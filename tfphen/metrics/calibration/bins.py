"""Bins of equal width over confidence, and gaps between label and probability summed in them."""

import numpy as np

from tfphen.core.types import Array


def inner_edges(num_bins: int) -> Array:
    """Returns the edges b / B, b = 1..B-1, between B bins of equal width, float64 `[B - 1]`."""
    return np.arange(1, num_bins) / num_bins


def bin_of(probabilities: Array, num_bins: int) -> Array:
    """Returns b - 1 for probabilities in ((b - 1) / B, b / B], and 0 for 0; same shape, int64.

    Probabilities are compared with the edges as they are, never multiplied: .7 is at the edge of
    ten bins, but 10 × .7 rounds to more than 7.
    """
    return np.searchsorted(inner_edges(num_bins), probabilities, side="left")


def mean_of_gaps(gaps: Array, bins: Array, num_bins: int) -> Array:
    """Returns sum_b |sum of the gaps in bin b| / n, `[...]`, of gaps and bins `[..., n]`."""
    count, lead = gaps.shape[-1], gaps.shape[:-1]
    rows = np.arange(int(np.prod(lead)))[:, None]
    cells = (rows * num_bins + bins.reshape(-1, count)).ravel()
    sums = np.bincount(cells, gaps.ravel(), len(rows) * num_bins)
    return np.abs(sums.reshape(*lead, num_bins)).sum(-1) / count


def gaps_of_classes(labels: Array, probabilities: Array) -> tuple[Array, Array]:
    """Returns p_ik and 1[y_i = k] - p_ik, both `[..., K, n]`."""
    one_hot = np.eye(probabilities.shape[-1])[labels]
    return np.swapaxes(probabilities, -1, -2), np.swapaxes(one_hot - probabilities, -1, -2)
