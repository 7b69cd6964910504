"""`tfphen data`: lists, verifies and downloads datasets."""

from typing import Annotated

import typer

from tfphen.cli import quiet
from tfphen.cli.options import PLAIN, DataDir
from tfphen.core.errors import MissingData
from tfphen.data import sources
from tfphen.report import terminal

app = typer.Typer(help="List, verify, or download datasets.", no_args_is_help=True, **PLAIN)


@app.command("list")
def list_sets(data_dir: DataDir = None) -> None:
    """List datasets and where they were found."""
    missing = {"file": "not found, copied by hand: see tfphen data check", "tfds": "not found"}
    rows = [
        (source.name, source.kind, source.found or missing[source.kind])
        for source in sources.available(data_dir)
    ]
    terminal.console().print(terminal.table(("name", "kind", "found"), rows))
    folders = ", ".join(str(folder) for folder in sources.search_folders(data_dir))
    typer.echo(f"Searched for prepared datasets and files: {folders}.")


@app.command("check")
def check_sets(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Default: all that were found.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Verify that datasets are present and complete."""
    names = names or [source.name for source in sources.available(data_dir) if source.found]
    code = 0
    for name in dict.fromkeys(names):
        try:
            typer.echo(f"{name}: OK ({sources.check(name, data_dir).found})")
        except MissingData as error:
            typer.echo(f"Error: {error}", err=True)
            code = 1
    raise typer.Exit(code)


@app.command("fetch")
def fetch_sets(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="TensorFlow Datasets.")],
    data_dir: DataDir = None,
) -> None:
    """Download and prepare missing datasets. Nothing else ever downloads."""
    quiet.import_tensorflow()
    for name in dict.fromkeys(names):
        typer.echo(f"{name}: {sources.fetch(name, data_dir).found}")
