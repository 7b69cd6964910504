"""Base of the streaming Keras metrics: flattened examples, weights, and sums over batches."""

from typing import Any

import keras
from keras import ops

from tfphen.core import keras_internals
from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.sparse_labels import labels_and_predictions


def class_probabilities(predictions: Tensor, from_logits: bool) -> Tensor:
    """Returns probabilities `[..., K]` of logits or probabilities `[..., K]`."""
    return ops.softmax(predictions, axis=-1) if from_logits else predictions


class StreamedMetric(keras.metrics.Metric):
    """A metric that is a function of sums over examples.

    Computed in float32, or in float64 with that dtype, never in 16 bits. Keras keeps one copy of
    them on each replica of a `tf.distribute` strategy and adds the copies up when the value is
    read outside of a step.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result; "float64" is that of the computations too.
    """

    def __init__(self, name: str, dtype: str | keras.DTypePolicy | None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.sum_dtype = "float64" if self.dtype == "float64" else "float32"

    def add_sum(self, shape: tuple[int, ...], name: str) -> Any:
        """Returns a variable that starts at 0 and to which batches are added."""
        return self.add_variable(shape, "zeros", dtype=self.sum_dtype, name=name)

    def examples(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Returns labels `[N]`, predictions `[N, K]` and weights `[N]`, all axes but K in one.

        Raises:
            ValueError: Incompatible shapes, or fewer than two classes.
        """
        mask = keras_internals.mask_of(y_pred)
        labels, y_pred = labels_and_predictions(y_true, y_pred)
        if self.sum_dtype == "float64":
            y_pred = ops.cast(y_pred, self.sum_dtype)
        classes = y_pred.shape[-1]
        if classes is None or classes < 2:
            raise ValueError(
                "`y_pred` must have shape (..., K) with K >= 2 known beforehand. For one sigmoid "
                f"output p stack 1 - p and p. Received: y_pred.shape={tuple(y_pred.shape)}"
            )
        weights = ops.ones_like(labels, dtype=self.sum_dtype)
        for factor in (sample_weight, mask):
            if factor is not None:
                weights = weights * self._factor(factor, labels)
        flat = ops.reshape(labels, (-1,)), ops.reshape(y_pred, (-1, classes))
        return *flat, ops.reshape(weights, (-1,))

    def check_classes(self, predictions: Tensor) -> None:
        """Raises ValueError unless predictions `[N, K]` have the `num_classes` of the metric."""
        if predictions.shape[-1] != self.num_classes:
            raise ValueError(
                "`num_classes` must be the last axis of `y_pred`. Received: "
                f"num_classes={self.num_classes}, y_pred of {predictions.shape[-1]} classes"
            )

    def _factor(self, weights: TensorLike, labels: Tensor) -> Tensor:
        """Returns weights with as many axes as the labels `[...]`, to broadcast against them."""
        given = ops.convert_to_tensor(weights)
        weights, rank = ops.cast(given, self.sum_dtype), len(labels.shape)
        if len(weights.shape) == rank + 1 and weights.shape[-1] == 1:
            weights = ops.squeeze(weights, -1)
        missing = rank - len(weights.shape)
        sizes = zip(weights.shape, labels.shape, strict=False)
        fits = all(w in (1, None) or size in (w, None) for w, size in sizes)
        if missing < 0 or not fits:
            raise ValueError(
                "`sample_weight` must have the shape of the labels or of their first axes. "
                f"Received: sample_weight.shape={tuple(given.shape)}, labels of shape "
                f"{tuple(labels.shape)}"
            )
        for _ in range(missing):
            weights = ops.expand_dims(weights, -1)
        return weights

    def weighted(self, values: Tensor, weights: Tensor) -> Tensor:
        """Returns values `[N, ...]` times weights `[N]`; 0 for weight 0, whatever the value."""
        for _ in range(len(values.shape) - 1):
            weights = ops.expand_dims(weights, -1)
        product = ops.cast(values, self.sum_dtype) * weights
        return ops.where(ops.equal(weights, 0), ops.zeros_like(product), product)

    def quotient(self, total: Tensor, weight: Tensor) -> Tensor:
        """Returns total / weight, and 0 where there was no weight yet."""
        # `divide_no_nan` of Keras works in float32 on PyTorch, whatever it is given.
        total, weight = ops.convert_to_tensor(total), ops.convert_to_tensor(weight)
        nothing = ops.equal(weight, 0)
        ratio = total / ops.where(nothing, ops.ones_like(weight), weight)
        return ops.where(nothing, ops.zeros_like(ratio), ratio)


class WeightedMean(StreamedMetric):
    """The weighted mean over examples of what `values` returns.

    Args:
        name: Name of the metric.
        dtype: Dtype of the result.
    """

    def __init__(self, name: str, dtype: str | keras.DTypePolicy | None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_sum((), "total")
        self.weight = self.add_sum((), "weight")

    def values(self, labels: Tensor, predictions: Tensor) -> Tensor:
        """Returns one value per example, `[N]`, of labels `[N]` and predictions `[N, K]`."""
        raise NotImplementedError

    def update_state(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        labels, predictions, weights = self.examples(y_true, y_pred, sample_weight)
        values = self.values(labels, predictions)
        self.total.assign_add(ops.sum(self.weighted(values, weights)))
        self.weight.assign_add(ops.sum(weights))

    def result(self) -> Tensor:
        return ops.cast(self.quotient(self.total, self.weight), self.dtype)
