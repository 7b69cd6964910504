"""The report as compact Markdown, for a README, an issue or a terminal."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tfphen.report import data, terminal
from tfphen.verdicts.comparison import Comparison

if TYPE_CHECKING:
    from tfphen.experiment.api import Run

_EXPLANATION = (
    "Every verdict rests on a 95% interval over seeds. A control tests the same statement where it "
    "must not hold, and should be absent."
)


def render(runs: "Sequence[Run]") -> str:
    """Returns the report of all runs."""
    lines = ["# tfphen report", "", _EXPLANATION, ""]
    for size, found in data.by_size(runs).items():
        lines += [f"## Size: {size}", "", *_scoreboard(found), ""]
    for group in data.by_phenomenon(runs).values():
        lines += _phenomenon(group)
    return "\n".join(lines).rstrip() + "\n"


def _scoreboard(runs: "Sequence[Run]") -> list[str]:
    rows = [
        (
            f"[{_name(run)}](#{run.phenomenon.id})",
            _verdict(run.verdict),
            data.seeds(run),
            f"{sum(record.seconds for record in run.records.values()) / 60:.3g}",
        )
        for run in runs
    ]
    return _table(("phenomenon", "verdict", "seeds", "compute (min)"), rows)


def _name(run: "Run") -> str:
    return run.phenomenon.id + (f", {run.experiment}" if run.experiment else "")


def _phenomenon(runs: "Sequence[Run]") -> list[str]:
    kind = runs[0].phenomenon
    lines = [f"## {kind.id}", "", f"**{kind.title}.** {kind.claim}", "", f"{kind.paper}", ""]
    for run in runs:
        lines += [f"### {data.protocol(run)}: {_verdict(run.verdict)}", "", *_findings(run), ""]
        compared = [one for one in data.comparisons(run, runs) if one.estimate is not None]
        if compared:
            lines += ["Published numbers beside ours:", "", *_published(compared), ""]
        lines += [f"`{data.command(run)}`", ""]
    if waiting := data.not_run(runs):
        lines += ["Published numbers of experiments that have not run:", ""]
        rows = [
            (
                one.number.experiment,
                one.number.metric,
                data.published_setting(one),
                data.published_value(one),
                one.number.source,
            )
            for one in waiting
        ]
        lines += [*_table(("experiment", "metric", "setting", "published", "source"), rows), ""]
    return lines


def _findings(run: "Run") -> list[str]:
    rows = []
    for finding in run.findings:
        ours, said = finding.estimate, terminal.remark(finding)
        rows.append(
            (
                finding.id,
                finding.role,
                ours.statistic,
                terminal.interval(ours.value, ours.low, ours.high),
                str(ours.n),
                terminal.threshold(finding),
                _verdict(finding.verdict) + (f" ({said})" if said else ""),
            )
        )
    return _table(("id", "role", "statistic", "estimate", "n", "threshold", "verdict"), rows)


def _published(comparisons: Iterable[Comparison]) -> list[str]:
    rows = []
    for one in comparisons:
        if (ours := one.estimate) is None:
            continue
        rows.append(
            (
                one.number.metric,
                data.published_setting(one),
                data.published_value(one),
                f"{terminal.interval(ours.value, ours.low, ours.high)} (n = {ours.n})",
                one.verdict,
                f"{one.number.source} ({one.number.provenance})",
                one.reason,
            )
        )
    columns = ("metric", "setting", "published", "ours", "verdict", "source", "why")
    return _table(columns, rows)


def _verdict(word: str) -> str:
    return f"{terminal.SIGNS.get(word, '')} {word}".strip()


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = (" ".join(str(cell).split()).replace("|", "\\|") for cell in row)
        lines.append("| " + " | ".join(cells) + " |")
    return lines
