"""Squared error of outputs as a loss of classification, rescaled for many classes.

Reference:
    L. Hui, M. Belkin, "Evaluation of Neural Architectures Trained with Square Loss vs
    Cross-Entropy in Classification Tasks", ICLR 2021, arXiv 2006.07322.
"""

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import entry_of_label, labels_and_predictions


def checked_squared_error(kappa: float, target: float, scale: float) -> dict[str, float]:
    """Returns the settings of `squared_error_loss` as floats above 0, by name."""
    given = {"kappa": kappa, "target": target, "scale": scale}
    return {name: checks.number(name, value, 0, low_open=True) for name, value in given.items()}


def squared_error_loss(
    y_true: TensorLike,
    y_pred: TensorLike,
    kappa: float = 9.0,
    target: float = 60.0,
    scale: float = 10.0,
) -> Tensor:
    """Squared distance from a scaled one-hot label, with extra weight on the label's term.

        l(y, z) = s (κ (z_y - M)² + Σ_{k≠y} zₖ²)

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Outputs z, `[..., K]`.
        kappa: κ, the weight of the label's term, above 0.
        target: M, the target for the label's output, above 0.
        scale: s, above 0.

    Returns:
        One loss per example, `[...]`.

    Raises:
        ValueError: A setting that is not above 0, or incompatible shapes.

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
class SquaredErrorLoss(FunctionalLoss):
    """Squared distance from a scaled one-hot label, with extra weight on the label's term.

        l(y, z) = s (κ (z_y - M)² + Σ_{k≠y} zₖ²)

    Args:
        kappa: κ, the weight of the label's term, above 0.
        target: M, the target for the label's output, above 0.
        scale: s, above 0.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

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
        ResNet-50 on 1000 classes; start from 1, 3 and 1 with ten. For features meant to transfer
        through a linear readout: this objective's transfer worst. For probabilities: these are no
        logits.

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
        kappa: float = 9.0,
        target: float = 60.0,
        scale: float = 10.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "squared_error_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        settings = checked_squared_error(kappa, target, scale)
        super().__init__(settings, reduction, name, dtype)
