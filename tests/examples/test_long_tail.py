"""The long-tail example runs, says what it found, and finds what the papers claim."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "long_tail.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("long_tail_example", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_data_are_long_tailed_and_the_test_set_is_not(example):
    (inputs, labels), (_, test_labels), counts = example.long_tailed_data(3, 50.0)
    assert np.bincount(labels).tolist() == counts.tolist()
    assert sorted(counts, reverse=True) == [400, 258, 167, 108, 70, 45, 29, 19, 12, 8]
    assert len(inputs) == counts.sum()
    assert np.bincount(test_labels).tolist() == [200] * 10
    assert example.long_tailed_data(4, 50.0)[2].tolist() != counts.tolist()


def test_a_short_run(example, capsys):
    found, differences = example.main(["--seeds", "2", "--epochs", "6"])
    printed = capsys.readouterr().out
    assert "[400, 258, 167, 108, 70, 45, 29, 19, 12, 8]" in printed
    assert set(found) == {"cross-entropy", "LDAM-DRW", "VS"}
    assert all(len(values) == 2 for values in found.values())
    # With two seeds the mean is what there is to look at; the rare classes gain.
    for method in ("LDAM-DRW", "VS"):
        assert f"{method:9s} rare" in printed
        assert differences[method, "rare"].value > 0.05
        assert differences[method, "all"].value > 0.0


@pytest.mark.parametrize(
    "arguments", [["--seeds", "1"], ["--epochs", "2"], ["--ratio", "0.5"], ["--ratio", "1000"]]
)
def test_wrong_arguments(example, arguments, capsys):
    with pytest.raises(SystemExit) as left:
        example.main(arguments)
    assert left.value.code == 2
    assert "Received: --" in capsys.readouterr().err
