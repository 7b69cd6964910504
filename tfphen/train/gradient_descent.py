"""Trains a population through the one loop: lengths, curves, early stopping and checkpoints."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfphen.core.trial import Trial
from tfphen.population.mixup import check_layers
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor
from tfphen.train import checkpoint
from tfphen.train.batches import DeviceBatches, Streams
from tfphen.train.curves import Curve
from tfphen.train.examples import Examples
from tfphen.train.loop import Trainer
from tfphen.train.recipe import Recipe
from tfphen.train.validation import ValidationExamples

_SECONDS_BETWEEN_CHECKPOINTS = 20.0


def descend(
    recipe: Recipe,
    examples: Examples,
    members: Population,
    inputs: Sequence[Mapping[str, np.ndarray]],
    strategy: tf.distribute.Strategy,
    checkpoint_path: Path | None,
    tick: Callable[[float], None],
) -> tuple[Predictor, dict[str, np.ndarray], list[dict[str, int]]]:
    """Trains a population, and takes the curve measures along the way.

    Args:
        recipe: The recipe of the members.
        examples: Their data.
        members: The population, created inside the scope of `strategy`.
        inputs: Arrays that each member takes from other records, by name.
        strategy: The tf.distribute strategy.
        checkpoint_path: Checkpoint path (periodically written; resumed from if present).
        tick: Called with the amount of work just done, in units of trials.

    Returns:
        The predictor; arrays of all members `[members, points]`; other values of each member.
    """
    training = _Training(trainer_of(recipe, examples, members, inputs, strategy), recipe, examples)
    trainer, num_members = training.trainer, len(recipe.trials)
    if checkpoint_path is not None:
        training.restore(checkpoint.load(checkpoint_path))
    last, last_save = int(trainer.num_steps.max()), time.monotonic()
    tick(num_members * trainer.step / last)
    for point in training.points_left():
        while trainer.step < point and trainer.active.any():
            before = trainer.step
            trainer.advance(min(point, trainer.step + trainer.chunk_steps))
            tick(num_members * (trainer.step - before) / last)
            due = time.monotonic() - last_save > _SECONDS_BETWEEN_CHECKPOINTS
            if checkpoint_path is not None and due:
                checkpoint.save(checkpoint_path, training.state())
                last_save = time.monotonic()
        training.measure()
    ends = zip(trainer.num_steps, trainer.diverged_at, training.stopped_at, strict=True)
    values = [
        {"steps": int(steps), "diverged_at": int(diverged), "stopped_at": int(stopped)}
        for steps, diverged, stopped in ends
    ]
    recorded = _recorded(trainer, recipe.trials[0].record_every)
    return trainer.predictor, training.curve.arrays() | recorded, values


def trainer_of(
    recipe: Recipe,
    examples: Examples,
    members: Population,
    inputs: Sequence[Mapping[str, np.ndarray]],
    strategy: tf.distribute.Strategy,
) -> Trainer:
    """Returns the trainer of a population. The arguments are those of `descend`.

    Raises:
        ValueError: The recipe has a solver instead of an objective and an optimizer.
    """
    if recipe.objective is None or recipe.optimizer is None:
        raise ValueError("A recipe with a solver is not trained by gradient descent.")
    trials, first = recipe.trials, recipe.trials[0]
    streams = Streams.of(trials)
    num_steps = [num_steps_of(t, n) for t, n in zip(trials, examples.sizes, strict=True)]
    constants = {
        "transition_matrix": examples.transition_matrices,
        "class_counts": examples.class_counts,
    }
    for name in first.inputs:
        constants[name] = np.stack([arrays[name] for arrays in inputs])
    for name in first.constants:
        constants[name] = np.stack([np.asarray(trial.constants[name]) for trial in trials])
    mixup = None
    if recipe.mixup is not None:
        mixup = recipe.mixup(streams.keys("mixing"))
        check_layers(members.model, mixup.layers)
    held_out, validation = examples.held_out(), None
    if held_out is not None:
        validation = ValidationExamples(held_out, streams.keys("held_out"))
    with strategy.scope():
        optimizer = recipe.optimizer(members, num_steps)
    return Trainer(
        members,
        DeviceBatches(
            examples.on_device(),
            first.batch_size,
            streams,
            recipe.augment,
            strategy.num_replicas_in_sync,
        ),
        recipe.objective,
        optimizer,
        num_steps,
        constants={name: value.astype("float32") for name, value in constants.items()},
        mixup=mixup,
        validation=validation,
        step_hook=recipe.step_hook if first.record_every else None,
        strategy=strategy,
    )


def num_steps_of(trial: Trial, num_examples: int) -> int:
    """Returns the length of a trial's training in updates.

    Args:
        trial: A trial with `epochs` or `steps`.
        num_examples: Size of its training set.

    Raises:
        ValueError: It has neither.
    """
    if trial.steps is not None:
        return trial.steps
    if trial.epochs is None:
        raise ValueError("The trial has neither `epochs` nor `steps`.")
    batch = num_examples if trial.batch_size is None else trial.batch_size
    return max(1, round(trial.epochs * -(-num_examples // batch)))


class _Training:
    """The measures along a training, which also stop members whose loss is low enough."""

    def __init__(self, trainer: Trainer, recipe: Recipe, examples: Examples):
        self.trainer, self._examples, trial = trainer, examples, recipe.trials[0]
        last = int(trainer.num_steps.max())
        self._points = sorted({step for step in trial.curve if step < last} | {last})
        self.curve = Curve(recipe.curve_measures if trial.curve else (), self._points)
        self.stopped_at = np.full(trainer.members.size, -1)
        self._stop_at_loss = trial.stop_at_loss
        # Whether no member trains any more, and all are measured since.
        self._settled = False

    def points_left(self) -> list[int]:
        """Returns the steps at which measures are still to be taken."""
        if self.curve:
            return self._points[self.curve.num_measured :]
        return [point for point in self._points if point >= self.trainer.step]

    def measure(self) -> None:
        """Takes the curve measures, and freezes members whose training loss is low enough."""
        trainer, limit = self.trainer, self._stop_at_loss
        if not self.curve and limit is None:
            return
        if self._settled:
            self.curve.repeat()
            return
        view = self._examples.view(trainer.predictor, trainer.step)
        self.curve.measure(view)
        if limit is not None:
            reached = view.mean_loss("train") <= limit
            first_time = reached & (self.stopped_at < 0)
            self.stopped_at = np.where(first_time, trainer.step, self.stopped_at)
            trainer.freeze(reached)
        self._settled = not trainer.active.any()

    def state(self) -> dict[str, np.ndarray]:
        """Returns the arrays of a checkpoint: the trainer's state and the curve so far."""
        own = {"curve_stopped_at": self.stopped_at}
        return self.trainer.state() | self.curve.state() | own

    def restore(self, saved: Mapping[str, np.ndarray] | None) -> None:
        """Restores `state` from a checkpoint, if there is one."""
        if saved is None:
            return
        state = {k: v for k, v in saved.items() if not k.startswith("curve_")}
        self.trainer.restore(state)
        self.stopped_at = saved["curve_stopped_at"]
        self.curve.restore(saved)


def _recorded(trainer: Trainer, every: int | None) -> dict[str, np.ndarray]:
    """Returns the values recorded every `every` updates, `[members, points]`."""
    if every is None:
        return {}
    kept = trainer.losses[::every].transpose(2, 1, 0)
    names = ("loss", *(trainer.step_hook.names if trainer.step_hook else ()))
    steps = np.arange(0, len(trainer.losses), every)
    arrays = {f"step_{name}": values for name, values in zip(names, kept, strict=True)}
    return arrays | {"step_number": np.tile(steps, (trainer.members.size, 1))}
