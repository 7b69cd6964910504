"""Circular convolutions: the sum by hand, both methods, exact invariance, members at once."""

import keras
import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.layers import CircularPadding2D
from tfphen.layers.circular_convolution import CircularConvolution
from tfphen.metrics import shift_consistency
from tfphen.phenomena.shift_invariance.models import circular_convnet, normalized_mlp
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor

pytestmark = pytest.mark.backend


def by_hand(inputs, kernel, before):
    """Signals `[batch, n, channels]` with a kernel `[width, channels, filters]`."""
    outputs = 0.0
    for place, weights in enumerate(kernel):
        outputs = outputs + np.roll(inputs, before - place, axis=1) @ weights
    return outputs


@pytest.mark.parametrize("method", ["product", "fourier"])
@pytest.mark.parametrize("width", [1, 4, 7])
def test_signals_against_the_sum(method, width):
    layer = CircularConvolution(3, width, method=method, bias_initializer="ones")
    inputs = np.random.default_rng(0).normal(size=(2, 7, 2)).astype("float32")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(outputs, by_hand(inputs, kernel, (width - 1) // 2) + 1.0, atol=1e-5)


@pytest.mark.parametrize(("width", "padding"), [(3, 1), (4, 0), (4, 2), (4, 4)])
def test_images_against_padding_and_a_stock_convolution(width, padding):
    inputs = np.random.default_rng(1).normal(size=(2, 4, 5, 2)).astype("float32")
    layer = CircularConvolution(3, width, padding, activation="relu")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    stock = keras.layers.Conv2D(3, width, activation="relu")
    padded = CircularPadding2D(padding)(inputs) if padding else inputs
    stock.build(padded.shape)
    stock.set_weights(layer.get_weights())
    expected = keras.ops.convert_to_numpy(stock(padded))
    assert outputs.shape == layer.compute_output_shape(inputs.shape) == expected.shape
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


def test_a_long_kernel_goes_by_fourier():
    layer = CircularConvolution(2, 400)
    inputs = np.random.default_rng(2).normal(size=(2, 500, 1)).astype("float32")
    outputs = keras.ops.convert_to_numpy(layer(inputs))
    assert layer._by_fourier(inputs.shape)
    expected = by_hand(inputs, keras.ops.convert_to_numpy(layer.kernel), 199)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(9,), (6, 6, 1), (9, 9)])
@pytest.mark.parametrize(("size", "pooling"), [(None, "average"), (3, "max"), (4, "average")])
def test_logits_do_not_change_under_any_shift(shape, size, pooling):
    model = circular_convnet(shape, 3, filters=8, kernel_size=size, pooling=pooling)
    inputs = np.random.default_rng(3).normal(size=(4, *shape)).astype("float32")
    logits = keras.ops.convert_to_numpy(model(inputs))
    for by in range(1, shape[0]):
        for axis in (1, 2)[: 1 + (len(shape) > 1)]:
            moved = model(np.roll(inputs, by, axis))
            np.testing.assert_allclose(keras.ops.convert_to_numpy(moved), logits, atol=1e-6)
    axes = (1, 2) if len(shape) > 1 else (1,)
    assert shift_consistency(model, inputs, axes=axes) == 1.0


@pytest.mark.parametrize("pooling", ["linear", "none"])
def test_what_reads_positions_is_not_invariant(pooling):
    model = circular_convnet((9,), 3, filters=8, pooling=pooling)
    inputs = np.random.default_rng(3).normal(size=(4, 9)).astype("float32")
    change = model(np.roll(inputs, 2, 1)) - model(inputs)
    assert np.abs(keras.ops.convert_to_numpy(change)).max() > 1e-3


def test_a_padding_that_repeats_a_row_breaks_the_invariance():
    """An even kernel with half its size on all sides, as in published code."""
    model = circular_convnet((6, 6, 1), 3, filters=8, kernel_size=6, padding=3)
    assert model.get_layer("convolution").output.shape[1:3] == (7, 7)
    inputs = np.random.default_rng(3).normal(size=(4, 6, 6, 1)).astype("float32")
    change = model(np.roll(inputs, 2, 1)) - model(inputs)
    assert np.abs(keras.ops.convert_to_numpy(change)).max() > 1e-3


def test_a_linear_pooled_net_sees_the_sum_only():
    model = circular_convnet((8,), 2, filters=5, activation="linear")
    generator = np.random.default_rng(4)
    inputs = generator.normal(size=(6, 8)).astype("float32")
    logits = keras.ops.convert_to_numpy(model(inputs))
    even = np.tile(inputs.mean(1, keepdims=True), (1, 8))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(even)), logits, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((12,), {"input_normalization": True}),
        ((500,), {"kernel_size": 300}),
        ((5, 5, 1), {"kernel_size": 3, "pooling": "max"}),
        ((4, 4, 2), {"pooling": "linear"}),
        ((4, 4, 1), {"padding": 2, "pooling": "none"}),
    ],
)
def test_members_of_a_population_are_ordinary_models(shape, settings):
    members = Population(circular_convnet(shape, 3, filters=4, **settings), (1, 2))
    inputs = np.random.default_rng(5).normal(size=(3, *shape)).astype("float32")
    together = Predictor(members).predict(inputs)
    for index in range(2):
        alone = keras.ops.convert_to_numpy(members.member(index)(inputs, training=False))
        np.testing.assert_allclose(together[index], alone, atol=1e-5)
    kernel = members.value_of("convolution/kernel")
    fan_in = np.prod(kernel.shape[1:-1])
    assert 0.8 < np.abs(kernel).max() * np.sqrt(fan_in) <= 1.0
    assert np.abs(kernel[0] - kernel[1]).max() > 0


@pytest.mark.parametrize("shape", [(9,), (3, 3, 1)])
def test_a_perceptron_normalizes_all_pixels_alike(shape):
    model = normalized_mlp(shape, 2, hidden_units=(4, 5))
    assert model.get_layer("input_normalization").gamma.shape == (1,)
    assert model.count_params() == 4 + 10 * 4 + 5 * 5 + 6 * 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pooling": "sum"}, "`pooling` must be one of 'average', 'max', 'linear', 'none'"),
        ({"kernel_size": 10}, "The kernel is at most as large as the input"),
        ({"padding": -1}, "`padding` must be an integer"),
        ({"filters": 0}, "`filters` must be an integer"),
    ],
)
def test_refusals(settings, words):
    with pytest.raises(UsageError, match=words):
        circular_convnet((9,), 2, **settings)
    with pytest.raises(UsageError, match='`method="fourier"` is for signals'):
        CircularConvolution(2, 2, method="fourier")(np.zeros((1, 4, 4, 1), "float32"))
