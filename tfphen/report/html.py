"""The report as one self-contained HTML file, without scripts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from tfphen import __version__
from tfphen.core import config as configs
from tfphen.experiment import plots
from tfphen.report import data, forest, terminal
from tfphen.verdicts.comparison import Comparison
from tfphen.verdicts.findings import ABSENT, PRESENT, Signature

if TYPE_CHECKING:
    from tfphen.experiment.api import Run

# Symbols of verdicts, so that color is never the only cue.
_SIGNS = {
    **terminal.SIGNS,
    "reproduced": "✓",
    "direction only": "↗",
    "contradicted": "✗",
    "not comparable": "≠",
    "not run": "–",
}
_SIZES = {
    "paper": "the paper's protocol",
    "small": "a laptop-sized experiment, not the paper's protocol",
    "smoke": "a test that everything runs, with little evidence about the phenomenon",
}
_ENVIRONMENT = (
    ("tfphen", "tfphen"),
    ("commit", "commit"),
    ("modified", "uncommitted changes"),
    ("python", "Python"),
    ("tensorflow", "TensorFlow"),
    ("keras", "Keras"),
    ("numpy", "NumPy"),
    ("device", "device"),
    ("threads", "threads"),
    ("cpus", "CPUs"),
    ("replicas", "replicas"),
    ("strategy", "strategy"),
    ("deterministic", "deterministic kernels"),
    ("execution", "execution"),
    ("model_parameters", "weights of a model"),
    ("platform", "platform"),
)


def render(runs: "Sequence[Run]") -> str:
    """Returns the page of all runs."""

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfphen.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["signs"] = _SIGNS
    environment.filters["breakable"] = _breakable
    page = environment.get_template("page.html.jinja")
    finished = [record.finished for run in runs for record in run.records.values()]
    return page.render(
        version=__version__,
        finished=max((time[:10] for time in finished if time), default=""),
        sizes=[
            (size, _SIZES[size], [_score(run) for run in found])
            for size, found in data.by_size(runs).items()
        ],
        phenomena=[_phenomenon(group) for group in data.by_phenomenon(runs).values()],
    )


def _breakable(name: str) -> "Markup":
    """Returns a name with possible line breaks after underscores."""

    return escape(name).replace("_", Markup("_<wbr>"))


def _anchor(run: "Run") -> str:
    return "-".join(filter(None, (run.phenomenon.id, run.size, run.experiment)))


def _score(run: "Run") -> dict[str, Any]:
    def share(role: str, verdict: str) -> str:
        verdicts = [found.verdict for found in run.findings if found.role == role]
        return f"{verdicts.count(verdict)} of {len(verdicts)}"

    seconds = sum(record.seconds for record in run.records.values())
    compared = [one.verdict for one in data.comparisons(run) if one.estimate is not None]
    return {
        "anchor": _anchor(run),
        "id": run.phenomenon.id,
        "title": run.phenomenon.title,
        "experiment": run.experiment,
        "verdict": run.verdict,
        "signatures": share("signature", PRESENT),
        "controls": share("control", ABSENT),
        "published": [(word, compared.count(word)) for word in dict.fromkeys(sorted(compared))],
        "seeds": data.seeds(run),
        "role_of_seeds": data.role_of_seeds(run),
        "minutes": f"{seconds / 60:.2g}" if seconds < 600 else f"{seconds / 60:,.0f}",
    }


def _phenomenon(runs: "Sequence[Run]") -> dict[str, Any]:
    kind = runs[0].phenomenon
    known = configs.experiments(configs.read(kind.config_path()).tables)
    return {
        "id": kind.id,
        "title": kind.title,
        "claim": kind.claim,
        "paper": kind.paper,
        "runs": [_run(run, runs) for run in runs],
        "not_run": [
            _published(one) | {"can_run": one.number.experiment in known}
            for one in data.not_run(runs)
        ],
    }


def _run(run: "Run", runs: "Sequence[Run]") -> dict[str, Any]:
    statements = ", ".join(f"{found.id}: {found.verdict}" for found in run.findings)
    figure = plots.to_svg(
        run.figure(),
        _anchor(run),
        f"{run.phenomenon.title}, {data.protocol(run)}, {data.seeds(run)} seeds. {statements}.",
    )
    roles = {
        role: [_finding(found) for found in run.findings if found.role == role]
        for role in ("signature", "control")
    }
    published = [one for one in data.comparisons(run, runs) if one.estimate is not None]
    return _score(run) | {
        "size": run.size,
        "protocol": data.protocol(run),
        "meaning": _SIZES[run.size],
        "trials": len(run.records),
        "figure": figure,
        "found": roles["signature"],
        "guards": roles["control"],
        "compared": [_published(one) for one in published],
        "command": data.command(run),
        "environment": _environment(run),
    }


def _finding(found: Signature) -> dict[str, Any]:
    ours = found.estimate
    return {
        "id": found.id,
        "statistic": ours.statistic,
        "estimate": terminal.number(ours.value),
        "interval": f"[{terminal.number(ours.low)}, {terminal.number(ours.high)}]"
        if ours.has_interval
        else "no interval",
        "n": ours.n,
        "threshold": terminal.threshold(found),
        "verdict": found.verdict,
        "remark": terminal.remark(found),
        "note": found.note,
        "forest": forest.finding(found),
    }


def _published(one: Comparison) -> dict[str, Any]:
    number, ours = one.number, one.estimate
    return {
        "experiment": number.experiment,
        "metric": number.metric,
        "setting": data.published_setting(one),
        "published": data.published_value(one),
        "provenance": number.provenance,
        "source": number.source,
        "verdict": one.verdict,
        "reason": one.reason,
        "differs": list(number.differs),
        "note": number.note,
        "ours": ours and f"{terminal.interval(ours.value, ours.low, ours.high)} (n = {ours.n})",
        "forest": ours and forest.comparison(one),
    }


def _environment(run: "Run") -> list[tuple[str, str]]:
    found = data.merged_environment(run)
    rows = []
    for name, label in _ENVIRONMENT:
        values = found.get(name)
        values = values if isinstance(values, list) else [values]
        if name == "model_parameters" and len(values) > 2:
            values = [f"{min(values):,} to {max(values):,}"]
        if name == "threads":
            values = [value or "chosen by TensorFlow" for value in values]
        if name == "commit":
            values = [value and value[:10] for value in values]
        text = "; ".join(_plain(value) for value in values if value is not None)
        if text:
            rows.append((label, text))
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
