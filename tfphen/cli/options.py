"""Arguments and options that several verbs share."""

from pathlib import Path
from typing import Annotated, Any

import typer

# Plain help and errors, which are often read in logs and pipes.
PLAIN: dict[str, Any] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}

Identifier = Annotated[str, typer.Argument(metavar="ID", help="A phenomenon, see `tfphen list`.")]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Directory of the records.")]
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Directory to search first for prepared datasets."),
]
Experiment = Annotated[
    str | None, typer.Option(metavar="NAME", help="Experiment of the paper size.")
]
SIZES = "smoke|small|paper"
