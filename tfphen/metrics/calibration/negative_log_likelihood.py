"""Negative log-likelihood, in nats."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.losses.sparse_labels import entry_of_label
from tfphen.metrics.probabilities import (
    check_same_rows,
    float_or_array,
    labels_and_predictions,
    log_softmax,
)
from tfphen.metrics.streaming import WeightedMean


def negative_log_likelihood(
    y: TensorLike, y_pred: TensorLike, from_logits: bool = True
) -> float | Array:
    """Mean of -log p_y over examples, in nats: cross-entropy as a measurement, in float64.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A float, or an array `[...]` for inputs with leading axes. Infinite where a label was
        given a probability of exactly 0; nothing is clipped.

    Raises:
        ValueError: NaN, incompatible shapes, or invalid values.

    Example:

    >>> round(negative_log_likelihood([0, 1], [[0.0, 0.0], [0.0, 0.0]]), 6)
    0.693147

    When not to use:
        On hard 0/1 predictions, or where single confident errors should not decide: one example
        with p_y = 1e-30 adds 69 / n. `brier_score` is bounded.

    Migration:
        `keras.losses.SparseCategoricalCrossentropy(from_logits=False)` clips probabilities to
        [1e-7, 1 - 1e-7], so that no example costs more than 16.1.

    Reference:
        T. Gneiting, A. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation",
        Journal of the American Statistical Association 102, 2007.
    """
    labels, predictions = labels_and_predictions(y, y_pred, from_logits)
    check_same_rows(labels, predictions)
    if from_logits:
        logs = log_softmax(predictions)
    else:
        with np.errstate(divide="ignore"):
            logs = np.log(predictions)
    of_label = np.take_along_axis(logs, labels[..., None], axis=-1)[..., 0]
    return float_or_array(np.maximum(-of_label, 0.0).mean(-1))


@keras.saving.register_keras_serializable(package="tfphen")
class NegativeLogLikelihood(WeightedMean):
    """Mean of -log p_y in nats over batches, without clipping.

        -sum_i w_i log p_i,y_i / sum_i w_i

    Args:
        from_logits: Whether predictions are logits.
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`, K ≥ 2.
        sample_weight: As in `ExpectedCalibrationError`.

    Raises:
        ValueError: Incompatible shapes; in eager calls also NaN and labels that are
            not integers of 0..K-1.

    Example:

    >>> metric = NegativeLogLikelihood()
    >>> metric.update_state([0, 1], [[0.0, 0.0], [0.0, 0.0]])
    >>> float(metric.result())
    0.69314...

    When not to use:
        On probabilities that reach exactly 0 in float32: one such label makes it infinite. Pass
        logits. Where single confident errors should not decide; see `BrierScore`.

    Migration:
        `keras.metrics.SparseCategoricalCrossentropy` is the same from logits; from probabilities
        it clips them to [1e-7, 1 - 1e-7].

    Reference:
        T. Gneiting, A. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation",
        Journal of the American Statistical Association 102, 2007.
    """

    def __init__(
        self,
        from_logits: bool = True,
        name: str = "negative_log_likelihood",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name, dtype)
        self.from_logits = from_logits

    def values(self, labels: Tensor, predictions: Tensor) -> Tensor:
        log_probabilities = ops.log_softmax if self.from_logits else ops.log
        return -entry_of_label(log_probabilities(predictions), labels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}
