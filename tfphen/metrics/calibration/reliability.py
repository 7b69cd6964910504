"""The table behind a reliability diagram."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.core.types import Array, TensorLike
from tfphen.metrics.calibration.bins import bin_of, inner_edges
from tfphen.metrics.probabilities import checked_rows


class ReliabilityDiagram(NamedTuple):
    """Confidence and accuracy in each of B bins of equal width; all arrays are `[B]`.

    Attributes:
        lower: Lower edges (b - 1) / B, not in the bin (but 0 is in the first).
        upper: Upper edges b / B, in the bin.
        count: Number of examples, int64.
        confidence: Mean of the largest probability; NaN in an empty bin.
        accuracy: Fraction of examples whose most probable class is the label; NaN in an empty bin.
    """

    lower: Array
    upper: Array
    count: Array  # type: ignore[assignment]  # Instead of the method of tuples.
    confidence: Array
    accuracy: Array


def reliability_diagram(
    y: TensorLike, y_pred: TensorLike, num_bins: int = 15, from_logits: bool = True
) -> ReliabilityDiagram:
    """Tabulates accuracy against confidence, the data of a reliability diagram.

    The bins are those of `expected_calibration_error`, which is

        sum_b count_b / n · |accuracy_b - confidence_b|

    over the bins that are not empty. On a calibrated model accuracy equals confidence in each.

    Args:
        y: Integer labels, `[n]` or `[n, 1]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[n, K]`, K ≥ 2.
        num_bins: Number of bins B.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A `ReliabilityDiagram`.

    Raises:
        ValueError: `num_bins` is not a positive integer, NaN, incompatible shapes, or
            invalid values.

    Example:

    >>> table = reliability_diagram([0, 1], [[0.7, 0.3], [0.9, 0.1]], 2, from_logits=False)
    >>> table.count.tolist(), table.accuracy.tolist()
    ([0, 2], [nan, 0.5])
    >>> table.confidence.round(3).tolist(), table.upper.tolist()
    ([nan, 0.8], [0.5, 1.0])

    When not to use:
        As evidence from bins with a handful of examples: the accuracy of a bin of m examples has
        a standard error of about sqrt(a (1 - a) / m). Draw `count` alongside it.

    Reference:
        M. DeGroot, S. Fienberg, "The Comparison and Evaluation of Forecasters", The Statistician
        32, 1983; A. Niculescu-Mizil, R. Caruana, "Predicting Good Probabilities with Supervised
        Learning", ICML 2005.
    """
    num_bins = checks.whole("num_bins", num_bins)
    labels, probabilities = checked_rows(y, y_pred, from_logits)
    if labels.ndim != 1:
        raise ValueError(
            "A reliability diagram is of one model: `y_pred` must have shape (n, K). "
            f"Received: y_pred.shape={probabilities.shape}"
        )
    confidence = probabilities.max(-1)
    hit = probabilities.argmax(-1) == labels
    bins = bin_of(confidence, num_bins)
    count = np.bincount(bins, minlength=num_bins)
    members = np.where(count > 0, count, np.nan)
    edges = np.concatenate([[0.0], inner_edges(num_bins), [1.0]])
    return ReliabilityDiagram(
        edges[:-1],
        edges[1:],
        count,
        np.bincount(bins, confidence, num_bins) / members,
        np.bincount(bins, hit, num_bins) / members,
    )
