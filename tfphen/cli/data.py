"""`tfphen data`: which data are on this machine, whether they are whole, and fetching them."""

from collections.abc import Sequence
from pathlib import Path

import typer

from tfphen.core.errors import MissingData
from tfphen.report import terminal


def list_sets(data_dir: Path | None) -> None:
    """Prints every data set that is known or found, and where tfds sets are looked for."""
    from tfphen.data import sources

    missing = {"file": "not here, copied by hand: see tfphen data check", "tfds": "not here"}
    rows = [
        (source.name, source.kind, source.found or missing[source.kind])
        for source in sources.available(data_dir)
    ]
    terminal.console().print(terminal.table(("name", "kind", "found"), rows))
    folders = ", ".join(str(folder) for folder in sources.search_folders(data_dir))
    typer.echo(f"Prepared sets and files are looked for in {folders}.")


def check_sets(names: Sequence[str], data_dir: Path | None) -> int:
    """Prints the state of data sets. Returns 1 if one of them is missing or not whole.

    Args:
        names: Which; all that were found if there are none.
        data_dir: First folder in which tfds sets are looked for.
    """
    from tfphen.data import sources

    names = names or [source.name for source in sources.available(data_dir) if source.found]
    code = 0
    for name in dict.fromkeys(names):
        try:
            typer.echo(f"{name}: whole ({sources.check(name, data_dir).found})")
        except MissingData as error:
            typer.echo(f"Error: {error}", err=True)
            code = 1
    return code


def fetch_sets(names: Sequence[str], data_dir: Path | None) -> None:
    """Downloads and prepares tfds sets that are not here.

    Raises:
        MissingData: One could not be had; those before it were.
    """
    from tfphen.cli import quiet
    from tfphen.data import sources

    quiet.import_tensorflow()
    for name in dict.fromkeys(names):
        typer.echo(f"{name}: {sources.fetch(name, data_dir).found}")
