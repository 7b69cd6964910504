"""Per-class quantities: margins and weights in the loss, and margins reached in training."""

from typing import TYPE_CHECKING

import numpy as np

from tfphen.losses import effective_number_weights
from tfphen.losses.class_counts import reversed_class_counts
from tfphen.losses.margins import ldam_margins

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def loss_margins(trained: "Trained") -> np.ndarray:
    """Margin of each class in the loss, 0 without one, `[members, classes]`."""
    rows = []
    for trial, counts in zip(trained.trials, trained.class_counts, strict=True):
        settings = trial.objective.settings
        if trial.objective.name == "ldam":
            counts = _loss_counts(counts, settings["counts"])
            rows.append(ldam_margins(counts, settings["max_margin"]))
        else:
            rows.append(np.zeros(len(counts)))
    return np.stack(rows)


def loss_weights(trained: "Trained") -> np.ndarray:
    """Weight of each class at the end of training, 1 without weighting, `[members, classes]`."""
    rows = []
    for trial, counts in zip(trained.trials, trained.class_counts, strict=True):
        settings = trial.objective.settings.get("weighting")
        if settings is None:
            rows.append(np.ones(len(counts)))
        else:
            counts = _loss_counts(counts, settings["counts"])
            rows.append(effective_number_weights(counts, settings["beta"]))
    return np.stack(rows)


def _loss_counts(counts: np.ndarray, which: str) -> np.ndarray:
    """Class counts as passed to a loss: `"own"` or `"reversed"`."""
    return counts if which == "own" else reversed_class_counts(counts)


def train_margins(trained: "Trained") -> np.ndarray:
    """Mean margin of each class's training examples, `[members, classes]`.

    The margin of an example is the logit of its label minus the largest other logit. With a cosine
    head logits are cosines, without the scale of the loss.
    """
    logits, labels = trained.logits("train"), trained.labels("train")
    own = np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    others = logits.copy()
    np.put_along_axis(others, labels[..., None], -np.inf, -1)
    margins = own - others.max(-1)
    means = []
    for margin, label, counts in zip(margins, labels, trained.class_counts, strict=True):
        size = counts.sum()  # Rows beyond are padding.
        means.append(np.bincount(label[:size], margin[:size], len(counts)) / counts)
    return np.stack(means)
