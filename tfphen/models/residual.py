"""Residual networks for CIFAR-sized images; wide ones are in `wide_resnet`."""

from typing import Any

import keras

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Tensor
from tfphen.models.layer_defaults import (
    InitializerSetting,
    LayerDefaults,
    classifier,
    image_inputs,
)

# Blocks of the four stages.
PREACT_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def _preact_block(make: LayerDefaults, x: Tensor, filters: int, stride: int, name: str) -> Tensor:
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

    A 3×3 convolution; four stages of two blocks with k, 2k, 4k, 8k channels and strides 1, 2, 2, 2;
    a mean over positions. As in the published model there is no normalization after the last block.
    For three input channels and ten classes it has 2724 k² + 213 k + 10 trainable weights. It is
    `preact_resnet` of depth 18.

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`.
        num_classes: Number of logits.
        width: Channels k of the first stage.
        defaults: `"keras"` or `"torch"`; the published network has those of PyTorch.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the globally average-pooled activations, `[batch, 8 * width]`.

    Raises:
        UsageError: Inputs that are not images; a `width` below one; an unknown `defaults`.

    Example:

    >>> model = resnet18((32, 32, 3), 10, width=64)
    >>> sum(int(keras.ops.size(weight)) for weight in model.trainable_variables)
    11171146

    When not to use:
        Images of 64 pixels and more: the first layers keep their full size, where the ResNet-18 of
        ImageNet (`keras_hub`, `torchvision`) divides it by four at once. Re-runs that speak of
        ResNet-18 often mean blocks with the activation last, which have 44,000 weights more.

    Reference:
        K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016,
        arXiv 1603.05027; P. Nakkiran et al., "Deep Double Descent: Where Bigger Models and More
        Data Hurt", ICLR 2020, arXiv 1912.02292.
    """
    return preact_resnet(
        input_shape, num_classes, depth=18, width=width, defaults=defaults, seed=seed, name=name
    )


def preact_resnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 18,
    width: int = 64,
    final_norm: bool = False,
    stem_strides: int = 1,
    kernel_initializer: InitializerSetting | None = None,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "preact_resnet",
) -> keras.Model:
    """A pre-activation ResNet-18 or -34 for small images, as Manifold Mixup and others train it.

    A 3×3 convolution without bias; four stages with k, 2k, 4k, 8k channels and strides 1, 2, 2, 2,
    of two blocks each for depth 18, of 3, 4, 6, 3 for depth 34; a mean over positions. A block is

        x + conv3×3(relu(norm(conv3×3(relu(norm(x))))))

    and where the shape changes x is replaced by a 1×1 convolution of relu(norm(x)), without
    normalization. Padding is one zero on each side, as in PyTorch, with strides too. With 64
    channels, three input channels and ten classes there are 11,171,146 and 21,279,306 trainable
    weights.

    The stage outputs that Manifold Mixup mixes are the layers `"stage_1_block_2_add"`,
    `"stage_2_block_2_add"` (depth 18) or `"stage_1_block_3_add"`, `"stage_2_block_4_add"` (34).

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`.
        num_classes: Number of logits.
        depth: 18 or 34.
        width: Channels k of the first stage.
        final_norm: Whether batch normalization and ReLU follow the last block, as in the paper of
            He et al. The code of Manifold Mixup and of deep double descent has neither.
        stem_strides: Strides of the first convolution; 2 for Tiny-ImageNet in the published code.
        kernel_initializer: Initializer of every kernel, as in `mlp`. None uses that of `defaults`,
            which the published code has with `"torch"`.
        defaults: `"keras"` or `"torch"`; the published networks have those of PyTorch.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the globally average-pooled activations, `[batch, 8 * width]`.

    Raises:
        UsageError: Inputs that are not images; an invalid `depth`; a `width` or `stem_strides`
            below one; an unknown initializer or `defaults`.

    Example:

    >>> model = preact_resnet((32, 32, 3), 10, depth=18, width=8)
    >>> model.count_params(), model.get_layer("features").output.shape
    (176898, (None, 64))

    When not to use:
        Images of ImageNet's size, for which the first layers are too fine; fewer than some hundred
        images, where `lenet5` or `convnet` train in a fraction of the time. `resnet_cifar` is the
        smaller network that long-tailed benchmarks use.

    Reference:
        K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016,
        arXiv 1603.05027; V. Verma et al., "Manifold Mixup: Better Representations by Interpolating
        Hidden States", ICML 2019, arXiv 1806.05236.
    """
    checks.one_of("depth", depth, tuple(PREACT_BLOCKS))
    checks.wholes(width=width, stem_strides=stem_strides)
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = image_inputs(input_shape, "preact_resnet")
    x = make.convolution(width, 3, x, "conv", strides=stem_strides, padding=1, use_bias=False)
    for stage, blocks in enumerate(PREACT_BLOCKS[depth]):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            block_name = f"stage_{stage + 1}_block_{block + 1}"
            x = _preact_block(make, x, width * 2**stage, stride, block_name)
    if final_norm:
        x = make.normalized_relu(x, "final")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)


def _cifar_shortcut(
    make: LayerDefaults, x: Tensor, filters: int, stride: int, kind: str, name: str
) -> Tensor:
    """The inputs of a block in the shape of its outputs."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    if kind == "projection":
        x = make.convolution(filters, 1, x, f"{name}_shortcut", strides=stride, use_bias=False)
        return make.batch_normalization(x, f"{name}_shortcut_norm")
    if stride > 1:
        # Windows of one pixel: every second row and column.
        x = keras.layers.AveragePooling2D(1, stride, name=f"{name}_shortcut")(x)
    missing = filters - x.shape[-1]
    channels = (missing // 2, missing - missing // 2)
    return keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), channels))


def resnet_cifar(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 32,
    width: int = 16,
    shortcut: str = "zeros",
    kernel_initializer: InitializerSetting | None = "he_normal",
    head: str = "linear",
    defaults: str = "keras",
    seed: int = 0,
    name: str = "resnet_cifar",
) -> keras.Model:
    """ResNet-20, -32, -44, -56 and so on, the CIFAR ResNets of He et al..

    A 3×3 convolution with normalization and ReLU; three stages of n blocks with k, 2k, 4k channels
    and strides 1, 2, 2; global average pooling: 6n + 2 layers with weights. A block is

        relu(x + norm(conv3×3(relu(norm(conv3×3(x))))))

    with convolutions without bias. Where the shape changes, x is every second pixel, with an equal
    number of zero channels before and after it (the paper's option A, without weights). With 16
    channels, three input channels and ten classes there are 97,216 n - 21,926 trainable weights,
    which the paper prints as .27M, .46M, .66M, .85M and 1.7M for depths 20, 32, 44, 56 and 110:

        depth   20       32       44       56       110
        zeros   269722   464154   658586   853018   1727962

    The "ResNet-18" of the lottery ticket paper, 271K, is depth 20 with `shortcut="projection"`:
    270,896 of its 272,474 weights are kernels.

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`.
        num_classes: Number of logits.
        depth: 6n + 2: 8, 14, 20, 26, 32, 38, 44, 50, 56, ..., 110.
        width: Channels k of the first stage.
        shortcut: `"zeros"`, the paper's option A, or `"projection"`, its option B: a 1×1
            convolution without bias, and normalization.
        kernel_initializer: Initializer of every kernel, as in `mlp`. The paper and LDAM-DRW use He
            normal initialization; Keras's is truncated at two standard deviations. None uses that
            of `defaults`.
        head: `"linear"`, or `"cosine"` for logits that are cosines between features and columns of
            the kernel, as LDAM takes them: a `tfphen.layers.NormalizedDense`.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`. Of the published
            networks those in PyTorch have its normalization constants.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the globally average-pooled activations, `[batch, 4 * width]`.

    Raises:
        UsageError: Inputs that are not images; an invalid `depth` or `shortcut`; a `width` below
            one; an unknown initializer, `head` or `defaults`.

    Example:

    >>> model = resnet_cifar((32, 32, 3), 10, depth=20, width=4)
    >>> model.count_params(), model.get_layer("features").output.shape
    (17670, (None, 16))

    When not to use:
        Images of ImageNet's size. Where a paper says ResNet-18 or ResNet-34 it means 40 times as
        many weights: see `preact_resnet`.

    Reference:
        K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
        arXiv 1512.03385, section 4.2 and table 6; K. Cao et al., "Learning Imbalanced Datasets with
        Label-Distribution-Aware Margin Loss", NeurIPS 2019, arXiv 1906.07413 (depth 32).
    """
    checks.wholes(depth=depth, width=width)
    if depth < 8 or (depth - 2) % 6:
        raise UsageError(
            "`depth` is 6n + 2: 8, 14, 20, 26, 32, 38, 44, 50, 56, ..., 110. "
            f"Received: depth={depth}"
        )
    checks.one_of("shortcut", shortcut, ("zeros", "projection"))
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = image_inputs(input_shape, "resnet_cifar")
    settings: dict[str, Any] = {"padding": 1, "use_bias": False}
    x = make.activated_convolution(width, 3, x, "stem", **settings)
    for stage in range(3):
        for block in range((depth - 2) // 6):
            filters, stride = width * 2**stage, 2 if stage > 0 and block == 0 else 1
            part = f"stage_{stage + 1}_block_{block + 1}"
            inner = make.activated_convolution(
                filters, 3, x, f"{part}_conv_1", strides=stride, **settings
            )
            inner = make.convolution(filters, 3, inner, f"{part}_conv_2", **settings)
            inner = make.batch_normalization(inner, f"{part}_conv_2_norm")
            x = _cifar_shortcut(make, x, filters, stride, shortcut, part)
            x = keras.layers.Add(name=f"{part}_add")([inner, x])
            x = keras.layers.ReLU(name=f"{part}_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make, head), name=name)
