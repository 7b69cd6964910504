"""The identities of bias and variance, the estimators without bias, and the Gumbel model."""

import math

import numpy as np
import pytest

from tfphen.metrics import bias_variance, bias_variance_alignment


def ensemble(members=6, count=50, classes=5, spread=2.0, seed=0):
    generator = np.random.default_rng(seed)
    center = generator.normal(scale=spread, size=(count, classes))
    logits = center + generator.normal(size=(members, count, classes))
    return generator.integers(0, classes, count), logits


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("from_logits", [True, False])
def test_definitions_and_identities(from_logits):
    y, z = ensemble()
    h, one_hot = softmax(z), np.eye(5)[y]
    found = bias_variance(y, z if from_logits else h, from_logits=from_logits)
    mean = h.mean(0)
    np.testing.assert_allclose(found.squared_bias, ((mean - one_hot) ** 2).sum(-1), atol=1e-12)
    np.testing.assert_allclose(found.variance, ((h - mean) ** 2).sum(-1).mean(0), atol=1e-12)
    np.testing.assert_array_equal(found.correct, mean.argmax(-1) == y)
    total = found.squared_bias + found.variance
    assert np.abs(found.squared_error - total).max() < 1e-12
    np.testing.assert_allclose(found.squared_error, ((h - one_hot) ** 2).sum(-1).mean(0))
    difference = found.squared_bias - found.variance
    assert np.abs(difference - found.impurity - found.calibration_gap).max() < 1e-12
    np.testing.assert_allclose(found.impurity, 1 - (h**2).sum(-1).mean(0), atol=1e-12)
    assert found.impurity.min() >= 0


def test_logits_and_log_probabilities_are_the_same():
    y, z = ensemble()
    shifted = z - np.log(np.exp(z).sum(-1, keepdims=True))
    for one, other in zip(bias_variance(y, z), bias_variance(y, shifted), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-14)


def test_variance_is_below_members_minus_one_biases():
    for members in (2, 6):
        found = bias_variance(*ensemble(members, 400, spread=4.0))
        assert (found.variance <= (members - 1) * found.squared_bias * (1 + 1e-9)).all()
    h = np.zeros((6, 1, 3))
    h[:, :, 0] = 1.0
    h[0, 0] = [0.1, 0.9, 0.0]
    found = bias_variance([0], h, from_logits=False)
    d = 0.9**2 + 0.9**2
    np.testing.assert_allclose(found.squared_bias, d / 36, rtol=1e-12)
    np.testing.assert_allclose(found.variance / found.squared_bias, 5, rtol=1e-12)


def test_special_ensembles():
    y, z = ensemble(2)
    h = softmax(z)
    found = bias_variance(y, z)
    np.testing.assert_allclose(found.variance, ((h[0] - h[1]) ** 2).sum(-1) / 4, atol=1e-12)
    same = bias_variance(y, np.stack([z[0]] * 4))
    np.testing.assert_allclose(same.variance, 0, atol=1e-30)
    np.testing.assert_allclose(same.squared_bias, same.squared_error, atol=1e-15)
    votes = np.random.default_rng(0).integers(0, 5, (7, 50))
    q = np.eye(5)[votes].mean(0)
    hard = bias_variance(y, np.eye(5)[votes], from_logits=False)
    squares = (q**2).sum(-1)
    np.testing.assert_allclose(hard.variance, 1 - squares, atol=1e-12)
    np.testing.assert_allclose(hard.squared_bias, 1 - 2 * q[np.arange(50), y] + squares, atol=1e-12)
    np.testing.assert_allclose(hard.impurity, 0, atol=1e-15)


def test_estimators_are_without_bias():
    y, z = ensemble(10_000, 4, seed=2)
    truth = bias_variance(y, z)
    for members in (2, 5):
        parts = [bias_variance(y, part) for part in z.reshape(-1, members, *z.shape[1:])]
        for name, against in (
            ("unbiased_squared_bias", truth.unbiased_squared_bias),
            ("unbiased_variance", truth.unbiased_variance),
        ):
            values = np.stack([getattr(part, name) for part in parts])
            error = values.std(0) / math.sqrt(len(parts))
            assert (np.abs(values.mean(0) - against) < 5 * error + 1e-6).all()
    plug_in = np.mean([part.squared_bias for part in parts], 0)
    assert (plug_in > truth.squared_bias + 0.1 * truth.variance).all()


def test_tiny_biases_keep_their_digits():
    logits = np.zeros((2, 1, 3))
    logits[:, 0, 0] = 40.0, 41.0
    found = bias_variance([0], logits)
    missing = 2 * np.exp([-40.0, -41.0])
    offset = np.stack([-missing, missing / 2, missing / 2], -1)
    mean = offset.mean(0)
    np.testing.assert_allclose(found.squared_bias, (mean**2).sum(), rtol=1e-10)
    np.testing.assert_allclose(found.variance, ((offset - mean) ** 2).sum(-1).mean(), rtol=1e-10)
    assert 0 < found.squared_bias[0] < 1e-33


def gumbel_moments(c):
    """Mean and mean square of 1 - p_y for two classes, logit gap -ln c and Gumbel noise."""
    if c == 1:
        return 1 / 2, 1 / 3
    first = c * (c - 1 - math.log(c)) / (1 - c) ** 2
    second = (c + c**2) / (1 - c) ** 2 - 2 * c**2 * math.log(c) / (c - 1) ** 3
    return first, second


def test_gumbel_noise_on_two_classes():
    np.testing.assert_allclose(gumbel_moments(0.5), (0.386294, 0.227411), atol=1e-6)
    np.testing.assert_allclose(gumbel_moments(1 - 1e-4), gumbel_moments(1), atol=1e-4)
    generator = np.random.default_rng(0)
    members = 200_000
    for c in (1.0, 0.5, 0.1, 0.01):
        noise = np.log(generator.exponential(size=(members, 2)))
        logits = np.stack([-math.log(c) + noise[:, 0], noise[:, 1]], -1)
        found = bias_variance([0], logits[:, None])
        mean, square = gumbel_moments(c)
        spread = square - mean**2
        # Both entries of a probability vector of two classes differ by as much.
        np.testing.assert_allclose(found.squared_bias / 2, mean**2, rtol=0.03)
        np.testing.assert_allclose(found.variance / 2, spread, rtol=0.03)
    ratio = {c: gumbel_moments(c)[1] / gumbel_moments(c)[0] ** 2 - 1 for c in (1.0, 0.01, 1e-4)}
    assert ratio[1.0] == pytest.approx(1 / 3)
    assert ratio[0.01] == pytest.approx(5.9, abs=0.05)
    assert ratio[1e-4] == pytest.approx(147, abs=0.5)


def test_alignment_of_a_known_line():
    generator = np.random.default_rng(0)
    bias = 10.0 ** generator.uniform(-8, 0, 4000)
    variance = 2.0 * bias**0.9 * np.exp(generator.normal(scale=0.5, size=4000))
    fit = bias_variance_alignment(bias, variance)
    assert fit.slope == pytest.approx(0.9, abs=0.01)
    assert fit.intercept == pytest.approx(math.log(2), abs=0.05)
    line = np.polyfit(np.log(bias), np.log(variance), 1)
    np.testing.assert_allclose((fit.slope, fit.intercept), line, rtol=1e-10)
    correlation = np.corrcoef(np.log(bias), np.log(variance))[0, 1]
    assert fit.r_squared == pytest.approx(correlation**2, abs=1e-12)
    assert fit.median_log_ratio == pytest.approx(np.median(np.log(variance / bias)))
    assert fit.share_bounded == np.mean(variance <= 3 * bias)
    assert (fit.share_dropped, fit.count) == (0.0, 4000)


def test_alignment_selects_and_drops():
    bias = np.array([1e-12, -1e-3, 1e-4, 1e-3, 1e-2, 1.0])
    variance = np.array([1e-12, 1e-3, 2e-4, 2e-3, 2e-2, 50.0])
    selected = np.array([True, True, True, True, True, False])
    fit = bias_variance_alignment(bias, variance, selected)
    assert (fit.count, fit.share_dropped) == (3, pytest.approx(0.4))
    assert fit.slope == pytest.approx(1.0) and fit.r_squared == pytest.approx(1.0)
    assert fit.median_log_ratio == pytest.approx(math.log(2))
    # The point of negative bias and the one of ratio 50 are above three biases.
    assert fit.share_bounded == pytest.approx(4 / 6)


def test_alignment_controls_come_out_absent():
    y, z = ensemble(24, 2000, spread=4.0, seed=3)
    found = bias_variance(y, z)
    aligned = bias_variance_alignment(
        found.unbiased_squared_bias, found.unbiased_variance, found.correct
    )
    shuffled = np.random.default_rng(0).permutation(found.unbiased_variance)
    broken = bias_variance_alignment(found.unbiased_squared_bias, shuffled, found.correct)
    assert aligned.slope > 0.7 and aligned.r_squared > 0.8
    assert abs(broken.slope) < 0.1 and broken.r_squared < 0.05


def test_alignment_without_enough_points_is_undefined():
    none = bias_variance_alignment([0.0, 0.0], [0.0, 0.0])
    assert none.count == 0 and none.share_dropped == 1.0
    assert all(math.isnan(x) for x in none[:4])
    two = bias_variance_alignment([0.1, 0.2], [0.1, 0.2])
    assert math.isnan(two.slope) and two.median_log_ratio == 0.0
    flat = bias_variance_alignment([0.1] * 4, [0.1, 0.2, 0.3, 0.4])
    assert math.isnan(flat.slope) and math.isnan(flat.r_squared)
    nothing = bias_variance_alignment([0.1] * 3, [0.1] * 3, [False] * 3)
    assert math.isnan(nothing.share_dropped) and nothing.share_bounded == 1.0


def test_errors():
    y, z = ensemble()
    for call in (
        lambda: bias_variance(z, y),
        lambda: bias_variance(y, z[:1]),
        lambda: bias_variance(y[:-1], z),
        lambda: bias_variance(y + 5, z),
        lambda: bias_variance(y + 0.5, z),
        lambda: bias_variance(y, z, from_logits=False),
        lambda: bias_variance(y, np.full_like(z, np.nan)),
        lambda: bias_variance_alignment([1.0], [1.0, 2.0]),
        lambda: bias_variance_alignment([np.nan], [1.0]),
        lambda: bias_variance_alignment([1.0], [np.nan]),
        lambda: bias_variance_alignment([1.0], [1.0], floor=np.nan),
        lambda: bias_variance_alignment([1.0], [1.0], floor=-1.0),
    ):
        with pytest.raises(ValueError, match="Received"):
            call()
