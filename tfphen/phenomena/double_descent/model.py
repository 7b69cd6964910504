"""The linear model whose gradient descent is solved in closed form."""

import keras


def linear_readout(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Builds logits that are linear in the inputs, without a bias, for the exact solver."""
    inputs = keras.Input(input_shape)
    features = keras.layers.Flatten(name="features")(inputs)
    readout = keras.layers.Dense(num_classes, use_bias=False, name="readout")
    return keras.Model(inputs, readout(features))
