"""Circular padding: the wrapped values, and exact shift invariance of the networks it is for."""

import json

import keras
import numpy as np
import pytest

from tfphen.layers.circular_padding import CircularPadding2D, circular_padding_2d
from tfphen.metrics import shift_consistency


def images(shape=(2, 5, 4, 3), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("padding", "sides"),
    [
        (0, ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 3), ((1, 1), (3, 3))),
        (((1, 2), (0, 3)), ((1, 2), (0, 3))),
        ([[5, 11], [4, 9]], ((5, 11), (4, 9))),  # beyond the image: several wraps
    ],
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_values_are_those_of_numpy(padding, sides, data_format):
    x = images()
    layer = CircularPadding2D(padding, data_format)
    assert layer.padding == sides
    if data_format == "channels_first":
        expected = np.pad(x, ((0, 0), (0, 0), *sides), mode="wrap")
    else:
        expected = np.pad(x, ((0, 0), *sides, (0, 0)), mode="wrap")
    found = layer(x)
    np.testing.assert_array_equal(found, expected)
    assert layer.compute_output_shape(x.shape) == found.shape
    np.testing.assert_array_equal(circular_padding_2d(x, padding, data_format), found)
    whole = np.arange(x.size).reshape(x.shape)
    assert np.asarray(circular_padding_2d(whole, 1)).dtype.kind == "i"


def test_sizes_that_are_known_late_only(tensorflow):
    signature = [tensorflow.TensorSpec((None, None, None, 3))]
    layer = CircularPadding2D(((1, 7), (6, 0)))
    traced = tensorflow.function(layer.__call__, input_signature=signature)
    assert traced.get_concrete_function().output_shapes.as_list() == [None, None, None, 3]
    np.testing.assert_array_equal(traced(images()), layer(images()))
    assert layer.compute_output_shape((None, None, 4, 3)) == (None, None, 10, 3)


def network(kernel_size, padding, relu=True, pooled=True):
    """A network of two convolutions; its output differs between classes for random images."""
    x = inputs = keras.Input((9, 9, 1))
    for number in (1, 2):
        start = keras.initializers.GlorotUniform(seed=number)
        x = CircularPadding2D(padding)(x) if padding else keras.layers.ZeroPadding2D(1)(x)
        x = keras.layers.Conv2D(6, kernel_size, kernel_initializer=start)(x)
        x = keras.layers.ReLU()(x) if relu else x
    x = keras.layers.GlobalAveragePooling2D()(x) if pooled else keras.layers.Flatten()(x)
    start = keras.initializers.GlorotUniform(seed=3)
    logits = keras.layers.Dense(3, kernel_initializer=start)(x)
    return keras.Model(inputs, logits)


@pytest.mark.parametrize(
    ("kernel_size", "padding"), [(3, 1), (9, 4), ((5, 3), (2, 1)), (4, ((1, 2), (1, 2)))]
)
def test_logits_do_not_change_when_the_image_is_rolled(kernel_size, padding):
    model, x = network(kernel_size, padding), images((4, 9, 9, 1))
    first = np.asarray(model(x))
    assert np.ptp(first, axis=0).min() > 1e-3
    for by in ((1, 0), (0, 4), (-3, 2), (8, 8)):
        found = np.asarray(model(np.roll(x, by, axis=(1, 2))))
        np.testing.assert_allclose(found, first, atol=1e-6)
    assert shift_consistency(model, x, num_shifts=4) == 1.0


def test_what_is_not_invariant():
    x = images((40, 9, 9, 1))
    exact = np.asarray(network(3, 1)(x))
    for model in (network(3, 0), network(4, 2), network(3, 1, pooled=False)):
        rolled = np.asarray(model(np.roll(x, 4, axis=1)))
        assert np.abs(rolled - np.asarray(model(x))).max() > 1e-3
    assert np.abs(exact - np.asarray(network(3, 0)(x))).max() > 1e-3
    assert shift_consistency(network(3, 1, pooled=False), x, num_shifts=4) < 0.9


def test_a_linear_pooled_network_sees_the_mean_only():
    model = network(3, 1, relu=False)
    generator = np.random.default_rng(1)
    one, other = images((1, 9, 9, 1)), generator.normal(size=(1, 9, 9, 1)).astype("float32")
    other += one.mean() - other.mean()
    np.testing.assert_allclose(model(one), model(other), atol=1e-5)
    assert np.abs(np.asarray(model(one)) - np.asarray(model(one + 0.5))).max() > 1e-2
    # One dot in d pixels: the boundary of the difference of two logits with threshold zero, whose
    # gradient is the same for all pixels, is at distance 1 / sqrt(d).
    dot = np.zeros((1, 9, 9, 1), "float32")
    dot[0, 4, 4, 0] = 1.0
    zero, at_dot = np.asarray(model(0 * dot))[0], np.asarray(model(dot))[0]
    slope = (at_dot - zero)[1] - (at_dot - zero)[0]
    length = np.sqrt(81) * abs(slope)
    assert abs(slope) / length == pytest.approx(1 / 9, rel=1e-6)
    moved = dot - (dot.sum() / 81)
    difference = np.asarray(model(moved))[0] - zero
    assert np.linalg.norm(moved - dot) == pytest.approx(1 / 9, rel=1e-5)
    np.testing.assert_allclose(difference, 0.0, atol=1e-6)


def test_configuration_and_the_compiler(tensorflow):
    layer = CircularPadding2D(((1, 2), (0, 3)), name="wrap")
    config = json.loads(json.dumps(layer.get_config()))
    again = CircularPadding2D.from_config(config)
    assert again.get_config() == config and again.padding == layer.padding
    compiled = tensorflow.function(layer.__call__, jit_compile=True)
    np.testing.assert_array_equal(compiled(images()), layer(images()))
    low = CircularPadding2D(1, dtype="mixed_bfloat16")(images())
    assert keras.backend.standardize_dtype(low.dtype) == "bfloat16"


@pytest.mark.parametrize("padding", [-1, (1, -1), 1.5, "1", (1, 2, 3), ((1, 2), (3,)), True, None])
def test_wrong_padding(padding):
    for call in (CircularPadding2D, lambda p: circular_padding_2d(images(), p)):
        with pytest.raises(ValueError, match=r"`padding` must be a non-negative.*Received: paddin"):
            call(padding)


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"`inputs` of `circular_padding_2d`.*Received"):
        circular_padding_2d(np.zeros((3, 3)), 1)
