"""The Gini coefficient and the dispersion of success rates."""

import numpy as np
import pytest

from tfphen.metrics import binomial_dispersion, gini_coefficient


def test_gini_of_known_values():
    assert gini_coefficient([1, 1, 1, 1, 1]) == 0.0
    assert gini_coefficient([0, 0, 0, 0, 1]) == 0.8
    assert gini_coefficient([1, 2, 3, 4]) == 0.25
    assert gini_coefficient([3.0]) == 0.0
    assert np.isnan(gini_coefficient([0.0, 0.0]))
    assert gini_coefficient([0.1] * 7) == 0.0


def test_gini_is_half_the_relative_mean_difference():
    values = np.random.default_rng(0).exponential(size=(2, 3, 40))
    found = gini_coefficient(values)
    assert found.shape == (2, 3)
    pairs = np.abs(values[..., :, None] - values[..., None, :]).mean((-1, -2))
    np.testing.assert_allclose(found, pairs / (2 * values.mean(-1)), rtol=1e-12)
    for factor in (1e-300, 7.0, 1e307):
        np.testing.assert_allclose(gini_coefficient(values * factor), found, rtol=1e-6)
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_allclose(gini_coefficient(values[..., order]), found, rtol=1e-12)


def test_dispersion_is_its_formula():
    correct = np.random.default_rng(0).random((30, 50)) < np.linspace(0, 1, 50)
    rate = correct.mean(0)
    mean = rate.mean()
    expected = 30 * rate.var() / (mean * (1 - mean))
    assert binomial_dispersion(correct) == pytest.approx(expected, rel=1e-12) and expected > 5
    assert binomial_dispersion(correct.astype("float32").tolist()) == pytest.approx(expected)


def test_dispersion_of_coin_tosses_is_one_and_of_sure_examples_the_number_of_runs():
    generator = np.random.default_rng(0)
    for rate in (0.1, 0.5, 0.9):
        found = [binomial_dispersion(generator.random((100, 1000)) < rate) for _ in range(20)]
        assert np.mean(found) == pytest.approx(1.0, abs=0.03)
        assert np.std(found) == pytest.approx(np.sqrt(2 / 1000), rel=0.6)
    for right in (1, 40, 99):
        sure = np.tile(np.arange(100) < right, (17, 1))
        assert binomial_dispersion(sure) == 17.0
    assert binomial_dispersion(np.eye(6)) == 0.0
    assert np.isnan(binomial_dispersion(np.ones((3, 4))))


def test_wrong_inputs():
    for wrong in ([], [1.0, -1.0], [np.nan], [np.inf], 3.0):
        with pytest.raises(ValueError, match=r"`values` must.*Received"):
            gini_coefficient(wrong)
    for wrong in (np.ones(5), np.ones((1, 5)), np.ones((5, 1)), [[0.5, 1], [0, 1]], [[np.nan] * 2]):
        with pytest.raises(ValueError, match=r"`correct` must.*Received"):
            binomial_dispersion(wrong)
