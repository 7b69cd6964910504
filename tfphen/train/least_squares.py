"""Solves a linear readout exactly instead of by gradient descent."""

import numpy as np
import scipy.linalg

from tfphen.train.population import Population
from tfphen.train.prediction import Predictor

# Singular values below this share of the largest count as zero.
_RCOND = 1e-10


def readout(features: np.ndarray, targets: np.ndarray, ridge: float) -> np.ndarray:
    """Solves `min |features @ kernel - targets|² + ridge |kernel|²`, of least norm when `ridge` is 0.

    Args:
        features: `[examples, features]`.
        targets: `[examples, classes]`.
        ridge: Non-negative.

    Returns:
        The kernel, `[features, classes]`, float64.
    """
    left, values, right = scipy.linalg.svd(
        features.astype("float64"), full_matrices=False, check_finite=False
    )
    kept = values > _RCOND * values[0]
    shrink = np.where(kept, values / np.where(kept, values**2 + ridge, 1.0), 0.0)
    return right.T @ (shrink[:, None] * (left.T @ targets))


def solve(
    members: Population,
    inputs: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    sizes: list[int],
    num_classes: int,
    ridges: np.ndarray,
    features: str = "features",
    kernel: str = "readout",
) -> Predictor:
    """Fits the readout of each member to centred one-hot labels and assigns it.

    Args:
        members: A population whose model has a layer `features` and, behind it, a layer `kernel`
            without a bias.
        inputs: The pool of examples.
        rows: Rows of each member, `[members, n]`.
        labels: Their labels, `[members, n]`.
        sizes: How many of the `n` each member really has.
        num_classes: Number of classes.
        ridges: Penalty of each member, `[members]`.
        features: Name of the layer whose outputs are the features.
        kernel: Name of the layer whose kernel is solved for.

    Returns:
        A predictor of the population.
    """
    predictor = Predictor(members)
    _, hidden = predictor(inputs, rows, (features,))
    solved = []
    for index, size in enumerate(sizes):
        targets = np.eye(num_classes)[labels[index, :size]] - 1.0 / num_classes
        solved.append(readout(hidden[features][index, :size], targets, float(ridges[index])))
    path = members.model.get_layer(kernel).kernel.path
    for template, variable in members.trainable:
        if template.path == path:
            variable.assign(np.stack(solved).astype("float32"))
    return predictor
