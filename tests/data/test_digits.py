"""scikit-learn's digits, with the fixed split."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data.digits import digits


def test_golden_values():
    data = digits()
    assert data.train_inputs.shape == (1437, 64) and data.test_inputs.shape == (360, 64)
    inputs = np.concatenate([data.train_inputs, data.test_inputs]).astype(np.float64) * 16
    assert inputs.sum() == 561718
    assert inputs.mean() == pytest.approx(4.88416, abs=1e-5)
    assert inputs.std() == pytest.approx(6.01679, abs=1e-5)
    np.testing.assert_array_equal(np.flatnonzero(inputs.std(axis=0) == 0), [0, 32, 39])
    labels = np.concatenate([data.train_labels, data.test_labels])
    counts = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
    np.testing.assert_array_equal(np.bincount(labels), counts)
    assert len(np.unique(inputs, axis=0)) == 1797


def test_closed_form_references_of_the_split():
    data = digits()
    train, test = (x.astype(np.float64) for x in (data.train_inputs, data.test_inputs))
    targets = np.eye(10)[data.train_labels]

    def kernel(a, b):
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
        return np.exp(-0.3 * squared)

    guesses = kernel(test, train) @ np.linalg.solve(kernel(train, train), targets)
    assert np.mean(guesses.argmax(1) == data.test_labels) == pytest.approx(0.992, abs=0.0015)
    weights = np.linalg.lstsq(np.c_[train, np.ones(1437)], targets, rcond=None)[0]
    guesses = np.c_[test, np.ones(360)] @ weights
    assert np.mean(guesses.argmax(1) == data.test_labels) == pytest.approx(0.947, abs=0.0015)


def test_images():
    flat, images = digits(), digits(flatten=False)
    assert images.train_inputs.shape == (1437, 8, 8, 1)
    np.testing.assert_array_equal(images.test_inputs.reshape(360, 64), flat.test_inputs)
    with pytest.raises(UsageError, match="flatten"):
        digits(flatten="no")
