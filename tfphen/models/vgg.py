"""VGG networks for small images and the scaled-down ones of the lottery ticket experiments."""

import keras

from tfphen.core import checks
from tfphen.models.layer_defaults import (
    InitializerSetting,
    LayerDefaults,
    classifier,
    image_inputs,
)

# Convolutions in each of the five groups.
VGG_GROUPS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


def vgg(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 16,
    width: int = 64,
    batch_norm: bool = True,
    last_pooling: str = "max",
    kernel_initializer: InitializerSetting | None = None,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "vgg",
) -> keras.Model:
    """VGG-11, -13, -16 or -19 for small images: one dense layer instead of three.

    Five groups of 3×3 convolutions with k, 2k, 4k, 8k, 8k channels, each with bias, batch
    normalization and ReLU; after each group pooling by two, which reduces 32×32 inputs to one
    position; then the dense layer. Trainable weights for k = 64, three input channels, ten classes:

        depth               11         13         16         19
        with batch norm     9231114    9416010    14728266   20040522
        without             9225610    9410122    14719818   20029514

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`, at least 32 by 32. For larger
            images the last feature map is averaged over positions.
        num_classes: Number of logits.
        depth: 11, 13, 16 or 19.
        width: Channels k of the first group.
        batch_norm: Whether there is batch normalization between each convolution and its ReLU.
        last_pooling: `"max"`, as in most VGGs for CIFAR, or `"average"`, the mean over the
            positions that are left after four groups, as in the lottery ticket paper's VGG-19.
        kernel_initializer: Initializer of every kernel, as in `mlp`. None uses that of `defaults`.
            The lottery ticket paper has `"glorot_normal"`, its released PyTorch code `"he_normal"`.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds `[batch, 8 * width]`.

    Raises:
        UsageError: Inputs that are not images, or too small; an invalid `depth` or `last_pooling`;
            a `width` below one; an unknown initializer or `defaults`.

    Example:

    >>> model = vgg((32, 32, 3), 10, depth=11, width=4, batch_norm=False)
    >>> model.count_params(), model.get_layer("features").output.shape
    (36610, (None, 32))

    When not to use:
        Without batch normalization the deeper ones barely train from PyTorch's or Glorot's initial
        weights: take `"he_normal"`. At equal accuracy a residual network is smaller. ImageNet's VGG
        has dense layers of 4096 units and is `keras.applications.VGG16`.

    Reference:
        K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
        Recognition", ICLR 2015, arXiv 1409.1556, table 1 (columns A, B, D, E); J. Frankle,
        M. Carbin, "The Lottery Ticket Hypothesis", ICLR 2019, arXiv 1803.03635.
    """
    checks.one_of("depth", depth, tuple(VGG_GROUPS))
    checks.one_of("last_pooling", last_pooling, ("max", "average"))
    checks.wholes(width=width)
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = image_inputs(input_shape, "vgg", smallest=32)
    for group, layers in enumerate(VGG_GROUPS[depth]):
        for number in range(1, layers + 1):
            filters, part = width * 2 ** min(group, 3), f"group_{group + 1}_conv_{number}"
            x = make.activated_convolution(filters, 3, x, part, batch_norm, padding="same")
        if group < 4 or last_pooling == "max":
            x = keras.layers.MaxPooling2D(2, name=f"pool_{group + 1}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)


def lottery_convnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 4,
    width: int = 64,
    dropout: float = 0.0,
    kernel_initializer: InitializerSetting | None = "glorot_normal",
    defaults: str = "keras",
    seed: int = 0,
    name: str = "lottery_convnet",
) -> keras.Model:
    """Conv-2, Conv-4 or Conv-6 of the lottery ticket experiments: scaled-down VGGs.

    One, two or three groups of two 3×3 convolutions with k, 2k, 4k channels and max pooling by two;
    then dense layers of 4k, 4k and `num_classes` units. ReLU, biases, no normalization. For k = 64,
    32×32×3 inputs and ten classes there are, without biases (the paper prints 4.3M, 2.4M, 1.7M in
    all and 38K, 260K, 1.1M in convolutions):

        depth           2          4          6
        weights         4300992    2425024    2261184
        convolutions    38592      259776     1144512

    The printed 1.7M of Conv-6 does not follow from three poolings by two; all else does.

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`, at least 2, 4 or 8 on each
            side for depth 2, 4 or 6.
        num_classes: Number of logits.
        depth: 2, 4 or 6 convolutions.
        width: Channels k of the first group.
        dropout: Rate of dropout after each hidden dense layer, in [0, 1). The paper's experiments
            with dropout have .5; its placement is our reading.
        kernel_initializer: Initializer of every kernel, as in `mlp`. The paper uses Glorot normal
            initialization; Keras's is truncated at two standard deviations, as is that of the
            released TensorFlow code. None uses that of `defaults`.
        defaults: `"keras"` (biases start at zero, as published) or `"torch"`.
        seed: Seed of the initial weights and dropout of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the last hidden activations, `[batch, 4 * width]`.

    Raises:
        UsageError: Inputs that are not images, or too small; an invalid `depth`; a `width` below
            one; a `dropout` outside [0, 1); an unknown initializer or `defaults`.

    Example:

    >>> lottery_convnet((32, 32, 3), 10, depth=2).count_params()
    4301642

    When not to use:
        For accuracy: 96 % of the weights of Conv-2 are in one dense layer, and nothing but early
        stopping keeps it from fitting noise. `convnet` and `resnet_cifar` generalize far better.

    Reference:
        J. Frankle, M. Carbin, "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural
        Networks", ICLR 2019, arXiv 1803.03635, figure 2.
    """
    checks.one_of("depth", depth, (2, 4, 6))
    checks.wholes(width=width)
    checks.number("dropout", dropout, 0, 1, high_open=True)
    groups = depth // 2
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = image_inputs(input_shape, "lottery_convnet", smallest=2**groups)
    for number in range(1, depth + 1):
        filters = width * 2 ** ((number - 1) // 2)
        x = make.convolution(filters, 3, x, f"conv_{number}", padding="same", activation="relu")
        if number % 2 == 0:
            x = keras.layers.MaxPooling2D(2, name=f"pool_{number // 2}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for number in (1, 2):
        x = make.dense(4 * width, x, f"hidden_{number}", activation="relu")
        if dropout:
            x = make.dropout(dropout, x, f"dropout_{number}")
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)
