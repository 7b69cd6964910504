"""`tfphen run`: trains what is not done yet, phenomenon by phenomenon, and prints verdicts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from tfphen.cli import progress
from tfphen.core import config as configs
from tfphen.core.errors import TfphenError, UsageError, nearest
from tfphen.experiment import phenomenon, runner
from tfphen.verdicts.findings import PRESENT

# Those that are available in this release; `tfphen.train.strategy` knows more names.
STRATEGIES = ("auto", "one", "mirrored")


def run(
    identifiers: Sequence[str],
    everything: bool,
    *,
    size: str,
    experiment: str | None,
    seeds: int | None,
    seed: int | None,
    overrides: Sequence[str],
    out: Path,
    data_dir: Path | None,
    strategy: str,
    shard: str,
    deterministic: bool,
    strict: bool,
) -> int:
    """Runs phenomena and returns the exit code.

    All settings are checked before anything trains. If one phenomenon fails, the others still run.

    Raises:
        UsageError: Something in the words is wrong.
        TfphenError: The one phenomenon that was asked for failed.
    """
    kinds = _kinds(identifiers, everything)
    if strategy not in STRATEGIES:
        raise UsageError(
            f"Unknown strategy {strategy!r}.{nearest(strategy, STRATEGIES)} "
            f"Allowed: {', '.join(STRATEGIES)}"
        )
    if data_dir is not None and not data_dir.is_dir():
        raise UsageError(f"--data-dir must be a folder that exists. Received: {str(data_dir)!r}")
    settings = {
        "size": size,
        "experiment": experiment,
        "seeds": seeds,
        "seed": seed,
        "overrides": configs.parse_overrides(overrides),
        "out": out,
        "data_dir": data_dir,
        "strategy": strategy,
        "shard": runner.shard_of(shard),
        "deterministic": deterministic,
    }
    runner.check_environment()
    for kind in kinds:
        given = {k: v for k, v in (("seeds", seeds), ("seed", seed)) if v is not None}
        kind.configure(size, experiment, settings["overrides"] | given)
    runner.writable_folder(out)
    codes = []
    try:
        for kind in kinds:
            codes.append(_one(kind, settings, strict, alone=len(kinds) == 1))
    except KeyboardInterrupt:
        typer.echo(
            "Interrupted. Finished trials are kept: the same command goes on from here.", err=True
        )
        return 130
    if len(kinds) > 1:
        failed = [kind.id for kind, code in zip(kinds, codes, strict=True) if code]
        said = f"Not fine: {', '.join(failed)}." if failed else "All of them are fine."
        typer.echo(f"{len(kinds)} phenomena. {said}", err=True)
    return max(codes)


def _kinds(identifiers: Sequence[str], everything: bool) -> list[type[phenomenon.Phenomenon]]:
    if everything == bool(identifiers):
        raise UsageError(
            "Give one or more ids, or --all. "
            f"Received: {'both' if everything else 'neither'}. See `tfphen list`."
        )
    if everything:
        return list(phenomenon.discover().values())
    return [phenomenon.get(identifier) for identifier in dict.fromkeys(identifiers)]


def _one(kind, settings: dict[str, Any], strict: bool, alone: bool) -> int:
    """Runs one phenomenon, prints its verdicts and returns its exit code."""
    from tfphen.cli.app import bug
    from tfphen.experiment import api
    from tfphen.report import terminal

    label = f"{kind.id} ({settings['size']})"
    try:
        with progress.make(label) as shown:
            result = api.run(kind.id, progress=shown, **settings)
        console = terminal.console()
        _say_what_was_done(shown, label)
        console.print(terminal.verdicts(result))
        console.print(f"{terminal.name(result)}: ", terminal.verdict(result.verdict), "\n", sep="")
    except api.Unfinished as error:
        if settings["shard"] == (1, 1):
            raise
        _say_what_was_done(shown, label)
        typer.echo(f"{error} The last shard to finish gives the verdicts.")
        return 0
    except Exception as error:
        if alone or os.environ.get("TFPHEN_DEBUG") == "1":
            raise
        said = f"Error: {error}" if isinstance(error, TfphenError) else bug(error)
        typer.echo(f"{kind.id}: {said}", err=True)
        return 1
    return int(strict and result.verdict != PRESENT)


def _say_what_was_done(shown, label: str) -> None:
    if not shown.trained:
        done = f"{shown.already} of {shown.total} trials were already done"
        typer.echo(f"{label}: {done}, nothing was trained.", err=True)
