"""Every model gives logits, keeps its promises when saved, and touches no global generator."""

import ast
import functools
import math
import random
from pathlib import Path

import keras
import numpy as np
import pytest

import tfphen
from tfphen import models
from tfphen.models.convolutional import convnet, lenet5, mnist1d_cnn
from tfphen.models.dense_models import lenet_300_100, linear, mlp, random_fourier_features
from tfphen.models.densenet import densenet
from tfphen.models.recurrent import lstm
from tfphen.models.residual import preact_resnet, resnet18, resnet_cifar
from tfphen.models.square_mlp import square_mlp
from tfphen.models.transformer import transformer
from tfphen.models.vgg import lottery_convnet, vgg
from tfphen.models.wide_resnet import wide_resnet
from tfphen.population.initial_weights import initial_weights

# A small instance of each model: builder, input shape and settings.
SMALL = {
    "convnet": (convnet, (8, 8, 3), {"width": 2}),
    "densenet": (densenet, (8, 8, 3), {"depth": 10, "growth_rate": 2, "dropout": 0.1}),
    "lenet5": (lenet5, (12, 12), {}),
    "lenet_300_100": (lenet_300_100, (4, 4), {}),
    "linear": (linear, (4, 3), {"l2": 0.01}),
    "lottery_convnet": (lottery_convnet, (8, 8), {"width": 2, "dropout": 0.5}),
    "lstm": (lstm, (3,), {"width": 4, "vocabulary_size": 9, "embedding_width": 5}),
    "mlp": (mlp, (12,), {"hidden_units": (8, 8), "skip": True, "dropout": 0.5}),
    "mnist1d_cnn": (mnist1d_cnn, (40,), {"channels": 3}),
    "preact_resnet": (preact_resnet, (8, 8, 3), {"width": 2, "final_norm": True}),
    "random_fourier_features": (random_fourier_features, (5,), {"num_features": 7}),
    "resnet18": (resnet18, (8, 8, 1), {"width": 2}),
    "resnet_cifar": (resnet_cifar, (7, 7), {"depth": 8, "width": 3}),
    "square_mlp": (square_mlp, (10,), {"units": 7}),
    "transformer": (
        transformer,
        (5,),
        {"width": 8, "heads": 2, "vocabulary_size": 9, "dropout": 0.1},
    ),
    "vgg": (vgg, (32, 32, 3), {"depth": 11, "width": 2}),
    "wide_resnet": (wide_resnet, (8, 8, 3), {"depth": 10, "width": 1, "dropout": 0.1}),
}
# Those with batch or layer normalization.
NORMALIZED = {
    *("convnet", "densenet", "preact_resnet", "resnet18", "resnet_cifar", "transformer", "vgg"),
    "wide_resnet",
}


def small(name, **settings):
    build, shape, own = SMALL[name]
    return build(shape, 4, **{**own, **settings})


# For tests that change nothing.
cached = functools.cache(small)


def inputs_of(model, count=6, seed=0):
    shape, generator = (count, *model.input_shape[1:]), np.random.default_rng(seed)
    if model.inputs[0].dtype == "int32":
        return generator.integers(0, 9, shape).astype("int32")
    return generator.normal(size=shape).astype("float32")


def test_all_models_are_covered_here():
    for name, build in models.MODELS.items():
        if build.__module__ != "tfphen.models.sngp":
            assert SMALL[name][0] is build


@pytest.mark.parametrize(
    ("name", "defaults"),
    [*((name, "torch") for name in SMALL), *((n, "keras") for n in ("convnet", "lstm", "mlp"))],
)
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
    for weight in cached(name, defaults="torch").weights:
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
        bias = np.asarray(last.bias) if last.use_bias else 0.0
        rebuilt = np.asarray(features) @ np.asarray(last.kernel) + bias
        np.testing.assert_allclose(rebuilt, outputs, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), outputs)


def test_torch_defaults():
    model = convnet((8, 8, 3), 5, width=16, defaults="torch")
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            bound = 1 / math.sqrt(math.prod(layer.kernel.shape[:-1]))
            for weight in (layer.kernel, layer.bias):
                values = np.asarray(weight.value)
                assert np.abs(values).max() <= bound
                assert np.abs(values).max() > bound * (0.99 if values.size > 400 else 0.6)
    kept = mlp((12,), 3, kernel_initializer="glorot_uniform", defaults="torch")
    assert isinstance(kept.layers[1].kernel_initializer, keras.initializers.GlorotUniform)


def test_keras_defaults():
    model = convnet((8, 8, 3), 5, width=4)
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            assert isinstance(layer.kernel_initializer, keras.initializers.GlorotUniform)
            assert np.all(np.asarray(layer.bias) == 0)


@pytest.mark.parametrize("defaults", ["keras", "torch"])
@pytest.mark.parametrize("name", SMALL)
def test_normalisation_has_the_constants_of_the_library(name, defaults):
    norms = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
    found = [x for x in cached(name, defaults=defaults).layers if isinstance(x, norms)]
    assert bool(found) == (name in NORMALIZED)
    for layer in found:
        assert layer.epsilon == (1e-5 if defaults == "torch" else 1e-3)
        if isinstance(layer, keras.layers.BatchNormalization):
            assert layer.momentum == (0.9 if defaults == "torch" else 0.99)


@pytest.mark.parametrize("defaults", ["keras", "torch"])
@pytest.mark.parametrize("name", SMALL)
def test_initial_weights_of_a_member_have_the_spread_of_the_model(name, defaults):
    model = cached(name, defaults=defaults)
    drawn = initial_weights(model, 3)
    for weight, values in zip(model.weights, drawn, strict=True):
        mine = np.asarray(weight.value)
        assert values.shape == mine.shape
        assert (np.ptp(values) > 0) == (np.ptp(mine) > 0)
        if mine.size > 100 and np.ptp(mine) > 0:
            assert abs(values.std() / mine.std() - 1) < 0.25
            assert np.any(values != mine)


def test_initializers_by_name_mapping_and_object():
    he = mlp((50,), 2, hidden_units=[400], kernel_initializer="he_normal")
    assert abs(np.asarray(he.layers[1].kernel).std() - math.sqrt(2 / 50)) < 0.01
    given = {"name": "random_normal", "stddev": 0.5}
    normal = linear((50,), 200, kernel_initializer=given)
    assert abs(np.asarray(normal.layers[-1].kernel).std() - 0.5) < 0.02
    shared = keras.initializers.RandomNormal(stddev=0.5, seed=7)
    pair = mlp((20,), 20, hidden_units=[20], kernel_initializer=shared)
    first, second = (np.asarray(w.value) for w in pair.weights if "kernel" in w.name)
    assert np.any(first != second) and abs(first.std() - 0.5) < 0.1
    zeros = linear((5,), 2, kernel_initializer="zeros")
    assert not np.any(zeros.get_weights()[0])


def test_the_library_imports_no_tensorflow():
    root = Path(tfphen.__file__).parent
    for package in ("layers", "losses", "metrics", "models", "optimizers"):
        for path in (root / package).rglob("*.py"):
            # These ask for the backend first and import it in a function.
            if path.name in ("replicas.py", "hessian_products.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                assert not [n for n in names if n.split(".")[0] == "tensorflow"], path
