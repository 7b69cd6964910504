"""Expected calibration error (ECE)."""

from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.metrics.calibration.bins import bin_of, mean_of_gaps
from tfphen.metrics.calibration.streamed_bins import sums_in_bins
from tfphen.metrics.probabilities import checked_rows, float_or_array
from tfphen.metrics.streaming import StreamedMetric, class_probabilities


def expected_calibration_error(
    y: TensorLike, y_pred: TensorLike, num_bins: int = 15, from_logits: bool = True
) -> float | Array:
    """Mean distance of confidence and accuracy over bins of equal width (ECE).

    With the confidence max_c p_c of each example, and n_b examples in bin b of B:

        ECE = sum_b n_b / n · |accuracy of bin b - mean confidence of bin b|

    Bin b = 1..B is ((b - 1) / B, b / B]: closed above, so that a confidence of 1 is in the last;
    a confidence at an edge b / B (as float64) is in the bin below it. Empty bins count nothing.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        num_bins: Number of bins B.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A fraction in [0, 1]: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: `num_bins` is not a positive integer, NaN, incompatible shapes, or
            invalid values.

    Example:

    >>> expected_calibration_error([0, 1], [[0.75, 0.25], [0.75, 0.25]], from_logits=False)
    0.25

    When not to use:
        On few examples: a calibrated model has an error of about .4 sqrt(2 b / (π n)) with n
        examples spread over b of the bins (.05 for 500 and 10), so compare at equal n and B.
        As an objective: predicting class frequencies everywhere has no error and is useless; use
        `brier_score` or `negative_log_likelihood`. For classes that are not the most probable:
        use `classwise_calibration_error`.

    Migration:
        `tfp.stats.expected_calibration_error(num_bins, logits=, labels_true=)` closes its bins
        below, which differs only for confidences at an edge. In `model.compile` use
        `tfphen.metrics.ExpectedCalibrationError`.

    Reference:
        C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599,
        equation 3.
    """
    num_bins = checks.whole("num_bins", num_bins)
    labels, probabilities = checked_rows(y, y_pred, from_logits)
    confidence = probabilities.max(-1)
    hit = probabilities.argmax(-1) == labels
    return float_or_array(mean_of_gaps(hit - confidence, bin_of(confidence, num_bins), num_bins))


@keras.saving.register_keras_serializable(package="tfphen")
class ExpectedCalibrationError(StreamedMetric):
    """Mean distance of confidence and accuracy over bins of equal width (ECE), over batches.

    With confidences c_i = max_k p_ik, weights w_i and bins b = 1..B, ((b - 1) / B, b / B]:

        ECE = sum_b |sum_{i in b} w_i (1[argmax_k p_ik = y_i] - c_i)| / sum_i w_i

    Each batch adds to B sums, so the value does not depend on how examples are batched; without
    weights it is `tfphen.metrics.expected_calibration_error` of all of them, whose page says more
    of the bins. Predictions in 16 bits are computed with in float32, and so are the sums.

    Args:
        num_bins: Number of bins B.
        from_logits: Whether predictions are logits.
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`, K ≥ 2.
        sample_weight: Weights, of the shape of the labels or of their first axes. Examples of
            weight 0 count nothing. A Keras mask of `y_pred` is a factor.

    Raises:
        ValueError: `num_bins` is not a positive integer, or incompatible shapes; in
            eager calls also NaN and labels that are not integers of 0..K-1.

    Example:

    >>> metric = ExpectedCalibrationError(from_logits=False)
    >>> metric.update_state([0], [[0.75, 0.25]])
    >>> metric.update_state([1], [[0.75, 0.25]])
    >>> float(metric.result())
    0.25
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", "mse", metrics=[ExpectedCalibrationError(num_bins=10)])

    When not to use:
        As the value of a training epoch: the weights move while the sums are taken, and a model
        that was over-confident one way early and the other way late comes out calibrated. Use
        validation data. See also the function's page: few examples, many classes.
        Between replicas: the number shown while an epoch runs is the mean of the replicas' own
        errors, larger as a rule; the one at the end of the epoch and of `evaluate` is right.

    Migration:
        `tfp.stats.expected_calibration_error` is of one batch and cannot be compiled by XLA. As
        every Keras metric, make it inside `strategy.scope()` to train on several replicas.

    Reference:
        C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599,
        equation 3.
    """

    def __init__(
        self,
        num_bins: int = 15,
        from_logits: bool = True,
        name: str = "expected_calibration_error",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name, dtype)
        self.num_bins = checks.whole("num_bins", num_bins)
        self.from_logits = from_logits
        self.gaps = self.add_sum((self.num_bins,), "gaps")
        self.weight = self.add_sum((), "weight")

    def update_state(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        labels, predictions, weights = self.examples(y_true, y_pred, sample_weight)
        probabilities = class_probabilities(predictions, self.from_logits)
        # With an initial value a batch of no examples, as one replica may get, is no error.
        confidence = ops.max(probabilities, axis=-1, initial=0.0)
        hit = ops.equal(ops.cast(ops.argmax(probabilities, axis=-1), "int32"), labels)
        gaps = self.weighted(ops.cast(hit, confidence.dtype) - confidence, weights)
        self.gaps.assign_add(sums_in_bins(gaps, confidence, self.num_bins))
        self.weight.assign_add(ops.sum(weights))

    def result(self) -> Tensor:
        return ops.cast(self.quotient(ops.sum(ops.abs(self.gaps)), self.weight), self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "from_logits": self.from_logits,
        }
