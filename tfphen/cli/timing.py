"""`tfphen show ID --time`: minutes of a size, from a few steps of each of its populations."""

import contextlib
import dataclasses
import itertools
import math
import time
from pathlib import Path

import typer

from tfphen.cli import quiet
from tfphen.core.trial import Trial
from tfphen.experiment import phenomenon, plan, runner
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure
from tfphen.report import terminal

# Steps after which the clock is read. The first stretch holds compilation, the others do not.
_POINTS = (10, 20, 30, 230, 2230)
# Once so many seconds were spent on steps alone, they are known well enough.
_ENOUGH_SECONDS = 0.5


class _Enough(Exception):
    """Stops a training whose speed is known."""


@dataclasses.dataclass
class Timing:
    """How fast a population trains.

    Args:
        parts: Into how many populations its trials were split, so that weights fit.
        weights: Numbers in the weights of one model.
        steps: Length of the real training, in updates.
        compile_seconds: Before the first step is done: data, model, compilation.
        step_seconds: One step of all members.
    """

    parts: int
    weights: int
    steps: int
    compile_seconds: float
    step_seconds: float

    @property
    def seconds(self) -> float:
        """Estimate of the whole training, without measuring it afterwards."""
        return self.parts * (self.compile_seconds + self.steps * self.step_seconds)


def show(identifier: str, size: str, experiment: str | None, data_dir: Path | None) -> None:
    """Times each distinct population of a size and prints the estimate."""
    runner.check_environment()
    kind = phenomenon.get(identifier)
    groups = plan.groups(kind().trials(kind.configure(size, experiment)))
    quiet.import_tensorflow()
    known: dict[tuple[str, int], Timing | None] = {}
    rows, total, left_out = [], 0.0, 0
    for group in groups:
        key = group.key, len(group.trials)
        if key not in known:
            known[key] = _time(kind(), group, data_dir)
        found, model = known[key], repr(group.trials[0].model)
        if found is None:
            left_out += 1
            rows.append((model, str(len(group.trials)), "–", "–", "–", "–", "not timed"))
            continue
        total += found.seconds
        rows.append(
            (
                model,
                str(len(group.trials)),
                f"{found.weights:,}",
                f"{found.steps:,}",
                terminal.duration(found.parts * found.compile_seconds),
                f"{1000 * found.step_seconds:.3g}",
                terminal.duration(found.seconds),
            )
        )
    columns = ("population", "members", "weights", "steps", "compilation", "ms a step", "time")
    typer.echo("")
    terminal.console().print(terminal.table(columns, rows, right=columns[1:]))
    typer.echo(f"About {terminal.duration(total)} on this machine, measurements not counted.")
    if left_out:
        typer.echo(f"{left_out} populations need results of other trials and were not timed.")


def _time(kind: Phenomenon, group: plan.Group, data_dir: Path | None) -> Timing | None:
    """Trains a population for a few steps. Returns None if it needs results of other trials."""
    from tfphen.train import strategy
    from tfphen.train.outcomes import train

    first = group.trials[0]
    if first.inputs:
        return None
    seen = {"members": len(group.trials), "weights": 0, "examples": 0}

    def look(trained):
        seen["members"] = trained.members.size
        seen["weights"] = trained.members.model.count_params()
        seen["examples"] = trained.labels("train").shape[1]
        return [0] * trained.members.size

    # The real measures are not taken; this one reads what the estimate needs.
    taken = (Measure("look", look),)
    kind.measures_of = lambda trial: (taken, taken)
    closed_form = first.optimizer.name == "least_squares"
    clock = [time.perf_counter()]

    def tick(trials: float) -> None:
        if trials > 0:
            clock.append(time.perf_counter())
        known = len(clock) > 3 and clock[-1] - clock[-2] > _ENOUGH_SECONDS
        if not closed_form and (known or len(clock) > len(_POINTS)):
            raise _Enough

    trials = list(group.trials) if closed_form else [_short(trial) for trial in group.trials]
    with contextlib.suppress(_Enough):
        train(kind, trials, lambda trial: {}, strategy.get(), data_dir, None, tick)
    parts = math.ceil(len(trials) / seen["members"])
    if closed_form:
        return Timing(1, seen["weights"], 1, 0.0, clock[-1] - clock[0])
    stretches = [after - before for before, after in itertools.pairwise(clock)]
    lengths = [after - before for before, after in zip((0, *_POINTS), _POINTS, strict=False)]
    # The fastest of them: whatever else ran on this machine meanwhile only adds.
    pairs = list(zip(stretches, lengths, strict=False))
    step_seconds = min(seconds / steps for seconds, steps in pairs[1:] or pairs)
    compile_seconds = max(0.0, stretches[0] - lengths[0] * step_seconds)
    steps = max(_steps(trial, seen["examples"]) for trial in group.trials)
    return Timing(parts, seen["weights"], steps, compile_seconds, step_seconds)


def _short(trial: Trial) -> Trial:
    return dataclasses.replace(
        trial, steps=_POINTS[-1], epochs=None, curve=_POINTS[:-1], stop_at_loss=None
    )


def _steps(trial: Trial, examples: int) -> int:
    if trial.steps is not None:
        return trial.steps
    return math.ceil(trial.epochs * math.ceil(examples / (trial.batch_size or examples)))
