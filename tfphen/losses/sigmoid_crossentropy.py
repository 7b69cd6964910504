"""Binary cross-entropy of a sigmoid of each class, summed over classes.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

import math

import keras
from keras import ops

from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import entry_of_label, in_float32, labels_and_predictions


def shifted_logits(y_pred: TensorLike) -> Tensor:
    """Logits minus log K, so that sigmoids of zeros sum to K / (K + 1), almost as softmax does.

    Args:
        y_pred: Logits z, `[..., K]`.

    Returns:
        z - log K, `[..., K]`.

    Example:

    >>> float(shifted_logits([[0.0, 0.0]])[0, 1])  # -log(2)
    -0.69314...

    When not to use:
        Before `sigmoid_crossentropy`, which does it.

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    y_pred = in_float32(y_pred)
    return y_pred - math.log(y_pred.shape[-1])


def sigmoid_crossentropy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Binary cross-entropy of each class, summed over classes, with logits shifted by log K.

    With K classes and u = z - log K:

        l(y, z) = Σₖ log(1 + exp uₖ) - u_y

    Without the shift, K - 1 wrong classes of probability 1/2 each would dominate at the start.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.

    Returns:
        One loss per example, in nats, `[...]`.

    Raises:
        ValueError: Incompatible shapes.

    Example:

    >>> float(sigmoid_crossentropy([1], [[0.0, 0.0]])[0])  # log(3) + log(1.5)
    1.50407...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    shifted = shifted_logits(y_pred)
    return ops.sum(ops.softplus(shifted), axis=-1) - entry_of_label(shifted, labels)


@keras.saving.register_keras_serializable(package="tfphen")
class SigmoidCrossentropy(FunctionalLoss):
    """Binary cross-entropy of each class, summed over classes, with logits shifted by log K.

    With K classes and u = z - log K:

        l(y, z) = Σₖ log(1 + exp uₖ) - u_y

    Predict with argmax of z; the probability of class k alone is sigmoid(z - log K)ₖ.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Logits z, `[batch, K]`.

    Example:

    >>> float(SigmoidCrossentropy()([1], [[0.0, 0.0]]))  # log(3) + log(1.5)
    1.50407...

    When not to use:
        For examples with several labels: this loss takes one label each. For class probabilities
        that sum to 1: those of the sigmoids do not.

    Migration:
        `keras.losses.BinaryCrossentropy(from_logits=True)` on one-hot labels and z - log K is this
        loss divided by K: Keras takes the mean over classes.

    Reference:
        S. Kornblith et al., "Why Do Better Loss Functions Lead to Less Transferable Features?",
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(sigmoid_crossentropy)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "sigmoid_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({}, reduction, name, dtype)
