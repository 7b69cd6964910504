"""A multilayer perceptron whose logits are normalized, for losses that need bounded scores."""

import keras

from tfphen.models import mlp


def normalized_mlp(input_shape, num_classes, **settings) -> keras.Model:
    """Builds an MLP with batch normalization after its last layer.

    Args:
        input_shape: Of one example.
        num_classes: Number of logits.
        **settings: As in `tfphen.models.mlp`.
    """
    model = mlp(input_shape, num_classes, **settings)
    outputs = keras.layers.BatchNormalization(name="normalized_logits")(model.output)
    return keras.Model(model.input, outputs, name="normalized_mlp")
