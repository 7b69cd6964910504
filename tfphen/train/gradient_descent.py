"""Trains a population step by step through the one loop: lengths, curves, stopping, checkpoints."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfphen.core import references, seeds
from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.population.mixup import MIXINGS, check_layers
from tfphen.population.optimizers import ELEMENTWISE, MemberOptimizer
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor
from tfphen.train import checkpoint
from tfphen.train.augmentation import AUGMENTATIONS, none
from tfphen.train.examples import Examples
from tfphen.train.loop import Trainer
from tfphen.train.loss_objectives import OBJECTIVES
from tfphen.train.schedules import SCHEDULES

OPTIMIZERS = {optimizer.__name__.lower(): optimizer for optimizer in ELEMENTWISE}

_SECONDS_BETWEEN_CHECKPOINTS = 20.0


def descend(
    phenomenon: Phenomenon,
    trials: Sequence[Trial],
    examples: Examples,
    members: Population,
    given: Sequence[Mapping[str, np.ndarray]],
    strategy: tf.distribute.Strategy,
    path: Path | None,
    tick: Callable[[float], None],
) -> tuple[Predictor, dict[str, np.ndarray], list[dict]]:
    """Trains, and takes the curve measures on the way.

    Args:
        phenomenon: Brings objectives, a step hook and the curve measures.
        trials: The members.
        examples: Their data.
        members: The population, made inside the scope of `strategy`.
        given: Arrays that each takes from other records, by name.
        strategy: The tf.distribute strategy.
        path: Where the state is saved now and then, and taken up from.
        tick: Called with the number of trials' worth of work just done.

    Returns:
        The predictor; arrays of all members `[members, points]`; further values of each member.
    """
    first = trials[0]
    totals = [_length(t, n) for t, n in zip(trials, examples.sizes, strict=True)]
    objectives = {**OBJECTIVES, **phenomenon.objectives}
    objective = references.look_up("objective", objectives, first.objective)
    constants = {
        "transition_matrix": examples.transition_matrices,
        "class_counts": examples.class_counts,
    }
    for name in first.inputs:
        constants[name] = np.stack([arrays[name] for arrays in given])
    for name in first.constants:
        constants[name] = np.stack([np.asarray(trial.constants[name]) for trial in trials])
    with strategy.scope():
        optimizer = _optimizer(trials, members, totals)
    trainer = Trainer(
        members,
        examples.resident(),
        references.call("objective", objective, first.objective),
        optimizer,
        totals,
        first.batch_size,
        [t.seed_of("order") for t in trials],
        constants={name: value.astype("float32") for name, value in constants.items()},
        augment=_augment(first),
        augmentation_keys=_keys(trials, "augmentation"),
        mixing=_mixing(trials, members),
        held_out=examples.held_out(),
        held_out_keys=_keys(trials, "held_out"),
        step_hook=references.load(phenomenon.step_hook) if first.record_every else None,
        strategy=strategy,
    )
    _, taken = phenomenon.measures_of(first)
    curve = _Curve(trainer, examples, taken, first)
    if path is not None:
        curve.restore(checkpoint.load(path))
    last, last_save = max(totals), time.monotonic()
    tick(len(trials) * trainer.step / last)
    for point in curve.points_left():
        while trainer.step < point and trainer.active.any():
            before = trainer.step
            trainer.advance(min(point, trainer.step + trainer.stretch_steps))
            tick(len(trials) * (trainer.step - before) / last)
            if path is not None and time.monotonic() - last_save > _SECONDS_BETWEEN_CHECKPOINTS:
                checkpoint.save(path, curve.state())
                last_save = time.monotonic()
        curve.measure()
    extra = [
        {"steps": int(total), "diverged_at": int(diverged), "stopped_at": int(stopped)}
        for total, diverged, stopped in zip(
            totals, trainer.diverged_at, curve.stopped_at, strict=True
        )
    ]
    return trainer.predict, curve.arrays() | _recorded(trainer, first.record_every), extra


class _Curve:
    """Measures at the steps of a trial's curve, and stops members whose loss is low enough."""

    def __init__(self, trainer: Trainer, examples: Examples, measures, trial: Trial):
        self.trainer, self.examples, self.trial = trainer, examples, trial
        self.measures = measures if trial.curve else ()
        last = int(trainer.totals.max())
        self.points = sorted({step for step in trial.curve if step < last} | {last})
        self.values: dict[str, list[np.ndarray]] = {m.name: [] for m in self.measures}
        self.stopped_at = np.full(trainer.members.size, -1)
        # Nobody trains any more: what was measured since is what there is to measure.
        self.settled = False

    def points_left(self) -> list[int]:
        if self.values:
            return self.points[len(next(iter(self.values.values()))) :]
        return [point for point in self.points if point >= self.trainer.step]

    def measure(self) -> None:
        trainer, limit = self.trainer, self.trial.stop_at_loss
        if not self.measures and limit is None:
            return
        if self.settled:
            for values in self.values.values():
                values.append(values[-1])
            return
        view = self.examples.view(trainer.predict, trainer.step)
        for measure in self.measures:
            self.values[measure.name].append(measure(view))
        if limit is not None:
            reached = view.mean_loss("train") <= limit
            self.stopped_at = np.where(
                reached & (self.stopped_at < 0), trainer.step, self.stopped_at
            )
            trainer.freeze(reached)
        self.settled = not trainer.active.any()

    def arrays(self) -> dict[str, np.ndarray]:
        return stacked(self.values, self.points, self.trainer.members.size) if self.values else {}

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint holds: the trainer's state and the curve so far."""
        values = {f"curve_{name}": np.asarray(value) for name, value in self.values.items()}
        return self.trainer.state() | values | {"curve_stopped_at": self.stopped_at}

    def restore(self, saved: Mapping[str, np.ndarray] | None) -> None:
        if saved is None:
            return
        state = {k: v for k, v in saved.items() if not k.startswith("curve_")}
        self.trainer.restore(state)
        self.stopped_at = saved["curve_stopped_at"]
        for name in self.values:
            self.values[name] = list(saved[f"curve_{name}"])


def stacked(curve: Mapping[str, list], points: Sequence, members: int) -> dict[str, np.ndarray]:
    """Puts the curves of all members into arrays `[members, points]`, beside their steps."""
    arrays = {f"curve_{name}": np.stack(parts, 1) for name, parts in curve.items()}
    return arrays | {"curve_step": np.tile(np.asarray(points), (members, 1))}


def _recorded(trainer: Trainer, every: int | None) -> dict[str, np.ndarray]:
    """Returns what was recorded at every so many-th update, `[members, points]`."""
    if every is None:
        return {}
    kept = trainer.losses[::every].transpose(2, 1, 0)
    names = ("loss", *(trainer.step_hook.names if trainer.step_hook else ()))
    steps = np.arange(0, len(trainer.losses), every)
    arrays = {f"step_{name}": values for name, values in zip(names, kept, strict=True)}
    return arrays | {"step_number": np.tile(steps, (trainer.members.size, 1))}


def _keys(trials: Sequence[Trial], stream: str) -> np.ndarray:
    return np.stack([seeds.key(trial.seed_of(stream), stream) for trial in trials])


def _augment(trial: Trial) -> Callable | None:
    spec = trial.augmentation
    function = references.look_up("augmentation", AUGMENTATIONS, spec)
    if function is none:
        return None
    return lambda *arguments: references.call("augmentation", function, spec, *arguments)


def _mixing(trials: Sequence[Trial], members: Population) -> Callable | None:
    spec = trials[0].mixing
    function = references.look_up("mixing", MIXINGS, spec)
    draw = references.call("mixing", function, spec, _keys(trials, "mixing"))
    if draw is not None:
        check_layers(members.model, draw.layers)
    return draw


def _length(trial: Trial, size: int) -> int:
    if trial.steps is not None:
        return trial.steps
    batch = size if trial.batch_size is None else trial.batch_size
    return max(1, round(trial.epochs * -(-size // batch)))


def _optimizer(trials: Sequence[Trial], members: Population, totals) -> MemberOptimizer:
    spec = trials[0].optimizer
    make = references.look_up("optimizer", OPTIMIZERS, spec)
    schedule_spec = trials[0].schedule
    schedule = references.look_up("schedule", SCHEDULES, schedule_spec)
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
