"""`tfphen new ID DIR`: a package with a phenomenon of one's own, from the minimal example."""

import importlib.util
import keyword
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer

from tfphen.cli.options import PLAIN
from tfphen.core.errors import TfphenError, UsageError
from tfphen.experiment import discovery
from tfphen.verdicts.published import resource_folder

app = typer.Typer(**PLAIN)


@app.command()
def new(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the phenomenon, and name of its package.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Directory to create; new or empty.")
    ],
) -> None:
    """Create a package with a phenomenon of your own."""
    _check_identifier(identifier)
    create(identifier, folder)
    where = shlex.quote(str(folder))
    typer.echo(f"Created {folder}. Next:")
    for command in (
        f"pip install -e {where}",
        f"tfphen run {identifier} --size smoke",
        f"pytest {where}",
    ):
        typer.echo(f"  {command}")


def _check_identifier(identifier: str) -> None:
    well_formed = re.fullmatch(r"[a-z]([a-z0-9_]*[a-z0-9])?", identifier)
    if not well_formed or keyword.iskeyword(identifier):
        raise UsageError(
            "ID must be a Python identifier of lower-case letters, digits and inner underscores. "
            f"Received: {identifier!r}"
        )
    if identifier in discovery.rooms() or identifier in discovery.entry_points():
        raise UsageError(f"ID must not be that of another phenomenon. Received: {identifier!r}")
    spec = importlib.util.find_spec(identifier)
    # A folder of that name has a spec as well, but it hides no module.
    if spec is not None and spec.origin is not None:
        raise UsageError(
            f"ID must not be the name of a module that is installed. Received: {identifier!r}"
        )


def create(identifier: str, folder: Path) -> None:
    """Writes the package into `folder`, all of it or nothing.

    Args:
        identifier: Id of the phenomenon, and name of its package.
        folder: Where; it must be new or empty.

    Raises:
        UsageError: There is something in `folder`, or it is a file.
        TfphenError: It cannot be written.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageError(f"DIR must be new or empty. Received: {str(folder)!r}")
    # Beside its place, so that one rename puts it there.
    unfinished = folder.with_name(f".{folder.name}-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        _copy(identifier, unfinished)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    except OSError as error:
        raise TfphenError(
            f"{folder} cannot be written: {error.strerror}. Choose another DIR."
        ) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _copy(identifier: str, folder: Path) -> None:
    template = resource_folder("template")
    names = {
        "minimal_phenomenon": identifier,
        "minimal-phenomenon": identifier.replace("_", "-"),
        "MinimalPhenomenon": "".join(part.capitalize() for part in identifier.split("_")),
    }
    pattern = re.compile("|".join(names))

    def renamed(text: str) -> str:
        return pattern.sub(lambda match: names[match.group()], text)

    for source in sorted(template.rglob("*")):
        path = source.relative_to(template)
        if source.is_dir() or "__pycache__" in path.parts:
            continue
        target = folder / renamed(path.as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(renamed(source.read_text(encoding="utf-8")), encoding="utf-8")
