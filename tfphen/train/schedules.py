"""Learning-rate schedules: factors on the optimizer's own rate, as functions of the step.

Each takes `step`, the number of updates done so far, and `total`, the length of the training in
steps, float32 tensors that broadcast, and returns the factor. Members of one population may have
different lengths.
"""

import math

import tensorflow as tf


def constant(step, total):
    """1 throughout."""
    return tf.ones_like(total + step)


def cosine(step, total):
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5)."""
    return 0.5 * (1.0 + tf.cos(math.pi * tf.minimum(step / total, 1.0)))


def linear(step, total):
    """A straight line from 1 to 0."""
    return tf.maximum(1.0 - step / total, 0.0)


def inverse_square_root(step, total, period=512):
    """`1 / sqrt(1 + floor(step / period))` (Nakkiran et al. 2020, arXiv 1912.02292)."""
    return tf.math.rsqrt(1.0 + tf.floor((step + 0.0 * total) / period))


def piecewise(step, total, fractions, factors):
    """A factor for each piece of training.

    Args:
        step: Updates done so far.
        total: Length of the training in steps.
        fractions: Where a new piece begins, as increasing fractions of `total`.
        factors: The factor from each of `fractions` on; 1 before the first.
    """
    factor = tf.ones_like(total + step)
    for fraction, value in zip(fractions, factors, strict=True):
        factor = tf.where(step >= fraction * total, tf.cast(value, factor.dtype), factor)
    return factor


SCHEDULES = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "inverse_square_root": inverse_square_root,
    "piecewise": piecewise,
}
