"""Signals for shift invariance: exact sums, orthogonality, and classes."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.metrics import dc_margin
from tfphen.phenomena.shift_invariance.dots import (
    dots,
    offset_signals,
    orthogonal_frequencies,
    orthogonal_vectors,
)


def split(data):
    inputs = data.train_inputs.astype("float64").reshape(len(data.train_inputs), -1)
    return inputs[data.train_labels == 0], inputs[data.train_labels == 1]


@pytest.mark.parametrize(("size", "dimensions"), [(9, 1), (5, 2)])
def test_dots_differ_in_one_pixel(size, dimensions):
    data = dots(size=size, dimensions=dimensions, contrast=0.5, background=0.25)
    shape = (size,) if dimensions == 1 else (size, size, 1)
    assert data.train_inputs.shape == (2, *shape)
    (bright,), (dark,) = split(data)
    assert np.flatnonzero(bright != 0.25).tolist() == [bright.size // 2]
    assert bright.max() == 0.75
    assert dark.min() == -0.25
    # The corollary: the gap is twice the contrast without invariance.
    assert np.linalg.norm(bright - dark) == 1.0
    exact = 2 * 0.5 / np.sqrt(size**dimensions)
    np.testing.assert_allclose(dc_margin(dark[None], bright[None]).margin, exact, rtol=1e-6)
    np.testing.assert_array_equal(data.test_inputs, data.train_inputs)


def test_place_and_mean():
    bright, dark = dots(size=4, dimensions=1, place=3, zero_mean=True).train_inputs
    np.testing.assert_allclose(bright, [-0.25, -0.25, -0.25, 0.75])
    np.testing.assert_allclose(dark, -bright)
    gray = dots(size=4, dimensions=2, contrast=0.5, background=0.5, zero_mean=True).train_inputs
    np.testing.assert_allclose(gray.mean((1, 2, 3)), [0.5, 0.5])
    assert gray.min() >= 0
    assert gray.max() <= 1


def test_vectors_are_orthonormal_and_follow_the_seed():
    data = orthogonal_vectors(length=40, per_class=6, generator_seed=3)
    inputs = data.train_inputs.astype("float64")
    np.testing.assert_allclose(inputs @ inputs.T, np.eye(12), atol=1e-6)
    assert np.bincount(data.train_labels).tolist() == [6, 6]
    again = orthogonal_vectors(length=40, per_class=6, generator_seed=3)
    np.testing.assert_array_equal(data.train_inputs, again.train_inputs)
    other = orthogonal_vectors(length=40, per_class=6, generator_seed=4)
    assert np.abs(data.train_inputs - other.train_inputs).max() > 0.1


def test_classes_are_odd_and_even_frequencies():
    data = orthogonal_frequencies(length=64, per_class=6)
    power = np.abs(np.fft.rfft(data.train_inputs, axis=1)) ** 2
    peaks = power.argmax(1)
    np.testing.assert_allclose(power.max(1) / power.sum(1), 1.0, atol=1e-6)
    assert peaks[data.train_labels == 0].tolist() == [1, 1, 3, 3, 5, 5]
    assert peaks[data.train_labels == 1].tolist() == [2, 2, 4, 4, 6, 6]
    inputs = data.train_inputs.astype("float64")
    np.testing.assert_allclose(inputs @ inputs.T, np.eye(12), atol=1e-6)


def test_shifts_of_different_frequencies_stay_orthogonal():
    first, second = split(orthogonal_frequencies(length=32, per_class=4))
    for by in range(32):
        assert np.abs(first @ np.roll(second, by, axis=1).T).max() < 1e-6


def test_the_closed_grid_is_only_nearly_orthogonal():
    inputs = orthogonal_frequencies(length=4000, per_class=50, grid="closed").train_inputs
    gram = inputs.astype("float64") @ inputs.T - np.eye(100)
    assert 4e-4 < np.abs(gram).max() < 6e-4


def test_offsets_leave_the_gap_between_the_means():
    low, high = split(offset_signals(length=10, per_class=50, gap=0.4))
    sums = low.sum(1) / np.sqrt(10), high.sum(1) / np.sqrt(10)
    assert -1.2001 < sums[0].min() < sums[0].max() < -0.1999
    assert 0.1999 < sums[1].min() < sums[1].max() < 1.2001
    assert dc_margin(low, high).margin > 0.4 - 1e-6


@pytest.mark.parametrize(
    ("function", "settings", "words"),
    [
        (dots, {"dimensions": 3}, "`dimensions` must be an integer from 1 to 2"),
        (dots, {"size": 5, "place": 5}, "`place` must be an integer from 0 to 4"),
        (orthogonal_vectors, {"length": 10, "per_class": 6}, "`per_class` must be an integer"),
        (orthogonal_frequencies, {"per_class": 5}, "`per_class` is even"),
        (orthogonal_frequencies, {"length": 10, "per_class": 6}, "below half of `length`"),
        (orthogonal_frequencies, {"grid": "open"}, "`grid` must be one of"),
    ],
)
def test_refusals(function, settings, words):
    with pytest.raises(UsageError, match=words):
        function(**settings)
