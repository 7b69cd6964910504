"""Measures on trained networks, and what is recorded at single updates."""

import numpy as np
import tensorflow as tf

from tfphen.metrics import inverse_participation_ratio
from tfphen.train.loop import StepHook


def new_pair_error(trained) -> np.ndarray:
    """Test error on pairs (a, b) whose mirror (b, a) is not in the training set, `[members]`."""
    inputs, p = trained.inputs("test"), trained.num_classes
    if inputs.shape[-1] == 2 * p:
        a, b = inputs[..., :p].argmax(-1), inputs[..., p:].argmax(-1)
    else:  # Tokens "EOS a op b =".
        a, b = inputs[..., 1].astype(int), inputs[..., 3].astype(int)
    new = np.stack([np.isin(x * p + y, y * p + x) for x, y in zip(a, b, strict=True)])
    errors = trained.logits("test").argmax(-1) != trained.labels("test")
    return (errors & new).sum(1) / np.maximum(new.sum(1), 1)


def periodicity(trained) -> np.ndarray:
    """Inverse participation ratio of the rows of U, mean over hidden units, `[members]`."""
    kernels = trained.members.value_of("hidden/kernel")[:, : trained.num_classes]
    return inverse_participation_ratio(kernels.swapaxes(1, 2)).mean(1)


def last_layer_norm(step, gradients) -> tf.Tensor:
    """Norm of the last layer's kernel, `[members, 1]`."""
    kernel = step.weights["logits/kernel"]
    return tf.sqrt(tf.reduce_sum(tf.square(kernel), (1, 2)))[:, None]


LAST_LAYER_NORM = StepHook(("last_layer_norm",), last_layer_norm)
