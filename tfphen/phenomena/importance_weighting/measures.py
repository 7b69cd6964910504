"""Shares of inputs that are classified as class 1, and the growth of the logits."""

from typing import TYPE_CHECKING

import numpy as np

from tfphen.core.seeds import stream

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def _gap(logits: np.ndarray) -> np.ndarray:
    """Logit of class 1 minus that of class 0."""
    return logits[..., 1] - logits[..., 0]


def ambiguous_share(trained: "Trained") -> np.ndarray:
    """Share in class 1 of test images of other classes, or of points on a grid, `[members]`."""
    if trained.trials[0].data.classes is not None:
        return (_gap(trained.logits("other_test")) > 0).mean(-1)
    axis = np.linspace(-6.5, 6.5, 40) + 2.5
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    return (_gap(trained.apply(grid)) > 0).mean(-1)


def test_share(trained: "Trained") -> np.ndarray:
    """Share of test examples in class 1, `[members]`."""
    return (_gap(trained.logits("test")) > 0).mean(-1)


def noise_share(trained: "Trained") -> np.ndarray:
    """Share in class 1 of 500 fixed images of uniform noise, `[members]`."""
    shape = 500, *trained.inputs("test").shape[2:]
    return (_gap(trained.apply(stream(0, "noise_images").random(shape))) > 0).mean(-1)


def margin(trained: "Trained") -> np.ndarray:
    """Mean absolute difference of the two logits of training examples, `[members]`."""
    return trained.mean("train", abs(_gap(trained.logits("train"))))


def logit_norm(trained: "Trained") -> np.ndarray:
    """Mean Euclidean norm of the logits of training examples, `[members]`."""
    return trained.mean("train", (trained.logits("train") ** 2).sum(-1) ** 0.5)
