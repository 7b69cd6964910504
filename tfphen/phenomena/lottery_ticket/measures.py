"""Measures on trained networks."""

import numpy as np

from tfphen.phenomena.lottery_ticket.pruning import densities


def density(trained) -> np.ndarray:
    """Fraction of the prunable weights that is left, `[members]`."""
    members = trained.members
    return densities(members.masks, members.model.weights, members.size)
