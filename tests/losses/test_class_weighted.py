"""Class weights: what they are equal to, and what a weighted mean is divided by."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.losses.class_weighted import ClassWeightedCrossentropy, class_weighted_crossentropy
from tfphen.losses.margins import LDAMLoss, ldam_loss

SELF_NORMALIZED = "mean_with_sample_weight"


def batch(count=24):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(count, 4)).astype("float32")
    return inputs, generator.integers(0, 3, count), generator.normal(size=(count, 3))


def build():
    start = keras.initializers.GlorotUniform(seed=1)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=start)])


def trained(loss, scope=None, batch_size=8, **fit):
    inputs, labels, _ = batch()
    with scope or contextlib.nullcontext():
        model = build()
        model.compile(keras.optimizers.SGD(0.3), loss, jit_compile=False)
    history = model.fit(
        inputs, labels, batch_size=batch_size, epochs=2, shuffle=False, verbose=0, **fit
    )
    return [history.history["loss"], *model.get_weights()]


def assert_alike(one, other, tolerance=1e-5):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_allclose(left, right, atol=tolerance, rtol=tolerance)


def gradient(labels, logits, weights, reduction="sum", rows=None):
    """The gradient in the kernel of a linear model, whose inputs are one-hot row numbers."""
    kernel = tf.Variable(logits)
    chosen = np.arange(len(logits)) if rows is None else rows
    with tf.GradientTape() as tape:
        loss = ClassWeightedCrossentropy(weights, reduction=reduction, dtype="float64")
        value = loss(labels[chosen], tf.gather(kernel, chosen))
    return tf.convert_to_tensor(tape.gradient(value, kernel)).numpy()


@pytest.mark.parametrize("weight", [1.0, 0.25, 7.0])
def test_constant_weights(weight):
    _, labels, logits = batch()
    plain = float(ClassWeightedCrossentropy()(labels, logits))
    stock = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)
    assert plain == pytest.approx(float(stock), rel=1e-6)
    weighted = ClassWeightedCrossentropy([weight] * 3)
    assert float(weighted(labels, logits)) == pytest.approx(weight * plain, rel=1e-6)
    normalized = ClassWeightedCrossentropy([weight] * 3, reduction=SELF_NORMALIZED)
    assert float(normalized(labels, logits)) == pytest.approx(plain, rel=1e-6)


def test_both_reductions():
    _, labels, logits = batch()
    weights = np.array([0.2, 1.0, 5.0])
    each = np.asarray(class_weighted_crossentropy(labels, logits))
    total = (weights[labels] * each).sum()
    given = np.linspace(0.0, 2.0, 24)
    for reduction, sample_weight, expected in (
        ("sum_over_batch_size", None, total / 24),
        ("sum", None, total),
        (SELF_NORMALIZED, None, total / weights[labels].sum()),
        ("sum_over_batch_size", given, (given * weights[labels] * each).sum() / 24),
        (
            SELF_NORMALIZED,
            given,
            (given * weights[labels] * each).sum() / (given * weights[labels]).sum(),
        ),
    ):
        loss = ClassWeightedCrossentropy(weights.tolist(), reduction=reduction)
        found = loss(labels, logits, sample_weight=sample_weight)
        assert float(found) == pytest.approx(expected, rel=1e-6)
        if sample_weight is not None:
            column = loss(labels[:, None], logits, sample_weight=sample_weight[:, None])
            assert float(column) == pytest.approx(expected, rel=1e-6)
    unweighted = ClassWeightedCrossentropy(reduction=SELF_NORMALIZED)
    expected = (given * each).sum() / given.sum()
    assert float(unweighted(labels, logits, given)) == pytest.approx(expected, rel=1e-6)
    nothing = ClassWeightedCrossentropy(weights.tolist(), reduction=SELF_NORMALIZED)
    assert float(nothing(labels, logits, np.zeros(24))) == 0.0


def test_equal_losses_have_their_own_value_as_weighted_mean():
    weights = [0.0506, 2.0, 3.9927]
    loss = LDAMLoss([50, 50, 50], class_weights=weights, reduction=SELF_NORMALIZED)
    logits = np.zeros((24, 3), "float32")
    each = ldam_loss([0], logits[:1], [50, 50, 50])
    assert float(loss(batch()[1], logits)) == pytest.approx(float(each[0]), rel=1e-6)


def test_a_whole_weight_is_that_many_copies():
    _, labels, logits = batch()
    copies = np.repeat(np.arange(24), np.array([1, 4, 2])[labels])
    weighted = gradient(labels, logits, [1.0, 4.0, 2.0])
    np.testing.assert_allclose(weighted, gradient(labels, logits, None, rows=copies), atol=1e-12)


@pytest.mark.parametrize("reduction", ["sum", SELF_NORMALIZED])
def test_weight_zero_leaves_the_class_out(reduction):
    _, labels, logits = batch()
    left = np.flatnonzero(labels != 1)
    weighted = gradient(labels, logits, [1.0, 0.0, 2.0], reduction)
    expected = gradient(labels, logits, [1.0, 1.0, 2.0], reduction, left)
    np.testing.assert_allclose(weighted, expected, atol=1e-12)
    assert np.abs(weighted[labels == 1]).max() == 0.0


@pytest.mark.parametrize("ratio", [1.0, 10.0, 64.0])
def test_boundary_of_two_mirrored_points(ratio):
    # With a large fixed slope the tails are exponential: the best bias is log(ratio) / 2.
    slope, bias = 12.0, 0.5 * np.log(ratio)
    logits = np.array([[0.0, slope + bias], [0.0, bias - slope]])
    pulls = gradient(np.array([1, 0]), logits, [1.0, ratio])[:, 1]
    assert pulls[0] < 0 and pulls[0] == pytest.approx(-pulls[1], rel=1e-3)


def test_fit_as_with_the_class_weights_of_keras():
    weights = [0.2, 1.0, 5.0]
    stock = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    given = trained(stock, class_weight=dict(enumerate(weights)))
    assert_alike(trained(ClassWeightedCrossentropy(weights)), given)


def test_members_have_weights_of_their_own():
    _, labels, logits = batch()
    weights = np.array([[0.2, 1.0, 5.0], [1.0, 1.0, 1.0]])
    found = class_weighted_crossentropy(
        np.stack([labels] * 2), np.stack([logits] * 2), weights[:, None]
    )
    each = np.asarray(class_weighted_crossentropy(labels, logits))
    np.testing.assert_allclose(found, weights[:, labels] * each, rtol=1e-12)


def test_probabilities_instead_of_logits():
    _, labels, logits = batch()
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = class_weighted_crossentropy(labels, p, [0.2, 1.0, 5.0], from_logits=False)
    expected = class_weighted_crossentropy(labels, logits, [0.2, 1.0, 5.0])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_masked_steps_do_not_count():
    tokens = np.array([[1, 2, 0, 0], [3, 1, 2, 0]])
    labels, weights = np.array([[0, 1, 2, 0], [2, 2, 1, 0]]), [1.0, 2.0, 6.0]
    model = keras.Sequential(
        [keras.layers.Embedding(4, 3, mask_zero=True, embeddings_initializer="glorot_uniform")]
    )
    model.compile("sgd", ClassWeightedCrossentropy(weights, reduction=SELF_NORMALIZED))
    found = model.evaluate(tokens, labels, verbose=0)
    each = np.asarray(class_weighted_crossentropy(labels, model.predict(tokens, verbose=0)))
    counted = np.array(weights)[labels] * (tokens > 0)
    assert found == pytest.approx((each * counted).sum() / counted.sum(), rel=1e-5)


@pytest.fixture(scope="module")
def strategy(tensorflow):
    devices = [device.name for device in tensorflow.config.list_logical_devices("CPU")]
    reduction = tensorflow.distribute.ReductionToOneDevice()
    return tensorflow.distribute.MirroredStrategy(devices, cross_device_ops=reduction)


def test_one_replica_equals_two(strategy):
    def run(scope=None):
        loss = ClassWeightedCrossentropy([0.1, 1.0, 9.0], reduction=SELF_NORMALIZED)
        # The last batch is smaller, and the halves of a batch differ in their weights.
        return trained(loss, scope, 16, sample_weight=np.linspace(0.1, 2.0, 24))

    assert_alike(run(), run(strategy.scope()))
