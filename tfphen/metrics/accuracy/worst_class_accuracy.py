"""Worst-class accuracy."""

import keras
import numpy as np
from keras import ops

from tfphen.core.types import Tensor, TensorLike
from tfphen.metrics.accuracy.class_accuracies import class_accuracies
from tfphen.metrics.accuracy.streamed_class_accuracies import ClassAccuracyMetric


def worst_class_accuracy(y: TensorLike, y_pred: TensorLike) -> float:
    """Lowest accuracy on any class.

        worst-class accuracy = min_c accuracy_c        (over the classes with an example)

    Args:
        y: Integer labels, `[n]` or `[n, 1]`.
        y_pred: Logits or probabilities, `[n, K]`, K ≥ 2.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: As `class_accuracies`.

    Example:

    >>> worst_class_accuracy([0, 0, 1], [[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    0.5

    When not to use:
        To compare test sets: with more classes, or fewer examples a class, the least of them is
        lower by chance alone.

    Reference:
        S. Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020,
        arXiv 1911.08731, for the worst group.
    """
    return float(np.nanmin(class_accuracies(y, y_pred)))


@keras.saving.register_keras_serializable(package="tfphen")
class WorstClassAccuracy(ClassAccuracyMetric):
    """Lowest accuracy on any class, over batches.

        worst-class accuracy = min_c (sum_{i: y_i = c} w_i 1[argmax_k y_pred_ik = c]
                                      / sum_{i: y_i = c} w_i)

    over the classes that had an example; 0 before the first.

    Args:
        num_classes: Number of classes K.
        name: Name of the metric.
        dtype: Dtype of the result.

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

    def __init__(
        self,
        num_classes: int,
        name: str = "worst_class_accuracy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__(num_classes, name, dtype)

    def result(self) -> Tensor:
        accuracies, seen = self.class_accuracies()
        least = ops.min(ops.where(seen, accuracies, ops.ones_like(accuracies)))
        # Without any class seen the minimum over none is 1.
        return ops.cast(ops.where(ops.any(seen), least, ops.zeros_like(least)), self.dtype)
