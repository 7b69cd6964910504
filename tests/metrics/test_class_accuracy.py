"""Accuracy class by class, its mean and its least."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from tfphen.metrics import balanced_accuracy, class_accuracies, worst_class_accuracy


def long_tail(seed=0):
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), [60, 25, 8, 3])
    return labels, generator.normal(size=(96, 5)) + 2 * np.eye(5)[labels]


def test_against_a_loop_and_scikit_learn():
    labels, scores = long_tail()
    predicted = scores.argmax(-1)
    found = class_accuracies(labels, scores)
    for c in range(4):
        assert found[c] == np.mean(predicted[labels == c] == c)
    assert np.isnan(found[4])
    four = scores[:, :4]
    expected = balanced_accuracy_score(labels, four.argmax(-1))
    assert balanced_accuracy(labels, four) == pytest.approx(expected, abs=1e-12)
    assert worst_class_accuracy(labels, scores) == min(found[:4]) < max(found[:4])
    assert abs(balanced_accuracy(labels, scores) - np.mean(predicted == labels)) > 0.01


def test_shift_and_column_labels():
    labels, scores = long_tail()
    shifted = scores + np.arange(96)[:, None]
    assert balanced_accuracy(labels[:, None], shifted) == balanced_accuracy(labels, scores)


@pytest.mark.parametrize("metric", [class_accuracies, balanced_accuracy, worst_class_accuracy])
def test_wrong_inputs(metric):
    labels, scores = long_tail()
    spoiled = scores.copy()
    spoiled[1, 1] = np.nan
    for arguments, name in (
        ((labels, spoiled), "y_pred"),
        ((labels + 3, scores), "y"),
        ((labels[:-1], scores), "y"),
        ((labels, scores.argmax(-1)), "y_pred"),
        ((labels[None], scores[None]), "y_pred"),
        ((labels + 0.5, scores), "y"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
            metric(*arguments)
