"""Class separation against the double sum over pairs, and where its value is known."""

import numpy as np
import pytest

from tfphen.metrics.class_separation import class_separation


def examples(seed=0, spread=1.0, dimension=6):
    """Three classes of unequal size around their own directions, with a mean in common."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], [5, 20, 9])
    centers = generator.normal(size=(3, dimension)) + 2.0
    noise = generator.normal(scale=spread, size=(len(labels), dimension))
    order = generator.permutation(len(labels))
    return (centers[labels] + noise)[order], labels[order]


def slow(features, labels):
    """Equation 11 as it stands: sums over all pairs, of an example with itself too."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    classes = np.unique(labels)

    def distance(j, k):
        return np.mean([[1 - a @ b for a in unit[labels == j]] for b in unit[labels == k]])

    within = np.mean([distance(k, k) for k in classes])
    total = np.mean([[distance(j, k) for j in classes] for k in classes])
    return 1 - within / total


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
def test_against_the_double_sum(spread):
    features, labels = examples(spread=spread)
    expected = slow(features, labels)
    assert class_separation(features, labels) == pytest.approx(expected, abs=1e-12)
    single = class_separation(features.astype("float32"), labels[:, None])
    assert single == pytest.approx(expected, abs=1e-5)
    # The names of the classes do not matter, and neither does the order of examples.
    named = np.array([-7, 300, 12])[labels]
    order = np.random.default_rng(1).permutation(len(labels))
    assert class_separation(features[order], named[order]) == pytest.approx(expected, abs=1e-12)


def test_centred_variant_against_the_double_sum():
    features, labels = examples()
    mean = np.mean([features[labels == k].mean(0) for k in range(3)], axis=0)
    expected = slow(features - mean, labels)
    found = class_separation(features, labels, centered=True)
    assert found == pytest.approx(expected, abs=1e-12)
    assert abs(found - class_separation(features, labels)) > 0.05
    moved = class_separation(features + 1000.0, labels, centered=True)
    assert moved == pytest.approx(expected, abs=1e-9)


def test_invariances():
    features, labels = examples()
    expected = class_separation(features, labels)
    generator = np.random.default_rng(2)
    rotation = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    factors = generator.uniform(0.01, 100, size=(len(labels), 1))
    assert class_separation(factors * features @ rotation, labels) == pytest.approx(expected)
    assert class_separation(1e200 * features, labels) == pytest.approx(expected)


def test_extremes():
    assert class_separation(np.eye(4)[[0, 0, 1, 3]] * [[1], [5], [2], [3]], [0, 0, 1, 2]) == 1.0
    # Means of the normalized features coincide, lengths notwithstanding.
    cross = [[1.0, 0.0], [-7.0, 0.0], [0.0, 2.0], [0.0, -3.0]]
    assert class_separation(cross, [0, 0, 1, 1]) == pytest.approx(0.0, abs=1e-15)
    assert np.isnan(class_separation(np.arange(1.0, 5.0)[:, None] * [[0.1, 0.7]], [0, 1, 0, 1]))


def test_collapsed_classes_keep_their_digits():
    angle = 1e-7
    features = [[1.0, angle], [1.0, -angle], [angle, 1.0], [-angle, 1.0]]
    # Within 1e-14 by chance alone would be lost in 1 - |mean|²; the total is 1/2.
    assert 1 - class_separation(features, [0, 0, 1, 1]) == pytest.approx(2e-14, rel=0.02)


def test_wrong_inputs():
    features, labels = examples()
    spoiled, zero = features.copy(), features.copy()
    spoiled[0, 0], zero[3] = np.nan, 0.0
    for arguments, name in (
        ((spoiled, labels), "features"),
        ((zero, labels), "features"),
        ((features[:, 0], labels), "features"),
        ((features, labels[:-1]), "features"),
        ((labels, features), "labels"),
        ((features, np.eye(3)[labels]), "features"),
        ((features, labels + 0.5), "labels"),
        ((features, np.zeros(34, int)), "labels"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
            class_separation(*arguments)
