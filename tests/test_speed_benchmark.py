"""The speed benchmark runs to its end and reports what tools/showcase.py reads."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "speed" / "population.py"


@pytest.mark.slow
def test_a_quick_run_ends_with_a_line_of_json(tmp_path):
    # A PyTorch that cannot be imported, installed or not.
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--models", "mlp"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "PyTorch eager was left out: no torch here" in done.stdout
    figures = json.loads(done.stdout.splitlines()[-1])
    assert list(figures) == ["mlp"]
    row = figures["mlp"]
    assert list(row) == ["ours_ms", "fit_ms", "torch_ms", "jax_ms", "peak_fraction"]
    assert row["ours_ms"] > 0 and row["fit_ms"] > 0 and 0 < row["peak_fraction"] < 1
    assert row["torch_ms"] is None
    assert (row["jax_ms"] is None) == (importlib.util.find_spec("jax") is None)


@pytest.mark.parametrize("arguments", [["--models", "vgg"], ["--rounds", "many"]])
def test_wrong_usage_exits_with_2(arguments):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
