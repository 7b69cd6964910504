"""Logits that are scaled and shifted by class frequency in training: the vector-scaling loss.

It is cross-entropy of `vector_scaled_logits`. Predictions are argmax of the raw logits: scaling or
shifting those too would undo what training did.

Reference:
    G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
    Overparameterization", NeurIPS 2021, arXiv 2103.01550.
"""

from typing import Any

import keras

from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.adjusted_logits import adjusted_crossentropy, adjusted_logits
from tfphen.losses.class_counts import (
    checked_class_counts,
    listed_class_counts,
    values_of_classes,
)
from tfphen.losses.class_weighted import ClassWeightedLoss, with_class_weights
from tfphen.losses.sparse_labels import in_float32, labels_and_predictions


def vector_scaled_logits(
    y_pred: TensorLike, class_counts: TensorLike, gamma: float = 0.3, tau: float = 1.0
) -> Tensor:
    """Logits that are scaled and shifted by class frequency, for use in training only.

    With n_k training examples of class k and π_k = n_k / Σ_j n_j,

        u_k = Δ_k z_k + ι_k,    Δ_k = (n_k / n_max)^γ,    ι_k = τ log π_k

    A rare class has the smaller Δ and the lower ι, so the network must give it a larger logit z
    to get the same u. Cross-entropy of u is the plain one for γ = τ = 0, the logit-adjusted loss
    for γ = 0 (balanced softmax with τ = 1) and CDT for τ = 0.

    Args:
        y_pred: Logits z, `[..., K]`.
        class_counts: Number of training examples of each class, `[K]`, or `[..., K]` with leading
            axes that broadcast against those of `y_pred`, such as `[members, 1, K]`.
        gamma: Exponent γ of the factor, at least 0.
        tau: Factor τ of the shift, at least 0.

    Returns:
        Logits u for a softmax, `[..., K]`, at least float32.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1 or of another number of
            classes; `gamma` or `tau` negative.

    Example:

    >>> logits = vector_scaled_logits([[1.0, 1.0]], [80, 20], gamma=0.5, tau=1.0)
    >>> [round(float(value), 4) for value in logits[0]]  # 1 + log 0.8 and 1 / 2 + log 0.2
    [0.7769, -1.1094]

    When not to use:
        At prediction, or as the last layer of a model that is saved for it: rare classes would
        then lose what training gave them.

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """
    y_pred = in_float32(y_pred)
    return adjusted_logits(y_pred, *_factors_and_shifts(y_pred, class_counts, gamma, tau))


def _factors_and_shifts(
    y_pred: Tensor, class_counts: TensorLike, gamma: float, tau: float
) -> tuple[Any, Any]:
    """Returns Δ and ι, `[K]`, or `[..., K]` as the counts have them."""
    gamma, tau = checks.number("gamma", gamma, 0), checks.number("tau", tau, 0)
    counts, numeric = values_of_classes("class_counts", class_counts, y_pred, checked_class_counts)
    largest = numeric.max(counts, axis=-1, keepdims=True)
    total = numeric.sum(counts, axis=-1, keepdims=True)
    return numeric.power(counts / largest, gamma), tau * numeric.log(counts / total)


def vs_loss(
    y_true: TensorLike,
    y_pred: TensorLike,
    class_counts: TensorLike,
    gamma: float = 0.3,
    tau: float = 1.0,
    class_weights: TensorLike | None = None,
) -> Tensor:
    """Vector-scaling loss: cross-entropy of scaled and shifted logits.

    With u_k = (n_k / n_max)^γ z_k + τ log π_k of `vector_scaled_logits`,

        L = w_y (log Σ_k exp u_k - u_y)

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        class_counts: As in `vector_scaled_logits`.
        gamma: Exponent γ of the factor, at least 0.
        tau: Factor τ of the shift, at least 0.
        class_weights: `[K]`, or `[..., K]` like `class_counts`. None stands for ones.

    Returns:
        One weighted loss per example, in nats, `[...]`.

    Raises:
        ValueError: Counts, weights or settings out of range, or of another number of
            classes; incompatible labels and predictions.

    Example:

    >>> float(vs_loss([1], [[0.0, 2.0]], [80, 20], gamma=0.5, tau=1.0)[0])  # log(1 + 4 / e)
    0.90483...

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    factors, shifts = _factors_and_shifts(y_pred, class_counts, gamma, tau)
    losses = adjusted_crossentropy(labels, y_pred, factors, shifts)
    return with_class_weights(losses, class_weights, labels, y_pred)


@keras.saving.register_keras_serializable(package="tfphen")
class VSLoss(ClassWeightedLoss):
    """Vector-scaling loss: cross-entropy of logits scaled and shifted by class frequency.

    With n_k training examples of class k, π_k = n_k / Σ_j n_j, logits z and class weights w,

        u_k = Δ_k z_k + ι_k,    Δ_k = (n_k / n_max)^γ,    ι_k = τ log π_k
        L = w_y (log Σ_k exp u_k - u_y)

    Class weights and shifts ι stop moving the boundary once a network separates its training set;
    the factors Δ do not. At the start of training the factors hurt rare classes, and the shifts
    make up for it. Predict with argmax of the raw logits z.

    γ = τ = 0 is cross-entropy, γ = 0 is `LogitAdjustedLoss`, τ = 0 is `CDTLoss`.

    Args:
        class_counts: List of the number of training examples of each class.
        gamma: Exponent γ of the factors, at least 0. The authors' code defaults to 0.3; values
            reported for its CIFAR runs are 0.15 (CIFAR-10) and 0.05 (CIFAR-100) for long tails.
        tau: Factor τ of the shifts, at least 0; 1.25 and 0.75 in the same runs.
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

    >>> loss = VSLoss(class_counts=[80, 20], gamma=0.5, tau=1.0)
    >>> float(loss([1], [[0.0, 2.0]]))  # log(1 + 4 / e)
    0.90483...
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss)

    When not to use:
        With a cosine head: its logits cannot grow to meet the factors. With `DeferredReweighting`
        on top: others report that the two do not add up. Probabilities of such a model are not
        those of the training distribution; they aim at equally frequent classes.

    Migration:
        PyTorch, `VSLoss(cls_num_list, gamma, tau)` of the authors: the same arguments. Their
        `BinaryVSLoss` has the opposite sign of the shift and multiplies logits by 30; see
        `GroupVSLoss` with one group for the paper's binary formula.

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """

    function = staticmethod(vs_loss)

    def __init__(
        self,
        class_counts: TensorLike,
        gamma: float = 0.3,
        tau: float = 1.0,
        class_weights: TensorLike | None = None,
        reduction: str | None = "sum_over_batch_size",
        name: str = "vs_loss",
        dtype: str | keras.DTypePolicy | None = None,
    ) -> None:
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "gamma": checks.number("gamma", gamma, 0),
            "tau": checks.number("tau", tau, 0),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)
