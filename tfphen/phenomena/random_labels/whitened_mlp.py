"""The perceptron of the paper's CIFAR-10 experiments."""

import keras

from tfphen.models import mlp


def whitened_mlp(input_shape, num_classes: int, *, crop: int = 2, **settings) -> keras.Model:
    """MLP on cropped images, each shifted and scaled to mean 0 and variance 1.

    Args:
        input_shape: `(height, width, channels)`.
        num_classes: Number of outputs.
        crop: Margin in pixels that is cut off on all sides.
        **settings: As in `tfphen.models.mlp`.
    """
    inputs = keras.Input(input_shape)
    flat = keras.layers.Flatten()(keras.layers.Cropping2D(crop)(inputs))
    deviation = keras.ops.std(flat, axis=-1, keepdims=True)
    deviation = keras.ops.maximum(deviation, flat.shape[-1] ** -0.5)
    flat = (flat - keras.ops.mean(flat, axis=-1, keepdims=True)) / deviation
    outputs = mlp(flat.shape[1:], num_classes, **settings)(flat)
    return keras.Model(inputs, outputs, name="whitened_mlp")
