"""Losses that ask for a larger margin the rarer the class: LDAM and its hinge form."""

import keras
import numpy as np
from keras import ops

from tfphen.core import checks
from tfphen.losses.adjusted_logits import adjusted_crossentropy, adjusted_logits
from tfphen.losses.class_counts import (
    checked_class_counts,
    listed_class_counts,
    values_of_classes,
)
from tfphen.losses.class_weighted import ClassWeightedLoss, with_class_weights
from tfphen.losses.sparse_labels import entry_of_label, labels_and_predictions


def _margins(counts, numeric, max_margin: float):
    margins = numeric.power(counts, -0.25)
    return margins * (max_margin / numeric.max(margins, axis=-1, keepdims=True))


def _checked_max_margin(max_margin) -> float:
    return checks.number("max_margin", max_margin, 0)


def _checked_scale(scale) -> float:
    return checks.number("scale", scale, 0, low_open=True)


def ldam_margins(class_counts, max_margin=0.5):
    """Returns the margin of each class, the largest for the rarest.

    With n_k training examples of class k,

        Δ_k = max_margin n_k^(-1/4) / max_j n_j^(-1/4)

    For two classes this ratio minimizes the sum of the generalization bounds of both.

    Args:
        class_counts: Number of training examples of each class, `[..., K]`.
        max_margin: Largest margin, at least 0, in units of the cosine logits.

    Returns:
        A float64 array of the shape of `class_counts`.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1, or a negative `max_margin`.

    Example:

    >>> ldam_margins([5000, 500, 50]).round(4).tolist()
    [0.1581, 0.2812, 0.5]

    When not to use:
        With logits of an ordinary dense layer: margins of this size belong to cosines.

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413, section 3.
    """
    return _margins(checked_class_counts(class_counts), np, _checked_max_margin(max_margin))


def _labels_and_margins(y_true, y_pred, class_counts, max_margin):
    """Returns labels, logits, and the margin at each label's place and 0 at others, `[..., K]`."""
    max_margin = _checked_max_margin(max_margin)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    counts, numeric = values_of_classes("class_counts", class_counts, y_pred, checked_class_counts)
    margins = ops.convert_to_tensor(_margins(counts, numeric, max_margin), y_pred.dtype)
    return labels, y_pred, ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype) * margins


def ldam_loss(y_true, y_pred, class_counts, max_margin=0.5, scale=30.0, class_weights=None):
    """Label-distribution-aware margin loss of cosine logits.

    With margins Δ_k ∝ n_k^(-1/4), the largest of which is `max_margin`, and scale s,

        L = w_y log(1 + Σ_{j ≠ y} exp(s (z_j - z_y + Δ_y)))

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Cosine logits z in [-1, 1], `[..., K]`, not scaled.
        class_counts: Number of training examples of each class, `[K]`, or `[..., K]` with leading
            axes that broadcast against those of `y_pred`, such as `[members, 1, K]`.
        max_margin: Largest margin, at least 0.
        scale: Factor s of the logits, above 0. It is applied here, and nowhere else.
        class_weights: `[K]`, or `[..., K]` like `class_counts`. None stands for ones.

    Returns:
        One weighted loss an example, in nats, `[...]`.

    Raises:
        ValueError: Counts, weights or settings out of their range, or of another number of
            classes; labels and predictions that do not go together.

    Example:

    >>> loss = ldam_loss([0, 1], [[0.5, 0.0], [0.0, 0.5]], class_counts=[1600, 100], scale=4.0)
    >>> [round(float(value), 4) for value in loss]  # margins 0.25 and 0.5
    [0.3133, 0.6931]

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413, section 3.
    """
    scale = _checked_scale(scale)
    labels, y_pred, margins = _labels_and_margins(y_true, y_pred, class_counts, max_margin)
    losses = adjusted_crossentropy(labels, y_pred, scale, -scale * margins)
    return with_class_weights(losses, class_weights, labels, y_pred)


def ldam_hinge_loss(y_true, y_pred, class_counts, max_margin=0.5, class_weights=None):
    """Hinge form of the label-distribution-aware margin loss.

    With the margins Δ of `ldam_loss`,

        L = w_y max(0, max_{j ≠ y} z_j - z_y + Δ_y)

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Cosine logits z in [-1, 1], `[..., K]`.
        class_counts: As in `ldam_loss`.
        max_margin: Largest margin, at least 0.
        class_weights: As in `ldam_loss`.

    Returns:
        One weighted loss an example, `[...]`.

    Raises:
        ValueError: As in `ldam_loss`.

    Example:

    >>> loss = ldam_hinge_loss([0, 1], [[0.5, 0.0], [0.0, 0.25]], class_counts=[1600, 100])
    >>> [float(value) for value in loss]  # margins 0.25 and 0.5
    [0.0, 0.25]

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413, section 3.
    """
    labels, y_pred, margins = _labels_and_margins(y_true, y_pred, class_counts, max_margin)
    lowered = adjusted_logits(y_pred, 1.0, -margins)
    is_label = ops.one_hot(labels, y_pred.shape[-1], dtype="bool")
    best_other = ops.max(ops.where(is_label, -np.inf, lowered), axis=-1)
    losses = ops.relu(best_other - entry_of_label(lowered, labels))
    return with_class_weights(losses, class_weights, labels, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class LDAMLoss(ClassWeightedLoss):
    """Cross-entropy of cosine logits with a larger margin for rarer classes.

    With n_k training examples of class k, cosine logits z, scale s and class weights w,

        Δ_k = max_margin n_k^(-1/4) / max_j n_j^(-1/4)
        L = w_y log(1 + Σ_{j ≠ y} exp(s (z_j - z_y + Δ_y)))

    The logit of the label alone is lowered by its margin before the softmax, in training only:
    predict with argmax of the raw logits. The paper's method combines it with class weights that
    start after the learning rate has dropped, see `DeferredReweighting`; there a batch is divided
    by the sum of its weights, `reduction="mean_with_sample_weight"`.

    Args:
        class_counts: List of the number of training examples of each class.
        max_margin: Margin of the rarest class, at least 0, the setting to tune: 0.5 for the
            paper's CIFAR runs, 0.3 for iNaturalist.
        scale: Factor s of the logits, above 0. The paper's formula has none; its code uses 30,
            and with 1 a model under-fits.
        class_weights: List of K weights of at least 0, or None for ones.
        reduction: As in `ClassWeightedCrossentropy`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Cosine logits in [-1, 1], `[batch, K]`, as `tfphen.layers.NormalizedDense(K)`
            gives them.
        sample_weight: Optional weights of the examples, `[batch]`.

    Returns:
        The loss, in nats: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: A setting out of its range, or labels and predictions that do not go together.

    Example:

    >>> loss = LDAMLoss(class_counts=[1600, 100], scale=4.0)
    >>> float(loss([0, 1], [[0.5, 0.0], [0.0, 0.5]]))
    0.503...
    >>> loss.class_counts
    [1600, 100]

    When not to use:
        With an ordinary `Dense` head: its logits have no bound, so a fixed margin means nothing
        and the scale of 30 makes the first steps huge. When comparing with cross-entropy, compare
        also with `max_margin=0` on the same cosine head: the head alone changes results. With
        balanced classes every margin is `max_margin`.

    Migration:
        PyTorch, `LDAMLoss(cls_num_list, max_m, weight, s)` of the authors:
        `LDAMLoss(cls_num_list, max_margin=max_m, scale=s, class_weights=weight,
        reduction="mean_with_sample_weight")`. Heads that multiply by s themselves must stop.

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413, section 3.
    """

    function = staticmethod(ldam_loss)

    def __init__(
        self,
        class_counts,
        max_margin=0.5,
        scale=30.0,
        class_weights=None,
        reduction="sum_over_batch_size",
        name="ldam_loss",
        dtype=None,
    ):
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "max_margin": _checked_max_margin(max_margin),
            "scale": _checked_scale(scale),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class LDAMHingeLoss(ClassWeightedLoss):
    """Hinge loss of cosine logits with a larger margin for rarer classes.

    With the margins Δ of `LDAMLoss`,

        L = w_y max(0, max_{j ≠ y} z_j - z_y + Δ_y)

    Args:
        class_counts: List of the number of training examples of each class.
        max_margin: Margin of the rarest class, at least 0.
        class_weights: List of K weights of at least 0, or None for ones.
        reduction: As in `ClassWeightedCrossentropy`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Cosine logits in [-1, 1], `[batch, K]`.
        sample_weight: Optional weights of the examples, `[batch]`.

    Returns:
        The loss: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: A setting out of its range, or labels and predictions that do not go together.

    Example:

    >>> float(LDAMHingeLoss([1600, 100])([0, 1], [[0.5, 0.0], [0.0, 0.25]]))
    0.125

    When not to use:
        With many classes: only one wrong class gets a gradient, and the paper found it unstable
        on CIFAR-100. An example beyond its margin has no gradient at all.

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413, section 3.
    """

    function = staticmethod(ldam_hinge_loss)

    def __init__(
        self,
        class_counts,
        max_margin=0.5,
        class_weights=None,
        reduction="sum_over_batch_size",
        name="ldam_hinge_loss",
        dtype=None,
    ):
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "max_margin": _checked_max_margin(max_margin),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)
