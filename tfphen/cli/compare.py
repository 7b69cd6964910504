"""`tfphen compare A B`: compares two directories of records."""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.text import Text

from tfphen.cli.options import PLAIN
from tfphen.experiment import api, records
from tfphen.experiment.api import Run
from tfphen.report import data, terminal
from tfphen.verdicts.findings import Signature

# Number of differing trials to name one by one.
_NAMED = 10


app = typer.Typer(**PLAIN)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A directory of records.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
) -> None:
    """Compare the verdicts, estimates and records of two directories."""
    sides = [
        {(run.phenomenon.id, run.size, run.experiment): run for run in api.read_runs(folder)}
        for folder in (first, second)
    ]
    console = terminal.console()
    for key in sorted(sides[0].keys() | sides[1].keys(), key=str):
        pair = [side.get(key) for side in sides]
        known = next(run for run in pair if run is not None)
        console.print(f"{terminal.name(known)}", style="bold")
        if None in pair:
            typer.echo(f"Only in {first if pair[0] else second}: {known.verdict}\n")
            continue
        rows = [("verdict", "", *(terminal.verdict(run.verdict) for run in pair))]
        found = [{one.id: one for one in run.findings} for run in pair]
        for name in dict.fromkeys((*found[0], *found[1])):
            ours = [side.get(name) for side in found]
            role = next(one for one in ours if one is not None).role
            rows.append((name, role, *(_cell(one) for one in ours)))
        console.print(terminal.table(("", "role", f"A: {first}", f"B: {second}"), rows))
        typer.echo(_settings(*pair) + _records(*pair))


def _cell(finding: Signature | None) -> str | Text:
    if finding is None:
        return "–"
    ours, word = finding.estimate, terminal.verdict(finding.verdict)
    text = terminal.interval(ours.value, ours.low, ours.high)
    return word.append(f" {text} (n = {ours.n})", style="not bold default")


def _settings(a: Run, b: Run) -> str:
    lines = [f"  {side}: {data.command(run)}\n" for side, run in (("A", a), ("B", b))]
    return "" if data.command(a) == data.command(b) else "".join(lines)


def _records(a: Run, b: Run) -> str:
    """Returns how many records the two share, and how those differ, in words."""
    both = [name for name in a.records if name in b.records]
    differ = [
        name
        for name in both
        if not records.same_results(a.records[name], b.records[name], environment=False)
    ]
    only = [len(run.records) - len(both) for run in (a, b)]
    words = f"  {len(both)} shared trials, {len(differ)} differ"
    words += "".join(f"; {n} only in {side}" for side, n in zip("AB", only, strict=True) if n)
    lines = [words]
    for name in differ[:_NAMED]:
        lines.append(f"  {name}: {_difference(a.records[name], b.records[name])}")
    if len(differ) > _NAMED:
        lines.append(f"  and {len(differ) - _NAMED} more")
    return "\n".join(lines) + "\n"


def _difference(a: records.Record, b: records.Record) -> str:
    """Returns how two records of one trial differ, value by value."""
    parts = []
    for name in dict.fromkeys((*a.values, *b.values)):
        one, other = a.values.get(name), b.values.get(name)
        nan = isinstance(one, float) and isinstance(other, float)
        if one == other or (nan and math.isnan(one) and math.isnan(other)):
            continue
        shown = [
            repr(x) if isinstance(x, (str, bool, type(None))) else f"{x:.6g}" for x in (one, other)
        ]
        if shown[0] == shown[1]:
            shown.append(f"(they differ by {abs(one - other):.2g})")
        parts.append(f"{name} {' → '.join(shown[:2])} {' '.join(shown[2:])}".rstrip())
    arrays = [
        name
        for name in dict.fromkeys((*a.arrays, *b.arrays))
        if not _same_array(a.arrays.get(name), b.arrays.get(name))
    ]
    if arrays:
        parts.append(f"arrays {', '.join(arrays)}")
    return ", ".join(parts) or "the settings of the trial"


def _same_array(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None or one.dtype != other.dtype:
        return False
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
