"""What the cards of VS and CDT say must hold of the scaled logits and of the losses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.losses import (
    GroupVSLoss,
    cdt_loss,
    class_temperatures,
    group_vs_loss,
    logit_adjusted_loss,
    vector_scaled_logits,
    vs_loss,
)

COUNTS = np.array([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
PRIORS = COUNTS / COUNTS.sum()


def batch(count=32, classes=10):
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=2.0, size=(count, classes)).astype("float32")
    return generator.integers(0, classes, count), logits


def cross_entropy(y, z):
    return keras.ops.sparse_categorical_crossentropy(y, z.astype("float32"), from_logits=True)


def softplus(x):
    return np.logaddexp(0.0, x)


def test_temperatures_of_the_paper():
    expected = [1, 1.108, 1.227, 1.359, 1.506, 1.668, 1.848, 2.047, 2.270, 2.512]
    np.testing.assert_array_equal(class_temperatures(COUNTS, 0.2).round(3), expected)
    for gamma, rarest in ((0.1, 1.585), (0.3, 3.981), (0.4, 6.310)):
        temperatures = class_temperatures(COUNTS, gamma)
        assert temperatures[0] == 1 and temperatures[-1].round(3) == rarest
        assert temperatures[-1] == pytest.approx(100**gamma, rel=1e-12)


def test_special_cases():
    y, z = batch()
    np.testing.assert_allclose(vs_loss(y, z, COUNTS, 0.0, 0.0), cross_entropy(y, z), rtol=1e-6)
    adjusted = cross_entropy(y, z + 1.25 * np.log(PRIORS))
    for found in (vs_loss(y, z, COUNTS, 0.0, 1.25), logit_adjusted_loss(y, z, COUNTS, 1.25)):
        np.testing.assert_allclose(found, adjusted, rtol=1e-5)
    scaled = cross_entropy(y, z * PRIORS**0.3 / PRIORS.max() ** 0.3)
    # CDT divides by the temperature, VS multiplies by its inverse.
    divided = cross_entropy(y, z / class_temperatures(COUNTS, 0.3))
    for found in (vs_loss(y, z, COUNTS, 0.3, 0.0), cdt_loss(y, z, COUNTS, 0.3), divided):
        np.testing.assert_allclose(found, scaled, rtol=1e-5)
    assert np.abs(scaled - cross_entropy(y, z * class_temperatures(COUNTS, 0.3))).max() > 0.1


@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_balanced_counts_and_zero_gamma_are_cross_entropy(gamma):
    y, z = batch()
    z = tf.constant(z)
    gradients = []
    for loss in (
        lambda z: tf.nn.sparse_softmax_cross_entropy_with_logits(y, z),
        lambda z: vs_loss(y, z, [70] * 10, gamma, 1.0),
        lambda z: cdt_loss(y, z, [70] * 10, gamma),
        lambda z: cdt_loss(y, z, COUNTS, 0.0),
    ):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(z)
        gradients.append(tape.gradient(value, z))
        np.testing.assert_allclose(value, cross_entropy(y, z.numpy()), rtol=1e-5)
        np.testing.assert_allclose(gradients[-1], gradients[0], atol=1e-6)


def test_a_constant_shift_changes_nothing():
    y, z = batch()
    # Logs of counts and of frequencies differ by a constant.
    found = logit_adjusted_loss(y, z, COUNTS, 1.0)
    np.testing.assert_allclose(found, cross_entropy(y, z + np.log(COUNTS)), rtol=1e-5)
    np.testing.assert_allclose(found, logit_adjusted_loss(y, z, 1000 * COUNTS, 1.0), rtol=1e-6)


def test_extreme_tails_do_not_underflow():
    z = np.zeros((1, 2), "float32")
    logits = vector_scaled_logits(z, [10**9, 1], gamma=0.0, tau=10.0)
    assert float(logits[0, 1]) == pytest.approx(-10 * np.log(1e9 + 1), rel=1e-6)


def test_gradient_of_temperatures():
    y, z = batch()
    temperatures, variable = class_temperatures(COUNTS, 0.4), tf.constant(z.astype("float64"))
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = cdt_loss(y, variable, COUNTS, 0.4)
    u = z / temperatures
    p = np.exp(u) / np.exp(u).sum(-1, keepdims=True)
    expected = (p - np.eye(10)[y]) / temperatures
    np.testing.assert_allclose(tape.gradient(value, variable), expected, atol=1e-9)
    zero = tf.zeros((10, 10), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(zero)
        value = cdt_loss(np.arange(10), zero, COUNTS, 0.4)
    start = np.diag(tape.gradient(value, zero))
    np.testing.assert_allclose(start, -0.9 / temperatures, rtol=1e-9)


def test_two_logits():
    counts, s = np.array([80, 20]), np.linspace(-3, 3, 7).astype("float32")
    z = np.stack([np.zeros_like(s), s], -1)
    delta, iota = 0.25**0.5, 1.5 * np.log([0.8, 0.2])
    for label, expected in (
        (1, softplus(-delta * s + iota[0] - iota[1])),
        (0, softplus(delta * s + iota[1] - iota[0])),
    ):
        found = vs_loss(np.full(7, label), z, counts, 0.5, 1.5)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_balanced_bayes_rule_at_the_population_optimum():
    # Equal densities up to the mean: with logits log p(y | x) - log π the rule is balanced.
    x = np.random.default_rng(1).normal(size=(500, 4)) * 2
    densities = -0.5 * ((x[:, None] - 1.5 * np.eye(4)[None, :3]) ** 2).sum(-1)
    counts = np.array([500, 50, 5])
    posterior = densities + np.log(counts / counts.sum())
    posterior = posterior - np.log(np.exp(posterior).sum(-1, keepdims=True))
    logits = tf.constant(posterior - np.log(counts / counts.sum()))
    assert (np.argmax(logits, -1) == np.argmax(densities, -1)).all()
    assert (np.argmax(posterior, -1) != np.argmax(densities, -1)).mean() > 0.1
    # The optimum: the mean gradient over labels drawn from the posterior is zero at each x.
    mean = 0.0
    for label in range(3):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = logit_adjusted_loss(np.full(500, label), logits, counts, 1.0)
        mean = mean + np.exp(posterior[:, [label]]) * tape.gradient(value, logits)
    np.testing.assert_allclose(mean, 0, atol=1e-9)


CELLS = np.array([[3498, 184], [56, 1057]])


def group_batch(count=40):
    generator = np.random.default_rng(2)
    z = generator.normal(scale=2.0, size=(count, 2)).astype("float32")
    return generator.integers(0, 2, (count, 2)), z


def test_group_form_is_the_binary_formula():
    labels, z = group_batch()
    sizes = CELLS[tuple(labels.T)]
    delta, iota = (sizes / 3498) ** 0.3, -1.25 * np.log(sizes / CELLS.sum())
    sign, f = 2 * labels[:, 0] - 1, z[:, 1].astype("float64") - z[:, 0]
    expected = softplus(iota - delta * sign * f)
    found = group_vs_loss(labels, z, CELLS, gamma=0.3, tau=1.25)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_shifts_of_both_logits_do_nothing():
    # The published code adds them so, which makes its additive preset plain cross-entropy.
    labels, z = group_batch()
    sizes = CELLS[tuple(labels.T)]
    delta, iota = (sizes / 3498) ** 0.3, -1.25 * np.log(sizes / CELLS.sum())
    published = cross_entropy(labels[:, 0], delta[:, None] * z + iota[:, None])
    np.testing.assert_allclose(published, group_vs_loss(labels, z, CELLS, 0.3, 0.0), rtol=1e-5)
    additive = cross_entropy(labels[:, 0], z + iota[:, None])
    np.testing.assert_allclose(additive, cross_entropy(labels[:, 0], z), atol=1e-5)
    intended = group_vs_loss(labels, z, CELLS, 0.0, 1.25)
    assert np.abs(intended - additive).max() > 0.5


def test_gradient_of_the_binary_form_at_zero():
    labels, counts = np.array([[0, 0], [1, 0]]), np.array([[80], [20]])
    features = np.random.default_rng(3).normal(size=(2, 5))
    kernel = tf.zeros((5, 2), tf.float64)
    for row, (delta, iota) in enumerate(((1.0, -np.log(0.8)), (0.25**0.5, -np.log(0.2)))):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            z = tf.linalg.matmul(features[row : row + 1], kernel)
            loss = group_vs_loss(labels[row : row + 1], z, counts, 0.5, 1.0)
        # The margin is a difference of two columns, each of which gets this gradient.
        lengths = np.linalg.norm(tape.gradient(loss, kernel), axis=0)
        expected = delta / (1 + np.exp(-iota)) * np.linalg.norm(features[row])
        np.testing.assert_allclose(lengths, [expected, expected], rtol=1e-6)


def test_groups_in_fit_and_with_balanced_cells():
    labels, z = group_batch()
    equal = group_vs_loss(labels, z, [[9, 9], [9, 9]], gamma=0.5, tau=0.0)
    np.testing.assert_allclose(equal, cross_entropy(labels[:, 0], z), rtol=1e-5)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.layers[0].set_weights([np.eye(2), np.zeros(2)])
    model.compile(keras.optimizers.SGD(0.0), GroupVSLoss(CELLS, 0.3, 1.25))
    weights = np.linspace(0.5, 1.5, 40)
    history = model.fit(z, labels, batch_size=40, sample_weight=weights, verbose=0)
    expected = float(np.mean(weights * np.asarray(group_vs_loss(labels, z, CELLS, 0.3, 1.25))))
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)
