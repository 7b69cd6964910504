"""The flattening of class features: built examples, invariances, and errors."""

import numpy as np
import pytest
from keras import ops

from tfphen.metrics import class_flattening


def features(count=60, width=6, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, count)
    values = generator.normal(size=(count, width)) * np.arange(1, width + 1)
    return values + 10 * np.eye(3, width)[labels], labels


@pytest.mark.parametrize("centered", [True, False])
def test_against_eigenvalues(centered):
    values, labels = features()
    found = class_flattening(values, labels + 5, centered)
    assert found.classes.tolist() == [5, 6, 7]
    whole = ((values - centered * values.mean(0)) ** 2).sum()
    for place in range(3):
        own = values[labels == place]
        own = own - centered * own.mean(0)
        squares = np.sort(np.linalg.eigvalsh(own.T @ own))[::-1]
        assert found.share_outside_first[place] == pytest.approx(squares[1:].sum() / whole)
        expected = squares.sum() ** 2 / (squares**2).sum()
        assert found.participation_ratio[place] == pytest.approx(expected)
        assert found.largest_singular_value[place] == pytest.approx(np.sqrt(squares[0]))
        rest = np.sqrt(squares[1:]).sum()
        assert found.sum_of_other_singular_values[place] == pytest.approx(rest)
    assert found.total_share == pytest.approx(found.share_outside_first.sum())
    assert 0 < found.total_share < 1


def test_classes_of_known_shape():
    generator = np.random.default_rng(0)
    line = generator.normal(size=(50, 1)) * np.array([[3.0, -1.0, 2.0]]) + [5, 0, 0]
    cross = np.concatenate([np.eye(3), -np.eye(3)]).repeat(4, 0)
    point = np.full((7, 3), 0.1)
    values = np.concatenate([line, cross, point, [[9.0, 9, 9]]])
    labels = np.repeat([0, 1, 2, 3], [50, 24, 7, 1])
    found = class_flattening(values, labels)
    np.testing.assert_allclose(found.participation_ratio[:2], [1.0, 3.0])
    assert np.isnan(found.participation_ratio[2:]).all()
    energy = ((values - values.mean(0)) ** 2).sum()
    np.testing.assert_allclose(found.share_outside_first, [0, 16 / energy, 0, 0], atol=1e-15)
    np.testing.assert_allclose(found.largest_singular_value[1:], [np.sqrt(8), 0, 0], atol=1e-12)


def test_scale_place_and_rotation_do_not_matter():
    values, labels = features()
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    first = class_flattening(values, labels)
    other = class_flattening(1e6 * values @ rotation - 3e6, labels)
    np.testing.assert_allclose(other.share_outside_first, first.share_outside_first)
    np.testing.assert_allclose(other.participation_ratio, first.participation_ratio)
    np.testing.assert_allclose(other.largest_singular_value, 1e6 * first.largest_singular_value)
    flat = values.copy()
    flat[:, 1:] *= 0.1
    assert class_flattening(flat, labels).total_share < 0.5 * first.total_share


def test_lists_and_tensors():
    values, labels = features()
    expected = class_flattening(values, labels)
    for change in (list, ops.convert_to_tensor):
        found = class_flattening(change(values), change(labels))
        assert found.total_share == pytest.approx(expected.total_share)


def test_errors():
    values, labels = features()
    for wrong, name in (
        ((values, labels[:-1]), "labels"),
        ((values[:, 0], labels), "features"),
        ((values, labels + 0.5), "labels"),
        ((np.where(values > 5, np.nan, values), labels), "features"),
        ((np.ones((4, 2)), [0, 0, 1, 1]), "features"),
    ):
        with pytest.raises(ValueError, match=rf"`{name}`[^\0]*Received"):
            class_flattening(*wrong)
    with pytest.raises(ValueError, match=r"`features` must differ.*Received"):
        class_flattening(np.zeros((4, 2)), [0, 0, 1, 1], centered=False)
