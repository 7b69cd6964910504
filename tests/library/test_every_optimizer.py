"""What every exported optimizer and schedule must do in a stock Keras model."""

import contextlib
import json
import re

import keras
import numpy as np
import pytest

from tfphen import optimizers


def make(kind, name, rows):
    return getattr(optimizers, name)(**rows[kind][name]["settings"])


def fit(optimizer, jit=False, epochs=2, model=None):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(16, 4)).astype("float32")
    labels = generator.integers(0, 3, 16)
    if model is None:
        start = keras.initializers.GlorotUniform(seed=1)
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=start)]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, jit_compile=jit)
    model.fit(inputs, labels, batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return model


def assert_alike(one, other, tolerance=1e-5):
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance, rtol=tolerance)


def assert_configuration_survives(made, name):
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert again.get_config() == made.get_config()
    cls = getattr(optimizers, name)
    assert keras.saving.get_registered_name(cls) == f"tfphen>{name}"


def test_an_optimizers_configuration_survives(optimizer, rows):
    assert_configuration_survives(make("optimizer", optimizer, rows), optimizer)


def test_a_saved_optimizer_goes_on_as_if_nothing_happened(optimizer, rows, tmp_path):
    model = fit(make("optimizer", optimizer, rows))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_alike(fit(None, model=loaded), fit(None, model=model), 1e-7)


def test_fit_with_and_without_compiler(optimizer, rows):
    compiled, plain = (fit(make("optimizer", optimizer, rows), jit) for jit in (True, False))
    assert_alike(compiled, plain)


def test_one_replica_equals_two(optimizer, rows, two_replicas):
    trained = []
    for scope in (contextlib.nullcontext(), two_replicas.scope()):
        with scope:
            trained.append(fit(make("optimizer", optimizer, rows)))
    assert_alike(*trained)


def test_a_schedules_configuration_survives(schedule, rows):
    assert_configuration_survives(make("schedule", schedule, rows), schedule)


def test_a_schedule_is_the_same_traced_and_in_fit(schedule, rows, tensorflow):
    made = make("schedule", schedule, rows)
    traced = tensorflow.function(made)
    steps = [0, 1, 2, 3, 7, 50, 1000]
    eager = [float(made(step)) for step in steps]
    assert np.isfinite(eager).all() and min(eager) >= 0
    found = [float(traced(tensorflow.constant(step))) for step in steps]
    np.testing.assert_allclose(found, eager, rtol=1e-6)
    model = fit(keras.optimizers.SGD(made), epochs=1)
    assert float(model.optimizer.learning_rate) == pytest.approx(float(made(2)), rel=1e-6)


@pytest.mark.parametrize("kind", ["optimizer", "schedule"])
def test_wrong_settings_are_refused(kind, rows):
    for name, row in rows[kind].items():
        for settings, text in row["wrong"]:
            with pytest.raises(ValueError, match=re.escape(text)) as raised:
                getattr(optimizers, name)(**{**row["settings"], **settings})
            assert "Received" in str(raised.value)
