"""The tool that sets the engine's recorded time beside one Keras `fit` for each training."""

import argparse
import importlib.util
import io
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment import records

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "benchmarks" / "speed" / "one_fit_each.py"
# 120 training examples of 2 classes.
MIXTURE = Data("gaussian_mixture", options={"classes": 2, "train_per_class": 60})
WIDER = Data("gaussian_mixture", options={"classes": 2, "train_per_class": 60, "dimensions": 21})


@pytest.fixture(scope="module")
def tool():
    specification = importlib.util.spec_from_file_location("one_fit_each", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def trial(**settings):
    settings = {"model": Spec("linear"), "data": MIXTURE, "batch_size": 50, "steps": 9} | settings
    return Trial(**settings)


def known(trials, **values):
    return {
        one.id: records.Record(
            one.id, "made_up", one.to_json(), {"steps": one.steps or 0, **values}, seconds=0.5
        )
        for one in trials
    }


def run_script(*words, **variables):
    path = os.pathsep.join([str(ROOT), *variables.pop("folders", ())])
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)],
        env=os.environ | {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_an_update_an_epoch_and_a_start_are_told_apart(tool):
    update, epoch, start = 0.002, 0.03, 0.7
    found = tool.costs(epoch + 200 * update, 200, epoch + update, start + epoch + update)
    np.testing.assert_allclose(found, [update, epoch, start], rtol=1e-12)


def test_what_keras_runs_alike_is_one_graph(tool):
    trials = [
        trial(),
        trial(seed=3, optimizer=Spec("adam", learning_rate=0.1)),
        trial(objective=Spec("ramp"), schedule=Spec("cosine"), steps=21),
    ]
    (work,) = tool.work_of(trials, known(trials))
    assert work.trial == trials[0] and work.batch == 50
    # 120 examples in batches of 50 are 3 updates an epoch.
    assert work.amounts.tolist() == [9 + 9 + 21, 3 + 3 + 7, 3]


@pytest.mark.parametrize(
    "other",
    [
        {"objective": Spec("squared_error")},
        {"optimizer": Spec("sgd")},
        {"optimizer": Spec("adam", beta_2=0.9)},
        {"model": Spec("linear", use_bias=False)},
        {"batch_size": 60},
        {"data": WIDER},
    ],
)
def test_what_keras_tells_apart_is_two_graphs(tool, other):
    trials = [trial(), trial(**other)]
    assert [work.trial for work in tool.work_of(trials, known(trials))] == trials


def test_each_update_on_the_full_batch_is_an_epoch(tool):
    for full in (None, 500):
        one = trial(batch_size=full)
        (work,) = tool.work_of([one], known([one]))
        assert work.batch == 120 and work.amounts.tolist() == [9, 9, 1]


def test_a_training_that_stopped_counts_the_updates_that_it_did(tool):
    one = trial(steps=90, stop_at_loss=0.1)
    (stopped,) = tool.work_of([one], known([one], stopped_at=7))
    (went_on,) = tool.work_of([one], known([one], stopped_at=-1))
    assert stopped.amounts.tolist() == [7, 3, 1] and went_on.amounts.tolist() == [90, 30, 1]


@pytest.mark.parametrize("objective", ["squared_error", "ramp"])
def test_the_model_that_is_timed_is_an_ordinary_one(tool, tensorflow, objective):
    from tfphen import models

    made = []

    def linear(shape, classes, **settings):
        made.append(models.MODELS["linear"](shape, classes, **settings))
        return made[-1]

    rule = Spec("sgd", learning_rate=0.25, momentum=0.5, weight_decay=0.01, coupled=True)
    work = tool.Work(trial(objective=Spec(objective), optimizer=rule), 50, np.zeros(3))
    seconds = tool.time_fit(work, {"linear": linear}, 4)
    assert seconds.shape == (3,) and np.isfinite(seconds).all() and seconds[2] > 0
    (model,) = made
    expected = {"squared_error": "MeanSquaredError", "ramp": "SparseCategoricalCrossentropy"}
    assert type(model.loss).__name__ == expected[objective]
    settings = model.optimizer.get_config()
    assert type(model.optimizer).__name__ == "SGD" and settings["learning_rate"] == 0.25
    assert settings["momentum"] == 0.5 and settings["weight_decay"] == 0.01
    # 1 + 2 batches before timing, then 4, then five epochs of one.
    assert model.optimizer.iterations.numpy() == 12


def test_the_figures_add_up(tool, tmp_path, monkeypatch):
    trials = [
        trial(),
        trial(objective=Spec("ramp")),
        trial(solver=Spec("least_squares")),
        trial(solver=Spec("by_hand")),
    ]
    records.write_group(list(known(trials).values()), tmp_path / "made_up" / "small")
    kind = types.SimpleNamespace(
        id="made_up", solvers={"by_hand": None}, models={}, trials=lambda config: trials
    )
    run = types.SimpleNamespace(phenomenon=kind, size="small", experiment=None, config=None)
    speeds = iter([1.0, 3.0, 2.0])
    monkeypatch.setattr(tool, "time_fit", lambda *words: next(speeds) * np.array([0.1, 0.5, 2.0]))
    given = argparse.Namespace(out=tmp_path, rounds=3, steps=5, rerun=0)
    console = Console(file=io.StringIO(), width=100)
    found = tool.compare(run, given, console)
    assert found["trainings"] == found["populations"] == found["solved"] == 2
    assert found["graphs"] == 1 and found["engine_seconds"] == 1.0
    assert found["timed_with_cross_entropy"] == {"ramp()": 1}
    # 18 updates, 6 epochs, 2 starts; the middle round takes twice as long as the fastest.
    for part, one in (("updates", 1.8), ("epochs", 4.8), ("starts", 8.8)):
        assert found[f"fit_seconds_with_{part}"] == pytest.approx(2 * one)
        assert found[f"ratio_with_{part}"] == pytest.approx([2 * one, one, 3 * one])
    said = console.file.getvalue()
    assert "2 trainings in 2 populations" in said and "3.6 (1.8–5.4)" in said
    assert "Timed with cross-entropy instead: 1 of ramp()." in said
    assert "Solved, so left out: 2." in said


def test_a_run_without_descent_is_refused(tool, tmp_path):
    only = [trial(solver=Spec("least_squares"))]
    records.write_group(list(known(only).values()), tmp_path / "made_up" / "small")
    kind = types.SimpleNamespace(id="made_up", solvers={}, models={}, trials=lambda config: only)
    run = types.SimpleNamespace(phenomenon=kind, size="small", experiment=None, config=None)
    with pytest.raises(tool.TfphenError, match="no trial that descends a gradient"):
        tool.compare(run, argparse.Namespace(out=tmp_path), None)


@pytest.fixture
def finished(toy_runs):
    """The folder of a finished run of the toy: 12 trainings of 40 updates, half a second each."""
    out = toy_runs()
    noted = json.dumps({"size": "smoke", "experiment": None, "overrides": {}})
    (out / "toy_width" / "smoke" / "run.json").write_text(noted)
    return out


@pytest.mark.slow
def test_a_finished_run_is_read_timed_and_trained_again(finished, toy_folder, tmp_path):
    file = tmp_path / "figures.json"
    words = ("--size", "smoke", "--out", finished, "--rounds", 1, "--steps", 20, "--rerun", 1)
    done = run_script("toy_width", *words, "--json", file, folders=[str(toy_folder)])
    assert done.returncode == 0, done.stderr
    assert "12 trainings in 2 populations" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert file.read_text() == last + "\n"
    found = json.loads(last)["toy_width (smoke)"]
    assert found["engine_seconds"] == 6.0 and found["graphs"] == 2 and found["solved"] == 0
    assert found["timed_with_cross_entropy"] == {}
    parts = [found[f"fit_seconds_with_{part}"] for part in ("updates", "epochs", "starts")]
    assert parts == sorted(parts) and parts[-1] > 0
    assert found["ratio_with_starts"][0] == pytest.approx(parts[-1] / 6.0)
    again, recorded = found["rerun_and_recorded"]
    assert again > 0 and recorded == 3.0


@pytest.mark.parametrize(
    "words, code, said",
    [
        ([], 2, "required"),
        (["run_variance", "--size", "huge", "--out", "x"], 2, "huge"),
        (["run_variance", "--out", "nowhere"], 1, "There are no runs in nowhere"),
    ],
)
def test_wrong_usage_is_said(words, code, said):
    done = run_script(*words)
    assert done.returncode == code and said in done.stderr and "Traceback" not in done.stderr


def test_a_run_that_is_not_there_is_said(finished, toy_folder):
    done = run_script("toy_width", "--size", "small", "--out", finished, folders=[str(toy_folder)])
    assert done.returncode == 2
    assert f"no such finished run in {finished}: toy_width" in done.stderr
