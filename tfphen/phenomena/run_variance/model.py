"""ResNet-9 of the paper's CIFAR-10 experiments."""

import keras
from keras import layers

from tfphen.models.layer_defaults import LayerDefaults, classifier


def resnet9(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Builds the network of the paper's CIFAR-10 experiments, with PyTorch's defaults."""
    make = LayerDefaults("torch", seed=0)

    def convolve(x, filters, name, size=3, **settings):
        settings = {"padding": 1, "use_bias": False, **settings}
        x = make.convolution(filters, size, x, name, **settings)
        return layers.ReLU(name=f"{name}_relu")(make.batch_normalization(x, f"{name}_norm"))

    def residual(x, filters, name):
        inner = convolve(convolve(x, filters, f"{name}_1"), filters, f"{name}_2")
        return layers.Add(name=name)([x, inner])

    inputs = keras.Input(input_shape, name="inputs")
    x = convolve(inputs, 64, "conv_1")
    x = residual(convolve(x, 128, "conv_2", size=5, strides=2, padding=2), 128, "residual_1")
    x = layers.MaxPooling2D(2, name="pool")(convolve(x, 256, "conv_3"))
    x = convolve(residual(x, 256, "residual_2"), 128, "conv_4", padding=0)
    x = layers.GlobalMaxPooling2D(name="global_pool")(x)
    logits = classifier(x, num_classes, make, use_bias=False)
    return keras.Model(inputs, layers.Rescaling(0.2, name="scale")(logits), name="resnet9")
