"""The linear maps of convolutions, their transposes, and the norm found by iteration."""

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers.linear_maps import ConvolutionMap, einsum_map
from tfphen.layers.operator_norm import converge, convolution_norm, random_vector

CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}
# Kernel, input size, strides, padding, dilation, groups: odd and even, one to three axes.
CASES = [
    ((3, 2, 3), (7,), 2, "same", 1, 1),
    ((3, 2, 3), (6,), 2, "causal", 1, 1),
    ((2, 2, 4), (9,), 1, "causal", 2, 2),
    ((3, 3, 2, 3), (6, 5), 1, "same", 1, 1),
    ((3, 3, 2, 3), (6, 5), 1, "valid", 1, 1),
    ((3, 2, 2, 3), (6, 7), 2, "same", 1, 1),
    ((3, 2, 2, 3), (7, 6), 2, "valid", 1, 1),
    ((1, 1, 3, 2), (5, 6), 2, "same", 1, 1),
    ((3, 3, 2, 3), (6, 7), 1, "same", 2, 1),
    ((3, 3, 2, 4), (5, 6), 2, "same", 1, 2),
    ((2, 3, 2, 2, 3), (4, 3, 3), 1, "same", 1, 1),
    ((2, 3, 2, 2, 2), (4, 3, 5), 2, "valid", 1, 1),
]


def array(value):
    return ops.convert_to_numpy(value)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def unrolled(layer, shape):
    """The matrix of a layer's linear part, by what it makes of every basis vector."""
    count = int(np.prod(shape))
    basis = np.eye(count, dtype="float32").reshape(count, *shape)
    outputs = array(layer(basis)) - array(layer(0 * basis[:1]))
    return outputs.reshape(count, -1)


def map_of(case):
    kernel, size, stride, padding, dilation, groups = case
    rank = len(size)
    return ConvolutionMap(kernel, size, (stride,) * rank, padding, (dilation,) * rank, groups)


@pytest.mark.parametrize("case", CASES)
def test_transpose_is_the_adjoint(case):
    linear_map, kernel = map_of(case), normal(*case[0])
    right, left = normal(*linear_map.right_shape), normal(*linear_map.left_shape, seed=1)
    image = array(linear_map.apply(kernel, right))
    back = array(linear_map.transpose(kernel, left))
    assert image.shape == left.shape and back.shape == right.shape
    assert (image * left).sum() == pytest.approx((back * right).sum(), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_norm_is_that_of_the_unrolled_convolution(case):
    shape, size, stride, padding, dilation, groups = case
    layer = CONVOLUTIONS[len(size)](
        shape[-1],
        shape[:-2],
        strides=stride,
        padding=padding,
        dilation_rate=dilation,
        groups=groups,
    )
    layer.build((None, *size, shape[-2] * groups))
    layer.kernel.assign(normal(*shape))
    expected = np.linalg.norm(unrolled(layer, (*size, shape[-2] * groups)), 2)
    found = convolution_norm(normal(*shape), size, stride, padding, dilation, groups)
    assert float(found) == pytest.approx(expected, rel=1e-3)
    assert float(found) <= expected * (1 + 1e-5)


def test_published_identities():
    ninth = np.full((3, 3, 1, 1), 1 / 9, "float32")
    assert float(convolution_norm(ninth, 8, padding="same")) == pytest.approx(0.9212066, abs=1e-5)
    point = normal(1, 1, 4, 6)
    expected = np.linalg.norm(point[0, 0], 2)
    assert float(convolution_norm(point, 5)) == pytest.approx(expected, rel=1e-4)
    half = ops.convert_to_tensor(ninth, "bfloat16")
    assert float(convolution_norm(half, 8, padding="same")) == pytest.approx(0.92, abs=0.005)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: einsum_map("abc,cd->ad", (3, 4)), "Summed by itself: b"),
        (lambda: convolution_norm(normal(3, 4), 5), "kernel"),
        (lambda: convolution_norm(normal(3, 3, 1, 1), 2), "input_size"),
        (lambda: convolution_norm(normal(3, 3, 1, 1), 4, padding="full"), "padding"),
        (lambda: convolution_norm(normal(3, 3, 1, 1), (4, 4, 4)), "input_size"),
        (lambda: convolution_norm(normal(3, 3, 1, 1), 4, strides=0), "strides"),
        (lambda: convolution_norm(normal(3, 3, 1, 1), 4, iterations=0), "iterations"),
    ],
)
def test_errors_name_the_argument(make, text):
    with pytest.raises(ValueError, match=text) as raised:
        make()
    assert "Received: " in str(raised.value)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_small_maps_whose_vectors_span_all_there_is(size):
    equal = np.eye(size)
    for seed in range(8):
        matrices = (normal(size, size, seed=seed), np.diag(np.arange(size, 0.0, -1.0)), equal)
        for matrix in matrices:
            linear_map = einsum_map("...i,io->...o", matrix.shape)
            start = random_vector(linear_map.right_shape, seed)
            kernel = ops.convert_to_tensor(matrix.astype("float32"))
            left, right, found = converge(linear_map, kernel, start, 50, 1e-7)
            assert float(found) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-5)
            moved = array(linear_map.apply(kernel, right))
            np.testing.assert_allclose(moved, float(found) * array(left), atol=1e-4)
            assert np.linalg.norm(array(right)) == pytest.approx(1.0, abs=1e-5)
