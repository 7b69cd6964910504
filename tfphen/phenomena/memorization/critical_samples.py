"""Critical sample ratios of population members, each around its own examples."""

import numpy as np
from keras import ops

from tfphen.metrics import critical_sample_ratio


def member_critical_sample_ratios(model, weights, inputs, radius: float, **settings) -> np.ndarray:
    """Critical sample ratio of each member around its own inputs.

    The search starts at a distance of 0 from them, and the model is run at their sum.

    Args:
        model: A built `keras.Model` from inputs to logits, without state, of one member.
        weights: One array `[members, *shape]` for each of `model.trainable_variables`.
        inputs: `[members, n, ...]`, floats.
        radius, **settings: As in `tfphen.metrics.critical_sample_ratio`.

    Returns:
        Shape `[members]`.
    """
    weights = [ops.convert_to_tensor(value) for value in weights]
    inputs = ops.convert_to_tensor(inputs)
    members, *shape = inputs.shape

    def one(member):
        points, values = member
        return model.stateless_call(values, [], points, training=False)[0]

    def logits(distances):
        return ops.vectorized_map(one, (inputs + distances, weights))

    settings = {"batch_size": shape[0], "members": members} | settings
    return critical_sample_ratio(logits, np.zeros(shape, "float32"), radius, **settings).ratio
