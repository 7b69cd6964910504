"""Settings that are allowed come back as plain Python; others are refused in one form of words."""

import numpy as np
import pytest

from tfphen.core import checks
from tfphen.core.errors import UsageError


def test_values_come_back_as_plain_numbers():
    assert checks.number("x", np.float32(0.5)) == 0.5
    assert type(checks.number("x", 2)) is float
    assert type(checks.whole("x", np.int64(3))) is int
    assert checks.positive("x", 1e-300) == 1e-300
    assert checks.whole("x", 4, 0, 4) == 4
    assert checks.boolean("x", False) is False
    assert checks.one_of("x", 18, (18, 34)) == 18
    assert checks.number("x", 0.0, 0, 1, high_open=True) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checks.number("x", "1"), "`x` must be a finite number. Received: x='1'"),
        (lambda: checks.number("x", True), "`x` must be a finite number. Received: x=True"),
        (lambda: checks.number("x", None), "`x` must be a finite number. Received: x=None"),
        (lambda: checks.number("x", [1.0]), "`x` must be a finite number. Received: x=[1.0]"),
        (lambda: checks.number("x", float("nan"), 0), "number of at least 0. Received: x=nan"),
        (lambda: checks.number("x", 1, 0, 1, high_open=True), "number in [0, 1). Received: x=1"),
        (lambda: checks.number("x", 0, 0, 1, low_open=True), "number in (0, 1]. Received: x=0"),
        (lambda: checks.number("x", 3, high=2), "number of at most 2. Received: x=3"),
        (lambda: checks.number("x", 2, high=2, high_open=True), "below 2. Received: x=2"),
        (lambda: checks.positive("x", 0), "`x` must be a finite number above 0. Received: x=0"),
        (lambda: checks.whole("x", 0), "`x` must be an integer of at least 1. Received: x=0"),
        (lambda: checks.whole("x", 2.0), "`x` must be an integer of at least 1. Received: x=2.0"),
        (lambda: checks.whole("x", True, 0), "integer of at least 0. Received: x=True"),
        (lambda: checks.wholes(x=1, y=-1), "`y` must be an integer of at least 1. Received: y=-1"),
        (lambda: checks.whole("x", 5, 0, 4), "`x` must be an integer from 0 to 4. Received: x=5"),
        (lambda: checks.whole("x", -1, 0, 4), "`x` must be an integer from 0 to 4. Received: x=-1"),
        (lambda: checks.boolean("x", 1), "`x` must be true or false. Received: x=1"),
        (
            lambda: checks.one_of("x", "tourch", ("keras", "torch")),
            "`x` must be one of 'keras', 'torch'. Did you mean 'torch'? Received: x='tourch'",
        ),
        (lambda: checks.one_of("x", True, (1, 2)), "must be one of 1, 2. Received: x=True"),
        (lambda: checks.require(False, "x", 3, "is wrong"), "`x` is wrong. Received: x=3"),
    ],
)
def test_others_are_refused(call, message):
    with pytest.raises(UsageError) as raised:
        call()
    assert message in str(raised.value)
    assert isinstance(raised.value, ValueError)


def test_what_counts_as_a_number():
    assert checks.is_number(1) and checks.is_number(np.float64(2.0), 1)
    assert not any(map(checks.is_number, (True, "1", None, float("inf"), float("nan"))))
    assert not checks.is_number(1, 1)
