"""The Keras classes of the losses in `noise_robust`. They only hold configuration."""

import keras

from tfphen.losses import noise_robust


@keras.saving.register_keras_serializable(package="tfphen")
class BootstrapSoftCrossentropy(keras.losses.Loss):
    """Cross-entropy with the label mixed with the prediction itself.

    See `tfphen.losses.bootstrap_soft_crossentropy` for the equation.

    Args:
        beta: Weight of the given label, in [0, 1].
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

    Reference:
        S. Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
        ICLR 2015 workshop, arXiv 1412.6596.
    """

    def __init__(
        self,
        beta=0.95,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="bootstrap_soft_crossentropy",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.beta = noise_robust.checked_beta(beta)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        return noise_robust.bootstrap_soft_crossentropy(y_true, y_pred, self.beta, self.from_logits)

    def get_config(self):
        return {**super().get_config(), "beta": self.beta, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable(package="tfphen")
class BootstrapHardCrossentropy(keras.losses.Loss):
    """Cross-entropy with the label mixed with the predicted class.

    See `tfphen.losses.bootstrap_hard_crossentropy` for the equation.

    Args:
        beta: Weight of the given label, in [0, 1].
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

    Reference:
        S. Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
        ICLR 2015 workshop, arXiv 1412.6596.
    """

    def __init__(
        self,
        beta=0.8,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="bootstrap_hard_crossentropy",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.beta = noise_robust.checked_beta(beta)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        return noise_robust.bootstrap_hard_crossentropy(y_true, y_pred, self.beta, self.from_logits)

    def get_config(self):
        return {**super().get_config(), "beta": self.beta, "from_logits": self.from_logits}


@keras.saving.register_keras_serializable(package="tfphen")
class UnhingedLoss(keras.losses.Loss):
    """1 - z_y / K: linear in the score of the label, and unbounded.

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`). The model must end in a `BatchNormalization` of the scores, or
    nothing keeps those of wrong classes down.

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

    Reference:
        B. van Rooyen, A. Menon, R. Williamson, "Learning with Symmetric Label Noise: The
        Importance of Being Unhinged", NIPS 2015, arXiv 1505.07634.
    """

    def __init__(self, reduction="sum_over_batch_size", name="unhinged_loss", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return noise_robust.unhinged_loss(y_true, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class SigmoidLoss(keras.losses.Loss):
    """(sigmoid(-z_y) + (K - 1) / 2) / K with the score of the label.

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`). The model must end in a `BatchNormalization` of the scores, or
    nothing keeps those of wrong classes down.

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

    Reference:
        A. Ghosh, N. Manwani, P. Sastry, "Making Risk Minimization Tolerant to Label Noise",
        Neurocomputing 160, 2015, arXiv 1403.3610.
    """

    def __init__(self, reduction="sum_over_batch_size", name="sigmoid_loss", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return noise_robust.sigmoid_loss(y_true, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class RampLoss(keras.losses.Loss):
    """(min(1, max(0, 1 - z_y)) + K - 1) / K with the score of the label.

    Labels enter as zeros and ones, as in the code that the loss is compared in (see
    `tfphen.losses.noise_robust`). The model must end in a `BatchNormalization` of the scores, or
    nothing keeps those of wrong classes down. An example whose score is outside (0, 1) has no
    gradient.

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

    Reference:
        J. Brooks, "Support Vector Machines with the Ramp Loss and the Hard Margin Loss",
        Operations Research 59, 2011.
    """

    def __init__(self, reduction="sum_over_batch_size", name="ramp_loss", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        return noise_robust.ramp_loss(y_true, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class SavageLoss(keras.losses.Loss):
    """((1 + exp(2 p_y))^-2 + (K - 1) / 4) / K with the probability of the label.

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

    Reference:
        H. Masnadi-Shirazi, N. Vasconcelos, "On the Design of Loss Functions for Classification:
        theory, robustness to outliers, and SavageBoost", NIPS 2008.
    """

    def __init__(
        self,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="savage_loss",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.from_logits = from_logits

    def call(self, y_true, y_pred):
        return noise_robust.savage_loss(y_true, y_pred, self.from_logits)

    def get_config(self):
        return {**super().get_config(), "from_logits": self.from_logits}
