"""Cross-entropy with class weights, and the base of all class-weighted losses.

A weighted mean can divide by the number of examples or by the sum of their weights. The two are
different objectives, so the reduction is an argument of the class; the functions return one
weighted loss an example.
"""

import keras
from keras import ops

from tfphen.core import keras_internals
from tfphen.core.types import Tensor, TensorLike
from tfphen.layers.replicas import sum_over_replicas
from tfphen.losses.class_counts import (
    checked_class_weights,
    value_of_label,
    values_of_classes,
)
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import entry_of_label, labels_and_predictions, log_probabilities


def weights_of_labels(class_weights: TensorLike, labels: Tensor, y_pred: Tensor) -> Tensor:
    """Returns the class weight of each example, `[...]`, in the dtype of `y_pred`.

    Args:
        class_weights: `[K]`, or `[..., K]` that broadcasts against `y_pred`.
        labels: Integers, `[...]`.
        y_pred: Predictions, `[..., K]`, which give the number of classes.

    Raises:
        ValueError: No class weights, or for another number of classes.
    """
    weights, _ = values_of_classes("class_weights", class_weights, y_pred, checked_class_weights)
    return value_of_label(ops.convert_to_tensor(weights, y_pred.dtype), labels)


def with_class_weights(
    losses: Tensor, class_weights: TensorLike | None, labels: Tensor, y_pred: Tensor
) -> Tensor:
    """Returns losses `[...]` times the weight of each label; the same losses for None."""
    if class_weights is None:
        return losses
    return losses * weights_of_labels(class_weights, labels, y_pred)


class ClassWeightedLoss(FunctionalLoss):
    """Base of losses that multiply the loss of each example by the weight of its class.

    With `reduction="mean_with_sample_weight"` the result is divided by the sum of class weight
    times sample weight over the batch, over all replicas of it: with Keras's own class each
    replica would divide by its own sum, which is another number.

    Args:
        settings: As in `FunctionalLoss`, with `"class_weights"`, a list `[K]` or None, after
            `"class_counts"` where there is one.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Raises:
        ValueError: `class_weights` is not one finite number of at least 0 per class.
    """

    @property
    def class_weights(self) -> list[float] | None:
        """Weights as a list, or None. A compiled training step does not see them change.

        After a change call `model.make_train_function(force=True)`, as `DeferredReweighting` does.
        """
        return self._class_weights

    @class_weights.setter
    def class_weights(self, class_weights: TensorLike | None) -> None:
        if class_weights is not None:
            array = checked_class_weights(class_weights)
            counts = getattr(self, "class_counts", None)
            if array.ndim != 1 or (counts is not None and len(array) != len(counts)):
                shape = "(K,)" if counts is None else f"({len(counts)},), as `class_counts` has"
                raise ValueError(
                    f"`class_weights` must have shape {shape}. "
                    f"Received: class_weights of shape {array.shape}"
                )
            class_weights = array.tolist()
        self._class_weights = class_weights

    def __call__(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> Tensor:
        unweighted = self.class_weights is None and sample_weight is None
        if unweighted or self.reduction != "mean_with_sample_weight":
            return super().__call__(y_true, y_pred, sample_weight)
        mask = keras_internals.mask_of(y_pred)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        losses = self.call(y_true, y_pred)
        given = ops.ones_like(losses)
        if mask is not None:
            given = given * ops.cast(mask, losses.dtype)
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight, dtype=losses.dtype)
            if len(sample_weight.shape) == len(losses.shape) + 1:
                sample_weight = ops.squeeze(sample_weight, -1)
            given = given * sample_weight
        total = ops.sum(losses * given)
        if self.class_weights is not None:
            labels, y_pred = labels_and_predictions(y_true, y_pred)
            given = given * weights_of_labels(self.class_weights, labels, y_pred)
        # Gradients of replicas are added up, so a fraction of the global mean is what each returns.
        return ops.divide_no_nan(total, sum_over_replicas(ops.sum(given)))


def class_weighted_crossentropy(
    y_true: TensorLike,
    y_pred: TensorLike,
    class_weights: TensorLike | None = None,
    from_logits: bool = True,
) -> Tensor:
    """Cross-entropy times the weight of the label's class.

    With p = softmax(y_pred) the loss of label y is

        L = -w_y log p_y

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        class_weights: `[K]`, or `[..., K]` with leading axes that broadcast against those of
            `y_pred`, such as `[members, 1, K]`. None stands for ones.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One weighted loss per example, in nats, `[...]`.

    Raises:
        ValueError: Weights that are negative, not finite or of another number of classes;
            incompatible labels and predictions.

    Example:

    >>> loss = class_weighted_crossentropy([0, 1], [[0.0, 0.0], [0.0, 0.0]], [1.0, 3.0])
    >>> [round(float(value), 4) for value in loss]  # log 2 and 3 log 2
    [0.6931, 2.0794]

    Reference:
        J. Byrd, Z. Lipton, "What is the Effect of Importance Weighting in Deep Learning?",
        ICML 2019, arXiv 1812.03372.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    losses = -entry_of_label(log_probabilities(y_pred, from_logits), labels)
    return with_class_weights(losses, class_weights, labels, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class ClassWeightedCrossentropy(ClassWeightedLoss):
    """Cross-entropy with a weight for each class, and a choice of what it is divided by.

    With p = softmax(y_pred) and w the class weights, the loss of a batch of B examples is

        "sum_over_batch_size":        L = (1 / B) Σ_i w_{y_i} (-log p_{i, y_i})
        "mean_with_sample_weight":    L = Σ_i w_{y_i} (-log p_{i, y_i}) / Σ_i w_{y_i}

    They are different objectives. The first is what Keras's `fit(class_weight=...)` minimizes: a
    weight of 256 makes the steps of its class up to 256 times longer, so weights should have mean
    1 over the training set, as `effective_number_weights(counts, normalization="examples")` gives
    them. The second does not depend on the scale of the weights. Its divisor is summed over the
    replicas of a `tf.distribute` strategy, so that the number of devices changes nothing.

    Sample weights multiply class weights, in both sums.

    Args:
        class_weights: List of K weights of at least 0, in the order of the classes. None stands
            for ones, until `DeferredReweighting` sets others.
        from_logits: Whether predictions are logits.
        reduction: `"sum_over_batch_size"`, `"mean_with_sample_weight"`, `"sum"` or None.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.
        sample_weight: Optional weights of the examples, `[batch]`.

    Returns:
        The loss, in nats: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: `class_weights` is not one finite number of at least 0 per class, or labels and
            predictions are incompatible.

    Example:

    >>> labels, logits = [0, 1], [[0.0, 0.0], [0.0, 2.0]]
    >>> float(ClassWeightedCrossentropy([1.0, 3.0])(labels, logits))
    0.536...
    >>> normalized = ClassWeightedCrossentropy([1.0, 3.0], reduction="mean_with_sample_weight")
    >>> float(normalized(labels, logits))
    0.268...

    When not to use:
        For a network that fits its training set and is trained on: weights then hardly move the
        decision boundary, because the loss is minimized at infinity for any weights. Use `VSLoss`
        or `LDAMLoss`, whose terms stay, regularize, or start the weights late with
        `DeferredReweighting`. For one weight per example rather than per class use `sample_weight`
        with a stock loss.

    Migration:
        Keras: `fit(class_weight={0: a, 1: b})` with `SparseCategoricalCrossentropy` is
        `ClassWeightedCrossentropy([a, b])`; with this class the weights also count in `evaluate`.
        PyTorch: `CrossEntropyLoss(weight=w)` is `ClassWeightedCrossentropy(w,
        reduction="mean_with_sample_weight")`.

    Reference:
        J. Byrd, Z. Lipton, "What is the Effect of Importance Weighting in Deep Learning?",
        ICML 2019, arXiv 1812.03372.
    """

    function = staticmethod(class_weighted_crossentropy)

    def __init__(
        self,
        class_weights: TensorLike | None = None,
        from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "class_weighted_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        settings = {"class_weights": class_weights, "from_logits": from_logits}
        super().__init__(settings, reduction, name, dtype)
