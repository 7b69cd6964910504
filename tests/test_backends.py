"""The importable library gives the same numbers on TensorFlow, JAX and PyTorch.

Each backend runs every row of tests/library/rows in a process of its own, see
tests/library/run_on_backend.py. A backend that is not installed is skipped, unless TFPHEN_BACKENDS
names it: `TFPHEN_BACKENDS=jax,torch pytest tests/test_backends.py`.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "library" / "run_on_backend.py"
WANTED = {name for name in os.environ.get("TFPHEN_BACKENDS", "").split(",") if name}
# Of the largest number of a result, or of SMALLEST where that is larger, because a gradient that is
# zero is not exactly so: float32 has about seven digits, and sums differ in order.
TOLERANCE, SMALLEST = 1e-5, 1e-2

pytestmark = pytest.mark.slow


def run_on(backend, out, *reference):
    """Runs all rows on a backend and returns what it saved."""
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(out), *map(str, reference)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = dict(np.load(out))
    assert found["backend"] == backend
    return found


def failures(found):
    """Returns a line and a traceback for each row that raised."""
    failed = json.loads(str(found["failed"]))
    return [f"{key} on {found['backend']}: {text}" for key, text in failed.items()]


def results(found):
    return {key: value for key, value in found.items() if key.startswith("result/")}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Where the results of TensorFlow are, and the results."""
    path = tmp_path_factory.mktemp("backends") / "tensorflow.npz"
    return path, run_on("tensorflow", path)


def test_every_row_runs_or_says_why_not(reference):
    _, found = reference
    assert not failures(found), "\n\n".join(failures(found))
    names = {key.split("/")[1] for key in results(found)}
    kinds = "function layer loss metric metric_class model optimizer schedule"
    assert names == set(kinds.split())
    empty = [k for k, v in results(found).items() if not (v.size and np.isfinite(v).any())]
    assert not empty
    skipped = json.loads(str(found["skipped"]))
    for key, reason in sorted(skipped.items()):
        print(f"not run on the backends: {key}: {reason}")
    wrong = [
        key
        for key, reason in skipped.items()
        if not (
            key.startswith(("callback/", "function/"))
            or (key.startswith("layer/") and key.endswith("/training"))
            or (key.startswith("model/") and "parameters" in reason)
        )
    ]
    assert not wrong


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backends_agree(backend, reference, tmp_path):
    if importlib.util.find_spec(backend) is None:
        reason = f"{backend} is not installed: pip install tfphen[peers]"
        if backend in WANTED:
            pytest.fail(f"TFPHEN_BACKENDS names {backend}, but {reason}")
        pytest.skip(reason)
    path, expected = reference
    found = run_on(backend, tmp_path / f"{backend}.npz", path)
    assert found["skipped"] == expected["skipped"]
    # Differences are told even where some rows raise.
    different = failures(found)
    expected, found = results(expected), results(found)
    assert different or found.keys() == expected.keys()
    for key, value in expected.items():
        if key not in found:
            continue
        try:
            scale = np.max(np.abs(value[np.isfinite(value)]), initial=SMALLEST)
            np.testing.assert_allclose(found[key], value, rtol=0, atol=TOLERANCE * scale)
        except AssertionError as error:
            different.append(f"{key}: {error}")
    assert not different, "\n".join(different)


def test_known_backends_are_named():
    unknown = WANTED - {"jax", "torch", "tensorflow"}
    assert not unknown, f"TFPHEN_BACKENDS must name jax or torch. Received: {sorted(unknown)}"
