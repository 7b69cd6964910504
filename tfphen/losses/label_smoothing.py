"""Label smoothing: cross-entropy with a fraction of each label spread over all classes."""

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import (
    entry_of_label,
    labels_and_predictions,
    log_probabilities,
)


def checked_alpha(alpha: float) -> float:
    """Returns the fraction of a label that smoothing spreads as a float in [0, 1)."""
    return checks.number("alpha", alpha, 0, 1, high_open=True)


def label_smoothed_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, alpha: float = 0.1, from_logits: bool = True
) -> Tensor:
    """Cross-entropy with a fraction of each label spread evenly over all classes.

    With p = softmax(z) of the logits z and K classes:

        l(y, z) = -log p_y - α / ((1 - α) K) Σₖ log pₖ

    This is 1 / (1 - α) times the cross-entropy with labels (1 - α) onehot(y) + α / K: the term of
    the label keeps its weight of 1 for any α.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        alpha: α, the fraction that is spread, in [0, 1).
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss per example, in nats, `[...]`.

    Raises:
        ValueError: `alpha` outside [0, 1), or incompatible shapes.

    Example:

    >>> float(label_smoothed_crossentropy([1], [[0.0, 0.0]], alpha=0.1)[0])  # log(2) / 0.9
    0.77016...

    Reference:
        C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
        arXiv 1512.00567; S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402 (the factor).
    """
    alpha = checked_alpha(alpha)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    logs = log_probabilities(y_pred, from_logits)
    return -entry_of_label(logs, labels) - alpha / (1.0 - alpha) * ops.mean(logs, axis=-1)


@keras.saving.register_keras_serializable(package="tfphen")
class LabelSmoothedCrossentropy(FunctionalLoss):
    """Cross-entropy with a fraction of each label spread evenly over all classes.

    With p = softmax(z) of the logits z and K classes:

        l(y, z) = -log p_y - α / ((1 - α) K) Σₖ log pₖ

    Args:
        alpha: α, the fraction that is spread, in [0, 1); 0.1 is the published value.
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.

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
        For features meant to serve another task through a linear readout: they separate classes
        more than those of plain cross-entropy and transfer worse. Where probabilities of rare
        classes matter: they are biased toward 1 / K on purpose.

    Migration:
        `keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=alpha)` takes
        one-hot labels and is (1 - alpha) times this loss: SGD with that loss and learning rate r
        is SGD with this one and (1 - alpha) r.

    Reference:
        C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
        arXiv 1512.00567; S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402 (the factor).
    """

    function = staticmethod(label_smoothed_crossentropy)

    def __init__(
        self,
        alpha: float = 0.1,
        from_logits: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "label_smoothed_crossentropy",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        settings = {"alpha": checked_alpha(alpha), "from_logits": from_logits}
        super().__init__(settings, reduction, name, dtype)
