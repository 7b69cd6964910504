"""Gaussian mixtures: known means, known Bayes error, independent streams."""

import math

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data.mixtures import bayes_error, gaussian_mixture


def class_means(data):
    parts = [data.train_inputs[data.train_labels == c] for c in range(data.num_classes)]
    return np.array([part.mean(axis=0, dtype=np.float64) for part in parts])


def test_means_are_orthogonal_and_of_the_given_norm():
    data = gaussian_mixture(classes=4, dimensions=6, radius=5.0, noise=0.0, noise_dimensions=3)
    means = class_means(data)
    np.testing.assert_allclose(means @ means.T, 25 * np.eye(4), atol=1e-4)
    assert data.train_inputs.shape == (1600, 9) and data.test_inputs.shape == (800, 9)
    np.testing.assert_array_equal(means[:, 6:], 0)
    np.testing.assert_array_equal(np.bincount(data.train_labels), [400] * 4)


def test_gaussian_directions_have_the_given_norm_and_need_not_be_orthogonal():
    data = gaussian_mixture(classes=8, dimensions=5, noise=0.0, directions="gaussian")
    gram = class_means(data)
    gram = gram @ gram.T
    np.testing.assert_allclose(np.diag(gram), 9, rtol=1e-4)
    assert np.abs(gram - np.diag(np.diag(gram))).max() > 1


@pytest.mark.parametrize("classes", [2, 5])
def test_the_nearest_mean_reaches_the_bayes_error(classes):
    settings = {"classes": classes, "dimensions": 5, "radius": 2.0, "noise": 0.8}
    means = class_means(gaussian_mixture(**{**settings, "noise": 0.0}))
    data = gaussian_mixture(**settings, test_per_class=20000)
    guesses = (data.test_inputs @ means.T).argmax(1)
    error = np.mean(guesses != data.test_labels)
    expected = bayes_error(classes, 2.0, 0.8)
    deviation = math.sqrt(expected * (1 - expected) / len(guesses))
    assert abs(error - expected) < 4 * deviation


def test_bayes_error_of_two_classes_is_the_closed_form():
    for radius, noise in ((0.0, 1.0), (1.0, 1.0), (3.0, 0.5)):
        expected = 0.5 * math.erfc(radius / (2 * noise))
        assert bayes_error(2, radius, noise) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_noise_has_the_given_deviation_in_every_dimension():
    data = gaussian_mixture(classes=2, noise=0.5, noise_dimensions=5, train_per_class=2000)
    residual = data.train_inputs - class_means(data)[data.train_labels]
    np.testing.assert_allclose(residual.std(axis=0), 0.5, rtol=0.06)


def test_seeds_and_streams():
    first, again = gaussian_mixture(), gaussian_mixture()
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
    other = gaussian_mixture(generator_seed=1)
    assert not np.array_equal(first.train_inputs, other.train_inputs)
    larger_test = gaussian_mixture(test_per_class=500)
    np.testing.assert_array_equal(first.train_inputs, larger_test.train_inputs)
    assert not np.array_equal(first.train_inputs[:2000], first.test_inputs)
    assert (np.diff(first.train_labels) < 0).any(), "classes come in random order"


@pytest.mark.parametrize(
    "options, text",
    [
        ({"classes": 21}, "classes=21, dimensions=20"),
        ({"classes": 1}, "classes=1"),
        ({"noise": -1}, "noise=-1"),
        ({"directions": "random"}, "directions='random'"),
        ({"train_per_class": 0.5}, "train_per_class=0.5"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(UsageError, match=text):
        gaussian_mixture(**options)
