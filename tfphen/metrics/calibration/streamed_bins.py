"""Binned sums over a batch, shared by the Keras calibration errors."""

import keras
import numpy as np
from keras import ops

from tfphen.core.types import Tensor
from tfphen.metrics.calibration.bins import inner_edges


def rounded_down_edges(num_bins: int, dtype: str) -> list[float]:
    """Returns the inner edges b / B as the largest numbers of `dtype` that are not above them.

    A number of that dtype is above b / B exactly when it is above the rounded edge. So a float32
    confidence falls in the bin that the float64 functions, which it reaches unchanged, put it in.
    """
    edges = inner_edges(num_bins)
    rounded = edges.astype(dtype)
    lower = np.nextafter(rounded, np.zeros((), dtype))
    return np.where(rounded.astype("float64") > edges, lower, rounded).astype("float64").tolist()


def sums_in_bins(values: Tensor, probabilities: Tensor, num_bins: int) -> Tensor:
    """Returns the sums over axis 0 of the values whose probability is in each bin, `[B, ...]`.

    Args:
        values: `[N, ...]`.
        probabilities: What decides on the bin, of the same shape.
        num_bins: Number B of bins ((b - 1) / B, b / B].
    """
    edges = rounded_down_edges(num_bins, keras.backend.standardize_dtype(probabilities.dtype))
    # One bin after another: an axis of bins would multiply the memory by B, and a product with
    # one-hot bins would be rounded to 10 bits on accelerators.
    above = [ops.greater(probabilities, edge) for edge in edges]
    everything = ops.ones_like(probabilities, dtype="bool")
    sums = []
    for reached, passed in zip([everything, *above], [*above, None], strict=True):
        inside = reached if passed is None else ops.logical_and(reached, ops.logical_not(passed))
        sums.append(ops.sum(ops.where(inside, values, ops.zeros_like(values)), axis=0))
    return ops.stack(sums)
