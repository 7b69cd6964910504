"""Losses that tolerate label noise without a noise model, baselines of loss correction.

They follow the code published with Patrini et al. 2017, which gives one-hot labels of zeros and
ones, not of ±1, to losses written for ±1, and takes the mean over classes. The scores of the wrong
classes then enter the unhinged, sigmoid, ramp and Savage losses only as constants. In that code
the scores of the unhinged, sigmoid and ramp losses come out of a batch normalization. Add one as
the last layer of the model for these three: it bounds the scores, and it alone lets classes
compete. Without it nothing keeps the scores of wrong classes down, and training fails.

Reference:
    G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
    Approach", CVPR 2017, arXiv 1609.03683.
"""

import keras
from keras import ops

from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import (
    entry_of_label,
    labels_and_predictions,
    log_probabilities,
)


def _mean_over_classes(of_label: Tensor, constant: float, y_pred: Tensor) -> Tensor:
    """Mean of the label's term and of the others, each of which is `constant`."""
    classes = y_pred.shape[-1]
    return (of_label + constant * (classes - 1)) / classes


def unhinged_loss(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Loss linear in the score of the label, and unbounded.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = 1 - z_y / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Scores z, `[..., K]`.

    Returns:
        One loss per example, `[...]`.

    Raises:
        ValueError: Incompatible shapes.

    Example:

    >>> float(unhinged_loss([1], [[0.0, 1.0]])[0])
    0.5

    Reference:
        B. van Rooyen, A. Menon, R. Williamson, "Learning with Symmetric Label Noise: The
        Importance of Being Unhinged", NIPS 2015, arXiv 1505.07634.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return _mean_over_classes(1.0 - entry_of_label(y_pred, labels), 1.0, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class UnhingedLoss(FunctionalLoss):
    """Loss linear in the score of the label, and unbounded.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = 1 - z_y / K

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`).

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Scores, `[batch, K]`.

    Example:

    >>> float(UnhingedLoss()([1], [[0.0, 1.0]]))
    0.5

    When not to use:
        On the outputs of a dense layer: nothing keeps the scores of wrong classes down, and
        training diverges. The model must end in a `keras.layers.BatchNormalization` of the scores,
        which bounds them and lets classes compete.

    Reference:
        B. van Rooyen, A. Menon, R. Williamson, "Learning with Symmetric Label Noise: The
        Importance of Being Unhinged", NIPS 2015, arXiv 1505.07634.
    """

    function = staticmethod(unhinged_loss)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "unhinged_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({}, reduction, name, dtype)


def sigmoid_loss(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Sigmoid of the negative score of the label.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (sigmoid(-z_y) + (K - 1) / 2) / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Scores z, `[..., K]`.

    Returns:
        One loss per example, `[...]`.

    Raises:
        ValueError: Incompatible shapes.

    Example:

    >>> float(sigmoid_loss([1], [[3.0, 0.0]])[0])
    0.5

    Reference:
        A. Ghosh, N. Manwani, P. Sastry, "Making Risk Minimization Tolerant to Label Noise",
        Neurocomputing 160, 2015, arXiv 1403.3610.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return _mean_over_classes(ops.sigmoid(-entry_of_label(y_pred, labels)), 0.5, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class SigmoidLoss(FunctionalLoss):
    """Sigmoid of the negative score of the label.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (sigmoid(-z_y) + (K - 1) / 2) / K

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`).

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Scores, `[batch, K]`.

    Example:

    >>> float(SigmoidLoss()([1], [[3.0, 0.0]]))
    0.5

    When not to use:
        On the outputs of a dense layer: as for `UnhingedLoss`, the model must end in a
        `keras.layers.BatchNormalization` of the scores. For ordinary training: an example that is
        far on the wrong side has almost no gradient. This is not cross-entropy of sigmoid outputs;
        that is `SigmoidCrossentropy`.

    Reference:
        A. Ghosh, N. Manwani, P. Sastry, "Making Risk Minimization Tolerant to Label Noise",
        Neurocomputing 160, 2015, arXiv 1403.3610.
    """

    function = staticmethod(sigmoid_loss)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "sigmoid_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({}, reduction, name, dtype)


def ramp_loss(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """Hinge loss of the label's score, cut off at 1.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (min(1, max(0, 1 - z_y)) + K - 1) / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Scores z, `[..., K]`.

    Returns:
        One loss per example, `[...]`.

    Raises:
        ValueError: Incompatible shapes.

    Example:

    >>> float(ramp_loss([1], [[3.0, 0.5]])[0])
    0.75

    Reference:
        J. Brooks, "Support Vector Machines with the Ramp Loss and the Hard Margin Loss",
        Operations Research 59, 2011.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    clipped = ops.clip(1.0 - entry_of_label(y_pred, labels), 0.0, 1.0)
    return _mean_over_classes(clipped, 1.0, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class RampLoss(FunctionalLoss):
    """Hinge loss of the label's score, cut off at 1.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (min(1, max(0, 1 - z_y)) + K - 1) / K

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`).

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Scores, `[batch, K]`.

    Example:

    >>> float(RampLoss()([1], [[3.0, 0.5]]))
    0.75

    When not to use:
        On the outputs of a dense layer: as for `UnhingedLoss`, the model must end in a
        `keras.layers.BatchNormalization` of the scores. From a start where many scores are below
        0: an example whose score is outside (0, 1) has no gradient at all.

    Reference:
        J. Brooks, "Support Vector Machines with the Ramp Loss and the Hard Margin Loss",
        Operations Research 59, 2011.
    """

    function = staticmethod(ramp_loss)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "ramp_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({}, reduction, name, dtype)


def savage_loss(y_true: TensorLike, y_pred: TensorLike, from_logits: bool = True) -> Tensor:
    """Savage loss of the probability of the label: bounded, and flat where it is small.

    With p = softmax(z) of the logits z of K classes:

        l(y, z) = ((1 + exp(2 p_y))⁻² + (K - 1) / 4) / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss per example, `[...]`.

    Raises:
        ValueError: Incompatible shapes.

    Example:

    >>> float(savage_loss([1], [[0.0, 0.0]])[0])  # (1 / (1 + e)**2 + 1 / 4) / 2
    0.16116...

    Reference:
        H. Masnadi-Shirazi, N. Vasconcelos, "On the Design of Loss Functions for Classification:
        theory, robustness to outliers, and SavageBoost", NIPS 2008.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    logs = log_probabilities(y_pred, from_logits)
    # 1 / (1 + exp(u)) is sigmoid(-u).
    of_label = ops.square(ops.sigmoid(-2.0 * ops.exp(entry_of_label(logs, labels))))
    return _mean_over_classes(of_label, 0.25, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class SavageLoss(FunctionalLoss):
    """Savage loss of the probability of the label: bounded, and flat where it is small.

    With p = softmax(z) of the logits z of K classes:

        l(y, z) = ((1 + exp(2 p_y))⁻² + (K - 1) / 4) / K

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`).

    Args:
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Example:

    >>> float(SavageLoss()([1], [[0.0, 0.0]]))
    0.16116...

    When not to use:
        With many classes and a learning rate tuned for cross-entropy: the gradient carries the
        factor p_y / K, so training starts slowly and may not start at all. Where an example is
        wrongly classified with confidence and its label is right: it is not learned.

    Reference:
        H. Masnadi-Shirazi, N. Vasconcelos, "On the Design of Loss Functions for Classification:
        theory, robustness to outliers, and SavageBoost", NIPS 2008.
    """

    function = staticmethod(savage_loss)

    def __init__(
        self,
        from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "savage_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({"from_logits": from_logits}, reduction, name, dtype)
