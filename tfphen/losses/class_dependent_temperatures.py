"""Class-dependent temperatures (CDT): logits of rarer classes are divided by more in training.

Reference:
    H.-J. Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep
    Learning", arXiv 2001.01385.
"""

import keras

from tfphen.core import checks
from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.losses.class_counts import checked_class_counts, listed_class_counts
from tfphen.losses.class_weighted import ClassWeightedLoss
from tfphen.losses.vector_scaling import vs_loss


def class_temperatures(class_counts: TensorLike, gamma: float = 0.2) -> Array:
    """Returns the temperature of each class, 1 for the most frequent and higher for rarer ones.

    With n_k training examples of class k,

        a_k = (n_max / n_k)^γ

    `CDTLoss` divides logits by it; `VSLoss` multiplies by Δ_k = 1 / a_k.

    Args:
        class_counts: Number of training examples of each class, `[..., K]`.
        gamma: Exponent γ, at least 0.

    Returns:
        A float64 array of the shape of `class_counts`.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1, or a negative `gamma`.

    Example:

    >>> class_temperatures([5000, 500, 50], gamma=0.3).round(3).tolist()
    [1.0, 1.995, 3.981]

    When not to use:
        To divide logits at prediction: that undoes what training did for rare classes.

    Reference:
        H.-J. Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep
        Learning", arXiv 2001.01385.
    """
    counts = checked_class_counts(class_counts)
    return (counts.max(-1, keepdims=True) / counts) ** checks.number("gamma", gamma, 0)


def cdt_loss(
    y_true: TensorLike,
    y_pred: TensorLike,
    class_counts: TensorLike,
    gamma: float = 0.2,
    class_weights: TensorLike | None = None,
) -> Tensor:
    """Cross-entropy with class-dependent temperatures.

    With the temperature a_k = (n_max / n_k)^γ ≥ 1 of class k,

        L = -w_y log softmax(z / a)_y

    It is `vs_loss` with τ = 0, whose factor is Δ_k = 1 / a_k.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        class_counts: As in `vector_scaled_logits`.
        gamma: Exponent γ of the temperatures, at least 0.
        class_weights: `[K]`, or `[..., K]` like `class_counts`. None stands for ones.

    Returns:
        One weighted loss per example, in nats, `[...]`.

    Raises:
        ValueError: As in `vs_loss`.

    Example:

    >>> float(cdt_loss([1], [[0.0, 2.0]], [80, 20], gamma=0.5)[0])  # log(1 + exp(-2 / 2))
    0.31326...

    Reference:
        H.-J. Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep
        Learning", arXiv 2001.01385.
    """
    return vs_loss(y_true, y_pred, class_counts, gamma, 0.0, class_weights)


@keras.saving.register_keras_serializable(package="tfphen")
class CDTLoss(ClassWeightedLoss):
    """Cross-entropy with a temperature for each class, higher for rarer ones.

    With n_k training examples of class k, logits z and class weights w,

        a_k = (n_max / n_k)^γ ≥ 1
        L = -w_y log softmax(z / a)_y

    A network over-fits rare classes: their test examples get lower logits than their training
    examples. Dividing by a_k in training asks for larger ones. Predict with argmax of the raw
    logits z, without temperatures.

    Args:
        class_counts: List of the number of training examples of each class.
        gamma: Exponent γ of the temperatures, at least 0. Searched in [0, 0.4] for CIFAR-10,
            [0, 0.2] for CIFAR-100 and [0, 0.1] for iNaturalist.
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

    >>> float(CDTLoss([80, 20], gamma=0.5)([1], [[0.0, 2.0]]))  # log(1 + exp(-2 / 2))
    0.31326...

    When not to use:
        For short training: at the start a rare class gets a gradient a_k times smaller than under
        cross-entropy, and only late does it gain. With a cosine head, or strong weight decay,
        logits cannot grow as they should. Results depend on γ; tune it on balanced data.

    Migration:
        PyTorch, `VSLoss(cls_num_list, gamma, tau=0)` of the VS authors: `CDTLoss(cls_num_list,
        gamma)`. Some code stores Δ_k = 1 / a_k and multiplies: the same thing.

    Reference:
        H.-J. Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep
        Learning", arXiv 2001.01385.
    """

    function = staticmethod(cdt_loss)

    def __init__(
        self,
        class_counts: TensorLike,
        gamma: float = 0.2,
        class_weights: TensorLike | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cdt_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "gamma": checks.number("gamma", gamma, 0),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)
