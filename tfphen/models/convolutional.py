"""Plain convolutional networks."""

import keras

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.models.layer_defaults import (
    InitializerSetting,
    LayerDefaults,
    classifier,
    image_inputs,
)


def mnist1d_cnn(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    channels: int = 25,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "mnist1d_cnn",
) -> keras.Model:
    """The convolutional network of MNIST-1D.

    Three one-dimensional convolutions with ReLU, kernels 5, 3, 3, stride 2, one zero on each side;
    then a dense layer on all positions.

    Args:
        input_shape: `(steps,)` or `(steps, channels)`, at least 8 steps.
        num_classes: Number of logits.
        channels: Channels of each convolution.
        defaults: `"keras"` or `"torch"`; the published network has those of PyTorch.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the channels of all positions, flattened.

    Raises:
        UsageError: Inputs that are not sequences, or too short; `channels` below one; an unknown
            `defaults`.

    Example:

    >>> mnist1d_cnn((40,), 10).count_params()
    5210

    When not to use:
        Sequences whose order of steps carries no meaning, such as the rows of a table: use `mlp`.
        Sequences of some hundred steps give most of the weights to the dense layer.

    Reference:
        S. Greydanus, D. Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024,
        arXiv 2011.14439.
    """
    checks.wholes(channels=channels)
    if len(input_shape) not in (1, 2) or input_shape[0] < 8:
        raise UsageError(
            "`mnist1d_cnn` takes sequences, (steps,) or (steps, channels), of at least 8 steps. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    make = LayerDefaults(defaults, seed)
    inputs = x = keras.Input(input_shape, name="inputs")
    if len(input_shape) == 1:
        x = keras.layers.Reshape((input_shape[0], 1), name="channel_axis")(x)
    for number, size in enumerate((5, 3, 3), 1):
        x = make.convolution(
            channels, size, x, f"conv_{number}", strides=2, padding=1, activation="relu"
        )
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)


def lenet5(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    activation: str = "relu",
    pooling: str = "max",
    kernel_initializer: InitializerSetting | None = None,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "lenet5",
) -> keras.Model:
    """LeNet-5 with full connections: two 5×5 convolutions with pooling, three dense layers.

    Channels 6 and 16, dense layers of 120 and 84 units. Images of fewer than 32 rows are padded by
    two zeros on each side first, so that 28×28 and 32×32 give networks of the same size.

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`, at least 12 by 12.
        num_classes: Number of logits.
        activation: Activation of all hidden layers; the published network has a scaled `"tanh"`.
        pooling: `"max"` or `"average"`; the published network averages and has weights there.
        kernel_initializer: Initializer of every kernel, as in `mlp`. None uses that of `defaults`;
            relative flatness was measured with `"glorot_normal"`.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the activations of the 84 units.

    Raises:
        UsageError: Inputs that are not images, or too small; an invalid `pooling`, an unknown
            initializer or `defaults`.

    Example:

    >>> lenet5((28, 28, 1), 10).count_params()
    61706

    When not to use:
        As the historical network: that had partial connections between the convolutions, weights in
        the pooling and a radial output layer. For color images `convnet` is far more accurate.

    Reference:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
        Recognition", Proceedings of the IEEE 86, 1998; H. Petzka et al., "Relative Flatness and
        Generalization", NeurIPS 2021, arXiv 2001.00939 (on CIFAR-10).
    """
    pools = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
    checks.one_of("pooling", pooling, tuple(pools))
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = image_inputs(input_shape, "lenet5", smallest=12)
    padding = 2 if min(input_shape[:2]) < 32 else 0
    for number, (filters, pad) in enumerate(((6, padding), (16, 0)), 1):
        x = make.convolution(filters, 5, x, f"conv_{number}", padding=pad, activation=activation)
        x = pools[pooling](2, name=f"pool_{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate((120, 84), 1):
        x = make.dense(units, x, f"hidden_{number}", activation=activation)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)


def convnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: int = 64,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "convnet",
) -> keras.Model:
    """The five-layer convolutional network of the double-descent experiments.

    Four times 3×3 convolution, batch normalization and ReLU, with k, 2k, 4k, 8k channels, max
    pooling by two after the last three, then global max pooling (4×4 for 32×32 inputs). For 32×32×3
    inputs and ten classes it has 378 k² + 152 k + 10 trainable weights.

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`, at least 8 by 8.
        num_classes: Number of logits.
        width: Channels k of the first convolution.
        defaults: `"keras"` or `"torch"`; the published network has those of PyTorch.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the maxima over positions, `[batch, 8 * width]`.

    Raises:
        UsageError: Inputs that are not images, or too small; a `width` below one; an unknown
            `defaults`.

    Example:

    >>> model = convnet((32, 32, 3), 10, width=10)
    >>> sum(int(keras.ops.size(weight)) for weight in model.trainable_variables)
    39330

    When not to use:
        For the best accuracy at a given size: `resnet_cifar` needs a fraction of the weights.
        Images far above 32×32: one maximum over a large map discards most of what is there.

    Reference:
        P. Nakkiran et al., "Deep Double Descent: Where Bigger Models and More Data Hurt",
        ICLR 2020, arXiv 1912.02292.
    """
    checks.wholes(width=width)
    make = LayerDefaults(defaults, seed)
    inputs, x = image_inputs(input_shape, "convnet", smallest=8)
    for number in range(1, 5):
        x = make.convolution(width * 2 ** (number - 1), 3, x, f"conv_{number}", padding="same")
        x = make.batch_normalization(x, f"norm_{number}")
        x = keras.layers.ReLU(name=f"relu_{number}")(x)
        if number > 1:
            x = keras.layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = keras.layers.GlobalMaxPooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)
