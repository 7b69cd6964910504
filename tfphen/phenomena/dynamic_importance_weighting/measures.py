"""Static weights, fit of flipped labels, and squared error of lines."""

from typing import TYPE_CHECKING

import numpy as np

from tfphen.core import seeds
from tfphen.phenomena.dynamic_importance_weighting.loss_matching import matched_weights

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def static_weights(trained: "Trained") -> np.ndarray:
    """Weights of all training examples, from the losses under a trained population.

    Training examples are matched in random blocks of the batch size, each with as many held-out
    examples; the last block has the remainder. `kernel` and `bound` are those of the trial's
    objective.

    Args:
        trained: A `tfphen.measures.trained.Trained` with held-out examples.

    Returns:
        Rescaled to mean 1, float32, `[members, n]`.
    """
    first = trained.trials[0]
    kernel, bound = (first.objective.settings[name] for name in ("kernel", "bound"))
    size = first.batch_size
    parts = {}
    for split in ("train", "validation"):
        table, labels = trained.log_probabilities(split), trained.labels(split)
        parts[split] = -np.take_along_axis(table, labels[..., None], -1)[..., 0]
    count = parts["train"].shape[1]
    blocks, rows = -(-count // size), min(size, parts["validation"].shape[1])
    orders, losses, held_out = [], [], []
    for index, trial in enumerate(trained.trials):
        generator = seeds.stream(trial.seed, "static_weights")
        order = np.append(generator.permutation(count), np.full(blocks * size - count, -1))
        orders.append(order.reshape(blocks, size))
        losses.append(parts["train"][index][orders[-1]])
        held = parts["validation"][index]
        held_out += [generator.permutation(held)[:rows] for _ in range(blocks)]
    real = np.concatenate(orders) >= 0
    matched = matched_weights(np.concatenate(losses), np.stack(held_out), real, kernel, bound)
    weights = np.empty(parts["train"].shape, "float32")
    for own, order, row in zip(
        np.split(matched.numpy(), len(orders)), orders, weights, strict=True
    ):
        row[order[order >= 0]] = own[order >= 0]
    return weights / weights.mean(1, keepdims=True)


def fit_of_flipped(trained: "Trained") -> np.ndarray:
    """Share of flipped training labels that are predicted, `[members]`; NaN without any."""
    labels, clean = (trained.labels("train", kind) for kind in ("labels", "clean_labels"))
    flipped, fitted = labels != clean, trained.logits("train").argmax(-1) == labels
    with np.errstate(invalid="ignore"):
        return trained.mean("train", flipped & fitted) / trained.mean("train", flipped)


def squared_error(trained: "Trained") -> np.ndarray:
    """Mean squared error of lines on noise-free test targets, `[members]`."""
    targets = trained.inputs("test")[..., 1]
    return trained.mean("test", (trained.logits("test")[..., 0] - targets) ** 2)
