"""`tfphen show ID --time`: estimates the run time of a size from a few steps of each population."""

import dataclasses
import math
import time
from pathlib import Path

import typer

from tfphen.experiment import phenomenon, plan, runner
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.experiment.resolve import recipe_of
from tfphen.report import terminal
from tfphen.train import gradient_descent, outcomes
from tfphen.train import strategy as strategies
from tfphen.train.examples import Examples

# Steps after which the clock is read. Only the first chunk includes compilation.
_POINTS = (10, 20, 30, 230, 2230)
# Seconds of steps alone after which the timing is accurate enough.
_ENOUGH_SECONDS = 0.5


@dataclasses.dataclass
class Timing:
    """The timing of a population.

    Args:
        parts: Number of populations into which its trials are split, so that weights fit on the
            device; with a solver, the number of trials, one of which is timed.
        weights: Number of weights of one model.
        steps: Length of the full training, in updates.
        compile_seconds: Time before the first step: data, model, compilation.
        step_seconds: Time of one step of all members.
    """

    parts: int
    weights: int
    steps: int
    compile_seconds: float
    step_seconds: float

    @property
    def seconds(self) -> float:
        """Estimated time of the full training, excluding evaluation."""
        return self.parts * (self.compile_seconds + self.steps * self.step_seconds)


def show(identifier: str, size: str, experiment: str | None, data_dir: Path | None) -> None:
    """Times each distinct population of a size and prints the estimate."""
    runner.check_environment()
    kind = phenomenon.get(identifier)
    groups = plan.groups(kind().trials(kind.configure(size, experiment)))
    known: dict[tuple[str, int], Timing | None] = {}
    rows: list[tuple[str, ...]] = []
    total, left_out = 0.0, 0
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
    typer.echo(f"Estimated time: {terminal.duration(total)} (excluding evaluation).")
    if left_out:
        typer.echo(f"{left_out} populations need results of other trials and were not timed.")


def _time(kind: Phenomenon, group: plan.Group, data_dir: Path | None) -> Timing | None:
    """Times a population over a few steps. Returns None if it needs results of other trials."""
    if group.trials[0].inputs:
        return None
    recipe, strategy = recipe_of(kind, group.trials), strategies.get()
    started = time.perf_counter()
    if recipe.solver is not None:
        one = recipe.take(0, 1)
        examples = Examples(one.trials, data_dir, one.sources)
        _, fitted = outcomes.solve(one, examples, [{}], strategy)
        seconds = time.perf_counter() - started
        return Timing(len(group.trials), fitted.num_parameters, 1, 0.0, seconds)
    shapes = Examples(recipe.trials[:1], data_dir, recipe.sources)
    model = recipe.model(shapes.input_shape, shapes.num_classes)
    most = outcomes.members_at_once(model)
    part = recipe.take(0, most)
    examples = Examples(part.trials, data_dir, part.sources)
    inputs: list[outcomes.Inputs] = [{} for _ in part.trials]
    members = outcomes.population_of(part, model, inputs, strategy)
    trainer = gradient_descent.trainer_of(part, examples, members, inputs, strategy)
    first_seconds, step_seconds = 0.0, math.inf
    for point in _POINTS:
        before, begun = trainer.step, time.perf_counter()
        trainer.advance(point)
        seconds = time.perf_counter() - begun
        if trainer.step == before:
            break
        if before == 0:
            first_steps, first_seconds = trainer.step, time.perf_counter() - started
            continue
        # The fastest chunk, since other processes on this machine only add time.
        step_seconds = min(step_seconds, seconds / (trainer.step - before))
        if seconds > _ENOUGH_SECONDS:
            break
    if not math.isfinite(step_seconds):
        step_seconds = first_seconds / first_steps
    return Timing(
        parts=math.ceil(len(group.trials) / most),
        weights=model.count_params(),
        steps=int(trainer.num_steps.max()),
        compile_seconds=max(0.0, first_seconds - first_steps * step_seconds),
        step_seconds=step_seconds,
    )
