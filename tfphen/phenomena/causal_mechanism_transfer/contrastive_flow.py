"""Nonlinear independent component analysis: an invertible flow, trained to discriminate domains.

A flow h maps examples z to components. The score of domain u is a sum of functions of one
component each,

    r(z, u) = sum_d psi_{d,u}(h_d(z)),

so that scores can discriminate true from false pairs of examples and domains only through
components that are independent in each domain (generalized contrastive learning).

Reference:
    A. Hyvärinen, H. Sasaki, R. Turner, "Nonlinear ICA Using Auxiliary Variables and Generalized
    Contrastive Learning", AISTATS 2019, arXiv 1805.08651.
"""

import math
import zlib
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from keras import initializers

from tfphen.core import seeds
from tfphen.core.checks import require, wholes
from tfphen.population import counter_rng
from tfphen.population.batching import Members, lower
from tfphen.population.population import Population
from tfphen.train.objectives import Objective, Step

tfb = tfp.bijectors


class InvertibleLinear(tfb.Bijector):
    """Multiplies examples, which are rows, by the transpose of a matrix.

    Args:
        matrix: `[..., d, d]`, broadcast against examples `[..., n, d]`.
    """

    def __init__(self, matrix: tf.Tensor):
        parameters = {"matrix": matrix}
        super().__init__(forward_min_event_ndims=1, dtype=matrix.dtype, parameters=parameters)
        self._matrix = matrix

    def _forward(self, x):
        return tf.matmul(x, self._matrix, transpose_b=True)

    def _inverse(self, y):
        transposed = tf.linalg.matrix_transpose(y)
        shape = (*transposed.shape[:-2], *self._matrix.shape[-2:])
        matrix = tf.broadcast_to(self._matrix, shape)
        return tf.linalg.matrix_transpose(tf.linalg.solve(matrix, transposed))


def flow(weights: Mapping[str, tf.Tensor]) -> tfb.Bijector:
    """Returns the flow from examples to components, a TensorFlow Probability bijector.

    Scale and shift of each dimension; then, as often as there are linear maps I + V, one of them
    and an affine coupling: the first half of the dimensions says by which 1 + tanh s the others
    are multiplied, and what is added to them.

    Args:
        weights: Those of a `ContrastiveFlow` by name, of one member, or of all of them
            `[members, ...]`.
    """
    mixing = weights["mixing"]
    depth, size = mixing.shape[-3], mixing.shape[-1]
    steps = [tfb.Shift(weights["offset"]), tfb.Scale(log_scale=weights["log_scale"])]
    for index in range(depth):
        steps.append(InvertibleLinear(tf.eye(size, dtype=mixing.dtype) + mixing[..., index, :, :]))
        steps.append(tfb.RealNVP(num_masked=size // 2, bijector_fn=_coupling(weights, index)))
    return tfb.Chain(steps[::-1])


def _coupling(weights: Mapping[str, tf.Tensor], index: int) -> Callable:
    def one(name):
        return weights[name][..., index, :, :]

    def affine(first, units, **condition):
        hidden = tf.nn.relu(first @ one("hidden_kernel") + one("hidden_bias"))
        scale = 1 + tf.tanh(hidden @ one("scale_kernel") + one("scale_bias"))
        shift = hidden @ one("shift_kernel") + one("shift_bias")
        return tfb.Chain([tfb.Shift(shift), tfb.Scale(scale=scale)])

    return affine


def domain_scores(weights: Mapping[str, tf.Tensor], components: tf.Tensor) -> tf.Tensor:
    """Returns r(z, u) of every domain u, `[..., n, domains]`, for components `[..., n, d]`."""
    columns = tf.linalg.matrix_transpose(components)[..., None]
    hidden = tf.nn.relu(columns * weights["score_in_kernel"] + weights["score_in_bias"])
    hidden = tf.nn.relu(hidden @ weights["score_kernel"] + weights["score_bias"])
    scores = hidden @ weights["score_out_kernel"] + weights["score_out_bias"]
    return tf.reduce_sum(scores, axis=-3)


@keras.saving.register_keras_serializable(package="tfphen")
class ContrastiveFlow(keras.layers.Layer):
    """Scores of domains through a flow and functions of single components.

    Initial values are those of the published code: the couplings start as constant scales and
    shifts, V is uniform up to one over the root of the dimensions. Standardize the inputs: the
    first scale and shift start as the identity, and do not look at the data.

    Args:
        domains: Number of domains.
        depth: Number of linear maps, each with its coupling.
        hidden_units: Of each coupling's network.
        score_units: Of both hidden layers of each psi_d.
        **kwargs: Of a Keras layer.

    Call arguments:
        inputs: `[batch, d]`, d at least 2.

    Returns:
        Scores `[batch, domains]`.
    """

    def __init__(
        self, domains: int, depth: int = 8, hidden_units: int = 10, score_units: int = 10, **kwargs
    ):
        super().__init__(**kwargs)
        wholes(domains=domains, depth=depth, hidden_units=hidden_units, score_units=score_units)
        require(domains >= 2, "domains", domains, "must be at least 2, to be told apart")
        self.domains, self.depth = domains, depth
        self.hidden_units, self.score_units = hidden_units, score_units

    def build(self, input_shape):
        """Makes the weights. A row axis of biases, of length 1, stands for the examples."""
        size = input_shape[-1]
        require(size >= 2, "input_shape", input_shape, "must end in at least 2 dimensions")
        first, hidden, units = size // 2, self.hidden_units, self.score_units
        changed = size - first
        layers = (self.depth,)
        for name, shape, fan in (
            ("offset", (1, size), 0),
            ("log_scale", (1, size), 0),
            ("mixing", (*layers, size, size), size),
            ("hidden_kernel", (*layers, first, hidden), 0),
            ("hidden_bias", (*layers, 1, hidden), first),
            ("scale_kernel", (*layers, hidden, changed), 0),
            ("scale_bias", (*layers, 1, changed), hidden),
            ("shift_kernel", (*layers, hidden, changed), 0),
            ("shift_bias", (*layers, 1, changed), hidden),
            ("score_in_kernel", (size, 1, units), 1),
            ("score_in_bias", (size, 1, units), 1),
            ("score_kernel", (size, units, units), units),
            ("score_bias", (size, 1, units), units),
            ("score_out_kernel", (size, units, self.domains), units),
            ("score_out_bias", (size, 1, self.domains), units),
        ):
            # Zero, or uniform up to one over the root of the fan in.
            limit = 1 / math.sqrt(fan) if fan else 0.0
            # A seed of its own, since Keras would draw one from Python's global generator.
            uniform = initializers.RandomUniform(-limit, limit, seed=zlib.crc32(name.encode()))
            initializer = uniform if fan else initializers.Zeros()
            setattr(self, f"{name}_initializer", initializer)
            setattr(self, name, self.add_weight(shape=shape, initializer=initializer, name=name))

    def call(self, inputs):
        """See the class."""
        weights = {weight.name: tf.convert_to_tensor(weight) for weight in self.weights}
        return domain_scores(weights, flow(weights).forward(inputs))

    def get_config(self):
        """Returns the arguments that make this layer again."""
        names = ("domains", "depth", "hidden_units", "score_units")
        return super().get_config() | {name: getattr(self, name) for name in names}


@lower.register
def contrastive_flow(layer: ContrastiveFlow, members: Members, inputs):
    """Bijectors and matrix products broadcast over the member axis by themselves."""
    weights = {weight.name: members.weight(weight) for weight in layer.weights}
    return domain_scores(weights, flow(weights).forward(inputs))


def model(input_shape, num_classes: int, **settings) -> keras.Model:
    """Returns a model with the one layer `ContrastiveFlow`.

    Args:
        input_shape: `(d,)`.
        num_classes: Labels; the last is the target domain, which has no score.
        **settings: Of the layer.
    """
    inputs = keras.Input(input_shape)
    layer = ContrastiveFlow(num_classes - 1, name="contrastive_flow", **settings)
    return keras.Model(inputs, layer(inputs), name="contrastive_flow_model")


def generalized_contrastive() -> Objective:
    """The loss of telling an example's own domain from another, drawn uniformly at each step.

    (softplus(-r(z, u)) + softplus(r(z, u'))) / (2 log 2), which is 1 where nothing is told apart.
    Labels from the number of scores up are no source domain and count 0. Which of the others is
    u', counted from u, is the same draw for all members.
    """

    def objective(step: Step) -> tf.Tensor:
        scores = step.outputs
        domains = scores.shape[-1]
        key = tf.constant(seeds.key(0, "other_domains")[None])
        drawn = counter_rng.uniform(key, step.number, 0, (scores.shape[1], 1))[..., 0]
        other = (step.labels + 1 + tf.cast(drawn * (domains - 1), step.labels.dtype)) % domains

        def score_of(labels):
            return tf.reduce_sum(scores * tf.one_hot(labels, domains), axis=-1)

        losses = tf.nn.softplus(-score_of(step.labels)) + tf.nn.softplus(score_of(other))
        return tf.where(step.labels < domains, losses, 0.0) / (2 * math.log(2))

    return objective


def flow_of(members: Population) -> tfb.Bijector:
    """Returns the flows of all members of a population of `model`s, in float64.

    The inverse solves linear systems and divides by scales, for which float32 is too coarse.
    """
    pairs = zip(members.model.weights, members.values(), strict=True)
    return flow({weight.name: tf.constant(np.asarray(v, "float64")) for weight, v in pairs})
