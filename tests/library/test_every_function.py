"""Public functions that are neither loss nor metric: each is tested somewhere, by name."""

import re
from pathlib import Path

import numpy as np
import pytest

from tfphen import density_ratio, layers, losses, metrics, optimizers

TESTS = Path(__file__).resolve().parents[1]


def test_each_has_tests_of_its_own(function):
    own = [path for path in TESTS.rglob("test_*.py") if path.parent != Path(__file__).parent]
    named = re.compile(rf"\b{function}\b")
    assert any(named.search(path.read_text(encoding="utf-8")) for path in own)


def test_values_are_finite_and_wrong_inputs_are_refused(function, rows):
    row = rows["function"][function]
    modules = (density_ratio, layers, losses, metrics, optimizers)
    call = next(getattr(m, function) for m in modules if function in m.__all__)
    if "arguments" in row:
        values = call(*row["arguments"](np.random.default_rng(0)), **row.get("settings", {}))
        for value in values if isinstance(values, tuple) else (values,):
            assert np.isfinite(np.asarray(value, "float64")).all()
    for arguments, settings, text in row.get("wrong", ()):
        with pytest.raises(ValueError, match=re.escape(text)) as raised:
            call(*arguments, **settings)
        assert "Received" in str(raised.value)
