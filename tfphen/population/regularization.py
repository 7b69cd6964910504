"""Weight penalties of a model, for each member of a population."""

from collections.abc import Iterable

import keras
import tensorflow as tf


def total(weights: Iterable[tuple[keras.Variable, tf.Tensor]]) -> tf.Tensor | float:
    """Returns the sum of the penalties of weights, `[members]`, or 0.0 where none has one.

    Args:
        weights: Pairs of the template's variable and its stacked value, `[members, ...]`.
    """
    found = 0.0
    for template, value in weights:
        if template.regularizer is not None:
            found += _penalty(template.regularizer, value)
    return found


def _penalty(regularizer: keras.regularizers.Regularizer, value: tf.Tensor) -> tf.Tensor:
    axes = range(1, len(value.shape))
    if type(regularizer) is keras.regularizers.L2:
        return regularizer.l2 * tf.reduce_sum(tf.square(value), axes)
    if type(regularizer) is keras.regularizers.L1:
        return regularizer.l1 * tf.reduce_sum(tf.abs(value), axes)
    # The general case: under XLA it can take ten times as long as a small network's own step.
    return tf.vectorized_map(regularizer, value)
