"""`tfphen list`: which phenomena there are, from their declarations and configs alone."""

import json
from typing import Any

import typer

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.experiment.phenomenon import Phenomenon, discover


def describe(kind: type[Phenomenon]) -> dict[str, Any]:
    """Returns id, title, claim, paper, sizes and paper experiments as plain data."""
    tables = configs.read(kind.config_path()).tables
    return {
        "id": kind.id,
        "title": kind.title,
        "claim": kind.claim,
        "paper": kind.paper,
        "sizes": [size for size in configs.SIZES if size in tables],
        "experiments": configs.experiments(tables),
    }


def list_phenomena(as_json: bool) -> int:
    """Writes all phenomena to standard output. Returns 2 if the config of one is broken, else 0."""
    found, broken = [], []
    for kind in discover().values():
        try:
            found.append(describe(kind))
        except UsageError as error:
            broken.append(f"Error: {error}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found)
    for message in broken:
        typer.echo(message, err=True)
    return 2 if broken else 0


def _print(found: list[dict[str, Any]]) -> None:
    from tfphen.report import terminal

    columns = ("id", "title", "paper", "sizes", "experiments")
    rows = [
        (
            one["id"],
            one["title"],
            one["paper"],
            ", ".join(one["sizes"]),
            ", ".join(one["experiments"]),
        )
        for one in found
    ]
    terminal.console().print(terminal.table(columns, rows))
