"""Counter-based random numbers that are the same with and without XLA, on every device.

TensorFlow's stateless generators give different numbers under XLA. Dropout masks must not depend on
how a population is compiled, on its size or on the number of replicas, so each number is a hash
of (member key, step, layer, position in the global batch), in plain `uint32` arithmetic.
"""

import tensorflow as tf

from tfphen.core.types import Shape


def _mix(x: tf.Tensor) -> tf.Tensor:
    """A bijective 32-bit finalizer with low bias (two multiply-xorshift rounds)."""
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))
    x = x * tf.constant(0x7FEB352D, tf.uint32)
    x = tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(15, tf.uint32)))
    x = x * tf.constant(0x846CA68B, tf.uint32)
    return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(16, tf.uint32)))


def uniform(
    keys: tf.Tensor,
    step: tf.Tensor | int,
    layer: int,
    shape: Shape,
    first_row: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Returns numbers in [0, 1), of shape `[members, *shape]`, float32.

    Args:
        keys: One key a member, shape `[members, 2]`, uint32.
        step: The training step, a scalar integer.
        layer: Index of the layer in the model, so that layers draw independently.
        shape: Shape for one member; the first axis is the batch, then any others.
        first_row: Position of the first row in the global batch, so that a replica draws its share.
    """
    step = tf.cast(step, tf.uint32)
    salt = _mix(step + tf.constant((0x9E3779B9 * (layer + 1)) % 2**32, tf.uint32))
    first = _mix(tf.bitwise.bitwise_xor(keys[:, 0], salt))
    second = _mix(tf.bitwise.bitwise_xor(keys[:, 1], _mix(salt)))
    size = tf.reduce_prod(tf.cast(shape[1:], tf.int32))
    start = tf.cast(first_row, tf.int32) * size
    position = tf.cast(tf.range(shape[0] * size) + start, tf.uint32)
    bits = _mix(tf.bitwise.bitwise_xor(_mix(position[None] + first[:, None]), second[:, None]))
    mantissa = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
    numbers = tf.cast(mantissa, tf.float32) * tf.constant(2.0**-24)
    return tf.reshape(numbers, (-1, *shape))
