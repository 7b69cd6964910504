"""Writes requirements.lock, from pyproject.toml: exact versions and hashes of all tfphen needs.

    python tools/lock.py             # keep the pinned versions; add what pyproject.toml now asks
    python tools/lock.py --upgrade   # move every version to the newest one allowed
    python tools/lock.py --check     # change nothing; fail if the lock does not fit pyproject.toml

One lock serves Python 3.11 to 3.13 on every platform: a line that holds for only some of them
carries a marker. It covers the dependencies of the package and of its extra `dev`, each with the
sha256 of every file that the registry offers for that version, and names no registry, so that each
machine installs from the one it is set up for.

Needs uv (on PATH, or beside the Python that runs this). uv does not read pip's settings; where
they name an index, and no UV_* variable does, that index is handed on for the run.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
OLDEST_PYTHON = "3.11"
HEADER = (
    "# Written by tools/lock.py from pyproject.toml; do not edit by hand.\n"
    "# python -m pip install --require-hashes -r requirements.lock\n"
)
OPTION = re.compile(r"^\s*(-i|-f|--\S*index\S*|--find-links|--trusted-host)\b")
ADDRESS = re.compile(r"://|\bfile:|" + OPTION.pattern)
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")


def find_uv() -> str:
    """Returns the path of uv. Exits with what to do where there is none."""
    places = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    uv = shutil.which("uv", path=places)
    if uv is None:
        sys.exit("tools/lock.py needs uv, which was not found. Do: python -m pip install uv")
    return uv


def environment() -> dict[str, str]:
    """Returns the environment for uv, with pip's index in it where uv was given none."""
    variables = dict(os.environ)
    if not any(variables.get(name) for name in INDEX_VARIABLES):
        command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        index = os.environ.get("PIP_INDEX_URL") or answer.stdout.strip()
        if index:
            variables["UV_DEFAULT_INDEX"] = index
    return variables


def compile_lock(previous: str, upgrade: bool) -> str:
    """Returns the text of the lock; pins in `previous` stay unless `upgrade`."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / LOCK.name
        if previous and not upgrade:
            output.write_text(previous, encoding="utf-8")
        command = [find_uv(), "pip", "compile", "pyproject.toml", "--extra", "dev"]
        command += ["--universal", "--python-version", OLDEST_PYTHON, "--generate-hashes"]
        command += ["--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        command += ["--output-file", str(output)]
        if subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode:
            sys.exit("tools/lock.py: uv could not resolve the dependencies; its reason is above.")
        text = output.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not OPTION.search(line)]
    return HEADER + "\n".join(kept) + "\n"


def problems(text: str) -> list[str]:
    """Returns what is wrong with the text of a lock: addresses, loose or unhashed requirements."""
    found = [f"address left in: {line}" for line in text.splitlines() if ADDRESS.search(line)]
    logical = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M))
    for line in filter(None, map(str.strip, logical.splitlines())):
        name = line.split()[0]
        if "==" not in name:
            found.append(f"not pinned to one version: {name}")
        if "--hash=sha256:" not in line:
            found.append(f"without a hash: {name}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--upgrade", action="store_true", help="move to the newest versions")
    parser.add_argument("--check", action="store_true", help="only compare, write nothing")
    options = parser.parse_args()

    previous = LOCK.read_text(encoding="utf-8") if LOCK.exists() else ""
    text = compile_lock(previous, options.upgrade)
    if wrong := problems(text):
        sys.exit("tools/lock.py wrote nothing:\n" + "\n".join(wrong))
    if options.check:
        if text != previous:
            sys.exit("requirements.lock does not fit pyproject.toml. Do: make lock")
        sys.stdout.write("requirements.lock fits pyproject.toml.\n")
        return
    temporary = LOCK.with_suffix(".lock.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(LOCK)
    pins = len(re.findall(r"^[A-Za-z0-9].*==", text, flags=re.M))
    sys.stdout.write(f"requirements.lock: {pins} pinned versions.\n")


if __name__ == "__main__":
    main()
