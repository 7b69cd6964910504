"""The verdict on a published number."""

import json
import math

import pytest
import scipy.stats

from tfphen.core.seeds import stream
from tfphen.verdicts import stats
from tfphen.verdicts.comparison import compare
from tfphen.verdicts.published import Number
from tfphen.verdicts.stats import Estimate


def number(**changes):
    fields = {
        "experiment": "paper",
        "metric": "error",
        "source": "Table 1",
        "provenance": "read",
        "id": "paper/error",
        "value": 10.0,
    }
    if "lower" in changes or "upper" in changes:
        del fields["value"]
    return Number(**(fields | changes))


def ours(value, half=0.1, n=10, spread=None):
    """An estimate with interval value -+ half, with the spread that goes with it."""
    if spread is None:
        spread = half * math.sqrt(n) / scipy.stats.t.ppf(0.975, n - 1)
    return Estimate("mean", value, value - half, value + half, n, spread=spread)


def test_not_run_comes_first():
    found = compare(number(provenance="recalled"), None, differs=["epochs"])
    assert found.verdict == "not run" and found.to_json()["reproduced"] is None


def test_what_is_recalled_never_decides():
    found = compare(number(provenance="recalled", n=5, spread=0.1), ours(10.0))
    assert found.verdict == "not comparable" and "recalled" in found.reason
    assert found.to_json()["reproduced"] == 10.0
    assert compare(number(provenance="derived", n=5, spread=0.1), ours(10.0)).verdict == (
        "reproduced"
    )


def test_changed_settings_are_named():
    found = compare(number(n=5, spread=0.1), ours(10.0), differs=["data: cifar10 (jpeg)", "epochs"])
    assert found.verdict == "not comparable" and "cifar10 (jpeg), epochs" in found.reason
    assert "epochs." in compare(number(), ours(10.0), differs="epochs").reason


@pytest.mark.parametrize(
    "estimate", [stats.mean([10.0]), stats.proportion(1, 1), Estimate("x", 9, math.nan, 10, 5)]
)
def test_without_our_interval_nothing_is_concluded(estimate):
    for one in (number(), number(n=5, spread=0.1), number(lower=0)):
        assert compare(one, estimate).verdict == "inconclusive"


def test_the_interval_is_that_of_welch():
    own, theirs = [9.0, 10.5, 11.0, 10.2, 9.9], [8.0, 9.5, 9.1, 10.4, 9.0, 8.8, 9.9]
    one = number(
        value=sum(theirs) / 7, n=7, spread=float(scipy.stats.tstd(theirs)), baseline=-100.0
    )
    found = compare(one, stats.mean(own))
    expected = scipy.stats.ttest_ind(own, theirs, equal_var=False).confidence_interval(0.95)
    assert found.difference == pytest.approx((expected.low, expected.high))
    assert "Welch" in found.reason


def test_a_single_published_run_is_predicted():
    own = [9.0, 10.5, 11.0, 10.2, 9.9]
    half = scipy.stats.t.ppf(0.975, 4) * scipy.stats.tstd(own) * math.sqrt(1 + 1 / 5)
    for n, words in ((1, "a single run"), (None, "an unknown number of runs")):
        found = compare(number(n=n), stats.mean(own))
        center = sum(own) / 5 - 10
        assert found.difference == pytest.approx((center - half, center + half))
        assert "widened" in found.reason and words in found.reason
    # A published spread larger than ours is believed, a smaller one is not.
    wide = compare(number(n=1, spread=3.0), stats.mean(own)).difference
    assert wide[1] - wide[0] > 2 * scipy.stats.t.ppf(0.975, 4) * 3.0
    assert compare(number(n=1, spread=0.01), stats.mean(own)).difference == found.difference


def test_an_unknown_published_spread_is_taken_to_be_ours():
    own = [9.0, 10.5, 11.0, 10.2, 9.9]
    half = scipy.stats.t.ppf(0.975, 4) * scipy.stats.tstd(own) * math.sqrt(1 / 3 + 1 / 5)
    found = compare(number(n=3), stats.mean(own))
    assert found.difference[1] - found.difference[0] == pytest.approx(2 * half)
    assert "taken to be ours" in found.reason


def test_without_any_spread_one_run_cannot_be_judged():
    estimate = Estimate("median (bootstrap, BCa)", 10.0, 9.9, 10.1, 10)
    for n in (None, 1, 3):
        found = compare(number(n=n), estimate)
        assert found.verdict == "inconclusive" and "No spread" in found.reason
    assert compare(number(n=1, spread=0.1), estimate).verdict == "reproduced"


# Published 10.0 from many runs without error, so that the interval is ours minus 10.
EXACT = {"n": 1000, "spread": 0.0}


@pytest.mark.parametrize(
    ("value", "half", "baseline", "verdict"),
    [
        # Resolution: a tenth of 10, so the interval may be 1 wide.
        (10.0, 0.49, None, "reproduced"),
        (10.0, 0.51, None, "inconclusive"),
        (10.4, 0.45, None, "reproduced"),
        (10.5, 0.45, None, "contradicted"),
        (9.5, 0.45, None, "contradicted"),
        (9.0, 2.0, None, "inconclusive"),
        # Resolution: half of |10 - 4|.
        (10.0, 1.49, 4.0, "reproduced"),
        (10.0, 1.51, 4.0, "inconclusive"),
    ],
)
def test_agreement_needs_an_interval_narrow_enough(value, half, baseline, verdict):
    found = compare(number(baseline=baseline, **EXACT), ours(value, half), ours(4.0))
    assert found.verdict == verdict


def test_the_resolution_can_be_given():
    one, estimate = number(**EXACT), ours(10.0, 0.3)
    assert compare(one, estimate).verdict == "reproduced"
    assert compare(one, estimate, resolution=0.5).verdict == "inconclusive"
    assert "0.5 wide" in compare(one, estimate, resolution=0.5).reason


@pytest.mark.parametrize(
    ("value", "published_baseline", "our_baseline", "verdict"),
    [
        (8.0, 4.0, ours(4.0), "direction only"),
        (14.0, 4.0, ours(4.0), "direction only"),
        (8.0, 4.0, ours(9.0), "contradicted"),
        (8.0, 12.0, ours(9.0), "direction only"),
        (8.0, 12.0, ours(7.0), "contradicted"),
        (8.0, 4.0, ours(8.0), "inconclusive"),
        (8.0, 4.0, ours(7.9), "inconclusive"),
        (8.0, 4.0, None, "inconclusive"),
        (8.0, 4.0, stats.mean([4.0]), "inconclusive"),
        (8.0, None, ours(4.0), "contradicted"),
        (8.0, 10.0, ours(4.0), "contradicted"),
    ],
)
def test_off_the_value_the_direction_decides(value, published_baseline, our_baseline, verdict):
    one = number(baseline=published_baseline, **EXACT)
    found = compare(one, ours(value), our_baseline)
    assert found.difference[0] > 0 or found.difference[1] < 0
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("bounds", "value", "verdict"),
    [
        ({"lower": 9.0}, 9.2, "reproduced"),
        ({"lower": 9.0}, 9.05, "inconclusive"),
        ({"lower": 9.0}, 8.8, "contradicted"),
        ({"upper": 9.0}, 8.8, "reproduced"),
        ({"upper": 9.0}, 8.95, "inconclusive"),
        ({"upper": 9.0}, 9.2, "contradicted"),
        ({"lower": 9.0, "upper": 9.4}, 9.2, "reproduced"),
        ({"lower": 9.0, "upper": 9.4}, 9.4, "inconclusive"),
        ({"lower": 9.0, "upper": 9.4}, 9.6, "contradicted"),
        ({"lower": 9.0, "baseline": 5.0}, 8.0, "direction only"),
        ({"upper": 5.0, "baseline": 9.0}, 8.0, "contradicted"),
    ],
)
def test_bounds(bounds, value, verdict):
    found = compare(number(**bounds), ours(value), ours(5.0))
    assert found.verdict == verdict
    assert number(**bounds).statement in found.reason and found.difference is None


def test_deterministic_runs_agree_up_to_rounding():
    one = number(value=0.3, **EXACT)
    assert compare(one, stats.mean([0.1 + 0.2] * 3)).verdict == "reproduced"
    assert compare(one, stats.mean([0.3001] * 3)).verdict == "contradicted"


def test_a_published_zero_has_no_scale_of_its_own():
    one = number(value=0.0, **EXACT)
    assert compare(one, ours(0.0, 1e-6)).verdict == "inconclusive"
    assert compare(one, ours(0.0, 1e-6), resolution=0.1).verdict == "reproduced"


def test_caveats_are_in_the_reason():
    one = number(n=5, spread=0.1, differs=("older optimizer",), unknown=("batch size",))
    found = compare(one, ours(10.0))
    assert found.verdict == "reproduced"
    assert "older optimizer" in found.reason and "batch size" in found.reason


def test_json_has_the_keys_of_the_report():
    one = number(
        n=5, spread=0.1, dataset="mnist", model="mlp", setting={"width": 4, "stages": (1, 2)}
    )
    found = compare(one, ours(10.0)).to_json()
    assert list(found) == [
        *("id", "experiment", "dataset", "model", "metric", "value", "spread", "n", "reproduced"),
        *("ci_low", "ci_high", "verdict", "source", "provenance", "reason", "setting"),
    ]
    assert found["ci_low"] == pytest.approx(9.9) and found["setting"]["stages"] == [1, 2]
    json.dumps(found, allow_nan=False)
    json.dumps(compare(one, stats.mean([1.0])).to_json(), allow_nan=False)
    assert compare(number(lower=1.0), ours(2.0)).to_json()["value"] is None


def test_right_experiments_are_seldom_contradicted_and_wrong_ones_seldom_reproduced():
    """Published and ours drawn again and again, from the same law and from laws apart."""
    generator = stream(3, "test")
    for published_runs in (1, 4):
        verdicts = {0.0: [], 3.0: []}
        for shift, found in verdicts.items():
            for _ in range(300):
                theirs = generator.normal(10, 0.2, size=published_runs)
                spread = float(theirs.std(ddof=1)) if published_runs > 1 else None
                one = number(value=float(theirs.mean()), n=published_runs, spread=spread)
                estimate = stats.mean(generator.normal(10 + shift, 0.2, size=8))
                found.append(compare(one, estimate).verdict)
        assert verdicts[0.0].count("contradicted") / 300 < 0.08
        assert verdicts[3.0].count("reproduced") / 300 < 0.01
        assert verdicts[3.0].count("contradicted") / 300 > 0.9
