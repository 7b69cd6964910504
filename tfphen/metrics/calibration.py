"""How well predicted probabilities match what happens."""

import numpy as np

from tfphen.metrics.probabilities import check_same_rows, labels_and_probabilities


def expected_calibration_error(y, y_pred, num_bins=15, from_logits=True):
    """Mean distance of confidence and accuracy over bins of equal width.

    With confidence max_c p_c in bins ((b - 1) / B, b / B], b = 1..B:
    sum_b (n_b / n) |accuracy of bin b - mean confidence of bin b|.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`.
        num_bins: Number of bins B.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A share in [0, 1]: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: Shapes that do not go together, or values that are not what they should be.

    Example:

    >>> expected_calibration_error([0, 1], [[0.75, 0.25], [0.75, 0.25]], from_logits=False)
    0.25

    Reference:
        C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599.
    """
    if num_bins < 1:
        raise ValueError(f"`num_bins` must be at least 1. Received: num_bins={num_bins}")
    labels, probabilities = labels_and_probabilities(y, y_pred, from_logits)
    check_same_rows(labels, probabilities)
    confidence = probabilities.max(-1)
    hit = (probabilities.argmax(-1) == labels).astype("float64")
    bins = np.clip(np.ceil(confidence * num_bins).astype("int64") - 1, 0, num_bins - 1)
    count, lead = labels.shape[-1], labels.shape[:-1]
    rows = np.arange(int(np.prod(lead)))[:, None]
    gaps = np.zeros((len(rows), num_bins))
    np.add.at(gaps, (rows, bins.reshape(-1, count)), (hit - confidence).reshape(-1, count))
    error = np.abs(gaps).sum(-1) / count
    return float(error[0]) if lead == () else error.reshape(lead)


def brier_score(y, y_pred, from_logits=True):
    """Mean over examples of sum_c (p_c - 1[y = c])², between 0 and 2.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: Shapes that do not go together, or values that are not what they should be.

    Example:

    >>> brier_score([0], [[0.5, 0.5]], from_logits=False)
    0.5

    Reference:
        G. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather
        Review 78, 1950.
    """
    labels, probabilities = labels_and_probabilities(y, y_pred, from_logits)
    check_same_rows(labels, probabilities)
    one_hot = np.eye(probabilities.shape[-1])[labels]
    score = ((probabilities - one_hot) ** 2).sum(-1).mean(-1)
    return float(score) if score.ndim == 0 else score
