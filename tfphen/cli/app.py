"""The command line: verbs, exit codes and errors. Each verb is a module, imported when it runs.

Exit codes: 0 is fine; 1 a run failed, or with `--strict` a signature is not present; 2 wrong usage
or config; 130 interrupted.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tfphen import __version__
from tfphen.cli.failures import bug
from tfphen.cli.options import PLAIN
from tfphen.core import references
from tfphen.core.errors import TfphenError

# The help text of each verb, so that `tfphen --help` imports none. A test compares them.
VERBS = {
    "list": "List the phenomena.",
    "show": "Describe a phenomenon: claim, sizes, models and published numbers.",
    "run": "Run the remaining trials and print verdicts.",
    "report": "Write a report of all runs in a directory.",
    "compare": "Compare the verdicts, estimates and records of two directories.",
    "check": "Check the environment: packages, devices, variables, data.",
    "data": "List, verify, or download datasets.",
    "new": "Create a package with a phenomenon of your own.",
}


class _Verbs(TyperGroup):
    """Loads a verb when it is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        return typer.main.get_command(references.load(f"tfphen.cli.{cmd_name}:app"))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


app = typer.Typer(
    cls=_Verbs,
    help="Reproduces published phenomena of deep learning and says whether each one showed.",
    no_args_is_help=True,
    **PLAIN,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tfphen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Options before a verb."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits. Errors are one message on standard error.

    Args:
        arguments: The arguments after `tfphen`; None for those of the process.
    """
    # TensorFlow reads this at import. A value set by the user is kept.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Not every terminal has all the symbols.
            stream.reconfigure(errors="replace")
    try:
        app(args=None if arguments is None else list(arguments), prog_name="tfphen")
    except KeyboardInterrupt:
        _leave("Interrupted.", 130)
    except TfphenError as error:
        _leave(f"Error: {error}", error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if os.environ.get("TFPHEN_DEBUG") == "1":
            raise
        _leave(bug(error), 1)
    finally:
        _flush()


def _leave(message: str, code: int) -> None:
    typer.echo(message, err=True)
    sys.exit(code)


def _flush() -> None:
    # The reader of the output may have closed the pipe, as `head` does; that is not an error.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
