"""Transition matrices estimated from networks trained on noisy labels, and their errors."""

from typing import TYPE_CHECKING

import numpy as np

from tfphen.losses import estimate_transition_matrix

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def transition_estimate(trained: "Trained", *, percentile: int) -> np.ndarray:
    """Estimated transition matrix, NaN for a diverged training, `[members, classes, classes]`.

    Args:
        trained: The members.
        percentile: See `tfphen.losses.estimate_transition_matrix`.
    """
    tables = np.exp(trained.log_probabilities("train"))
    estimates = np.full_like(trained.transition_matrices, np.nan)
    for index in np.flatnonzero(np.isfinite(tables).all((1, 2))):
        estimates[index] = estimate_transition_matrix(tables[index], percentile)
    return estimates


def transition_distance(trained: "Trained", *, percentile: int) -> np.ndarray:
    """Entrywise L1 distance of the estimate from the true matrix, `[members]`."""
    estimate = transition_estimate(trained, percentile=percentile)
    return abs(estimate - trained.transition_matrices).sum((1, 2))
