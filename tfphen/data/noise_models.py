"""Label noise models: redraw probabilities, target distributions and transition matrices.

Every model has one form. A label of class c is redrawn with probability `r_c`, from row c of a
matrix `D`. The transition matrix is then T = diag(1 - r) + diag(r) D.

Reference:
    G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
    Approach", CVPR 2017, arXiv 1609.03683 (transition matrices, the class-dependent maps).
"""

from collections.abc import Sequence

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Array

MAPS = {
    "mnist_flips": {7: 1, 2: 7, 5: 6, 6: 5, 3: 8},
    "cifar10_flips": {9: 1, 2: 0, 4: 7, 3: 5, 5: 3},
}
KINDS = ("wrong", "all", "pair", "transition", *MAPS)


def transition_matrix(kind: str, rate: float, num_classes: int) -> Array:
    """Returns the label noise matrix: entry (c, j) is the probability that class c becomes j.

    Args:
        kind: `"wrong"`, `"all"`, `"pair"`, `"mnist_flips"` or `"cifar10_flips"`, see
            `tfphen.data.corruptions`.
        rate: Fraction of labels that are redrawn, in [0, 1].
        num_classes: Number of classes K.

    Returns:
        float64, `[K, K]`, rows sum to 1.

    Raises:
        UsageError: An unknown kind, a rate outside [0, 1], or a map that needs other classes.
    """
    checks.one_of("kind", kind, tuple(name for name in KINDS if name != "transition"))
    return mixture(*redraw(kind, rate, num_classes))


def mixture(probability: Array, targets: Array) -> Array:
    """Returns the transition matrix diag(1 - r) + diag(r) D of a redraw. See `redraw`."""
    return np.diag(1 - probability) + probability[:, None] * targets


def redraw(
    kind: str,
    rate: float | None,
    num_classes: int,
    matrix: Sequence[Sequence[float]] | Array | None = None,
) -> tuple[Array, Array]:
    """Returns the probability of a redraw for each class, `[K]`, and what it draws from, `[K, K]`.

    Args:
        kind: One of `KINDS`.
        rate: Fraction of labels that are redrawn; None for `kind="transition"`.
        num_classes: Number of classes K, at least 2.
        matrix: Transition matrix, for `kind="transition"` only.
    """
    checks.one_of("kind", kind, KINDS)
    size = checks.whole("num_classes", num_classes, 2)
    if (kind == "transition") != (matrix is not None):
        raise UsageError(
            '`transition_matrix` belongs to kind="transition", and only there. '
            f"Received: kind={kind!r}, transition_matrix={matrix!r}"
        )
    if kind == "transition":
        if rate is not None:
            raise UsageError(f"A transition matrix has its own rates. Received: rate={rate}")
        assert matrix is not None, "checked above"
        checked = checked_transition_matrix(matrix, size)
        probability = 1 - np.diag(checked)
        targets = checked * (1 - np.eye(size))
        total = targets.sum(axis=1, keepdims=True)
        return probability, np.where(
            total > 0, targets / np.where(total > 0, total, 1), np.eye(size)
        )
    rate = checks.number("rate", rate, 0, 1)
    if kind == "wrong":
        return np.full(size, rate), (1 - np.eye(size)) / (size - 1)
    if kind == "all":
        return np.full(size, rate), np.full((size, size), 1 / size)
    if kind == "pair":
        return np.full(size, rate), np.roll(np.eye(size), 1, axis=1)
    if size != 10:
        raise UsageError(f"`{kind}` is for ten classes. Received: num_classes={size}")
    probability, targets = np.zeros(size), np.eye(size)
    for source, target in MAPS[kind].items():
        probability[source] = rate
        targets[source] = np.eye(size)[target]
    return probability, targets


def checked_transition_matrix(matrix: Sequence[Sequence[float]] | Array, num_classes: int) -> Array:
    """Returns `matrix` as float64, or raises an error that says why it is not a transition
    matrix."""
    try:
        checked = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        checked = np.empty(0)
    if checked.shape != (num_classes, num_classes):
        raise UsageError(
            f"A transition matrix for {num_classes} classes has {num_classes} rows of as many "
            f"numbers. Received: {matrix!r}"
        )
    sums = checked.sum(axis=1)
    if not (
        np.isfinite(checked).all() and (checked >= 0).all() and np.allclose(sums, 1, atol=1e-6)
    ):
        raise UsageError(
            "A transition matrix has no negative entry, and each row sums to 1. "
            f"Received: row sums {sums.tolist()}, smallest entry {checked.min()}"
        )
    return checked / sums[:, None]


def flip_labels(
    labels: Array,
    probability: Array,
    targets: Array,
    generator: np.random.Generator,
    *,
    exact: bool = False,
) -> Array:
    """Redraws labels of class c with probability `probability[c]` from row c of `targets`.

    Args:
        labels: Integers, `[n]`.
        probability: `[K]`, as from `redraw`.
        targets: `[K, K]`, as from `redraw`.
        generator: Two uniform numbers are drawn for every label, whatever the probabilities.
        exact: True redraws exactly `round(probability[c] * n_c)` labels of every class c.
    """
    chance, place = generator.random((2, len(labels)))
    flipped = labels.copy()
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if exact:
            count = round(probability[label] * len(members))
            members = members[np.argsort(chance[members], kind="stable")[:count]]
        else:
            members = members[chance[members] < probability[label]]
        cumulative = np.cumsum(targets[label])
        cumulative /= cumulative[-1]
        # To the right of equal entries: a class of probability zero is never drawn.
        flipped[members] = np.searchsorted(cumulative, place[members], side="right")
    return flipped
