"""Cross-entropy corrected for label noise with a known transition matrix, forward and backward.

T[i, j] is the probability that an example of clean class i carries label j: rows are clean
classes and sum to 1. Predictions at test time are argmax of the logits, whatever the correction.
"""

import keras
import numpy as np
from keras import ops

from tfphen.losses.sparse_labels import (
    labels_and_predictions,
    log_probabilities,
    row_of_label,
)

# Stands for log 0: finite, so that no gradient is NaN.
_LOG_ZERO = -1e9
# Above this condition number the inverse has no correct digit left in float32.
_LARGEST_CONDITION = 1e6


def _is_host_array(value) -> bool:
    return isinstance(value, (np.ndarray, list, tuple))


def checked_transition_matrix(matrix, name: str = "transition_matrix") -> np.ndarray:
    """Returns a matrix, or a stack of them, as float64 after checking that rows sum to 1.

    Raises:
        ValueError: Not `[..., K, K]`, a negative entry, or rows that do not sum to 1 within 1e-4.
    """
    array = np.asarray(matrix, dtype="float64")
    if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
        raise ValueError(f"`{name}` must have shape (..., K, K). Received: shape {array.shape}")
    sums = array.sum(-1)
    if not (np.isfinite(array).all() and (array >= 0).all() and np.abs(sums - 1).max() < 1e-4):
        raise ValueError(
            f"`{name}` must have no negative entry and rows that sum to 1: row i holds the "
            "probabilities of the noisy labels of clean class i. "
            f"Received: row sums {sums.tolist()}, smallest entry {array.min()}"
        )
    return array


def inverse_of(matrix: np.ndarray, name: str = "transition_matrix") -> np.ndarray:
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


def forward_corrected_crossentropy(y_true, y_pred, transition_matrix, from_logits=True):
    """Cross-entropy of noisy labels with the noisy posterior that the prediction implies.

    With p = softmax(y_pred) the loss of label y is -log sum_i p_i T[i, y]; its gradient in the
    logits is p - p * T[:, y] / sum_i p_i T[i, y]. It is computed as a log-sum-exp over clean
    classes, with -1e9 for log 0.

    Args:
        y_true: Noisy integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        transition_matrix: `[K, K]`, or `[..., K, K]` with leading axes that broadcast against
            those of `y_true`: `[batch, K, K]`, or `[members, 1, K, K]` for `[members, batch]`.
            Arrays and lists are checked, tensors are not.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: An array that is no transition matrix, or shapes that do not go together.

    Example:

    >>> matrix = [[0.8, 0.2], [0.0, 1.0]]
    >>> loss = forward_corrected_crossentropy([1], [[0.0, 0.0]], matrix)
    >>> float(loss[0])  # -log(0.5 * 0.2 + 0.5 * 1.0)
    0.51082...

    Reference:
        G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, arXiv 1609.03683, section 4.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    if _is_host_array(transition_matrix):
        array = np.swapaxes(checked_transition_matrix(transition_matrix), -1, -2)
        logs = np.where(array > 0, np.log(np.where(array > 0, array, 1.0)), _LOG_ZERO)
        logs = ops.convert_to_tensor(logs, y_pred.dtype)
    else:
        matrix = ops.cast(ops.swapaxes(transition_matrix, -1, -2), y_pred.dtype)
        positive = matrix > 0
        logs = ops.where(positive, ops.log(ops.where(positive, matrix, 1.0)), _LOG_ZERO)
    joint = log_probabilities(y_pred, from_logits) + row_of_label(logs, labels)
    return -ops.logsumexp(joint, axis=-1)


def backward_corrected_crossentropy(
    y_true, y_pred, transition_matrix=None, from_logits=True, clip=True, inverse_matrix=None
):
    """An unbiased estimate of the clean cross-entropy from noisy labels.

    With p = softmax(y_pred) the loss of label y is -sum_j (T^-1)[y, j] log p_j; its mean over the
    noisy labels of clean class i is -log p_i, and its gradient in the logits is p - (T^-1)[y, :].
    Entries of T^-1 may be negative, so without `clip` the loss is unbounded below.

    Args:
        y_true: Noisy integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        transition_matrix: T, as in `forward_corrected_crossentropy`.
        from_logits: Whether `y_pred` holds logits.
        clip: Keep p in [epsilon, 1 - epsilon] with `keras.config.epsilon()`, as the authors' code
            does; probabilities outside get no gradient. Always so for `from_logits=False`.
        inverse_matrix: T^-1, in place of `transition_matrix`.

    Returns:
        One loss an example, in nats, possibly negative, `[...]`.

    Raises:
        ValueError: Both or neither of `transition_matrix` and `inverse_matrix`; an array that is
            no transition matrix, or a singular one; shapes that do not go together.

    Example:

    >>> matrix = [[0.8, 0.2], [0.0, 1.0]]
    >>> loss = backward_corrected_crossentropy([0], [[0.0, 0.0]], matrix)
    >>> float(loss[0])  # (1.25 - 0.25) log 2
    0.69314...

    Reference:
        G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, arXiv 1609.03683, section 3.
    """
    if (transition_matrix is None) == (inverse_matrix is None):
        raise ValueError(
            "Pass one of `transition_matrix` and `inverse_matrix`. Received: "
            + ("neither" if transition_matrix is None else "both")
        )
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    if inverse_matrix is None:
        if _is_host_array(transition_matrix):
            inverse_matrix = inverse_of(checked_transition_matrix(transition_matrix))
        else:
            inverse_matrix = ops.inv(ops.cast(transition_matrix, y_pred.dtype))
    weights = row_of_label(ops.convert_to_tensor(inverse_matrix, y_pred.dtype), labels)
    return -ops.sum(weights * log_probabilities(y_pred, from_logits, clip), axis=-1)


class _CorrectedCrossentropy(keras.losses.Loss):
    """Holds a transition matrix, checked, and gives it back as a plain list."""

    def __init__(self, transition_matrix, from_logits, reduction, name, dtype):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.transition_matrix = checked_transition_matrix(transition_matrix)
        if self.transition_matrix.ndim != 2:
            raise ValueError(
                "`transition_matrix` must have shape (K, K). "
                f"Received: shape {self.transition_matrix.shape}"
            )
        self.from_logits = from_logits

    def get_config(self):
        return {
            **super().get_config(),
            "transition_matrix": self.transition_matrix.tolist(),
            "from_logits": self.from_logits,
        }


@keras.saving.register_keras_serializable(package="tfphen")
class ForwardCorrectedCrossentropy(_CorrectedCrossentropy):
    """Cross-entropy of noisy labels whose minimiser is that of the clean ones.

    See `forward_corrected_crossentropy` for the equation.

    Args:
        transition_matrix: `(K, K)`, rows sum to 1: entry (i, j) is the probability that an example
            of clean class i carries label j.
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Noisy integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: `transition_matrix` is not one.

    Example:

    >>> loss = ForwardCorrectedCrossentropy([[0.8, 0.2], [0.0, 1.0]])
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss)

    Reference:
        G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, arXiv 1609.03683, section 4.
    """

    def __init__(
        self,
        transition_matrix,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="forward_corrected_crossentropy",
        dtype=None,
    ):
        super().__init__(transition_matrix, from_logits, reduction, name, dtype)

    def call(self, y_true, y_pred):
        return forward_corrected_crossentropy(
            y_true, y_pred, self.transition_matrix, self.from_logits
        )


@keras.saving.register_keras_serializable(package="tfphen")
class BackwardCorrectedCrossentropy(_CorrectedCrossentropy):
    """An unbiased estimate of the clean cross-entropy from noisy labels.

    See `backward_corrected_crossentropy` for the equation. The loss may be negative.

    Args:
        transition_matrix: `(K, K)`, as in `ForwardCorrectedCrossentropy`, invertible.
        from_logits: Whether predictions are logits.
        clip: Keep probabilities in [epsilon, 1 - epsilon], so that the loss is bounded below.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Noisy integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: `transition_matrix` is not one, or is singular.

    Example:

    >>> loss = BackwardCorrectedCrossentropy([[0.8, 0.2], [0.0, 1.0]])
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss)

    Reference:
        G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, arXiv 1609.03683, section 3.
    """

    def __init__(
        self,
        transition_matrix,
        from_logits=True,
        clip=True,
        reduction="sum_over_batch_size",
        name="backward_corrected_crossentropy",
        dtype=None,
    ):
        super().__init__(transition_matrix, from_logits, reduction, name, dtype)
        self.clip = clip
        self._inverse = inverse_of(self.transition_matrix)

    def call(self, y_true, y_pred):
        return backward_corrected_crossentropy(
            y_true,
            y_pred,
            from_logits=self.from_logits,
            clip=self.clip,
            inverse_matrix=self._inverse,
        )

    def get_config(self):
        return {**super().get_config(), "clip": self.clip}
