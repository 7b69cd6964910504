"""SNGP from any backbone: what is copied, wrapped and reset, what it predicts, and files."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers.covariance_reset import ResetCovariance, covariance_layers, fit_covariance
from tfphen.layers.mean_field import mean_field_logits
from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
from tfphen.layers.sngp import SNGP
from tfphen.layers.spectral_normalization import SpectralNormalization
from tfphen.layers.spectrally_normalized_clone import spectrally_normalized_clone
from tfphen.models.convolutional import lenet5

GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(70, 5)).astype("float32")
LABELS = GENERATOR.integers(0, 3, 70)


def array(value):
    return ops.convert_to_numpy(ops.convert_to_tensor(value))


def dense(units, seed, name, **settings):
    kernel = keras.initializers.GlorotUniform(seed)
    return keras.layers.Dense(units, "relu", kernel_initializer=kernel, name=name, **settings)


def residual_backbone():
    """A functional model with a nested block, a shared layer and a frozen one."""
    block_inputs = keras.Input((8,))
    block = keras.Model(block_inputs, dense(8, 2, "inner")(block_inputs), name="block")
    inputs = keras.Input((5,), name="inputs")
    x = dense(8, 1, "frozen", trainable=False)(inputs)
    shared = dense(8, 3, "shared")
    x = keras.layers.Add(name="add")([shared(x), shared(block(x))])
    x = keras.layers.Dropout(0.2, seed=4, name="dropout")(x)
    return keras.Model(inputs, x, name="backbone")


def sngp(**settings):
    model = SNGP(residual_backbone(), 3, **{"num_inducing": 32, **settings})
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05), loss, metrics=["accuracy"])
    return model


def test_the_clone_has_the_weights_and_the_wrappers():
    backbone = residual_backbone()
    clone = spectrally_normalized_clone(backbone, 1e6)
    np.testing.assert_array_equal(array(clone(INPUTS)), array(backbone(INPUTS)))
    wrapped = {
        layer.name for layer in clone._flatten_layers() if isinstance(layer, SpectralNormalization)
    }
    assert wrapped == {"inner", "shared"}
    assert clone.get_layer("shared").norm_multiplier == 1e6
    plain = spectrally_normalized_clone(backbone, None)
    assert not any(isinstance(layer, SpectralNormalization) for layer in plain._flatten_layers())
    before = array(backbone.get_layer("shared").kernel)
    for weight in clone.weights:
        weight.assign(ops.zeros_like(weight))
    np.testing.assert_array_equal(array(backbone.get_layer("shared").kernel), before)


def test_operations_that_are_no_layers_serve_the_copy_too():
    inputs = keras.Input((4,))
    values = keras.layers.Dense(4, name="hidden")(inputs)
    backbone = keras.Model(inputs, keras.ops.multiply(values + inputs, 0.5))
    clone = spectrally_normalized_clone(backbone, 1e6)
    examples = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(clone(examples), backbone(examples), atol=1e-6)
    assert type(clone.get_layer("hidden")).__name__ == "SpectralNormalization"


def test_layers_are_bounded_in_training():
    model = sngp(norm_multiplier=0.5, power_iterations=3)
    model.fit(INPUTS, LABELS, epochs=12, batch_size=16, verbose=0)
    kernel = array(model.backbone.get_layer("shared").layer.kernel)
    assert 0.4 < np.linalg.norm(kernel, 2) < 0.55


def test_fit_needs_no_callback_and_forgets_at_each_epoch():
    model = sngp()
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) > 0
    for epochs in (3, 1):
        model.fit(INPUTS, LABELS, epochs=epochs, batch_size=16, verbose=0)
        # The trace of one pass: each example adds about 1.
        assert float(ops.trace(model.head.precision)) == pytest.approx(70, rel=0.15)
    again = ResetCovariance()
    model.fit(INPUTS, LABELS, verbose=0, callbacks=[again])
    assert again.model is model
    listed = keras.callbacks.CallbackList([], model=model)
    model.fit(INPUTS, LABELS, 16, 2, 0, listed)
    assert float(ops.trace(model.head.precision)) == pytest.approx(70, rel=0.15)
    model.reset_covariance()
    assert not array(model.head.precision).any()


def test_without_the_reset_the_variance_falls():
    variances = []
    for callbacks in ([ResetCovariance()], []):
        head = RandomFeatureGaussianProcess(3, 64, ridge_penalty=0.01)
        model = keras.Sequential([keras.Input((5,)), head])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01), loss)
        model.fit(INPUTS, LABELS, epochs=8, verbose=0, callbacks=callbacks)
        variances.append(array(head(INPUTS, return_covariance=True)[1]).mean())
    assert 1 / 10 < variances[1] / variances[0] < 1 / 3


def test_predictions_are_mean_field_logits_and_training_sees_plain_ones():
    model = sngp()
    model.fit(INPUTS, LABELS, verbose=0)
    logits, variance = model.variance_model().predict(INPUTS, verbose=0)
    assert logits.shape == (70, 3) and variance.shape == (70,) and (variance > 0).all()
    expected = array(mean_field_logits(logits, variance))
    predicted = model.predict(INPUTS, verbose=0)
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    assert not np.allclose(predicted, logits, atol=1e-3)
    plain = sngp(mean_field_factor=None)
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(plain.predict(INPUTS, verbose=0), logits, atol=1e-6)
    without_dropout = array(model.head(model.backbone(INPUTS))[0])
    np.testing.assert_allclose(without_dropout, logits, atol=1e-6)
    found = model.evaluate(INPUTS, LABELS, verbose=0, return_dict=True)
    shifted = expected - expected.max(-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    assert found["loss"] == pytest.approx(-log_p[np.arange(70), LABELS].mean(), abs=1e-5)
    history = model.fit(INPUTS, LABELS, validation_data=(INPUTS, LABELS), verbose=0).history
    assert np.isfinite(history["val_loss"]).all()


def test_fit_covariance_is_one_exact_pass():
    model = sngp(gaussian_process={"covariance_momentum": 0.9})
    model.fit(INPUTS, LABELS, verbose=0)
    phi = array(model.head.random_features(model.backbone(INPUTS)))
    results = []
    weighted = (INPUTS, LABELS, np.ones(70, "float32"))

    class Batches(keras.utils.PyDataset):
        num_batches = 2

        def __getitem__(self, index):
            return tuple(part[35 * index : 35 * (index + 1)] for part in weighted)

    cases = [
        (INPUTS, {"batch_size": 9}),
        (INPUTS.tolist(), {}),
        (iter([(INPUTS[:30], LABELS[:30]), (INPUTS[30:], LABELS[30:])]), {}),
        (Batches(), {}),
        (iter([(INPUTS,), (INPUTS,)]), {"steps": 1}),
        (np.concatenate([INPUTS, INPUTS]), {"sample_weight": np.arange(140) < 70}),
    ]
    for x, settings in cases:
        model.fit_covariance(x, **settings)
        results.append(array(model.head.precision))
        assert not model.head.covariance.gathering
    for found in results:
        np.testing.assert_allclose(found, phi.T @ phi, atol=1e-4)


def test_a_callback_can_refit_at_the_end():
    model = sngp()
    model.fit(INPUTS, LABELS, verbose=0, epochs=2, callbacks=[ResetCovariance(refit_on=INPUTS)])
    phi = array(model.head.random_features(model.backbone(INPUTS)))
    np.testing.assert_allclose(array(model.head.precision), phi.T @ phi, atol=1e-4)


def test_files_and_configuration(tmp_path):
    model = sngp(norm_multiplier=2.0, gaussian_process={"feature_type": "orthogonal"}, seed=3)
    model.fit(INPUTS, LABELS, verbose=0, batch_size=32)
    expected = model.predict(INPUTS, verbose=0)
    variance = model.variance_model().predict(INPUTS, verbose=0)[1]
    model.save(tmp_path / "sngp.keras")
    loaded = keras.models.load_model(tmp_path / "sngp.keras")
    assert type(loaded) is SNGP
    configs = [json.loads(json.dumps(one.get_config())) for one in (model, loaded)]
    assert configs[0] == configs[1] != {}
    np.testing.assert_array_equal(loaded.predict(INPUTS, verbose=0), expected)
    found = loaded.variance_model().predict(INPUTS, verbose=0)[1]
    np.testing.assert_array_equal(found, variance)
    loaded.fit(INPUTS, LABELS, verbose=0)
    assert isinstance(loaded.backbone.get_layer("shared"), SpectralNormalization)
    again = SNGP.from_config(model.get_config())
    assert again.head.feature_type == "orthogonal" and again.head.seed == 3
    model.save_weights(tmp_path / "sngp.weights.h5")
    again.load_weights(tmp_path / "sngp.weights.h5")
    np.testing.assert_array_equal(again.predict(INPUTS, verbose=0), expected)


def test_a_layer_of_the_backbone_as_features_and_images():
    images = np.random.default_rng(1).normal(size=(12, 14, 14)).astype("float32")
    network = lenet5((14, 14), 10, seed=1)
    model = SNGP(network, 4, features="features", num_inducing=32)
    assert "logits" not in [layer.name for layer in model.backbone.layers]
    assert isinstance(model.backbone.get_layer("conv_1"), SpectralNormalization)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    model.fit(images, np.arange(12) % 4, verbose=0)
    assert model.predict(images, verbose=0).shape == (12, 4)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`backbone` is a functional or Sequential model"):
        SNGP(keras.layers.Dense(3), 3)
    with pytest.raises(ValueError, match="`backbone` is a functional or Sequential model"):
        SNGP(keras.Sequential([keras.layers.Dense(3)]), 3)
    with pytest.raises(ValueError, match=r"of which there are inputs, frozen.*features='top'"):
        SNGP(residual_backbone(), 3, features="top")
    images = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3)])
    with pytest.raises(ValueError, match=r"pooling or Flatten.*output shape \(None, 6, 6, 4\)"):
        SNGP(images, 3)
    with pytest.raises(ValueError, match="leave `return_covariance` out"):
        SNGP(residual_backbone(), 3, gaussian_process={"return_covariance": False})
    with pytest.raises(ValueError, match="`units` must be an integer"):
        SNGP(residual_backbone(), 0)
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="no layer that holds a precision"):
        covariance_layers(plain)
    plain.compile("sgd", "mse")
    with pytest.raises(ValueError, match="no layer that holds a precision"):
        plain.fit(INPUTS[:, :2], LABELS, verbose=0, callbacks=[ResetCovariance()])
    model = sngp()
    for wrong, message in (
        ({"x": iter([])}, "`x` holds no example"),
        ({"x": INPUTS, "batch_size": 0}, "`batch_size` must be an integer"),
        ({"x": iter([INPUTS]), "sample_weight": LABELS}, "`sample_weight` goes with arrays"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_covariance(model, **wrong)
