"""The convolutional network for images of cats and dogs."""

import keras

from tfphen.models.layer_defaults import LayerDefaults, classifier, image_inputs


def cat_dog_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    dropout: float = 0.0,
    defaults: str = "torch",
    seed: int = 0,
) -> keras.Model:
    """Five convolutions with two poolings, two dense layers; dropout after the dense layers."""
    make = LayerDefaults(defaults, seed)
    inputs, x = image_inputs(input_shape, "cat_dog_cnn", smallest=24)
    for number, filters in enumerate((64, 64, 128, 128, 128), 1):
        x = make.convolution(filters, 3, x, f"conv_{number}", activation="relu")
        if number in (2, 5):
            x = keras.layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate((512, 128), 1):
        x = make.dense(units, x, f"hidden_{number}", activation="relu")
        if dropout:
            x = make.dropout(dropout, x, f"dropout_{number}")
    return keras.Model(inputs, classifier(x, num_classes, make), name="cat_dog_cnn")
