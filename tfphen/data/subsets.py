"""Subsets of examples: stratified ones, bootstrap samples and imbalanced classes.

The random order does not depend on the size, so with one generator seed a smaller subset is part of
a larger one.

Reference:
    K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
    NeurIPS 2019, arXiv 1906.07413 (long-tailed and step imbalance).
"""

from collections.abc import Sequence

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Array
from tfphen.data.dataset import Examples


def stratified_order(labels: Array, generator: np.random.Generator) -> Array:
    """Returns a random order of the examples in which every prefix keeps the class frequencies.

    Each class is spread evenly over the order (its j-th of n_c examples at (j + 1/2) / n_c), so the
    first N examples hold each class in proportion, and a smaller N gives a subset of a larger one.
    """
    order = generator.permutation(len(labels))
    rank, counts = _rank_in_class(labels[order])
    position = (rank + 0.5) / counts[labels[order]]
    return order[np.argsort(position, kind="stable")]


def subset(
    examples: Examples,
    generator: np.random.Generator,
    *,
    size: int | None = None,
    fraction: float | None = None,
) -> Examples:
    """Keeps `size` examples, or a `fraction` of them, preserving class frequencies."""
    available = len(examples.labels)
    if (size is None) == (fraction is None):
        raise UsageError(
            f"`subset` takes `size` or `fraction`. Received: size={size}, fraction={fraction}"
        )
    if fraction is not None:
        size = max(1, round(checks.number("fraction", fraction, 0, 1) * available))
    size = checks.whole("size", size, 1, available)
    chosen = stratified_order(examples.labels, generator)[:size]
    return examples.take(generator.permutation(chosen))


def bootstrap(examples: Examples, generator: np.random.Generator) -> Examples:
    """Draws a bootstrap sample: as many examples, with replacement (Efron 1979, Ann. Stat. 7,
    1-26)."""
    available = len(examples.labels)
    return examples.take(generator.integers(available, size=available))


def long_tail_counts(max_count: int, ratio: float, num_classes: int) -> Array:
    """Returns class counts that fall geometrically from `max_count` to `max_count / ratio`.

    Class c of C gets floor(max_count * ratio ** (-c / (C - 1))) examples.
    """
    checks.whole("max_count", max_count, 1)
    checks.number("ratio", ratio, 1)
    exponent = np.arange(num_classes) / max(1, num_classes - 1)
    # The margin keeps a count that is whole on paper from falling by one through rounding.
    return np.floor(max_count * float(ratio) ** -exponent + 1e-9).astype(np.int64)


def step_counts(max_count: int, ratio: float, num_classes: int) -> Array:
    """Returns `max_count` for the first half of the classes and `max_count / ratio` for the rest.

    With an odd number of classes the middle one belongs to the first half.
    """
    checks.whole("max_count", max_count, 1)
    checks.number("ratio", ratio, 1)
    counts = np.full(num_classes, max_count, dtype=np.int64)
    counts[(num_classes + 1) // 2 :] = int(max_count / ratio + 1e-9)
    return counts


def long_tail(
    examples: Examples,
    generator: np.random.Generator,
    *,
    ratio: float,
    max_count: int | None = None,
    permute_classes: bool = False,
) -> Examples:
    """Imbalances the classes so that their counts fall geometrically. See `long_tail_counts`.

    Args:
        examples: The examples.
        generator: Random generator.
        ratio: Count of the most frequent class over that of the rarest, at least 1.
        max_count: Count of the most frequent class. Defaults to that of the smallest class here.
        permute_classes: True draws which class has which frequency; False makes class 0 the most
            frequent.
    """
    max_count = _largest_count(examples) if max_count is None else max_count
    counts = long_tail_counts(max_count, ratio, examples.num_classes)
    return _thin(examples, generator, counts, permute_classes)


def step_imbalance(
    examples: Examples,
    generator: np.random.Generator,
    *,
    ratio: float,
    max_count: int | None = None,
    permute_classes: bool = False,
) -> Examples:
    """Keeps `ratio` times fewer examples of half of the classes. See `long_tail`, `step_counts`."""
    max_count = _largest_count(examples) if max_count is None else max_count
    counts = step_counts(max_count, ratio, examples.num_classes)
    return _thin(examples, generator, counts, permute_classes)


def class_fractions(
    examples: Examples, generator: np.random.Generator, *, fractions: Sequence[float]
) -> Examples:
    """Keeps a fraction of each class, in the original order.

    Of n_c examples of class c, floor(n_c * fractions[c]) are kept, and at least one.

    Args:
        examples: The examples.
        generator: Random generator.
        fractions: A number in (0, 1] for each class.
    """
    num_classes = examples.num_classes
    given = len(fractions) if isinstance(fractions, (list, tuple, np.ndarray)) else None
    if given != num_classes:
        raise UsageError(
            f"`fractions` needs one number for each of the {num_classes} classes. "
            f"Received: fractions={fractions!r}"
        )
    shares = np.asarray([checks.number("fractions", fraction, 0, 1) for fraction in fractions])
    if not shares.all():
        raise UsageError(f"Each of `fractions` must be above 0. Received: fractions={fractions!r}")
    order = generator.permutation(len(examples.labels))
    rank, available = _rank_in_class(examples.labels[order], num_classes)
    # The margin keeps a count that is whole on paper from falling by one through rounding.
    counts = np.maximum(np.floor(available * shares + 1e-9), 1)
    return examples.take(np.sort(order[rank < counts[examples.labels[order]]]))


def _largest_count(examples: Examples) -> int:
    return int(np.bincount(examples.labels, minlength=examples.num_classes).min())


def _thin(
    examples: Examples, generator: np.random.Generator, counts: Array, permute_classes: bool
) -> Examples:
    if counts.min() < 1:
        raise UsageError(
            "Every class needs an example: lower `ratio` or raise `max_count`. "
            f"Received: class counts {counts.tolist()}"
        )
    # Drawn either way, so that the same examples are kept first with and without it.
    class_order = generator.permutation(examples.num_classes)
    if checks.boolean("permute_classes", permute_classes):
        counts = counts[class_order]
    order = generator.permutation(len(examples.labels))
    rank, available = _rank_in_class(examples.labels[order], examples.num_classes)
    if (available < counts).any():
        short = int(np.argmax(available < counts))
        raise UsageError(
            f"Class {short} has {available[short]} training examples, {counts[short]} are asked "
            f"for: lower `max_count`. Received: class counts {counts.tolist()}"
        )
    return examples.take(order[rank < counts[examples.labels[order]]])


def _rank_in_class(labels: Array, num_classes: int = 0) -> tuple[Array, Array]:
    """Returns how many earlier examples share each example's label, and the class counts."""
    counts = np.bincount(labels, minlength=num_classes)
    by_class = np.argsort(labels, kind="stable")
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(labels), dtype=np.int64)
    rank[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return rank, counts
