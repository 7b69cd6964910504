"""The losses that loss correction is compared with, against the one-hot form in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfphen import losses

COUNT, CLASSES = 30, 5


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def soft(one_hot, z, beta=0.95):
    p = softmax(z)
    return -((beta * one_hot + (1 - beta) * p) * np.log(p)).sum(-1)


def hard(one_hot, z, beta=0.8):
    p = softmax(z)
    predicted = np.eye(CLASSES)[p.argmax(-1)]
    return -((beta * one_hot + (1 - beta) * predicted) * np.log(p)).sum(-1)


# As in the published code: one-hot labels of zeros and ones, the mean over classes.
REFERENCES = {
    "bootstrap_soft_crossentropy": soft,
    "bootstrap_hard_crossentropy": hard,
    "unhinged_loss": lambda y, z: (1 - y * z).mean(-1),
    "sigmoid_loss": lambda y, z: (1 / (1 + np.exp(y * z))).mean(-1),
    "ramp_loss": lambda y, z: np.minimum(1, np.maximum(0, 1 - y * z)).mean(-1),
    "savage_loss": lambda y, z: (1 / (1 + np.exp(2 * y * softmax(z))) ** 2).mean(-1),
}


def batch():
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=1.5, size=(COUNT, CLASSES)).astype("float32")
    return generator.integers(0, CLASSES, COUNT).astype("int32"), logits


@pytest.mark.parametrize("name", REFERENCES)
def test_values_and_gradients(name):
    y, z = batch()
    one_hot, function, reference = np.eye(CLASSES)[y], getattr(losses, name), REFERENCES[name]
    found = function(y, z)
    assert found.dtype == tf.float32 and found.shape == (COUNT,)
    np.testing.assert_allclose(found, reference(one_hot, z.astype("float64")), atol=1e-5)
    variable = tf.constant(z.astype("float64"))
    with tf.GradientTape() as tape:
        tape.watch(variable)
        value = function(y, variable)
    gradient = tape.gradient(value, variable).numpy()
    step = 1e-5
    for column in range(CLASSES):
        moved = np.eye(CLASSES)[column] * step
        up, down = (reference(one_hot, z + sign * moved) for sign in (1.0, -1.0))
        np.testing.assert_allclose(gradient[:, column], (up - down) / (2 * step), atol=1e-6)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("compiled", [False, True])
def test_leading_axes(name, compiled):
    y, z = batch()
    function = tf.function(getattr(losses, name), jit_compile=compiled)
    stacked = function(tf.constant(np.stack([y, y])), tf.constant(np.stack([z, z])))
    expected = np.stack([np.asarray(getattr(losses, name)(y, z))] * 2)
    np.testing.assert_allclose(stacked, expected, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in REFERENCES if n[:2] in ("bo", "sa")])
def test_probabilities_instead_of_logits(name):
    y, z = batch()
    function = getattr(losses, name)
    found = function(y, softmax(z), from_logits=False)
    np.testing.assert_allclose(found, function(y, z), atol=1e-5)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_bootstrap_of_weight_one_is_cross_entropy(kind):
    y, z = batch()
    found = getattr(losses, f"bootstrap_{kind}_crossentropy")(y, z, beta=1.0)
    plain = tf.nn.sparse_softmax_cross_entropy_with_logits(y, z)
    np.testing.assert_allclose(found, plain, atol=1e-6)
    with pytest.raises(ValueError, match=r"\[0, 1\]. Received: beta=1.5"):
        getattr(losses, f"bootstrap_{kind}_crossentropy")(y, z, beta=1.5)


def test_bounded_losses_are_bounded():
    y, z = batch()
    for name in ("sigmoid_loss", "ramp_loss", "savage_loss"):
        found = np.asarray(getattr(losses, name)(y, 1e4 * z))
        assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1
