"""The inverse participation ratio of spectra that are known."""

import numpy as np
import pytest

from tfphen.metrics import inverse_participation_ratio


def test_waves():
    n = np.arange(59)
    for frequency in range(30):
        wave = 2.5 * np.cos(2 * np.pi * frequency * n / 59 + 0.3)
        assert inverse_participation_ratio(wave) == pytest.approx(1.0)
    for count in (2, 3, 7):
        waves = sum(np.cos(2 * np.pi * k * n / 59 + k) for k in range(1, count + 1))
        assert inverse_participation_ratio(waves) == pytest.approx(1 / count)
    # A unit vector holds all of the n // 2 + 1 frequencies alike.
    assert inverse_participation_ratio(np.eye(59)[7]) == pytest.approx(1 / 30)


@pytest.mark.parametrize(("n", "expected"), [(53, 0.072), (97, 0.040)])
def test_noise(n, expected):
    rows = np.random.default_rng(0).normal(size=(5000, n))
    found = inverse_participation_ratio(rows)
    assert found.shape == (5000,)
    assert found.mean() == pytest.approx(expected, abs=0.001)
    assert found.mean() == pytest.approx(4 / n, rel=0.06)


def test_scale_shift_axes_and_zeros():
    rows = np.random.default_rng(1).normal(size=(2, 3, 20))
    found = inverse_participation_ratio(rows)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(inverse_participation_ratio(1e-200 * rows), found)
    np.testing.assert_allclose(inverse_participation_ratio(1e200 * rows), found)
    np.testing.assert_allclose(inverse_participation_ratio(np.roll(rows, 7, -1)), found)
    rows[1, 2] = 0.0
    assert np.isnan(inverse_participation_ratio(rows)).tolist() == [
        [False] * 3,
        [False] * 2 + [True],
    ]
