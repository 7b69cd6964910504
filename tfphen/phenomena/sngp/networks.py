"""Backbones with spectral normalization, a Gaussian process head, or both (SNGP).

`norm_multiplier` and `head` give four networks per backbone. Models return plain logits; variances
are computed from the features of the layer `"logits"` after training.

Reference:
    J. Z. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep Learning
    via Distance Awareness", NeurIPS 2020, arXiv 2006.10108.
"""

from collections.abc import Mapping

import keras

from tfphen.core import checks
from tfphen.layers import RandomFeatureGaussianProcess, SpectralNormalization
from tfphen.models.layer_defaults import LayerDefaults
from tfphen.models.transformer import transformer
from tfphen.models.wide_resnet import wide_resnet

HEADS = ("dense", "gaussian_process")
_BOUNDED = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D)


def _with_head(inputs, features, num_classes, head, settings, make, name):
    """A model of features `[batch, size]` that ends in the layer `"logits"`."""
    checks.one_of("head", head, HEADS)
    rule = 'is for head="gaussian_process" only'
    checks.require(head != "dense" or not settings, "gaussian_process", settings, rule)
    features = keras.layers.Identity(name="features")(features)
    if head == "dense":
        outputs = make.dense(num_classes, features, "logits")
    else:
        seeded = {"seed": make.next_seed(), **(settings or {})}
        outputs = RandomFeatureGaussianProcess(num_classes, name="logits", **seeded)(features)
    return keras.Model(inputs, outputs, name=name)


def sngp_residual(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    depth: int = 6,
    width: int = 128,
    dropout: float = 0.1,
    norm_multiplier: float | None = None,
    power_iterations: int = 1,
    head: str = "dense",
    gaussian_process: Mapping | None = None,
    seed: int = 0,
    name: str = "sngp_residual",
) -> keras.Model:
    """Residual dense layers on a frozen random map of the flattened inputs.

        h₀ = W₀ x + b₀ (frozen),   hᵢ = hᵢ₋₁ + dropout(relu(Wᵢ hᵢ₋₁ + bᵢ))

    With `norm_multiplier` c, ‖Wᵢ‖ ≤ c for each i. With c < 1 a layer scales distances by a factor
    between 1 - c and 1 + c, so inputs far from all others have features far from all others.

    Args:
        input_shape: Of one example. Inputs with more than one axis are flattened.
        num_classes: Number of logits.
        depth: Number of residual layers.
        width: Units of every layer.
        dropout: Rate of dropout, in [0, 1).
        norm_multiplier: c; None for no bound.
        power_iterations: Per training step, to estimate the norm.
        head: `"dense"`, or `"gaussian_process"` for a `RandomFeatureGaussianProcess`.
        gaussian_process: Settings of the latter, such as `{"feature_stddev": 0.3}`.
        seed: For the initial weights and dropout of this Keras model.
        name: Of the model.

    Returns:
        A model from `[batch, *input_shape]` to logits `[batch, num_classes]`, without mean-field
        adjustment in training and in inference. Its layer `"features"` is the input of the last.

    Raises:
        UsageError: A count below one, a `dropout` outside [0, 1), an unknown head, or settings of
            a Gaussian process without one.

    Example:

    >>> model = sngp_residual((2,), 2, norm_multiplier=0.9, head="gaussian_process")
    >>> type(model.get_layer("hidden_1")).__name__, type(model.get_layer("logits")).__name__
    ('SpectralNormalization', 'RandomFeatureGaussianProcess')

    When not to use:
        For predictions adjusted by their variance: use `tfphen.layers.SNGP` around any backbone.
        For images of more than a few thousand pixels.

    Reference:
        The TensorFlow tutorial "Uncertainty-aware Deep Learning with SNGP" (`DeepResNet`, with the
        defaults of all arguments); J. Liu et al., NeurIPS 2020, arXiv 2006.10108.
    """
    checks.wholes(num_classes=num_classes, depth=depth, width=width)
    checks.number("dropout", dropout, 0, 1, high_open=True)
    make = LayerDefaults("keras", seed)
    inputs = keras.Input(input_shape, name="inputs")
    flat = inputs if len(input_shape) == 1 else keras.layers.Flatten(name="flatten")(inputs)
    x = make.dense(width, flat, "projection", trainable=False)
    for number in range(1, depth + 1):
        part = f"hidden_{number}"
        inner = keras.layers.Dense(width, "relu", name=part, **make.initializers(width))
        if norm_multiplier is not None:
            inner = SpectralNormalization(inner, norm_multiplier, power_iterations, name=part)
        inner = inner(x)
        if dropout:
            inner = make.dropout(dropout, inner, f"{part}_dropout")
        x = keras.layers.Add(name=f"{part}_add")([x, inner])
    return _with_head(inputs, x, num_classes, head, gaussian_process, make, name)


def _bounded(model, norm_multiplier, power_iterations):
    """Clones a model with spectral normalization around dense layers and convolutions."""

    def copy(operation):
        # Operations without weights, such as a sum, are reused.
        if not isinstance(operation, keras.Layer):
            return operation
        made = type(operation).from_config(operation.get_config())
        if not isinstance(made, _BOUNDED):
            return made
        return SpectralNormalization(made, norm_multiplier, power_iterations, name=made.name)

    return keras.models.clone_model(model, clone_function=copy)


def _with_sngp(backbone, num_classes, norm_multiplier, power_iterations, head, settings, l2, seed):
    """The trunk of a library model, with spectral normalization and a new head."""
    # The input of the layer of that name: the new head brings another.
    trunk = keras.Model(backbone.input, backbone.get_layer("features").input, name=backbone.name)
    if norm_multiplier is not None:
        trunk = _bounded(trunk, norm_multiplier, power_iterations)
    make = LayerDefaults("keras", seed)
    name = f"sngp_{backbone.name}"
    model = _with_head(trunk.input, trunk.output, num_classes, head, settings, make, name)
    if checks.number("l2", l2, 0):
        # A Gaussian process has none, since its ridge stands for the prior.
        process = model.get_layer("logits") if head == "gaussian_process" else None
        free = {id(variable) for variable in process.variables} if process else set()
        for variable in model.trainable_variables:
            if id(variable) not in free:
                variable.regularizer = keras.regularizers.L2(l2)
    return model


def sngp_wide_resnet(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    norm_multiplier: float | None = None,
    power_iterations: int = 1,
    head: str = "dense",
    gaussian_process: Mapping | None = None,
    l2: float = 0.0,
    seed: int = 0,
    **settings,
) -> keras.Model:
    """A `wide_resnet` with the SNGP modifications, by default that of the published results.

    Args:
        input_shape: As in `wide_resnet`.
        num_classes: As in `wide_resnet`.
        norm_multiplier: Bound of each convolution's norm; None for no bound. Published with 6,
            far above the 1 that the theory requires.
        power_iterations: Per training step, to estimate the norm.
        head: As in `sngp_residual`.
        gaussian_process: As in `sngp_residual`.
        l2: Weight decay, as a penalty on the sum of squared weights: kernels, and scale and offset
            of normalization layers, but not a Gaussian process.
        seed: For the initial weights and dropout of this Keras model.
        **settings: Of `wide_resnet`. By default `variant="uncertainty_baselines"`,
            `defaults="torch"` and `dropout=0.1`.

    Returns:
        As `sngp_residual`.

    Raises:
        UsageError: As `wide_resnet` and `sngp_residual`.

    Example:

    >>> model = sngp_wide_resnet((8, 8, 3), 4, depth=10, width=1, norm_multiplier=6.0)
    >>> type(model.get_layer("conv")).__name__, model.output_shape
    ('SpectralNormalization', (None, 4))

    When not to use:
        With images of unknown size: the norm of a convolution depends on it.

    Reference:
        J. Liu et al., NeurIPS 2020, arXiv 2006.10108, section 5.2; Uncertainty Baselines,
        `wide_resnet_sngp`.
    """
    published = {"variant": "uncertainty_baselines", "defaults": "torch", "dropout": 0.1}
    backbone = wide_resnet(input_shape, num_classes, seed=seed, **{**published, **settings})
    changes = norm_multiplier, power_iterations, head, gaussian_process, l2
    return _with_sngp(backbone, num_classes, *changes, seed + 1)


def sngp_transformer(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    norm_multiplier: float | None = None,
    power_iterations: int = 1,
    head: str = "dense",
    gaussian_process: Mapping | None = None,
    seed: int = 0,
    **settings,
) -> keras.Model:
    """A `transformer` that classifies from its last position, with the SNGP modifications.

    Every dense layer is bounded, including those of attention. The published BERT has 110 million
    pretrained weights and bounds its pooler; this one is trained from scratch.

    Args:
        input_shape: As in `transformer`.
        num_classes: As in `transformer`.
        norm_multiplier: Bound of each dense layer's norm; None for no bound.
        power_iterations: Per training step, to estimate the norm.
        head: As in `sngp_residual`.
        gaussian_process: As in `sngp_residual`.
        seed: For the initial weights and dropout of this Keras model.
        **settings: Of `transformer`, `vocabulary_size` among them.

    Returns:
        As `sngp_residual`.

    Raises:
        UsageError: As `transformer` and `sngp_residual`.

    Example:

    >>> model = sngp_transformer((5,), 3, vocabulary_size=20, width=8, heads=2, depth=1)
    >>> model.get_layer("features").output.shape
    (None, 8)

    When not to use:
        To compare with published numbers on CLINC, which use a pretrained BERT.

    Reference:
        J. Liu et al., NeurIPS 2020, arXiv 2006.10108, section 5.3.
    """
    backbone = transformer(input_shape, num_classes, seed=seed, **settings)
    changes = norm_multiplier, power_iterations, head, gaussian_process, 0.0
    return _with_sngp(backbone, num_classes, *changes, seed + 1)
