"""Logit adjustment: in training, logits are shifted by the log frequency of their class.

Reference:
    A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, arXiv 2007.07314.
"""

import keras

from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.class_counts import listed_class_counts
from tfphen.losses.class_weighted import ClassWeightedLoss
from tfphen.losses.vector_scaling import vs_loss


def logit_adjusted_loss(
    y_true: TensorLike,
    y_pred: TensorLike,
    class_counts: TensorLike,
    tau: float = 1.0,
    class_weights: TensorLike | None = None,
) -> Tensor:
    """Cross-entropy of logits plus τ times the log of the class frequency.

    With π_k = n_k / Σ_j n_j,

        L = -w_y log softmax(z + τ log π)_y

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        class_counts: As in `vector_scaled_logits`.
        tau: Factor τ of the shift, at least 0.
        class_weights: `[K]`, or `[..., K]` like `class_counts`. None stands for ones.

    Returns:
        One weighted loss per example, in nats, `[...]`.

    Raises:
        ValueError: As in `vs_loss`.

    Example:

    >>> float(logit_adjusted_loss([1], [[0.0, 0.0]], [80, 20])[0])  # -log 0.2
    1.60943...

    Reference:
        A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021,
        arXiv 2007.07314.
    """
    return vs_loss(y_true, y_pred, class_counts, 0.0, tau, class_weights)


@keras.saving.register_keras_serializable(package="tfphen")
class LogitAdjustedLoss(ClassWeightedLoss):
    """Cross-entropy of logits plus the log of the class frequencies.

    With n_k training examples of class k, π_k = n_k / Σ_j n_j, logits z and class weights w,

        L = -w_y log softmax(z + τ log π)_y

    With τ = 1 the logits of the best model are log posteriors minus log π, so that their argmax is
    the Bayes rule for equally frequent classes. Predict with argmax of the raw logits z.

    Args:
        class_counts: List of the number of training examples of each class.
        tau: Factor τ of the log frequencies, at least 0. 1 is the balanced Bayes rule, also known
            as balanced softmax; runs on CIFAR-10 have used up to 2.25.
        class_weights: List of K weights of at least 0, or None for ones.
        reduction: As in `ClassWeightedCrossentropy`.
        name: Name of the loss.
        dtype: Dtype of the computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Logits, `[batch, K]`.
        sample_weight: Optional weights of the examples, `[batch]`.

    Returns:
        The loss, in nats: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: A setting out of range, or incompatible labels and predictions.

    Example:

    >>> float(LogitAdjustedLoss([80, 20])([1], [[0.0, 0.0]]))  # -log 0.2
    1.60943...

    When not to use:
        For a network that is trained far beyond fitting its training set, where shifts stop
        acting: `VSLoss` adds factors that do not. Where test classes are as unequal as those of
        training: plain cross-entropy is the right loss there.

    Reference:
        A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021,
        arXiv 2007.07314.
    """

    function = staticmethod(logit_adjusted_loss)

    def __init__(
        self,
        class_counts: TensorLike,
        tau: float = 1.0,
        class_weights: TensorLike | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "logit_adjusted_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "tau": checks.number("tau", tau, 0),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)
