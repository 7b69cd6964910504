"""What every exported loss must do in a stock Keras model: one row of settings runs all of it."""

import functools
import json
import re

import keras
import numpy as np
import pytest

from tfphen import losses


def make(name, row, /, **settings):
    return getattr(losses, name)(**{**row["settings"], **settings})


def examples(row, count=16):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(count, 4)).astype("float32")
    labels = row.get("labels", lambda generator, count: generator.integers(0, 3, count))
    return inputs, labels(generator, count)


def predictions(row, count=16):
    generator = np.random.default_rng(1)
    draw = row.get("predictions", lambda generator, count: generator.normal(size=(count, 3)))
    return draw(generator, count).astype("float32")


def build(row):
    start = keras.initializers.GlorotUniform(seed=1)
    last = keras.layers.Dense(row.get("outputs", 3), kernel_initializer=start)
    return keras.Sequential([keras.Input((4,)), last])


def train(name, row):
    inputs, labels = examples(row)
    model = build(row)
    model.compile(keras.optimizers.SGD(0.05), make(name, row), jit_compile=False)
    history = model.fit(inputs, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    return model


def train_together(rows, jit=False):
    """Trains a head for each row in one program. Returns {name: the head's weights}.

    Heads share only their inputs, so each one trains as a model of its own does.
    """
    labels = {name: examples(row)[1] for name, row in rows.items()}
    inputs, _ = examples(next(iter(rows.values())))
    images = keras.Input((4,))
    heads = {}
    for name, row in rows.items():
        start = keras.initializers.GlorotUniform(seed=1)
        last = keras.layers.Dense(row.get("outputs", 3), kernel_initializer=start, name=name)
        heads[name] = last(images)
    model = keras.Model(images, heads)
    made = {name: make(name, row) for name, row in rows.items()}
    model.compile(keras.optimizers.SGD(0.05), made, jit_compile=jit)
    history = model.fit(inputs, labels, batch_size=8, epochs=2, shuffle=False, verbose=0).history
    assert all(np.isfinite(history[f"{name}_loss"]).all() for name in rows)
    return {name: model.get_layer(name) for name in rows}


def for_replicas(row):
    return {**row, "settings": {**row["settings"], **row.get("replicas", {})}}


@pytest.fixture(scope="module")
def compiled(rows):
    """Heads trained with every loss, by the compiler."""
    return train_together(rows["loss"], jit=True)


@pytest.fixture(scope="module")
def replicated(rows, two_replicas):
    """Heads trained with every loss, in two replicas."""
    with two_replicas.scope():
        return train_together({name: for_replicas(row) for name, row in rows["loss"].items()})


@pytest.fixture(scope="module")
def trained(rows):
    """Trains with a row's loss once, without the compiler and in one replica; by loss."""
    return functools.cache(lambda name: train(name, rows["loss"][name]))


def assert_alike(one, other, tolerance=1e-5):
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance, rtol=tolerance)


def test_configuration_survives(loss, rows):
    row = rows["loss"][loss]
    made = make(loss, row, name="mine")
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert again.get_config() == made.get_config() == config
    assert config["name"] == "mine"
    serialized = keras.losses.serialize(made)
    assert serialized["registered_name"] == f"tfphen>{loss}"
    restored = keras.losses.deserialize(serialized)
    _, labels = examples(row)
    expected = float(made(labels, predictions(row)))
    assert float(again(labels, predictions(row))) == expected
    assert float(restored(labels, predictions(row))) == expected


def test_saved_model_has_the_same_loss(loss, rows, trained, tmp_path):
    inputs, labels = examples(rows["loss"][loss])
    model = trained(loss)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.loss) is getattr(losses, loss)
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), np.asarray(model(inputs)))
    expected = model.evaluate(inputs, labels, verbose=0)
    assert loaded.evaluate(inputs, labels, verbose=0) == pytest.approx(expected, rel=1e-6)


def test_fit_with_and_without_compiler(loss, rows, trained, compiled):
    row, plain = rows["loss"][loss], trained(loss)
    assert np.any(plain.get_weights()[0] != build(row).get_weights()[0])
    assert_alike(compiled[loss], plain)


def test_one_replica_equals_two(loss, rows, trained, replicated):
    row = rows["loss"][loss]
    one = train(loss, for_replicas(row)) if "replicas" in row else trained(loss)
    assert_alike(one, replicated[loss])


def test_function_and_class_agree(loss, rows):
    row = rows["loss"][loss]
    _, labels = examples(row)
    each = np.asarray(make(loss, row, reduction=None)(labels, predictions(row)))
    assert each.shape == (16,) and np.ptp(each) > 0
    function = getattr(losses, row["function"])
    direct = np.asarray(function(labels, predictions(row), **row["settings"]))
    np.testing.assert_allclose(direct, each, rtol=1e-6, atol=1e-6)
    weights = np.linspace(0, 1, 16).astype("float32")
    weighted = float(
        make(loss, row, reduction="sum_over_batch_size")(labels, predictions(row), weights)
    )
    assert weighted == pytest.approx(float((each * weights).mean()), rel=1e-5, abs=1e-6)
    members = function(
        np.stack([labels, labels]), np.stack([predictions(row)] * 2), **row["settings"]
    )
    np.testing.assert_allclose(np.asarray(members), [each, each], rtol=1e-5, atol=1e-6)


def test_bfloat16_logits_are_computed_in_float32(loss, rows):
    row = rows["loss"][loss]
    _, labels = examples(row)
    low = keras.ops.cast(predictions(row), "bfloat16")
    function = getattr(losses, row["function"])
    found = function(labels, low, **row["settings"])
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    expected = function(labels, keras.ops.cast(low, "float32"), **row["settings"])
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def test_symbolic_and_eager_calls_agree(loss, rows, tensorflow):
    row = rows["loss"][loss]
    _, labels = examples(row)
    made = make(loss, row)
    traced = tensorflow.function(made)(tensorflow.constant(labels), predictions(row))
    assert float(traced) == pytest.approx(float(made(labels, predictions(row))), rel=1e-5)


def test_wrong_inputs_are_refused(loss, rows):
    row = rows["loss"][loss]
    _, labels = examples(row)
    for settings, text in row["wrong"]:
        with pytest.raises(ValueError, match=re.escape(text)) as raised:
            make(loss, {"settings": {**row["settings"], **settings}})(labels, predictions(row))
        assert "Received" in str(raised.value)
    function = getattr(losses, row["function"])
    broken = predictions(row)
    broken[0, 0] = np.nan
    for wrong_labels, wrong_predictions, text in (
        (labels, broken, "y_pred"),
        (labels + 3, predictions(row), "y_true"),
        (np.eye(3)[np.zeros(16, int)], predictions(row), "y_true"),
    ):
        for call in (make(loss, row), lambda *pair: function(*pair, **row["settings"])):
            with pytest.raises(ValueError, match=text) as raised:
                call(wrong_labels, wrong_predictions)
            assert "Received" in str(raised.value)
