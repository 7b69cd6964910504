"""What every exported optimizer and schedule must do in a stock Keras model."""

import functools
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


@pytest.fixture(scope="module")
def trained(rows):
    """Trains once, without the compiler and in one replica; by optimizer."""
    return functools.cache(lambda name: fit(make("optimizer", name, rows)))


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


def test_fit_with_and_without_compiler(optimizer, rows, trained):
    assert_alike(fit(make("optimizer", optimizer, rows), jit=True), trained(optimizer))


def test_one_replica_equals_two(optimizer, rows, trained, two_replicas):
    with two_replicas.scope():
        two = fit(make("optimizer", optimizer, rows))
    assert_alike(trained(optimizer), two)


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
