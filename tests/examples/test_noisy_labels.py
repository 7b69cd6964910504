"""The tutorial on noisy labels runs, says what it measured, and refuses what makes no sense."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "noisy_labels.py"


@pytest.fixture
def example(tensorflow):
    spec = importlib.util.spec_from_file_location("example_noisy_labels", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_runs_and_reports_paired_differences(example, capsys):
    accuracies, differences = example.main(["--seeds", "2", "--epochs", "3", "--noise", "0.6"])
    assert set(accuracies) == {"plain", "true T", "estimated T"}
    for method, gain in differences.items():
        pairs = np.subtract(accuracies[method], accuracies["plain"])
        assert gain.value == pytest.approx(pairs.mean()) and gain.low <= gain.value <= gain.high
    # After three epochs already, the known matrix undoes a wrong majority.
    assert differences["true T"].value > 0.1
    printed = capsys.readouterr().out
    assert "60% of the labels" in printed and "95 % interval" in printed
    assert f"{accuracies['true T'][0]:.3f}" in printed


def test_noise_is_that_of_the_matrix(example):
    matrix = np.array([[0.7, 0.3], [0.0, 1.0]])
    labels = np.repeat([0, 1], 2000)
    noisy = example.noisy_copy(labels, matrix, np.random.default_rng(0))
    assert np.mean(noisy[:2000]) == pytest.approx(0.3, abs=0.04) and noisy[2000:].all()
    again = example.noisy_copy(labels, matrix, np.random.default_rng(0))
    np.testing.assert_array_equal(again, noisy)


@pytest.mark.parametrize(
    "words", [["--seeds", "1"], ["--epochs", "0"], ["--noise", "1.5"], ["--noise", "nan"]]
)
def test_errors(example, words, capsys):
    with pytest.raises(SystemExit):
        example.main(words)
    assert f"Received: {words[0]} {words[1]}" in capsys.readouterr().err
