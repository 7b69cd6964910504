"""A phenomenon from another package: found, run and tested with no edit of this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import phenomenon

ROOT = Path(__file__).resolve().parents[2]


def install(folder, entry, module="", name="other"):
    """Puts a package with one entry point into a folder."""
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[tfphen.phenomena]\n{entry}\n")
    if module:
        (folder / f"{name}_module.py").write_text(module)


def test_it_is_discovered_with_its_files(toy, toy_folder):
    assert phenomenon.discover()["toy_width"] is toy
    assert toy.id == "toy_width"
    assert toy.config_path() == toy_folder / "toy_width.toml"
    assert toy.published_path() == toy_folder / "toy_width.published.toml"
    assert toy.configure("smoke").wide == (32,)


def test_it_is_gone_with_its_package():
    assert "toy_width" not in phenomenon.discover()


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("odd = json:dumps", "must be a subclass"),
        ("lost = no_such_module_at_all:Thing", "no_such_module_at_all"),
        ("lost = other_module:Missing", "Missing"),
    ],
)
def test_a_broken_entry_point_is_named(entry, part, tmp_path, monkeypatch):
    install(tmp_path, entry, "value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "other_module", raising=False)
    with pytest.raises(UsageError, match=part) as error:
        phenomenon.discover()
    assert entry.partition(" ")[0] in str(error.value)


def test_two_with_one_id(toy_folder, tmp_path, monkeypatch):
    install(tmp_path, "toy_width = toy_width:ToyWidth")
    monkeypatch.syspath_prepend(str(toy_folder))
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="Two phenomena have the id 'toy_width'"):
        phenomenon.discover()


@pytest.mark.slow
def test_the_suite_of_every_phenomenon_takes_it_in_and_passes(toy_folder, tmp_path):
    path = os.pathsep.join([str(ROOT), str(toy_folder)])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += ["-k", "toy_width", str(ROOT / "tests" / "test_every_phenomenon.py")]
    done = subprocess.run(
        [*command, "--basetemp", str(tmp_path / "run")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    source = (ROOT / "tests" / "test_every_phenomenon.py").read_text(encoding="utf-8")
    assert f"{source.count('@every')} passed" in done.stdout
