"""The member-axis forms of the toolkit's own layers with state, and their initial weights.

`population` imports this module, so that every population supports these layers.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfphen.core import keras_internals
from tfphen.core.types import Array
from tfphen.layers.laplace_covariance import LaplaceRandomFeatureCovariance
from tfphen.layers.linear_maps import EinsumMap
from tfphen.layers.operator_norm import converge, power_iteration
from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
from tfphen.layers.random_features import random_feature_weights
from tfphen.layers.spectral_normalization import SpectralNormalization
from tfphen.population.batching import Members, lower
from tfphen.population.initial_weights import own_values

# Rounds of `converge` for the singular vectors of a convolution's initial kernel. Training starts
# from them, with `power_iterations` a step.
_FIRST_ROUNDS = 8
_TOLERANCE = 1e-4

# A vector shorter than this has no direction.
_TINY = 1e-30


def _cap(kernel: tf.Tensor, norm: tf.Tensor, most: float) -> tf.Tensor:
    """Divides each member's kernel by max(1, σ / c): exactly itself where σ is at most c."""
    scale = most / tf.maximum(norm, most)
    return kernel * tf.reshape(scale, (-1,) + (1,) * (len(kernel.shape) - 1))


def _is_matrix(linear_map: Any) -> bool:
    """Whether a kernel is a matrix of inputs by outputs once its axes are merged."""
    axes = getattr(linear_map, "input_axes", ""), getattr(linear_map, "output_axes", "")
    return isinstance(linear_map, EinsumMap) and linear_map.kernel_axes == "".join(axes)


def _units(vectors: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    length = tf.norm(vectors, axis=1, keepdims=True)
    return tf.where(length > _TINY, vectors / tf.maximum(length, _TINY), otherwise)


def _matrix_estimates(
    kernel: tf.Tensor, left: tf.Tensor, right: tf.Tensor, iterations: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`power_iteration` of matrices `[members, in, out]`, all members at once."""
    fixed = tf.stop_gradient(kernel)
    for number in range(iterations):
        right = _units(tf.linalg.matvec(fixed, left), right)
        if number + 1 < iterations:
            left = _units(tf.linalg.matvec(fixed, right, transpose_a=True), left)
    image = tf.linalg.matvec(kernel, right, transpose_a=True)
    left = _units(tf.stop_gradient(image), left)
    return left, right, tf.reduce_sum(left * image, 1)


def _estimates(
    layer: SpectralNormalization,
    kernel: tf.Tensor,
    left: tf.Tensor,
    right: tf.Tensor,
    iterations: int,
) -> Sequence[tf.Tensor]:
    """Power iterations of each member. Returns u, v and σ, with a leading member axis."""
    if _is_matrix(layer._linear_map):
        members, flat = kernel.shape[0], [tf.reshape(v, (v.shape[0], -1)) for v in (left, right)]
        matrices = tf.reshape(kernel, (members, flat[1].shape[1], flat[0].shape[1]))
        *vectors, norm = _matrix_estimates(matrices, flat[0], flat[1], iterations)
        pairs = zip(vectors, (left, right), strict=True)
        return *(tf.reshape(new, old.shape) for new, old in pairs), norm
    parts = [tf.unstack(value) for value in (kernel, left, right)]
    found = [
        power_iteration(layer._linear_map, one, u, v, iterations)
        for one, u, v in zip(*parts, strict=True)
    ]
    return [tf.stack(values) for values in zip(*found, strict=True)]


@lower.register
def spectral_normalization(
    layer: SpectralNormalization, members: Members, inputs: tf.Tensor
) -> tf.Tensor:
    """As the layer itself, with one pair of singular vectors a member.

    In training the kernel is projected before the optimizer's step, and not again after it as in
    `fit`; in both, the kernel used in a call has a norm of at most c.
    """
    variable = keras_internals.kernel_of(layer.layer)
    kernel = members.weight(variable)
    values = tf.cast(kernel, layer._working_dtype)
    vectors = members.weight(layer.left_vector), members.weight(layer.right_vector)
    updating = members.training and layer.trainable and variable.trainable
    source = values if layer.reparametrize else tf.stop_gradient(values)
    iterations = layer.power_iterations if updating else 0
    left, right, norm = _estimates(layer, source, *vectors, iterations)
    bounded = tf.cast(_cap(values, norm, layer.norm_multiplier), kernel.dtype)
    if updating:
        members.updates += [(layer.left_vector, left), (layer.right_vector, right)]
    if updating and not layer.reparametrize:
        bounded = tf.stop_gradient(bounded)
        members.updates.append((variable, bounded))
        bounded += kernel - tf.stop_gradient(kernel)
    own = dataclasses.replace(members, weights={**members.weights, id(variable): bounded})
    return lower(layer.layer, own, inputs)


@lower.register
def gaussian_process(
    layer: RandomFeatureGaussianProcess, members: Members, inputs: tf.Tensor
) -> tf.Tensor:
    """Logits of random features, which are the activation `"<name>/features"`.

    The precision is not updated: an exact posterior follows from the features of the training set
    under the final weights.
    """
    if layer.return_covariance is not None:
        raise NotImplementedError(
            f"Layer {layer.name!r}: a population has no covariances in its forward pass. Make it "
            "with `return_covariance=False`, and compute them from its features."
        )
    inputs = tf.cast(inputs, layer.working_dtype)
    if layer.normalize_input:
        inputs = lower(layer.input_normalization, members, inputs)
    else:
        inputs /= layer.kernel_scale**0.5
    phases = members.weight(layer.phases)[:, None]
    features = tf.cos(tf.matmul(inputs, members.weight(layer.frequencies)) + phases)
    if layer.scale_random_features:
        features *= math.sqrt(2.0 / layer.num_inducing)
    members.activations[f"{layer.name}/features"] = features
    return (
        tf.matmul(features, members.weight(layer.kernel))
        + members.weight(layer.output_bias)[:, None]
    )


@own_values.register
def _(
    layer: RandomFeatureGaussianProcess, generator: np.random.Generator, drawn: Mapping[int, Array]
) -> dict[str, Array]:
    frequencies, phases = random_feature_weights(
        layer.frequencies.shape[0],
        layer.num_inducing,
        layer.kernel_type,
        layer.feature_type,
        layer.feature_stddev,
        layer.random_norm,
        int(generator.integers(2**31)),
    )
    bias = np.full(layer.output_bias.shape, layer.initial_output_bias)
    return {"frequencies": frequencies, "phases": phases, "output_bias": bias}


@own_values.register
def _(
    layer: LaplaceRandomFeatureCovariance,
    generator: np.random.Generator,
    drawn: Mapping[int, Array],
) -> dict[str, Array]:
    return {v.name: keras.ops.convert_to_numpy(v) for v in layer.non_trainable_variables}


@own_values.register
def _(
    layer: SpectralNormalization, generator: np.random.Generator, drawn: Mapping[int, Array]
) -> dict[str, Array]:
    kernel = drawn[id(keras_internals.kernel_of(layer.layer))]
    mapped = layer._linear_map
    if _is_matrix(mapped):
        # Exact for a matrix.
        size = math.prod(mapped.right_shape)
        rows, _, columns = np.linalg.svd(kernel.reshape(size, -1), full_matrices=False)
        right, left = rows[:, 0].reshape(mapped.right_shape), columns[0].reshape(mapped.left_shape)
    else:
        start = generator.standard_normal(mapped.right_shape)
        start = tf.constant(start / np.linalg.norm(start), layer._working_dtype)
        values = tf.constant(kernel, layer._working_dtype)
        left, right, _ = converge(mapped, values, start, _FIRST_ROUNDS, _TOLERANCE)
    return {"left_vector": np.asarray(left), "right_vector": np.asarray(right)}
