"""ResNets for CIFAR images."""

import keras
from keras import layers

from tfphen.models.layer_defaults import LayerDefaults, classifier


def cifar_resnet(input_shape: tuple[int, ...], num_classes: int, *, depth: int = 56) -> keras.Model:
    """Builds ResNet-8, 14, 20 … of He et al. 2016, arXiv 1512.03385, with zero-padded shortcuts."""
    make = LayerDefaults("torch", 0, "he_normal")

    def convolve(x, filters, name, strides=1):
        x = make.convolution(filters, 3, x, name, strides=strides, padding=1, use_bias=False)
        return make.batch_normalization(x, f"{name}_norm")

    inputs = keras.Input(input_shape, name="inputs")
    x = layers.ReLU(name="stem_relu")(convolve(inputs, 16, "stem"))
    for number in range((depth - 2) // 2):
        stage, block = divmod(number, (depth - 2) // 6)
        name, strides = f"block_{number + 1}", 2 if stage > 0 and block == 0 else 1
        inner = convolve(x, 16 * 2**stage, f"{name}_conv_1", strides)
        inner = layers.ReLU(name=f"{name}_relu_1")(inner)
        inner = convolve(inner, 16 * 2**stage, f"{name}_conv_2")
        if strides > 1:
            x = layers.AveragePooling2D(1, 2, name=f"{name}_shortcut")(x)
            x = layers.Concatenate(name=f"{name}_zeros")([x, keras.ops.zeros_like(x)])
        x = layers.ReLU(name=f"{name}_relu_2")(layers.Add(name=f"{name}_add")([inner, x]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=f"resnet{depth}")
