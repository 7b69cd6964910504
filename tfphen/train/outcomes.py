"""Trains the trials of a recipe, in populations that fit on a device, and measures them."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfphen.core.trial import Trial
from tfphen.measures.basic import Measure
from tfphen.measures.trained import Trained
from tfphen.population.population import Population
from tfphen.solvers.base import Fitted, Problem
from tfphen.train import gradient_descent, initialization
from tfphen.train.curves import Curve
from tfphen.train.examples import Examples
from tfphen.train.recipe import Recipe

# Most numbers in the weights of one population, which fit comfortably on one device.
_MOST_NUMBERS = 2**28

Inputs: TypeAlias = Mapping[str, np.ndarray]


@dataclasses.dataclass
class Outcome:
    """The results of one trial.

    Attributes:
        trial: The trial.
        values: Scalars by name.
        arrays: Arrays by name.
        environment: Device and compilation mode.
        seconds: The trial's share of the wall time.
    """

    trial: Trial
    values: dict[str, float | int | bool]
    arrays: dict[str, np.ndarray]
    environment: dict[str, object]
    seconds: float


def train(
    recipe: Recipe,
    inputs: Sequence[Inputs],
    strategy: tf.distribute.Strategy,
    data_dir: str | Path | None = None,
    checkpoint_path: Path | None = None,
    tick: Callable[[float], None] = lambda share: None,
) -> list[Outcome]:
    """Trains the trials of a recipe, and measures them.

    Args:
        recipe: The recipe of trials that share a graph, as in one `plan.Group`.
        inputs: Arrays that each trial takes from the records of others, by name.
        strategy: The tf.distribute strategy.
        data_dir: Directory to search first for prepared datasets.
        checkpoint_path: Checkpoint path (periodically written; resumed from if present).
        tick: Called with the amount of work just done, in units of trials.

    Returns:
        One outcome a trial, in order.
    """
    started = time.perf_counter()
    examples = Examples(recipe.trials, data_dir, recipe.sources)
    if recipe.solver is not None:
        curve, fitted = solve(recipe, examples, inputs, strategy, tick)
        values: list[dict[str, int]] = [{} for _ in recipe.trials]
        return _measured(recipe, examples, fitted, curve.arrays(), values, strategy, started)
    model = recipe.model(examples.input_shape, examples.num_classes)
    most = members_at_once(model)
    outcomes = []
    for first in range(0, len(recipe.trials), most):
        part, path = recipe.take(first, first + most), checkpoint_path
        if part.trials != recipe.trials:
            started = time.perf_counter()
            examples = Examples(part.trials, data_dir, recipe.sources)
            path = checkpoint_path and checkpoint_path.with_suffix(f".{first}.npz")
        own = inputs[first : first + most]
        members = population_of(part, model, own, strategy)
        fitted, arrays, values = gradient_descent.descend(
            part, examples, members, own, strategy, path, tick
        )
        outcomes += _measured(part, examples, fitted, arrays, values, strategy, started)
    return outcomes


def members_at_once(model: keras.Model) -> int:
    """Returns the number of members of a model that fit comfortably on one device."""
    return max(1, _MOST_NUMBERS // max(model.count_params(), 1))


def population_of(
    recipe: Recipe, model: keras.Model, inputs: Sequence[Inputs], strategy: tf.distribute.Strategy
) -> Population:
    """Returns the population of a recipe's trials, with its initial weights."""
    weights, masks = initialization.initialize(model, recipe.trials, inputs, recipe.initializers)
    with strategy.scope():
        return Population(model, [trial.seed for trial in recipe.trials], weights, masks)


def solve(
    recipe: Recipe,
    examples: Examples,
    inputs: Sequence[Inputs],
    strategy: tf.distribute.Strategy,
    tick: Callable[[float], None] = lambda share: None,
) -> tuple[Curve, Fitted]:
    """Fits the trials of a recipe that has a solver. Returns the curve and the fits.

    Raises:
        ValueError: The recipe has no solver.
    """
    if recipe.solver is None:
        raise ValueError("A recipe without a solver is trained by gradient descent.")
    first = recipe.trials[0]
    points: Sequence[int | None] = [None]
    if first.steps is not None:
        points = sorted({*first.curve, first.steps})
    curve = Curve(recipe.curve_measures if first.curve else (), points)

    def population() -> Population:
        model = recipe.model(examples.input_shape, examples.num_classes)
        return population_of(recipe, model, inputs, strategy)

    def record(fitted: Fitted, step: int | None) -> None:
        curve.measure(examples.view(fitted, step))

    problem = Problem(recipe.trials, examples, tick, population, record, tuple(points))
    return curve, recipe.solver(problem)


def _measured(
    recipe: Recipe,
    examples: Examples,
    fitted: Fitted,
    arrays: Mapping[str, np.ndarray],
    values: Sequence[Mapping[str, int]],
    strategy: tf.distribute.Strategy,
    started: float,
) -> list[Outcome]:
    """Takes the final measures, and returns them with the results of the training.

    Args:
        recipe: The recipe of the members.
        examples: Their data.
        fitted: The members.
        arrays: Arrays recorded in training, `[members, ...]` by name.
        values: Other values of each member.
        strategy: The tf.distribute strategy.
        started: Start of the work on these members, by `time.perf_counter`.
    """
    trials = recipe.trials
    view = examples.view(fitted, max(value.get("steps", 0) for value in values))
    measured = _taken(recipe.measures, view)
    seconds = (time.perf_counter() - started) / len(trials)
    environment = {
        "execution": str(fitted.execution),
        "device": tf.config.list_logical_devices()[0].device_type,
        "replicas": strategy.num_replicas_in_sync,
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "model_parameters": fitted.num_parameters,
    }
    outcomes = []
    for index, trial in enumerate(trials):
        scalars: dict[str, float | int | bool] = dict(values[index])
        own = {k: v[index] for k, v in arrays.items()}
        for name, value in measured.items():
            if np.ndim(value[index]) == 0:
                scalars[name] = value[index].item()
            else:
                own[name] = np.asarray(value[index])
        outcomes.append(Outcome(trial, scalars, own, environment, seconds))
    return outcomes


def _taken(measures: Sequence[Measure], view: Trained) -> dict[str, np.ndarray]:
    return {measure.name: measure(view) for measure in measures}
