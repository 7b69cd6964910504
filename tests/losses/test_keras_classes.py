"""Every loss class: stock Keras in training, saving and configuration."""

import json

import keras
import numpy as np
import pytest

from tfphen import losses
from tfphen.data import transition_matrix
from tfphen.errors import UsageError

MATRIX = transition_matrix("wrong", 0.3, 3).tolist()
SETTINGS = {
    "backward_corrected_crossentropy": {"transition_matrix": MATRIX, "clip": False},
    "bootstrap_hard_crossentropy": {"beta": 0.7},
    "bootstrap_soft_crossentropy": {"beta": 0.6},
    "forward_corrected_crossentropy": {"transition_matrix": MATRIX},
}


def make(which, /, **settings):
    return losses.LOSSES[which](**{**SETTINGS.get(which, {}), **settings})


def examples(count=16):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(count, 4)).astype("float32")
    return inputs, generator.integers(0, 3, count)


def build():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
        ]
    )


@pytest.mark.parametrize("name", losses.LOSSES)
def test_configuration_survives(name):
    loss = make(name, reduction="sum", name="mine")
    config = json.loads(json.dumps(loss.get_config()))
    again = type(loss).from_config(config)
    assert again.get_config() == loss.get_config() == config
    assert config["name"] == "mine" and config["reduction"] == "sum"
    serialized = keras.losses.serialize(loss)
    assert serialized["registered_name"] == f"tfphen>{type(loss).__name__}"
    restored = keras.losses.deserialize(serialized)
    inputs, labels = examples()
    predictions = build()(inputs)
    expected = float(loss(labels, predictions))
    assert float(again(labels, predictions)) == float(restored(labels, predictions)) == expected


@pytest.mark.parametrize("name", losses.LOSSES)
def test_saved_model_gives_the_same_outputs_and_loss(name, tmp_path):
    inputs, labels = examples()
    model = build()
    model.compile(keras.optimizers.SGD(0.1), make(name), jit_compile=False)
    model.fit(inputs, labels, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is losses.LOSSES[name]
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), np.asarray(model(inputs)))
    found = loaded.evaluate(inputs, labels, verbose=0)
    assert found == pytest.approx(model.evaluate(inputs, labels, verbose=0), abs=1e-7)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_step_of_fit_with_and_without_compiler(name):
    inputs, labels = examples()
    results = []
    for compiled in (True, False):
        model = build()
        model.compile(keras.optimizers.SGD(0.1), make(name), jit_compile=compiled)
        before = model.get_weights()
        history = model.fit(inputs, labels[:, None], batch_size=16, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
        assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_reduction_weights_and_function(name):
    inputs, labels = examples()
    predictions = np.asarray(build()(inputs))
    each = np.asarray(make(name, reduction=None)(labels, predictions))
    assert each.shape == labels.shape
    weights = np.linspace(0, 1, len(labels)).astype("float32")
    weighted = float(make(name)(labels, predictions, sample_weight=weights))
    assert weighted == pytest.approx(float((each * weights).mean()), abs=1e-6)
    function = getattr(losses, name)
    direct = function(labels, predictions, **SETTINGS.get(name, {}))
    np.testing.assert_allclose(direct, each, atol=1e-6)


def test_get_by_either_name():
    assert losses.get("ramp_loss") is losses.get("RampLoss") is losses.RampLoss
    with pytest.raises(UsageError, match="Did you mean 'savage_loss'"):
        losses.get("savage_los")
