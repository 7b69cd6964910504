"""`tfphen new`: the package that it writes works as it is, or nothing is written."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tfphen.cli import new

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package made by `new`, with the metadata that an installation would leave beside it."""
    folder = tmp_path_factory.mktemp("new") / "package"
    new.create("my_own_idea", folder)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    metadata = folder / "my_own_idea-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((group, points),) = project["entry-points"].items()
    lines = [f"{name} = {value}" for name, value in points.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    return folder


@pytest.fixture(scope="module")
def command(package):
    """Runs a module of Python in a process of its own, with the package installed."""

    def call(*words, folder=package):
        path = os.pathsep.join([str(ROOT), str(package)])
        return subprocess.run(
            [sys.executable, "-m", *map(str, words)],
            env={**os.environ, "PYTHONPATH": path},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )

    return call


def test_names_are_those_that_were_asked_for(package):
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {
        "pyproject.toml",
        "README.md",
        "test_my_own_idea.py",
        "my_own_idea/__init__.py",
        "my_own_idea/phenomenon.py",
        "my_own_idea/findings.py",
        "my_own_idea/figure.py",
        "my_own_idea/my_own_idea.toml",
        "my_own_idea/my_own_idea.published.toml",
    } == {name for name in files if "dist-info" not in name}
    for name in files:
        text = (package / name).read_text(encoding="utf-8")
        assert not re.search("minimal.?phenomenon", text, re.I), name
    assert "class MyOwnIdea(Phenomenon)" in (package / "my_own_idea/phenomenon.py").read_text()
    assert len((package / "README.md").read_text().splitlines()) <= 16


def test_it_is_listed_shown_run_and_reported(command, tmp_path):
    listed = command("tfphen", "list")
    assert listed.returncode == 0, listed.stderr
    assert re.search(
        r"^my_own_idea +Wider networks err less +smoke, small, paper \(1\)", listed.stdout, re.M
    )
    shown = command("tfphen", "show", "my_own_idea")
    assert shown.returncode == 0, shown.stderr
    for part in ("LeCun et al.", "mlp(hidden_units=(64,))", "4.7", "(recalled)"):
        assert part in shown.stdout
    words = ("my_own_idea", "--size", "smoke", "--seeds", 2, "--out", tmp_path)
    run = command("tfphen", "run", *words)
    assert run.returncode == 0, run.stderr
    assert "my_own_idea (smoke): 8 trials, 0 cached" in run.stderr
    for part in ("true_labels/error_drop", "random_labels/error_drop"):
        assert part in run.stdout
    report = command("tfphen", "report", "--out", tmp_path)
    assert report.returncode == 0, report.stderr
    assert "Wider networks err less" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_its_own_tests_pass(command):
    done = command("pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


def test_its_import_is_light(command):
    code = "import sys, my_own_idea.phenomenon; assert not {'keras', 'pandas'} & set(sys.modules)"
    done = command("timeit", "-n1", "-r1", code)
    assert done.returncode == 0, done.stderr


def test_next_commands(tmp_path, tfphen_command):
    folder = tmp_path / "a folder"
    code, out, error = tfphen_command("new", "my_own_idea", folder)
    assert (code, error) == (0, "")
    assert out.splitlines() == [
        f"Created {folder}. Next:",
        f"  pip install -e '{folder}'",
        "  tfphen run my_own_idea --size smoke",
        f"  pytest '{folder}'",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["a folder"]


def test_an_empty_folder_is_filled(tmp_path, tfphen_command):
    folder = tmp_path / "empty"
    folder.mkdir()
    assert tfphen_command("new", "my_own_idea", folder)[0] == 0
    assert (folder / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("identifier", "part"),
    [
        ("my-idea", "must be a Python identifier"),
        ("MyIdea", "must be a Python identifier"),
        ("_idea", "must be a Python identifier"),
        ("idea_", "must be a Python identifier"),
        ("9lives", "must be a Python identifier"),
        ("lambda", "must be a Python identifier"),
        ("double_descent", "must not be that of another phenomenon"),
        ("toy_width", "must not be that of another phenomenon"),
        ("json", "must not be the name of a module"),
    ],
)
def test_an_id_is_refused(identifier, part, toy, tmp_path, tfphen_command):
    code, out, error = tfphen_command("new", identifier, tmp_path / "package")
    assert (code, out) == (2, "")
    assert part in error
    assert error.endswith(f"Received: {identifier!r}\n")
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.glob("pack*"))


def test_a_folder_with_something_in_it_is_refused(tmp_path, tfphen_command):
    file = tmp_path / "file"
    file.touch()
    for folder in (tmp_path, file):
        code, _, error = tfphen_command("new", "my_own_idea", folder)
        assert code == 2
        assert error == f"Error: DIR must be new or empty. Received: {str(folder)!r}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_left_of_a_failure(tmp_path, tfphen_command, monkeypatch):
    def full(*arguments, **settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    folder = tmp_path / "package"
    code, _, error = tfphen_command("new", "my_own_idea", folder)
    assert code == 1
    assert error == (
        f"Error: {folder} cannot be written: No space left on device. Choose another DIR.\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_folder_below_a_file(tmp_path, tfphen_command):
    (tmp_path / "file").touch()
    code, _, error = tfphen_command("new", "my_own_idea", tmp_path / "file" / "package")
    assert code == 1
    assert "cannot be written: Not a directory" in error
