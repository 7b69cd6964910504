"""Numbers, durations and verdicts as text."""

import math

import pytest

from tfphen.report import terminal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0"),
        (0.123456, "0.1235"),
        (-12.5, "-12.5"),
        (120000.0, "120,000"),
        (1234567.5, "1.235e6"),
        (1.5e-7, "1.5e-7"),
        (math.inf, "inf"),
    ],
)
def test_number(value, text):
    assert terminal.number(value) == text


def test_interval():
    assert terminal.interval(0.12, 0.08, 0.16) == "0.12 [0.08, 0.16]"
    assert terminal.interval(0.12, math.nan, math.nan) == "0.12 (no interval)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (42.4, "42 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (12000, "3 h 20 min"),
        (math.nan, "–"),
    ],
)
def test_duration(seconds, text):
    assert terminal.duration(seconds) == text


def test_verdict_has_a_sign_beside_its_colour():
    signs = {terminal.verdict(word).plain for word in terminal.SIGNS}
    assert signs == {"● present", "○ absent", "◐ inconclusive"}
