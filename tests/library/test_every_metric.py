"""What every exported metric must do, as a function and in a stock Keras model."""

import functools
import json
import re

import keras
import numpy as np
import pytest

from tfphen import metrics


def make(name, row, /, **settings):
    return getattr(metrics, name)(**{**row["settings"], **settings})


def examples(row, count=48):
    generator = np.random.default_rng(0)
    draw = row.get("labels", lambda generator, count: generator.integers(0, 3, count))
    labels = draw(generator, count)
    draw = row.get("predictions", lambda generator, count: generator.normal(size=(count, 3)))
    return labels, draw(generator, count).astype("float32")


def numbers(result):
    """The numbers in a result, which may be one, an array or a dataclass of them."""
    if hasattr(result, "__dataclass_fields__"):
        result = [getattr(result, name) for name in result.__dataclass_fields__]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return np.concatenate([numbers(value) for value in result])
    if isinstance(result, str) or result is None or callable(result):
        return np.zeros(0)
    return np.ravel(np.asarray(result, "float64"))


@pytest.mark.parametrize("form", ["list", "tensor"])
def test_a_function_takes_arrays_lists_and_tensors(metric, rows, form):
    row = rows["metric"][metric]
    arguments = row["arguments"](np.random.default_rng(0))
    function = getattr(metrics, metric)
    expected = numbers(function(*arguments, **row.get("settings", {})))
    assert expected.size and np.isfinite(expected).all()
    change = (
        (lambda value: value.tolist())
        if form == "list"
        else lambda value: keras.ops.convert_to_tensor(value)
    )
    changed = [change(v) if isinstance(v, np.ndarray) else v for v in arguments]
    found = numbers(function(*changed, **row.get("settings", {})))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_a_function_refuses_wrong_inputs(metric, rows):
    row = rows["metric"][metric]
    assert row["wrong"], "a row says what the function refuses"
    for arguments, settings, text in row["wrong"]:
        # Models are made here, not where rows are read: there is no device yet.
        made = [part() if isinstance(part, functools.partial) else part for part in arguments]
        with pytest.raises(ValueError, match=re.escape(text)) as raised:
            getattr(metrics, metric)(*made, **settings)
        assert "Received" in str(raised.value)


def test_configuration_survives(metric_class, rows):
    row = rows["metric_class"][metric_class]
    made = make(metric_class, row, name="mine")
    config = json.loads(json.dumps(made.get_config()))
    again = type(made).from_config(config)
    assert again.get_config() == made.get_config() == config
    assert config["name"] == "mine"
    cls = getattr(metrics, metric_class)
    assert keras.saving.get_registered_name(cls) == f"tfphen>{metric_class}"


def test_batches_give_what_all_examples_give(metric_class, rows):
    row = rows["metric_class"][metric_class]
    labels, predictions = examples(row)
    made, whole = make(metric_class, row), make(metric_class, row)
    for part in np.array_split(np.arange(len(labels)), 5):
        made.update_state(labels[part], predictions[part])
    whole.update_state(labels, predictions)
    found = np.asarray(made.result())
    np.testing.assert_allclose(found, np.asarray(whole.result()), rtol=1e-5)
    if row.get("function"):
        settings = row.get("function_settings", row["settings"])
        direct = getattr(metrics, row["function"])(labels, predictions, **settings)
        np.testing.assert_allclose(found, direct, rtol=1e-5, atol=1e-6)
    made.reset_state()
    made.update_state(labels[:8], predictions[:8])
    again = make(metric_class, row)
    again.update_state(labels[:8], predictions[:8])
    np.testing.assert_array_equal(np.asarray(made.result()), np.asarray(again.result()))


def build():
    start = keras.initializers.GlorotUniform(seed=1)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=start)])


def evaluate(rows, jit=False):
    """Fits and evaluates with the metrics of some rows. Returns the model and {name: value}."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(16, 4)).astype("float32")
    labels = generator.integers(0, 3, 16)
    model = build()
    model.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[make(name, row, name=name) for name, row in rows.items()],
        jit_compile=jit,
    )
    history = model.fit(inputs, labels, batch_size=8, epochs=1, shuffle=False, verbose=0)
    assert all(np.isfinite(history.history[name]).all() for name in rows)
    return model, model.evaluate(inputs, labels, batch_size=8, verbose=0, return_dict=True)


@pytest.fixture(scope="module")
def evaluated(rows):
    """Fits and evaluates once, without the compiler and in one replica; by metric."""
    return functools.cache(lambda name: evaluate({name: rows["metric_class"][name]}))


@pytest.fixture(scope="module")
def compiled(rows):
    """What every metric says in one model, fitted by the compiler."""
    return evaluate(rows["metric_class"], jit=True)[1]


@pytest.fixture(scope="module")
def replicated(rows, two_replicas):
    """What every metric says in one model, fitted in two replicas."""
    with two_replicas.scope():
        return evaluate(rows["metric_class"])[1]


def test_fit_with_and_without_compiler_and_a_saved_model(
    metric_class, evaluated, compiled, tmp_path
):
    model, values = evaluated(metric_class)
    plain = values[metric_class]
    assert compiled[metric_class] == pytest.approx(plain, rel=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(16, 4)).astype("float32")
    found = loaded.evaluate(
        inputs, generator.integers(0, 3, 16), batch_size=8, verbose=0, return_dict=True
    )
    assert found[metric_class] == pytest.approx(plain, rel=1e-6)


def test_one_replica_equals_two(metric_class, evaluated, replicated):
    _, one = evaluated(metric_class)
    assert one[metric_class] == pytest.approx(replicated[metric_class], rel=1e-5)


def test_wrong_settings_are_refused(metric_class, rows):
    row = rows["metric_class"][metric_class]
    for settings, text in row["wrong"]:
        with pytest.raises(ValueError, match=re.escape(text)) as raised:
            make(metric_class, row, **settings)
        assert "Received" in str(raised.value)
