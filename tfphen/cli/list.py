"""`tfphen list`: lists the phenomena, from their config files alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from tfphen.cli.options import PLAIN
from tfphen.core import config as configs
from tfphen.core import references
from tfphen.core.errors import UsageError
from tfphen.experiment import discovery
from tfphen.verdicts.published import resource_folder

app = typer.Typer(**PLAIN)


def describe(identifier: str, path: Path, about: Any = None) -> dict[str, Any]:
    """Returns id, title, claim, paper, sizes and paper experiments as plain data.

    Args:
        identifier: The phenomenon's id.
        path: Its config.
        about: The phenomenon's class, which has title, claim and paper if the config lacks them.
    """
    file = configs.read(path)
    texts = {
        "title": file.about.get("title") or about.title,
        "claim": file.about.get("claim") or about.claim,
        "paper": file.about.get("citation") or about.paper,
    }
    return {
        "id": identifier,
        **texts,
        "sizes": [size for size in configs.SIZES if size in file.tables],
        "experiments": configs.experiments(file.tables),
    }


def descriptions() -> Iterator[dict[str, Any] | UsageError]:
    """Yields the description of each phenomenon, or the error in its config."""
    for name in discovery.rooms():
        try:
            yield describe(name, resource_folder("configs") / f"{name}.toml")
        except UsageError as error:
            yield error
    for name in discovery.entry_points():
        try:
            # A phenomenon of another package knows its config's path, so it is imported.
            kind = references.load("tfphen.experiment.phenomenon:get")(name)
            yield describe(name, kind.config_path(), kind)
        except UsageError as error:
            yield error


@app.command()
def list_phenomena(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List the phenomena."""
    every = [*descriptions()]
    broken = [one for one in every if isinstance(one, UsageError)]
    found = [one for one in every if not isinstance(one, UsageError)]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        width = max((len(one["id"]) for one in found), default=0)
        for one in found:
            typer.echo(f"{one['id']:{width}}  {one['title']}")
        typer.echo("\n`tfphen show ID` describes one, `tfphen run ID` runs its small size.")
    for error in broken:
        typer.echo(f"Error: {error}", err=True)
    if broken:
        raise typer.Exit(2)
