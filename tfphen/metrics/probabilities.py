"""Checks and conversions that the metrics share. Everything is NumPy in float64."""

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns log-probabilities `[..., K]`, in nats; logits and log-probabilities alike go in."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def labels_and_probabilities(y, y_pred, from_logits: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns integer labels and float64 probabilities `[..., K]`.

    Args:
        y: Integer class labels.
        y_pred: Logits, log-probabilities or probabilities, `[..., K]`.
        from_logits: False for probabilities.

    Raises:
        ValueError: Labels that are not integers of 0..K-1, or predictions that are not
            probabilities though they should be.
    """
    labels, predictions = np.asarray(y), np.asarray(y_pred, dtype="float64")
    if predictions.ndim < 2:
        raise ValueError(
            "`y_pred` must have shape (..., n, K); labels come first, predictions second. "
            f"Received: y.shape={labels.shape}, y_pred.shape={predictions.shape}"
        )
    classes = predictions.shape[-1]
    whole = labels.dtype.kind in "iub" or np.array_equal(labels, np.round(labels))
    if not whole or (labels.size and not (labels.min() >= 0 and labels.max() < classes)):
        raise ValueError(
            f"`y` must hold integers from 0 to {classes - 1}, one less than the last axis of "
            f"`y_pred`. Received: y.shape={labels.shape}, y_pred.shape={predictions.shape}"
        )
    if from_logits:
        return labels.astype("int64"), np.exp(log_softmax(predictions))
    sums = predictions.sum(-1)
    if (predictions < 0).any() or not np.allclose(sums, 1.0, atol=1e-4):
        raise ValueError(
            "With `from_logits=False` each row of `y_pred` must be probabilities that sum to 1. "
            f"Received: sums from {sums.min()} to {sums.max()}, "
            f"smallest entry {predictions.min()}"
        )
    return labels.astype("int64"), predictions


def check_same_rows(labels: np.ndarray, predictions: np.ndarray) -> None:
    """Raises ValueError unless labels `[..., n]` go with predictions `[..., n, K]`."""
    if labels.shape != predictions.shape[:-1]:
        raise ValueError(
            "`y` must have the shape of `y_pred` without its last axis. "
            f"Received: y.shape={labels.shape}, y_pred.shape={predictions.shape}"
        )
