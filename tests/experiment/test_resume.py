"""A run that is killed anywhere and started again gives the records of one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfphen.experiment import api, records, runner

ROOT = Path(__file__).resolve().parents[2]
# Shares of the whole time between which a kill comes: early, and late in what is then left.
KILLS = ((0.3, 0.6), (0.5, 0.9))


@pytest.fixture
def start(toy_folder):
    """Starts `tfphen run toy_width` as a process of its own. Returns a function of its folder."""
    path = os.pathsep.join([str(ROOT), str(toy_folder)])

    def begin(out):
        words = ["run", "toy_width", "--size", "smoke", "--seed", "0", "--out", str(out)]
        return subprocess.Popen(
            [sys.executable, "-m", "tfphen", *words],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def finish(process):
    """Waits for a process and returns its standard error."""
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return error


def read(out):
    """Returns the records of a run below a folder."""
    folder = api.folder_of(out, "toy_width", "smoke")
    names = [path.stem for path in folder.glob("*.json") if path.name != "run.json"]
    return records.read_all(folder, names)


def modified(out):
    """Returns when each file below a folder was written."""
    return {path: path.stat().st_mtime_ns for path in out.rglob("*.json") if path.stem != "run"}


@pytest.mark.slow
def test_kill_and_go_on(start, tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    started = time.monotonic()
    finish(start(undisturbed))
    seconds = time.monotonic() - started
    generator = random.Random(20)
    for shares in KILLS:
        process = start(disturbed)
        time.sleep(generator.uniform(*shares) * seconds)
        process.kill()
        process.communicate()
        assert process.returncode in (-signal.SIGKILL, 0)
    finish(start(disturbed))
    expected, found = read(undisturbed), read(disturbed)
    assert len(expected) == 12
    assert expected.keys() == found.keys()
    for name, record in expected.items():
        assert records.same_results(record, found[name]), f"trial {name} differs"
    written = modified(disturbed)
    error = finish(start(disturbed))
    assert "all 12 trials cached; nothing to run" in error
    assert modified(disturbed) == written, "a finished trial was written again"
    checkpoints = list(disturbed.rglob("*.npz")) + list(disturbed.rglob("*.part"))
    assert not checkpoints, "checkpoints of finished trials are left"


class Interrupting(runner.Progress):
    """Interrupts a run in the middle of its first population."""

    def __init__(self):
        self.ticks = 0

    def tick(self, trials):
        self.ticks += trials > 0
        if self.ticks == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_go_on_from_a_checkpoint(toy, tensorflow, tmp_path, monkeypatch):
    from tfphen.train import gradient_descent

    settings = {"seed": 0, "overrides": {"steps": 60}}
    expected = api.run("toy_width", "smoke", out=tmp_path / "undisturbed", **settings).records
    monkeypatch.setattr(gradient_descent, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    out = tmp_path / "disturbed"
    with pytest.raises(KeyboardInterrupt):
        api.run("toy_width", "smoke", out=out, progress=Interrupting(), **settings)
    (path,) = out.rglob("*.npz")
    restored = []
    real = gradient_descent.checkpoint.load
    monkeypatch.setattr(
        gradient_descent.checkpoint,
        "load",
        lambda path: restored.append(path.exists()) or real(path),
    )
    found = api.run("toy_width", "smoke", out=out, **settings).records
    assert restored == [True, False], "the first population goes on, the second one starts"
    assert not path.exists()
    for name, record in expected.items():
        assert records.same_results(record, found[name]), f"trial {name} differs"
