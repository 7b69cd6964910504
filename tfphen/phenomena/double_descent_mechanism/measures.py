"""Votes of nearest neighbors on mislabeled examples, and statistics of class activations."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfphen.metrics.representation.class_activations import (
    activation_complexity,
    class_activation_cosine,
)
from tfphen.metrics.representation.noisy_neighbours import noisy_neighbours
from tfphen.phenomena.double_descent_mechanism.trials import SHUFFLES

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def vote(trained: "Trained", field: str = "clean_vote") -> np.ndarray:
    """Share of mislabeled examples whose neighbors in the features vote for a class, `[members]`.

    Args:
        trained: The population.
        field: `"clean_vote"` for the true class, `"noisy_vote"` for the given one.
    """
    return _votes(trained, _rows(trained.activations("train", "features")), field)


def input_vote(trained: "Trained") -> np.ndarray:
    """The clean vote of neighbors in the inputs, `[members]`."""
    return _votes(trained, _rows(trained.inputs("train")))


def shuffled_votes(trained: "Trained") -> np.ndarray:
    """Clean votes with the feature rows shuffled over the examples, `[members, SHUFFLES]`."""
    rows = _rows(trained.activations("train", "features"))
    # All members share an order: a vote does not depend on the composition of the population.
    orders = [np.random.default_rng(n).permutation(rows.shape[1]) for n in range(SHUFFLES)]
    return np.stack([_votes(trained, rows[:, order]) for order in orders], 1)


def input_cosine(trained: "Trained") -> np.ndarray:
    """Mean cosine of the class activation matrices of inputs and features, `[members]`."""
    return _of_classes(trained, lambda x, h, z, c: _cosine(x, h, c, z.shape[-1]))


def output_cosine(trained: "Trained") -> np.ndarray:
    """Mean cosine of the class activation matrices of features and logits, `[members]`."""
    return _of_classes(trained, lambda x, h, z, c: _cosine(h, z, c, z.shape[-1]))


def predicted_classes(trained: "Trained") -> np.ndarray:
    """Number of classes that are predicted at all on the test set, `[members]`."""
    return _of_classes(trained, lambda x, h, z, c: len(set(c.tolist())))


def complexity(trained: "Trained") -> np.ndarray:
    """The paper's complexity estimate of the features, `[members]`."""
    return _of_classes(trained, lambda x, h, z, c: activation_complexity(h, c))


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(*array.shape[:2], -1)


def _of_members(arrays: Sequence[np.ndarray], function: Callable[..., float]) -> np.ndarray:
    """Returns `function` of each member's part of `arrays`, NaN where the member diverged."""

    def of_member(parts):
        return function(*parts) if all(np.isfinite(part).all() for part in parts) else np.nan

    return np.asarray([of_member(parts) for parts in zip(*arrays, strict=True)], "float64")


def _votes(trained: "Trained", rows: np.ndarray, field: str = "clean_vote") -> np.ndarray:
    arrays = rows, trained.labels("train"), trained.labels("train", "clean_labels")
    return _of_members(arrays, lambda *parts: getattr(noisy_neighbours(*parts), field))


def _of_classes(trained: "Trained", function: Callable[..., float]) -> np.ndarray:
    """`function(inputs, features, logits, predictions)` on the test examples of each member."""
    logits = trained.logits("test")
    features = trained.activations("test", "features")
    arrays = _rows(trained.inputs("test")), features, logits, logits.argmax(-1)
    return _of_members(arrays, function)


def _cosine(lower: np.ndarray, upper: np.ndarray, predictions: np.ndarray, classes: int) -> float:
    return class_activation_cosine(lower, upper, predictions, classes).mean_cosine
