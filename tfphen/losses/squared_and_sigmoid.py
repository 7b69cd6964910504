"""Two objectives without a softmax: a sigmoid of each class, and squared error.

They belong to the comparison of `transfer_objectives`.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

import math

import keras
from keras import ops

from tfphen.core import checks
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import entry_of_label, labels_and_predictions
from tfphen.losses.transfer_losses import in_float32


def checked_squared_error(kappa, target, scale) -> dict[str, float]:
    """Returns the settings of `squared_error_loss` as floats above 0, by name."""
    given = {"kappa": kappa, "target": target, "scale": scale}
    return {name: checks.number(name, value, 0, low_open=True) for name, value in given.items()}


def shifted_logits(y_pred):
    """Logits less log K: sigmoids of zeros then sum to K / (K + 1), almost as softmax does.

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


def sigmoid_crossentropy(y_true, y_pred):
    """Binary cross-entropy of each class, summed over classes, with logits shifted by log K.

    With K classes and u = z - log K:

        l(y, z) = Σₖ log(1 + exp uₖ) - u_y

    Without the shift, K - 1 wrong classes of probability 1/2 each would dominate at the start.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: Shapes that do not go together.

    Example:

    >>> float(sigmoid_crossentropy([1], [[0.0, 0.0]])[0])  # log(3) + log(1.5)
    1.50407...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    shifted = shifted_logits(y_pred)
    return ops.sum(ops.softplus(shifted), axis=-1) - entry_of_label(shifted, labels)


def squared_error_loss(y_true, y_pred, kappa=9.0, target=60.0, scale=10.0):
    """Squared distance from a scaled one-hot label, the label's own term weighing more.

        l(y, z) = s (κ (z_y - M)² + Σ_{k≠y} zₖ²)

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Outputs z, `[..., K]`.
        kappa: κ, the weight of the label's term, above 0.
        target: M, what the label's output shall be, above 0.
        scale: s, above 0.

    Returns:
        One loss an example, `[...]`.

    Raises:
        ValueError: A setting that is not above 0, or shapes that do not go together.

    Example:

    >>> float(squared_error_loss([1], [[2.0, 1.0]], kappa=3.0, target=2.0, scale=1.0)[0])  # 3 + 4
    7.0

    Reference:
        L. Hui, M. Belkin, "Evaluation of Neural Architectures Trained with Square Loss vs
        Cross-Entropy in Classification Tasks", ICLR 2021, arXiv 2006.07322; S. Kornblith et al.,
        NeurIPS 2021, arXiv 2010.16402.
    """
    values = checked_squared_error(kappa, target, scale)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    of_label = entry_of_label(y_pred, labels)
    # Not all squares less the label's: that would cancel where the label's is large.
    is_label = ops.expand_dims(labels, -1) == ops.arange(y_pred.shape[-1], dtype="int32")
    others = ops.sum(ops.where(is_label, 0.0, ops.square(y_pred)), axis=-1)
    distance = ops.square(of_label - values["target"])
    return values["scale"] * (values["kappa"] * distance + others)


@keras.saving.register_keras_serializable(package="tfphen")
class SigmoidCrossentropy(FunctionalLoss):
    """Binary cross-entropy of each class, summed over classes, with logits shifted by log K.

    With K classes and u = z - log K:

        l(y, z) = Σₖ log(1 + exp uₖ) - u_y

    Predict with argmax of z; the probability of class k alone is sigmoid(z - log K)ₖ.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

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

    def __init__(self, reduction="sum_over_batch_size", name="sigmoid_crossentropy", dtype=None):
        super().__init__({}, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class SquaredErrorLoss(FunctionalLoss):
    """Squared distance from a scaled one-hot label, the label's own term weighing more.

        l(y, z) = s (κ (z_y - M)² + Σ_{k≠y} zₖ²)

    Args:
        kappa: κ, the weight of the label's term, above 0.
        target: M, what the label's output shall be, above 0.
        scale: s, above 0.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Outputs z, `[batch, K]`.

    Raises:
        ValueError: A setting that is not above 0.

    Example:

    >>> loss = SquaredErrorLoss(kappa=3.0, target=2.0, scale=1.0)
    >>> float(loss([1], [[2.0, 1.0]]))  # 3 + 4
    7.0

    When not to use:
        With the published defaults on a small network: κ = 9, M = 60, s = 10 were tuned for
        ResNet-50 on 1000 classes; start from 1, 3 and 1 with ten. For features that shall transfer
        by a linear readout: this objective's transfer worst. For probabilities: these are
        no logits.

    Migration:
        `keras.losses.MeanSquaredError` on one-hot labels is this loss with `kappa=target=1` and
        `scale=1 / K`.

    Reference:
        L. Hui, M. Belkin, "Evaluation of Neural Architectures Trained with Square Loss vs
        Cross-Entropy in Classification Tasks", ICLR 2021, arXiv 2006.07322; S. Kornblith et al.,
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(squared_error_loss)

    def __init__(
        self,
        kappa=9.0,
        target=60.0,
        scale=10.0,
        reduction="sum_over_batch_size",
        name="squared_error_loss",
        dtype=None,
    ):
        settings = checked_squared_error(kappa, target, scale)
        super().__init__(settings, reduction, name, dtype)
