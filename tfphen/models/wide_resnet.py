"""Wide residual networks in three published variants."""

import dataclasses

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


@dataclasses.dataclass(frozen=True)
class _Variant:
    """Differences between published wide ResNets.

    Attributes:
        activated_shortcut: The shortcut of another shape starts from the activated inputs.
        use_bias: Whether convolutions have a bias.
        strided: Number of the block's convolution that has the strides.
        padding: Padding of the 3×3 convolutions.
        filterwise: Dropout of whole channels, before each convolution of a block and after the
            stem, instead of a plain one between the two convolutions.
        final_norm: Settings of the last normalization.
    """

    activated_shortcut: bool = False
    use_bias: bool = False
    strided: int = 1
    padding: int | str = 1
    filterwise: bool = False
    final_norm: dict[str, float] = dataclasses.field(default_factory=dict)


VARIANTS = {
    "original": _Variant(activated_shortcut=True),
    "uncertainty_baselines": _Variant(padding="same", filterwise=True),
    # PyTorch's momentum .9 is the .1 of Keras.
    "manifold_mixup": _Variant(use_bias=True, strided=2, final_norm={"momentum": 0.1}),
}


def _drop(make: LayerDefaults, x: Tensor, rate: float, variant: _Variant, name: str) -> Tensor:
    return make.dropout(rate, x, name, variant.filterwise) if rate else x


def _block(
    make: LayerDefaults,
    x: Tensor,
    filters: int,
    stride: int,
    rate: float,
    variant: _Variant,
    name: str,
) -> Tensor:
    """A pre-activation block. Its numbers are those of the two convolutions."""
    strides = {variant.strided: stride}
    convolution = {"padding": variant.padding, "use_bias": variant.use_bias}
    outputs = make.normalized_relu(x, f"{name}_conv_1")
    activated = outputs
    if variant.filterwise:
        outputs = _drop(make, outputs, rate, variant, f"{name}_dropout_1")
    outputs = make.convolution(
        filters, 3, outputs, f"{name}_conv_1", strides=strides.get(1, 1), **convolution
    )
    outputs = make.normalized_relu(outputs, f"{name}_conv_2")
    outputs = _drop(make, outputs, rate, variant, f"{name}_dropout_2")
    outputs = make.convolution(
        filters, 3, outputs, f"{name}_conv_2", strides=strides.get(2, 1), **convolution
    )
    if stride > 1 or x.shape[-1] != filters:
        x = make.convolution(
            filters,
            1,
            activated if variant.activated_shortcut else x,
            f"{name}_shortcut",
            strides=stride,
            use_bias=variant.use_bias,
        )
        if variant.filterwise:
            outputs = _drop(make, outputs, rate, variant, f"{name}_dropout_3")
    return keras.layers.Add(name=f"{name}_add")([outputs, x])


def wide_resnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 28,
    width: int = 10,
    dropout: float = 0.0,
    variant: str = "original",
    kernel_initializer: InitializerSetting | None = "he_normal",
    defaults: str = "keras",
    seed: int = 0,
    name: str = "wide_resnet",
) -> keras.Model:
    """The wide ResNet WRN-d-k, 28-10 for instance.

    A 3×3 convolution with 16 channels; three stages of n = (d - 4) / 6 pre-activation blocks with
    16k, 32k, 64k channels and strides 1, 2, 2; normalization, ReLU, global average pooling. For
    three input channels and ten classes WRN-28-10 has 36,479,194 trainable weights (printed as
    36.5M), WRN-28-1 369,498.

    `variant` selects one of three published forms, with equal parameter counts except for biases.

        "original"               shortcut 1×1 of the normalized, activated inputs; dropout between
                                 the convolutions of a block; one zero on each side
        "uncertainty_baselines"  shortcut 1×1 of the inputs as they are; dropout of whole channels
                                 before each convolution of a block, after the first convolution and
                                 before the sum where there is a shortcut 1×1; TensorFlow's padding
                                 "same", which with strides begins a pixel later. The form of the
                                 SNGP results, with `dropout=0.1` and the constants of
                                 `defaults="torch"`
        "manifold_mixup"         shortcut 1×1 of the inputs as they are; convolutions with bias (so
                                 36,489,290 weights); the second convolution of a block has the
                                 strides; the last normalization keeps a tenth of its moving
                                 averages at each step. Published without dropout, with the initial
                                 weights and constants of PyTorch

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`.
        num_classes: Number of logits.
        depth: 6n + 4: 10, 16, 22, 28, 34, 40.
        width: Widening factor k.
        dropout: Rate of dropout in the blocks, in [0, 1). The paper has .3 where it has any, the
            SNGP results .1.
        variant: `"original"`, `"uncertainty_baselines"` or `"manifold_mixup"`.
        kernel_initializer: Initializer of every kernel, as in `mlp`. `"he_normal"` is that of
            Uncertainty Baselines; the paper's has the fan out. None uses that of `defaults`.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`; all three have the
            normalization constants of PyTorch.
        seed: Seed of the initial weights and dropout of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the globally average-pooled activations, `[batch, 64 * width]`. The
        stages end in the layers `"stage_1_block_4_add"` and so on.

    Raises:
        UsageError: Inputs that are not images; an invalid `depth` or `variant`; a `width` below
            one; a `dropout` outside [0, 1); an unknown initializer or `defaults`.

    Example:

    >>> model = wide_resnet((32, 32, 3), 10, depth=10, width=1)
    >>> model.count_params(), model.get_layer("features").output.shape
    (78330, (None, 64))

    When not to use:
        Machines without an accelerator: WRN-28-10 takes 5.2e9 multiply-adds per image in the
            forward pass, which
        makes one epoch of CIFAR-10 last hours on a CPU; depth 10 or 16 with width 1 or 2 is for
        those. The published L2 penalties belong to the optimizer here, not to the model.

    Reference:
        S. Zagoruyko, N. Komodakis, "Wide Residual Networks", BMVC 2016, arXiv 1605.07146;
        J. Z. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108, with the released code of
        Uncertainty Baselines; V. Verma et al., "Manifold Mixup", ICML 2019, arXiv 1806.05236, with
        its released code.
    """
    checks.wholes(depth=depth, width=width)
    if depth < 10 or (depth - 4) % 6:
        raise UsageError(f"`depth` is 6n + 4: 10, 16, 22, 28, 34, 40. Received: depth={depth}")
    checks.one_of("variant", variant, tuple(VARIANTS))
    checks.number("dropout", dropout, 0, 1, high_open=True)
    form = VARIANTS[variant]
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = image_inputs(input_shape, "wide_resnet")
    x = make.convolution(16, 3, x, "conv", padding=form.padding, use_bias=form.use_bias)
    if form.filterwise:
        x = _drop(make, x, dropout, form, "dropout")
    for stage in range(3):
        for block in range((depth - 4) // 6):
            stride = 2 if stage > 0 and block == 0 else 1
            part = f"stage_{stage + 1}_block_{block + 1}"
            x = _block(make, x, 16 * width * 2**stage, stride, dropout, form, part)
    x = make.batch_normalization(x, "final_norm", **form.final_norm)
    x = keras.layers.ReLU(name="final_relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=name)
