"""Errors and predictions of fits, and fits to combinations made by learned flows."""

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


def error(trained: Trained) -> np.ndarray:
    """Mean squared error of the last variable of the test points, `[members]`."""
    return ((trained.logits("test")[..., 0] - trained.inputs("test")[..., -1]) ** 2).mean(1)


def sources(trained: Trained) -> np.ndarray:
    """Training points of all domains, `[members, n, d]`."""
    return trained.inputs("train")


def predicted(trained: Trained) -> np.ndarray:
    """Test points with predictions of their last variable, `[members, n, d + 1]`."""
    return np.concatenate([trained.inputs("test"), trained.logits("test")], axis=-1)


def learned(trained: Trained, name: str) -> np.ndarray:
    """One of the numbers of `Learned` with a flow as it is, `[members]`."""
    return getattr(trained.once(transfer), name)


class Learned(NamedTuple):
    """Results of fits with learned flows, `[members]` each.

    Args:
        error: Mean squared error of the test points.
        score: Leave-one-out mean squared error of the target's points.
        kept: Share of the combinations that pass the novelty filter.
    """

    error: np.ndarray
    score: np.ndarray
    kept: np.ndarray


def transfer(trained: Trained) -> Learned:
    """Combines the target's components according to each member's flow, fits, and evaluates.

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
            fitted = fit(target, more[passed], float(passed.mean()))
            test = trained.inputs("test")[index]
            error = np.mean((fitted.ridge(test[:, :-1]) - test[:, -1]) ** 2)
            rows.append((error, fitted.score, fitted.kept))
    return Learned(*np.asarray(rows).T)
