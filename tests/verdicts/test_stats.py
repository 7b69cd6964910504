"""Estimates: closed forms, exact tests, degenerate input, and coverage in simulation."""

import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.verdicts import stats
from tfphen.verdicts.stats import Estimate

SAMPLE = [2.0, 4.0, 4.5, 7.0, 1.0, 3.0, 9.0]


def boot(values, function=np.mean, resamples=500, **settings):
    return stats.bootstrap(values, function, stream(0, "test"), resamples=resamples, **settings)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_mean_is_students_interval(confidence):
    found = stats.mean(SAMPLE, "error", confidence)
    expected = scipy.stats.ttest_1samp(SAMPLE, 0).confidence_interval(confidence)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-12)
    assert found.value == pytest.approx(np.mean(SAMPLE)) and found.n == 7
    assert found.spread == pytest.approx(np.std(SAMPLE, ddof=1))
    assert found.statistic == "error" and found.confidence == confidence


def test_mean_by_hand():
    # n = 3, mean 2, s = 1, t(0.975, 2) = 4.302653: 2 -+ 2.484138.
    found = stats.mean([1, 2, 3])
    assert (found.low, found.high) == pytest.approx((-0.4841377, 4.4841377), abs=1e-6)


def test_paired_difference_is_the_paired_test():
    other = [1.0, 4.5, 4.0, 6.0, 1.5, 2.0, 7.0]
    found = stats.paired_difference(SAMPLE, other)
    expected = scipy.stats.ttest_rel(SAMPLE, other).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-12)
    assert found.value == pytest.approx(np.mean(np.subtract(SAMPLE, other)))
    swapped = stats.paired_difference(other, SAMPLE)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize(
    ("successes", "n"), [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (37, 400)]
)
def test_proportion_is_exact(successes, n):
    found = stats.proportion(successes, n)
    expected = scipy.stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.value == successes / n and found.n == n


def test_variance_ratio_inverts_the_chi_square_test():
    found = stats.variance_ratio(1.3, 100)
    law = scipy.stats.chi2(99)
    assert law.sf(99 * 1.3 / found.low) == pytest.approx(0.025, rel=1e-9)
    assert law.cdf(99 * 1.3 / found.high) == pytest.approx(0.025, rel=1e-9)
    assert found.low < 1.3 < found.high and found.n == 100


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 12, 25, 60])
def test_median_interval_is_the_sign_test(n):
    values = np.sort(stream(n, "test").normal(size=n))
    found = stats.median(values[::-1])
    assert found.value == pytest.approx(np.median(values))
    if n < 6:
        assert math.isnan(found.low) and math.isnan(found.high)
        return
    # Just within the interval the sign test does not reject, just outside it does.
    for end, inwards in ((found.low, 1e-9), (found.high, -1e-9)):
        for point, rejects in ((end - inwards, True), (end + inwards, False)):
            above = int((values > point).sum())
            assert (scipy.stats.binomtest(above, n).pvalue <= 0.05) == rejects


def test_spearman_value_and_interval():
    x = [1, 2, 3, 4, 5, 6, 7, 7]
    y = [2.0, 1.0, 4.0, 3.0, 7.0, 5.0, 6.0, 9.0]
    found = stats.spearman(x, y)
    expected = scipy.stats.spearmanr(x, y).statistic
    assert found.value == pytest.approx(expected)
    half = scipy.stats.norm.ppf(0.975) * math.sqrt((1 + expected**2 / 2) / 5)
    assert math.atanh(found.low) == pytest.approx(math.atanh(expected) - half)
    assert math.atanh(found.high) == pytest.approx(math.atanh(expected) + half)
    mirrored = stats.spearman(x, np.negative(y))
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize(("n", "proven"), [(4, False), (5, True), (6, True), (30, True)])
def test_a_perfect_correlation_of_few_points_is_no_certainty(n, proven):
    found = stats.spearman(range(n), range(n))
    assert found.value == pytest.approx(1) and found.high == pytest.approx(1)
    # As the exact permutation test: 2 / 4! > 0.05 > 2 / 5!.
    assert (found.low > 0) is proven and found.low < 1


def test_bootstrap_is_that_of_scipy():
    found = boot(SAMPLE, resamples=2000, name="mean")
    expected = scipy.stats.bootstrap(
        (np.array(SAMPLE),), np.mean, n_resamples=2000, rng=stream(0, "test")
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.statistic == "mean (bootstrap, BCa)" and found.value == np.mean(SAMPLE)


def test_bootstrap_takes_whole_rows():
    generator = stream(1, "test")
    x = generator.normal(size=40)
    rows = np.stack([x, x + 0.1 * generator.normal(size=40)], axis=1)

    def slope(rows):
        assert rows.shape in ((40, 2), (39, 2))  # BCa leaves each out once.
        return np.polyfit(rows[:, 0], rows[:, 1], 1)[0]

    found = boot(rows, slope)
    assert found.n == 40 and 0.9 < found.low < 1 < found.high < 1.1


def test_bootstrap_depends_on_its_generator_alone():
    assert boot(SAMPLE) == boot(SAMPLE)
    assert stats.bootstrap(SAMPLE, np.mean, stream(1, "test"), resamples=500) != boot(SAMPLE)


def test_bootstrap_names_its_fallback():
    # The median does not move when one of these is left out: BCa is 0/0.
    found = boot([1.0, 2.0, 2.0, 2.0, 2.0, 3.0], np.median, name="median")
    assert found.statistic == "median (bootstrap, percentile)"
    assert found.low <= 2 <= found.high


# ---------------------------------------------------------------- degenerate input

ONE_SAMPLE = {
    "mean": stats.mean,
    "median": stats.median,
    "paired_difference": lambda values: stats.paired_difference(values, np.zeros(len(values))),
    "bootstrap": boot,
}


@pytest.mark.parametrize("function", ONE_SAMPLE.values(), ids=ONE_SAMPLE)
def test_one_run_has_no_interval(function):
    found = function([3.0])
    assert found.value == 3 and found.n == 1 and not found.has_interval
    assert math.isnan(found.low) and math.isnan(found.high) and found.spread is None


@pytest.mark.parametrize("function", ONE_SAMPLE.values(), ids=ONE_SAMPLE)
@pytest.mark.parametrize("n", [2, 3, 10, 49])
def test_equal_runs_have_an_interval_of_zero_width(function, n):
    found = function([0.1] * n)
    assert found.low == found.value == found.high and found.has_interval
    assert found.value == pytest.approx(0.1, rel=1e-15)
    assert found.spread in (0.0, None)


@pytest.mark.parametrize("function", ONE_SAMPLE.values(), ids=ONE_SAMPLE)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, math.nan, 2.0], r"1 of 3 not finite, at positions \[1\]"),
        ([math.inf, 1.0], "finite"),
        ([], "at least one"),
        (["1", "2"], "numbers"),
        ([1.0, None], "finite"),
        ([1j, 2.0], "numbers"),
    ],
)
def test_bad_values_are_refused(function, values, message):
    with pytest.raises(UsageError, match=message):
        function(values)


@pytest.mark.parametrize("function", [stats.mean, stats.median])
@pytest.mark.parametrize("values", [[[1.0, 2.0]], [[1.0], [2.0, 3.0]], 3.0])
def test_a_sample_has_one_dimension(function, values):
    with pytest.raises(UsageError):
        function(values)


@pytest.mark.parametrize("function", [stats.paired_difference, stats.spearman])
def test_pairs_have_equal_length(function):
    with pytest.raises(UsageError, match="Received: 3 and 2"):
        function([1, 2, 3], [1, 2])
    with pytest.raises(UsageError, match="finite"):
        function([1, 2], [1, math.nan])


def test_spearman_of_too_few_or_constant_points():
    few = stats.spearman([1, 2, 3], [1, 2, 3])
    assert few.value == pytest.approx(1) and not few.has_interval
    for x, y in (([1, 1, 1, 1, 1], range(5)), (range(5), [0.0] * 5), ([1], [1])):
        constant = stats.spearman(x, y)
        assert math.isnan(constant.value) and not constant.has_interval


def test_variance_ratio_at_its_ends():
    assert not stats.variance_ratio(1.0, 1).has_interval
    zero = stats.variance_ratio(0.0, 5)
    assert zero.low == zero.value == zero.high == 0
    for ratio, runs in ((-0.1, 5), (math.nan, 5), (1.0, 0), (1.0, 2.5)):
        with pytest.raises(UsageError, match="Received: ratio"):
            stats.variance_ratio(ratio, runs)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 4), (5, 4), (0.5, 4), (1, 4.5)])
def test_proportion_is_of_counts(successes, n):
    with pytest.raises(UsageError, match="Received: successes"):
        stats.proportion(successes, n)


@pytest.mark.parametrize("confidence", [0, 1, -1, 95, math.nan])
def test_confidence_is_a_probability(confidence):
    for call in (
        lambda: stats.mean(SAMPLE, confidence=confidence),
        lambda: stats.proportion(1, 2, confidence=confidence),
        lambda: Estimate("x", 0, 0, 0, 2, confidence),
    ):
        with pytest.raises(UsageError, match="confidence"):
            call()


def test_an_interval_is_ordered():
    with pytest.raises(UsageError, match="lower end"):
        Estimate("x", 0.5, 1.0, 0.0, 3)


@pytest.mark.parametrize(
    ("low", "high", "n", "has"),
    [
        (0, 1, 5, True),
        (0, 1, 1, True),
        (0.5, 0.5, 1, False),
        (0.5, 0.5, 2, True),
        (math.nan, 1, 5, False),
        (0, math.nan, 5, False),
        (-math.inf, math.inf, 5, True),
    ],
)
def test_has_interval(low, high, n, has):
    assert Estimate("x", 0.5, low, high, n).has_interval is has


# ---------------------------------------------------------------- coverage

RUNS = 400


def coverage(name, draw, truth):
    generator = stream(7, name)
    hits = 0
    for _ in range(RUNS):
        found = draw(generator)
        hits += found.low <= truth <= found.high
    return hits / RUNS


def _correlated(generator, n=40, correlation=0.6):
    x, z = generator.normal(size=(2, n))
    return stats.spearman(x, correlation * x + math.sqrt(1 - correlation**2) * z)


def _bootstrapped(generator, n=40):
    return stats.bootstrap(generator.normal(size=n), np.mean, generator, resamples=300)


@pytest.mark.parametrize(
    ("name", "draw", "truth"),
    [
        ("mean", lambda g: stats.mean(g.normal(3, 2, size=5)), 3),
        ("paired", lambda g: stats.paired_difference(g.normal(1, 1, 6), g.normal(0, 2, 6)), 1),
        ("variance", lambda g: stats.variance_ratio(g.normal(size=20).var(ddof=1) / 0.5, 20), 2),
        ("spearman", _correlated, 6 / math.pi * math.asin(0.3)),
        ("bootstrap", _bootstrapped, 0),
    ],
)
def test_nineteen_of_twenty_intervals_hold_the_truth(name, draw, truth):
    assert 0.92 <= coverage(name, draw, truth) <= 0.98


@pytest.mark.parametrize(
    ("name", "draw", "truth"),
    [
        ("median", lambda g: stats.median(g.exponential(size=15)), math.log(2)),
        ("proportion", lambda g: stats.proportion(g.binomial(30, 0.2), 30), 0.2),
    ],
)
def test_exact_intervals_of_discrete_statistics_hold_it_at_least_as_often(name, draw, truth):
    assert 0.93 <= coverage(name, draw, truth) < 1


def test_importing_the_module_is_light():
    code = (
        "import sys, tfphen.verdicts.stats, tfphen.verdicts.findings, tfphen.verdicts.published\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'sklearn', 'tensorflow', 'keras', 'matplotlib'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_mean_over_runs_of_which_one_has_no_value_is_undefined():
    found = stats.mean_if_defined([1.0, 2.0, 4.0], "x")
    assert found == stats.mean([1.0, 2.0, 4.0], "x")
    for missing in (math.nan, math.inf):
        found = stats.mean_if_defined([1.0, missing], "x")
        assert math.isnan(found.value) and not found.has_interval and found.n == 2


def test_a_geometric_ratio_is_the_mean_of_logarithms():
    found = stats.geometric_ratio([2.0, 8.0, 4.0], [1.0, 2.0, 1.0], "x")
    logs = stats.mean(np.log([2.0, 4.0, 4.0]))
    assert found.value == pytest.approx(math.exp(logs.value))
    assert (found.low, found.high) == pytest.approx((math.exp(logs.low), math.exp(logs.high)))
    inverse = stats.geometric_ratio([1.0, 2.0, 1.0], [2.0, 8.0, 4.0])
    assert inverse.value == pytest.approx(1 / found.value)
    assert inverse.low == pytest.approx(1 / found.high)
    for bad in (0.0, -1.0, math.nan):
        assert math.isnan(stats.geometric_ratio([2.0, bad], [1.0, 1.0]).value)
    with pytest.raises(ValueError, match="zip"):
        stats.geometric_ratio([1.0], [1.0, 2.0])
