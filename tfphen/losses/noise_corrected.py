"""Cross-entropy corrected for label noise with a known transition matrix, forward and backward.

T[i, j] is the probability that an example of clean class i carries label j: rows are clean
classes and sum to 1. Predictions at test time are argmax of the logits, whatever the correction.
"""

import keras
import numpy as np
from keras import ops

from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import labels_and_predictions, log_probabilities, row_of_label
from tfphen.losses.transition_matrices import (
    check_number_of_classes,
    checked_transition_matrix,
    inverse_of,
)

# Stands for log 0: finite, so that no gradient is NaN.
_LOG_ZERO = -1e9


def _is_host_array(value) -> bool:
    return isinstance(value, (np.ndarray, list, tuple))


def forward_corrected_crossentropy(y_true, y_pred, transition_matrix, from_logits=True):
    """Cross-entropy of noisy labels with the noisy posterior that the prediction implies.

    With p = softmax(z) of the logits z the loss of the noisy label y is

        l(y, z) = -log Σᵢ pᵢ T[i, y],   ∂l/∂z = p - p T[:, y] / Σᵢ pᵢ T[i, y]

    computed as a log-sum-exp over clean classes, with -1e9 for log 0.

    Args:
        y_true: Noisy integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        transition_matrix: T, `[K, K]`, or `[..., K, K]` with leading axes that broadcast against
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
    check_number_of_classes(logs, y_pred)
    joint = log_probabilities(y_pred, from_logits) + row_of_label(logs, labels)
    return -ops.logsumexp(joint, axis=-1)


def backward_corrected_crossentropy(
    y_true, y_pred, transition_matrix=None, from_logits=True, clip=True, inverse_matrix=None
):
    """An unbiased estimate of the clean cross-entropy from noisy labels.

    With p = softmax(z) of the logits z the loss of the noisy label y is

        l(y, z) = -Σⱼ T⁻¹[y, j] log pⱼ,   ∂l/∂z = p - T⁻¹[y, :]

    Its mean over the noisy labels of clean class i is -log pᵢ. Entries of T⁻¹ may be negative, so
    without `clip` the loss is unbounded below.

    Args:
        y_true: Noisy integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        transition_matrix: T, as in `forward_corrected_crossentropy`.
        from_logits: Whether `y_pred` holds logits.
        clip: Keep p in [epsilon, 1 - epsilon] with `keras.config.epsilon()`, as the authors' code
            does; probabilities outside get no gradient. Always so for `from_logits=False`.
        inverse_matrix: T⁻¹, in place of `transition_matrix`.

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
    inverse_matrix = ops.convert_to_tensor(inverse_matrix, y_pred.dtype)
    check_number_of_classes(inverse_matrix, y_pred)
    weights = row_of_label(inverse_matrix, labels)
    return -ops.sum(weights * log_probabilities(y_pred, from_logits, clip), axis=-1)


def _one_matrix(transition_matrix) -> np.ndarray:
    """The matrix of a loss class as float64: one for all examples."""
    matrix = checked_transition_matrix(transition_matrix)
    if matrix.ndim != 2:
        raise ValueError(
            f"`transition_matrix` must have shape (K, K). Received: shape {matrix.shape}"
        )
    return matrix


@keras.saving.register_keras_serializable(package="tfphen")
class ForwardCorrectedCrossentropy(FunctionalLoss):
    """Cross-entropy of noisy labels whose minimiser is that of the clean ones.

    The model's posterior p is pushed through the noise and compared with the noisy label y:

        l(y, z) = -log Σᵢ pᵢ T[i, y],   p = softmax(z)

    The loss is bounded below by 0 and needs no inverse. Predict with argmax of the logits z.

    Args:
        transition_matrix: T, `(K, K)`, rows sum to 1: entry (i, j) is the probability that an
            example of clean class i carries label j.
        from_logits: Whether predictions are logits.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Noisy integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: `transition_matrix` is not one, or has not one row for each class.

    Example:

    >>> loss = ForwardCorrectedCrossentropy([[0.8, 0.2], [0.0, 1.0]])
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss)
    >>> float(loss([1], [[0.0, 0.0]]))
    0.51082...

    When not to use:
        Where T is not known: an estimate (`tfphen.losses.estimate_transition_matrix`) is only as
        good as the noise is mild, and swaps or merges classes of which more than half carry
        another label. Where the noise depends on the input and not on the class alone. Where
        labels are clean: a T that is not the identity then costs accuracy. Where two classes are
        swapped with each other at a rate near 1/2: training may give one of them up. For few
        labels per class, long training memorizes the noise here too.

    Migration:
        From `robust("forward", P)` of giorgiop/loss-correction (Keras 2): `transition_matrix` is
        P; labels are integers in place of one-hot rows; `from_logits=False` for a model that ends
        in a softmax.

    Reference:
        G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, arXiv 1609.03683, section 4.
    """

    function = staticmethod(forward_corrected_crossentropy)

    def __init__(
        self,
        transition_matrix,
        from_logits=True,
        reduction="sum_over_batch_size",
        name="forward_corrected_crossentropy",
        dtype=None,
    ):
        settings = {
            "transition_matrix": _one_matrix(transition_matrix),
            "from_logits": from_logits,
        }
        super().__init__(settings, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class BackwardCorrectedCrossentropy(FunctionalLoss):
    """An unbiased estimate of the clean cross-entropy from noisy labels.

    The losses of all labels are weighed by the row of the inverse noise that the label y names:

        l(y, z) = -Σⱼ T⁻¹[y, j] log pⱼ,   p = softmax(z)

    Weights may be negative, and so may the loss. Predict with argmax of the logits z.

    Args:
        transition_matrix: T, `(K, K)`, as in `ForwardCorrectedCrossentropy`, invertible.
        from_logits: Whether predictions are logits.
        clip: Keep probabilities in [epsilon, 1 - epsilon], so that the loss is bounded below.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Noisy integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Predictions, `[batch, K]`.

    Raises:
        ValueError: `transition_matrix` is not one, is singular, or has not one row for each class.

    Example:

    >>> loss = BackwardCorrectedCrossentropy([[0.8, 0.2], [0.0, 1.0]])
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss)
    >>> float(loss([0], [[0.0, 0.0]]))
    0.69314...

    When not to use:
        For a first try: forward correction is as good or better in most published comparisons, and
        stays stable. Where T has eigenvalues near 0 (strong noise): entries of the inverse grow,
        and with them the variance of the loss. With `clip=False` and a network that can fit
        single examples: nothing bounds the loss below. And wherever forward correction should not
        be used.

    Migration:
        From `robust("backward", P)` of giorgiop/loss-correction (Keras 2): as for
        `ForwardCorrectedCrossentropy`. `clip=True` is what that code does.

    Reference:
        G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, arXiv 1609.03683, section 3.
    """

    function = staticmethod(backward_corrected_crossentropy)

    def __init__(
        self,
        transition_matrix,
        from_logits=True,
        clip=True,
        reduction="sum_over_batch_size",
        name="backward_corrected_crossentropy",
        dtype=None,
    ):
        settings = {
            "transition_matrix": _one_matrix(transition_matrix),
            "from_logits": from_logits,
            "clip": clip,
        }
        super().__init__(settings, reduction, name, dtype)
        # Taken once, in float64, and not at every call.
        self._inverse = inverse_of(self.transition_matrix)

    def call(self, y_true, y_pred):
        settings = {**self.settings, "transition_matrix": None, "inverse_matrix": self._inverse}
        return backward_corrected_crossentropy(y_true, y_pred, **settings)
