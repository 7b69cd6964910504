"""The example on two moons runs small, draws its picture and says what it measured."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "sngp_two_moons.py"


@pytest.fixture
def example(tensorflow):
    spec = importlib.util.spec_from_file_location("example_sngp_two_moons", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_draws_and_reports(example, tmp_path, capsys):
    picture = tmp_path / "moons.png"
    words = ["--out", str(picture), "--seeds", "1", "--epochs", "6", "--side", "24"]
    summary = example.main(words)
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
    printed = capsys.readouterr().out
    for key, title in example.MEASURES.items():
        assert f"{title:30s} {summary[key][0]:7.3f}" in printed
        assert math.isnan(summary[key][1]), "one seed has no interval"
    # Six epochs already: SNGP follows the distance, the plain network and the control do not.
    assert summary["rho_sngp"][0] > 0.6 > summary["rho_control"][0]
    assert summary["rho_difference"][0] > 0.3
    assert summary["accuracy_sngp"][0] > 0.95


def test_data_and_interval(example):
    points, labels = example.moons(400, np.random.default_rng(0))
    assert points.shape == (400, 2) and points.dtype == "float32"
    assert np.bincount(labels).tolist() == [200, 200]
    # The half circles have their centers at (-0.1, 0.2) and (1.1, 0.3).
    for label, center in enumerate(([-0.1, 0.2], [1.1, 0.3])):
        radius = np.linalg.norm(points[labels == label] - center, axis=1)
        assert radius.mean() == pytest.approx(1.0, abs=0.03)
    mean, low, high = example.interval([1.0, 2.0, 3.0])
    assert mean == 2.0 and high - mean == pytest.approx(4.30265 / 3**0.5, rel=1e-4)
    assert mean - low == pytest.approx(high - mean)


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--epochs", "0"], ["--side", "3"]])
def test_errors(example, words, capsys):
    with pytest.raises(SystemExit) as left:
        example.main(words)
    assert left.value.code == 2 and "at least" in capsys.readouterr().err
