"""Turns trials, which are plain data, into a population, trains it and measures it."""

import dataclasses
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfphen import models
from tfphen.errors import UsageError, nearest
from tfphen.phenomenon import Phenomenon
from tfphen.train import checkpoint, least_squares
from tfphen.train.examples import Examples
from tfphen.train.loop import Trainer
from tfphen.train.loss_objectives import OBJECTIVES
from tfphen.train.optimizers import ELEMENTWISE, MemberOptimizer
from tfphen.train.population import Population
from tfphen.train.prediction import Predictor
from tfphen.train.schedules import SCHEDULES
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


def _call(kind: str, function: Callable, spec: Spec, *arguments):
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **spec.settings)
    except TypeError as error:
        allowed = ", ".join(list(signature.parameters)[len(arguments) :]) or "none"
        raise UsageError(
            f"Wrong settings of {kind} {spec.name!r}: {error}. Received: "
            f"{', '.join(spec.settings) or 'none'}. Allowed: {allowed}"
        ) from None
    return function(*arguments, **spec.settings)


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
    examples = Examples(trials, data_dir)
    builder = _named("model", {**models.MODELS, **phenomenon.models}, first.model)
    model = _call("model", builder, first.model, examples.input_shape, examples.num_classes)
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


def _measure(measures, predictor: Predictor, examples: Examples) -> dict[str, np.ndarray]:
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
    taken = phenomenon.curve_measures if first.curve else ()
    curve = {measure.name: [] for measure in taken}
    for steps in points:
        solver.solve(steps)
        for name, value in _measure(taken, solver.predict, examples).items():
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
        _call("objective", make, first.objective),
        optimizer,
        totals,
        first.batch_size,
        [t.seed_of("order") for t in trials],
        constants={name: value.astype("float32") for name, value in constants.items()},
        strategy=strategy,
    )
    last = max(totals)
    points = sorted({step for step in first.curve if step < last} | {last})
    taken = phenomenon.curve_measures if first.curve else ()
    curve: dict[str, list[np.ndarray]] = {measure.name: [] for measure in taken}
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

    done = next(iter(curve.values()), [])
    tick(len(trials) * trainer.step / last)
    for point in points[len(done) :]:
        while trainer.step < point and trainer.active.any():
            before = trainer.step
            trainer.advance(min(point, trainer.step + trainer.stretch_steps))
            after_stretch(trainer.step - before)
        for name, value in _measure(taken, trainer.predict, examples).items():
            curve[name].append(value)
        if first.stop_at_loss is not None:
            reached = examples.view(trainer.predict).mean_loss("train") <= first.stop_at_loss
            stopped_at = np.where(reached & (stopped_at < 0), trainer.step, stopped_at)
            trainer.freeze(reached)
    arrays = _stacked(curve, points, len(trials)) if curve else {}
    extra = [
        {"steps": int(total), "diverged_at": int(diverged), "stopped_at": int(stopped)}
        for total, diverged, stopped in zip(totals, trainer.diverged_at, stopped_at, strict=True)
    ]
    return trainer.predict, arrays, extra
