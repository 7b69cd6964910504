"""`tfphen compare A B`: compares two directories of records."""

import math
from pathlib import Path
from typing import Annotated, TypeGuard

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
        pair = [side[key] for side in sides if key in side]
        console.print(f"{terminal.name(pair[0])}", style="bold")
        if len(pair) == 1:
            folder = first if key in sides[0] else second
            typer.echo(f"Only in {folder}: {pair[0].verdict}\n")
            continue
        a, b = pair
        rows: list[tuple[str | Text, ...]] = [
            ("verdict", "", *(terminal.verdict(run.verdict) for run in pair))
        ]
        found = [{one.id: one for one in run.findings} for run in pair]
        for name in dict.fromkeys((*found[0], *found[1])):
            ours = [side.get(name) for side in found]
            role = next(one for one in ours if one is not None).role
            rows.append((name, role, *(_cell(one) for one in ours)))
        console.print(terminal.table(("", "role", f"A: {first}", f"B: {second}"), rows))
        typer.echo(_settings(a, b) + _records(a, b))


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
    """Returns a summary of the records that two runs share, and of their differences."""
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
    """Returns the differences of two records of one trial."""
    parts = []
    for name in dict.fromkeys((*a.values, *b.values)):
        one, other = a.values.get(name), b.values.get(name)
        if one == other or (_is_nan(one) and _is_nan(other)):
            continue
        shown = [
            repr(x) if isinstance(x, (str, bool, type(None))) else f"{x:.6g}" for x in (one, other)
        ]
        if shown[0] == shown[1] and _is_number(one) and _is_number(other):
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


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _same_array(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None or one.dtype != other.dtype:
        return False
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
