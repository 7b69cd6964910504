"""Asks how long the trainings of a finished run would have taken with one Keras `fit` for each.

    python benchmarks/speed/one_fit_each.py ID... --out runs/confirm [--size small]
        [--experiment NAME] [--rounds 3] [--steps 200] [--rerun N] [--json FILE]

The engine's seconds are those in the records, taken when it ran: data, compilation, updates and all
measurements. `fit` is timed now and extrapolated: of each graph that Keras would tell apart, every
round builds one ordinary model, with a trial's builder, data, batch size and stock optimizer. Fit's
time is first that of updates alone, the slope between an epoch of about `--steps` batches and one
of one; then comes what it does around each epoch, most of its time on small data; then the start of
each training, which builds and compiles a model. Left out, in its favor: measurements, reading the
data, schedules, masks, compilation for a smaller last batch. Trials that are solved, not descended,
are on neither side; losses that Keras has not are timed as cross-entropy from logits. `--rerun N`
trains the first N populations again: is the machine as fast as it was? The records of a run that
was killed and resumed are no use: they tell the time after that only.

On two idle cores expect 2 s a graph and round. Ratios are fit's time by the engine's, median
(smallest–largest) of the rounds. The last line is JSON, the figures by run.
"""

import argparse
import collections
import json
import math
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np

from tfphen import data
from tfphen.cli import quiet
from tfphen.core.errors import TfphenError
from tfphen.core.trial import Spec, Trial
from tfphen.experiment import api, plan, records, runner
from tfphen.report import terminal

PLAIN = (Spec("cross_entropy"), Spec("squared_error"))
RATES = ("learning_rate", "weight_decay", "coupled")  # They leave the graph as it is.
PARTS = ("updates", "epochs", "starts")
MACHINE = ("machine", "cpus", "device", "tensorflow", "keras")


class Work(NamedTuple):
    """The trainings of one graph: one of them, its batch, and how many of each of `PARTS`."""

    trial: Trial
    batch: int
    amounts: np.ndarray


def work_of(trials: list[Trial], known: dict[str, records.Record]) -> list[Work]:
    """Adds up trainings by graph. The number of updates is the one that a record tells."""
    found, seen = {}, {}
    for trial in trials:
        # Sizes follow from the data's settings; seeds only choose among the examples.
        if trial.data not in seen:
            one = data.resolve(trial.data, trial.seed_of)
            seen[trial.data] = len(one.train_labels), one.train_inputs.shape[1:], one.num_classes
        size, *shape = seen[trial.data]
        batch = min(trial.batch_size or size, size)
        rule = frozenset((k, v) for k, v in trial.optimizer.settings.items() if k not in RATES)
        key = trial.model, *shape, trial.objective == PLAIN[1], trial.optimizer.name, rule, batch
        values = {"stopped_at": -1, **known[trial.id].values}
        updates = values["stopped_at"] if values["stopped_at"] >= 0 else values["steps"]
        epochs = math.ceil(updates / math.ceil(size / batch))
        one = found.setdefault(key, Work(trial, batch, np.zeros(3, "int64")))
        one.amounts[:] += (updates, epochs, 1)
    return list(found.values())


def costs(long: float, batches: int, short: float, first: float) -> np.ndarray:
    """Returns `PARTS` in seconds, from epochs of some batches, of one, and of one and a start."""
    update = (long - short) / (batches - 1)
    return np.array([update, max(short - update, 0.0), max(first - short, 0.0)])


def time_fit(work: Work, builders, steps: int) -> np.ndarray:
    """Builds an ordinary Keras model, times its `fit` and returns its `costs`."""
    import keras

    trial, batch = work.trial, work.batch
    resolved = data.resolve(trial.data, trial.seed_of)
    shape, classes = resolved.train_inputs.shape[1:], resolved.num_classes
    batches = max(2, min(steps, 2**25 // (batch * math.prod(shape))))  # 128 MiB of inputs.
    rows = np.resize(np.arange(len(resolved.train_labels)), batches * batch)
    inputs, labels = resolved.train_inputs[rows], resolved.train_labels[rows]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if trial.objective == PLAIN[1]:
        loss, labels = keras.losses.MeanSquaredError(), np.eye(classes, dtype="float32")[labels]
    rule = {k: v for k, v in trial.optimizer.settings.items() if k != "coupled"}

    def epoch(length, epochs=1):
        start, some = time.perf_counter(), length * batch
        model.fit(inputs[:some], labels[:some], batch_size=batch, epochs=epochs, verbose=0)
        return (time.perf_counter() - start) / epochs

    start = time.perf_counter()
    model = builders[trial.model.name](shape, classes, **trial.model.settings)
    rule = keras.optimizers.get({"class_name": trial.optimizer.name, "config": rule})
    model.compile(rule, loss)
    epoch(1)
    first = time.perf_counter() - start
    epoch(2)
    return costs(epoch(batches, max(1, steps // batches)), batches, epoch(1, 5), first)


def compare(run: api.Run, given: argparse.Namespace, console) -> dict:
    """Times one run and returns its figures."""
    from tfphen import models

    kind, name = run.phenomenon, terminal.name(run)
    groups = plan.groups(kind.trials(run.config))
    every = [trial for group in groups for trial in group.trials]
    folder = api.folder_of(given.out, kind.id, run.size, run.experiment)
    known = records.read_trials(folder, every)
    trials = [trial for trial in every if trial.solver is None]
    work, builders = work_of(trials, known), {**models.MODELS, **kind.models}
    if not work:
        raise TfphenError(f"{name} has no trial that descends a gradient, as `fit` does.")
    rounds = []
    for number in range(max(given.rounds, 1)):
        each = [one.amounts * time_fit(one, builders, given.steps) for one in work]
        rounds.append(np.cumsum(np.sum(each, 0)))
        console.print(f"{name}: round {number + 1} done", style="dim")
    engine = sum(known[trial.id].seconds for trial in trials)
    machines = {" ".join(str(r.environment.get(k)) for k in MACHINE) for r in known.values()}
    others = collections.Counter(repr(t.objective) for t in trials if t.objective not in PLAIN)
    figures = {
        "trainings": len(trials),
        "populations": sum(group.trials[0].solver is None for group in groups),
        "graphs": len(work),
        "solved": len(every) - len(trials),
        "timed_with_cross_entropy": dict(others),
        "recorded_on": "; ".join(sorted(machines)),
        "engine_seconds": engine,
    }
    for part, seconds in zip(PARTS, np.transpose(rounds), strict=True):
        three = [float(choose(seconds)) for choose in (np.median, np.min, np.max)]
        figures[f"fit_seconds_with_{part}"] = three[0]
        figures[f"ratio_with_{part}"] = [value / engine for value in three]
    if again := [trial for group in groups[: given.rerun] for trial in group.trials]:
        with tempfile.TemporaryDirectory() as fresh:
            made = runner.run(kind, again, fresh)
        figures["rerun_and_recorded"] = [sum(d[t.id].seconds for t in again) for d in (made, known)]
    show(name, figures, console)
    return figures


def show(name: str, one: dict, console) -> None:
    """Prints the figures of one run."""
    rows, engine = [], terminal.duration(one["engine_seconds"])
    count = f"{one['trainings']:,} trainings in {one['populations']} populations"
    console.print(f"\n{name}: {count}, {engine} by the engine, measurements included\n")
    for part in PARTS:
        middle, low, high = (f"{value:.3g}" for value in one[f"ratio_with_{part}"])
        seconds = terminal.duration(one[f"fit_seconds_with_{part}"])
        rows.append((f"{'and' if rows else 'only'} {part}", seconds, f"{middle} ({low}–{high})"))
    console.print(terminal.table(("fit, without measurements", "time", "by the engine's"), rows))
    others = [f"{count} of {loss}" for loss, count in one["timed_with_cross_entropy"].items()]
    console.print(f"Timed with cross-entropy instead: {', '.join(others) or 'none'}.")
    console.print(f"Solved, so left out: {one['solved']}. Recorded on {one['recorded_on']}.")
    if pair := one.get("rerun_and_recorded"):
        console.print("Trained again in {:.3g} s, recorded {:.3g} s.".format(*pair))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="+", metavar="ID", help="phenomena, see `tfphen list`")
    parser.add_argument("--out", type=Path, required=True, help="folder of finished runs")
    parser.add_argument("--size", choices=("smoke", "small", "paper"), default="small")
    parser.add_argument("--experiment", metavar="NAME", help="of the paper size (default all)")
    parser.add_argument("--rounds", type=int, default=3, help="of each graph (default 3)")
    parser.add_argument("--steps", type=int, default=200, help="updates to time (default 200)")
    parser.add_argument("--rerun", type=int, default=0, metavar="N", help="populations to retrain")
    parser.add_argument("--json", type=Path, metavar="FILE", help="gets the last line too")
    given = parser.parse_args()
    console, runs = terminal.console(), []
    try:
        for run in api.read_runs(given.out, left_out=lambda error: console.print(str(error))):
            same = run.size == given.size and given.experiment in (None, run.experiment)
            runs += [run] if same and run.phenomenon.id in given.ids else []
        if missing := set(given.ids) - {run.phenomenon.id for run in runs}:
            parser.error(f"no such finished run in {given.out}: {', '.join(sorted(missing))}")
        quiet.import_tensorflow()
        found = {terminal.name(run): compare(run, given, console) for run in runs}
    except TfphenError as error:
        raise SystemExit(f"Error: {error}") from None
    print(line := json.dumps(found))
    if given.json:
        given.json.write_text(line + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
