"""`tfphen new` creates a package that works as it is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def installed(folder, site):
    """Puts the package on a path of its own, as pip would. Returns that path."""
    site.mkdir()
    (site / "wide_nets").symlink_to(folder / "wide_nets")
    metadata = site / "wide_nets-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: wide-nets\nVersion: 1.0\n")
    points = (folder / "pyproject.toml").read_text(encoding="utf-8").split("entry-points.")[1]
    line = points.split("\n")[1].replace('"', "")
    (metadata / "entry_points.txt").write_text(f"[tfphen.phenomena]\n{line}\n")
    return site


def test_new_package_works_as_it_is(tfphen_command, tmp_path):
    folder = tmp_path / "package"
    code, out, error = tfphen_command("new", "wide_nets", folder)
    assert code == 0, error
    assert f"pip install -e {folder}" in out
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()]
    assert len(texts) == 8
    assert not any("my_phenomenon" in text or "MyPhenomenon" in text for text in texts)
    site = installed(folder, tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}

    def run(*words):
        command = [sys.executable, "-m", *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "wide_nets" in run("tfphen", "list")
    assert "Wider networks err less" in run("tfphen", "show", "wide_nets")
    runs = tmp_path / "runs"
    assert "true/gap" in run("tfphen", "run", "wide_nets", "--size", "smoke", "--out", runs)
    run("tfphen", "report", "--out", runs)
    assert (runs / "report.html").stat().st_size > 10_000
    assert "4 passed" in run("pytest", "-q", "-p", "no:cacheprovider", folder / "tests")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("2nets",), "Received: '2nets'"),
        (("class",), "Received: 'class'"),
        (("double_descent",), "There is a phenomenon with this id already"),
        (("toy_width",), "There is a phenomenon with this id already"),
    ],
)
def test_wrong_ids_are_refused(toy, tfphen_command, tmp_path, words, said):
    folder = tmp_path / "package"
    code, out, error = tfphen_command("new", *words, folder)
    assert (code, out) == (2, "")
    assert said in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_directory_with_files_is_left_alone(tfphen_command, tmp_path):
    mine = tmp_path / "package" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    code, _, error = tfphen_command("new", "wide_nets", mine.parent)
    assert code == 2
    assert "must be empty" in error
    assert list(mine.parent.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == [mine.parent]


def test_an_empty_directory_is_used(tfphen_command, tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    code, _, error = tfphen_command("new", "wide_nets", folder)
    assert code == 0, error
    assert (folder / "wide_nets" / "wide_nets.toml").is_file()
    assert list(tmp_path.iterdir()) == [folder]
