"""Cross-entropy of cosines between features and class vectors, at a fixed temperature.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

import keras

from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import (
    checked_temperature,
    crossentropy_of_logits,
    labels_and_predictions,
)


def cosine_softmax_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, temperature: float = 0.05
) -> Tensor:
    """Cross-entropy of cosines between features and class vectors, at a fixed temperature.

    With features h, class vectors wₖ and biases bₖ, all of the last layer:

        l(y, u) = -log softmax(u / τ)_y,   uₖ = cos(h, wₖ) + bₖ

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Cosines plus biases u, `[..., K]`, such as `tfphen.layers.NormalizedDense` gives.
        temperature: τ, above 0.

    Returns:
        One loss per example, in nats, `[...]`.

    Raises:
        ValueError: `temperature` is not above 0, or the shapes are incompatible.

    Example:

    >>> float(cosine_softmax_crossentropy([1], [[0.0, 0.05]], temperature=0.05)[0])
    0.31326...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    temperature = checked_temperature(temperature)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return crossentropy_of_logits(y_pred / temperature, labels)


@keras.saving.register_keras_serializable(package="tfphen")
class CosineSoftmaxCrossentropy(FunctionalLoss):
    """Cross-entropy of cosines between features and class vectors, at a fixed temperature.

        l(y, u) = -log softmax(u / τ)_y,   uₖ = cos(h, wₖ) + bₖ

    End the model in `tfphen.layers.NormalizedDense(K, use_bias=True)`. For probabilities divide
    predictions by the temperature.

    Args:
        temperature: τ, above 0; 0.05 is the published value.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

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
        temperature, nothing more. For features meant to transfer through a linear readout: next to
        squared error, this objective's transfer worst.

    Reference:
        S. Kornblith et al., "Why Do Better Loss Functions Lead to Less Transferable Features?",
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(cosine_softmax_crossentropy)

    def __init__(
        self,
        temperature: float = 0.05,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_softmax_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({"temperature": checked_temperature(temperature)}, reduction, name, dtype)
