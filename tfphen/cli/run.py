"""`tfphen run`: runs the remaining trials of phenomena and prints their verdicts."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tfphen.cli import progress, quiet
from tfphen.cli.failures import bug
from tfphen.cli.options import PLAIN, SIZES, DataDir, Experiment, Out
from tfphen.core import config as configs
from tfphen.core.errors import TfphenError, UsageError
from tfphen.core.strategies import AVAILABLE, check_strategy
from tfphen.experiment import api, phenomenon, runner
from tfphen.report import terminal
from tfphen.verdicts.findings import PRESENT

app = typer.Typer(**PLAIN)


@app.command()
def run(
    identifiers: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID...", help="Phenomena, see `tfphen list`.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Run every phenomenon.")] = False,
    size: Annotated[str, typer.Option(metavar=SIZES, help="Size of the experiment.")] = "small",
    experiment: Experiment = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", help="Number of seeds. Default: the config's.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="BASE",
            help="First seed. Seeds below 1000 are exploratory, others confirmatory.",
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
        str, typer.Option(metavar="|".join(AVAILABLE), help="Strategy for devices.")
    ] = "auto",
    shard: Annotated[
        str, typer.Option(metavar="I/N", help="Run only the i-th of n parts of the plan.")
    ] = "1/1",
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Enable deterministic ops (slower).")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 unless every phenomenon is present.")
    ] = False,
) -> None:
    """Run the remaining trials and print verdicts."""
    # All settings are checked before anything trains.
    kinds = _phenomena(identifiers or [], everything)
    check_strategy(strategy)
    if data_dir is not None and not data_dir.is_dir():
        raise UsageError(f"--data-dir must be a folder that exists. Received: {str(data_dir)!r}")
    replaced = configs.parse_overrides(overrides or [])
    settings = {
        "size": size,
        "experiment": experiment,
        "seeds": seeds,
        "seed": seed,
        "overrides": replaced,
        "out": out,
        "data_dir": data_dir,
        "strategy": strategy,
        "shard": runner.shard_of(shard),
        "deterministic": deterministic,
    }
    runner.check_environment()
    for kind in kinds:
        given = {k: v for k, v in (("seeds", seeds), ("seed", seed)) if v is not None}
        kind.configure(size, experiment, {**replaced, **given})
    runner.writable_folder(out)
    codes = []
    try:
        for kind in kinds:
            codes.append(_one(kind, settings, strict, alone=len(kinds) == 1))
    except KeyboardInterrupt:
        typer.echo(
            "Interrupted. Finished trials are kept: run the command again to resume.", err=True
        )
        raise typer.Exit(130) from None
    if len(kinds) > 1:
        failed = [kind.id for kind, code in zip(kinds, codes, strict=True) if code]
        said = f"Failed: {', '.join(failed)}." if failed else "All phenomena passed."
        typer.echo(f"{len(kinds)} phenomena. {said}", err=True)
    raise typer.Exit(max(codes))


def _phenomena(identifiers: Sequence[str], everything: bool) -> list[type[phenomenon.Phenomenon]]:
    if everything == bool(identifiers):
        raise UsageError(
            "Give one or more ids, or --all. "
            f"Received: {'both' if everything else 'neither'}. See `tfphen list`."
        )
    if everything:
        return list(phenomenon.discover().values())
    return [phenomenon.get(identifier) for identifier in dict.fromkeys(identifiers)]


def _one(
    kind: type[phenomenon.Phenomenon], settings: dict[str, Any], strict: bool, alone: bool
) -> int:
    """Runs one phenomenon, prints its verdicts and returns its exit code."""
    label = f"{kind.id} ({settings['size']})"
    try:
        with progress.make(label) as shown:
            result = api.run(kind.id, progress=shown, prepare=_load_tensorflow, **settings)
        console = terminal.console()
        _report_cached(shown, label)
        console.print(terminal.verdicts(result))
        console.print(f"{terminal.name(result)}: ", terminal.verdict(result.verdict), "\n", sep="")
    except api.Unfinished as error:
        if settings["shard"] == (1, 1):
            raise
        _report_cached(shown, label)
        typer.echo(f"{error} The last shard to finish gives the verdicts.")
        return 0
    except Exception as error:
        if alone or os.environ.get("TFPHEN_DEBUG") == "1":
            raise
        said = f"Error: {error}" if isinstance(error, TfphenError) else bug(error)
        typer.echo(f"{kind.id}: {said}", err=True)
        return 1
    return int(strict and result.verdict != PRESENT)


def _report_cached(shown: progress.Lines | progress.Bar, label: str) -> None:
    if not shown.trained:
        typer.echo(f"{label}: all {shown.total} trials cached; nothing to run.", err=True)


def _load_tensorflow() -> None:
    on_screen = sys.stderr.isatty()
    if on_screen:
        typer.echo("Loading TensorFlow …", nl=False, err=True)
    quiet.import_tensorflow()
    if on_screen:
        typer.echo("\r\x1b[K", nl=False, err=True)
