"""Times to memorize and to generalize, and slingshots, on curves where they are known."""

import numpy as np
import pytest

from tfphen.metrics.slingshot import grokking_times, slingshots


def cycles(count=3, length=1500, noise=0.0, seed=0):
    """Loss that falls and spikes, norm that grows until the spike and rests after it."""
    phase = np.arange(count * length) % length
    log = np.where(phase < 1000, -5 - phase / 1000, -5.0)
    log[1000::length] = -1.0
    log += noise * np.random.default_rng(seed).normal(size=len(log))
    norm = 10 + np.arange(len(phase)) // length + np.minimum(phase, 1000) / 1000
    return 10.0**log, norm


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_exactly_the_cycles_there_are(noise):
    found = slingshots(*cycles(3, noise=noise))
    assert (found.cycles, found.spikes) == (3, 3)
    np.testing.assert_array_equal(found.positions, [1000, 2500, 4000])
    np.testing.assert_array_equal(found.spike_positions, found.positions)


def test_nothing_on_lines_and_noise():
    steps = np.arange(6000)
    generator = np.random.default_rng(1)
    for log in (-3 - steps / 2000, -8 + steps / 2000, np.full(6000, -4.0)):
        assert slingshots(10.0**log, steps / 100).spikes == 0
    # Noise of a standard deviation below .3 decades, taken to be smooth as losses of full batches.
    smooth = np.convolve(generator.normal(size=6099), np.ones(100) / 10, "valid")
    assert slingshots(10.0 ** (-4 + 0.25 * smooth), steps / 100).spikes == 0
    assert slingshots(10.0 ** (-4 + 0.2 * generator.normal(size=6000)), steps / 100).spikes == 0


def test_a_spike_needs_both_conditions_on_the_norm():
    loss, norm = cycles(3)
    shrinking = slingshots(loss, -norm)
    assert (shrinking.cycles, shrinking.spikes) == (0, 3)
    # It never rests.
    growing = slingshots(loss, np.arange(len(loss)) / 1000)
    assert (growing.cycles, growing.spikes) == (0, 3)
    # Half as much growth after the spike as before rests by a laxer standard.
    phase = np.arange(len(loss)) % 1500
    slower = np.minimum(phase, 1000) / 1000 + np.maximum(phase - 1000, 0) / 2000
    assert slingshots(loss, slower).cycles == 0
    assert slingshots(loss, slower, plateau=0.6).cycles == 3


def test_no_verdict_without_what_follows():
    loss, norm = cycles(3)
    found = slingshots(loss[:4400], norm[:4400])
    assert (found.cycles, found.spikes) == (2, 3)
    assert slingshots(loss[:4401], norm[:4401]).cycles == 3
    # The last point is no maximum: the loss may rise on.
    assert slingshots(loss[:4001], norm[:4001]).spikes == 2


def test_the_settings_do_what_they_say():
    loss, norm = cycles(3)
    assert slingshots(loss, norm, rise=4.5).spikes == 3
    assert slingshots(loss, norm, rise=5.0).spikes == 0
    # The loss is below 1e-2 from the first point on.
    assert slingshots(loss, norm, settle=1000).spikes == 3
    assert slingshots(loss, norm, settle=1001).spikes == 2
    # It falls below 10^-5.5 at point 501.
    assert slingshots(loss, norm, low_loss=10.0**-5.5, settle=499).spikes == 3
    assert slingshots(loss, norm, low_loss=10.0**-5.5, settle=500).spikes == 2
    assert slingshots(loss, norm, low_loss=10.0**-6.5).spikes == 0
    assert slingshots(loss, norm, floor=0.05).spikes == 0
    # Growth in the last 60 points before the spike does not count.
    late = np.clip(np.arange(len(loss)) % 1500 - 950, 0, 50) / 1000
    assert slingshots(loss, late, growth_lag=10).cycles == 3
    assert slingshots(loss, late, growth_lag=60).cycles == 0


def test_every_tenth_point_gives_the_same_cycles():
    loss, norm = cycles(3)
    found = slingshots(loss[::10], norm[::10], window=20, growth_lag=1, settle=30)
    np.testing.assert_array_equal(found.positions, [100, 250, 400])


def test_one_spike_of_several_points_is_one():
    loss, norm = cycles(3)
    for offset in range(1, 40):
        loss[1000 + offset :: 1500] = 10.0 ** (-1 - 4 * offset / 40)
    loss[1020::1500] = 0.5
    found = slingshots(loss, norm)
    np.testing.assert_array_equal(found.spike_positions, [1020, 2520, 4020])


def test_blocks_of_medians_join(monkeypatch):
    from tfphen.metrics import slingshot

    expected = slingshots(*cycles(4, noise=0.1))
    monkeypatch.setattr(slingshot, "_BLOCK", 70)
    found = slingshots(*cycles(4, noise=0.1))
    np.testing.assert_array_equal(found.spike_positions, expected.spike_positions)


def test_short_curves_and_high_losses_have_none():
    for loss, norm in (([], []), ([0.1] * 5, [1.0] * 5), (np.ones(3000), np.arange(3000.0))):
        found = slingshots(loss, norm)
        assert found.cycles == found.spikes == 0
        assert found.positions.shape == found.spike_positions.shape == (0,)


def test_grokking_times_of_several_trainings():
    steps = [0, 2, 4, 6, 8]
    train = [[0.0, 0.5, 1.0, 1.0, 1.0], [0.0, 0.99, 0.9, 1.0, 1.0], [0.0, 0.5, 0.6, 0.7, 0.8]]
    test = [[0.0, 0.0, 0.1, 0.9, 0.99], [0.0, 0.2, 0.3, 0.4, 0.5], [0.0, 0.0, 0.0, 0.99, 0.1]]
    found = grokking_times(steps, train, test)
    np.testing.assert_array_equal(found.memorised, [4, 2, np.nan])
    np.testing.assert_array_equal(found.generalised, [8, np.nan, 6])
    np.testing.assert_array_equal(found.test_accuracy, [0.1, 0.2, np.nan])
    earlier = grokking_times(steps, train, test, level=0.5)
    np.testing.assert_array_equal(earlier.memorised, [2, 2, 2])
    np.testing.assert_array_equal(earlier.generalised, [6, 8, 6])


def test_one_error_in_a_hundred_is_learned():
    for count in (100, 1700, 9300):
        accuracy = 1 - np.array([0.5, (count // 100) / count])
        assert grokking_times([1, 2], accuracy, accuracy).memorised == 2
