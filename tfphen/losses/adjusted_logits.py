"""Scaled and shifted logits, the common core of LDAM, VS, CDT and logit adjustment.

They differ only in their factors and shifts:

    loss               factor of logit k        shift of logit k
    cross-entropy      1                        0
    logit adjustment   1                        τ log π_k
    CDT                (n_k / n_max)^γ          0
    VS                 (n_k / n_max)^γ          τ log π_k
    LDAM               s                        -s Δ_y for the label's logit alone
    VS of groups       (n_{y,g} / n_max)^γ      -τ log(n_{y,g} / N) for all but the label's
"""

from keras import ops

from tfphen.core.types import Tensor, TensorLike
from tfphen.losses.sparse_labels import entry_of_label, log_probabilities


def adjusted_logits(y_pred: Tensor, factors: TensorLike, shifts: TensorLike) -> Tensor:
    """Returns `factors * y_pred + shifts`, `[..., K]`, in the dtype of `y_pred`.

    Args:
        y_pred: Logits, `[..., K]`.
        factors: Arrays or tensors that broadcast against `y_pred`, or a number.
        shifts: As `factors`.
    """
    factors = ops.convert_to_tensor(factors, y_pred.dtype)
    return factors * y_pred + ops.convert_to_tensor(shifts, y_pred.dtype)


def adjusted_crossentropy(
    labels: Tensor, y_pred: Tensor, factors: TensorLike, shifts: TensorLike
) -> Tensor:
    """Returns the cross-entropy of adjusted logits in nats, `[...]`.

    Args:
        labels: Integers, `[...]`.
        y_pred: Logits, `[..., K]`.
        factors: As in `adjusted_logits`.
        shifts: As in `adjusted_logits`.
    """
    adjusted = adjusted_logits(y_pred, factors, shifts)
    return -entry_of_label(log_probabilities(adjusted, from_logits=True), labels)
