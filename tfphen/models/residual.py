"""Residual networks."""

import keras

from tfphen.models.layer_defaults import LayerDefaults, classifier, image_inputs


def _block(make: LayerDefaults, x, filters: int, stride: int, name: str):
    """A pre-activation block: the shortcut of another shape starts from the activated inputs."""
    outputs = make.batch_normalization(x, f"{name}_norm_1")
    outputs = keras.layers.ReLU(name=f"{name}_relu_1")(outputs)
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = make.convolution(
            filters, 1, outputs, f"{name}_shortcut", strides=stride, use_bias=False
        )
    outputs = make.convolution(
        filters, 3, outputs, f"{name}_conv_1", strides=stride, padding=1, use_bias=False
    )
    outputs = make.batch_normalization(outputs, f"{name}_norm_2")
    outputs = keras.layers.ReLU(name=f"{name}_relu_2")(outputs)
    outputs = make.convolution(filters, 3, outputs, f"{name}_conv_2", padding=1, use_bias=False)
    return keras.layers.Add(name=f"{name}_add")([outputs, shortcut])


def resnet18(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    width: int = 64,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "resnet18",
) -> keras.Model:
    """The pre-activation ResNet-18 of the double-descent experiments.

    A convolution 3×3; four stages of two blocks with k, 2k, 4k, 8k channels and strides 1, 2, 2, 2;
    a mean over positions. As in the published model there is no normalisation after the last
    block. For three input channels and ten classes it has 2724 k² + 213 k + 10 trainable weights.

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`.
        num_classes: Number of logits.
        width: Channels k of the first stage.
        defaults: `"keras"` or `"torch"`; the published network has those of PyTorch.
        seed: For the initial weights of this Keras model.
        name: Of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`.

    Raises:
        UsageError: Inputs that are no images; an unknown `defaults`.

    Example:

    >>> model = resnet18((32, 32, 3), 10, width=64)
    >>> sum(int(keras.ops.size(weight)) for weight in model.trainable_variables)
    11171146

    Reference:
        K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016,
        arXiv 1603.05027; P. Nakkiran et al., "Deep Double Descent: Where Bigger Models and More
        Data Hurt", ICLR 2020, arXiv 1912.02292.
    """
    make = LayerDefaults(defaults, seed)
    inputs, x = image_inputs(input_shape, "resnet18")
    x = make.convolution(width, 3, x, "conv", padding=1, use_bias=False)
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _block(make, x, width * 2**stage, stride, f"stage_{stage + 1}_block_{block + 1}")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)
