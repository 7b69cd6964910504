"""The losses of the transfer comparison: closed forms, NumPy in float64, differences, limits."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.losses import (
    CosineSoftmaxCrossentropy,
    LabelSmoothedCrossentropy,
    LogitNormalizedCrossentropy,
    LogitPenaltyCrossentropy,
    SigmoidCrossentropy,
    SquaredErrorLoss,
    cosine_softmax_crossentropy,
    label_smoothed_crossentropy,
    logit_normalized_crossentropy,
    logit_penalty_crossentropy,
    normalized_logits,
    shifted_logits,
    sigmoid_crossentropy,
    squared_error_loss,
)

COUNT, CLASSES = 24, 7


def log_softmax(z):
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def smoothed(y, z, alpha):
    targets = (1 - alpha) * np.eye(CLASSES)[y] + alpha / CLASSES
    return -(targets * log_softmax(z)).sum(-1) / (1 - alpha)


def crossentropy(y, z):
    return -log_softmax(z)[np.arange(len(y)), y]


def of_sigmoids(y, z):
    p = 1 / (1 + np.exp(-(z - np.log(CLASSES))))
    t = np.eye(CLASSES)[y]
    return -(t * np.log(p) + (1 - t) * np.log1p(-p)).sum(-1)


def squared(y, z, kappa, target, scale):
    t = np.eye(CLASSES)[y]
    return scale * ((kappa * t + (1 - t)) * (z - target * t) ** 2).sum(-1)


# Function, class, settings, NumPy form.
CASES = {
    "label_smoothing": (
        label_smoothed_crossentropy, LabelSmoothedCrossentropy, {"alpha": 0.3}, smoothed
    ),
    "logit_penalty": (
        logit_penalty_crossentropy,
        LogitPenaltyCrossentropy,
        {"beta": 0.07},
        lambda y, z, beta: crossentropy(y, z) + beta / 2 * (z**2).sum(-1),
    ),
    "logit_normalization": (
        logit_normalized_crossentropy,
        LogitNormalizedCrossentropy,
        {"temperature": 0.2},
        lambda y, z, temperature: crossentropy(
            y, z / temperature / np.linalg.norm(z, axis=-1, keepdims=True)
        ),
    ),
    "cosine_softmax": (
        cosine_softmax_crossentropy,
        CosineSoftmaxCrossentropy,
        {"temperature": 0.4},
        lambda y, z, temperature: crossentropy(y, z / temperature),
    ),
    "sigmoid": (sigmoid_crossentropy, SigmoidCrossentropy, {}, of_sigmoids),
    "squared_error": (
        squared_error_loss,
        SquaredErrorLoss,
        {"kappa": 2.0, "target": 3.0, "scale": 0.5},
        squared,
    ),
}  # fmt: skip


def batch(scale=1.5):
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=scale, size=(COUNT, CLASSES)).astype("float32")
    return generator.integers(0, CLASSES, COUNT).astype("int32"), logits


@pytest.mark.parametrize("name", CASES)
def test_values_in_float32_and_bfloat16(name):
    function, cls, settings, reference = CASES[name]
    y, z = batch()
    found = function(y, z, **settings)
    assert found.dtype == tf.float32 and found.shape == (COUNT,)
    expected = reference(y, z.astype("float64"), **settings)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    half = tf.cast(z, tf.bfloat16)
    rounded = tf.cast(half, tf.float64).numpy()
    low = function(y, half, **settings)
    assert low.dtype == tf.float32
    # The logits have lost bits, the computation loses none.
    np.testing.assert_allclose(low, reference(y, rounded, **settings), rtol=1e-5, atol=1e-5)
    mean = cls(**settings)(y, z)
    assert float(mean) == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_gradients_against_differences(name):
    function, _, settings, reference = CASES[name]
    y, z = batch()
    z = z.astype("float64")
    variable = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = function(y, variable, **settings)
    gradient = tape.gradient(value, variable).numpy()
    assert gradient.dtype == np.float64
    step = 1e-5
    for column in range(CLASSES):
        moved = np.eye(CLASSES)[column] * step
        up, down = (reference(y, z + sign * moved, **settings) for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, column], (up - down) / (2 * step), atol=2e-7)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_leading_axes(name, compiled):
    function, _, settings, _ = CASES[name]
    y, z = batch()
    traced = tf.function(lambda *pair: function(*pair, **settings), jit_compile=compiled)
    stacked = traced(tf.constant(np.stack([y, y])), tf.constant(np.stack([z, -z])))
    alone = [function(y, sign * z, **settings) for sign in (1, -1)]
    np.testing.assert_allclose(stacked, alone, rtol=1e-5, atol=1e-5)


def test_settings_that_leave_plain_crossentropy():
    y, z = batch()
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)(y, z)
    for found in (
        label_smoothed_crossentropy(y, z, alpha=0.0),
        logit_penalty_crossentropy(y, z, beta=0.0),
        cosine_softmax_crossentropy(y, z, temperature=1.0),
    ):
        np.testing.assert_allclose(found, plain, atol=1e-6)


def test_label_smoothing_of_keras_is_smaller_by_a_factor():
    y, z = batch()
    stock = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1, reduction=None)
    expected = np.asarray(stock(np.eye(CLASSES)[y], z)) / 0.9
    np.testing.assert_allclose(label_smoothed_crossentropy(y, z), expected, rtol=1e-5)
    probabilities = np.exp(log_softmax(z))
    found = label_smoothed_crossentropy(y, probabilities, from_logits=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_floor_of_logit_normalization():
    for classes, temperature in ((10, 1.0), (5, 0.1)):
        # At the best logits the wrong classes are equal and all sum to 0.
        best = np.eye(classes) - 1 / classes
        floor = np.log1p((classes - 1) * np.exp(-np.sqrt(classes / (classes - 1)) / temperature))
        found = logit_normalized_crossentropy(np.arange(classes), best, temperature)
        np.testing.assert_allclose(found, floor, rtol=1e-5, atol=1e-9)
        worse = logit_normalized_crossentropy(np.arange(classes), np.eye(classes), temperature)
        assert np.all(np.asarray(worse) > floor)
        if (classes, temperature) == (10, 1.0):
            assert floor == pytest.approx(1.4198686, abs=1e-7)


def test_logit_normalization_knows_no_length():
    y, z = batch()
    expected = np.asarray(logit_normalized_crossentropy(y, z))
    for factor in (1e-30, 1e-3, 1e3, 1e25):
        found = logit_normalized_crossentropy(y, (factor * z).astype("float32"))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    variable = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = logit_normalized_crossentropy(y, variable)
    gradient = tape.gradient(value, variable).numpy()
    sizes = np.linalg.norm(gradient, axis=-1) * np.linalg.norm(z, axis=-1)
    assert np.all(np.abs((gradient * z).sum(-1)) < 1e-5 * np.maximum(sizes, 1e-3))
    lengths = np.linalg.norm(normalized_logits(z, temperature=0.04), axis=-1)
    np.testing.assert_allclose(lengths, 25.0, rtol=1e-6)


def test_logits_of_zero_length_have_a_finite_gradient():
    variable = tf.zeros((2, CLASSES))
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = logit_normalized_crossentropy([0, 1], variable)
    np.testing.assert_allclose(value, np.log(CLASSES), rtol=1e-6)
    gradient = tape.gradient(value, variable).numpy()
    assert np.isfinite(gradient).all() and gradient[0].argmin() == 0 and gradient[1].argmin() == 1


def test_sigmoid_at_zero_and_against_keras():
    for classes in (2, 10, 1001):
        found = float(sigmoid_crossentropy([1], np.zeros((1, classes), "float32"))[0])
        expected = np.log1p(classes) + (classes - 1) * np.log1p(1 / classes)
        assert found == pytest.approx(expected, rel=1e-6)
    y, z = batch()
    stock = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    mean = np.asarray(stock(np.eye(CLASSES)[y], shifted_logits(z)))
    np.testing.assert_allclose(sigmoid_crossentropy(y, z), CLASSES * mean, rtol=1e-5)


def test_squared_error_is_zero_at_its_target():
    y = np.arange(CLASSES)
    np.testing.assert_array_equal(squared_error_loss(y, 60.0 * np.eye(CLASSES)[y]), 0.0)
    labels, z = batch()
    ones = squared_error_loss(labels, z, kappa=1, target=1, scale=1)
    distance = ((z - np.eye(CLASSES)[labels]) ** 2).sum(-1)
    np.testing.assert_allclose(ones, distance, rtol=1e-5)
    stock = keras.losses.MeanSquaredError(reduction=None)(np.eye(CLASSES)[labels], z)
    mean = squared_error_loss(labels, z, kappa=1, target=1, scale=1 / CLASSES)
    np.testing.assert_allclose(mean, stock, rtol=1e-5)
    # A label's output that is huge does not swallow the others.
    far = np.array([[1e4, 1.0, 2.0]], "float32")
    found = squared_error_loss([0], far, kappa=1, target=1e4, scale=1)
    assert float(found[0]) == 5.0


def test_extreme_logits_stay_finite():
    y, z = batch()
    for function, _, settings, _ in CASES.values():
        for scale in (1e-4, 1e4):
            found = np.asarray(function(y, scale * z, **settings))
            assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, z: label_smoothed_crossentropy(y, z, alpha=1.0), "Received: alpha=1.0"),
        (lambda y, z: LabelSmoothedCrossentropy(alpha=True), "Received: alpha=True"),
        (lambda y, z: logit_penalty_crossentropy(y, z, beta=-1), "at least 0. Received: beta=-1"),
        (lambda y, z: LogitPenaltyCrossentropy(beta="1"), "Received: beta='1'"),
        (lambda y, z: logit_normalized_crossentropy(y, z, 0), "above 0. Received: temperature=0"),
        (lambda y, z: normalized_logits(z, np.nan), "Received: temperature=nan"),
        (lambda y, z: cosine_softmax_crossentropy(y, z, -1.0), "Received: temperature=-1.0"),
        (lambda y, z: squared_error_loss(y, z, kappa=0), "above 0. Received: kappa=0"),
        (lambda y, z: SquaredErrorLoss(target=[1.0]), "`target` must be a finite number"),
        (lambda y, z: squared_error_loss(y, z, scale=np.inf), "Received: scale=inf"),
        (lambda y, z: sigmoid_crossentropy(np.eye(CLASSES)[y], z), "one-hot"),
    ],
)  # fmt: skip
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(*batch())
