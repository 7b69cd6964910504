"""Checks and inverts label-noise transition matrices, on the host and in float64."""

import numpy as np

from tfphen.core.types import Array, Tensor, TensorLike

# Above this condition number the inverse has no correct digit left in float32.
_LARGEST_CONDITION = 1e6


def checked_transition_matrix(matrix: TensorLike, name: str = "transition_matrix") -> Array:
    """Returns a matrix, or a stack of them, as float64 after checking that rows sum to 1.

    Raises:
        ValueError: Not `[..., K, K]`, a negative entry, or rows that do not sum to 1 within 1e-4.
    """
    try:
        array = np.asarray(matrix, dtype="float64")
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a matrix of numbers with rows of one length. "
            f"Received: {name}={matrix!r}"
        ) from None
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.size == 0:
        raise ValueError(f"`{name}` must have shape (..., K, K). Received: shape {array.shape}")
    sums = array.sum(-1)
    if not (np.isfinite(array).all() and (array >= 0).all() and np.abs(sums - 1).max() < 1e-4):
        raise ValueError(
            f"`{name}` must have no negative entry and rows that sum to 1: row i holds the "
            "probabilities of the noisy labels of clean class i. "
            f"Received: row sums {sums.tolist()}, smallest entry {array.min()}"
        )
    return array


def inverse_of(matrix: Array, name: str = "transition_matrix") -> Array:
    """Returns the inverse of `[..., K, K]` in float64.

    Raises:
        ValueError: A matrix is singular, or so nearly that its inverse means nothing.
    """
    condition = np.max(np.linalg.cond(matrix), initial=0.0)
    if not condition < _LARGEST_CONDITION:
        raise ValueError(
            f"Backward correction needs an invertible `{name}`. Symmetric noise with probability "
            "(K - 1) / K of a wrong label, or two classes swapped with probability 1/2, is not; "
            "use forward correction there. "
            f"Received: a matrix with condition number {condition:.3g}, "
            f"allowed: below {_LARGEST_CONDITION:.0g}"
        )
    return np.linalg.inv(matrix)


def check_number_of_classes(
    matrix: Tensor, y_pred: Tensor, name: str = "transition_matrix"
) -> None:
    """Raises ValueError unless a matrix `[..., K, K]` fits predictions `[..., K]`."""
    if matrix.shape[-1] != y_pred.shape[-1]:
        raise ValueError(
            f"`{name}` must have one row and one column for each class of `y_pred`. "
            f"Received: {name} with shape {tuple(matrix.shape)}, "
            f"y_pred with shape {tuple(y_pred.shape)}"
        )
