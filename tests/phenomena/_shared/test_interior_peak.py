"""The scoring of a peak tells a peak from a fall, a U and noise."""

import numpy as np
import pytest

from tfphen.phenomena._shared.interior_peak import interior_peak

GRID = np.linspace(0.0, 1.0, 9)
SHAPES = {
    "fall": 1.0 - GRID,
    "rise": GRID,
    "u": (GRID - 0.4) ** 2 * 4,
    "peak": np.array([1.0, 0.6, 0.4, 0.5, 0.9, 1.1, 0.7, 0.4, 0.3]),
}


def curves(shape, noise=0.02, count=10, seed=0):
    generator = np.random.default_rng(seed)
    return SHAPES[shape] + noise * generator.normal(size=(count, len(GRID)))


def test_rise_and_drop_of_a_peak():
    found = interior_peak(curves("peak", noise=0.0))
    np.testing.assert_allclose(found.rise, 0.7)
    np.testing.assert_allclose(found.drop, 0.8)
    assert np.all(found.position == 5)
    noisy = interior_peak(curves("peak"))
    assert abs(noisy.rise.mean() - 0.7) < 0.03 and abs(noisy.drop.mean() - 0.8) < 0.03


def test_a_fall_has_no_rise_and_a_u_no_drop():
    assert interior_peak(curves("fall", noise=0.0)).rise.max() <= 0
    assert interior_peak(curves("u", noise=0.0)).drop.max() <= 0
    assert interior_peak(curves("rise", noise=0.0)).drop.max() <= 0


def test_noise_alone_is_not_taken_for_a_rise():
    """The place of a peak is chosen by other curves, so that its height is not inflated."""
    rises = [interior_peak(curves("fall", 0.3, 6, seed)).rise.mean() for seed in range(300)]
    flat = [
        interior_peak(0.3 * np.random.default_rng(s).normal(size=(6, 9))).rise.mean()
        for s in range(300)
    ]
    assert np.mean(rises) < 0.0
    assert abs(np.mean(flat)) < 4 * np.std(flat) / np.sqrt(300)


@pytest.mark.parametrize("shape", [(1, 5), (4, 2), (5,)])
def test_too_few_curves_or_points_are_refused(shape):
    with pytest.raises(ValueError, match=r"Received: shape"):
        interior_peak(np.zeros(shape))
