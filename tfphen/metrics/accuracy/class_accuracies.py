"""Accuracy on each class."""

import numpy as np

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import check_same_rows, labels_and_predictions


def class_accuracies(y: TensorLike, y_pred: TensorLike) -> Array:
    """Fraction of correct predictions among the examples of each class: recall.

        accuracy_c = |{i: y_i = c, argmax_k y_pred_ik = c}| / |{i: y_i = c}|

    Of equal scores the first class counts as predicted.

    Args:
        y: Integer labels, `[n]` or `[n, 1]`.
        y_pred: Logits or probabilities, `[n, K]`, K ≥ 2.

    Returns:
        float64 `[K]`, NaN for classes without an example.

    Raises:
        ValueError: NaN, incompatible shapes, or labels that are not integers of 0..K-1.

    Example:

    >>> class_accuracies([0, 0, 1], [[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]).tolist()
    [0.5, 1.0]

    When not to use:
        For classes with a handful of test examples: one of five is .2.

    Reference:
        K. Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution", ICPR 2010.
    """
    # Only the order of scores is used: nothing requires them to be probabilities.
    labels, scores = labels_and_predictions(y, y_pred, from_logits=True)
    check_same_rows(labels, scores)
    if labels.ndim != 1:
        raise ValueError(
            "`y_pred` must have shape (n, K), the predictions of one model. "
            f"Received: y_pred.shape={scores.shape}"
        )
    classes = scores.shape[-1]
    totals = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[scores.argmax(-1) == labels], minlength=classes)
    return np.where(totals > 0, hits / np.maximum(totals, 1), np.nan)
