"""The parts of `attacks`: directions, balls and boxes, with a leading member axis."""

import math

import tensorflow as tf

from tfphen.core import checks
from tfphen.population import counter_rng
from tfphen.population.prediction import Apply

# Layer indices of the attacks' draws in `counter_rng.uniform`, beyond those of any model.
START, ESCAPE = 2**20, 2**20 + 1


def checked(inputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the inputs as a tensor without gradient, after a check of the shapes."""
    inputs = tf.convert_to_tensor(inputs)
    checks.require(
        len(inputs.shape) >= 3 and len(labels.shape) == 2,
        "inputs",
        tuple(inputs.shape),
        "must have shape [members, n, ...], with labels [members, n]",
    )
    return tf.stop_gradient(inputs)


def member_keys(keys: tf.Tensor | None, inputs: tf.Tensor) -> tf.Tensor:
    """Returns the keys, `[members, 2]`; None gives all members the same key."""
    return tf.zeros((inputs.shape[0], 2), tf.uint32) if keys is None else keys


def spread(values: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Reshapes `[members, n]` so that it broadcasts against `[members, n, ...]`."""
    return tf.reshape(values, (*tf.unstack(tf.shape(values)), *(1,) * (len(like.shape) - 2)))


def per_example(name: str, value: tf.Tensor | float, inputs: tf.Tensor) -> tf.Tensor:
    """Reshapes a number, `[members]` or `[members, n]` to broadcast against the inputs."""
    if not tf.is_tensor(value):
        checks.number(name, value, 0)
    value = tf.cast(value, inputs.dtype)
    rank = len(value.shape)
    return tf.reshape(value, (*tf.unstack(tf.shape(value)), *(1,) * (len(inputs.shape) - rank)))


def misclassified(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Whether the largest logit is not the label's, `[members, n]`."""
    labels = tf.cast(labels, tf.int32)
    return tf.not_equal(tf.argmax(logits, -1, output_type=tf.int32), labels)


def uphill(apply: Apply, inputs: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the direction of the cross-entropy's gradient, and which examples are misclassified.

    The cross-entropy is log(1 + exp(t)) with t = log Σ exp(other logits) - logit of the label, so
    its gradient has the direction of that of t, which does not vanish for confident predictions.
    """
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        logits = apply(inputs)
        mine = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False)
        others = tf.where(mine, tf.constant(-1e30, logits.dtype), logits)
        label = tf.reduce_sum(tf.where(mine, logits, 0.0), -1)
        total = tf.reduce_sum(tf.reduce_logsumexp(others, -1) - label)
    return tape.gradient(total, inputs), misclassified(logits, labels)


def direction(gradient: tf.Tensor, norm: str) -> tf.Tensor:
    """Returns the signs of a gradient, or the gradient at norm 1; zero where it is zero."""
    if norm == "linf":
        return tf.sign(gradient)
    axes = tuple(range(2, len(gradient.shape)))
    # Divided by the largest entry first: squares of small numbers underflow in float32.
    gradient = tf.math.divide_no_nan(gradient, tf.reduce_max(tf.abs(gradient), axes, keepdims=True))
    return tf.math.divide_no_nan(
        gradient, tf.sqrt(tf.reduce_sum(tf.square(gradient), axes, keepdims=True))
    )


def random_direction(keys: tf.Tensor, step: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """Returns directions that are uniform on the sphere, from normal random numbers."""
    numbers = counter_rng.uniform(keys, step, ESCAPE, (*inputs.shape[1:], 2))
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - numbers[..., 0]))
    normal = radius * tf.cos(2.0 * math.pi * numbers[..., 1])
    return direction(tf.cast(normal, inputs.dtype), "l2")


def project(change: tf.Tensor, size: tf.Tensor, norm: str) -> tf.Tensor:
    """Projects perturbations to the ball of radius `size`."""
    if norm == "linf":
        return tf.clip_by_value(change, -size, size)
    axes = tuple(range(2, len(change.shape)))
    length = tf.sqrt(tf.reduce_sum(tf.square(change), axes, keepdims=True))
    return change * tf.minimum(1.0, tf.math.divide_no_nan(size, length))


def clip(values: tf.Tensor, low: float | None, high: float | None) -> tf.Tensor:
    """Clips the entries to `[low, high]`; None is no limit."""
    values = values if low is None else tf.maximum(values, tf.cast(low, values.dtype))
    return values if high is None else tf.minimum(values, tf.cast(high, values.dtype))
