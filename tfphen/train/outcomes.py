"""Turns trials, which are plain data, into a population, trains it and measures it."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfphen import models
from tfphen.core import references
from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.population.population import Population
from tfphen.solvers import linear_readout
from tfphen.train import gradient_descent, initialization
from tfphen.train.examples import Examples

# Numbers in the weights of all members of a population that still fit comfortably on one device.
_WEIGHT_NUMBERS = 2**28


@dataclasses.dataclass
class Outcome:
    """What one trial gave: values and arrays by name, and how it was run."""

    trial: Trial
    values: dict[str, float | int | bool]
    arrays: dict[str, np.ndarray]
    environment: dict[str, object]
    seconds: float


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
    examples = Examples(trials, data_dir, phenomenon.sources)
    if first.optimizer.name in phenomenon.solvers:
        solver = references.look_up("optimizer", phenomenon.solvers, first.optimizer)
        predictor, arrays, extra = solver(trials, examples, tick), {}, [{} for _ in trials]
        parameters = predictor.parameters
    else:
        builder = references.look_up("model", {**models.MODELS, **phenomenon.models}, first.model)
        shape, classes = examples.input_shape, examples.num_classes
        model = references.call("model", builder, first.model, shape, classes)
        parameters = model.count_params()
        most = max(1, _WEIGHT_NUMBERS // max(parameters, 1))
        if len(trials) > most:
            outcomes = []
            for start in range(0, len(trials), most):
                part = trials[start : start + most]
                path = checkpoint_path and checkpoint_path.with_suffix(f".{start}.npz")
                outcomes += train(phenomenon, part, inputs, strategy, data_dir, path, tick)
            return outcomes
        given = [inputs(trial) for trial in trials]
        weights, masks = initialization.begin(model, trials, given, phenomenon.starts)
        with strategy.scope():
            members = Population(model, [t.seed for t in trials], weights, masks)
        if first.optimizer.name == "least_squares":
            predictor, arrays = _by_least_squares(phenomenon, trials, examples, members, tick)
            extra = [{} for _ in trials]
        else:
            predictor, arrays, extra = gradient_descent.descend(
                phenomenon, trials, examples, members, given, strategy, checkpoint_path, tick
            )
    final, _ = phenomenon.measures_of(first)
    measured = _measure(final, examples.view(predictor, max(r.get("steps", 0) for r in extra)))
    seconds = (time.perf_counter() - started) / len(trials)
    environment = {
        "execution": str(predictor.how),
        "device": tf.config.list_logical_devices()[0].device_type,
        "replicas": strategy.num_replicas_in_sync,
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "model_parameters": parameters,
    }
    outcomes = []
    for index, trial in enumerate(trials):
        values, own = dict(extra[index]), {k: v[index] for k, v in arrays.items()}
        for name, value in measured.items():
            one = value[index]
            if np.ndim(one) == 0:
                values[name] = one.item()
            else:
                own[name] = np.asarray(one)
        outcomes.append(Outcome(trial, values, own, environment, seconds))
    return outcomes


def _measure(measures, view) -> dict[str, np.ndarray]:
    return {measure.name: measure(view) for measure in measures}


def _by_least_squares(phenomenon, trials, examples, members, tick):
    """Solves the readout exactly, at each point of a curve. Returns the predictor and curves."""
    pool, rows, labels = examples.splits["train"]
    ridges = np.asarray([t.optimizer.settings.get("ridge", 0.0) for t in trials])
    first = trials[0]
    points = sorted({*first.curve, first.steps}) if first.steps is not None else [None]
    solver = linear_readout.ReadoutSolver(
        members, pool, rows, labels["labels"], examples.sizes, examples.num_classes, ridges
    )
    taken = phenomenon.measures_of(first)[1] if first.curve else ()
    curve = {measure.name: [] for measure in taken}
    for steps in points:
        solver.solve(steps)
        for name, value in _measure(taken, examples.view(solver.predict, steps)).items():
            curve[name].append(value)
        tick(len(trials) / len(points))
    arrays = gradient_descent.stacked(curve, points, len(trials)) if first.curve else {}
    return solver.predict, arrays
