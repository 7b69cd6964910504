"""The poly-tailed loss: its two branches, their meeting point, and what its tail does."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize

from tfphen.losses.poly_tailed import PolyTailedLoss, poly_tailed_loss


def at_margin(margins, alpha, label=1):
    margins = np.atleast_1d(np.asarray(margins, "float64"))
    z = np.stack([np.zeros_like(margins), margins * (2 * label - 1)], -1)
    return np.asarray(poly_tailed_loss(np.full(len(margins), label), tf.constant(z), alpha))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_continuous_at_one_and_decreasing(alpha):
    assert at_margin(1.0, alpha)[0] == pytest.approx(1.0, abs=1e-12)
    assert at_margin(np.nextafter(1.0, 2.0), alpha)[0] == pytest.approx(1.0, abs=1e-12)
    margins = np.linspace(-20, 50, 7001)
    losses = at_margin(margins, alpha)
    assert (np.diff(losses) < 0).all()
    np.testing.assert_allclose(losses, at_margin(margins, alpha, label=0), rtol=1e-12)
    beyond = margins > 1
    np.testing.assert_allclose(losses[beyond], margins[beyond] ** -alpha, rtol=1e-12)
    left = np.log1p(np.exp(-margins[~beyond])) / np.log1p(np.exp(-1))
    np.testing.assert_allclose(losses[~beyond], left, rtol=1e-9)


def test_gradients_are_finite_far_out():
    z = tf.constant([[0.0, -1e4], [0.0, 0.0], [0.0, 1e4], [0.0, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = poly_tailed_loss([1, 1, 1, 1], z, alpha=0.5)
    gradient = tape.gradient(loss, z).numpy()
    scale = 1 / np.log1p(np.exp(-1))
    expected = [-scale, -scale / 2, -0.5 * 1e4**-1.5, -scale / (1 + np.e)]
    np.testing.assert_allclose(gradient[:, 1], expected, rtol=1e-5)


def test_weights_keep_moving_the_direction():
    # Σ w_i m_i^-α on the circle: the weighted direction differs from the unweighted one, and is
    # the direction that minimizing the loss itself tends to.
    x = np.array([[1.0, 0.2], [-0.2, -1.0]])
    weights, signs = np.array([8.0, 1.0]), np.array([1, -1])

    def risk(vector, factor):
        z = np.stack([np.zeros(2), factor * (x @ vector)], -1)
        losses = poly_tailed_loss((signs + 1) // 2, tf.constant(z), 1.0)
        return float(np.dot(factor * np.asarray(losses), weights))

    def angle(function):
        found = minimize(lambda a: function(np.array([np.cos(a[0]), np.sin(a[0])])), [0.7])
        return found.x[0]

    limit = angle(lambda vector: np.dot(weights, 1 / (signs * (x @ vector))))
    equal = angle(lambda vector: np.sum(1 / (signs * (x @ vector))))
    assert equal == pytest.approx(np.pi / 4, abs=1e-4) and limit < equal - 0.1
    assert angle(lambda vector: risk(vector, 1e3)) == pytest.approx(limit, abs=1e-3)


def test_class_holds_alpha_and_weights():
    loss = PolyTailedLoss(alpha=2, class_weights=[1.0, 4.0])
    assert float(loss([1], [[0.0, 2.0]])) == pytest.approx(1.0, rel=1e-6)
    assert loss.get_config()["alpha"] == 2.0 and loss.get_config()["class_weights"] == [1.0, 4.0]
