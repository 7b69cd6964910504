"""The built-in objectives of trials: factories of functions of a `Step`.

Each takes its settings as keyword arguments and returns a function that returns per-example losses
`[members, batch]`.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfphen import losses
from tfphen.core.checks import one_of
from tfphen.core.errors import UsageError
from tfphen.data import transition_matrix
from tfphen.losses.noise_corrected import inverse_of
from tfphen.train import objectives
from tfphen.train.class_objectives import CLASS_OBJECTIVES, weighted
from tfphen.train.objectives import Objective, Step
from tfphen.train.transfer_objectives import TRANSFER_OBJECTIVES


def _matrices(
    step: Step, transition: Mapping[str, Any] | None, transpose: bool
) -> np.ndarray | tf.Tensor:
    """Returns transition matrices `[members or 1, K, K]`, as an array if they are constants."""
    if transition is not None:
        classes = step.outputs.shape[-1]
        try:
            values = transition_matrix(num_classes=classes, **transition)[None]
        except TypeError:
            raise UsageError(
                "`transition` has a `kind` and a `rate`, see `tfphen.data.transition_matrix`. "
                f"Received: transition={transition!r}"
            ) from None
    elif "transition_matrix" in step.constants:
        values = step.constants["transition_matrix"]
        # Constants are known during tracing; the inverse is then computed once, in float64.
        known = tf.get_static_value(values)
        values = values if known is None else np.asarray(known, "float64")
    else:
        raise UsageError(
            "This objective needs a transition matrix: one in the trainer's constants under "
            "'transition_matrix', or the setting `transition`. "
            f"Received: constants {sorted(step.constants)}, transition=None"
        )
    if not transpose:
        return values
    return (
        values.swapaxes(-1, -2)
        if isinstance(values, np.ndarray)
        else tf.linalg.matrix_transpose(values)
    )


def cross_entropy(dtype: str = "float32", weighting: Mapping[str, Any] | None = None) -> Objective:
    """Cross-entropy of the labels.

    Args:
        dtype: Type of the softmax, the loss and their gradient, `"float32"` or `"float64"`.
        weighting: Settings of a `tfphen.train.class_objectives.Weighting`, or None.
    """
    one_of("dtype", dtype, ("float32", "float64"))
    return weighted(weighting, functools.partial(objectives.cross_entropy, dtype=dtype))


def forward_correction(
    transpose: bool = False, transition: Mapping[str, Any] | None = None
) -> Objective:
    """Forward-corrected cross-entropy, see `tfphen.losses.forward_corrected_crossentropy`.

    Args:
        transpose: Whether to use the transpose of T: wrong on purpose, a negative control.
        transition: None takes each member's own T, the constant `"transition_matrix"` of shape
            `[members, K, K]`. Otherwise `{"kind": …, "rate": …}` of
            `tfphen.data.transition_matrix`, regardless of the noise of the labels.
    """

    def objective(step: Step) -> tf.Tensor:
        # A tensor is not checked, and rows of a transpose need not sum to 1.
        values = tf.cast(_matrices(step, transition, transpose), tf.float32)
        return losses.forward_corrected_crossentropy(step.labels, step.outputs, values[:, None])

    return objective


def backward_correction(
    transpose: bool = False, transition: Mapping[str, Any] | None = None, clip: bool = True
) -> Objective:
    """Backward-corrected cross-entropy, see `tfphen.losses.backward_corrected_crossentropy`.

    Args:
        transpose: As in `forward_correction`.
        transition: As in `forward_correction`.
        clip: Whether to clip probabilities to [epsilon, 1 - epsilon].
    """

    def objective(step: Step) -> tf.Tensor:
        values = _matrices(step, transition, transpose)
        if isinstance(values, np.ndarray):
            try:
                inverse = inverse_of(values)
            except ValueError as error:
                raise UsageError(str(error)) from None
        else:
            inverse = keras.ops.inv(values)
        return losses.backward_corrected_crossentropy(
            step.labels, step.outputs, clip=clip, inverse_matrix=inverse[:, None]
        )

    return objective


def bootstrap_soft(beta: float = 0.95) -> Objective:
    """See `tfphen.losses.bootstrap_soft_crossentropy`."""
    return lambda step: losses.bootstrap_soft_crossentropy(step.labels, step.outputs, beta)


def bootstrap_hard(beta: float = 0.8) -> Objective:
    """See `tfphen.losses.bootstrap_hard_crossentropy`."""
    return lambda step: losses.bootstrap_hard_crossentropy(step.labels, step.outputs, beta)


def _without_settings(
    function: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> Callable[[], Objective]:
    return lambda: lambda step: function(step.labels, step.outputs)


OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "cross_entropy": cross_entropy,
    "squared_error": lambda: objectives.squared_error,
    "softmax_binary_crossentropy": _without_settings(losses.softmax_binary_crossentropy),
    "forward_correction": forward_correction,
    "backward_correction": backward_correction,
    "bootstrap_soft": bootstrap_soft,
    "bootstrap_hard": bootstrap_hard,
    "unhinged": _without_settings(losses.unhinged_loss),
    "sigmoid": _without_settings(losses.sigmoid_loss),
    "savage": _without_settings(losses.savage_loss),
    "ramp": _without_settings(losses.ramp_loss),
    **CLASS_OBJECTIVES,
    **TRANSFER_OBJECTIVES,
}
