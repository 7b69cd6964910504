"""Cross-entropy plus a penalty on the size of the logits.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import crossentropy_of_logits, labels_and_predictions


def checked_beta(beta: float) -> float:
    """Returns the weight of a penalty as a float of at least 0."""
    return checks.number("beta", beta, 0)


def logit_penalty_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, beta: float = 6e-4
) -> Tensor:
    """Cross-entropy plus a penalty on the size of the logits.

        l(y, z) = -log softmax(z)_y + β / 2 ||z||²

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        beta: β, the weight of the penalty, at least 0.

    Returns:
        One loss per example, in nats, `[...]`.

    Raises:
        ValueError: `beta` below 0, or incompatible shapes.

    Example:

    >>> float(logit_penalty_crossentropy([1], [[1.0, 1.0]], beta=0.5)[0])  # log(2) + 0.5
    1.19314...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    beta = checked_beta(beta)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return crossentropy_of_logits(y_pred, labels) + 0.5 * beta * ops.sum(
        ops.square(y_pred), axis=-1
    )


@keras.saving.register_keras_serializable(package="tfphen")
class LogitPenaltyCrossentropy(FunctionalLoss):
    """Cross-entropy plus a penalty on the size of the logits.

        l(y, z) = -log softmax(z)_y + β / 2 ||z||²

    Args:
        beta: β, the weight of the penalty, at least 0; 6e-4 is the published value.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

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
        For features meant to transfer through a linear readout. With the published `beta` on few
        classes: it was tuned for 1000; with K logits of unit size the penalty is βK / 2.

    Reference:
        S. Kornblith et al., "Why Do Better Loss Functions Lead to Less Transferable Features?",
        NeurIPS 2021, arXiv 2010.16402.
    """

    function = staticmethod(logit_penalty_crossentropy)

    def __init__(
        self,
        beta: float = 6e-4,
        reduction: str | None = "sum_over_batch_size",
        name: str = "logit_penalty_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        super().__init__({"beta": checked_beta(beta)}, reduction, name, dtype)
