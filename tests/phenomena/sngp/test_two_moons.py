"""Two moons, half circles about given centers, moved apart, and points far from them."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.phenomena.sngp.two_moons import (
    far_cluster,
    fresh_moons,
    nearest_distances,
    plane_grid,
    two_moons,
)


def test_each_class_is_a_half_circle_of_radius_one():
    data = two_moons(train_size=401, noise=0.0)
    np.testing.assert_array_equal(np.bincount(data.train_labels), [200, 201])
    assert data.train_inputs.shape == (401, 2) and data.num_classes == 2
    # The centers of scikit-learn's moons are (0, 0) and (1, 0.5).
    for label, center, side in ((0, (-0.1, 0.2), 1), (1, (1.1, 0.3), -1)):
        offset = data.train_inputs[data.train_labels == label] - np.float32(center)
        np.testing.assert_allclose(np.linalg.norm(offset, axis=1), 1.0, atol=1e-6)
        assert (side * offset[:, 1]).min() > -1e-6


def test_they_are_the_moons_of_scikit_learn_moved():
    from sklearn.datasets import make_moons

    points, labels = make_moons(60, shuffle=False)
    points = points + np.where(labels[:, None] == 0, (-0.1, 0.2), (0.1, -0.2))
    ours = two_moons(train_size=60, noise=0.0)
    for label in (0, 1):
        expected = np.sort(points[labels == label], 0)
        ours_sorted = np.sort(ours.train_inputs[ours.train_labels == label], 0)
        np.testing.assert_allclose(ours_sorted, expected, atol=1e-6)


def test_noise_has_the_given_deviation():
    still, noisy = (two_moons(train_size=4000, noise=noise) for noise in (0.0, 0.1))
    np.testing.assert_array_equal(still.train_labels, noisy.train_labels)
    np.testing.assert_allclose((noisy.train_inputs - still.train_inputs).std(0), 0.1, rtol=0.05)


def test_seeds_and_streams():
    first, again, other = two_moons(), two_moons(test_size=10), two_moons(generator_seed=1)
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
    assert np.abs(first.train_inputs - other.train_inputs).max() > 0.1
    fresh = fresh_moons(train_size=7, test_size=1000)
    assert fresh.shape == first.test_inputs.shape
    for known in (first.train_inputs, first.test_inputs):
        assert nearest_distances(fresh, known).min() > 0.0
    assert (far_cluster(5, 3) != far_cluster(5, 4)).all()


def test_far_cluster_and_grid():
    far = far_cluster(2000)
    np.testing.assert_allclose(far.mean(0), (2.5, -1.75), atol=0.01)
    np.testing.assert_allclose(far.std(0), 0.1, rtol=0.06)
    assert nearest_distances(far, two_moons().train_inputs).min() > 0.5
    grid = plane_grid(3)
    np.testing.assert_allclose(grid[[0, 1, 3, 8]], [(-3.5, -2.5), (0, -2.5), (-3.5, 0), (3.5, 2.5)])


def test_distances_are_to_the_nearest_example():
    places = np.array([[0.0, 0.0], [4.0, 0.0]])
    np.testing.assert_allclose(
        nearest_distances(places, np.array([[3.0, 4.0], [4.0, 1.0]])), [4.1231056, 1.0]
    )


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"train_size": 1}, "train_size"), ({"noise": -0.1}, "noise"), ({"test_size": 2.5}, "test")],
)
def test_settings_out_of_range(settings, name):
    with pytest.raises(UsageError, match=f"{name}.*Received"):
        two_moons(**settings)
