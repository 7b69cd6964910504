"""Models of dense layers: perceptrons, softmax regression, random Fourier features."""

import math
from collections.abc import Sequence

import keras

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Tensor
from tfphen.models.layer_defaults import (
    InitializerSetting,
    LayerDefaults,
    classifier,
)


def _flat_inputs(input_shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    inputs = keras.Input(input_shape, name="inputs")
    if len(input_shape) == 1:
        return inputs, inputs
    return inputs, keras.layers.Flatten(name="flatten")(inputs)


def mlp(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    hidden_units: Sequence[int] = (128,),
    activation: str = "relu",
    dropout: float = 0.0,
    kernel_initializer: InitializerSetting | None = None,
    skip: bool = False,
    head: str = "linear",
    defaults: str = "keras",
    seed: int = 0,
    name: str = "mlp",
) -> keras.Model:
    """A multilayer perceptron: dense layers on the flattened inputs.

        h₁ = f(W₁ x + b₁),   hᵢ = f(Wᵢ hᵢ₋₁ + bᵢ)   or, with `skip`,   hᵢ = hᵢ₋₁ + f(Wᵢ hᵢ₋₁ + bᵢ)

    Args:
        input_shape: Shape of one example. Inputs with more than one axis are flattened.
        num_classes: Number of logits.
        hidden_units: Widths of the hidden layers, named `"hidden_1"`, `"hidden_2"` and so on.
        activation: Activation of the hidden layers, a Keras name.
        dropout: Rate of the dropout after each hidden layer.
        kernel_initializer: Initializer of every kernel: a Keras name, a mapping of name and
            settings, or an initializer. None uses that of `defaults`.
        skip: Add the input of each hidden layer after the first to its activations, as the MLP of
            MNIST-1D does: h1 = relu(W1 x), h2 = h1 + relu(W2 h1). Needs equal widths.
        head: `"linear"`, or `"cosine"` for logits that are cosines between features and columns of
            the kernel, as LDAM takes them: a `tfphen.layers.NormalizedDense`.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`.
        seed: Seed of the initial weights and dropout of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the last hidden activations, `"logits"` is the last layer.

    Raises:
        UsageError: `skip` with unequal widths, a width below one, a `dropout` outside [0, 1), an
            unknown activation, initializer, `head` or `defaults`.

    Example:

    >>> mlp((40,), 10, hidden_units=(100, 100), skip=True).count_params()
    15210

    When not to use:
        Images of more than a few thousand numbers, where the first kernel has nearly all weights;
        deep stacks, in which nothing but `skip` keeps the gradients from vanishing.

    Reference:
        S. Greydanus, D. Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024,
        arXiv 2011.14439 (the network with `skip`).
    """
    if isinstance(hidden_units, (int, str)):
        raise UsageError(
            "`hidden_units` is a list of widths, such as [128]. "
            f"Received: hidden_units={hidden_units!r}"
        )
    if skip and len(set(hidden_units)) > 1:
        raise UsageError(
            "A residual connection needs hidden layers of one width. "
            f"Received: skip=True, hidden_units={tuple(hidden_units)}"
        )
    try:
        keras.activations.get(activation)
    except ValueError:
        raise UsageError(
            f"`activation` is the name of a Keras activation. Received: activation={activation!r}"
        ) from None
    for units in hidden_units:
        checks.wholes(hidden_units=units)
    checks.number("dropout", dropout, 0, 1, high_open=True)
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = _flat_inputs(input_shape)
    for number, units in enumerate(hidden_units, 1):
        hidden = make.dense(units, x, f"hidden_{number}", activation=activation)
        if skip and number > 1:
            hidden = keras.layers.Add(name=f"residual_{number}")([x, hidden])
        if dropout:
            hidden = make.dropout(dropout, hidden, f"dropout_{number}")
        x = hidden
    return keras.Model(inputs, classifier(x, num_classes, make, head), name=name)


def lenet_300_100(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    kernel_initializer: InitializerSetting | None = "glorot_normal",
    defaults: str = "keras",
    seed: int = 0,
    name: str = "lenet_300_100",
) -> keras.Model:
    """LeNet-300-100: two hidden layers of 300 and 100 ReLU units, no convolution.

    The network of the lottery ticket experiments on MNIST. For 28×28 inputs and ten classes it has
    266,200 kernel entries (printed as 266K) and 410 biases.

    Args:
        input_shape: Shape of one example. Inputs with more than one axis are flattened.
        num_classes: Number of logits.
        kernel_initializer: Initializer of every kernel, as in `mlp`. The paper uses Glorot normal
            initialization; Keras's is truncated at two standard deviations, as is that of the
            released TensorFlow code. None uses that of `defaults`.
        defaults: `"keras"` (biases start at zero, as published) or `"torch"`.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layers are
        `"hidden_1"`, `"hidden_2"`, `"features"` (the last hidden activations, `[batch, 100]`) and
        `"logits"`.

    Raises:
        UsageError: An unknown initializer or `defaults`.

    Example:

    >>> lenet_300_100((28, 28), 10).count_params()
    266610

    When not to use:
        Where LeNet-5, the convolutional network, is meant: that is `lenet5`. For other widths there
        is `mlp`.

    Reference:
        Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
        Recognition", Proceedings of the IEEE 86, 1998; J. Frankle, M. Carbin, "The Lottery Ticket
        Hypothesis: Finding Sparse, Trainable Neural Networks", ICLR 2019, arXiv 1803.03635.
    """
    return mlp(
        input_shape,
        num_classes,
        hidden_units=(300, 100),
        kernel_initializer=kernel_initializer,
        defaults=defaults,
        seed=seed,
        name=name,
    )


def linear(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    l2: float = 0.0,
    use_bias: bool = True,
    kernel_initializer: InitializerSetting | None = None,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "linear",
) -> keras.Model:
    """Softmax regression: one dense layer on the flattened inputs.

    Args:
        input_shape: Shape of one example.
        num_classes: Number of logits.
        l2: Adds `l2 * sum(kernel**2)` to the loss; Keras has no factor of one half here.
        use_bias: Whether there is a bias.
        kernel_initializer: As in `mlp`.
        defaults: `"keras"` or `"torch"`, see `tfphen.models.layer_defaults`.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives logits `[batch, num_classes]`. Its layer
        `"features"` holds the flattened inputs, `"logits"` is the dense layer.

    Raises:
        UsageError: A negative `l2`, an unknown initializer or `defaults`.

    Example:

    >>> linear((40,), 10).count_params()
    410

    When not to use:
        With `l2` and an optimizer that also decays weights: the two add up. Classes that no
        hyperplane separates.

    Reference:
        C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.3.4.
    """
    if l2 < 0:
        raise UsageError(f"`l2` must not be negative. Received: l2={l2}")
    make = LayerDefaults(defaults, seed, kernel_initializer)
    inputs, x = _flat_inputs(input_shape)
    regularizer = keras.regularizers.L2(l2) if l2 else None
    logits = classifier(x, num_classes, make, use_bias=use_bias, kernel_regularizer=regularizer)
    return keras.Model(inputs, logits, name=name)


def random_fourier_features(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    num_features: int = 1024,
    scale: float = 0.15,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "random_fourier_features",
) -> keras.Model:
    """A linear model on fixed random cosine features of the inputs.

    Features are sqrt(2 / P) cos(v_j · x + b_j), j = 1..P, with v_j ~ N(0, scale² I) and b_j ~ U(0,
    2π). As P grows their inner products approach the Gaussian kernel exp(-scale² |x - x'|² / 2).

    Args:
        input_shape: Shape of one example. Inputs with more than one axis are flattened.
        num_classes: Number of outputs.
        num_features: Number of features P.
        scale: Standard deviation of the projection's entries, the inverse of the kernel's width.
        defaults: `"keras"` or `"torch"`; the two agree for this model.
        seed: Seed of the features of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, *input_shape]` that gives `[batch, num_classes]`. Its layer `"features"`
        holds the features, `[batch, P]`. Only the kernel of the layer `"readout"` trains, from
        zero, so that gradient descent on squared error converges to the minimum-norm solution;
        there is no bias.

    Raises:
        UsageError: `num_features` or `scale` is not positive, an unknown `defaults`.

    Example:

    >>> random_fourier_features((20,), 10, num_features=300).count_params()
    9300

    When not to use:
        Data of many dimensions: the number of features that the kernel needs grows with them. With
        losses other than squared error the readout has no minimum-norm solution to converge to.

    Reference:
        A. Rahimi, B. Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007.
    """
    for key, value in (("num_features", num_features), ("scale", scale)):
        if not value > 0:
            raise UsageError(f"`{key}` must be positive. Received: {key}={value}")
    make = LayerDefaults(defaults, seed)
    inputs, x = _flat_inputs(input_shape)
    x = keras.layers.Dense(
        num_features,
        kernel_initializer=keras.initializers.RandomNormal(0.0, scale, seed=make.next_seed()),
        bias_initializer=keras.initializers.RandomUniform(0.0, 2 * math.pi, seed=make.next_seed()),
        trainable=False,
        name="projection",
    )(x)
    x = keras.layers.Rescaling(math.sqrt(2.0 / num_features), name="features")(keras.ops.cos(x))
    outputs = keras.layers.Dense(
        num_classes, use_bias=False, kernel_initializer="zeros", name="readout"
    )(x)
    return keras.Model(inputs, outputs, name=name)
