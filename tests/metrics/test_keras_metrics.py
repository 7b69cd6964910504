"""The Keras metrics: streamed over batches, weighted, compiled, saved, and on two replicas."""

import json

import keras
import numpy as np
import pytest

from tfphen.metrics import (
    BalancedAccuracy,
    BrierScore,
    ClasswiseCalibrationError,
    ExpectedCalibrationError,
    NegativeLogLikelihood,
    WorstClassAccuracy,
    balanced_accuracy,
    brier_score,
    classwise_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
    worst_class_accuracy,
)
from tfphen.metrics.calibration.bins import bin_of
from tfphen.metrics.calibration.streamed_bins import rounded_down_edges

# Class, its settings, the function on all examples and that function's settings.
METRICS = {
    "expected_calibration_error": (
        ExpectedCalibrationError,
        {"num_bins": 10},
        expected_calibration_error,
        {"num_bins": 10},
    ),
    "classwise_calibration_error": (
        ClasswiseCalibrationError,
        {"num_classes": 4, "num_bins": 7},
        classwise_calibration_error,
        {"num_bins": 7},
    ),
    "brier_score": (BrierScore, {}, brier_score, {}),
    "negative_log_likelihood": (NegativeLogLikelihood, {}, negative_log_likelihood, {}),
    "balanced_accuracy": (BalancedAccuracy, {"num_classes": 4}, balanced_accuracy, {}),
    "worst_class_accuracy": (WorstClassAccuracy, {"num_classes": 4}, worst_class_accuracy, {}),
}
PROBABILISTIC = [name for name in METRICS if "accuracy" not in name]


def make(which, /, **settings):
    cls, own, _, _ = METRICS[which]
    return cls(**own, **settings)


def function(name):
    _, _, called, settings = METRICS[name]
    return lambda y, y_pred, **more: called(y, y_pred, **settings, **more)


def examples(count=200, seed=0):
    """Labels with a long tail and logits that are right more often than not."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(4, size=count, p=[0.6, 0.25, 0.1, 0.05])
    logits = generator.normal(size=(count, 4)) * 2 + 2 * np.eye(4)[labels]
    return labels, logits.astype("float32")


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def value(metric):
    result = metric.result()
    if metric.dtype == "bfloat16":
        result = keras.ops.cast(result, "float32")
    return float(keras.ops.convert_to_numpy(result))


@pytest.mark.parametrize("name", METRICS)
def test_batches_of_any_size_give_the_function_on_all_examples(name):
    labels, logits = examples()
    metric, expected = make(name), function(name)(labels, logits)
    assert value(metric) == 0.0
    for sizes in ([200], [1, 63, 0, 136], [20] * 10):
        metric.reset_state()
        start = 0
        for size in sizes:
            rows = slice(start, start + size)
            metric.update_state(labels[rows, None], logits[rows])
            start += size
        assert value(metric) == pytest.approx(expected, abs=2e-6)
    assert 0.02 < expected < 1.5


@pytest.mark.parametrize("name", PROBABILISTIC)
def test_probabilities(name):
    labels, logits = examples()
    metric = make(name, from_logits=False)
    metric.update_state(labels, softmax(logits))
    assert value(metric) == pytest.approx(function(name)(labels, logits), abs=2e-6)


@pytest.mark.parametrize("name", METRICS)
def test_bfloat16_predictions_are_summed_in_float32(name):
    labels, logits = examples(3000)
    logits = keras.ops.cast(logits, "bfloat16")
    metric = make(name)
    for rows in np.array_split(np.arange(3000), 30):
        metric.update_state(labels[rows], logits[int(rows[0]) : int(rows[-1]) + 1])
    # The function reads the same bfloat16 logits and works in float64.
    assert value(metric) == pytest.approx(function(name)(labels, logits), abs=1e-5)
    rounded = make(name, dtype="bfloat16")
    rounded.update_state(labels, logits)
    assert all(v.dtype == "float32" for v in rounded.variables)
    assert value(rounded) == pytest.approx(value(metric), rel=2**-8)


@pytest.mark.parametrize("name", METRICS)
def test_whole_weights_repeat_examples_and_zero_leaves_them_out(name):
    labels, logits = examples()
    weights = np.random.default_rng(1).integers(0, 4, len(labels))
    expected = function(name)(labels.repeat(weights), logits.repeat(weights, 0))
    assert abs(expected - function(name)(labels, logits)) > 1e-4
    for given in (weights, weights[:, None], 0.5 * weights):
        metric = make(name)
        metric.update_state(labels, logits, sample_weight=given)
        assert value(metric) == pytest.approx(expected, abs=2e-6)
    uniform = make(name)
    uniform.update_state(labels, logits, sample_weight=3.0)
    assert value(uniform) == pytest.approx(function(name)(labels, logits), abs=2e-6)


@pytest.mark.parametrize("name", METRICS)
def test_sequences_with_weights_and_a_mask(name):
    labels, logits = examples()
    labels, logits = labels.reshape(40, 5), logits.reshape(40, 5, 4)
    metric = make(name)
    metric.update_state(labels, logits)
    expected = function(name)(labels.ravel(), logits.reshape(-1, 4))
    assert value(metric) == pytest.approx(expected, abs=2e-6)
    rows = np.arange(40) % 3 > 0
    kept = function(name)(labels[rows].ravel(), logits[rows].reshape(-1, 4))
    weighted = make(name)
    weighted.update_state(labels, logits, sample_weight=rows)
    assert value(weighted) == pytest.approx(kept, abs=2e-6)
    steps = np.broadcast_to(np.arange(5) < 3, (40, 5))
    both = rows[:, None] & steps
    predictions = keras.ops.convert_to_tensor(logits)
    predictions._keras_mask = keras.ops.convert_to_tensor(steps)
    masked = make(name)
    masked.update_state(labels, predictions, sample_weight=rows)
    assert value(masked) == pytest.approx(function(name)(labels[both], logits[both]), abs=2e-6)


def test_examples_of_weight_zero_may_be_infinite():
    metric = NegativeLogLikelihood(from_logits=False)
    metric.update_state([1, 0], [[1.0, 0.0], [0.5, 0.5]], sample_weight=[0.0, 1.0])
    assert value(metric) == pytest.approx(np.log(2))
    metric.update_state([1], [[1.0, 0.0]])
    assert value(metric) == np.inf


@pytest.mark.parametrize("bins", [3, 7, 10, 15])
def test_confidences_at_the_edges_fall_in_the_bins_of_the_function(bins):
    edges = (np.arange(1, bins) / bins).astype("float32")
    near = np.concatenate([np.nextafter(edges, np.float32(0)), edges, np.nextafter(edges, 2)])
    lower = np.float32(rounded_down_edges(bins, "float32"))
    found = (near[:, None] > lower).sum(-1)
    np.testing.assert_array_equal(found, bin_of(near.astype("float64"), bins))
    assert rounded_down_edges(bins, "float64") == (np.arange(1, bins) / bins).tolist()
    # And so the streamed error is that of the function where every confidence is at an edge.
    tops = near[near > 0.5].astype("float64")
    p = np.stack([tops, 1 - tops], -1).astype("float32")
    labels = np.arange(len(p)) % 2
    metric = ExpectedCalibrationError(bins, from_logits=False)
    metric.update_state(labels, p)
    direct = expected_calibration_error(labels, p, bins, from_logits=False)
    assert value(metric) == pytest.approx(direct, abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_configuration_survives(name):
    metric = make(name, name="mine", dtype="float64")
    config = json.loads(json.dumps(metric.get_config()))
    again = type(metric).from_config(config)
    assert again.get_config() == metric.get_config() == config
    assert config["name"] == "mine" and config["dtype"] == "float64"
    assert make(name).name == name
    serialized = keras.metrics.serialize(metric)
    assert serialized["registered_name"] == f"tfphen>{type(metric).__name__}"
    restored = keras.metrics.deserialize(serialized)
    labels, logits = examples()
    for each in (metric, again, restored):
        each.update_state(labels, logits)
    assert value(metric) == value(again) == value(restored)
    assert value(metric) == pytest.approx(function(name)(labels, logits), abs=1e-9)


def model_with(metrics, jit):
    start = keras.initializers.GlorotUniform(seed=1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, kernel_initializer=start)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, weighted_metrics=metrics, jit_compile=jit)
    return model


@pytest.mark.parametrize("where", ["one device", "compiled", "two replicas"])
def test_fit_and_evaluate_give_the_functions(where, tensorflow, two_devices, tmp_path):
    if where == "two replicas":
        reduction = tensorflow.distribute.ReductionToOneDevice()
        strategy = tensorflow.distribute.MirroredStrategy(two_devices, reduction)
    else:
        strategy = tensorflow.distribute.get_strategy()
    labels, inputs = examples()
    weights = np.random.default_rng(1).uniform(size=200).astype("float32")
    with strategy.scope():
        model = model_with([make(name) for name in METRICS], where == "compiled")
    # In batches of 64 the last is smaller; a second size is a second program to compile.
    options = {"batch_size": 100 if where == "compiled" else 64, "verbose": 0}
    validation = None if where == "compiled" else (inputs, labels)
    history = model.fit(inputs, labels, validation_data=validation, shuffle=False, **options)
    kernel, bias = model.get_weights()
    logits = inputs @ kernel + bias
    results = model.evaluate(inputs, labels, return_dict=True, **options)
    weighted = model.evaluate(inputs, labels, sample_weight=weights, return_dict=True, **options)
    for name in METRICS:
        expected = function(name)(labels, logits)
        assert results[name] == pytest.approx(expected, abs=1e-5), name
        if validation:
            assert history.history[f"val_{name}"][0] == pytest.approx(expected, abs=1e-5), name
        assert np.isfinite(history.history[name][0])
        metric = make(name)
        metric.update_state(labels, logits, sample_weight=weights)
        assert weighted[name] == pytest.approx(value(metric), abs=1e-5), name
        assert abs(value(metric) - expected) > 1e-5
    if where == "one device":
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        again = loaded.evaluate(inputs, labels, return_dict=True, **options)
        assert again == pytest.approx(results, abs=1e-5)


def test_training_metrics_are_those_of_one_device_on_two(tensorflow, two_devices):
    labels, inputs = examples()
    reduction = tensorflow.distribute.ReductionToOneDevice()
    mirrored = tensorflow.distribute.MirroredStrategy(two_devices, reduction)
    found = []
    for strategy in (tensorflow.distribute.get_strategy(), mirrored):
        with strategy.scope():
            model = model_with([make(name) for name in METRICS], False)
        options = {"batch_size": 100, "shuffle": False, "verbose": 0, "epochs": 2}
        found.append(model.fit(inputs, labels, **options).history)
    for name in METRICS:
        assert found[0][name] == pytest.approx(found[1][name], abs=1e-5), name
    # Epochs differ, so reset and update are both seen.
    assert all(found[0][name][0] != found[0][name][1] for name in PROBABILISTIC)


def test_wrong_settings():
    for cls, least in (
        (ClasswiseCalibrationError, 2),
        (BalancedAccuracy, 2),
        (WorstClassAccuracy, 2),
    ):
        for wrong in (least - 1, 2.0, None):
            with pytest.raises(ValueError, match=r"`num_classes` must.*Received: num_classes="):
                cls(wrong)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match=r"`num_bins` must.*Received: num_bins="):
            ExpectedCalibrationError(num_bins=wrong)
        with pytest.raises(ValueError, match=r"`num_bins` must.*Received: num_bins="):
            ClasswiseCalibrationError(3, num_bins=wrong)


@pytest.mark.parametrize("name", METRICS)
def test_wrong_inputs(name):
    labels, logits = examples(6)
    for arguments, text in (
        ((np.eye(4)[labels], logits), "`y_true`"),
        ((labels + 4, logits), "`y_true`"),
        ((labels, np.full_like(logits, np.nan)), "`y_pred`"),
        ((labels * 0, logits[:, :1]), "`y_pred` must"),
        ((labels, logits, np.ones(5)), "`sample_weight` must"),
        ((labels, logits, np.ones((6, 2))), "`sample_weight` must"),
    ):
        with pytest.raises(ValueError, match=f"{text}.*Received"):
            make(name).update_state(*arguments)
    if hasattr(make(name), "num_classes"):
        with pytest.raises(ValueError, match=r"`num_classes` must be the last axis.*Received"):
            make(name).update_state(labels % 3, logits[:, :3])
