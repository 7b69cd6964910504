"""`tfphen list`: the phenomena, from their config files alone."""

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
from tfphen.report import terminal
from tfphen.verdicts.published import resource_folder

app = typer.Typer(**PLAIN)


def describe(identifier: str, path: Path | None) -> dict[str, Any]:
    """Returns id, title, claim, paper, sizes and paper experiments as plain data.

    Args:
        identifier: The phenomenon's id.
        path: Its config; None to ask its class.
    """
    file = None if path is None else configs.read(path)
    if file is not None and file.about.keys() >= set(configs.ABOUT):
        title, claim, paper = (file.about[name] for name in configs.ABOUT)
    else:
        # By reference, since this imports the phenomenon.
        phenomenon = references.load("tfphen.experiment.phenomenon:get")(identifier)
        title, claim, paper = phenomenon.title, phenomenon.claim, phenomenon.paper
        file = configs.read(phenomenon.config_path())
    return {
        "id": identifier,
        "title": title,
        "claim": claim,
        "paper": paper,
        "sizes": [size for size in configs.SIZES if size in file.tables],
        "experiments": configs.experiments(file.tables),
    }


def config_paths() -> Iterator[tuple[str, Path | None]]:
    """Yields the id and config of each phenomenon, with None if only its class has the path."""
    folder = resource_folder("configs")
    for name in discovery.rooms():
        yield name, folder / f"{name}.toml"
    for name, point in discovery.entry_points().items():
        yield name, discovery.config_beside(point)


@app.command()
def list_phenomena(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List the phenomena."""
    found: list[dict[str, Any]] = []
    broken: list[str] = []
    for name, path in config_paths():
        try:
            found.append(describe(name, path))
        except UsageError as error:
            broken.append(f"Error: {error}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        rows = [(one["id"], one["title"], _sizes(one)) for one in found]
        table = terminal.table(("id", "title", "sizes (experiments)"), rows, keep_names=True)
        terminal.console(most=terminal.PAGE).print(table)
        typer.echo("\n`tfphen show ID` describes one, `tfphen run ID` runs its small size.")
    for message in broken:
        typer.echo(message, err=True)
    if broken:
        raise typer.Exit(2)


def _sizes(one: dict[str, Any]) -> str:
    """Returns the sizes of a phenomenon, with the number of experiments of the paper size."""
    count = {"paper": f" ({len(one['experiments'])})"}
    return ", ".join(size + count.get(size, "") for size in one["sizes"])
