"""Results on a terminal: consoles, tables, and numbers as text."""

import functools
import math
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tfphen.verdicts.findings import ABSENT, INCONCLUSIVE, PRESENT

if TYPE_CHECKING:
    from tfphen.experiment.api import Run
    from tfphen.verdicts.findings import Signature

# The word and the symbol of a verdict identify it; its color is redundant.
SIGNS = {PRESENT: "●", ABSENT: "○", INCONCLUSIVE: "◐"}
_STYLES = {PRESENT: "bold blue", ABSENT: "bold yellow", INCONCLUSIVE: "dim"}
# Width of tables where there is no screen.
_COLUMNS_WITHOUT_SCREEN = 160
# Columns of output that is read as text.
PAGE = 100
_WIDE = 120


@functools.cache
def _width(is_terminal: bool) -> int | None:
    if is_terminal or os.environ.get("COLUMNS"):
        return None
    return max(_COLUMNS_WITHOUT_SCREEN, shutil.get_terminal_size().columns)


def console(errors: bool = False, most: int | None = None) -> Console:
    """Returns the console of standard output, or of standard error.

    Args:
        errors: That of standard error.
        most: Upper limit of its width, in columns.
    """
    stream = sys.stderr if errors else sys.stdout
    # Created for each call, since tests and pipes replace the streams.
    made = Console(
        file=stream, width=_width(stream.isatty()), highlight=False, markup=False, emoji=False
    )
    if most is not None and made.width > most:
        made.width = most
    return made


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    right: Sequence[str] = (),
    keep_names: bool | None = None,
) -> Table:
    """Returns a plain table.

    Args:
        columns: Headings.
        rows: Cells, as text or rich text.
        right: Headings of the right-aligned columns.
        keep_names: Whether the first column is never wrapped. By default where there is room.
    """

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    wide = console().width >= _WIDE if keep_names is None else keep_names
    for number, name in enumerate(columns):
        made.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            # On a wide screen ids are not wrapped, so that they can be copied.
            no_wrap=wide and number == 0,
        )
    for row in rows:
        made.add_row(*row)
    return made


def number(value: float | None) -> str:
    """Returns a number with four significant digits, `"–"` for None and NaN."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.4g}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    # A count such as 120,000 is easier to read written out.
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{mantissa}e{int(exponent)}"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Returns an estimate with its interval, such as `"0.12 [0.08, 0.16]"`."""
    if number(low) == number(high) == "–":
        return f"{number(value)} (no interval)"
    return f"{number(value)} [{number(low)}, {number(high)}]"


def threshold(finding: "Signature") -> str:
    """Returns the threshold of a finding with four significant digits, such as `"> 0.1"`."""
    if finding.within is not None:
        low, high = finding.within
        return f"in [{number(low)}, {number(high)}]"
    if finding.above is not None:
        return f"> {number(finding.above)}"
    return f"< {number(finding.below)}"


def duration(seconds: float) -> str:
    """Returns a time such as `"4 s"`, `"2 min 5 s"` or `"3 h 20 min"`."""
    if not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.2g} s" if seconds < 9.5 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


def verdict(word: str) -> Text:
    """Returns a verdict as rich text, with its symbol."""

    return Text(f"{SIGNS.get(word, ' ')} {word}", style=_STYLES.get(word, ""))


def remark(finding: "Signature") -> str:
    """Returns the meaning of a control's verdict, which should be absent; empty for others."""
    if finding.role == "control":
        return {PRESENT: "false positive", ABSENT: "expected"}.get(finding.verdict, "")
    return ""


def verdicts(run: "Run") -> Table:
    """Returns the table of a run's signatures and controls."""
    columns = ("id", "role", "statistic", "estimate", "n", "threshold", "verdict")
    rows: list[tuple[str | Text, ...]] = []
    for finding in run.findings:
        estimate = finding.estimate
        word = verdict(finding.verdict)
        if said := remark(finding):
            word.append(f" ({said})", style="dim")
        rows.append(
            (
                finding.id,
                finding.role,
                estimate.statistic,
                interval(estimate.value, estimate.low, estimate.high),
                str(estimate.n),
                threshold(finding),
                word,
            )
        )
    return table(columns, rows, right=("n",))


def name(run: "Run") -> str:
    """Returns the name of a run: id, size and experiment."""
    experiment = f", {run.experiment}" if run.experiment else ""
    return f"{run.phenomenon.id} ({run.size}{experiment})"
