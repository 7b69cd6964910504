"""`tfphen report`: writes what the records in a folder say."""

import json
from pathlib import Path

import typer

from tfphen.core.errors import TfphenError, UsageError, nearest

FORMATS = ("html", "md", "json")


def report(out: Path, style: str, to: Path | None) -> int:
    """Writes the report of all finished runs below `out`. Returns 1 if one had to be left out.

    Args:
        out: Folder of records.
        style: One of `FORMATS`.
        to: The file; None for `<out>/report.html`, or standard output for the other formats.
    """
    if style not in FORMATS:
        raise UsageError(
            f"Unknown format {style!r}.{nearest(style, FORMATS)} Allowed: {', '.join(FORMATS)}"
        )
    from tfphen.experiment import api

    left_out: list[api.Unfinished] = []
    runs = api.read_runs(out, left_out.append)
    for error in left_out:
        typer.echo(f"Left out: {error}", err=True)
    if style == "html":
        from tfphen.report import html

        text, to = html.render(runs), to or out / "report.html"
    elif style == "md":
        from tfphen.report import markdown

        text = markdown.render(runs)
    else:
        from tfphen.report import data

        text = json.dumps(data.entries(runs), indent=2, allow_nan=False) + "\n"
    if to is None or str(to) == "-":
        typer.echo(text, nl=False)
        return int(bool(left_out))
    try:
        to.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TfphenError(
            f"The report {to} cannot be written: {error.strerror}. Choose another file with --to."
        ) from None
    typer.echo(str(to))
    return int(bool(left_out))
