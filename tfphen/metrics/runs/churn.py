"""Churn: points on which runs of one training predict different classes."""

import numpy as np

from tfphen.core.types import TensorLike
from tfphen.metrics.probabilities import check_table, integer_array


def churn(predictions: TensorLike, with_replacement: bool = False) -> float:
    """Fraction of points on which two runs disagree, on average over pairs of runs.

        churn = 2 / (R (R - 1)) sum_{r<s} mean_i 1[prediction_ri ≠ prediction_si]

    It is computed from the votes for each class, in O(R n K).

    Args:
        predictions: Predicted classes, integers, `[R, n]`, R ≥ 2.
        with_replacement: Count pairs of a run with itself too, as an estimate with the observed
            class frequencies instead of probabilities does; (R - 1) / R times the value without.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: Another shape, NaN, or predictions that are not integers, such as logits.

    Example:

    >>> churn([[0, 1, 2], [0, 1, 1], [0, 2, 1]])
    0.4444444444444444

    When not to use:
        As an estimate of the test error without labels, unless the ensemble of runs is known to be
        calibrated: only then is the mean disagreement the mean error. Runs of different accuracy
        disagree for that reason alone.

    Reference:
        M. Milani Fard et al., "Launch and Iterate: Reducing Prediction Churn", NIPS 2016;
        Y. Jiang et al., "Assessing Generalization of SGD via Disagreement", ICLR 2022,
        arXiv 2106.13799.
    """
    table = integer_array(predictions, "predictions")
    check_table(table, "predictions", (2, 1))
    runs, count = table.shape
    agreeing = 0
    for label in np.unique(table):
        votes = (table == label).sum(0, dtype="int64")
        agreeing += int((votes * (votes - 1)).sum())
    disagreement = 1.0 - agreeing / (runs * (runs - 1) * count)
    return disagreement * (runs - 1) / runs if with_replacement else disagreement


def disagreement(first: TensorLike, second: TensorLike) -> float:
    """Fraction of points on which two runs predict different classes: the churn of a pair.

        disagreement = mean_i 1[first_i ≠ second_i]

    Args:
        first: Predicted classes of one run, integers, `[n]`, n ≥ 1.
        second: Those of the other, on the same points in the same order, `[n]`.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: Another shape, NaN, or predictions that are not integers, such as logits.

    Example:

    >>> disagreement([0, 1, 2, 2], [0, 1, 1, 2])
    0.25

    When not to use:
        For more than two runs: `churn` averages over all pairs. See there for what it does not say
        about the error.

    Reference:
        M. Milani Fard et al., "Launch and Iterate: Reducing Prediction Churn", NIPS 2016;
        Y. Jiang et al., "Assessing Generalization of SGD via Disagreement", ICLR 2022,
        arXiv 2106.13799.
    """
    one, other = integer_array(first, "first"), integer_array(second, "second")
    if one.ndim != 1 or not one.size or one.shape != other.shape:
        raise ValueError(
            "`first` and `second` must have one shape (n,) with n >= 1. "
            f"Received: first.shape={one.shape}, second.shape={other.shape}"
        )
    return float((one != other).mean())
