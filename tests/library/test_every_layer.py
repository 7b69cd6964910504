"""What every exported layer must do in a stock Keras model: one row of settings runs all of it."""

import functools
import json
import re

import keras
import numpy as np
import pytest

from tfphen import layers


def build(row, make=None):
    """A model that ends in three logits, with the row's layer in it."""
    if "model" in row and make is None:
        return row["model"]()
    layer = (make or row["make"])()
    if isinstance(layer, keras.Model):
        return layer
    start = keras.initializers.GlorotUniform(seed=1)
    inputs = keras.Input(row["input_shape"])
    features = keras.layers.Flatten()(layer(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=start)(features))


def examples(row, count=16):
    generator = np.random.default_rng(0)
    shape = row.get("input_shape") or build(row).input_shape[1:]
    inputs = generator.normal(size=(count, *shape)).astype("float32")
    return inputs, generator.integers(0, 3, count)


def train(model, row, jit=False):
    inputs, labels = examples(row)
    model.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    history = model.fit(inputs, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    return model


@pytest.fixture(scope="module")
def trained(rows):
    """Trains the model of a row once, without the compiler and in one replica; by layer."""
    return functools.cache(lambda name: train(build(rows["layer"][name]), rows["layer"][name]))


def values(model):
    """Every weight as an array, generators' states left out: they are integers of no meaning."""
    found = [np.asarray(weight) for weight in model.weights]
    return [value for value in found if value.dtype.kind == "f" or value.dtype.name == "bfloat16"]


def assert_alike(one, other, tolerance=1e-5):
    for left, right in zip(values(one), values(other), strict=True):
        scale = max(1.0, float(np.max(np.abs(left), initial=0.0)))
        np.testing.assert_allclose(left, right, atol=tolerance * scale, rtol=0)


def test_configuration_survives(layer, rows):
    made = rows["layer"][layer]["make"]()
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    cls = getattr(layers, layer)
    assert keras.saving.get_registered_name(cls) == f"tfphen>{layer}"


def test_saved_model_gives_the_same_outputs(layer, rows, trained, tmp_path):
    row, model = rows["layer"][layer], trained(layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    inputs, _ = examples(row)
    expected = model.predict(inputs, verbose=0)
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(loaded.predict(inputs, verbose=0), expected)
    assert_alike(loaded, model, 0.0)


def test_fit_with_and_without_compiler(layer, rows, trained):
    row, plain = rows["layer"][layer], trained(layer)
    compiled = train(build(row), row, jit=True)
    fresh = build(row)
    assert any(np.any(a != b) for a, b in zip(values(fresh), values(plain), strict=True))
    if not row.get("stochastic"):
        assert_alike(compiled, plain)


def test_mixed_bfloat16(layer, rows, mixed_bfloat16):
    row = rows["layer"][layer]
    low = build(row)
    assert low.compute_dtype == "bfloat16"
    keras.config.set_dtype_policy("float32")
    high = build(row)
    weights = high.get_weights()
    low.set_weights(weights)
    inputs, _ = examples(row)
    expected = high.predict(inputs, verbose=0)
    found = low.predict(inputs, verbose=0).astype("float32")
    tolerance = row.get("bfloat16_tolerance", 0.05) * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)
    train(low, row)
    assert {str(weight.dtype) for weight in low.trainable_weights} <= {"float32"}


def test_symbolic_and_eager_calls_agree(layer, rows):
    row = rows["layer"][layer]
    made = row["make"]()
    inputs, _ = examples(row)
    symbolic = made(keras.Input(row["input_shape"])) if "input_shape" in row else made.output
    eager = made(inputs, training=False) if "input_shape" in row else made(inputs)
    assert tuple(symbolic.shape[1:]) == tuple(eager.shape[1:])
    assert keras.backend.standardize_dtype(symbolic.dtype) == keras.backend.standardize_dtype(
        eager.dtype
    )
    expected = made.compute_output_shape((len(inputs), *inputs.shape[1:]))
    assert tuple(expected) == tuple(eager.shape)


def test_one_replica_equals_two(layer, rows, trained, two_replicas):
    row = rows["layer"][layer]
    other = row.get("replicas")
    one = train(build(row, other), row) if other else trained(layer)
    with two_replicas.scope():
        two = train(build(row, other), row)
    assert_alike(one, two)


def test_wrong_settings_are_refused(layer, rows):
    for call, text in rows["layer"][layer]["wrong"]:
        with pytest.raises(ValueError, match=re.escape(text)) as raised:
            call()
        assert "Received" in str(raised.value)


def test_a_callback_runs_in_fit(callback, rows):
    row = rows["callback"][callback]
    made = row["make"]()
    assert isinstance(made, keras.callbacks.Callback)
    model = row["model"]()
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(16, *model.input_shape[1:]))
    model.fit(inputs, generator.integers(0, 3, 16), epochs=2, callbacks=[made], verbose=0)
    for call, text in row.get("wrong", []):
        with pytest.raises(ValueError, match=re.escape(text)) as raised:
            call()
        assert "Received" in str(raised.value)
