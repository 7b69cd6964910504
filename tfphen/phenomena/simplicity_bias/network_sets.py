"""Sets of networks trained jointly for dissimilar input gradients.

All networks of a set are one Keras model, which is one member of a population. Given a copy of the
examples for each network, one gradient of the sum of outputs holds the input gradients of all.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfphen.core.checks import one_of
from tfphen.train.objectives import Step

SIMILARITIES = ("dot", "squared_dot", "squared_cosine")


class _Copies(keras.layers.Layer):
    """Repeats `[batch, d]` for each network; passes `[batch, models, d]` through unchanged."""

    def __init__(self, models: int, **settings):
        super().__init__(**settings)
        self.models = models

    def call(self, inputs):
        if len(inputs.shape) == 3:
            return inputs
        return keras.ops.repeat(inputs[:, None], self.models, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.models, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "models": self.models}


def network_set(
    input_shape: tuple[int, ...],
    num_classes: int,
    *,
    models: int = 8,
    hidden_units: Sequence[int] = (32, 32),
    activation: str = "tanh",
) -> keras.Model:
    """Parallel perceptrons with one logit each, for two classes.

    Args:
        input_shape: `(d,)`.
        num_classes: 2.
        models: Number of networks.
        hidden_units: Widths of the hidden layers of each.
        activation: Of the hidden layers, a Keras name.

    Returns:
        A model from `[batch, d]` to logits of class 1, `[batch, models]`. In a population,
        `Step.apply` also takes copies of inputs for each network, `[members, batch, models, d]`.

    Example:

    >>> network_set((5,), 2, models=3, hidden_units=(4,)).output_shape
    (None, 3)
    """
    # Keras treats the axis of networks as a receptive field: its fans are `models` times those of
    # each network. The scale makes this Glorot uniform for each.
    initializer = keras.initializers.VarianceScaling(models, "fan_avg", "uniform", seed=0)
    inputs = keras.Input(input_shape, name="inputs")
    x = _Copies(models, name="copies")(inputs)
    for place, units in enumerate((*hidden_units, 1), 1):
        last = place > len(hidden_units)
        x = keras.layers.EinsumDense(
            "bmi,mio->bmo",
            (models, units),
            activation=None if last else activation,
            bias_axes="mo",
            kernel_initializer=initializer,
            name="logits" if last else f"hidden_{place}",
        )(x)
    return keras.Model(inputs, keras.layers.Reshape((models,))(x), name="network_set")


def input_gradient_similarity(gradients, kind: str = "squared_cosine"):
    """Sum over pairs of networks of the similarity of their input gradients.

        Σ over i < j of  gᵢ·gⱼ   or   (gᵢ·gⱼ)²   or   (gᵢ·gⱼ / ‖gᵢ‖ ‖gⱼ‖)²

    Args:
        gradients: `[..., models, d]`, of the outputs with respect to the same inputs.
        kind: `"dot"`, `"squared_dot"` or `"squared_cosine"`.

    Returns:
        `[...]`.

    Raises:
        UsageError: Another `kind`.

    Example:

    >>> gradients = tf.constant([[3.0, 0.0], [0.0, 2.0], [4.0, 0.0]])
    >>> [float(input_gradient_similarity(gradients, kind)) for kind in SIMILARITIES]
    [12.0, 144.0, 1.0]

    When not to use:
        Dot products without anything else that keeps gradients from shrinking: they reward small
        gradients, similar or not. Gradients of the larger of two logits, whose sign flips at the
        decision boundary: use a single logit, or a difference.

    Reference:
        D. Teney, E. Abbasnejad, S. Lucey, A. van den Hengel, "Evading the Simplicity Bias: Training
        a Diverse Set of Models Discovers Solutions with Superior OOD Generalization", CVPR 2022,
        arXiv 2105.05612.
    """
    one_of("kind", kind, SIMILARITIES)
    if kind == "squared_cosine":
        # Not a division by the norm, whose own gradient is infinite at 0.
        squares = tf.reduce_sum(tf.square(gradients), -1, keepdims=True)
        gradients = gradients * tf.math.rsqrt(squares + 1e-12)
    products = tf.matmul(gradients, gradients, transpose_b=True)
    if kind != "dot":
        products = tf.square(products)
    return (tf.reduce_sum(products, (-2, -1)) - tf.linalg.trace(products)) / 2


def diverse(similarity: str = "squared_cosine") -> Callable[[Step], tf.Tensor]:
    """Cross-entropies of all networks of a set, plus a penalty on input-gradient similarity.

        Σ over i of  CE(fᵢ(x), y)   +   strength · Σ over i < j of  similarity(∇fᵢ(x), ∇fⱼ(x))

    The weight `strength` is a constant of the member, see `tfphen.core.trial.Trial`.

    Args:
        similarity: See `input_gradient_similarity`.
    """

    def objective(step: Step) -> tf.Tensor:
        copies = tf.repeat(step.inputs[:, :, None], step.outputs.shape[-1], axis=2)
        with tf.GradientTape() as tape:
            tape.watch(copies)
            outputs = step.apply(copies)
            total = tf.reduce_sum(outputs)
        gradients = tape.gradient(total, copies)
        labels = tf.broadcast_to(tf.cast(step.labels, outputs.dtype)[..., None], outputs.shape)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, outputs)
        strength = step.constants["strength"][:, None]
        similarities = input_gradient_similarity(gradients, similarity)
        return tf.reduce_sum(losses, -1) + strength * similarities

    return objective
