"""The Keras classes of the losses in `transfer_losses`. They only hold configuration."""

import keras

from tfphen.losses import transfer_losses
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.transfer_losses import checked_temperature


@keras.saving.register_keras_serializable(package="tfphen")
class LabelSmoothedCrossentropy(FunctionalLoss):
    """Cross-entropy with a share of each label spread evenly over all classes.

    With p = softmax(z) of the logits z and K classes:

        l(y, z) = -log p_y - α / ((1 - α) K) Σₖ log pₖ

    Args:
        alpha: α, the share that is spread, in [0, 1); 0.1 is the published value.
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: `alpha` outside [0, 1).

    Example:

    >>> loss = LabelSmoothedCrossentropy(alpha=0.1)
    >>> float(loss([1], [[0.0, 0.0]]))  # log(2) / 0.9
    0.77016...

    When not to use:
        For features that shall serve another task by a linear readout: they separate classes more
        than those of plain cross-entropy and transfer worse. Where probabilities of rare classes
        matter: they are biased towards 1 / K on purpose.

    Migration:
        `keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=alpha)` takes
        one-hot labels and is (1 - alpha) times this loss: SGD with that loss and learning rate r
        is SGD with this one and (1 - alpha) r.

    Reference:
        C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
        arXiv 1512.00567; S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402 (the factor).
    """

    function = staticmethod(transfer_losses.label_smoothed_crossentropy)

    def __init__(
        self,
        alpha=0.1,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="label_smoothed_crossentropy",
        dtype=None,
    ):
        settings = {"alpha": transfer_losses.checked_alpha(alpha), "from_logits": from_logits}
        super().__init__(settings, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class LogitPenaltyCrossentropy(FunctionalLoss):
    """Cross-entropy plus a penalty on the size of the logits.

        l(y, z) = -log softmax(z)_y + β / 2 ||z||²

    Args:
        beta: β, the weight of the penalty, at least 0; 6e-4 is the published value.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Logits z, `[batch, K]`.

    Raises:
        ValueError: `beta` below 0.

    Example:

    >>> loss = LogitPenaltyCrossentropy(beta=0.5)
    >>> float(loss([1], [[1.0, 1.0]]))  # log(2) + 0.5
    1.19314...

    When not to use:
        For features that shall transfer by a linear readout. With the published `beta` on few
        classes: it was tuned for 1000; with K logits of unit size the penalty is βK / 2.

    Reference:
        S. Kornblith et al., "Why Do Better Loss Functions Lead to Less Transferable Features?",
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(transfer_losses.logit_penalty_crossentropy)

    def __init__(
        self,
        beta=6e-4,
        reduction="sum_over_batch_size",
        name="logit_penalty_crossentropy",
        dtype=None,
    ):
        super().__init__({"beta": transfer_losses.checked_beta(beta)}, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class LogitNormalizedCrossentropy(FunctionalLoss):
    """Cross-entropy of logits that are divided by their length.

        l(y, z) = -log softmax(z / (τ ||z||))_y

    The length of z has no influence on the loss, and argmax is that of z; for probabilities put
    predictions through `tfphen.losses.normalized_logits` first.

    Args:
        temperature: τ, above 0; 0.04 is the published value.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Outputs z of the last layer, bias included, `[batch, K]`.

    Raises:
        ValueError: `temperature` is not above 0.

    Example:

    >>> loss = LogitNormalizedCrossentropy(temperature=0.2)
    >>> float(loss([1], [[3.0, 4.0]]))  # the logits are 3 and 4 again
    0.31326...

    When not to use:
        With few classes and a large temperature: the loss cannot fall below
        log(1 + (K - 1) exp(-sqrt(K / (K - 1)) / τ)), 1.42 for K = 10 and τ = 1, and training looks
        stuck. For features that shall transfer by a linear readout.

    Reference:
        S. Kornblith et al., "Why Do Better Loss Functions Lead to Less Transferable Features?",
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(transfer_losses.logit_normalized_crossentropy)

    def __init__(
        self,
        temperature=0.04,
        reduction="sum_over_batch_size",
        name="logit_normalized_crossentropy",
        dtype=None,
    ):
        super().__init__({"temperature": checked_temperature(temperature)}, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class CosineSoftmaxCrossentropy(FunctionalLoss):
    """Cross-entropy of cosines between features and class vectors, at a fixed temperature.

        l(y, u) = -log softmax(u / τ)_y,   uₖ = cos(h, wₖ) + bₖ

    End the model in `tfphen.layers.NormalizedDense(K, use_bias=True)`. For probabilities divide
    predictions by the temperature.

    Args:
        temperature: τ, above 0; 0.05 is the published value.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Cosines plus biases u, `[batch, K]`.

    Raises:
        ValueError: `temperature` is not above 0.

    Example:

    >>> loss = CosineSoftmaxCrossentropy(temperature=0.05)
    >>> float(loss([1], [[0.0, 0.05]]))
    0.31326...

    When not to use:
        On the outputs of an ordinary dense layer: this is then cross-entropy at another
        temperature, nothing more. For features that shall transfer by a linear readout: next to
        squared error, this objective's transfer worst.

    Reference:
        S. Kornblith et al., "Why Do Better Loss Functions Lead to Less Transferable Features?",
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(transfer_losses.cosine_softmax_crossentropy)

    def __init__(
        self,
        temperature=0.05,
        reduction="sum_over_batch_size",
        name="cosine_softmax_crossentropy",
        dtype=None,
    ):
        super().__init__({"temperature": checked_temperature(temperature)}, reduction, name, dtype)
