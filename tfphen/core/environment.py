"""The environment of a run: versions, machine and commit. Imports no TensorFlow, Keras or NumPy."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfphen import __version__
from tfphen.core.errors import UsageError


def environment(extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns versions, machine and commit, on which a result may depend besides its trial.

    TensorFlow is not imported. A package that is not installed has version None. `commit` is that
    of the checkout that holds this package, None if there is none; `modified` says whether the
    package differed from it.

    Args:
        extra: More entries, such as device, threads and execution mode.
    """
    found: dict[str, Any] = {"tfphen": __version__, "python": platform.python_version()}
    for name in ("tensorflow", "keras", "numpy", "scipy", "pandas", "scikit-learn"):
        found[name] = _version(name)
    commit, modified = _checkout()
    found |= {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "commit": commit,
        "modified": modified,
    }
    if both := sorted(found.keys() & (extra or {}).keys()):
        raise UsageError(f"`extra` may not replace what is found here. Received: {both}")
    return found | dict(extra or {})


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


@functools.cache
def _checkout() -> tuple[str | None, bool | None]:
    # Once per process: the running code is that of start-up, even if it is edited meanwhile.
    package = Path(__file__).resolve().parents[1]
    # Inside a git hook these variables point to the repository of the hook.
    variables = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str:
        command = ["git", "--no-optional-locks", "-C", str(package), *words]
        return subprocess.run(
            command, env=variables, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        # A package installed into a virtual environment may lie inside a foreign checkout.
        if git("rev-parse", "--show-prefix") != f"{package.name}/":
            return None, None
        return git("rev-parse", "--verify", "HEAD"), bool(git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.SubprocessError):
        return None, None
