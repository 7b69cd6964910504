"""What the flows of a population, trained on the sources, make of the few points of the target."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfphen.measures.trained import Trained
from tfphen.phenomena.causal_mechanism_transfer import contrastive_flow
from tfphen.phenomena.causal_mechanism_transfer.mechanism_transfer import (
    NoveltyFilter,
    combinations,
    fit,
    small_problems,
)


class Learned(NamedTuple):
    """One number a member, `[members]` each.

    Args:
        error: Mean squared error of the test points.
        score: Mean squared error of the target's points when they are left out one by one.
        kept: Share of the combinations that look like the sources' points.
    """

    error: np.ndarray
    score: np.ndarray
    kept: np.ndarray


def transfer(trained: Trained) -> Learned:
    """Combines the target's components as each member's flow sees them, and fits, and tests.

    Args:
        trained: A population of `contrastive_flow.model`s; the last label is the target domain.
    """
    flow = contrastive_flow.flow_of(trained.members)
    inputs, labels = trained.inputs("train").astype("float64"), trained.labels("train")
    is_target = labels == trained.num_classes - 1
    targets = np.stack([one[mine] for one, mine in zip(inputs, is_target, strict=True)])
    components = flow.forward(tf.constant(targets)).numpy()
    made = flow.inverse(tf.constant(np.stack([combinations(one) for one in components]))).numpy()
    rows = []
    with small_problems():
        for index, (target, more) in enumerate(zip(targets, made, strict=True)):
            passed = NoveltyFilter(inputs[index, ~is_target[index]])(more)
            found = fit(target, more[passed], float(passed.mean()))
            test = trained.inputs("test")[index]
            error = np.mean((found.ridge(test[:, :-1]) - test[:, -1]) ** 2)
            rows.append((error, found.score, found.kept))
    return Learned(*np.asarray(rows).T)
