"""Deferred re-weighting in `fit`: nothing before its epoch, the paper's weights from it on."""

import contextlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tfphen.losses.class_counts import effective_number_weights
from tfphen.losses.class_weighted import ClassWeightedCrossentropy
from tfphen.losses.deferred_reweighting import DeferredReweighting
from tfphen.losses.vector_scaling import VSLoss

COUNTS = [24, 6, 2]
SELF_NORMALIZED = "mean_with_sample_weight"


def examples():
    generator = np.random.default_rng(0)
    order = generator.permutation(32)
    return generator.normal(size=(32, 4)).astype("float32"), np.repeat([0, 1, 2], COUNTS)[order]


def compiled(loss, jit=False, rate=0.2, momentum=0.9):
    start = keras.initializers.GlorotUniform(seed=1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=start)])
    model.compile(keras.optimizers.SGD(rate, momentum), loss, jit_compile=jit)
    return model


class Weights(keras.callbacks.Callback):
    """Keeps the class weights that the loss has at the end of each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.seen = [*getattr(self, "seen", []), self.model.loss.class_weights]


def fit(model, *callbacks, epochs=5, **settings):
    settings = {"batch_size": 8, "shuffle": False, "verbose": 0, **settings}
    return model.fit(*examples(), epochs=epochs, callbacks=list(callbacks), **settings).history


def assert_same_weights(one, other):
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
    ("reduction", "jit"), [("sum_over_batch_size", False), (SELF_NORMALIZED, True)]
)
def test_plain_until_the_epoch_and_weighted_from_it(reduction, jit):
    model, weights = compiled(ClassWeightedCrossentropy(reduction=reduction), jit), Weights()
    history = fit(model, DeferredReweighting(COUNTS, 3), weights)
    plain = compiled(ClassWeightedCrossentropy(reduction=reduction), jit)
    # Bit for bit, while there are no weights.
    assert fit(plain, epochs=3)["loss"] == history["loss"][:3]
    expected = effective_number_weights(COUNTS, normalization="examples")
    assert weights.seen[:3] == [None] * 3
    np.testing.assert_allclose(weights.seen[3:], [expected, expected], rtol=1e-12)
    # From there on it is training with a loss that has had its weights all along.
    weighted = compiled(ClassWeightedCrossentropy(expected.tolist(), reduction=reduction), jit)
    weighted.set_weights(plain.get_weights())
    weighted.optimizer.build(weighted.trainable_variables)
    states = zip(weighted.optimizer.variables, plain.optimizer.variables, strict=True)
    for one, other in states:
        one.assign(other)
    later = fit(weighted, epochs=5, initial_epoch=3)
    np.testing.assert_allclose(history["loss"][3:], later["loss"], rtol=1e-6)
    for left, right in zip(model.get_weights(), weighted.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_losses_of_validation_data_are_weighted_too():
    model = compiled(ClassWeightedCrossentropy(reduction=SELF_NORMALIZED), rate=0.0)
    seen = fit(model, DeferredReweighting(COUNTS, 1), epochs=2, validation_data=examples())
    inputs, labels = examples()
    logits = model.predict(inputs, verbose=0)
    expected = [
        float(ClassWeightedCrossentropy(weights, reduction=SELF_NORMALIZED)(labels, logits))
        for weights in (None, model.loss.class_weights)
    ]
    assert abs(expected[0] - expected[1]) > 0.01
    # Batches of 8 each divide by the weights of their own.
    assert seen["val_loss"][0] == pytest.approx(expected[0], rel=1e-5)
    assert seen["val_loss"][1] == pytest.approx(seen["loss"][1], rel=1e-5)


def test_balanced_counts_change_nothing_to_the_last_bit():
    runs = []
    for callbacks in ([DeferredReweighting([7, 7, 7], 1)], []):
        model = compiled(ClassWeightedCrossentropy(reduction=SELF_NORMALIZED))
        fit(model, *callbacks)
        runs.append(model)
    assert runs[0].loss.class_weights is None
    assert_same_weights(*runs)


def test_scale_of_the_weights_does_not_matter_when_normalised():
    weights = effective_number_weights(COUNTS)
    assert weights.sum() == pytest.approx(3)
    ratio = weights / DeferredReweighting(COUNTS).class_weights
    np.testing.assert_allclose(ratio, ratio[0])
    runs = []
    for callbacks, given in (([DeferredReweighting(COUNTS, 0)], None), ([], weights.tolist())):
        model = compiled(ClassWeightedCrossentropy(given, reduction=SELF_NORMALIZED))
        fit(model, *callbacks)
        runs.append(model.get_weights())
    for left, right in zip(*runs, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_a_model_saved_on_the_way_goes_on_alike(tmp_path):
    class Save(keras.callbacks.Callback):
        def on_epoch_end(self, at, logs=None):
            if at == 3:
                self.model.save(tmp_path / "model.keras")

    model = compiled(VSLoss(COUNTS, 0.1, 1.0, reduction=SELF_NORMALIZED))
    fit(model, DeferredReweighting(COUNTS, 3), Save())
    loaded = keras.models.load_model(tmp_path / "model.keras")
    reweighting = DeferredReweighting(COUNTS, 3)
    assert loaded.loss.class_weights == reweighting.class_weights
    fit(loaded, reweighting, initial_epoch=4)
    assert_same_weights(loaded, model)


def test_a_second_training_starts_plain_again():
    model = compiled(ClassWeightedCrossentropy())
    reweighting = DeferredReweighting(COUNTS, 0.5)
    fit(model, reweighting)
    assert model.loss.class_weights == reweighting.class_weights
    weights = Weights()
    fit(model, reweighting, weights, epochs=4)
    assert weights.seen == [None, None, *[reweighting.class_weights] * 2]


@pytest.mark.parametrize(
    ("start", "epochs", "first"),
    [(0.8, 200, 160), (0.7, 10, 7), (0.8, 3, 3), (0.5, 5, 3), (0, 9, 0), (160, 200, 160)],
)
def test_first_epoch(start, epochs, first):
    assert DeferredReweighting(COUNTS, start).first_epoch(epochs) == first


def test_a_run_that_is_too_short_says_so():
    model = compiled(ClassWeightedCrossentropy())
    with pytest.warns(UserWarning, match="No epoch is re-weighted: `start_epoch` is 160"):
        fit(model, DeferredReweighting(COUNTS, 160), epochs=1)
    assert model.loss.class_weights is None


def test_wrong_settings():
    for settings, text in (
        ({"class_counts": [5, 0]}, "class_counts"),
        ({"start_epoch": -1}, "start_epoch"),
        ({"start_epoch": 2.5}, "start_epoch"),
        ({"beta": 1.5}, "beta"),
    ):
        with pytest.raises(ValueError, match=rf"`{text}`.*Received: "):
            DeferredReweighting(**{"class_counts": COUNTS, **settings})


def test_models_that_cannot_be_reweighted():
    own = [1.0, 2.0, 3.0]
    for loss, counts, text in (
        ("sparse_categorical_crossentropy", COUNTS, "exactly one loss that takes"),
        (ClassWeightedCrossentropy(own), COUNTS, "class weights of its own"),
        (ClassWeightedCrossentropy(), [5, 3], "the same classes"),
        (VSLoss([4, 3, 2, 1]), COUNTS, "the same classes"),
    ):
        with pytest.raises(ValueError, match=rf"{text}.*Received: "):
            fit(compiled(loss), DeferredReweighting(counts), epochs=1)


def test_one_replica_equals_two(tensorflow, two_devices):
    reduction = tensorflow.distribute.ReductionToOneDevice()
    strategy = tensorflow.distribute.MirroredStrategy(two_devices, cross_device_ops=reduction)
    runs = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        with scope:
            model = compiled(ClassWeightedCrossentropy(reduction=SELF_NORMALIZED))
        runs.append((fit(model, DeferredReweighting(COUNTS, 1), epochs=2), model.get_weights()))
    np.testing.assert_allclose(runs[0][0]["loss"], runs[1][0]["loss"], rtol=1e-5)
    for left, right in zip(runs[0][1], runs[1][1], strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_steps_compiled_by_jax():
    # Where a step is traced once and a change of the loss is not seen by itself.
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    program = Path(__file__).with_name("deferred_reweighting_on_a_backend.py")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", program]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["jax", "passed"]
