"""The vote of clean neighbors: limits that are known, chance, and a loop beside it."""

import math

import numpy as np
import pytest

from tfphen.metrics.noisy_neighbours import noisy_neighbours


def labels(count=600, classes=10, rate=0.2, seed=0):
    generator = np.random.default_rng(seed)
    clean = generator.integers(0, classes, count)
    redrawn = generator.random(count) < rate
    return clean, np.where(redrawn, generator.integers(0, classes, count), clean)


def test_features_that_are_the_true_or_the_given_label():
    clean, given = labels()
    found = noisy_neighbours(np.eye(10)[clean], given, clean)
    assert found == (1.0, 0.0, int((clean != given).sum()))
    assert found.num_noisy > 50
    # Representations of each given label have collapsed, whatever the true class.
    assert noisy_neighbours(np.eye(10)[given], given, clean)[:2] == (0.0, 1.0)


def test_labels_that_are_redrawn_as_they_were_count_as_clean():
    clean, given = labels(rate=1.0, count=3000)
    found = noisy_neighbours(np.random.default_rng(1).normal(size=(3000, 5)), given, clean)
    assert found.num_noisy == pytest.approx(0.9 * 3000, rel=0.03)
    # Chance, since the features know of neither.
    assert found.clean_vote == pytest.approx(0.1, abs=0.03)
    assert found.noisy_vote == pytest.approx(0.1, abs=0.03)


def test_shuffled_rows_are_at_chance():
    clean, given = labels(count=2000)
    order = np.random.default_rng(2).permutation(2000)
    found = noisy_neighbours(np.eye(10)[clean][order], given, clean)
    assert found.clean_vote < 0.2


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("neighbors", [1, 5, 10])
def test_against_a_loop(distance, neighbors):
    generator = np.random.default_rng(3)
    clean, given = labels(count=200, classes=4, rate=0.4)
    features = generator.normal(size=(200, 6)) + np.eye(6)[clean] + 1.0
    votes = []
    for example in np.flatnonzero(clean != given):
        others = np.flatnonzero(clean == given)
        if distance == "cosine":
            cosines = features[others] @ features[example]
            apart = -cosines / np.linalg.norm(features[others], axis=1)
        else:
            apart = np.linalg.norm(features[others] - features[example], axis=1)
        nearest = others[np.argsort(apart)[:neighbors]]
        votes.append(np.bincount(clean[nearest], minlength=4).argmax())
    wrong = clean != given
    found = noisy_neighbours(features, given, clean, num_neighbors=neighbors, distance=distance)
    assert found.clean_vote == pytest.approx(np.mean(votes == clean[wrong]))
    assert found.noisy_vote == pytest.approx(np.mean(votes == given[wrong]))
    assert found.clean_vote + found.noisy_vote <= 1.0
    scaled = noisy_neighbours(
        1e200 * features, given[:, None], clean[:, None], num_neighbors=neighbors, distance=distance
    )
    assert scaled == found


def test_rows_of_zeros_are_as_far_from_all():
    clean = np.array([0, 0, 1, 1, 1, 0])
    given = np.array([0, 0, 1, 1, 0, 1])
    features = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1], [0, 1], [0, 0]])
    found = noisy_neighbours(features, given, clean, num_neighbors=1)
    assert found.num_noisy == 2
    assert found.clean_vote in (0.5, 1.0)


def test_without_wrong_labels_it_is_not_applicable():
    clean, _ = labels(count=3)
    found = noisy_neighbours(np.eye(3), clean, clean)
    assert math.isnan(found.clean_vote)
    assert math.isnan(found.noisy_vote)
    assert found.num_noisy == 0
