"""Initial weights of a population: drawn from each member's seed, or computed from records."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import keras
import numpy as np

from tfphen.core import seeds
from tfphen.core.errors import UsageError
from tfphen.core.trial import Trial
from tfphen.population.initial_weights import initial_weights

Arrays: TypeAlias = Mapping[str, np.ndarray]
# `(drawn, inputs, generator) -> (weights, masks)`, each by path.
Initializer: TypeAlias = Callable[[Arrays, Arrays, np.random.Generator], tuple[Arrays, Arrays]]


def drawn(weights: Arrays, inputs: Arrays, generator: np.random.Generator) -> tuple[Arrays, Arrays]:
    """The weights drawn from the member's stream `"init"`, without masks."""
    return weights, {}


def flatten(arrays: Arrays) -> np.ndarray:
    """Returns all arrays as one vector, `[numbers]`."""
    return np.concatenate([np.ravel(array) for array in arrays.values()])


def unflatten(vector: np.ndarray, like: Arrays) -> dict[str, np.ndarray]:
    """The inverse of `flatten`, for arrays with the names, order and shapes of `like`.

    Raises:
        ValueError: The vector has the wrong length.
    """
    sizes = [array.size for array in like.values()]
    if np.shape(vector) != (sum(sizes),):
        raise ValueError(
            f"The vector must hold {sum(sizes)} numbers. Received: shape {np.shape(vector)}"
        )
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return {
        name: part.reshape(array.shape)
        for (name, array), part in zip(like.items(), parts, strict=True)
    }


def initialize(
    model: keras.Model,
    trials: Sequence[Trial],
    inputs: Sequence[Arrays],
    initializers: Sequence[Initializer],
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Returns initial weights and masks of a population, as `Population` takes them.

    Args:
        model: The template.
        trials: The members.
        inputs: Arrays that each member takes from other records, by name.
        initializers: The initializer of each member.

    Raises:
        UsageError: An initializer returned an array of the wrong shape, or for a weight that the
            model does not have.
    """
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    trainable = [variable.path for variable in model.trainable_variables]
    weights: list[Arrays] = []
    masks: list[Arrays] = []
    for trial, given, initializer in zip(trials, inputs, initializers, strict=True):
        first = dict(zip(shapes, initial_weights(model, trial.seed_of("init")), strict=True))
        result = initializer(first, given, seeds.stream(trial.seed_of("start"), "start"))
        for kind, arrays, allowed in (
            ("weights", result[0], list(shapes)),
            ("masks", result[1], trainable),
        ):
            for path, array in arrays.items():
                if path not in allowed or np.shape(array) != shapes[path]:
                    raise UsageError(
                        f"The {kind} of start {trial.start.name!r} are arrays of the shape of the "
                        f"weight by path: {', '.join(f'{p} {shapes[p]}' for p in allowed)}. "
                        f"Received: {path} {np.shape(array)}"
                    )
        weights.append({**first, **result[0]})
        masks.append(result[1])
    stacked = [np.stack([one[path] for one in weights]) for path in shapes]
    masked = {path: None for one in masks for path in one}
    return stacked, {
        path: np.stack([one.get(path, np.ones(shapes[path])) for one in masks]) for path in masked
    }
