"""Every model has its published size, gives logits, and is built without a global generator."""

import ast
import math
import random
from pathlib import Path

import keras
import numpy as np
import pytest

import tfphen
from tfphen import models
from tfphen.errors import UsageError
from tfphen.train.initial_weights import initial_weights

# A small instance of each model: input shape and settings.
SMALL = {
    "convnet": ((8, 8, 3), {"width": 2}),
    "lenet5": ((12, 12), {}),
    "linear": ((4, 3), {"l2": 0.01}),
    "mlp": ((12,), {"hidden_units": (8, 8), "skip": True, "dropout": 0.5}),
    "mnist1d_cnn": ((40,), {"channels": 3}),
    "random_fourier_features": ((5,), {"num_features": 7}),
    "resnet18": ((8, 8, 1), {"width": 2}),
}


def small(name, **settings):
    shape, own = SMALL[name]
    return models.get(name)(shape, 4, **{**own, **settings})


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_variables)


def inputs_of(model, count=6, seed=0):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_all_models_are_covered_here():
    assert set(SMALL) == set(models.MODELS)


@pytest.mark.parametrize("width", [1, 10, 64])
def test_sizes_of_the_double_descent_networks(width):
    plain = models.convnet((32, 32, 3), 10, width=width)
    assert trainable(plain) == 378 * width**2 + 152 * width + 10
    residual = models.resnet18((32, 32, 3), 10, width=width)
    assert trainable(residual) == 2724 * width**2 + 213 * width + 10
    if width == 64:
        assert trainable(residual) == 11_171_146 and trainable(plain) == 1_558_026


def test_sizes_of_the_small_networks():
    assert models.linear((40,), 10).count_params() == 410
    assert models.linear((40,), 10, use_bias=False).count_params() == 400
    assert models.mlp((40,), 10, hidden_units=(100, 100), skip=True).count_params() == 15_210
    assert models.mlp((28, 28), 10, hidden_units=(128, 128)).count_params() == 118_282
    assert models.mnist1d_cnn((40,), 10).count_params() == 5_210
    assert models.lenet5((28, 28, 1), 10).count_params() == 61_706
    assert models.lenet5((32, 32, 1), 10).count_params() == 61_706
    assert models.mnist1d_cnn((40,), 10).get_layer("features").output.shape == (None, 125)


@pytest.mark.parametrize("defaults", ["keras", "torch"])
@pytest.mark.parametrize("name", SMALL)
def test_building_touches_no_global_generator(name, defaults):
    before = random.getstate(), np.random.get_state()[1].tolist()
    first = small(name, defaults=defaults)
    copy = keras.models.clone_model(first)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
    second, third = small(name, defaults=defaults), small(name, defaults=defaults, seed=1)
    for mine, same in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, same)
    kernels = [w for w in first.weights if "kernel" in w.name and w.path != "readout/kernel"]
    others = {w.path: np.asarray(w.value) for w in third.weights}
    assert all(np.any(np.asarray(w.value) != others[w.path]) for w in kernels)
    assert copy.count_params() == first.count_params()


@pytest.mark.parametrize("name", SMALL)
def test_no_two_kernels_of_one_shape_start_alike(name):
    seen = set()
    for weight in small(name, defaults="torch").weights:
        values = np.asarray(weight.value)
        if np.ptp(values) > 0:
            assert values.tobytes() not in seen
            seen.add(values.tobytes())


@pytest.mark.parametrize("name", SMALL)
def test_logits_features_and_saving(name, tmp_path):
    model = small(name)
    inputs = inputs_of(model)
    outputs = np.asarray(model(inputs))
    assert outputs.shape == (6, 4) and model.name == name
    last = model.get_layer("readout" if name == "random_fourier_features" else "logits")
    features = keras.Model(model.input, model.get_layer("features").output)(inputs)
    assert last is model.layers[-1] and len(features.shape) == 2
    if name != "random_fourier_features":
        rebuilt = np.asarray(features) @ np.asarray(last.kernel) + np.asarray(last.bias)
        np.testing.assert_allclose(rebuilt, outputs, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), outputs)


def test_torch_defaults():
    model = models.convnet((8, 8, 3), 5, width=16, defaults="torch")
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            bound = 1 / math.sqrt(math.prod(layer.kernel.shape[:-1]))
            for weight in (layer.kernel, layer.bias):
                values = np.asarray(weight.value)
                assert np.abs(values).max() <= bound
                assert np.abs(values).max() > bound * (0.99 if values.size > 400 else 0.6)
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.9, 1e-5)
    kept = models.mlp((12,), 3, kernel_initializer="glorot_uniform", defaults="torch")
    assert isinstance(kept.layers[1].kernel_initializer, keras.initializers.GlorotUniform)


def test_keras_defaults():
    model = models.convnet((8, 8, 3), 5, width=4)
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
            assert np.all(np.asarray(layer.bias) == 0)
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.momentum, layer.epsilon) == (0.99, 1e-3)


@pytest.mark.parametrize("defaults", ["keras", "torch"])
@pytest.mark.parametrize("name", SMALL)
def test_initial_weights_of_a_member_have_the_spread_of_the_model(name, defaults):
    model = small(name, defaults=defaults)
    drawn = initial_weights(model, 3)
    for weight, values in zip(model.weights, drawn, strict=True):
        mine = np.asarray(weight.value)
        assert values.shape == mine.shape
        assert (np.ptp(values) > 0) == (np.ptp(mine) > 0)
        if mine.size > 100 and np.ptp(mine) > 0:
            assert abs(values.std() / mine.std() - 1) < 0.25
            assert np.any(values != mine)


def test_initializers_by_name_mapping_and_object():
    he = models.mlp((50,), 2, hidden_units=[400], kernel_initializer="he_normal")
    assert abs(np.asarray(he.layers[1].kernel).std() - math.sqrt(2 / 50)) < 0.01
    given = {"name": "random_normal", "stddev": 0.5}
    normal = models.linear((50,), 200, kernel_initializer=given)
    assert abs(np.asarray(normal.layers[-1].kernel).std() - 0.5) < 0.02
    shared = keras.initializers.RandomNormal(stddev=0.5, seed=7)
    pair = models.mlp((20,), 20, hidden_units=[20], kernel_initializer=shared)
    first, second = (np.asarray(w.value) for w in pair.weights if "kernel" in w.name)
    assert np.any(first != second) and abs(first.std() - 0.5) < 0.1
    zeros = models.linear((5,), 2, kernel_initializer="zeros")
    assert not np.any(zeros.get_weights()[0])


def test_mlp_with_skip_is_the_published_equation():
    model = models.mlp((40,), 10, hidden_units=(6, 6), skip=True, defaults="torch")
    x = inputs_of(model)
    w1, b1, w2, b2, w3, b3 = model.get_weights()
    hidden = np.maximum(x @ w1 + b1, 0)
    hidden = hidden + np.maximum(hidden @ w2 + b2, 0)
    np.testing.assert_allclose(np.asarray(model(x)), hidden @ w3 + b3, atol=1e-5)


def test_convolutions_start_one_step_before_the_sequence():
    model = models.mnist1d_cnn((40,), 10, channels=2, defaults="torch")
    x = inputs_of(model)
    kernel, bias = model.get_weights()[:2]
    padded = np.pad(x, ((0, 0), (1, 1)))
    expected = np.stack(
        [padded[:, 2 * i : 2 * i + 5] @ kernel[:, 0] + bias for i in range(19)], axis=1
    )
    found = keras.Model(model.input, model.get_layer("conv_1").output)(x)
    np.testing.assert_allclose(np.asarray(found), np.maximum(expected, 0), atol=1e-5)


def test_random_fourier_features():
    model = models.random_fourier_features((3,), 4, num_features=20_000, scale=0.7)
    assert [w.path for w in model.trainable_variables] == ["readout/kernel"]
    assert not np.any(np.asarray(model.trainable_variables[0]))
    x = inputs_of(model)
    kernel, bias = model.get_layer("projection").get_weights()
    features = np.asarray(keras.Model(model.input, model.get_layer("features").output)(x))
    np.testing.assert_allclose(
        features, math.sqrt(2 / 20_000) * np.cos(x @ kernel + bias), atol=1e-6
    )
    assert abs(kernel.std() - 0.7) < 0.01
    assert 0 <= bias.min() < 0.01 and 6.27 < bias.max() <= 2 * math.pi
    squares = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.testing.assert_allclose(features @ features.T, np.exp(-0.49 * squares / 2), atol=0.03)


def test_linear_penalty_has_no_half():
    model = models.linear((5,), 3, l2=0.1)
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(float(model.losses[0]), 0.1 * (kernel**2).sum(), rtol=1e-6)
    assert not models.linear((5,), 3).losses


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.get("mpl"), "Did you mean 'mlp'"),
        (lambda: models.mlp((4,), 2, defaults="pytorch"), "Did you mean 'torch'"),
        (lambda: models.mlp((4,), 2, hidden_units=(3, 4), skip=True), "one width"),
        (lambda: models.mlp((4,), 2, hidden_units=3), "list of widths"),
        (lambda: models.mlp((4,), 2, activation="rleu"), "activation"),
        (lambda: models.mlp((4,), 2, kernel_initializer="he_norma"), "Did you mean 'he_normal'"),
        (lambda: models.mlp((4,), 2, kernel_initializer={"stddev": 1.0}), "its name"),
        (
            lambda: models.mlp((4,), 2, kernel_initializer={"name": "zeros", "stddev": 1.0}),
            "stddev",
        ),
        (
            lambda: models.mlp((4,), 2, kernel_initializer={"name": "he_normal", "seed": 1}),
            "no seed of its own",
        ),
        (lambda: models.linear((4,), 2, l2=-1.0), "negative"),
        (lambda: models.mnist1d_cnn((4,), 2), "at least 8"),
        (lambda: models.lenet5((8, 8), 2), "12 by 12"),
        (lambda: models.lenet5((64,), 2), "takes images"),
        (lambda: models.lenet5((28, 28), 2, pooling="sum"), "pooling"),
        (lambda: models.convnet((7, 7), 2), "8 by 8"),
        (lambda: models.random_fourier_features((4,), 2, num_features=0), "num_features"),
    ],
)
def test_errors_say_what_is_allowed(build, message):
    with pytest.raises(UsageError, match=message) as caught:
        build()
    assert "Received" in str(caught.value) or "Allowed" in str(caught.value)


def test_the_library_imports_no_tensorflow():
    root = Path(tfphen.__file__).parent
    for package in ("layers", "losses", "metrics", "models"):
        for path in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                assert not [n for n in names if n.split(".")[0] == "tensorflow"], path
