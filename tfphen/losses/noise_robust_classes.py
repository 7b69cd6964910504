"""The Keras classes of the losses in `noise_robust`. They only hold configuration."""

import keras

from tfphen.losses import noise_robust
from tfphen.losses.functional import FunctionalLoss


@keras.saving.register_keras_serializable(package="tfphen")
class BootstrapSoftCrossentropy(FunctionalLoss):
    """Cross-entropy with the label mixed with the prediction itself.

    A label that the model does not believe weighs less. With p = softmax(z) of the logits z:

        l(y, z) = -β log p_y - (1 - β) Σⱼ pⱼ log pⱼ

    Args:
        beta: β, the weight of the given label, in [0, 1].
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: `beta` outside [0, 1].

    Example:

    >>> loss = BootstrapSoftCrossentropy(beta=0.95)
    >>> float(loss([1], [[0.0, 0.0]]))
    0.69314...

    When not to use:
        Where the noise is known or strong: in the comparison with loss correction on MNIST and
        CIFAR-10 this loss stays within a point of plain cross-entropy under every noise (53.0 %
        accuracy, as cross-entropy, under asymmetric noise of rate 0.6 on MNIST). With small `beta`
        the entropy term decides, and the model grows sure of whatever it says.

    Migration:
        From `boot_soft` of giorgiop/loss-correction (Keras 2): beta is 0.95 there too; labels are
        integers in place of one-hot rows; `from_logits=False` for a model that ends in a softmax.

    Reference:
        S. Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
        ICLR 2015 workshop, arXiv 1412.6596.
    """

    function = staticmethod(noise_robust.bootstrap_soft_crossentropy)

    def __init__(
        self,
        beta=0.95,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="bootstrap_soft_crossentropy",
        dtype=None,
    ):
        settings = {"beta": noise_robust.checked_beta(beta), "from_logits": from_logits}
        super().__init__(settings, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class BootstrapHardCrossentropy(FunctionalLoss):
    """Cross-entropy with the label mixed with the predicted class.

    With p = softmax(z) of the logits z:

        l(y, z) = -β log p_y - (1 - β) log maxⱼ pⱼ

    Args:
        beta: β, the weight of the given label, in [0, 1].
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: `beta` outside [0, 1].

    Example:

    >>> loss = BootstrapHardCrossentropy(beta=0.8)
    >>> float(loss([1], [[0.0, 0.0]]))
    0.69314...

    When not to use:
        Where the noise is known or strong, as for `BootstrapSoftCrossentropy`. From the first step
        of training: the predicted class is random then and is reinforced; start with plain
        cross-entropy.

    Reference:
        S. Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
        ICLR 2015 workshop, arXiv 1412.6596.
    """

    function = staticmethod(noise_robust.bootstrap_hard_crossentropy)

    def __init__(
        self,
        beta=0.8,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="bootstrap_hard_crossentropy",
        dtype=None,
    ):
        settings = {"beta": noise_robust.checked_beta(beta), "from_logits": from_logits}
        super().__init__(settings, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class UnhingedLoss(FunctionalLoss):
    """Loss linear in the score of the label, and unbounded.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = 1 - z_y / K

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`).

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

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

    function = staticmethod(noise_robust.unhinged_loss)

    def __init__(self, reduction="sum_over_batch_size", name="unhinged_loss", dtype=None):
        super().__init__({}, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class SigmoidLoss(FunctionalLoss):
    """Sigmoid of the negative score of the label.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (sigmoid(-z_y) + (K - 1) / 2) / K

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`).

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

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

    function = staticmethod(noise_robust.sigmoid_loss)

    def __init__(self, reduction="sum_over_batch_size", name="sigmoid_loss", dtype=None):
        super().__init__({}, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class RampLoss(FunctionalLoss):
    """Hinge loss of the label's score, cut off at 1.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (min(1, max(0, 1 - z_y)) + K - 1) / K

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`).

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

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

    function = staticmethod(noise_robust.ramp_loss)

    def __init__(self, reduction="sum_over_batch_size", name="ramp_loss", dtype=None):
        super().__init__({}, reduction, name, dtype)


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
        name: Of the loss.
        dtype: Of its computations.

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

    function = staticmethod(noise_robust.savage_loss)

    def __init__(
        self,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="savage_loss",
        dtype=None,
    ):
        super().__init__({"from_logits": from_logits}, reduction, name, dtype)
