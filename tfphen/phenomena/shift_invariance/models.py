"""Networks of one circular convolution, exactly shift-invariant with global pooling."""

import math
from collections.abc import Sequence

import keras

from tfphen.core import checks
from tfphen.layers.circular_convolution import CircularConvolution
from tfphen.models.layer_defaults import LayerDefaults, classifier, image_inputs

POOLINGS = ("average", "max", "linear", "none")


def _pooled(x, pooling: str, make: LayerDefaults):
    signals = len(x.shape) == 3
    if pooling == "none":
        return keras.layers.Flatten(name="positions")(x)
    if pooling == "linear":
        # One learned weight per position, shared by the channels.
        x = keras.layers.Reshape((-1, x.shape[-1]), name="positions")(x)
        x = keras.layers.Permute((2, 1), name="channels_first")(x)
        x = make.dense(1, x, "pooling")
        return keras.layers.Flatten(name="pooled")(x)
    kind = f"Global{pooling.capitalize()}Pooling{1 if signals else 2}D"
    return getattr(keras.layers, kind)(name="pooling")(x)


def circular_convnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    filters: int = 100,
    kernel_size: int | None = None,
    padding: int | None = None,
    pooling: str = "average",
    activation: str = "relu",
    input_normalization: bool = False,
    defaults: str = "torch",
    seed: int = 0,
    name: str = "circular_convnet",
) -> keras.Model:
    """One circular convolution, ReLU, global pooling, and a linear classifier.

    With `padding=None` and average or maximum pooling the logits are invariant to circular shifts
    of the input.

    Args:
        input_shape: `(n,)` for signals; `(rows, columns)`, with or without channels, for images.
        num_classes: Number of logits.
        filters: Number of channels.
        kernel_size: Of the convolution, along each axis; None for the size of the input.
        padding: As in `CircularConvolution`.
        pooling: `"average"`, `"max"`, `"linear"` (one learned weight for each position, shared by
            the channels) or `"none"`: the classifier gets all positions.
        activation: Of the convolution, a Keras name; `"linear"` for none.
        input_normalization: Whether inputs are batch-normalized, with one mean and variance per
            channel.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`.
        seed: For the initial weights of this Keras model.
        name: Of the model.

    Returns:
        A model from `[batch, *input_shape]` to logits `[batch, num_classes]`. Its layer
        `"features"` is the input of the last layer, `"logits"`.

    Raises:
        UsageError: An unknown `pooling` or `defaults`, or a kernel larger than the input.

    Example:

    >>> circular_convnet((9,), 2, filters=100).count_params()
    1202

    When not to use:
        For accuracy on images whose opposite borders are unrelated.

    Reference:
        V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness", NeurIPS 2021,
        arXiv 2103.02695.
    """
    checks.one_of("pooling", pooling, POOLINGS)
    make = LayerDefaults(defaults, seed)
    if len(input_shape) == 1:
        inputs = keras.Input(input_shape, name="inputs")
        x = keras.layers.Reshape((*input_shape, 1), name="channel_axis")(inputs)
    else:
        inputs, x = image_inputs(input_shape, "circular_convnet")
    if input_normalization:
        x = make.batch_normalization(x, "input_normalization")
    sizes = [kernel_size or size for size in x.shape[1:-1]]
    start = make.initializers(math.prod(sizes) * x.shape[-1])
    x = CircularConvolution(filters, kernel_size, padding, activation, name="convolution", **start)(
        x
    )
    x = _pooled(x, pooling, make)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)


def normalized_mlp(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    hidden_units: Sequence[int] = (100,),
    defaults: str = "torch",
    seed: int = 0,
    name: str = "normalized_mlp",
) -> keras.Model:
    """A ReLU perceptron after batch normalization with one mean and variance for all pixels.

    The counterpart of `circular_convnet` with `input_normalization`, with the same normalization;
    without it, use `mlp`. A mean and a variance per pixel would amplify pixels that are constant
    over the examples by 1 / sqrt(epsilon) when an attack changes them.

    Args:
        input_shape: `(n,)` for signals, or that of images with a channel axis. Flattened after the
            normalization.
        num_classes: Number of logits.
        hidden_units: Widths of the hidden layers.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`.
        seed: For the initial weights of this Keras model.
        name: Of the model.

    Returns:
        A model from `[batch, *input_shape]` to logits `[batch, num_classes]`.
    """
    make = LayerDefaults(defaults, seed)
    inputs = keras.Input(input_shape, name="inputs")
    x = inputs
    if len(input_shape) == 1:
        x = keras.layers.Reshape((*input_shape, 1), name="channel_axis")(inputs)
    x = make.batch_normalization(x, "input_normalization")
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate(hidden_units, 1):
        x = make.dense(units, x, f"hidden_{number}", activation="relu")
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)
