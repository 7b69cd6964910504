"""Manifold mixup under `fit`: seeds, saving, precision, compiler, replicas; places and errors."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers import mixing_points
from tfphen.layers.manifold_mixup import ManifoldMixup
from tfphen.models import mlp, resnet18


def dense(units, name, seed=0, activation="relu"):
    start = keras.initializers.GlorotUniform(seed=seed)
    return keras.layers.Dense(units, activation, kernel_initializer=start, name=name)


def build(normalize=False):
    x = inputs = keras.Input((4,), name="inputs")
    for number in (1, 2):
        x = dense(8, f"hidden_{number}", number)(x)
        if normalize:
            x = keras.layers.BatchNormalization(name=f"norm_{number}")(x)
    return keras.Model(inputs, dense(3, "logits", 3, None)(x))


def examples(count=32):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(count, 4)).astype("float32")
    return inputs, generator.integers(0, 3, count)


def fit(model, count=32, epochs=2, batch_size=8, **settings):
    if not model.compiled:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        settings = {"jit_compile": False, "metrics": ["accuracy"], **settings}
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, **settings)
    inputs, labels = examples(count)
    history = model.fit(
        inputs, labels, epochs=epochs, batch_size=batch_size, shuffle=False, verbose=0
    )
    return history.history["loss"]


def assert_equal_weights(one, other, tolerance=0.0):
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance, rtol=0)


def test_without_mixing_it_is_the_plain_model():
    plain, model = build(True), ManifoldMixup(build(True), alpha=0.0)
    assert fit(plain) == fit(model)
    assert_equal_weights(plain, model)
    inputs, labels = examples()
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), plain(inputs))
    found = model.evaluate(inputs, labels, verbose=0)
    assert found == plain.evaluate(inputs, labels, verbose=0)


def test_a_seed_is_a_seed_and_every_step_draws_anew():
    runs = [ManifoldMixup(build(), seed=seed) for seed in (5, 5, 6)]
    losses = [fit(model) for model in runs]
    assert losses[0] == losses[1] != losses[2]
    assert_equal_weights(runs[0], runs[1])
    inputs, _ = examples()
    outputs = [np.asarray(runs[0](inputs, training=True)) for _ in range(4)]
    assert all(np.abs(one - outputs[0]).max() > 1e-3 for one in outputs[1:])
    np.testing.assert_array_equal(runs[0](inputs), runs[0].model(inputs))


def test_a_saved_model_goes_on_as_the_first(tmp_path):
    model = ManifoldMixup(build(True), layers=["hidden_1", 0], alpha=1.5, seed=7, name="mixed")
    assert model.mixing_layers == [0, "hidden_1"]
    fit(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.mixing_layers == [0, "hidden_1"] and loaded.alpha == 1.5
    assert loaded.name == "mixed" and loaded.seed == 7
    inputs, _ = examples()
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert fit(loaded, epochs=3) == fit(model, epochs=3)
    assert_equal_weights(loaded, model)
    assert_equal_weights(model, model.model)
    config = json.loads(json.dumps(model.get_config()))
    again = ManifoldMixup.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config
    model.save_weights(tmp_path / "mixed.weights.h5")
    again.load_weights(tmp_path / "mixed.weights.h5")
    np.testing.assert_array_equal(again(inputs, training=True), model(inputs, training=True))


def test_compiled_training_learns():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, 240)
    inputs = (4 * np.eye(4)[labels] + generator.normal(size=(240, 4))).astype("float32")
    model = ManifoldMixup(build(), seed=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"], jit_compile=True)
    history = model.fit(inputs, labels, epochs=6, batch_size=40, verbose=0).history
    assert model.evaluate(inputs, labels, verbose=0)[1] > 0.9
    assert 0.5 < history["accuracy"][-1] < model.evaluate(inputs, labels, verbose=0)[1]


def test_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        plain = build()
        model = ManifoldMixup(plain, seed=0)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.compute_dtype == "bfloat16"
    inputs, _ = examples()
    # Inputs reach the first layer as they do in the plain model, not rounded before.
    np.testing.assert_array_equal(
        ops.cast(model(inputs), "float32"), ops.cast(plain(inputs), "float32")
    )
    coefficient = float(model._draw(4)[0])
    assert coefficient == float(ops.cast(ops.cast(coefficient, "bfloat16"), "float32"))
    assert np.isfinite(fit(model)).all()


def test_replicas_with_batches_of_different_size(tensorflow, two_devices):
    reduction = tensorflow.distribute.ReductionToOneDevice()
    strategy = tensorflow.distribute.MirroredStrategy(two_devices, cross_device_ops=reduction)
    with strategy.scope():
        model = ManifoldMixup(build(True), seed=3)
        # The last batch of five gives three examples to one replica and two to the other.
        assert np.isfinite(fit(model, count=21)).all()
    for variable in model.model.trainable_variables:
        copies = [np.asarray(copy) for copy in strategy.experimental_local_results(variable.value)]
        np.testing.assert_array_equal(copies[0], copies[-1])


def residual():
    x = inputs = keras.Input((4,), name="inputs")
    for number in (1, 2, 3):
        inner = dense(4, f"inner_{number}", number)(x)
        x = keras.layers.Add(name=f"sum_{number}")([x, inner])
    return keras.Model(inputs, dense(3, "logits", 4, None)(x))


def nested():
    inputs = keras.Input((4,), name="inputs")
    body = keras.Sequential([keras.Input((4,)), dense(4, "one"), dense(4, "two")], name="body")
    x = dense(4, "last")(body(inputs))
    return keras.Model(inputs, dense(3, "logits", 4, None)(x))


def test_only_outputs_that_nothing_goes_around_can_be_mixed():
    points = {p.path: p for p in mixing_points.mixing_points(residual())}
    assert points["sum_2"].refusal == "" and points["sum_2"].kernels == 2
    assert points["inner_2"].refusal == "a connection goes around it"
    assert points["logits"].refusal == "it is the model's output"
    assert ManifoldMixup(residual()).mixing_layers == [0, "sum_1", "sum_2"]
    with pytest.raises(ValueError, match=r"'inner_2' is not one: a connection.*'sum_1'.*Received"):
        ManifoldMixup(residual(), layers=["sum_1", "inner_2"])


def test_places_in_nested_models(monkeypatch):
    plain = nested()
    model = ManifoldMixup(plain, layers=["body/one", "last"], seed=0)
    assert ManifoldMixup(plain).mixing_layers == [0, "body/one", "body"]
    whole = keras.Sequential([keras.Input((4,)), plain])
    refusals = {
        p.path: p.refusal for p in mixing_points.mixing_points(mixing_points.graph_of(whole))
    }
    assert refusals[f"{plain.name}/logits"] == "it is the model's output"
    assert refusals[f"{plain.name}/body/one"] == ""
    order = np.array([1, 2, 3, 0])
    drawn = ops.array(0.25), 0, ops.array(order, "int32")
    monkeypatch.setattr(model, "_draw", lambda batch_size: drawn)
    inputs, _ = examples(4)
    body = plain.get_layer("body")
    hidden = np.asarray(body.get_layer("one")(inputs))
    hidden = body.get_layer("two")(0.25 * hidden + 0.75 * hidden[order])
    expected = plain.get_layer("logits")(plain.get_layer("last")(hidden))
    np.testing.assert_allclose(model(inputs, training=True), expected, atol=1e-6)


def test_the_automatic_choice():
    assert ManifoldMixup(mlp((40,), 10, hidden_units=(64, 64, 64))).mixing_layers == [
        0,
        "hidden_1",
        "hidden_2",
    ]
    assert ManifoldMixup(mlp((64,), 10, hidden_units=(128, 128))).mixing_layers[:2] == [
        0,
        "hidden_1",
    ]
    stages = ManifoldMixup(resnet18((32, 32, 3), 10, width=2)).mixing_layers
    assert stages[0] == 0 and [name[:15] for name in stages[1:]] == [
        "stage_2_block_1",
        "stage_3_block_1",
    ]
    linear = keras.Sequential([keras.Input((4,)), dense(3, "logits")])
    assert ManifoldMixup(linear).mixing_layers == [0]
    x = inputs = keras.Input((5,), dtype="int32")
    x = keras.layers.Embedding(7, 4, name="embedding")(x)
    x = dense(3, "logits")(dense(8, "hidden")(keras.layers.Flatten(name="flatten")(x)))
    tokens = keras.Model(inputs, x)
    assert 0 not in ManifoldMixup(tokens).mixing_layers
    with pytest.raises(ValueError, match=r"0 is not one: the model's inputs are no floats but int"):
        ManifoldMixup(tokens, layers=[0])


def test_several_inputs_are_mixed_together():
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    model = keras.Model(
        {"first": first, "second": second}, dense(3, "logits")(keras.layers.Add()([first, second]))
    )
    mixed = ManifoldMixup(model, layers=["second"], seed=1)
    assert mixed.mixing_layers == [0]
    values, _ = examples(6)
    found = mixed({"first": values, "second": 2 * values}, training=True)
    coefficient, order = mixed._last.drawn
    total = 3 * values
    total = coefficient * total + (1 - coefficient) * ops.take(total, order, axis=0)
    np.testing.assert_allclose(found, model.get_layer("logits")(total), atol=1e-5)


def wrong_models():
    inputs = keras.Input((4,))
    shared = dense(4, "shared")
    twice = keras.Model(inputs, dense(3, "logits")(shared(shared(inputs))))
    tokens = keras.Input((5,), dtype="int32")
    masked = keras.layers.Embedding(7, 4, mask_zero=True, name="embedding")(tokens)
    masked = keras.Model(tokens, dense(3, "logits")(keras.layers.GlobalAveragePooling1D()(masked)))
    two = keras.Model(inputs, [dense(3, "one")(inputs), dense(3, "two")(inputs)])
    return {"twice": twice, "masked": masked, "two": two, "plain": build()}


@pytest.mark.parametrize(
    ("which", "settings", "text"),
    [
        ("twice", {"layers": ["shared"]}, "it is called 2 times"),
        ("masked", {"layers": ["embedding"]}, "its output carries a mask"),
        ("two", {}, "`model` must have one output"),
        ("plain", {"layers": ["nothing"]}, "'nothing' is not one: the model's graph has no"),
        ("plain", {"layers": ["logits"]}, "it is the model's output"),
        ("plain", {"layers": [1]}, "1 is not one"),
        ("plain", {"layers": "hidden_1"}, "`layers` is a list"),
        ("plain", {"layers": []}, "`layers` is a list"),
        ("plain", {"layers": [0, "inputs"]}, "`layers` must not repeat"),
        ("plain", {"alpha": float("nan")}, "`alpha` must be a finite number"),
        ("plain", {"alpha": "2"}, "`alpha` must be a finite number"),
    ],
)
def test_wrong_settings(which, settings, text):
    with pytest.raises(ValueError, match="Received") as raised:
        ManifoldMixup(wrong_models()[which], **settings)
    assert text in str(raised.value)


def test_models_without_a_graph_and_training_without_labels():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    for model in (Own(), keras.Sequential([dense(3, "logits")]), dense(3, "logits")):
        with pytest.raises(ValueError, match=r"`model` must be a functional model.*Received"):
            ManifoldMixup(model)
    model = ManifoldMixup(build())
    model.compile("sgd", jit_compile=False)
    model.model.get_layer("hidden_1").activity_regularizer = keras.regularizers.L2(0.1)
    with pytest.raises(ValueError, match=r"`y` must be given.*Received: y=None"):
        model.fit(examples()[0], verbose=0)
