"""What a record says about where it was made."""

import os
import shutil
import subprocess
import sys

import pytest

from tfphen.core.environment import environment
from tfphen.core.errors import UsageError
from tfphen.experiment.records import Record


def test_environment_is_plain_data_without_tensorflow():
    code = (
        "import sys\n"
        "from tfphen.experiment.records import environment\n"
        "found = environment({'device': 'cpu'})\n"
        "assert found['device'] == 'cpu' and found['numpy'] and found['tensorflow'], found\n"
        "assert not {'tensorflow', 'keras', 'pandas', 'scipy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    assert environment()["python"].startswith("3.")
    Record("aa", "double_descent", {}, {}, environment=environment())
    with pytest.raises(UsageError, match="numpy"):
        environment({"numpy": "9"})


@pytest.fixture
def checkout(tmp_path):
    """A repository of its own, and a way to ask for the commit of a module at any path."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    # Within a git hook these would point to the repository of the hook.
    variables = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}

    def git(*words):
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        command = ["git", *names, "-C", str(tmp_path), *words]
        run = subprocess.run(command, check=True, capture_output=True, text=True, env=variables)
        return run.stdout.strip()

    def ask(file):
        code = (
            "import tfphen.core.environment as module\n"
            f"module.__file__ = {str(file)!r}\n"
            "print(*module._checkout())"
        )
        run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        return run.stdout.decode().split()

    file = tmp_path / "tfphen" / "core" / "environment.py"
    file.parent.mkdir(parents=True)
    file.write_text("first")
    return git, ask, file


def test_commit_of_the_checkout_only(checkout, tmp_path):
    git, ask, file = checkout
    installed = tmp_path / "lib" / "tfphen" / "core" / "environment.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    assert ask(file) == ["None", "None"]
    git("init", "--quiet")
    assert ask(file) == ["None", "None"]
    git("add", "tfphen")
    git("commit", "--quiet", "-m", "first")
    assert ask(file) == [git("rev-parse", "HEAD"), "False"]
    file.write_text("changed")
    assert ask(file) == [git("rev-parse", "HEAD"), "True"]
    assert ask(installed) == ["None", "None"]
