"""What the LDAM card says must hold of the margins and of the loss."""

import json

import keras
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from tfphen.losses.margins import LDAMLoss, ldam_hinge_loss, ldam_loss, ldam_margins

COUNTS = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
MARGINS = [0.1581, 0.1797, 0.2042, 0.2321, 0.2638, 0.2998, 0.3407, 0.3872, 0.4405, 0.5]


def cosines(count=32, classes=10):
    generator = np.random.default_rng(0)
    logits = generator.uniform(-1, 1, (count, classes)).astype("float32")
    return generator.integers(0, classes, count), logits


def cross_entropy(y, z):
    return keras.ops.sparse_categorical_crossentropy(y, z, from_logits=True)


def test_margins_of_the_paper():
    margins = ldam_margins(COUNTS)
    np.testing.assert_array_equal(margins.round(4), MARGINS)
    ratios = (np.array(COUNTS)[None] / np.array(COUNTS)[:, None]) ** 0.25
    np.testing.assert_allclose(margins[:, None] / margins[None], ratios, rtol=1e-12)
    assert ldam_margins(COUNTS, max_margin=0.3).max() == pytest.approx(0.3, rel=1e-12)
    stack = ldam_margins([COUNTS, [7] * 10])
    np.testing.assert_array_equal(stack[1], np.full(10, 0.5))
    np.testing.assert_array_equal(stack[0], margins)


@pytest.mark.parametrize("counts", [(1000, 10), (50, 49), (3, 700)])
def test_margins_minimise_the_bound_of_two_classes(counts):
    first, second = counts
    total = ldam_margins(counts).sum()

    def bound(margin):
        return 1 / (margin * first**0.5) + 1 / ((total - margin) * second**0.5)

    best = minimize_scalar(bound, bounds=(1e-3, total - 1e-3), options={"xatol": 1e-10}).x
    assert ldam_margins(counts)[0] == pytest.approx(best, rel=1e-5)
    assert best / (total - best) == pytest.approx((second / first) ** 0.25, rel=1e-5)


def test_without_margin_it_is_cross_entropy_of_scaled_cosines():
    y, z = cosines()
    found = ldam_loss(y, z, COUNTS, max_margin=0.0)
    np.testing.assert_allclose(found, cross_entropy(y, 30 * z), rtol=1e-6)


def test_sum_over_the_other_classes():
    y, z = cosines()
    z = z.astype("float64")
    at_label = z[np.arange(32), y] - ldam_margins(COUNTS)[y]
    other = np.exp(30 * (z - at_label[:, None]))
    other[np.arange(32), y] = 0
    found = ldam_loss(y, keras.ops.convert_to_tensor(z), COUNTS)
    np.testing.assert_allclose(found, np.log1p(other.sum(-1)), rtol=1e-6)


def test_balanced_counts_lower_every_label_alike():
    y, z = cosines()
    lowered = z - 0.5 * np.eye(10)[y]
    found = ldam_loss(y, z, [400] * 10)
    np.testing.assert_allclose(found, cross_entropy(y, 30 * lowered.astype("float32")), rtol=1e-5)


def test_large_margins_do_not_overflow():
    y, z = cosines()
    losses = np.asarray(ldam_loss(y, z, COUNTS, scale=1e4))
    assert np.isfinite(losses).all()
    # The logarithm of the sum is then the largest term, which is the hinge.
    hinge = np.asarray(ldam_hinge_loss(y, z, COUNTS))
    np.testing.assert_allclose(losses / 1e4, hinge, atol=1e-3)


def test_hinge_is_zero_beyond_the_margin():
    y = np.array([9])
    for label, expected in ((0.5, 0.0), (0.4, 0.1), (-1.0, 1.5)):
        z = np.zeros((1, 10), "float32")
        z[0, 9] = label
        found = ldam_hinge_loss(y, z, COUNTS)
        np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_configuration_is_plain():
    loss = LDAMLoss(np.array(COUNTS), max_margin=0.3, scale=10, class_weights=np.ones(10))
    config = json.loads(json.dumps(loss.get_config()))
    assert config["class_counts"] == COUNTS and config["class_weights"] == [1.0] * 10
    assert config["max_margin"] == 0.3 and config["scale"] == 10.0
    assert LDAMLoss.from_config(config).get_config() == config
