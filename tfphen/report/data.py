"""The contents of all report formats, as plain data. Sizes are never mixed."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfphen.verdicts.comparison import NOT_RUN, Comparison

if TYPE_CHECKING:
    from tfphen.experiment.api import Run

# Entries of the environment that belong to the protocol, and are part of the command.
_NOT_ENVIRONMENT = ("seed",)


def entry(run: "Run", runs: "Sequence[Run]" = ()) -> dict[str, Any]:
    """Returns one run as JSON data.

    Args:
        run: The run.
        runs: All runs of the report. Published numbers of an experiment among them appear in the
            entry of that run only.
    """
    environment = merged_environment(run)
    return {
        "id": run.phenomenon.id,
        "size": run.size,
        "experiment": run.experiment,
        "title": run.phenomenon.title,
        "claim": run.phenomenon.claim,
        "paper": run.phenomenon.paper,
        "version": environment.get("tfphen"),
        "verdict": run.verdict,
        "seeds": list(run.config.seed_range()),
        "trials": len(run.records),
        "seconds": sum(record.seconds for record in run.records.values()),
        "command": command(run),
        "signatures": [finding.to_json() for finding in run.findings],
        "published": [comparison.to_json() for comparison in comparisons(run, runs)],
        "environment": environment,
    }


def entries(runs: "Sequence[Run]") -> list[dict[str, Any]]:
    """Returns all runs as JSON data, see `entry`."""
    return [entry(run, runs) for run in runs]


def comparisons(run: "Run", runs: "Sequence[Run]" = ()) -> list[Comparison]:
    """Returns the comparisons of a run with the published numbers.

    Numbers of another experiment are not run, and are left out if that experiment is among `runs`.
    """
    elsewhere = {
        other.experiment
        for other in runs
        if other.phenomenon.id == run.phenomenon.id and other.size == "paper"
    } - {run.experiment}
    return [one for one in run.published if one.number.experiment not in elsewhere]


def not_run(runs: "Sequence[Run]") -> list[Comparison]:
    """Returns the published numbers of a phenomenon whose experiments have not run."""
    done = {run.experiment for run in runs if run.size == "paper"}
    return [
        one
        for one in runs[0].published
        if one.verdict == NOT_RUN and one.number.experiment not in done
    ]


def merged_environment(run: "Run") -> dict[str, Any]:
    """Returns the environment of all records of a run.

    An entry that differs between records becomes the list of its values, in order of appearance.
    """
    found: dict[str, list[Any]] = {}
    for record in run.records.values():
        for name, value in record.environment.items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    return {
        name: values[0] if len(values) == 1 else values
        for name, values in found.items()
        if name not in _NOT_ENVIRONMENT
    }


def command(run: "Run") -> str:
    """Returns the command that reproduces the records of a run."""
    config = run.config
    words = ["tfphen", "run", run.phenomenon.id, "--size", run.size]
    if run.experiment:
        words += ["--experiment", run.experiment]
    words += ["--seeds", str(config.seeds), "--seed", str(config.seed)]
    settings = {k: v for k, v in run.overrides.items() if k not in ("seeds", "seed")}
    for key, value in flat(settings):
        # JSON scalars and lists are TOML as well.
        words += ["--set", f"{key}={json.dumps(value, ensure_ascii=False)}"]
    environment = merged_environment(run)
    if environment.get("strategy", "auto") in ("one", "mirrored"):
        words += ["--strategy", environment["strategy"]]
    if environment.get("deterministic") is True:
        words.append("--deterministic")
    return shlex.join(words)


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yields dotted keys and values of nested settings."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def seeds(run: "Run") -> str:
    """Returns the number and range of seeds, such as `"8 (1000–1007)"`."""
    first, last = run.config.seed, run.config.seed + run.config.seeds - 1
    return f"{run.config.seeds} ({first}–{last})" if last > first else f"1 ({first})"


def role_of_seeds(run: "Run") -> str:
    """Returns the role of the seeds. Only seeds that no choice was based on are confirmatory."""
    if run.config.seed >= 1000:
        return "confirmatory"
    last = run.config.seed + run.config.seeds - 1
    return "exploratory" if last < 1000 else "exploratory and confirmatory"


def protocol(run: "Run") -> str:
    """Returns the size, with the experiment if there is one."""
    return f"{run.size}, {run.experiment}" if run.experiment else run.size


def by_phenomenon(runs: "Sequence[Run]") -> "dict[str, list[Run]]":
    """Returns the runs of each phenomenon, the larger size first."""
    order = ("paper", "small", "smoke")
    groups: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda one: (order.index(one.size), one.experiment or "")):
        groups.setdefault(run.phenomenon.id, []).append(run)
    return dict(sorted(groups.items()))


def by_size(runs: "Sequence[Run]") -> "dict[str, list[Run]]":
    """Returns the runs of each size, the larger size first."""
    return {
        size: found
        for size in ("paper", "small", "smoke")
        if (found := [run for run in runs if run.size == size])
    }


def published_setting(comparison: Comparison) -> str:
    """Returns the data, model and setting of a published number."""
    number = comparison.number
    parts = [number.dataset, number.model]
    parts += [f"{name} = {_text(value)}" for name, value in number.setting.items()]
    return ", ".join(part for part in parts if part)


def published_value(comparison: Comparison) -> str:
    """Returns a published number with its spread and number of runs."""
    number = comparison.number
    spread = "" if number.spread is None else f" ± {number.spread:.12g}"
    n = "n unknown" if number.n is None else f"n = {number.n}"
    return f"{number.statement}{spread} ({n})"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
