"""The cosine head: its formula, invariances, gradients at zero, settings and precision."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers.normalized_dense import NormalizedDense, UnitColumns, normalized_dense


def examples():
    generator = np.random.default_rng(0)
    return generator.normal(size=(6, 5)), generator.normal(size=(5, 3)), generator.normal(size=3)


def cosines(h, w, normalize_features=True):
    w = w / np.linalg.norm(w, axis=0)
    return (h / np.linalg.norm(h, axis=1, keepdims=True) if normalize_features else h) @ w


@pytest.mark.parametrize("normalize_features", [True, False])
def test_formula(normalize_features):
    h, w, b = examples()
    expected = 20.0 * (cosines(h, w, normalize_features) + b)
    single = [a.astype("float32") for a in (h, w, b)]
    found = normalized_dense(*single, scale=20.0, normalize_features=normalize_features)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    low = normalized_dense(
        *(ops.cast(a, "bfloat16") for a in single), 20.0, normalize_features=normalize_features
    )
    assert keras.backend.standardize_dtype(low.dtype) == "bfloat16"
    np.testing.assert_allclose(ops.cast(low, "float32"), expected, atol=0.02 * abs(expected).max())
    layer = NormalizedDense(3, 20.0, True, normalize_features)
    layer.build((None, 5))
    layer.set_weights(single[1:])
    np.testing.assert_array_equal(layer(single[0]), found)
    sequence = layer(np.stack([single[0]] * 2))
    assert sequence.shape == (2, 6, 3)
    np.testing.assert_allclose(sequence[1], found, atol=1e-5)


def test_scaling_features_or_columns_changes_nothing():
    h, w, _ = (a.astype("float32") for a in examples())
    first = np.asarray(normalized_dense(h, w))
    assert np.abs(first).max() <= 1 + 1e-6
    np.testing.assert_allclose(normalized_dense(7 * h, w), first, atol=1e-6)
    np.testing.assert_allclose(normalized_dense(h, w * [1e-3, 1, 1e4]), first, atol=1e-6)
    np.testing.assert_allclose(np.diagonal(normalized_dense(w.T, w)), 1.0, atol=1e-6)
    free = np.asarray(normalized_dense(h, w, normalize_features=False))
    np.testing.assert_allclose(
        normalized_dense(7 * h, w, normalize_features=False), 7 * free, rtol=1e-5, atol=1e-5
    )


def test_gradients(tensorflow):
    h, w, b = examples()
    weight = np.random.default_rng(1).normal(size=(6, 3))
    tensors = [tensorflow.constant(a) for a in (h, w)]
    with tensorflow.GradientTape() as tape:
        tape.watch(tensors)
        total = tensorflow.reduce_sum(weight * normalized_dense(*tensors, b, 4.0))
    for number, found in enumerate(tape.gradient(total, tensors)):
        for index in ((0, 0), (4, 2)):
            values = []
            for sign in (1, -1):
                moved = [h.copy(), w.copy()]
                moved[number][index] += sign * 1e-6
                values.append((weight * 4.0 * (cosines(*moved) + b)).sum())
            slope = (values[0] - values[1]) / 2e-6
            assert float(found[index]) == pytest.approx(slope, abs=1e-6)


def test_zero_features_give_the_bias_and_no_gradient(tensorflow):
    _, w, b = (a.astype("float32") for a in examples())
    zeros = tensorflow.zeros((2, 5))
    kernel = tensorflow.constant(np.where(np.arange(3) == 1, 0, w))
    with tensorflow.GradientTape() as tape:
        tape.watch([zeros, kernel])
        found = normalized_dense(zeros, kernel, b, 3.0)
        total = tensorflow.reduce_sum(found**2)
    np.testing.assert_allclose(found, np.stack([3 * b, 3 * b]), rtol=1e-6)
    for gradient in tape.gradient(total, [zeros, kernel]):
        np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


def test_columns_start_with_length_one():
    layer = NormalizedDense(4, seed=3)
    layer.build((None, 50))
    kernel = np.asarray(layer.kernel)
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1.0, atol=1e-6)
    again = NormalizedDense(4, seed=3)
    again.build((None, 50))
    np.testing.assert_array_equal(again.kernel, kernel)
    np.testing.assert_array_equal(UnitColumns(3)((50, 4)), kernel)
    assert np.any(np.asarray(UnitColumns(4)((50, 4))) != kernel)
    # Uniform before: the largest entry is near its bound, sqrt(3 / 50), and not far beyond.
    assert 0.9 < np.abs(kernel).max() / np.sqrt(3 / 50) < 1.4


def test_configuration_and_the_settings_of_dense():
    layer = NormalizedDense(
        3,
        scale=20.0,
        use_bias=True,
        normalize_features=False,
        kernel_initializer="he_normal",
        bias_initializer=keras.initializers.Constant(0.5),
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_regularizer="l1",
        activity_regularizer="l2",
        kernel_constraint=keras.constraints.MaxNorm(0.5),
        bias_constraint="non_neg",
        name="head",
    )
    config = json.loads(json.dumps(layer.get_config()))
    again = NormalizedDense.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    outputs = again(np.ones((2, 4), "float32"))
    kernel = np.asarray(again.kernel)
    np.testing.assert_allclose(again.bias, 0.5)
    # L2 of the kernel, L1 (0.01) of the bias, L2 (0.01) of the outputs over the batch.
    expected = [0.1 * (kernel**2).sum(), 0.015, 0.01 * (np.asarray(outputs) ** 2).sum() / 2]
    assert sorted(map(float, again.losses)) == pytest.approx(sorted(expected), rel=1e-4)
    assert again.bias.constraint is not None and again.kernel.constraint.max_value == 0.5
    assert again.compute_output_shape((None, 7, 4)) == (None, 7, 3)
    default = NormalizedDense(3, seed=2).get_config()
    assert default["kernel_initializer"]["registered_name"] == "tfphen>UnitColumns"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"units": 0}, "units"),
        ({"units": 2.0}, "units"),
        ({"units": True}, "units"),
        ({"units": 3, "scale": 0.0}, "scale"),
        ({"units": 3, "scale": float("inf")}, "scale"),
        ({"units": 3, "scale": float("nan")}, "scale"),
        ({"units": 3, "scale": "20"}, "scale"),
    ],
)
def test_wrong_settings(settings, name):
    with pytest.raises(ValueError, match=rf"`{name}` must be.*Received: {name}="):
        NormalizedDense(**settings)
