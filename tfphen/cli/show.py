"""`tfphen show ID`: what a phenomenon claims, trains and is compared with. Nothing is trained."""

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Trial
from tfphen.experiment import phenomenon, plan
from tfphen.report import terminal
from tfphen.verdicts import published
from tfphen.verdicts.comparison import Comparison


def show(identifier: str, size: str | None, experiment: str | None) -> None:
    """Prints a phenomenon: claim, paper, header of the config, sizes, models, published numbers.

    Args:
        identifier: Its id.
        size: Only this size; all when None.
        experiment: Only this paper experiment; all when None.
    """
    kind = phenomenon.get(identifier)
    file = configs.read(kind.config_path())
    header, tables = file.card, file.tables
    chosen = _sizes(kind, tables, size, experiment)
    typer.echo(f"{kind.id}: {kind.title}\n\n{kind.claim}\n{kind.paper}\n")
    if header.strip():
        typer.echo(f"{header.strip()}\n")
    console = terminal.console()
    rows, settings, models = [], [], {}
    for one_size, one_experiment in chosen:
        config = kind.configure(one_size, one_experiment)
        trials = plan.with_parents(kind().trials(config))
        name = f"paper, {one_experiment}" if one_experiment else one_size
        rows.append(
            (
                name,
                str(len(trials)),
                str(len(plan.groups(trials))),
                lengths(trials),
                f"{config.seeds} from {config.seed}",
                "not stated" if math.isnan(config.minutes) else f"{config.minutes:g}",
                config.machine,
            )
        )
        settings.append(f"{name}: {_settings(config)}")
        for trial in trials:
            models.setdefault(trial.model, dict.fromkeys([name]))[name] = None
    columns = ("size", "trials", "populations", "length", "seeds", "minutes", "on")
    console.print(terminal.table(columns, rows, right=("trials", "populations", "minutes")))
    typer.echo("\nSettings\n  " + "\n  ".join(settings) + "\n")
    rows = [(repr(model), "; ".join(names)) for model, names in models.items()]
    console.print(terminal.table(("model", "in"), rows))
    _show_published(kind.published_path(), console)


def _sizes(kind, tables, size: str | None, experiment: str | None) -> list[tuple[str, str | None]]:
    if size is None and experiment is not None:
        raise UsageError(f"--experiment goes with --size paper. Received: {experiment!r}")
    if size is not None and (size != "paper" or experiment is not None):
        kind.configure(size, experiment)  # Says what is wrong with them.
        return [(size, experiment)]
    names = [one for one in configs.SIZES if one in tables and size in (None, one)]
    found: list[tuple[str, str | None]] = [(one, None) for one in names if one != "paper"]
    if "paper" in names:
        found += [("paper", name) for name in configs.experiments(tables)]
    if not found:
        raise UsageError(f"{kind.config_path()} has no section [paper.<experiment>]")
    return found


def lengths(trials: Iterable[Trial]) -> str:
    """Returns how long the trials are, such as `"200 to 4,000 steps"`."""
    steps = [trial.steps for trial in trials if trial.steps is not None]
    epochs = [trial.epochs for trial in trials if trial.epochs is not None]
    parts = [
        f"{_span(numbers)} {unit}"
        for numbers, unit in ((steps, "steps"), (epochs, "epochs"))
        if numbers
    ]
    if any(trial.steps is None and trial.epochs is None for trial in trials):
        parts.append("closed form")
    return ", ".join(parts)


def _span(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"


def _settings(config: configs.Config) -> str:
    """Returns the settings that are not shown elsewhere, as `--set` takes them."""
    elsewhere = {field.name for field in dataclasses.fields(configs.Config)}
    values = {k: v for k, v in dataclasses.asdict(config).items() if k not in elsewhere}
    return ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
        if value is not None
    )


def _show_published(path: Path, console) -> None:
    numbers = published.load_file(path) if path.exists() else ()
    if not numbers:
        typer.echo("\nNo published numbers.")
        return
    from tfphen.report import data

    rows = []
    for number in numbers:
        one = Comparison(number, "", "")
        rows.append(
            (
                number.experiment,
                number.metric,
                data.published_setting(one),
                data.published_value(one),
                f"{number.source} ({number.provenance})",
            )
        )
    typer.echo("")
    columns = ("experiment", "metric", "setting", "published", "source")
    console.print(terminal.table(columns, rows))
