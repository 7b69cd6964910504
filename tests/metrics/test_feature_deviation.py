"""Feature deviation: its definition, its null, and what equal subsets are for."""

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr

from tfphen.metrics import feature_deviation

SIZES = np.array([400, 270, 180, 120, 80, 54, 36, 24, 16, 8])


def independent(seed, sizes=SIZES, test=100, dimension=64):
    """Features of one distribution for all classes, in training and in test data."""
    generator = np.random.default_rng(seed)
    labels, test_labels = (
        np.repeat(np.arange(len(sizes)), sizes),
        np.arange(len(sizes)).repeat(test),
    )
    return (
        generator.normal(size=(len(labels), dimension)),
        labels,
        generator.normal(size=(len(test_labels), dimension)),
        test_labels,
    )


def all_examples(features, labels, test_features, test_labels):
    """The distance of the means of all examples of each class: the trap."""
    return [
        np.linalg.norm(features[labels == c].mean(0) - test_features[test_labels == c].mean(0))
        for c in np.unique(labels)
    ]


def test_definition():
    features, labels, test_features, test_labels = independent(0, [5, 4, 2], 6, 3)
    found = feature_deviation(features, labels, test_features, test_labels, num_subsets=4000)
    assert found.subset_size == 2
    assert found.classes.tolist() == [0, 1, 2] and found.train_count.tolist() == [5, 4, 2]
    assert found.test_count.tolist() == [6, 6, 6]
    traces = []
    for c in range(3):
        train, test = features[labels == c], test_features[test_labels == c]
        gap = [
            np.linalg.norm(np.mean(pair, 0) - test.mean(0))
            for pair in itertools.combinations(train, 2)
        ]
        assert found.distance[c] == pytest.approx(np.mean(gap), abs=4 * np.std(gap) / 63 + 1e-12)
        spread, test_spread = np.trace(np.cov(train.T)), np.trace(np.cov(test.T))
        null = np.sqrt(spread / 2 + test_spread / 6)
        assert found.null_distance[c] == pytest.approx(null, rel=1e-12)
        squared = ((train.mean(0) - test.mean(0)) ** 2).sum()
        squared -= spread / len(train) + test_spread / 6
        assert found.squared_deviation[c] == pytest.approx(squared, rel=1e-9)
        traces.append(test_spread)
    assert found.scale == pytest.approx(np.mean(traces), rel=1e-12)


def test_no_distance_where_the_sets_coincide():
    features, labels, _, _ = independent(0, [6, 6], dimension=5)
    found = feature_deviation(features, labels, features, labels)
    assert found.subset_size == 6 and found.distance.tolist() == [0.0, 0.0]


def test_scale_and_translation():
    data = independent(0, [20, 6, 5], 10, 4)
    features, labels, test_features, test_labels = data
    before = feature_deviation(*data)
    moved = feature_deviation(features + 9.0, labels, test_features + 9.0, test_labels)
    scaled = feature_deviation(-3.0 * features, labels, -3.0 * test_features, test_labels)
    np.testing.assert_allclose(moved.distance, before.distance, rtol=1e-10)
    np.testing.assert_allclose(scaled.distance, 3 * before.distance, rtol=1e-12)
    np.testing.assert_allclose(scaled.null_distance, 3 * before.null_distance, rtol=1e-12)
    np.testing.assert_allclose(scaled.squared_deviation, 9 * before.squared_deviation, rtol=1e-10)
    assert scaled.scale == pytest.approx(9 * before.scale)


def test_subsets_are_seeded_and_do_not_depend_on_other_classes():
    features, labels, test_features, test_labels = independent(0, [20, 15, 5], 10, 4)
    first = feature_deviation(features, labels, test_features, test_labels, 4, 20, seed=3)
    again = feature_deviation(features, labels, test_features, test_labels, 4, 20, seed=3)
    other = feature_deviation(features, labels, test_features, test_labels, 4, 20, seed=4)
    np.testing.assert_array_equal(first.distance, again.distance)
    assert (first.distance != other.distance).all()
    kept, kept_in_test = labels != 0, test_labels != 0
    without = feature_deviation(
        features[kept],
        labels[kept],
        test_features[kept_in_test],
        test_labels[kept_in_test],
        4,
        20,
        3,
    )
    np.testing.assert_array_equal(without.distance, first.distance[1:])


def test_without_deviation_only_unequal_subsets_see_one():
    """Independent features: all examples correlate with class size, equal subsets do not."""
    rounds = 30
    naive, fair, unbiased, ratios = [], [], [], []
    for seed in range(rounds):
        data = independent(seed)
        found = feature_deviation(*data, num_subsets=20)
        assert found.subset_size == 8
        naive.append(spearmanr(SIZES, all_examples(*data))[0])
        fair.append(spearmanr(SIZES, found.distance)[0])
        unbiased.append(spearmanr(SIZES, found.squared_deviation)[0])
        ratios.append(found.distance / found.null_distance)
    assert np.mean(naive) < -0.9
    assert abs(np.mean(fair)) < 3 * 0.35 / np.sqrt(rounds)
    assert abs(np.mean(unbiased)) < 3 * 0.35 / np.sqrt(rounds)
    # In 64 dimensions the distance hardly differs from the root of its mean square.
    np.testing.assert_allclose(np.mean(ratios, 0), 1.0, atol=0.03)


def test_the_squared_deviation_has_no_bias():
    generator = np.random.default_rng(0)
    sizes, shift, found = [40, 12, 3], np.array([0.0, 0.5, 0.0]), []
    labels, test_labels = np.repeat(np.arange(3), sizes), np.repeat(np.arange(3), 20)
    for _ in range(500):
        features = generator.normal(size=(55, 4)) + shift[labels][:, None]
        test = generator.normal(scale=[[1 + c] * 4 for c in test_labels])
        found.append(feature_deviation(features, labels, test, test_labels, 1, 1).squared_deviation)
    error = np.std(found, 0) / np.sqrt(500)
    assert (np.abs(np.mean(found, 0) - 4 * shift**2) < 3 * error).all()
    # What is taken off the rarest class by far exceeds the error that is left.
    assert 10 * error[2] < 4 / 3 + 4 * 9 / 20


def test_deviation_of_a_rare_class_shows():
    features, labels, test_features, test_labels = independent(0)
    features = features + 0.3 * (labels >= 7)[:, None]
    found = feature_deviation(features, labels, test_features, test_labels)
    assert spearmanr(SIZES, found.distance)[0] < -0.6
    assert found.squared_deviation[7:].min() > found.squared_deviation[:7].max()
    np.testing.assert_allclose(found.squared_deviation[7:].mean(), 64 * 0.09, rtol=0.25)


def test_a_class_of_one_example_has_no_variance():
    found = feature_deviation([[0.0], [2.0], [5.0]], [0, 0, -3], [[1.0], [4.0], [2.0]], [0, -3, -3])
    assert found.classes.tolist() == [-3, 0] and found.distance.tolist() == [2.0, 1.0]
    assert np.isnan(found.null_distance).all() and np.isnan(found.scale)


def test_wrong_inputs():
    features, labels, test_features, test_labels = independent(0, [5, 4], 6, 3)
    good = {
        "features": features,
        "labels": labels,
        "test_features": test_features,
        "test_labels": test_labels,
    }
    for change, name in (
        ({"features": np.full_like(features, np.nan)}, "features"),
        ({"test_features": np.full_like(test_features, np.inf)}, "test_features"),
        ({"labels": labels + 0.5}, "labels"),
        ({"labels": labels[:-1]}, "features"),
        ({"test_labels": test_labels[:-1]}, "test_features"),
        ({"test_features": test_features[:, :2]}, "test_features"),
        ({"test_labels": test_labels + 1}, "test_labels"),
        ({"subset_size": 5}, "subset_size"),
        ({"subset_size": 0}, "subset_size"),
        ({"num_subsets": 0}, "num_subsets"),
        ({"seed": None}, "seed"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
            feature_deviation(**{**good, **change})
