"""`tfphen report`: writes a report of the records in a directory."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tfphen.cli.options import PLAIN, Out
from tfphen.core.errors import TfphenError, UsageError, nearest
from tfphen.experiment import api
from tfphen.report import data, html, markdown

FORMATS = ("html", "md", "json")
app = typer.Typer(**PLAIN)


@app.command()
def report(
    out: Out = Path("runs"),
    style: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="Format of the report.")
    ] = "html",
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            "-o",
            metavar="FILE",
            help="Output file. Default: OUT/report.html, or standard output for md and json.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a report of all runs in a directory."""
    if style not in FORMATS:
        raise UsageError(
            f"Unknown format {style!r}.{nearest(style, FORMATS)} Allowed: {', '.join(FORMATS)}"
        )
    left_out: list[api.Unfinished] = []
    runs = api.read_runs(out, left_out.append)
    for error in left_out:
        typer.echo(f"Left out: {error}", err=True)
    if style == "html":
        text, to = html.render(runs), to or out / "report.html"
    elif style == "md":
        text = markdown.render(runs)
    else:
        text = json.dumps(data.entries(runs), indent=2, allow_nan=False) + "\n"
    if to is None or str(to) == "-":
        typer.echo(text, nl=False)
        raise typer.Exit(int(bool(left_out)))
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TfphenError(
            f"The report {to} cannot be written: {error.strerror}. Choose another file with --to."
        ) from None
    typer.echo(str(to))
    raise typer.Exit(int(bool(left_out)))
