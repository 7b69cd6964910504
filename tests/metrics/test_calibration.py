"""Calibration errors and proper scores against loops, and where their value is known."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from tfphen.metrics import (
    adaptive_calibration_error,
    brier_score,
    classwise_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_diagram,
)
from tfphen.metrics.calibration.bins import bin_of

METRICS = [
    adaptive_calibration_error,
    brier_score,
    classwise_calibration_error,
    expected_calibration_error,
    negative_log_likelihood,
]


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


@pytest.mark.parametrize("metric", METRICS)
def test_members_in_front_and_errors(metric):
    y, z = (np.stack(parts) for parts in zip(*(batch(seed=s) for s in range(6)), strict=True))
    y, z = y.reshape(2, 3, -1), z.reshape(2, 3, -1, 4)
    found = metric(y, z)
    assert found.shape == (2, 3) and found[1, 2] == pytest.approx(metric(y[1, 2], z[1, 2]))
    assert len(np.unique(found)) == 6
    column = metric(y[0, 0][:, None], z[0, 0])
    assert isinstance(column, float) and column == found[0, 0]
    for wrong in (
        (y, z[0]),
        (z[0, 0], y[0, 0]),
        (y[0, 0] + 1, z[0, 0]),
        (y[0, 0] - 0.5, z[0, 0]),
        (np.eye(4)[y[0, 0]], z[0, 0]),
        (y[0, 0] * 0, z[0, 0, :, :1]),
        (y[0, 0, :0], z[0, 0, :0]),
    ):
        with pytest.raises(ValueError, match="Received"):
            metric(*wrong)
    with pytest.raises(ValueError, match="sum to 1"):
        metric(y, z, from_logits=False)
    with pytest.raises(ValueError, match="sum to 1"):
        metric([0], [[1.5, -0.5]], from_logits=False)
    for value in (np.nan, np.inf):
        spoiled = z[0, 0].copy()
        spoiled[7, 2] = value
        with pytest.raises(ValueError, match=r"`y_pred`.*Received"):
            metric(y[0, 0], spoiled)
    with pytest.raises(ValueError, match="`y_pred` must have a finite largest logit"):
        metric([0], [[-np.inf, -np.inf]])
    with pytest.raises(ValueError, match=r"`y`.*Received"):
        metric(np.full(300, np.nan), z[0, 0])


@pytest.mark.parametrize("metric", METRICS)
def test_logits_of_impossible_classes_are_probabilities_of_zero(metric):
    y, z = batch()
    z = np.concatenate([z, np.full((300, 1), -np.inf)], -1)
    p = np.concatenate([softmax(z[:, :4]), np.zeros((300, 1))], -1)
    assert metric(y, z) == pytest.approx(metric(y, p, from_logits=False), abs=1e-12)


def test_bins_must_be_there():
    for metric in (
        adaptive_calibration_error,
        classwise_calibration_error,
        expected_calibration_error,
        reliability_diagram,
    ):
        for bins in (0, -1, 2.5, True, None):
            with pytest.raises(ValueError, match=r"num_bins.*Received: num_bins="):
                metric([0], [[1.0, 0.0]], num_bins=bins)


def test_bins_are_closed_above():
    pair = [[0.95, 0.05], [0.9, 0.1]]
    assert expected_calibration_error([1, 0], pair, from_logits=False) == pytest.approx(0.525)
    edge = [[0.75, 0.25], [0.7, 0.3], [0.8, 0.2]]
    # With four bins .75 falls in with .7, not with .8.
    found = expected_calibration_error([0, 1, 0], edge, num_bins=4, from_logits=False)
    assert found == pytest.approx((abs(0.25 - 0.7) + 0.2) / 3)
    # Every edge b / B is in the bin below it, though B times the edge may round to above b.
    for bins in (3, 7, 10, 15):
        edges = np.arange(bins + 1) / bins
        assert bin_of(edges, bins).tolist() == [0, *range(bins)]
        assert bin_of(np.nextafter(edges[:-1], 1), bins).tolist() == list(range(bins))
    assert bin_of(1.0 + 1e-9, 15) == 14


def test_classwise_error_against_a_loop():
    y, z = batch(200, 3)
    p = softmax(z)
    for bins in (1, 4, 15):
        total = 0.0
        for k in range(3):
            for b in range(bins):
                inside = (p[:, k] > b / bins) & (p[:, k] <= (b + 1) / bins)
                if inside.any():
                    gap = abs((y[inside] == k).mean() - p[inside, k].mean())
                    total += inside.mean() * gap / 3
        found = classwise_calibration_error(y, z, num_bins=bins)
        assert found == pytest.approx(total, abs=1e-12) and total > 0.01
    # Two classes: both see the same bins from two sides.
    y, p = y % 2, softmax(z[:, :2])
    of_label = classwise_calibration_error(y, p, 16, from_logits=False)
    gaps = np.bincount(bin_of(p[:, 1], 16), (y == 1) - p[:, 1], 16)
    assert of_label == pytest.approx(np.abs(gaps).sum() / 200, abs=1e-12)
    sure = np.eye(3)[np.arange(200) % 3]
    assert classwise_calibration_error((np.arange(200) + 1) % 3, sure, from_logits=False) == (
        pytest.approx(2 / 3)
    )


def slow_adaptive(y, p, bins):
    total, (count, classes) = 0.0, p.shape
    for k in range(classes):
        members = {}
        for i in range(count):
            smaller = sum(p[j, k] < p[i, k] for j in range(count))
            members.setdefault(bins * smaller // count, []).append(i)
        for inside in members.values():
            gap = abs(np.mean(y[inside] == k) - p[inside, k].mean())
            total += len(inside) / count * gap / classes
    return total


@pytest.mark.parametrize("bins", [1, 4, 7])
def test_adaptive_error_against_a_loop_with_and_without_ties(bins):
    y, z = batch(60, 3)
    for logits in (z, np.round(z)):
        found = adaptive_calibration_error(y, logits, num_bins=bins)
        assert found == pytest.approx(slow_adaptive(y, softmax(logits), bins), abs=1e-12)
        order = np.random.default_rng(1).permutation(60)
        again = adaptive_calibration_error(y[order], logits[order], num_bins=bins)
        assert again == pytest.approx(found, abs=1e-12)
    # Bins of equal mass: with as many bins as examples each is alone.
    alone = np.abs(np.eye(3)[y] - softmax(z)).mean(0).mean()
    assert adaptive_calibration_error(y, z, num_bins=60) == pytest.approx(alone, abs=1e-12)
    # All tied: one bin, however many are asked for.
    tied = np.zeros((60, 3))
    shares = np.bincount(y, minlength=3) / 60
    expected = np.abs(shares - 1 / 3).mean()
    assert adaptive_calibration_error(y, tied, num_bins=7) == pytest.approx(expected, abs=1e-12)


def test_reliability_diagram_adds_up_to_the_error():
    y, z = batch()
    table = reliability_diagram(y, z, num_bins=7)
    confidence, hit = softmax(z).max(-1), z.argmax(-1) == y
    assert table.count.sum() == 300 and table.count.dtype == np.int64
    for b in range(7):
        inside = (confidence > table.lower[b]) & (confidence <= table.upper[b])
        assert table.count[b] == inside.sum()
        if inside.any():
            assert table.confidence[b] == pytest.approx(confidence[inside].mean())
            assert table.accuracy[b] == pytest.approx(hit[inside].mean())
        else:
            assert np.isnan(table.confidence[b]) and np.isnan(table.accuracy[b])
    assert np.isnan(table.accuracy).any() and not np.isnan(table.accuracy).all()
    gap = np.nansum(table.count / 300 * np.abs(table.accuracy - table.confidence))
    assert gap == pytest.approx(expected_calibration_error(y, z, num_bins=7), abs=1e-12)
    with pytest.raises(ValueError, match=r"of one model.*Received"):
        reliability_diagram([y], [z])


def test_proper_scores_against_scikit_learn():
    y, z = batch(classes=2)
    p = softmax(z)
    assert brier_score(y, z) == pytest.approx(2 * brier_score_loss(y, p[:, 1]), abs=1e-12)
    y, z = batch()
    expected = log_loss(y, softmax(z), labels=range(4))
    assert negative_log_likelihood(y, z) == pytest.approx(expected, abs=1e-12)
    found = negative_log_likelihood(y, softmax(z), from_logits=False)
    assert found == pytest.approx(expected, abs=1e-12)


def test_likelihood_is_not_clipped():
    assert negative_log_likelihood([1], [[0.0, -1000.0]]) == pytest.approx(1000.0)
    assert negative_log_likelihood([1], [[1.0, 0.0]], from_logits=False) == np.inf
    assert negative_log_likelihood([0], [[1.0, 0.0]], from_logits=False) == 0.0


def test_few_examples_of_a_calibrated_model_have_the_stated_error():
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        p = generator.dirichlet(np.full(3, 0.5), 500)
        y = (generator.random((500, 1)) > p.cumsum(-1)[:, :-1]).sum(-1)
        errors.append(expected_calibration_error(y, p, from_logits=False))
    # Confidences of three classes reach ten of the fifteen bins.
    assert np.mean(errors) == pytest.approx(0.4 * np.sqrt(2 * 10 / (np.pi * 500)), abs=0.01)


def test_functions_import_neither_keras_nor_scikit_learn():
    names = "adaptive_calibration_error, class_accuracies, class_separation, feature_deviation, "
    names += (
        "gini_coefficient, linear_cka, ood_scores, reliability_diagram, run_variance, slingshots"
    )
    code = (
        f"import sys; from tfphen.metrics import {names}; "
        "print(sorted({'keras', 'tensorflow', 'sklearn', 'torch', 'jax'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
