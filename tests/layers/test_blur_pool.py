"""Blur pooling against a direct convolution, under shifts, and its gradients and settings."""

import json
import math

import keras
import numpy as np
import pytest

from tfphen.layers.blur_pool import BlurPool2D, blur_pool_2d

MODES = {"reflect": "reflect", "circular": "wrap", "zero": "constant"}


def images(shape=(2, 7, 6, 3), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def direct(x, size, stride, padding):
    """The same by a two-dimensional filter, pixel by pixel, in float64."""
    filters = [np.array([math.comb(m - 1, t) for t in range(m)]) for m in size]
    kernel = np.outer(*filters) / (filters[0].sum() * filters[1].sum())
    sides = [((m - 1) // 2, m // 2) for m in size]
    x = np.pad(x.astype("float64"), ((0, 0), *sides, (0, 0)), mode=MODES[padding])
    rows = range(0, x.shape[1] - size[0] + 1, stride[0])
    columns = range(0, x.shape[2] - size[1] + 1, stride[1])
    return np.stack(
        [
            np.stack(
                [
                    (x[:, i : i + size[0], j : j + size[1]] * kernel[None, :, :, None]).sum((1, 2))
                    for j in columns
                ],
                1,
            )
            for i in rows
        ],
        1,
    )


@pytest.mark.parametrize("padding", MODES)
@pytest.mark.parametrize(
    ("size", "stride"), [(1, 2), (2, 2), (3, 2), (4, 2), (5, 3), ((5, 2), (1, 2)), ((3, 7), (2, 3))]
)
def test_values_are_those_of_a_convolution(padding, size, stride):
    x = images()
    pair = [(v, v) if isinstance(v, int) else v for v in (size, stride)]
    expected = direct(x, *pair, padding)
    layer = BlurPool2D(size, stride, padding)
    found = layer(x)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert layer.compute_output_shape(x.shape) == found.shape
    assert found.shape[1:3] == (-(-7 // pair[1][0]), -(-6 // pair[1][1]))
    np.testing.assert_array_equal(blur_pool_2d(x, size, stride, padding), found)
    first = BlurPool2D(size, stride, padding, data_format="channels_first")
    swapped = first(np.moveaxis(x, -1, 1))
    np.testing.assert_allclose(np.moveaxis(np.asarray(swapped), 1, -1), found, atol=1e-6)
    assert first.compute_output_shape((2, 3, 7, 6)) == swapped.shape
    low = BlurPool2D(size, stride, padding, dtype="mixed_bfloat16")(x)
    assert keras.backend.standardize_dtype(low.dtype) == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(low, "float32"), expected, atol=0.03)


def test_constants_stay_and_the_finest_stripes_go():
    stripes = np.tile(np.array([1.0, -1.0], "float32")[:, None], (4, 8)).reshape(1, 8, 8, 1)
    for size in (2, 3, 5):
        np.testing.assert_allclose(BlurPool2D(size)(0 * stripes + 3), 3.0, rtol=1e-6)
        np.testing.assert_allclose(BlurPool2D(size, padding="circular")(stripes), 0.0, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(BlurPool2D(1)(stripes)), np.ones((1, 4, 4, 1)))


def test_shifts():
    x = images((3, 8, 8, 2))
    for size in (2, 3, 5):
        layer = BlurPool2D(size, 2, "circular")
        first = np.asarray(layer(x))
        moved = np.asarray(layer(np.roll(x, (2, -4), (1, 2))))
        np.testing.assert_array_equal(moved, np.roll(first, (1, -2), (1, 2)))
        stride_1 = BlurPool2D(size, 1, "circular")
        np.testing.assert_array_equal(
            stride_1(np.roll(x, 3, 1)), np.roll(np.asarray(stride_1(x)), 3, 1)
        )

    def change(size):
        layer = BlurPool2D(size, 2, "circular")
        return np.linalg.norm(np.asarray(layer(np.roll(x, 1, 1))) - np.asarray(layer(x)))

    assert change(5) < change(3) < change(2) < change(1)


def test_gradient(tensorflow):
    x, weight = images((1, 6, 5, 1)).astype("float64"), images((1, 3, 3, 1), seed=1)
    for padding in MODES:
        tensor = tensorflow.constant(x)
        with tensorflow.GradientTape() as tape:
            tape.watch(tensor)
            total = tensorflow.reduce_sum(weight * blur_pool_2d(tensor, 3, 2, padding))
        found = np.asarray(tape.gradient(total, tensor))
        for index in ((0, 0, 0, 0), (0, 1, 1, 0), (0, 5, 4, 0)):
            step = np.zeros_like(x)
            step[index] = 1e-4
            pair = [(weight * direct(x + s * step, (3, 3), (2, 2), padding)).sum() for s in (1, -1)]
            assert found[index] == pytest.approx((pair[0] - pair[1]) / 2e-4, abs=1e-9)


def test_compiler_unknown_sizes_and_integers(tensorflow):
    x = images()
    for padding in MODES:
        layer = BlurPool2D(4, 2, padding)
        compiled = tensorflow.function(layer.__call__, jit_compile=True)
        np.testing.assert_allclose(compiled(x), layer(x), atol=1e-6)
        signature = [tensorflow.TensorSpec((None, None, None, 3))]
        late = tensorflow.function(BlurPool2D(4, 2, padding).__call__, input_signature=signature)
        np.testing.assert_allclose(late(x), layer(x), atol=1e-6)
    assert layer.compute_output_shape((None, None, 5, 3)) == (None, None, 3, 3)
    whole = np.arange(64).reshape(1, 8, 8, 1)
    np.testing.assert_allclose(BlurPool2D()(whole), BlurPool2D()(whole.astype("float32")))


def test_configuration():
    layer = BlurPool2D((3, 5), (2, 1), "zero", "channels_first", name="blur")
    config = json.loads(json.dumps(layer.get_config()))
    again = BlurPool2D.from_config(config)
    assert again.get_config() == config and config["name"] == "blur"
    assert (again.pool_size, again.strides, again.padding) == ((3, 5), (2, 1), "zero")
    assert again.data_format == "channels_first" and not again.weights


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"pool_size": 0}, "`pool_size` must be a positive integer"),
        ({"pool_size": 2.5}, "`pool_size` must be a positive integer"),
        ({"strides": (2, 0)}, "`strides` must be a positive integer"),
        ({"strides": None}, "`strides` must be a positive integer"),
        ({"padding": "same"}, "`padding` must be one of 'reflect', 'circular', 'zero'"),
        ({"data_format": "first"}, "data_format"),
    ],
)
def test_wrong_settings(settings, text):
    for call in (BlurPool2D, lambda **s: blur_pool_2d(images(), **s)):
        with pytest.raises(ValueError, match="Received") as raised:
            call(**settings)
        assert text in str(raised.value)


def test_wrong_inputs():
    with pytest.raises(ValueError, match=r"`pool_size` with reflection.*Received: pool_size"):
        blur_pool_2d(images((1, 2, 6, 1)), 5)
    with pytest.raises(ValueError, match=r"`pool_size` with reflection.*Received: pool_size"):
        BlurPool2D(5)(keras.Input((2, 6, 1)))
    assert BlurPool2D(5, padding="circular")(images((1, 2, 1, 1))).shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"`inputs` of `blur_pool_2d`.*Received"):
        blur_pool_2d(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"`inputs` must be floats.*Received"):
        blur_pool_2d(np.zeros((1, 4, 4, 1), "int32"))
