"""Measures of class activations: built examples, invariances, and what the estimate really is."""

import math

import numpy as np
import pytest

from tfphen.metrics import activation_complexity, class_activation_cosine, unit_selectivity


def activations(count=300, classes=10, seed=0):
    generator = np.random.default_rng(seed)
    predicted = generator.integers(0, classes, count)
    lower = np.maximum(generator.normal(size=(count, 8)) + np.eye(classes, 8)[predicted], 0.0)
    upper = np.maximum(generator.normal(size=(count, 6)) + np.eye(classes, 6)[predicted], 0.0)
    return lower, upper, predicted


# ---- cosine of class activation matrices ---------------------------------------------------------


def test_against_mean_outer_products_and_sums_over_pairs_of_examples():
    lower, upper, predicted = activations()
    found = class_activation_cosine(lower, upper, predicted, 10)
    outer = lower[:, :, None] * upper[:, None, :]
    means = np.stack([outer[predicted == c].mean(0).ravel() for c in range(10)])
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(found.cosines, unit @ unit.T)
    expected = (unit @ unit.T)[~np.eye(10, dtype=bool)].mean()
    assert found.mean_cosine == pytest.approx(expected)
    assert 0.1 < found.mean_cosine < 0.95
    # <M_c, M_d> is the mean over pairs of examples of <a, a'> <b, b'>.
    first, second = predicted == 0, predicted == 1
    pairs = (lower[first] @ lower[second].T) * (upper[first] @ upper[second].T)
    assert means[0] @ means[1] == pytest.approx(pairs.mean())


def test_identical_and_disjoint_matrices():
    predicted = np.arange(20) % 10
    same = class_activation_cosine(np.ones((20, 3)), np.ones((20, 4)), predicted, 10)
    assert same.mean_cosine == pytest.approx(1.0)
    apart = class_activation_cosine(np.ones((20, 3)), np.eye(10)[predicted], predicted, 10)
    assert apart.mean_cosine == 0.0
    assert apart.num_predicted == same.num_predicted == 10


def test_scale_does_not_matter():
    lower, upper, predicted = activations()
    first = class_activation_cosine(lower, upper, predicted, 10).mean_cosine
    for low, high in ((1e200, 1.0), (3.0, 1e-200)):
        found = class_activation_cosine(low * lower, high * upper, predicted, 10)
        assert found.mean_cosine == pytest.approx(first, rel=1e-12)


def test_classes_that_are_never_predicted_lower_the_mean():
    lower, upper, predicted = activations(classes=3)
    three = class_activation_cosine(lower, upper, predicted, 3)
    ten = class_activation_cosine(lower, upper, predicted, 10)
    assert (three.num_predicted, ten.num_predicted) == (3, 3)
    assert ten.mean_cosine == pytest.approx(three.mean_cosine * 6 / 90)
    assert not ten.cosines[5].any()


# ---- the complexity estimate ---------------------------------------------------------------------


def test_the_estimate_is_of_mean_activations_and_scales_with_them():
    _, upper, predicted = activations(count=20_000)
    first = activation_complexity(upper, predicted)
    assert activation_complexity(4.0 * upper, predicted) == pytest.approx(4.0 * first, rel=1e-12)
    # Another layer with the same mean activation of each example has the same estimate.
    levels = np.repeat(upper.mean(1, keepdims=True), 3, axis=1)
    assert activation_complexity(levels, predicted) == pytest.approx(first, rel=1e-12)
    expected = 2.25 * math.sqrt(20 * (upper.mean(1) ** 2).mean())
    assert first == pytest.approx(expected, rel=0.05)


def test_equal_activations_give_the_largest_sum_of_signs():
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (50, 20))
    predicted = np.zeros(39, int)
    found = activation_complexity(np.full((39, 5), 0.7), predicted)
    assert found == pytest.approx(0.7 * signs.sum(1).max())
    assert math.isnan(activation_complexity(np.ones((19, 5)), predicted[:19]))


def test_classes_weigh_equally_however_many_blocks_they_have():
    values = np.repeat([1.0, 10.0], [80, 20])[:, None]
    predicted = np.repeat([0, 1], [80, 20])
    parts = [
        activation_complexity(values[predicted == c], predicted[predicted == c]) for c in (0, 1)
    ]
    assert activation_complexity(values, predicted) == pytest.approx(np.mean(parts))


# ---- selectivity of units ------------------------------------------------------------------------


def test_selectivity_of_known_units():
    predicted = np.arange(100) % 10
    features = np.zeros((100, 4))
    features[:, 0] = 1.0
    features[predicted == 3, 1] = 2.0
    features[predicted < 2, 2] = 0.5
    found = unit_selectivity(features, predicted, 10)
    gains = 1.0 / np.log2(np.arange(2, 12))
    two = ((gains[0] + gains[1]) / 2 - gains.mean()) / (1 - gains.mean())
    np.testing.assert_allclose(found.selectivity, [0.0, 1.0, two, np.nan], atol=1e-12)
    assert found.mean_selectivity == pytest.approx((1 + two) / 3)
    assert found.active_ratio == pytest.approx((100 + 10 + 20) / 400)


def test_a_layer_that_is_never_active():
    found = unit_selectivity(np.zeros((5, 2)), [0, 1, 2, 0, 1], 3)
    assert found.active_ratio == 0.0
    assert math.isnan(found.mean_selectivity)
