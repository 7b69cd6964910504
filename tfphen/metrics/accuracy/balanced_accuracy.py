"""Balanced accuracy: the mean of per-class accuracies."""

import keras
import numpy as np
from keras import ops

from tfphen.core.types import Tensor, TensorLike
from tfphen.metrics.accuracy.class_accuracies import class_accuracies
from tfphen.metrics.accuracy.streamed_class_accuracies import ClassAccuracyMetric


def balanced_accuracy(y: TensorLike, y_pred: TensorLike) -> float:
    """Mean over classes of the accuracy on each: every class weighs the same.

        balanced accuracy = mean_c accuracy_c        (over the classes with an example)

    Args:
        y: Integer labels, `[n]` or `[n, 1]`.
        y_pred: Logits or probabilities, `[n, K]`, K ≥ 2.

    Returns:
        A fraction in [0, 1]. One minus it is the balanced error of the long-tail literature.

    Raises:
        ValueError: As `class_accuracies`.

    Example:

    >>> balanced_accuracy([0, 0, 1], [[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    0.75

    When not to use:
        Where classes have few test examples each: its standard error is that of the rarest. On a
        balanced test set, where it is the accuracy.

    Migration:
        `sklearn.metrics.balanced_accuracy_score(y, y_pred.argmax(-1))` is the same.

    Reference:
        K. Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution", ICPR 2010.
    """
    return float(np.nanmean(class_accuracies(y, y_pred)))


@keras.saving.register_keras_serializable(package="tfphen")
class BalancedAccuracy(ClassAccuracyMetric):
    """Mean over classes of the accuracy on each, over batches: every class weighs the same.

        balanced accuracy = mean_c (sum_{i: y_i = c} w_i 1[argmax_k y_pred_ik = c]
                                    / sum_{i: y_i = c} w_i)

    over the classes that had an example. Without weights it is `tfphen.metrics.balanced_accuracy`
    of all examples, however they are batched; the mean of the batches' own values is another
    number, since most batches lack the rare classes.

    Args:
        num_classes: Number of classes K.
        name: Name of the metric.
        dtype: Dtype of the result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`.
        sample_weight: Weights within a class, of the shape of the labels or of their first axes.
            One weight for all examples of a class changes nothing.

    Raises:
        ValueError: `num_classes` below 2 or not the last axis of `y_pred`, or incompatible
            shapes; in eager calls also NaN and labels that are not integers of 0..K-1.

    Example:

    >>> metric = BalancedAccuracy(num_classes=2)
    >>> metric.update_state([0, 0], [[2.0, 0.0], [0.0, 1.0]])
    >>> metric.update_state([1], [[0.0, 3.0]])
    >>> float(metric.result())
    0.75

    When not to use:
        Between replicas for the number shown while an epoch runs, which is the mean of the
        replicas' own; the one at the end of the epoch and of `evaluate` is right.

    Migration:
        `sklearn.metrics.balanced_accuracy_score` on the argmax of `model.predict`; `Recall` of
        Keras with a class_id, averaged over classes.

    Reference:
        K. Brodersen et al., "The Balanced Accuracy and Its Posterior Distribution", ICPR 2010.
    """

    def __init__(
        self,
        num_classes: int,
        name: str = "balanced_accuracy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(num_classes, name, dtype)

    def result(self) -> Tensor:
        accuracies, seen = self.class_accuracies()
        count = ops.sum(ops.cast(seen, self.sum_dtype))
        return ops.cast(self.quotient(ops.sum(accuracies), count), self.dtype)
