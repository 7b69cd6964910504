"""Verdicts on signatures and controls, and on a phenomenon as a whole."""

import itertools
import json
import math

import pytest

from tfphen.core.errors import UsageError
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature, overall
from tfphen.verdicts.stats import Estimate

STEP = 1e-9


def interval(low, high, n=8, value=None):
    return Estimate("mean", (low + high) / 2 if value is None else value, low, high, n)


@pytest.mark.parametrize("role", [Signature, Control])
@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        # Against a threshold of 1: touching it is not greater and not less than it.
        (1 + STEP, 2, "present", "absent"),
        (1, 2, "inconclusive", "absent"),
        (1 - STEP, 2, "inconclusive", "inconclusive"),
        (0, 1 + STEP, "inconclusive", "inconclusive"),
        (0, 1, "absent", "inconclusive"),
        (0, 1 - STEP, "absent", "present"),
        (1, 1, "absent", "absent"),
        (-math.inf, math.inf, "inconclusive", "inconclusive"),
    ],
)
def test_one_sided_verdicts(role, low, high, above, below):
    estimate = interval(low, high, value=1.0)
    assert role("x", estimate, above=1).verdict == above
    assert role("x", estimate, below=1).verdict == below


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1, 2, "present"),
        (1.2, 1.3, "present"),
        (1 - STEP, 2, "inconclusive"),
        (1, 2 + STEP, "inconclusive"),
        (0, 3, "inconclusive"),
        (0, 1, "inconclusive"),
        (0, 1 - STEP, "absent"),
        (2, 3, "inconclusive"),
        (2 + STEP, 3, "absent"),
    ],
)
def test_two_sided_verdicts(low, high, verdict):
    assert Signature("x", interval(low, high), within=(1, 2)).verdict == verdict


@pytest.mark.parametrize(
    "estimate",
    [
        Estimate("x", 5, math.nan, math.nan, 8),
        Estimate("x", 5, 4, math.nan, 8),
        Estimate("x", 5, math.nan, 6, 8),
        Estimate("x", math.nan, 4, 6, 8),
        Estimate("x", 5, 5, 5, 1),
        Estimate("x", 5, 5, 5, 0),
        stats.mean([5.0]),
    ],
)
@pytest.mark.parametrize("limit", [{"above": 0}, {"below": 0}, {"within": (0, 9)}])
def test_without_an_interval_nothing_is_concluded(estimate, limit):
    assert Signature("x", estimate, **limit).verdict == "inconclusive"


def test_one_unit_with_an_exact_interval_may_conclude():
    assert Signature("x", stats.proportion(1, 1), above=0.01).verdict == "present"


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"above": 0, "below": 1},
        {"above": 0, "within": (0, 1)},
        {"above": math.nan},
        {"below": math.inf},
        {"within": (1, 0)},
        {"within": (1, 1)},
        {"within": (0, 1, 2)},
        {"within": (0, math.inf)},
        {"within": (math.nan, 1)},
    ],
)
def test_exactly_one_finite_threshold(limits):
    with pytest.raises(UsageError, match="peak"):
        Signature("peak", interval(0, 1), **limits)


def test_a_bare_number_is_no_estimate():
    with pytest.raises(UsageError, match="rests on an interval"):
        Signature("x", 0.5, above=0)
    with pytest.raises(UsageError, match="id"):
        Signature(" ", interval(0, 1), above=0)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ({"above": 0.1}, "> 0.1"),
        ({"above": 0}, "> 0"),
        ({"below": 0.5}, "< 0.5"),
        ({"below": -1e-7}, "< -1e-07"),
        ({"within": (0.8, 1.2)}, "in [0.8, 1.2]"),
        ({"above": 123456.789}, "> 123456.789"),
    ],
)
def test_threshold_in_words(limit, text):
    assert Signature("x", interval(0, 1), **limit).threshold == text


def test_json_has_the_keys_of_the_report():
    finding = Signature("peak", Estimate("mean", 0.3, 0.2, 0.4, 8), above=0.1)
    assert finding.to_json() == {
        "id": "peak",
        "role": "signature",
        "statistic": "mean",
        "estimate": 0.3,
        "ci_low": 0.2,
        "ci_high": 0.4,
        "n": 8,
        "threshold": "> 0.1",
        "verdict": "present",
    }
    control = Control("flat", stats.mean([0.0]), above=0.1, note="one seed").to_json()
    assert control["role"] == "control" and control["note"] == "one seed"
    assert control["ci_low"] is None and control["ci_high"] is None
    json.dumps(control, allow_nan=False)


# ---------------------------------------------------------------- the phenomenon as a whole

ESTIMATES = {
    "present": interval(1, 2),
    "absent": interval(-2, -1),
    "inconclusive": interval(-1, 1),
}


def findings(signatures, controls):
    rows = [(Signature, verdict) for verdict in signatures] + [(Control, v) for v in controls]
    made = [
        role(f"finding_{position}", ESTIMATES[verdict], above=0)
        for position, (role, verdict) in enumerate(rows)
    ]
    assert [finding.verdict for finding in made] == [verdict for _, verdict in rows]
    return made


@pytest.mark.parametrize(
    ("signatures", "controls", "verdict"),
    [
        (["present"], ["absent"], "present"),
        (["present", "present"], ["absent", "absent"], "present"),
        (["present"], ["inconclusive"], "inconclusive"),
        (["present"], ["present"], "inconclusive"),
        (["present"], ["absent", "present"], "inconclusive"),
        (["present", "inconclusive"], ["absent"], "inconclusive"),
        (["inconclusive"], ["absent"], "inconclusive"),
        (["present", "absent"], ["absent"], "absent"),
        (["absent"], ["absent"], "absent"),
        (["absent", "inconclusive"], ["absent"], "absent"),
        (["absent"], ["inconclusive"], "absent"),
        (["absent"], ["present"], "inconclusive"),
    ],
)
def test_overall(signatures, controls, verdict):
    made = findings(signatures, controls)
    assert overall(made) == overall(reversed(made)) == verdict


def test_overall_is_present_in_one_case_only():
    """Over all verdicts of two signatures and two controls."""
    for verdicts in itertools.product(ESTIMATES, repeat=4):
        signatures, controls = verdicts[:2], verdicts[2:]
        found = overall(iter(findings(signatures, controls)))
        assert found in ("present", "absent", "inconclusive")
        expected = set(signatures) == {"present"} and set(controls) == {"absent"}
        assert (found == "present") is expected
        if "present" in controls:
            assert found == "inconclusive"


def test_every_signature_has_a_negative_control():
    made = findings(["present"], ["absent"])
    for part in ([], made[:1], made[1:]):
        with pytest.raises(ValueError, match="negative control"):
            overall(part)
    with pytest.raises(ValueError, match="unique"):
        overall([*made, made[0]])
