"""Measures that several phenomena take: functions on a `tfphen.measures.trained.Trained` view."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from tfphen.measures.trained import Trained


def labels(trained: "Trained", split: str) -> "np.ndarray":
    """Labels of a split, uint16, `[members, n]`."""
    return trained.labels(split).astype("uint16")
