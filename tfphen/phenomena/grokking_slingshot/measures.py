"""What is measured on trained networks, and recorded at single updates."""

import tensorflow as tf

from tfphen.train.loop import StepHook


def last_layer_norm(step, gradients):
    """Norm of the last layer's kernel, `[members, 1]`."""
    kernel = step.weights["logits/kernel"]
    return tf.sqrt(tf.reduce_sum(tf.square(kernel), (1, 2)))[:, None]


LAST_LAYER_NORM = StepHook(("last_layer_norm",), last_layer_norm)
