"""Binary cross-entropy of each class's softmax probability: the loss of manifold mixup's tables."""

import keras
from keras import ops

from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import labels_and_predictions, log_probabilities

# PyTorch's BCELoss keeps its logarithms above this.
_SMALLEST_LOG = -100.0


def softmax_binary_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = True
) -> Tensor:
    """Binary cross-entropy between the label's indicator and softmax probabilities, class by class.

        L = -(1/K) [log p_y + Σ_{j ≠ y} log(1 - p_j)],    p = softmax(z)

    with both logarithms kept above -100, as PyTorch's BCELoss does; below that there is no
    gradient. log(1 - p_j) is the log-sum-exp of the other logits minus that of all.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, or probabilities with `from_logits=False`, `[..., K]`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss per example, the mean over the classes, in nats, `[...]`.

    Raises:
        ValueError: Incompatible shapes.

    Example:

    >>> loss = softmax_binary_crossentropy([3], [[0.0] * 10])
    >>> float(loss[0])  # (log 10 + 9 log(10 / 9)) / 10
    0.32508...

    Reference:
        V. Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States",
        ICML 2019, arXiv 1806.05236, appendix C and the published code.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    logs = log_probabilities(y_pred, from_logits)
    classes = ops.arange(logs.shape[-1], dtype="int32")
    # 1 - p loses its digits only for a class with more than half of the probability: there is one
    # at most, the first among the largest, and its others are summed directly.
    first = ops.cast(ops.argmax(logs, axis=-1), "int32")
    largest = ops.equal(ops.expand_dims(first, -1), classes)
    others = ops.logsumexp(ops.where(largest, -1e9, logs), axis=-1, keepdims=True)
    small = ops.where(largest, 0.0, ops.exp(logs))
    complements = ops.where(largest, others, ops.log1p(-small))
    own = ops.equal(ops.expand_dims(labels, -1), classes)
    terms = ops.maximum(ops.where(own, logs, complements), _SMALLEST_LOG)
    return -ops.mean(terms, axis=-1)


@keras.saving.register_keras_serializable(package="tfphen")
class SoftmaxBinaryCrossentropy(FunctionalLoss):
    """Binary cross-entropy of softmax probabilities, the loss behind manifold mixup's tables.

        L = -(1/K) [log p_y + Σ_{j ≠ y} log(1 - p_j)],    p = softmax(z)

    With two classes it is the softmax cross-entropy. With more it is about 1/K of it, so a learning
    rate and a weight decay tuned with one do not carry over to the other. It is linear in the
    label's indicator: mixtures of labels are mixtures of losses, as `ManifoldMixup` uses them.

    Args:
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: Incompatible shapes.

    Example:

    >>> loss = SoftmaxBinaryCrossentropy()
    >>> float(loss([1], [[0.0, 0.0]]))
    0.69314...

    When not to use:
        Anywhere but to repeat runs that were made with it: the softmax cross-entropy has the same
        minimizer, and published negative log-likelihoods are those of the latter.

    Migration:
        From PyTorch: `nn.BCELoss()(softmax(z), one_hot(y))`, with the same clamp at -100 and the
        mean over all B K entries. `keras.losses.BinaryCrossentropy` clips probabilities at 1e-7 and
        takes one-hot labels.

    Reference:
        V. Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States",
        ICML 2019, arXiv 1806.05236, appendix C and the published code.
    """

    function = staticmethod(softmax_binary_crossentropy)

    def __init__(
        self,
        from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "softmax_binary_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({"from_logits": bool(from_logits)}, reduction, name, dtype)
