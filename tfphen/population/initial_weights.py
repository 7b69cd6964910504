"""Initial weights drawn on the host, from each member's own stream, by the layer's initializer.

TensorFlow's generators give different numbers under XLA and on other devices, so the standard
initializers are drawn with NumPy from the distributions that Keras documents.
"""

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import initializers
from scipy import stats

from tfphen.core import keras_internals, seeds
from tfphen.core.types import Array, Shape


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns (fan in, fan out) as Keras computes them for a kernel of this shape."""
    if len(shape) < 2:
        size = int(np.prod(shape)) if shape else 1
        return size, size
    receptive = int(np.prod(shape[:-2]))
    return receptive * shape[-2], receptive * shape[-1]


def _truncated(
    generator: np.random.Generator, shape: Shape, mean: float, deviation: float
) -> Array:
    return stats.truncnorm.ppf(generator.uniform(size=shape), -2, 2) * deviation + mean


@functools.singledispatch
def draw(initializer: Any, shape: Shape, generator: np.random.Generator) -> Array:
    """Draws an array from a Keras initializer with a NumPy generator.

    An initializer without an entry here is rebuilt with a seed from `generator`.
    """
    config = initializer.get_config()
    if "seed" in config:
        seed = int(generator.integers(2**31 - 1))
        initializer = type(initializer).from_config({**config, "seed": seed})
    return keras.ops.convert_to_numpy(initializer(shape))


@draw.register
def _(
    initializer: initializers.VarianceScaling, shape: Shape, generator: np.random.Generator
) -> Array:
    fan_in, fan_out = fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    variance = initializer.scale / max(1.0, fan[initializer.mode])
    if initializer.distribution == "uniform":
        limit = math.sqrt(3.0 * variance)
        return generator.uniform(-limit, limit, shape)
    if initializer.distribution == "truncated_normal":
        # The standard deviation of a standard normal cut at two is .87962566.
        return _truncated(generator, shape, 0.0, math.sqrt(variance) / 0.87962566103423978)
    return generator.normal(0.0, math.sqrt(variance), shape)


@draw.register
def _(
    initializer: initializers.RandomUniform, shape: Shape, generator: np.random.Generator
) -> Array:
    return generator.uniform(initializer.minval, initializer.maxval, shape)


@draw.register
def _(
    initializer: initializers.RandomNormal, shape: Shape, generator: np.random.Generator
) -> Array:
    return generator.normal(initializer.mean, initializer.stddev, shape)


@draw.register
def _(
    initializer: initializers.TruncatedNormal, shape: Shape, generator: np.random.Generator
) -> Array:
    return _truncated(generator, shape, initializer.mean, initializer.stddev)


def initializer_of(layer: keras.Layer, variable: keras.Variable) -> object | None:
    """Returns the initializer that a layer's variable was made with, by Keras' naming, or None."""
    # "recurrent_kernel" has a `recurrent_initializer`, and a depthwise "kernel" a
    # `depthwise_initializer`; elsewhere the names agree.
    for name in (variable.name, variable.name.removesuffix("_kernel"), "depthwise"):
        found = getattr(layer, f"{name}_initializer", None)
        if found is not None:
            return found
    return None


@functools.singledispatch
def own_values(
    layer: Any, generator: np.random.Generator, drawn: Mapping[int, Array]
) -> dict[str, Array]:
    """Draws the weights of a layer that do not come from an initializer, by name.

    Register a layer class to add one, see `library_rules`.

    Args:
        layer: A built Keras layer.
        generator: Generator of the member's stream `"init"`.
        drawn: Values drawn by the layers inside this one, by the `id` of the variable.
    """
    return {}


def initial_weights(model: keras.Model, seed: int) -> list[Array]:
    """Draws one initial value for each of `model.weights`, from the stream `"init"` of `seed`.

    Args:
        model: A built Keras model; its own values are used only where there is no initializer and
            the value is constant, as for counters.
        seed: The member's seed for the stream.

    Raises:
        ValueError: A variable's initializer is unknown and its value is not constant.
    """
    owners: dict[int, keras.Layer] = {}
    for layer in keras_internals.flattened_layers(model, include_self=False):
        for variable in keras_internals.own_variables(layer):
            owners[id(variable)] = layer
    drawn: dict[int, Array] = {}
    left: dict[int, tuple[keras.Layer, int, list[keras.Variable]]] = {}
    for number, variable in enumerate(model.weights):
        layer = owners.get(id(variable))
        known = layer is not None and initializer_of(layer, variable) is not None
        if not known and own_values.dispatch(type(layer)) is not own_values.dispatch(object):
            left.setdefault(id(layer), (layer, number, []))[-1].append(variable)
        else:
            drawn[id(variable)] = _value_of(layer, variable, seeds.stream(seed, "init", number))
    # After those of the inner layers, on which they may depend.
    for layer, number, variables in left.values():
        own = own_values(layer, seeds.stream(seed, "init", number), drawn)
        drawn |= {id(variable): own[variable.name] for variable in variables}
    return [
        np.asarray(drawn[id(v)], dtype=keras.backend.standardize_dtype(v.dtype))
        for v in model.weights
    ]


def _value_of(
    layer: keras.Layer | None, variable: keras.Variable, generator: np.random.Generator
) -> Array:
    initializer = initializer_of(layer, variable) if layer is not None else None
    if initializer is None:
        value = keras.ops.convert_to_numpy(variable)
        if value.size and np.any(value != value.flat[0]):
            raise ValueError(
                f"The initializer of variable {variable.path!r} is unknown: its layer has no "
                f"attribute `{variable.name}_initializer`. Add it to the layer, or pass "
                "`initial_weights` to the population."
            )
        return value
    value = draw(initializer, tuple(variable.shape), generator)
    if layer is not None and getattr(layer, "unit_forget_bias", False) and variable is layer.bias:
        # The bias of an LSTM's forget gate, the second of its gates, starts at 1.
        value = np.array(value)
        value[layer.units : 2 * layer.units] = 1.0
    return value
