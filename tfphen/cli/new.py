"""`tfphen new`: creates a package with a phenomenon of one's own, from a working example."""

import keyword
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tfphen.cli.options import PLAIN
from tfphen.core.errors import TfphenError, UsageError
from tfphen.experiment import discovery
from tfphen.verdicts.published import resource_folder

# The names in the example that are replaced.
_ID, _CLASS = "my_phenomenon", "MyPhenomenon"
app = typer.Typer(**PLAIN)


@app.command()
def new(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Its id, such as wide_nets.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Directory to create.")],
) -> None:
    """Create a package with a phenomenon of your own."""
    if not identifier.isidentifier() or keyword.iskeyword(identifier):
        raise UsageError(
            "An id is a Python identifier, such as wide_nets: letters, digits and underscores. "
            f"Received: {identifier!r}"
        )
    if identifier in {**discovery.rooms(), **discovery.entry_points()}:
        raise UsageError(f"There is a phenomenon with this id already. Received: {identifier!r}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"The directory must be empty or not there. Received: {str(folder)!r}")
    try:
        _create(identifier, folder)
    except OSError as error:
        raise TfphenError(f"{folder} cannot be written: {error.strerror}.") from None
    typer.echo(
        f"{folder} holds a working phenomenon. Next:\n"
        f"  pip install -e {folder}\n"
        f"  tfphen run {identifier} --size smoke\n"
        f"  pytest {folder}"
    )


def _create(identifier: str, folder: Path) -> None:
    """Writes the package beside its target first, then moves it there at once."""
    name = "".join(part.capitalize() for part in identifier.split("_"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as place:
        made = Path(place) / identifier
        for path in sorted(resource_folder("template").rglob("*")):
            if not path.is_file() or "__pycache__" in path.parts:
                continue
            relative = str(path.relative_to(resource_folder("template")))
            target = made / relative.replace(_ID, identifier)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8")
            text = text.replace(_ID, identifier).replace(_CLASS, name)
            target.write_text(text, encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        shutil.move(made, folder)
