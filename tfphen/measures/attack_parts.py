"""The parts of `attacks`: directions, balls and boxes, with a member axis in front."""

import math

import tensorflow as tf

from tfphen.core import checks
from tfphen.population import counter_rng

# Place of the attacks' draws among the layers of `counter_rng.uniform`, beyond those of any model.
START, ESCAPE = 2**20, 2**20 + 1


def checked(inputs, labels):
    """Returns the inputs as a tensor through which no gradient flows."""
    inputs = tf.convert_to_tensor(inputs)
    checks.require(
        len(inputs.shape) >= 3 and len(labels.shape) == 2,
        "inputs",
        tuple(inputs.shape),
        "must have shape [members, n, ...], with labels [members, n]",
    )
    return tf.stop_gradient(inputs)


def member_keys(keys, inputs):
    """Returns the keys, or the same one for all members."""
    return tf.zeros((inputs.shape[0], 2), tf.uint32) if keys is None else keys


def spread(values, like):
    """Reshapes `[members, n]` so that it broadcasts against `[members, n, ...]`."""
    return tf.reshape(values, (*tf.unstack(tf.shape(values)), *(1,) * (len(like.shape) - 2)))


def per_example(name: str, value, inputs):
    """Returns a number, `[members]` or `[members, n]` so that it broadcasts against the inputs."""
    if not tf.is_tensor(value):
        checks.number(name, value, 0)
    value = tf.cast(value, inputs.dtype)
    rank = len(value.shape)
    return tf.reshape(value, (*tf.unstack(tf.shape(value)), *(1,) * (len(inputs.shape) - rank)))


def misclassified(logits, labels):
    """Whether the largest logit is not the label's, `[members, n]`."""
    labels = tf.cast(labels, tf.int32)
    return tf.not_equal(tf.argmax(logits, -1, output_type=tf.int32), labels)


def uphill(apply, inputs, labels):
    """Returns a gradient along that of the cross-entropy, and which examples are misclassified.

    The cross-entropy is log(1 + exp(t)) with t = log Σ exp(other logits) - logit of the label, so
    its gradient points as that of t does, which keeps its length where the label is nearly sure.
    """
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = apply(inputs)
        mine = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False)
        others = tf.where(mine, tf.constant(-1e30, logits.dtype), logits)
        label = tf.reduce_sum(tf.where(mine, logits, 0.0), -1)
        total = tf.reduce_sum(tf.reduce_logsumexp(others, -1) - label)
    return tape.gradient(total, inputs), misclassified(logits, labels)


def direction(gradient, norm: str):
    """Returns the signs of a gradient, or the gradient at length 1; zero where it is zero."""
    if norm == "linf":
        return tf.sign(gradient)
    axes = tuple(range(2, len(gradient.shape)))
    # By the largest entry first: squares of small numbers vanish in float32.
    gradient = tf.math.divide_no_nan(gradient, tf.reduce_max(tf.abs(gradient), axes, keepdims=True))
    return tf.math.divide_no_nan(
        gradient, tf.sqrt(tf.reduce_sum(tf.square(gradient), axes, keepdims=True))
    )


def random_direction(keys, step, inputs):
    """A direction uniform on the sphere, from normal numbers."""
    numbers = counter_rng.uniform(keys, step, ESCAPE, (*inputs.shape[1:], 2))
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - numbers[..., 0]))
    normal = radius * tf.cos(2.0 * math.pi * numbers[..., 1])
    return direction(tf.cast(normal, inputs.dtype), "l2")


def project(change, size, norm: str):
    """Returns the nearest perturbation that is no longer than `size`."""
    if norm == "linf":
        return tf.clip_by_value(change, -size, size)
    axes = tuple(range(2, len(change.shape)))
    length = tf.sqrt(tf.reduce_sum(tf.square(change), axes, keepdims=True))
    return change * tf.minimum(1.0, tf.math.divide_no_nan(size, length))


def clip(values, low, high):
    """Limits the entries; None is no limit."""
    values = values if low is None else tf.maximum(values, tf.cast(low, values.dtype))
    return values if high is None else tf.minimum(values, tf.cast(high, values.dtype))
