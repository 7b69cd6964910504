"""Every mistake gives one clear message on standard error, no traceback, and the right code."""

import json
import os

import pytest

from tfphen.experiment import api


def one_message(error):
    """Asserts that what was written is one message, and returns it."""
    assert "Traceback" not in error
    assert error.count("Error: ") == 1, error
    return " ".join(error.split())


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (["run", "toy_widht"], 2, ["Unknown phenomenon 'toy_widht'", "Did you mean 'toy_width'?"]),
        (["show", "toy_widht"], 2, ["Did you mean 'toy_width'?"]),
        (["run"], 2, ["one or more ids, or --all", "neither"]),
        (["run", "toy_width", "--all"], 2, ["one or more ids, or --all", "both"]),
        (["run", "toy_width", "--size", "smal"], 2, ["'smal'", "Did you mean 'small'?"]),
        (["run", "toy_width", "--size", "paper"], 2, ["needs --experiment", "reference"]),
        (
            ["run", "toy_width", "--size", "paper", "--experiment", "referense"],
            2,
            ["Did you mean 'reference'?"],
        ),
        (["run", "toy_width", "--experiment", "reference"], 2, ["goes with --size paper"]),
        (["show", "toy_width", "--experiment", "reference"], 2, ["goes with --size paper"]),
        (["run", "toy_width", "--seeds", "-1"], 2, ["at least 1", "seeds=-1"]),
        (["run", "toy_width", "--seeds", "0"], 2, ["at least 1", "seeds=0"]),
        (["run", "toy_width", "--seeds", "many"], 2, ["--seeds"]),
        (["run", "toy_width", "--seed", "-1"], 2, ["not be negative", "seed=-1"]),
        (["run", "toy_width", "--shard", "3/2"], 2, ["1 <= i <= n", "'3/2'"]),
        (["run", "toy_width", "--shard", "half"], 2, ["1 <= i <= n", "'half'"]),
        (["run", "toy_width", "--set", "widht=3"], 2, ["Unknown key 'widht'", "'wide'"]),
        (["run", "toy_width", "--set", "steps=many"], 2, ["steps must be int", "'many'"]),
        (["run", "toy_width", "--set", "steps"], 2, ["`key=value`", "'steps'"]),
        (["run", "toy_width", "--strategy", "miror"], 2, ["Did you mean 'mirrored'?"]),
        (["run", "toy_width", "--strategy", "tpu"], 2, ["Unknown strategy 'tpu'"]),
        (["run", "toy_width", "--data-dir", "/nowhere/at/all"], 2, ["--data-dir", "/nowhere"]),
        (["run", "toy_width", "--fast"], 2, ["--fast"]),
        (["rum"], 2, ["rum"]),
        (["report", "--format", "htm"], 2, ["Did you mean 'html'?"]),
        (["report", "--out", "/nowhere/at/all"], 1, ["There are no runs in /nowhere/at/all"]),
        (["compare", "/nowhere/a", "/nowhere/b"], 1, ["There are no runs in /nowhere/a"]),
        (["data", "check", "cifar_10"], 1, ["'cifar_10'", "Did you mean 'cifar10'?"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_message_and_code(words, code, parts, toy, tmp_path, tfphen_command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    found, _, error = tfphen_command(*words)
    message = one_message(error)
    assert found == code, message
    for part in parts:
        assert part in message


def test_nothing_is_made_before_a_usage_error(toy, tmp_path, tfphen_command):
    tfphen_command("run", "toy_width", "--set", "widht=3", "--out", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_out_is_a_file(toy, tmp_path, tfphen_command):
    file = tmp_path / "file"
    file.touch()
    for out in (file, file / "below"):
        code, _, error = tfphen_command("run", "toy_width", "--size", "smoke", "--out", out)
        assert code == 1
        assert f"{out} cannot be written" in one_message(error)
        assert "--out" in error


def test_report_cannot_be_written(toy_runs, tmp_path, tfphen_command):
    out = toy_runs()
    api.run("toy_width", "smoke", out=out)
    code, _, error = tfphen_command("report", "--out", out, "--to", tmp_path)
    assert code == 1
    assert f"{tmp_path} cannot be written" in one_message(error)


@pytest.mark.parametrize("words", [("run", "toy_width", "--size", "smoke"), ("report",)])
def test_corrupt_record(words, toy_runs, tfphen_command):
    out = toy_runs()
    api.run("toy_width", "smoke", out=out)
    path = next(path for path in out.glob("*/*/*.json") if path.name != "run.json")
    path.write_text(path.read_text().replace("test_error", "test_errer", 1))
    code, _, error = tfphen_command(*words, "--out", out)
    assert code == 1
    message = one_message(error)
    assert str(path) in message
    assert "Delete the file" in message


def test_damaged_notes_of_a_run(toy_runs, tfphen_command):
    out = toy_runs()
    api.run("toy_width", "smoke", out=out)
    path = out / "toy_width" / "smoke" / "run.json"
    path.write_text(json.dumps({"size": "smoke"}))
    code, _, error = tfphen_command("report", "--out", out)
    assert code == 1
    assert str(path) in one_message(error)


@pytest.mark.backend
def test_missing_data_set(tfphen_process, toy_folder, tmp_path):
    """A process of its own, from the console entry to the engine."""
    source = (toy_folder / "toy_width.py").read_text()
    start, end = source.index("Data("), source.index("optimizer=")
    (tmp_path / "needy.py").write_text(f'{source[:start]}Data("mnist"),\n{" " * 24}{source[end:]}')
    (tmp_path / "needy.toml").write_text((toy_folder / "toy_width.toml").read_text())
    metadata = tmp_path / "needy-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: needy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[tfphen.phenomena]\nneedy = needy:ToyWidth\n")
    root = os.path.dirname(os.path.dirname(api.__file__))
    done = tfphen_process(
        *("run", "needy", "--size", "smoke", "--out", tmp_path / "runs"),
        env={
            "PYTHONPATH": os.pathsep.join([root, str(tmp_path)]),
            "TFPHEN_DATA": str(tmp_path),
            "TFDS_DATA_DIR": str(tmp_path),
        },
    )
    assert done.returncode == 1
    message = one_message(done.stderr)
    assert "Data set 'mnist' is not in" in message
    assert "tfphen data fetch mnist" in message


def test_usage_error_of_a_process(tfphen_process):
    done = tfphen_process("run", "toy_width", "--set", "widht=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Unknown key 'widht'" in one_message(done.stderr)


@pytest.mark.parametrize(
    ("name", "value"), [("TF_USE_LEGACY_KERAS", "1"), ("KERAS_BACKEND", "jax")]
)
def test_environment_that_breaks_keras(name, value, tfphen_process, tmp_path):
    done = tfphen_process(
        "run", "toy_width", "--size", "smoke", "--out", tmp_path, env={name: value}
    )
    assert done.returncode == 2
    assert name in one_message(done.stderr)
