"""Each of the nine objectives on a feature tensor: its loss, its last layer and its prediction."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.losses.transfer_objectives import TRANSFER_OBJECTIVES, transfer_objective

FEATURES, CLASSES = 6, 3


def model_of(objective, seed=0, **settings):
    inputs = keras.Input((FEATURES,))
    return keras.Model(inputs, objective.head(inputs, CLASSES, seed, **settings))


def examples(count=12):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(count, FEATURES)).astype("float32")
    return features, generator.integers(0, CLASSES, count)


def log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def test_released_hyperparameters():
    assert {name: dict(one.settings) for name, one in TRANSFER_OBJECTIVES.items()} == {
        "softmax": {},
        "label_smoothing": {"alpha": 0.1},
        "dropout": {"rate": 0.3},
        "final_layer_l2": {"l2": 8e-4},
        "logit_penalty": {"beta": 6e-4},
        "logit_normalization": {"temperature": 0.04},
        "cosine_softmax": {"temperature": 0.05, "normalize_features": True},
        "sigmoid": {},
        "squared_error": {"kappa": 9.0, "target": 60.0, "scale": 10.0},
    }
    for name, one in TRANSFER_OBJECTIVES.items():
        assert transfer_objective(name) == one and one.name == name
        config = one.loss.get_config()
        for key, value in one.settings.items():
            if key not in ("rate", "l2", "normalize_features"):
                assert config[key] == value


@pytest.mark.parametrize("name", TRANSFER_OBJECTIVES)
def test_fit_save_and_predict(name, tmp_path):
    features, labels = examples()
    objective = transfer_objective(name)
    model = model_of(objective)
    model.compile(keras.optimizers.SGD(1e-4), objective.loss, jit_compile=False)
    before = model.get_weights()
    model.fit(features, labels, batch_size=12, epochs=2, verbose=0)
    assert all(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    outputs = model(features).numpy()
    np.testing.assert_array_equal(loaded(features), outputs)
    assert float(loaded.loss(labels, outputs)) == float(objective.loss(labels, outputs))
    assert [float(x) for x in loaded.losses] == [float(x) for x in model.losses]
    logits = np.asarray(objective.prediction_logits(outputs))
    np.testing.assert_array_equal(logits.argmax(-1), outputs.argmax(-1))
    assert objective.prediction_logits(tf.cast(outputs, tf.bfloat16)).dtype == tf.float32


def test_predictions_are_those_that_were_trained():
    """Where the loss is a cross-entropy of the prediction's logits, it says so itself."""
    features, labels = examples()
    for name in ("softmax", "dropout", "logit_normalization", "cosine_softmax"):
        objective = transfer_objective(name)
        outputs = model_of(objective)(features)
        logits = np.asarray(objective.prediction_logits(outputs), "float64")
        expected = -log_softmax(logits)[np.arange(len(labels)), labels].mean()
        assert float(objective.loss(labels, outputs)) == pytest.approx(expected, rel=1e-5)
    z = np.asarray(examples()[0][:, :CLASSES])
    shifted = transfer_objective("sigmoid").prediction_logits(z)
    np.testing.assert_allclose(shifted, z - np.log(CLASSES), rtol=1e-6)
    for name in ("label_smoothing", "logit_penalty", "final_layer_l2", "squared_error"):
        np.testing.assert_array_equal(transfer_objective(name).prediction_logits(z), z)


def test_the_penalty_of_the_last_kernel_is_added_once():
    features, labels = examples()
    objective = transfer_objective("final_layer_l2", l2=0.5)
    model = model_of(objective)
    model.compile("sgd", objective.loss, jit_compile=False)
    plain = float(objective.loss(labels, model(features)))
    kernel, bias = model.get_weights()
    model.set_weights([kernel, bias + 3.0])
    found = model.evaluate(features, labels, verbose=0)
    shifted = float(objective.loss(labels, model(features)))
    assert shifted == pytest.approx(plain, rel=1e-5)
    assert found == pytest.approx(plain + 0.25 * (kernel**2).sum(), rel=1e-5)


def test_dropout_of_the_features():
    ones = np.ones((400, FEATURES), "float32")
    model = model_of(transfer_objective("dropout"))
    dropped = keras.Model(model.input, model.layers[1].output)(ones, training=True).numpy()
    np.testing.assert_allclose(np.unique(dropped), [0.0, 1 / 0.7], rtol=1e-6)
    assert (dropped > 0).mean() == pytest.approx(0.7, abs=0.05)
    np.testing.assert_allclose(model(ones, training=False), model(ones), atol=0)


def test_settings_that_leave_softmax():
    """Zero penalties and nothing dropped: the losses, and training itself, are softmax's."""
    features, labels = examples()
    weights = []
    for name, settings in (
        ("softmax", {}),
        ("label_smoothing", {"alpha": 0}),
        ("dropout", {"rate": 0}),
        ("final_layer_l2", {"l2": 0}),
        ("logit_penalty", {"beta": 0}),
    ):
        objective = transfer_objective(name, **settings)
        model = model_of(objective)
        model.compile(keras.optimizers.SGD(0.1), objective.loss, jit_compile=False)
        model.fit(features, labels, epochs=2, batch_size=12, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for other in weights[1:]:
        for one, two in zip(weights[0], other, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("normalized", [True, False])
def test_the_cosine_head(normalized):
    features, _ = examples()
    objective = transfer_objective("cosine_softmax", normalize_features=normalized)
    model = model_of(objective)
    kernel, bias = model.get_weights()
    bias = bias + np.arange(CLASSES)
    model.set_weights([kernel, bias])
    lengths = np.linalg.norm(features, axis=1, keepdims=True) if normalized else 1.0
    expected = features / lengths @ (kernel / np.linalg.norm(kernel, axis=0)) + bias
    np.testing.assert_allclose(model(features), expected, atol=1e-5)
    np.testing.assert_allclose(
        objective.prediction_logits(model(features)), expected / 0.05, atol=1e-3
    )


def test_seeds_and_initialisers():
    first, again, other = (
        model_of(transfer_objective("dropout"), seed).get_weights()[0] for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    normal = keras.initializers.RandomNormal(stddev=0.01, seed=1)
    for name in ("softmax", "cosine_softmax"):
        model = model_of(transfer_objective(name), kernel_initializer=normal, name="readout")
        assert 0 < np.abs(model.get_weights()[0]).max() < 0.1
        assert model.layers[-1].name == "readout"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: transfer_objective("cosine"), "Received: name='cosine'"),
        (lambda: transfer_objective("label_smothing"), "Did you mean 'label_smoothing'"),
        (lambda: transfer_objective("softmax", alpha=0.1), r"\(none\). Received: alpha"),
        (lambda: transfer_objective("dropout", rate=1.0), "Received: rate=1.0"),
        (lambda: transfer_objective("final_layer_l2", l2=-1.0), "Received: l2=-1.0"),
        (lambda: transfer_objective("logit_penalty", beta=-1.0), "Received: beta=-1.0"),
        (lambda: transfer_objective("softmax").head(np.ones((1, 2)), 0, 0), "num_classes=0"),
        (lambda: transfer_objective("softmax").head(np.ones((1, 2)), 2, -1), "seed=-1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_settings_cannot_be_changed_behind_the_loss():
    with pytest.raises(TypeError):
        TRANSFER_OBJECTIVES["dropout"].settings["rate"] = 0.5
    with pytest.raises(TypeError):
        TRANSFER_OBJECTIVES["mine"] = TRANSFER_OBJECTIVES["softmax"]
