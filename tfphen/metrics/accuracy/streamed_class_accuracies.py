"""Base of the Keras metrics that stream the accuracy on each class over batches."""

from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.metrics.streaming import StreamedMetric


class ClassAccuracyMetric(StreamedMetric):
    """Counts correct predictions and examples of each class.

    Args:
        num_classes: Number of classes K.
        name: Name of the metric.
        dtype: Dtype of the result.
    """

    def __init__(self, num_classes: int, name: str, dtype: str | keras.DTypePolicy | None) -> None:
        super().__init__(name, dtype)
        self.num_classes = checks.whole("num_classes", num_classes, 2)
        self.hits = self.add_sum((self.num_classes,), "hits")
        self.weight = self.add_sum((self.num_classes,), "weight")

    def update_state(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        labels, predictions, weights = self.examples(y_true, y_pred, sample_weight)
        self.check_classes(predictions)
        of_class = ops.one_hot(labels, self.num_classes, dtype=self.sum_dtype)
        of_class = self.weighted(of_class, weights)
        hit = ops.equal(ops.cast(ops.argmax(predictions, axis=-1), "int32"), labels)
        hit = ops.expand_dims(ops.cast(hit, self.sum_dtype), -1)
        self.hits.assign_add(ops.sum(of_class * hit, axis=0))
        self.weight.assign_add(ops.sum(of_class, axis=0))

    def class_accuracies(self) -> tuple[Tensor, Tensor]:
        """Returns the accuracy on each class, 0 where there was no example, and where there was."""
        seen = ops.not_equal(self.weight, 0)
        return self.quotient(self.hits, self.weight), seen

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes}
