"""What the commands print and how they exit."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tfphen
from tfphen.cli import app
from tfphen.core import keras_internals
from tfphen.core.errors import MissingData
from tfphen.experiment import api, phenomenon, records

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"tensorflow", "keras", "pandas", "matplotlib", "scipy", "sklearn", "toy_width"}


# ---- light verbs -------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [None, ["--help"], ["--version"], ["list"], ["run", "--help"]])
def test_light_verbs_import_nothing_heavy(words, toy_folder):
    # What `run` needs is imported with it, NumPy too; a phenomenon and a backend are not.
    heavy = HEAVY if words == ["run", "--help"] else HEAVY | {"numpy"}
    run = "import tfphen" if words is None else f"from tfphen.cli.app import main; main({words!r})"
    code = (
        "import sys\n"
        f"try:\n    {run}\n"
        "except SystemExit as left:\n    assert not left.code, left.code\n"
        f"heavy = {heavy!r} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "rooms = {name for name in sys.modules if name.startswith('tfphen.phenomena.')}\n"
        "assert not rooms, rooms\n"
    )
    path = os.pathsep.join([str(ROOT), str(toy_folder)])
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    # They take about 0.2 s; the limit is for a machine that is busy.
    assert time.perf_counter() - started < 5
    assert done.returncode == 0, done.stderr


def test_version_and_help(tfphen_command):
    assert tfphen_command("--version") == (0, f"tfphen {tfphen.__version__}\n", "")
    code, out, _ = tfphen_command("--help")
    assert code == 0
    for verb in ("list", "show", "run", "report", "compare", "check", "data"):
        assert re.search(rf"^  {verb} ", out, re.M), out


def test_list(toy, tfphen_command):
    code, out, error = tfphen_command("list")
    assert code == 0, error
    assert re.search(r"^toy_width +A toy: width helps +smoke, small, paper \(2\) *$", out, re.M)
    assert max(map(len, out.splitlines())) <= 100


def test_list_as_json(toy, tfphen_command):
    code, out, error = tfphen_command("list", "--json")
    assert code == 0, error
    found = {one["id"]: one for one in json.loads(out)}
    assert set(found) == set(phenomenon.discover())
    assert found["toy_width"] == {
        "id": "toy_width",
        "title": toy.title,
        "claim": toy.claim,
        "paper": toy.paper,
        "sizes": ["smoke", "small", "paper"],
        "experiments": ["reference", "elsewhere"],
    }


def test_list_names_a_broken_config_and_lists_the_others(
    toy, tmp_path, tfphen_command, monkeypatch
):
    metadata = tmp_path / "broken-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[tfphen.phenomena]\nbroken = broken:Broken\n")
    (tmp_path / "broken.py").touch()
    (tmp_path / "broken.toml").write_text("steps = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    code, out, error = tfphen_command("list")
    assert code == 2
    assert "toy_width" in out
    assert re.search(r"^broken ", out, re.M) is None
    assert f"Unknown section [steps] in {tmp_path / 'broken.toml'}" in error


def test_every_verb_says_in_its_own_help_what_the_list_of_verbs_says(tfphen_command):
    _, out, _ = tfphen_command("--help")
    for verb, summary in app.VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(summary.split()[0])}", out, re.M)
        code, own, error = tfphen_command(verb, "--help")
        assert code == 0, error
        assert summary in " ".join(own.split())


def test_reader_of_a_pipe_leaves(toy_folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "tfphen", "list", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(toy_folder)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait()


def test_show(toy, tfphen_command):
    code, out, error = tfphen_command("show", "toy_width")
    assert (code, error) == (0, "")
    for part in (
        toy.claim,
        toy.paper,
        "Expect a difference in test error well above 0.05",
        "paper, reference",
        "wide=[8, 32]",
        "400 steps",
        "mlp(hidden_units=(32,))",
        "40 ± 3 (n = 5)",
        "> 50 (n = 1)",
        "Nobody 2000, page 3",
        "(recalled)",
    ):
        assert part in out
    assert out.count(toy.claim) == out.count(toy.paper) == out.count(toy.title) == 1
    assert max(map(len, out.splitlines())) <= 100
    _, out, _ = tfphen_command("show", "toy_width", "--size", "paper")
    assert "paper, elsewhere" in out
    assert "smoke" not in out
    _, out, _ = tfphen_command("show", "toy_width", "--size", "paper", "--experiment", "reference")
    assert "paper, elsewhere" not in out


@pytest.mark.parametrize("identifier", ["double_descent", "sngp", "vs_loss"])
def test_show_fits_a_page(identifier, tfphen_command):
    code, out, error = tfphen_command("show", identifier)
    assert (code, error) == (0, "")
    assert max(map(len, out.splitlines())) <= 100


def test_show_with_a_short_timing(toy, tensorflow, tfphen_command):
    code, out, error = tfphen_command("show", "toy_width", "--size", "smoke", "--time")
    assert code == 0, error
    # Members, weights and steps of the wide network's population.
    assert re.search(r"mlp\(hidden_units=\(32,\)\) +6 +682 +40 ", out)
    assert re.search(r"Estimated time: .* \(excluding evaluation\)", out)


# ---- run ---------------------------------------------------------------------------------------


@pytest.mark.backend
def test_run_trains_once_and_says_only_what_is_ours(tfphen_process, tmp_path):
    words = ("run", "toy_width", "--size", "smoke", "--out", tmp_path)
    first = tfphen_process(*words)
    assert first.returncode == 0, first.stderr
    assert re.search(r"width_helps +signature .*> 0.05 +● present", first.stdout)
    assert re.search(r"same_width_is_the_same +control .*○ absent \(expected\)", first.stdout)
    assert "toy_width (smoke): ● present" in first.stdout
    lines = first.stderr.splitlines()
    assert lines[0] == "toy_width (smoke): 12 trials, 0 cached"
    assert re.fullmatch(r"toy_width \(smoke\): 12 trials done in .*", lines[-1])
    assert all(line.startswith("toy_width (smoke): ") for line in lines), first.stderr
    again = tfphen_process(*words)
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert again.stderr == ("toy_width (smoke): all 12 trials cached; nothing to run.\n")


def test_settings_reach_the_config(toy_runs, tfphen_command):
    out = toy_runs(overrides={"seeds": 5, "seed": 7, "gap": 0.3})
    code, printed, error = tfphen_command(
        *("run", "toy_width", "--size", "smoke", "--out", out),
        *("--seeds", 5, "--seed", 7, "--set", "gap=0.3"),
    )
    assert code == 0, error
    assert "all 20 trials cached" in error
    assert re.search(r"width_helps .* 5 +> 0.3 +● present", printed)
    (run,) = api.read_runs(out)
    assert (list(run.config.seed_range()), run.config.gap) == ([7, 8, 9, 10, 11], 0.3)


@pytest.mark.parametrize(("wide", "verdict", "code"), [(0.1, "present", 0), (0.8, "absent", 1)])
def test_strict(wide, verdict, code, toy_runs, tfphen_command):
    words = ("run", "toy_width", "--size", "smoke", "--out", toy_runs(wide=wide))
    found, out, _ = tfphen_command(*words)
    assert found == 0
    assert out.rstrip().endswith(verdict)
    assert tfphen_command(*words, "--strict")[0] == code


def test_others_still_run_when_one_fails(toy, toy_runs, tfphen_command, monkeypatch):
    out = toy_runs()
    path = toy.config_path()
    names = ("a_missing", "b_bug", "toy_width")
    kinds = {
        name: type("Kind", (toy,), {"config_path": classmethod(lambda cls: path)})
        for name in names[:2]
    }
    for name, kind in kinds.items():
        kind.id = name
    kinds["toy_width"] = toy
    real = api.run

    def run(identifier, **settings):
        if identifier == "a_missing":
            raise MissingData("The data are not here.")
        if identifier == "b_bug":
            raise ZeroDivisionError("division by zero")
        return real(identifier, **settings)

    monkeypatch.setattr(phenomenon, "discover", lambda: kinds)
    monkeypatch.setattr(api, "run", run)
    code, printed, error = tfphen_command("run", "--all", "--size", "smoke", "--out", out)
    assert code == 1
    assert "toy_width (smoke): ● present" in printed
    lines = error.splitlines()
    assert lines[0] == "a_missing: Error: The data are not here."
    assert lines[1].startswith("b_bug: Error: this is a bug in tfphen")
    assert lines[-1] == "3 phenomena. Failed: a_missing, b_bug."
    assert "Traceback" not in error


def test_a_bug_is_one_line_unless_debugging(toy, tfphen_command, monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("tfphen.cli.list.config_paths", broken)
    code, out, error = tfphen_command("list")
    assert (code, out) == (1, "")
    assert re.fullmatch(
        r"Error: this is a bug .* ZeroDivisionError: division \(TFPHEN.*\)\n", error
    )
    monkeypatch.setenv("TFPHEN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        app.main(["list"])


def test_interrupt(toy, tmp_path, tfphen_command, monkeypatch):
    def run(*words, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run", run)
    code, _, error = tfphen_command("run", "toy_width", "--size", "smoke", "--out", tmp_path)
    assert code == 130
    assert error == "Interrupted. Finished trials are kept: run the command again to resume.\n"


def test_shards(toy_runs, tfphen_command):
    # Two populations: the narrow network's, and the wide one's.
    out = toy_runs(only=lambda trial: trial.tags["units"] == 1)
    words = ("run", "toy_width", "--size", "smoke", "--out", out, "--shard")
    code, printed, error = tfphen_command(*words, "1/2")
    assert code == 0, error
    assert "all 6 trials cached" in error
    assert "6 of 12 trials of toy_width are not run yet" in printed
    assert tfphen_command("report", "--out", out)[0] == 1
    toy_runs()
    code, printed, _ = tfphen_command(*words, "2/2")
    assert code == 0
    assert "● present" in printed


# ---- compare, data, check ----------------------------------------------------------------------


def test_compare(toy_runs, tmp_path, tfphen_command):
    first = toy_runs()
    api.run("toy_width", "smoke", out=first)
    second = first.rename(tmp_path / "other")
    first = toy_runs(overrides={"seeds": 4})
    api.run("toy_width", "smoke", seeds=4, out=first)
    path = next(p for p in (second / "toy_width" / "smoke").glob("*.json") if p.stem != "run")
    record = records.read(path)
    values = {**record.values, "test_error": 0.5}
    records.write(
        records.Record(
            record.trial_id, record.phenomenon, record.trial, values, record.arrays, {}, 0.1
        ),
        path.parent,
    )
    code, out, error = tfphen_command("compare", first, second)
    assert (code, error) == (0, "")
    assert "width_helps" in out
    assert "(n = 4)" in out
    assert "(n = 3)" in out
    assert "12 shared trials, 1 differ; 4 only in A" in out
    assert re.search(rf"{record.trial_id}: test_error \S+ → 0.5$", out, re.M)


def test_data_list_and_check(tfphen_command, tmp_path, monkeypatch):
    monkeypatch.delenv("TFPHEN_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    code, out, _ = tfphen_command("data", "list")
    assert code == 0
    assert re.search(r"^digits +embedded +built in", out, re.M)
    assert re.search(r"^mnist +tfds +not found", out, re.M)
    assert str(tmp_path) in out
    code, out, error = tfphen_command("data", "check", "digits", "mnist")
    assert code == 1
    assert "digits: OK" in out
    assert "'mnist' is not in" in error
    assert tfphen_command("data", "check")[0] == 0


def test_data_fetch_asks_the_source(tfphen_command, tmp_path, monkeypatch):
    from tfphen.data import sources

    asked = []

    def fetch(name, data_dir):
        asked.append((name, data_dir))
        return sources.Source(name, "tfds", "here")

    monkeypatch.setattr(sources, "fetch", fetch)
    code, out, _ = tfphen_command("data", "fetch", "mnist", "--data-dir", tmp_path)
    assert (code, out) == (0, "mnist: here\n")
    assert asked == [("mnist", tmp_path)]


def test_check(toy, tensorflow, tfphen_command, monkeypatch):
    monkeypatch.setattr("tfphen.cli.check.discover", lambda: {"toy_width": toy})
    code, out, _ = tfphen_command("check")
    assert code == 0, out
    private = f"{len(keras_internals.NAMES)} private names of Keras"
    for part in ("tensorflow", "keras", "devices", "threads", private, "mnist"):
        assert part in out
    assert "✗" not in out
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    code, out, _ = tfphen_command("check")
    assert code == 1
    assert re.search(r"✗ broken +environment variables +TF_USE_LEGACY_KERAS is set", out)
