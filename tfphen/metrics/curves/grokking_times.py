"""Grokking: steps of memorization, and of generalization long after it."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array


class GrokkingTimes(NamedTuple):
    """Result of `grokking_times`, one entry per training run.

    Attributes:
        memorised: First step at which the training examples are learned, NaN for never.
        generalised: First step at which the test examples are learned, NaN for never.
        test_accuracy: Test accuracy at `memorised`, NaN where that is.
    """

    memorised: Array
    generalised: Array
    test_accuracy: Array


def grokking_times(
    steps: TensorLike, train_accuracy: TensorLike, test_accuracy: TensorLike, *, level: float = 0.99
) -> GrokkingTimes:
    """Steps at which a network first memorizes and first generalizes.

        memorised = min {step: train accuracy ≥ level}
        generalised = min {step: test accuracy ≥ level}

    Grokking is a test accuracy near chance at `memorised` with `generalised / memorised` well above
    1. Both are found among the given steps only.

    Args:
        steps: Updates done at each point, increasing, `[points]`.
        train_accuracy: Shares of training examples that are right, `[..., points]`.
        test_accuracy: Of test examples, `[..., points]`.
        level: Accuracy from which examples count as learned, in (0, 1].

    Returns:
        `GrokkingTimes(memorised, generalised, test_accuracy)`, float64 arrays `[...]`.

    Raises:
        ValueError: Curves that are not finite or of other shapes, steps that do not increase, a
            `level` outside (0, 1].

    Example:

    >>> times = grokking_times([0, 10, 20, 30], [0.1, 1.0, 1.0, 1.0], [0.1, 0.1, 0.2, 1.0])
    >>> [float(value) for value in times]
    [10.0, 30.0, 0.1]

    When not to use:
        Tasks whose test accuracy never comes near `level`. With few points: a time is as coarse as
        the steps between them.

    Reference:
        A. Power, Y. Burda, H. Edwards, I. Babuschkin, V. Misra, "Grokking: Generalization Beyond
        Overfitting on Small Algorithmic Datasets", arXiv 2201.02177, figure 1 and section 3.1.
    """
    steps = float64_array(steps, "steps")
    curves = [
        float64_array(curve, name)
        for name, curve in (("train_accuracy", train_accuracy), ("test_accuracy", test_accuracy))
    ]
    shapes = [curve.shape for curve in curves]
    if steps.ndim != 1 or not steps.size or shapes[0] != shapes[1] or shapes[0][-1:] != steps.shape:
        raise ValueError(
            "`steps` must have shape (points,), `train_accuracy` and `test_accuracy` both "
            f"(..., points). Received: steps.shape={steps.shape}, shapes {shapes[0]}, {shapes[1]}"
        )
    if (np.diff(steps) <= 0).any():
        raise ValueError(f"`steps` must increase. Received: steps={steps.tolist()}")
    checks.number("level", level, 0, 1, low_open=True)
    learned = [curve >= level for curve in curves]
    places = [reached.argmax(-1) for reached in learned]
    ever = [reached.any(-1) for reached in learned]
    memorised, generalised = (
        np.where(known, steps[place], np.nan) for known, place in zip(ever, places, strict=True)
    )
    then = np.take_along_axis(curves[1], places[0][..., None], -1)[..., 0]
    return GrokkingTimes(memorised, generalised, np.where(ever[0], then, np.nan))
