"""What class weights do to linear models, on data where the answer is known.

The identities are those of the importance-weighting study (Byrd and Lipton 2019, arXiv 1812.03372):
mirror-symmetric data make opposite weights mirror images, and on separable data weighted and
unweighted minimisers turn into one direction as the penalty vanishes.
"""

import keras
import numpy as np
import pytest
from scipy import optimize

from tfphen.losses import class_weighted_crossentropy
from tfphen.metrics.flatness.hessian_products import compiled_gradient

RATIO = 10.0


def blobs(seed, count=20):
    """Two separable Gaussian blobs, mirror images of each other, `[2 count, 2]`, and labels."""
    offsets = np.random.default_rng(seed).normal(size=(count, 2))
    offsets /= np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True) / 2.0, 1.0)
    points = np.array([2.5, -2.5]) + offsets
    return np.concatenate([points, -points]), np.repeat([0, 1], count)


@pytest.fixture(scope="module")
def loss_and_gradient(tensorflow):
    """Value and gradient of the mean weighted loss in (w_1, w_2, b), float64."""

    def function(parameters, inputs, labels, weights):
        scores = keras.ops.matmul(inputs, parameters[:2, None])[:, 0] + parameters[2]
        logits = keras.ops.stack([0.5 * scores, -0.5 * scores], axis=-1)
        losses = class_weighted_crossentropy(labels, logits, weights)
        return keras.ops.mean(losses), keras.ops.mean(losses)

    compiled = compiled_gradient(function)

    def call(parameters, inputs, labels, ratio, penalty=0.0):
        # Rescaled to a mean of 1 over the training set, which is balanced.
        weights = np.array([ratio, 1.0]) * 2.0 / (ratio + 1.0)
        gradient, value = compiled(np.asarray(parameters, "float64"), inputs, labels, weights)
        decayed = np.array([*parameters[:2], 0.0])
        return float(value) + 0.5 * penalty * decayed @ decayed, gradient + penalty * decayed

    return call


def share_of_first_class(parameters):
    """Of a grid that is its own mirror image, without the points on the boundary itself."""
    axis = np.linspace(-6.5, 6.5, 40)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    return np.mean(grid @ parameters[:2] + parameters[2] > 0)


def test_opposite_weights_are_mirror_images_at_every_step(loss_and_gradient):
    inputs, labels = blobs(0)
    up, down, equal = np.zeros(3), np.zeros(3), np.zeros(3)
    spreads = []
    for _ in range(30):
        for parameters, ratio in ((up, RATIO), (down, 1 / RATIO), (equal, 1.0)):
            parameters -= 0.3 * loss_and_gradient(parameters, inputs, labels, ratio)[1]
        total = share_of_first_class(up) + share_of_first_class(down)
        assert total == pytest.approx(1.0, abs=1e-6)
        np.testing.assert_allclose(up[:2], down[:2], atol=1e-12)
        assert up[2] == pytest.approx(-down[2], abs=1e-12)
        # Equal weights: no spread between the two directions of the ratio, and no offset.
        assert equal[2] == pytest.approx(0.0, abs=1e-12)
        assert share_of_first_class(equal) == pytest.approx(0.5, abs=1e-6)
        spreads.append(share_of_first_class(up) - share_of_first_class(down))
    assert min(spreads) > 0.05


def test_weighted_and_unweighted_solutions_turn_into_one_direction(loss_and_gradient):
    inputs, labels = blobs(1)
    starts = {ratio: np.zeros(3) for ratio in (1.0, RATIO)}
    angles = []
    for penalty in (1e-1, 1e-2, 1e-3, 1e-4, 1e-5):
        for ratio, start in starts.items():
            found = optimize.minimize(
                loss_and_gradient,
                start,
                args=(inputs, labels, ratio, penalty),
                jac=True,
                method="BFGS",
                options={"gtol": 1e-9, "maxiter": 2000},
            )
            starts[ratio] = found.x
        one, other = (x / np.linalg.norm(x) for x in starts.values())
        angles.append(np.degrees(np.arccos(np.clip(one @ other, -1, 1))))
    assert all(np.diff(angles) < 0), angles
    assert angles[-1] < 0.6 * angles[0]
