"""Trains one population of a plan: resolves its recipe, then trains and measures it.

The runner loads this module only when something is left to train, since it imports TensorFlow.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.experiment.resolve import recipe_of
from tfphen.train import outcomes
from tfphen.train import strategy as strategies
from tfphen.train.outcomes import Outcome


def train(
    phenomenon: Phenomenon,
    trials: Sequence[Trial],
    inputs: Callable[[Trial], Mapping[str, np.ndarray]],
    strategy: tf.distribute.Strategy,
    data_dir: str | Path | None = None,
    checkpoint_path: Path | None = None,
    tick: Callable[[float], None] = lambda share: None,
) -> list[Outcome]:
    """Trains trials that share a graph, and measures them.

    Args:
        phenomenon: The phenomenon of the trials.
        trials: The trials of one `plan.Group`.
        inputs: Returns the arrays that a trial takes from the records of others, by name.
        strategy, data_dir, checkpoint_path, tick: As in `tfphen.train.outcomes.train`.

    Returns:
        One outcome a trial, in order.
    """
    given = [inputs(trial) for trial in trials]
    recipe = recipe_of(phenomenon, trials)
    return outcomes.train(recipe, given, strategy, data_dir, checkpoint_path, tick)


def start(strategy: str, deterministic: bool) -> tf.distribute.Strategy:
    """Returns a strategy by name. Call it before anything trains.

    Args:
        strategy: Name, see `tfphen.train.strategy.get`.
        deterministic: Whether to enable deterministic ops, which are slower.
    """
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    return strategies.get(strategy)
