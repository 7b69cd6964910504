"""Finds a rise to an interior peak and the drop behind it in curves over complexity."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class InteriorPeak:
    """The peak of each curve, judged at places that the other curves chose.

    Attributes:
        rise: Value at the peak minus value at the lowest point before it, one a curve.
        drop: Value at the peak minus value at the last point, one a curve.
        position: Index of the highest interior rise of each curve by itself, one a curve.
    """

    rise: np.ndarray
    drop: np.ndarray
    position: np.ndarray


def _place(curve: np.ndarray) -> tuple[int, int]:
    """Returns (valley, peak): the largest rise over the least value before it, the end left out."""
    lowest = np.minimum.accumulate(curve[:-1])
    rises = curve[1:-1] - lowest[:-1]
    peak = int(np.argmax(rises)) + 1
    return int(np.argmin(curve[:peak])), peak


def interior_peak(curves: np.ndarray) -> InteriorPeak:
    """Measures how far curves rise to an interior peak and drop behind it.

    Where the largest of several noisy values stands is chosen by the same noise that makes it
    large. So valley and peak of each curve are placed by the mean of the other curves, and its own
    values are read there: on curves that only fall, rise and drop are unbiased, not inflated.

    Args:
        curves: `[curves, points]`, points in order of complexity; at least 2 curves and 3 points.

    Returns:
        An `InteriorPeak`.
    """
    curves = np.asarray(curves, "float64")
    if curves.ndim != 2 or curves.shape[0] < 2 or curves.shape[1] < 3:
        raise ValueError(
            f"`curves` must have shape [curves >= 2, points >= 3]. Received: shape {curves.shape}"
        )
    rise, drop = [], []
    for index, curve in enumerate(curves):
        valley, peak = _place(np.delete(curves, index, axis=0).mean(0))
        rise.append(curve[peak] - curve[valley])
        drop.append(curve[peak] - curve[-1])
    position = [_place(curve)[1] for curve in curves]
    return InteriorPeak(np.asarray(rise), np.asarray(drop), np.asarray(position))
