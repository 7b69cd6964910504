"""Calibration error and Brier score against loops, and on ensembles whose value is known."""

import numpy as np
import pytest

from tfphen.metrics import brier_score, expected_calibration_error


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def batch(count=300, classes=4, seed=0):
    """Under-confident predictions below a confidence of .75, over-confident ones above it."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, count)
    logits = generator.normal(size=(count, classes)) * 2
    labels = np.where(softmax(logits).max(-1) < 0.75, logits.argmax(-1), labels)
    return labels, logits


def slow_error(y, p, bins):
    confidence, hit = p.max(-1), p.argmax(-1) == y
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return total


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_against_a_loop(bins):
    y, z = batch()
    expected = slow_error(y, softmax(z), bins)
    assert (expected > slow_error(y, softmax(z), 1) + 0.1) == (bins > 1)
    assert expected_calibration_error(y, z, num_bins=bins) == pytest.approx(expected, abs=1e-12)
    found = expected_calibration_error(y, softmax(z), num_bins=bins, from_logits=False)
    assert isinstance(found, float) and found == pytest.approx(expected, abs=1e-12)


def test_calibrated_and_sure_predictions():
    generator = np.random.default_rng(0)
    p = generator.dirichlet(np.ones(3), 100_000)
    y = (generator.random((100_000, 1)) > p.cumsum(-1)[:, :-1]).sum(-1)
    assert expected_calibration_error(y, p, from_logits=False) < 0.01
    sure = np.eye(3)[y]
    assert expected_calibration_error(y, sure, from_logits=False) == 0.0
    assert expected_calibration_error((y + 1) % 3, sure, from_logits=False) == 1.0


def test_brier_score():
    y, z = batch()
    expected = ((softmax(z) - np.eye(4)[y]) ** 2).sum(-1).mean()
    assert brier_score(y, z) == pytest.approx(expected)
    assert brier_score(y, np.eye(4)[y], from_logits=False) == 0.0
    assert brier_score(y, np.eye(4)[(y + 1) % 4], from_logits=False) == 2.0
    assert brier_score(y, np.zeros((300, 4))) == pytest.approx(0.75)


@pytest.mark.parametrize("metric", [brier_score, expected_calibration_error])
def test_members_in_front_and_errors(metric):
    y, z = (np.stack(parts) for parts in zip(*(batch(seed=s) for s in range(6)), strict=True))
    y, z = y.reshape(2, 3, -1), z.reshape(2, 3, -1, 4)
    found = metric(y, z)
    assert found.shape == (2, 3) and found[1, 2] == pytest.approx(metric(y[1, 2], z[1, 2]))
    for wrong in ((y, z[0]), (z[0, 0], y[0, 0]), (y[0, 0] + 1, z[0, 0]), (y[0, 0] - 0.5, z[0, 0])):
        with pytest.raises(ValueError, match="Received"):
            metric(*wrong)
    with pytest.raises(ValueError, match="sum to 1"):
        metric(y, z, from_logits=False)


def test_bins_must_be_there():
    with pytest.raises(ValueError, match="num_bins"):
        expected_calibration_error([0], [[1.0, 0.0]], num_bins=0)


def test_bins_are_closed_above():
    pair = [[0.95, 0.05], [0.9, 0.1]]
    assert expected_calibration_error([1, 0], pair, from_logits=False) == pytest.approx(0.525)
    edge = [[0.75, 0.25], [0.7, 0.3], [0.8, 0.2]]
    # With four bins .75 falls in with .7, not with .8.
    found = expected_calibration_error([0, 1, 0], edge, num_bins=4, from_logits=False)
    assert found == pytest.approx((abs(0.25 - 0.7) + 0.2) / 3)
