"""Turns trials, which are plain data, into a population, trains it and measures it."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfphen import models
from tfphen.data import Resolved, resolve
from tfphen.errors import UsageError, nearest
from tfphen.phenomenon import Phenomenon
from tfphen.train import batches, checkpoint, least_squares
from tfphen.train.loop import Trainer
from tfphen.train.loss_objectives import OBJECTIVES
from tfphen.train.optimizers import ELEMENTWISE, MemberOptimizer
from tfphen.train.population import Population
from tfphen.train.prediction import Predictor
from tfphen.train.schedules import SCHEDULES
from tfphen.train.trained import Trained
from tfphen.trial import Spec, Trial

OPTIMIZERS = {optimizer.__name__.lower(): optimizer for optimizer in ELEMENTWISE}

# Numbers in the weights of all members of a population that still fit comfortably on one device.
_WEIGHT_NUMBERS = 2**28
_SECONDS_BETWEEN_CHECKPOINTS = 20.0


@dataclasses.dataclass
class Outcome:
    """What one trial gave: values and arrays by name, and how it was run."""

    trial: Trial
    values: dict[str, float | int | bool]
    arrays: dict[str, np.ndarray]
    environment: dict[str, object]
    seconds: float


def _named(kind: str, table: Mapping[str, Callable], spec: Spec) -> Callable:
    if spec.name not in table:
        raise UsageError(
            f"Unknown {kind} {spec.name!r}.{nearest(spec.name, table)} "
            f"Allowed: {', '.join(sorted(table))}"
        )
    return table[spec.name]


class _Examples:
    """The examples of all members, with inputs that several members share held once."""

    def __init__(self, trials: Sequence[Trial], data_dir: str | Path | None):
        self._known: dict = {}
        self.resolved = [self._resolve(trial, data_dir) for trial in trials]
        first = self.resolved[0]
        for other in self.resolved:
            if other.test_labels.shape != first.test_labels.shape:
                raise UsageError(
                    "Trials of one population must have test sets of one size. "
                    f"Received: {len(first.test_labels)} and {len(other.test_labels)}"
                )
        self.num_classes = first.num_classes
        self.input_shape = first.train_inputs.shape[1:]
        self.sizes = [len(one.train_labels) for one in self.resolved]
        self.transition_matrices = np.stack([one.transition_matrix for one in self.resolved])
        longest = max(self.sizes)

        def padded(values):
            return np.stack([np.pad(v, (0, longest - len(v)), mode="edge") for v in values])

        pool, starts = self._pool([one.train_inputs for one in self.resolved])
        rows = padded([s + np.arange(n) for s, n in zip(starts, self.sizes, strict=True)])
        labels = {
            "labels": padded([one.train_labels for one in self.resolved]),
            "clean_labels": padded([one.clean_labels for one in self.resolved]),
        }
        test_pool, starts = self._pool([one.test_inputs for one in self.resolved])
        test_rows = np.asarray(starts)[:, None] + np.arange(len(first.test_labels))
        test = np.stack([one.test_labels for one in self.resolved])
        self.splits = {
            "train": (pool, rows, labels),
            "test": (test_pool, test_rows, {"labels": test, "clean_labels": test}),
        }

    def _resolve(self, trial: Trial, data_dir) -> Resolved:
        for asked, resolved in self._known.setdefault(trial.data, []):
            if all(trial.seed_of(name) == seed for name, seed in asked.items()):
                return resolved
        asked = {}

        def seed_of(name):
            asked[name] = trial.seed_of(name)
            return asked[name]

        resolved = resolve(trial.data, seed_of, data_dir)
        self._known[trial.data].append((asked, resolved))
        return resolved

    @staticmethod
    def _pool(arrays):
        """Puts different arrays one after the other. Returns the pool and where each one starts."""
        starts, parts, length = {}, [], 0
        for array in arrays:
            place = array.__array_interface__["data"][0], array.shape
            if place not in starts:
                starts[place] = length
                parts.append(array)
                length += len(array)
        pool = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return pool, [starts[a.__array_interface__["data"][0], a.shape] for a in arrays]

    def view(self, predictor: Predictor) -> Trained:
        """Returns what measures see of a trained population and these examples."""
        return Trained(
            predictor, self.splits, self.num_classes, self.sizes, self.transition_matrices
        )

    def resident(self) -> batches.Resident:
        pool, rows, labels = self.splits["train"]
        return batches.Resident(pool, labels["labels"], rows, sizes=self.sizes)


def train(
    phenomenon: Phenomenon,
    trials: Sequence[Trial],
    inputs: Callable[[Trial], Mapping[str, np.ndarray]],
    strategy: tf.distribute.Strategy,
    data_dir: str | Path | None = None,
    checkpoint_path: Path | None = None,
    tick: Callable[[float], None] = lambda share: None,
) -> list[Outcome]:
    """Trains trials that share a graph as one population, and measures them.

    Args:
        phenomenon: Declares measures, and may bring models and objectives of its own.
        trials: As in one `plan.Group`.
        inputs: Gives the arrays that a trial takes from the records of others, by name.
        strategy: The tf.distribute strategy.
        data_dir: First folder in which tfds sets are looked for.
        checkpoint_path: Where the state is saved now and then, and taken up from.
        tick: Called with the number of trials' worth of work just done.

    Returns:
        One outcome a trial, in order.
    """
    started = time.perf_counter()
    first = trials[0]
    examples = _Examples(trials, data_dir)
    builder = _named("model", {**models.MODELS, **phenomenon.models}, first.model)
    model = builder(examples.input_shape, examples.num_classes, **first.model.settings)
    most = max(1, _WEIGHT_NUMBERS // max(model.count_params(), 1))
    if len(trials) > most:
        outcomes = []
        for start in range(0, len(trials), most):
            part = trials[start : start + most]
            path = checkpoint_path and checkpoint_path.with_suffix(f".{start}.npz")
            outcomes += train(phenomenon, part, inputs, strategy, data_dir, path, tick)
        return outcomes
    with strategy.scope():
        members = Population(
            model, [t.seed for t in trials], init_seeds=[t.seed_of("init") for t in trials]
        )
    if first.optimizer.name == "least_squares":
        predictor, curve, extra = _by_least_squares(phenomenon, trials, examples, members, tick)
    else:
        predictor, curve, extra = _by_gradient(
            phenomenon, trials, examples, members, inputs, strategy, checkpoint_path, tick
        )
    measured = _measure(phenomenon.measures, predictor, examples)
    seconds = (time.perf_counter() - started) / len(trials)
    environment = {
        "execution": str(predictor.how),
        "device": tf.config.list_logical_devices()[0].device_type,
        "replicas": strategy.num_replicas_in_sync,
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "model_parameters": model.count_params(),
    }
    outcomes = []
    for index, trial in enumerate(trials):
        values, arrays = dict(extra[index]), {k: v[index] for k, v in curve.items()}
        for name, value in measured.items():
            one = value[index]
            if np.ndim(one) == 0:
                values[name] = one.item()
            else:
                arrays[name] = np.asarray(one)
        outcomes.append(Outcome(trial, values, arrays, environment, seconds))
    return outcomes


def _measure(measures, predictor: Predictor, examples: _Examples) -> dict[str, np.ndarray]:
    view = examples.view(predictor)
    return {measure.name: np.asarray(measure.function(view)) for measure in measures}


def _optimizer(trials: Sequence[Trial], members: Population, totals) -> MemberOptimizer:
    spec = trials[0].optimizer
    make = _named("optimizer", OPTIMIZERS, spec)
    schedule_spec = trials[0].schedule
    schedule = _named("schedule", SCHEDULES, schedule_spec)
    fixed = {
        name: value
        for name, value in spec.settings.items()
        if name not in ("learning_rate", "weight_decay", "coupled")
    }
    default = keras.ops.convert_to_numpy(make().learning_rate).item()
    return MemberOptimizer(
        make(learning_rate=1.0, weight_decay=0.0, **fixed),
        members,
        [t.optimizer.settings.get("learning_rate", default) for t in trials],
        [t.optimizer.settings.get("weight_decay", 0.0) for t in trials],
        spec.settings.get("coupled", False),
        lambda step, total: schedule(step, total, **schedule_spec.settings),
        totals,
    )


def _length(trial: Trial, size: int) -> int:
    if trial.steps is not None:
        return trial.steps
    batch = size if trial.batch_size is None else trial.batch_size
    return max(1, round(trial.epochs * -(-size // batch)))


def _by_least_squares(phenomenon, trials, examples, members, tick):
    """Solves the readout exactly. Returns what `_by_gradient` does."""
    pool, rows, labels = examples.splits["train"]
    ridges = np.asarray([t.optimizer.settings.get("ridge", 0.0) for t in trials])
    first = trials[0]
    points = sorted({*first.curve, first.steps}) if first.steps is not None else [None]
    solver = least_squares.ReadoutSolver(
        members, pool, rows, labels["labels"], examples.sizes, examples.num_classes, ridges
    )
    curve = {measure.name: [] for measure in phenomenon.curve_measures}
    for steps in points:
        solver.solve(steps)
        if first.curve:
            for name, value in _measure(phenomenon.curve_measures, solver.predict, examples).items():
                curve[name].append(value)
        tick(len(trials) / len(points))
    arrays = _stacked(curve, points, len(trials)) if first.curve else {}
    return solver.predict, arrays, [{} for _ in trials]


def _stacked(curve, points, members):
    """Puts the curves of all members into arrays `[members, points]`, beside their steps."""
    arrays = {f"curve_{name}": np.stack(parts, 1) for name, parts in curve.items()}
    return arrays | {"curve_step": np.tile(np.asarray(points), (members, 1))}


def _by_gradient(phenomenon, trials, examples, members, inputs, strategy, path, tick):
    """Trains through the one loop. Returns the predictor, curves and extra values."""
    first = trials[0]
    totals = [_length(t, n) for t, n in zip(trials, examples.sizes, strict=True)]
    make = _named("objective", {**OBJECTIVES, **phenomenon.objectives}, first.objective)
    constants = {"transition_matrix": examples.transition_matrices}
    given = [inputs(trial) for trial in trials]
    for name in first.inputs:
        constants[name] = np.stack([arrays[name] for arrays in given])
    with strategy.scope():
        optimizer = _optimizer(trials, members, totals)
    trainer = Trainer(
        members,
        examples.resident(),
        make(**first.objective.settings),
        optimizer,
        totals,
        first.batch_size,
        [t.seed_of("order") for t in trials],
        constants={name: value.astype("float32") for name, value in constants.items()},
        strategy=strategy,
    )
    last = max(totals)
    points = sorted({step for step in first.curve if step < last} | {last})
    curve: dict[str, list[np.ndarray]] = {m.name: [] for m in phenomenon.curve_measures}
    stopped_at = np.full(len(trials), -1)
    saved = checkpoint.load(path) if path is not None else None
    if saved is not None:
        trainer.restore({k: v for k, v in saved.items() if not k.startswith("curve_")})
        stopped_at = saved["curve_stopped_at"]
        for name in curve:
            curve[name] = list(saved[f"curve_{name}"])
    last_save = time.monotonic()

    def after_stretch(steps):
        nonlocal last_save
        tick(len(trials) * steps / last)
        if path is not None and time.monotonic() - last_save > _SECONDS_BETWEEN_CHECKPOINTS:
            arrays = trainer.state() | {f"curve_{k}": np.asarray(v) for k, v in curve.items()}
            checkpoint.save(path, arrays | {"curve_stopped_at": stopped_at})
            last_save = time.monotonic()

    with_curve = bool(first.curve)
    done = next(iter(curve.values()), []) if with_curve else []
    tick(len(trials) * trainer.step / last)
    for point in points[len(done) :]:
        while trainer.step < point and trainer.active.any():
            before = trainer.step
            trainer.advance(min(point, trainer.step + trainer.stretch_steps))
            after_stretch(trainer.step - before)
        if with_curve:
            for name, value in _measure(
                phenomenon.curve_measures, trainer.predict, examples
            ).items():
                curve[name].append(value)
        if first.stop_at_loss is not None:
            reached = examples.view(trainer.predict).mean_loss("train") <= first.stop_at_loss
            stopped_at = np.where(reached & (stopped_at < 0), trainer.step, stopped_at)
            trainer.freeze(reached)
    arrays = _stacked(curve, points, len(trials)) if with_curve else {}
    extra = [
        {"steps": int(total), "diverged_at": int(diverged), "stopped_at": int(stopped)}
        for total, diverged, stopped in zip(totals, trainer.diverged_at, stopped_at, strict=True)
    ]
    return trainer.predict, arrays, extra
