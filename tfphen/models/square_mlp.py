"""A network with quadratic activation that solves modular arithmetic in closed form."""

import keras

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.models.layer_defaults import LayerDefaults, classifier


def square_mlp(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    units: int = 500,
    scale: float | None = None,
    defaults: str = "keras",
    seed: int = 0,
    name: str = "square_mlp",
) -> keras.Model:
    """One hidden layer with the square as activation and no biases.

        f(a, b) = W (U e_a + V e_b)²

    for inputs that hold two one-hot vectors e_a and e_b side by side, so that one kernel has U and
    V above each other. All weights start as N(0, s²); with s = .5 / (2 N)^(1/3) for N units, the
    outputs start with a standard deviation of sqrt(12 N) s³, about .22 / sqrt(N). Trained on half
    of all sums modulo p with squared error and strong weight decay, it first memorizes them, then
    generalizes to the other half. Rows of U and V have one frequency each by then.

    Args:
        input_shape: `(features,)`, such as `(2 * p,)`.
        num_classes: Number of outputs.
        units: Hidden units N.
        scale: The standard deviation s of all weights; None for .5 / (2 N)^(1/3).
        defaults: `"keras"` or `"torch"`; the two agree for this model.
        seed: Seed of the initial weights of this Keras model.
        name: Name of the model.

    Returns:
        A model of `[batch, features]` that gives `[batch, num_classes]`. The kernel of its layer
        `"hidden"` holds U and V, `[features, units]`; `"features"` holds the squares,
        `[batch, units]`; `"logits"` is the last layer.

    Raises:
        UsageError: Inputs with more than one axis, `units` below one, a `scale` that is not
            positive, an unknown `defaults`.

    Example:

    >>> square_mlp((2 * 97,), 97).count_params()
    145500

    When not to use:
        Data where large inputs occur: outputs grow with their square. With cross-entropy the
        published times to memorize and to generalize do not hold.

    Reference:
        A. Gromov, "Grokking modular arithmetic", arXiv 2301.02679; D. Doshi, A. Das, T. He,
        A. Gromov, "To grok or not to grok", arXiv 2310.13061 (the scale).
    """
    checks.wholes(units=units)
    scale = 0.5 / (2 * units) ** (1 / 3) if scale is None else checks.positive("scale", scale)
    if len(input_shape) != 1:
        raise UsageError(
            "`square_mlp` takes one vector an example, (features,). "
            f"Received: input_shape={tuple(input_shape)}"
        )
    make = LayerDefaults(defaults, seed, {"name": "random_normal", "stddev": scale})
    inputs = keras.Input(input_shape, name="inputs")
    hidden = make.dense(units, inputs, "hidden", use_bias=False)
    outputs = classifier(keras.ops.square(hidden), num_classes, make, use_bias=False)
    return keras.Model(inputs, outputs, name=name)
