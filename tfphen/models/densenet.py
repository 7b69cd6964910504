"""Densely connected networks."""

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


def densenet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 100,
    growth_rate: int = 12,
    bottleneck: bool = True,
    compression: float = 0.5,
    dropout: float = 0.0,
    kernel_initializer: InitializerSetting | None = "he_normal",
    defaults: str = "keras",
    seed: int = 0,
    name: str = "densenet",
) -> keras.Model:
    """The DenseNet of CIFAR, DenseNet-BC by default.

    A 3×3 convolution; three dense blocks; normalization, ReLU, global average pooling. In a dense
    block each step adds g channels to its inputs:

        x ← [x, conv3×3(relu(norm(x)))]                                  without bottleneck
        x ← [x, conv3×3(relu(norm(conv1×1(relu(norm(x))))))]             with, 4g channels inside

    Between blocks normalization, ReLU, a 1×1 convolution to θ times the channels and average
    pooling by two. Convolutions have no bias. The first has 2g channels with bottleneck and
    compression (the paper's BC), else 16. Trainable weights for three input channels and ten
    classes, as the paper prints them and exactly:

        depth 100, growth 12, BC               .8M    769162
        depth 40, growth 12, BC                       176122
        depth 40, growth 12, neither          1.0M   1019722

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`, at least 4 by 4.
        num_classes: Number of logits.
        depth: Layers with weights: 6n + 4 with bottleneck (10, 16, 22, ..., 40, 100, 190, 250),
            3n + 4 without (7, 10, ..., 40, 100).
        growth_rate: Channels g that each step adds.
        bottleneck: Whether a 1×1 convolution with 4g channels comes first in each step.
        compression: Share θ of the channels that a transition keeps, in (0, 1].
        dropout: Rate of dropout after each convolution but the first, in [0, 1). The paper has .2
            without augmentation and none with it.
        kernel_initializer: Initializer of every kernel, as in `mlp`. The paper uses He normal
            initialization; Keras's is truncated at two standard deviations. None uses that of
            `defaults`.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`; the published network
            has the normalization constants of Torch.
        seed: Seed of the initial weights and dropout of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the globally average-pooled activations.

    Raises:
        UsageError: Inputs that are not images, or too small; an invalid `depth`; a `growth_rate`
            below one; `compression` outside (0, 1] or `dropout` outside [0, 1); an unknown
            initializer or `defaults`.

    Example:

    >>> model = densenet((32, 32, 3), 10, depth=22, growth_rate=4)
    >>> model.count_params(), model.get_layer("features").output.shape
    (9378, (None, 23))

    When not to use:
        Where speed matters: at equal weights a DenseNet computes more, in many small convolutions
        that keep an accelerator waiting, and holds every intermediate result. A `wide_resnet` of
        equal accuracy trains several times faster.

    Reference:
        G. Huang, Z. Liu, L. van der Maaten, K. Q. Weinberger, "Densely Connected Convolutional
        Networks", CVPR 2017, arXiv 1608.06993, table 2.
    """
    checks.wholes(depth=depth, growth_rate=growth_rate)
    per_step = 2 if bottleneck else 1
    steps, rest = divmod(depth - 4, 3 * per_step)
    if steps < 1 or rest:
        form = "6n + 4: 10, 16, ..., 40, 100" if bottleneck else "3n + 4: 7, 10, ..., 40, 100"
        raise UsageError(
            f"`depth` is {form}. Received: depth={depth}, bottleneck={bool(bottleneck)}"
        )
    if not 0 < compression <= 1:
        raise UsageError(f"`compression` must be in (0, 1]. Received: compression={compression}")
    checks.number("dropout", dropout, 0, 1, high_open=True)
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = image_inputs(input_shape, "densenet", smallest=4)

    def convolve(x: Tensor, filters: int, size: int, part: str) -> Tensor:
        x = make.normalized_relu(x, part)
        x = make.convolution(filters, size, x, part, padding=size // 2, use_bias=False)
        return make.dropout(dropout, x, f"{part}_dropout") if dropout else x

    first = 2 * growth_rate if bottleneck and compression < 1 else 16
    x = make.convolution(first, 3, x, "conv", padding=1, use_bias=False)
    for block in range(1, 4):
        for step in range(1, steps + 1):
            part, new = f"block_{block}_step_{step}", x
            if bottleneck:
                new = convolve(new, 4 * growth_rate, 1, f"{part}_bottleneck")
            new = convolve(new, growth_rate, 3, f"{part}_conv")
            x = keras.layers.Concatenate(name=f"{part}_concatenate")([x, new])
        if block < 3:
            x = convolve(x, int(compression * x.shape[-1]), 1, f"transition_{block}")
            x = keras.layers.AveragePooling2D(2, name=f"transition_{block}_pool")(x)
    x = make.normalized_relu(x, "final")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)
