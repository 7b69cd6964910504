"""Cross-entropy of logits that are divided by their length.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

import keras
from keras import ops

from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import (
    checked_temperature,
    crossentropy_of_logits,
    in_float32,
    labels_and_predictions,
)


def normalized_logits(y_pred: TensorLike, temperature: float = 0.04) -> Tensor:
    """Logits of fixed length, those that logit normalization trains and predicts with.

        z / (τ ||z||)

    Args:
        y_pred: Outputs z of the last layer, bias included, `[..., K]`.
        temperature: τ, above 0: the result has length 1 / τ.

    Returns:
        `[..., K]`; zeros for zeros. The result does not change when z is multiplied by a positive
        number, so its gradient is orthogonal to z and grows as 1 / ||z||.

    Raises:
        ValueError: `temperature` is not above 0.

    Example:

    >>> [float(logit) for logit in normalized_logits([[3.0, 4.0]], temperature=0.1)[0]]
    [6.0..., 8.0...]

    When not to use:
        Before `logit_normalized_crossentropy`, which does it. On logits of a model that was not
        trained so: it makes every prediction equally confident.

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    temperature = checked_temperature(temperature)
    y_pred = in_float32(y_pred)
    # The largest entry is divided out first, so that squares neither overflow nor vanish. As the
    # result does not depend on the length, no gradient through this factor is missing.
    largest = ops.stop_gradient(ops.max(ops.abs(y_pred), axis=-1, keepdims=True))
    y_pred = y_pred / ops.where(largest > 0, largest, 1.0)
    # At least 1 by now, unless all are 0: then the bound keeps the gradient finite.
    squares = ops.sum(ops.square(y_pred), axis=-1, keepdims=True)
    return y_pred / (temperature * ops.sqrt(ops.maximum(squares, 0.25)))


def logit_normalized_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, temperature: float = 0.04
) -> Tensor:
    """Cross-entropy of logits that are divided by their length.

        l(y, z) = -log softmax(z / (τ ||z||))_y

    It is bounded: at best log(1 + (K - 1) exp(-sqrt(K / (K - 1)) / τ)), which is far above 0 where
    K is small and τ large.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Outputs z of the last layer, bias included, `[..., K]`.
        temperature: τ, above 0.

    Returns:
        One loss per example, in nats, `[...]`.

    Raises:
        ValueError: `temperature` is not above 0, or the shapes are incompatible.

    Example:

    >>> float(logit_normalized_crossentropy([1], [[3.0, 4.0]], temperature=0.2)[0])  # 3, 4 again
    0.31326...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    checked_temperature(temperature)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return crossentropy_of_logits(normalized_logits(y_pred, temperature), labels)


@keras.saving.register_keras_serializable(package="tfphen")
class LogitNormalizedCrossentropy(FunctionalLoss):
    """Cross-entropy of logits that are divided by their length.

        l(y, z) = -log softmax(z / (τ ||z||))_y

    The length of z has no influence on the loss, and argmax is that of z; for probabilities put
    predictions through `tfphen.losses.normalized_logits` first.

    Args:
        temperature: τ, above 0; 0.04 is the published value.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

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
        stuck. For features meant to transfer through a linear readout.

    Reference:
        S. Kornblith et al., "Why Do Better Loss Functions Lead to Less Transferable Features?",
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(logit_normalized_crossentropy)

    def __init__(
        self,
        temperature: float = 0.04,
        reduction: str | None = "sum_over_batch_size",
        name: str = "logit_normalized_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({"temperature": checked_temperature(temperature)}, reduction, name, dtype)
