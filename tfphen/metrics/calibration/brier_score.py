"""Brier score."""

from typing import Any

import keras
import numpy as np
from keras import ops

from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.metrics.probabilities import checked_rows, float_or_array
from tfphen.metrics.streaming import WeightedMean, class_probabilities


def brier_score(y: TensorLike, y_pred: TensorLike, from_logits: bool = True) -> float | Array:
    """Mean squared distance of the probabilities from the one-hot label, between 0 and 2.

        1 / n · sum_i sum_c (p_ic - 1[y_i = c])²

    A proper score: its expectation is least at the true probabilities.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: NaN, incompatible shapes, or invalid values.

    Example:

    >>> brier_score([0], [[0.5, 0.5]], from_logits=False)
    0.5

    When not to use:
        To see calibration alone: accuracy moves it too. Where rare events matter: it hardly tells
        a probability of 1e-3 from one of 1e-6; `negative_log_likelihood` does.

    Migration:
        `sklearn.metrics.brier_score_loss(y, p)` of two classes sums over one of them: it is half
        of this.

    Reference:
        G. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather
        Review 78, 1950.
    """
    labels, probabilities = checked_rows(y, y_pred, from_logits)
    one_hot = np.eye(probabilities.shape[-1])[labels]
    return float_or_array(((probabilities - one_hot) ** 2).sum(-1).mean(-1))


@keras.saving.register_keras_serializable(package="tfphen")
class BrierScore(WeightedMean):
    """Mean squared distance of the probabilities from the one-hot label, over batches.

        sum_i w_i sum_k (p_ik - 1[y_i = k])² / sum_i w_i        between 0 and 2

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

    >>> metric = BrierScore()
    >>> metric.update_state([0, 1], [[0.0, 0.0], [0.0, 0.0]])
    >>> float(metric.result())
    0.5

    When not to use:
        To see calibration alone: accuracy moves it too. Where rare events matter; see
        `NegativeLogLikelihood`.

    Migration:
        `keras.metrics.MeanSquaredError` on one-hot labels and probabilities is this divided by K.

    Reference:
        G. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather
        Review 78, 1950.
    """

    def __init__(
        self,
        from_logits: bool = True,
        name: str = "brier_score",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name, dtype)
        self.from_logits = from_logits

    def values(self, labels: Tensor, predictions: Tensor) -> Tensor:
        probabilities = class_probabilities(predictions, self.from_logits)
        one_hot = ops.one_hot(labels, probabilities.shape[-1], dtype=probabilities.dtype)
        return ops.sum(ops.square(probabilities - one_hot), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits}
