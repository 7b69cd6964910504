"""Binary cross-entropy of softmax outputs: formula, known values, extreme logits, gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.losses.softmax_binary_crossentropy import (
    SoftmaxBinaryCrossentropy,
    softmax_binary_crossentropy,
)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def direct(y, z):
    """Straight from the definition, in float64, with the clamp."""
    p, t = softmax(z), np.eye(z.shape[-1])[y]
    with np.errstate(divide="ignore"):
        yes, no = (np.maximum(np.log(x), -100.0) for x in (p, 1 - p))
    return -(t * yes + (1 - t) * no).mean(-1)


def examples(classes=5, count=40, scale=2.0):
    generator = np.random.default_rng(0)
    return generator.integers(0, classes, count), scale * generator.normal(size=(count, classes))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_formula(classes):
    y, z = examples(classes)
    found = softmax_binary_crossentropy(y, z.astype("float32"))
    np.testing.assert_allclose(found, direct(y, z), rtol=1e-5, atol=1e-6)
    from_probabilities = softmax_binary_crossentropy(y, softmax(z), from_logits=False)
    np.testing.assert_allclose(from_probabilities, direct(y, z), rtol=1e-5)
    low = ops.cast(z.astype("float32"), "bfloat16")
    rounded = np.asarray(ops.cast(low, "float32"), "float64")
    found = softmax_binary_crossentropy(y, low)
    np.testing.assert_allclose(found, direct(y, rounded), rtol=1e-5, atol=1e-6)
    members = softmax_binary_crossentropy(np.stack([y, y]), np.stack([z, -z]))
    np.testing.assert_allclose(members, [direct(y, z), direct(y, -z)], rtol=1e-6)


def test_known_values():
    for classes in (2, 3, 10):
        expected = (np.log(classes) + (classes - 1) * np.log(classes / (classes - 1))) / classes
        found = softmax_binary_crossentropy([1], np.zeros((1, classes)))
        assert float(found[0]) == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(0.32508, abs=1e-5)


def test_two_classes_give_the_softmax_crossentropy():
    y, z = examples(2)
    expected = keras.ops.sparse_categorical_crossentropy(y, z, from_logits=True)
    np.testing.assert_allclose(softmax_binary_crossentropy(y, z), expected, rtol=1e-9)


def test_extreme_logits():
    z = np.array([[40.0, 0.0, -5.0], [40.0, 0.0, -5.0], [1e4, 0.0, 0.0], [0.0, 1e4, 0.0]])
    found = softmax_binary_crossentropy([0, 1, 0, 0], z.astype("float32"))
    # Wrong by 40 nats: the complement of the largest is e^-40 (1 + e^-5), where 1 - p is 0. Wrong
    # by more than 100: both logarithms stop there.
    tail = np.exp(-40.0) * (1 + np.exp(-5.0))
    expected = [0.0, (40 - np.log(tail)) / 3, 0.0, 200 / 3]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_gradient(tensorflow):
    y, z = examples(4, 6)
    # A sure and wrong example too, whose loss is all in the difference of two sums.
    z[0] = [0.0, 30.0, -2.0, 1.0]
    y[0] = 2
    for dtype, tolerance in (("float64", 1e-7), ("float32", 1e-5)):
        tensor = tensorflow.constant(z, dtype)
        with tensorflow.GradientTape() as tape:
            tape.watch(tensor)
            total = tensorflow.reduce_sum(softmax_binary_crossentropy(y, tensor))
        found = np.asarray(tape.gradient(total, tensor))
        for index in np.ndindex(z.shape):
            step = np.zeros_like(z)
            step[index] = 1e-5
            # 1 - p in float64 has few digits left in the first row.
            pair = [exact(y, z + step).sum(), exact(y, z - step).sum()]
            slope = (pair[0] - pair[1]) / 2e-5
            assert found[index] == pytest.approx(slope, abs=tolerance)


def exact(y, z):
    """The definition with 1 - p as the sum of the other probabilities."""
    e = np.exp(z - z.max(-1, keepdims=True))
    total = e.sum(-1)
    terms = np.log(e[np.arange(len(y)), y] / total)
    for other in range(z.shape[-1]):
        rest = np.delete(e, other, axis=-1).sum(-1)
        terms = terms + np.where(y == other, 0.0, np.log(rest / total))
    return -terms / z.shape[-1]


def test_class_and_reduction():
    y, z = examples()
    loss = SoftmaxBinaryCrossentropy(from_logits=False, reduction="sum", name="mine")
    config = loss.get_config()
    expected = {"name": "mine", "reduction": "sum", "from_logits": False, "dtype": "float32"}
    assert config == expected
    assert SoftmaxBinaryCrossentropy.from_config(config).get_config() == config
    assert float(loss(y, softmax(z))) == pytest.approx(direct(y, z).sum(), rel=1e-5)
    assert float(SoftmaxBinaryCrossentropy()(y, z)) == pytest.approx(direct(y, z).mean(), rel=1e-5)
    with pytest.raises(ValueError, match=r"`y_true`.*Received"):
        softmax_binary_crossentropy(np.eye(5)[y], z)
