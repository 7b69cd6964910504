"""`tfphen show ID`: describes a phenomenon, without training."""

import dataclasses
import json
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tfphen.cli import quiet
from tfphen.cli.options import PLAIN, SIZES, DataDir, Experiment, Identifier
from tfphen.core import config as configs
from tfphen.core import references
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.experiment import phenomenon, plan, runner
from tfphen.report import data, terminal
from tfphen.verdicts import published
from tfphen.verdicts.comparison import Comparison

app = typer.Typer(**PLAIN)


@app.command()
def show(
    identifier: Identifier,
    size: Annotated[
        str | None, typer.Option(metavar=SIZES, help="Only this size. Default: all.")
    ] = None,
    experiment: Experiment = None,
    time: Annotated[
        bool,
        typer.Option("--time", help="Estimate the run time of the size from a short timing."),
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Describe a phenomenon: claim, sizes, models and published numbers."""
    _describe(identifier, size, experiment)
    if time:
        runner.check_environment()
        quiet.import_tensorflow()
        # By reference, since it imports TensorFlow at its top.
        estimate = references.load("tfphen.cli.timing:show")
        estimate(identifier, size or "small", experiment, data_dir)


def _describe(identifier: str, size: str | None, experiment: str | None) -> None:
    kind = phenomenon.get(identifier)
    file = configs.read(kind.config_path())
    chosen = _sizes(kind, file.tables, size, experiment)
    for text in (f"{kind.id}: {kind.title}", kind.claim, kind.paper):
        typer.echo(textwrap.fill(text, terminal.PAGE) + "\n")
    if card := _card(file.card, kind.title):
        typer.echo(f"{card}\n")
    console = terminal.console(most=terminal.PAGE)
    rows: list[tuple[str, ...]] = []
    settings: list[str] = []
    names_of_models: dict[Spec, dict[str, None]] = {}
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
        settings += [f"{name}:", *_settings(config)]
        for trial in trials:
            names_of_models.setdefault(trial.model, {})[name] = None
    columns = ("size", "trials", "populations", "length", "seeds", "minutes", "on")
    console.print(terminal.table(columns, rows, right=("trials", "populations", "minutes")))
    typer.echo("\nSettings\n  " + "\n  ".join(settings) + "\n")
    rows = [(repr(model), "; ".join(names)) for model, names in names_of_models.items()]
    console.print(terminal.table(("model", "in"), rows))
    _show_published(kind.published_path(), console)


def _sizes(
    kind: type[phenomenon.Phenomenon],
    tables: Mapping[str, Any],
    size: str | None,
    experiment: str | None,
) -> list[tuple[str, str | None]]:
    if size is None and experiment is not None:
        raise UsageError(f"--experiment goes with --size paper. Received: {experiment!r}")
    if size is not None and (size != "paper" or experiment is not None):
        kind.configure(size, experiment)  # Raises an error if they are wrong.
        return [(size, experiment)]
    names = [one for one in configs.SIZES if one in tables and size in (None, one)]
    found: list[tuple[str, str | None]] = [(one, None) for one in names if one != "paper"]
    if "paper" in names:
        found += [("paper", name) for name in configs.experiments(tables)]
    if not found:
        raise UsageError(f"{kind.config_path()} has no section [paper.<experiment>]")
    return found


def _card(text: str, title: str) -> str:
    """Returns the card of a config without its title, wrapped where lines are too long."""
    lines = text.strip().splitlines()
    if lines and lines[0].startswith(title):
        lines = lines[1:]
    blocks: list[list[str]] = [[]]
    for line in lines:
        # A blank line, an indent or a section's name begins a block.
        if not line.strip() or line[0] in " [" or not blocks[-1] or not blocks[-1][-1].strip():
            blocks.append([])
        blocks[-1].append(line)
    return "\n".join(wrapped for block in blocks for wrapped in _wrapped(block)).strip()


def _wrapped(block: Sequence[str]) -> Sequence[str]:
    if all(len(line) <= terminal.PAGE for line in block):
        return block
    indent = " " * (len(block[0]) - len(block[0].lstrip()))
    return textwrap.wrap(
        " ".join(line.strip() for line in block),
        terminal.PAGE,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
    )


def lengths(trials: Iterable[Trial]) -> str:
    """Returns the length of the trials, such as `"200 to 4,000 steps"`."""
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


def _settings(config: configs.Config) -> list[str]:
    """Returns the settings that are not shown elsewhere, in the form of `--set`, one a line."""
    elsewhere = {field.name for field in dataclasses.fields(configs.Config)}
    values = {k: v for k, v in dataclasses.asdict(config).items() if k not in elsewhere}
    lines: list[str] = []
    for name, value in _flat(values):
        text = f"{name}={json.dumps(value, ensure_ascii=False)}"
        lines += textwrap.wrap(
            text,
            terminal.PAGE - 2,
            initial_indent="  ",
            subsequent_indent="      ",
            break_on_hyphens=False,
        )
    return lines


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields settings by dotted key, without those that are None."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def _show_published(path: Path, console: Console) -> None:
    numbers = published.load_file(path) if path.exists() else ()
    if not numbers:
        typer.echo("\nNo published numbers.")
        return
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
