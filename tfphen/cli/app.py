"""The command line. Each verb is thin: what it does is in `tfphen.commands`, imported when it runs.

Exit codes: 0 is fine; 1 a run failed, or with `--strict` a phenomenon did not show; 2 wrong usage
or config; 130 interrupted.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tfphen import __version__
from tfphen.core.errors import TfphenError

app = typer.Typer(
    help="Reproduces published phenomena of deep learning and says whether each one showed.",
    no_args_is_help=True,
    add_completion=False,
    # Plain help and plain errors: they are read in logs and pipes as often as on a screen.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Say which data are here, check or fetch them.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Identifier = Annotated[str, typer.Argument(metavar="ID", help="A phenomenon, see `tfphen list`.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Where the records are.")]
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="First folder in which prepared data sets are looked for."),
]
Size = Annotated[str, typer.Option(metavar="smoke|small|paper", help="How much to train.")]
Experiment = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which experiment of the paper size.")
]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tfphen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Takes the options that come before a verb."""


@app.command("list")
def list_phenomena(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List the phenomena."""
    from tfphen.cli import list

    raise typer.Exit(list.list_phenomena(as_json))


@app.command()
def show(
    identifier: Identifier,
    size: Annotated[
        str | None,
        typer.Option(metavar="smoke|small|paper", help="Only this size. Default: all."),
    ] = None,
    experiment: Experiment = None,
    time: Annotated[
        bool,
        typer.Option("--time", help="Estimate the minutes of the size from a short timing."),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Describe a phenomenon: claim, sizes, models and published numbers."""
    from tfphen.cli import show

    show.show(identifier, size, experiment)
    if time:
        from tfphen.cli import timing

        timing.show(identifier, size or "small", experiment, data_dir)


@app.command()
def run(
    identifiers: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID...", help="Phenomena, see `tfphen list`.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Run every phenomenon.")] = False,
    size: Size = "small",
    experiment: Experiment = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="How many seeds, instead of the config's.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="BASE",
            help="The first seed. Seeds below 1000 explore, those from 1000 up confirm.",
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Replace a setting of the config. Repeatable."
        ),
    ] = None,
    out: Out = Path("runs"),
    data_dir: DataDir = None,
    strategy: Annotated[
        str, typer.Option(metavar="auto|one|mirrored", help="On which devices to train.")
    ] = "auto",
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Do only the i-th of n parts of the work.")
    ] = "1/1",
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Ask for bitwise repeatable kernels (slower).")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 unless every phenomenon is present.")
    ] = False,
) -> None:
    """Train what is not done yet and print the verdicts."""
    from tfphen.cli import run

    code = run.run(
        identifiers or [],
        everything,
        size=size,
        experiment=experiment,
        seeds=seeds,
        seed=seed,
        overrides=overrides or [],
        out=out,
        data_dir=data_dir,
        strategy=strategy,
        shard=shard,
        deterministic=deterministic,
        strict=strict,
    )
    raise typer.Exit(code)


@app.command()
def report(
    out: Out = Path("runs"),
    style: Annotated[
        str, typer.Option("--format", metavar="html|md|json", help="What to write.")
    ] = "html",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            "-o",
            metavar="FILE",
            help="Where to. Default: OUT/report.html, or standard output for md and json.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a report of all runs in a folder. Trains nothing."""
    from tfphen.cli import report

    raise typer.Exit(report.report(out, style, to))


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A folder of records.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
) -> None:
    """Set the verdicts, estimates and records of two folders side by side."""
    from tfphen.cli import compare

    compare.compare(first, second)


@app.command()
def check(data_dir: DataDir = None) -> None:
    """Check the environment: packages, devices, variables, data. Exit 1 if something is broken."""
    from tfphen.cli import check

    raise typer.Exit(check.check(data_dir))


@data_app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """List the data sets, and where they were found."""
    from tfphen.cli import data

    data.list_sets(data_dir)


@data_app.command("check")
def data_check(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Default: all that are here.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check that data sets are here and whole."""
    from tfphen.cli import data

    raise typer.Exit(data.check_sets(names or [], data_dir))


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="TensorFlow Datasets.")],
    data_dir: DataDir = None,
) -> None:
    """Download and prepare data sets that are not here. Nothing else ever downloads."""
    from tfphen.cli import data

    data.fetch_sets(names, data_dir)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits. Errors are one message on standard error.

    Args:
        arguments: The words after `tfphen`; those of the process when None.
    """
    # Read by TensorFlow when it is imported; the user's own choice is kept.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # A terminal may not know every sign.
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


def bug(error: Exception) -> str:
    """Returns one line about an error that is nobody's fault but tfphen's."""
    text = next(iter(str(error).splitlines()), "")
    return (
        f"Error: this is a bug in tfphen {__version__}: {type(error).__name__}: {text} "
        "(TFPHEN_DEBUG=1 shows the traceback)"
    )


def _leave(message: str, code: int) -> None:
    typer.echo(message, err=True)
    sys.exit(code)


def _flush() -> None:
    # Whoever read the output may have left, as `head` does; that is no error.
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
