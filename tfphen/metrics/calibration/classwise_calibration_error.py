"""Classwise calibration error, also called static calibration error."""

from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.metrics.calibration.bins import bin_of, gaps_of_classes, mean_of_gaps
from tfphen.metrics.calibration.streamed_bins import sums_in_bins
from tfphen.metrics.probabilities import checked_rows, float_or_array
from tfphen.metrics.streaming import StreamedMetric, class_probabilities


def classwise_calibration_error(
    y: TensorLike, y_pred: TensorLike, num_bins: int = 15, from_logits: bool = True
) -> float | Array:
    """Calibration error of every class's probability, averaged over classes.

    With the n_bk examples whose probability of class k is in bin b of B:

        1 / K · sum_k sum_b n_bk / n · |share of label k - mean p_k in the bin|

    Bins are those of `expected_calibration_error`. Also called static calibration error.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        num_bins: Number of bins B.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A fraction in [0, 2 / K]: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: As `expected_calibration_error`.

    Example:

    >>> p = [[0.75, 0.25, 0.0], [0.75, 0.25, 0.0]]
    >>> round(classwise_calibration_error([0, 1], p, from_logits=False), 6)  # (.25 + .25 + 0) / 3
    0.166667

    When not to use:
        To compare problems with different numbers of classes: most of the K probabilities are
        near 0 and share one bin, so the value falls like 1 / K. With many classes and bins of
        equal width use `adaptive_calibration_error`.

    Reference:
        M. Kull et al., "Beyond temperature scaling", NeurIPS 2019, arXiv 1910.12656; J. Nixon et
        al., "Measuring Calibration in Deep Learning", CVPR workshops 2019, arXiv 1904.01685.
    """
    num_bins = checks.whole("num_bins", num_bins)
    of_class, gaps = gaps_of_classes(*checked_rows(y, y_pred, from_logits))
    return float_or_array(mean_of_gaps(gaps, bin_of(of_class, num_bins), num_bins).mean(-1))


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
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`.
        sample_weight: As in `ExpectedCalibrationError`.

    Raises:
        ValueError: `num_classes` below 2 or not the last axis of `y_pred`, `num_bins` that is not
            a positive integer, or incompatible shapes; in eager calls also NaN and
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
        num_classes: int,
        num_bins: int = 15,
        from_logits: bool = True,
        name: str = "classwise_calibration_error",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(name, dtype)
        self.num_classes = checks.whole("num_classes", num_classes, 2)
        self.num_bins = checks.whole("num_bins", num_bins)
        self.from_logits = from_logits
        self.gaps = self.add_sum((self.num_bins, self.num_classes), "gaps")
        self.weight = self.add_sum((), "weight")

    def update_state(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        labels, predictions, weights = self.examples(y_true, y_pred, sample_weight)
        self.check_classes(predictions)
        probabilities = class_probabilities(predictions, self.from_logits)
        one_hot = ops.one_hot(labels, self.num_classes, dtype=probabilities.dtype)
        gaps = self.weighted(one_hot - probabilities, weights)
        self.gaps.assign_add(sums_in_bins(gaps, probabilities, self.num_bins))
        self.weight.assign_add(ops.sum(weights))

    def result(self) -> Tensor:
        error = self.quotient(ops.sum(ops.abs(self.gaps)), self.weight) / self.num_classes
        return ops.cast(error, self.dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_bins": self.num_bins,
            "from_logits": self.from_logits,
        }
