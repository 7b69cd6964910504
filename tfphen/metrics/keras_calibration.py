"""Keras metrics of calibration: streamed over batches they equal the functions on all examples."""

import keras
from keras import ops

from tfphen.core import checks
from tfphen.losses.sparse_labels import entry_of_label
from tfphen.metrics.keras_streaming import StreamedMetric, WeightedMean, sums_in_bins


def _probabilities(predictions, from_logits: bool):
    return ops.softmax(predictions, axis=-1) if from_logits else predictions


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
        name: Of the metric.
        dtype: Of its result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`, K ≥ 2.
        sample_weight: Weights, of the shape of the labels or of their first axes. Examples of
            weight 0 count nothing. A Keras mask of `y_pred` is a factor.

    Raises:
        ValueError: `num_bins` is not a positive integer, or shapes that do not go together; in
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
        self, num_bins=15, from_logits=True, name="expected_calibration_error", dtype=None
    ):
        super().__init__(name, dtype)
        self.num_bins = checks.whole("num_bins", num_bins)
        self.from_logits = from_logits
        self.gaps = self.add_sum((self.num_bins,), "gaps")
        self.weight = self.add_sum((), "weight")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, predictions, weights = self.examples(y_true, y_pred, sample_weight)
        probabilities = _probabilities(predictions, self.from_logits)
        # With an initial value a batch of no examples, as one replica may get, is no error.
        confidence = ops.max(probabilities, axis=-1, initial=0.0)
        hit = ops.equal(ops.cast(ops.argmax(probabilities, axis=-1), "int32"), labels)
        gaps = self.weighted(ops.cast(hit, confidence.dtype) - confidence, weights)
        self.gaps.assign_add(sums_in_bins(gaps, confidence, self.num_bins))
        self.weight.assign_add(ops.sum(weights))

    def result(self):
        return ops.cast(self.quotient(ops.sum(ops.abs(self.gaps)), self.weight), self.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "from_logits": self.from_logits,
        }


@keras.saving.register_keras_serializable(package="tfphen")
class ClasswiseCalibrationError(StreamedMetric):
    """Calibration error of every class's probability, averaged over classes, over batches.

    With weights w_i and the bins of `ExpectedCalibrationError` on each class's probability:

        1 / K · sum_k sum_b |sum_{i: p_ik in b} w_i (1[y_i = k] - p_ik)| / sum_i w_i

    Without weights it is `tfphen.metrics.classwise_calibration_error` of all examples, however
    they are batched.

    Args:
        num_classes: Number of classes K.
        num_bins: Number of bins B.
        from_logits: Whether predictions are logits.
        name: Of the metric.
        dtype: Of its result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`.
        sample_weight: As in `ExpectedCalibrationError`.

    Raises:
        ValueError: `num_classes` below 2 or not the last axis of `y_pred`, `num_bins` that is not
            a positive integer, or shapes that do not go together; in eager calls also NaN and
            labels that are not integers of 0..K-1.

    Example:

    >>> metric = ClasswiseCalibrationError(num_classes=3, from_logits=False)
    >>> metric.update_state([0, 1], [[0.75, 0.25, 0.0], [0.75, 0.25, 0.0]])
    >>> float(metric.result())  # (.25 + .25 + 0) / 3
    0.16666...

    When not to use:
        With thousands of classes on small devices: it does B sums over `[batch, K]` a step. To
        compare problems with different K, see the function's page.

    Reference:
        M. Kull et al., "Beyond temperature scaling", NeurIPS 2019, arXiv 1910.12656; J. Nixon et
        al., "Measuring Calibration in Deep Learning", CVPR workshops 2019, arXiv 1904.01685.
    """

    def __init__(
        self,
        num_classes,
        num_bins=15,
        from_logits=True,
        name="classwise_calibration_error",
        dtype=None,
    ):
        super().__init__(name, dtype)
        self.num_classes = checks.whole("num_classes", num_classes, 2)
        self.num_bins = checks.whole("num_bins", num_bins)
        self.from_logits = from_logits
        self.gaps = self.add_sum((self.num_bins, self.num_classes), "gaps")
        self.weight = self.add_sum((), "weight")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, predictions, weights = self.examples(y_true, y_pred, sample_weight)
        self.check_classes(predictions)
        probabilities = _probabilities(predictions, self.from_logits)
        one_hot = ops.one_hot(labels, self.num_classes, dtype=probabilities.dtype)
        gaps = self.weighted(one_hot - probabilities, weights)
        self.gaps.assign_add(sums_in_bins(gaps, probabilities, self.num_bins))
        self.weight.assign_add(ops.sum(weights))

    def result(self):
        error = self.quotient(ops.sum(ops.abs(self.gaps)), self.weight) / self.num_classes
        return ops.cast(error, self.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_bins": self.num_bins,
            "from_logits": self.from_logits,
        }


@keras.saving.register_keras_serializable(package="tfphen")
class BrierScore(WeightedMean):
    """Mean squared distance of the probabilities from the one-hot label, over batches.

        sum_i w_i sum_k (p_ik - 1[y_i = k])² / sum_i w_i        between 0 and 2

    Args:
        from_logits: Whether predictions are logits.
        name: Of the metric.
        dtype: Of its result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`, K ≥ 2.
        sample_weight: As in `ExpectedCalibrationError`.

    Raises:
        ValueError: Shapes that do not go together; in eager calls also NaN and labels that are
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

    def __init__(self, from_logits=True, name="brier_score", dtype=None):
        super().__init__(name, dtype)
        self.from_logits = from_logits

    def values(self, labels, predictions):
        probabilities = _probabilities(predictions, self.from_logits)
        one_hot = ops.one_hot(labels, probabilities.shape[-1], dtype=probabilities.dtype)
        return ops.sum(ops.square(probabilities - one_hot), axis=-1)

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}


@keras.saving.register_keras_serializable(package="tfphen")
class NegativeLogLikelihood(WeightedMean):
    """Mean of -log p_y in nats over batches, without clipping.

        -sum_i w_i log p_i,y_i / sum_i w_i

    Args:
        from_logits: Whether predictions are logits.
        name: Of the metric.
        dtype: Of its result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`, K ≥ 2.
        sample_weight: As in `ExpectedCalibrationError`.

    Raises:
        ValueError: Shapes that do not go together; in eager calls also NaN and labels that are
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

    def __init__(self, from_logits=True, name="negative_log_likelihood", dtype=None):
        super().__init__(name, dtype)
        self.from_logits = from_logits

    def values(self, labels, predictions):
        log_probabilities = ops.log_softmax if self.from_logits else ops.log
        return -entry_of_label(log_probabilities(predictions), labels)

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}
