"""Consistency under circular shifts: known classifiers, both references, axes, and errors."""

import numpy as np
import pytest
from keras import ops

from tfphen.metrics import prediction_consistency, shift_consistency
from tfphen.metrics.robustness.shift_consistency import _rolled


def images(count=200, shape=(6, 5, 2), seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype("float32")


def pixel(x):
    """The class is the sign of one pixel, so independent of it after any shift but zero."""
    return np.stack([x[:, 0, 0, 0], np.zeros(len(x))], -1)


def mean(x):
    return np.stack([x.mean((1, 2, 3)), np.zeros(len(x))], -1)


def test_examples_are_rolled_each_by_its_own_shift():
    x = images(7)
    shifts = np.random.default_rng(1).integers(-9, 9, (7, 2))
    expected = [np.roll(one, by, (0, 1)) for one, by in zip(x, shifts, strict=True)]
    np.testing.assert_array_equal(_rolled(x, shifts, (1, 2)), expected)


@pytest.mark.parametrize("reference", ["unshifted", "shifted"])
def test_known_classifiers(reference):
    x = images(2000)
    settings = {"reference": reference, "num_shifts": 4}
    assert shift_consistency(mean, np.round(x, 1).astype("float64"), **settings) > 0.99
    assert shift_consistency(lambda x: np.ones((len(x), 3)), x, **settings) == 1.0
    # The same pixel with probability 1/30, else another one: half of them agree.
    found = shift_consistency(pixel, x, **settings)
    assert found == pytest.approx(1 / 30 + 29 / 60, abs=0.03)
    assert found == shift_consistency(pixel, x, **settings)
    assert found != shift_consistency(pixel, x, seed=1, **settings)


def test_small_shifts_and_other_axes():
    x = np.repeat(np.repeat(images(500, (2, 2, 1)), 6, 1), 6, 2)
    near = shift_consistency(pixel, x, max_shift=1, num_shifts=4)
    # The pixel leaves its block of one sign in one of three draws on each axis.
    assert near == pytest.approx(4 / 9 + 5 / 9 * 0.5, abs=0.05)
    assert shift_consistency(pixel, x, num_shifts=4) < near - 0.05
    rows = np.repeat(images(300, (6, 1, 1)), 5, 2)
    assert shift_consistency(pixel, rows, axes=(2,)) == 1.0
    assert shift_consistency(pixel, rows, axes=1) < 0.8
    first = np.moveaxis(x, -1, 1)
    found = shift_consistency(lambda x: pixel(np.moveaxis(x, 1, -1)), first, axes=(2, 3))
    assert found == shift_consistency(pixel, x)
    assert images().dtype == "float32"
    kept = []
    shift_consistency(lambda x: kept.append(x.dtype) or pixel(x), images(), num_shifts=1)
    assert kept == ["float32", "float32"]


def test_predictions_of_other_forms():
    first = [[2.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    second = [[3.0, 1.0], [1.0, 0.0], [0.0, 4.0]]
    assert prediction_consistency(first, second) == pytest.approx(2 / 3)
    tensors = [ops.convert_to_tensor(v) for v in (first, second)]
    assert prediction_consistency(*tensors) == pytest.approx(2 / 3)
    members = prediction_consistency([first, first], [first, second])
    assert members == pytest.approx(5 / 6)
    found = shift_consistency(lambda x: ops.convert_to_tensor(pixel(x)), images().tolist())
    assert 0.4 < found < 0.7


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"num_shifts": 0}, "num_shifts"),
        ({"max_shift": 0}, "max_shift"),
        ({"max_shift": 1.5}, "max_shift"),
        ({"axes": (1, 1)}, "axes"),
        ({"axes": (0,)}, "axes"),
        ({"axes": (4,)}, "axes"),
        ({"axes": ()}, "axes"),
        ({"reference": "first"}, "reference"),
        ({"predict": lambda x: np.zeros(len(x))}, "predict"),
        ({"predict": lambda x: np.zeros((3, 2))}, "predict"),
        ({"inputs": np.zeros((0, 4, 4, 1))}, "inputs"),
    ],
)
def test_wrong_settings(settings, name):
    with pytest.raises(ValueError, match=rf"`{name}`[^\0]*Received"):
        shift_consistency(**{"predict": pixel, "inputs": images(5), **settings})


def test_wrong_predictions():
    for pair in (([1.0], [1.0]), ([[1.0, 2.0]], [[1.0, 2.0, 3.0]]), (np.zeros((0, 2)),) * 2):
        with pytest.raises(ValueError, match=r"`y_pred` and `other_y_pred`.*Received"):
            prediction_consistency(*pair)
    with pytest.raises(ValueError, match=r"`other_y_pred`[^\0]*Received"):
        prediction_consistency([[1.0, 2.0]], [[np.nan, 2.0]])
