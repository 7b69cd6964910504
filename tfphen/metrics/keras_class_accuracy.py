"""Keras metrics of accuracy class by class, for test sets with a long tail."""

import keras
from keras import ops

from tfphen.core import checks
from tfphen.metrics.keras_streaming import StreamedMetric


class ClassAccuracyMetric(StreamedMetric):
    """Counts right predictions and examples of each class.

    Args:
        num_classes: Number of classes K.
        name: Of the metric.
        dtype: Of its result.
    """

    def __init__(self, num_classes, name, dtype):
        super().__init__(name, dtype)
        self.num_classes = checks.whole("num_classes", num_classes, 2)
        self.hits = self.add_sum((self.num_classes,), "hits")
        self.weight = self.add_sum((self.num_classes,), "weight")

    def update_state(self, y_true, y_pred, sample_weight=None):
        labels, predictions, weights = self.examples(y_true, y_pred, sample_weight)
        self.check_classes(predictions)
        of_class = ops.one_hot(labels, self.num_classes, dtype=self.sum_dtype)
        of_class = self.weighted(of_class, weights)
        hit = ops.equal(ops.cast(ops.argmax(predictions, axis=-1), "int32"), labels)
        hit = ops.expand_dims(ops.cast(hit, self.sum_dtype), -1)
        self.hits.assign_add(ops.sum(of_class * hit, axis=0))
        self.weight.assign_add(ops.sum(of_class, axis=0))

    def class_accuracies(self):
        """Returns the accuracy on each class, 0 where there was no example, and where there was."""
        seen = ops.not_equal(self.weight, 0)
        return self.quotient(self.hits, self.weight), seen

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}


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
        name: Of the metric.
        dtype: Of its result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`.
        sample_weight: Weights within a class, of the shape of the labels or of their first axes.
            One weight for all examples of a class changes nothing.

    Raises:
        ValueError: `num_classes` below 2 or not the last axis of `y_pred`, or shapes that do not
            go together; in eager calls also NaN and labels that are not integers of 0..K-1.

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

    def __init__(self, num_classes, name="balanced_accuracy", dtype=None):
        super().__init__(num_classes, name, dtype)

    def result(self):
        accuracies, seen = self.class_accuracies()
        count = ops.sum(ops.cast(seen, self.sum_dtype))
        return ops.cast(self.quotient(ops.sum(accuracies), count), self.dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class WorstClassAccuracy(ClassAccuracyMetric):
    """Least accuracy on a class, over batches.

        worst-class accuracy = min_c (sum_{i: y_i = c} w_i 1[argmax_k y_pred_ik = c]
                                      / sum_{i: y_i = c} w_i)

    over the classes that had an example; 0 before the first.

    Args:
        num_classes: Number of classes K.
        name: Of the metric.
        dtype: Of its result.

    Call arguments:
        y_true: Integer labels, `[...]` or `[..., 1]`.
        y_pred: Logits or probabilities, `[..., K]`.
        sample_weight: As in `BalancedAccuracy`.

    Raises:
        ValueError: As `BalancedAccuracy`.

    Example:

    >>> metric = WorstClassAccuracy(num_classes=2)
    >>> metric.update_state([0, 0, 1], [[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    >>> float(metric.result())
    0.5

    When not to use:
        To stop training early with few validation examples a class: the least of many noisy
        numbers is the noisiest.

    Reference:
        S. Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020,
        arXiv 1911.08731, for the worst group.
    """

    def __init__(self, num_classes, name="worst_class_accuracy", dtype=None):
        super().__init__(num_classes, name, dtype)

    def result(self):
        accuracies, seen = self.class_accuracies()
        least = ops.min(ops.where(seen, accuracies, ops.ones_like(accuracies)))
        # Without any class seen the minimum over none is 1.
        return ops.cast(ops.where(ops.any(seen), least, ops.zeros_like(least)), self.dtype)
