"""Slab data: each coordinate separates two classes, some by simpler functions than others.

On a coordinate of k slabs the interval [-1, 1] holds k slabs, 2 margins apart, that alternate
between the two classes. Two slabs are a linear coordinate: one threshold separates the classes, k
slabs need k - 1. Coordinates are independent given the class, and a random rotation hides them.
"""

import inspect
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset

LINEAR = 2
# Probability, within its class, of the slabs at each distance from 0, from 0 outwards.
_PROBABILITIES = {3: (1.0, 1.0), 5: (3 / 4, 1.0, 1 / 4), 7: (1 / 2, 7 / 8, 1 / 2, 1 / 8)}
SLABS = (LINEAR, *_PROBABILITIES)


class Blocks(NamedTuple):
    """The coordinates of each block of the inputs.

    Args:
        columns: Of each block, the columns of the unrotated coordinates, int arrays.
        rotation: `[d, d]` orthogonal: inputs are `coordinates @ rotation`. None for no rotation.
    """

    columns: tuple[np.ndarray, ...]
    rotation: np.ndarray | None = None


def slab_width(slabs: int, margin: float) -> float:
    """Returns the width of each of `slabs` slabs in [-1, 1] that lie 2 `margin` apart.

        (2 - 2 (k - 1) m) / k

    Args:
        slabs: k, the number of slabs.
        margin: m, half the distance between neighbors.

    Example:

    >>> [round(slab_width(k, 0.1), 4) for k in (2, 3, 5, 7)]
    [0.9, 0.5333, 0.24, 0.1143]
    """
    return (2 - 2 * (slabs - 1) * margin) / slabs


def slabs(
    *,
    blocks: Sequence[Sequence[int]] = ((LINEAR, 1), (5, 19)),
    margin: float = 0.1,
    noisy: float = 0.0,
    label_free: Sequence[int] = (),
    rotate: bool = True,
    train: int = 50_000,
    test: int = 10_000,
    generator_seed: int = 0,
) -> Dataset:
    """Draws slab data of two equally likely classes.

    With s the width of a slab and m the margin, the slabs of a coordinate of 3, 5 or 7 slabs have
    the centers 0, ±(s + 2m), ±2(s + 2m) and so on; the one at 0 belongs to class 0, its neighbors
    to class 1, and so on. Both signs are equally likely, so a coordinate is not correlated with the
    class. On a linear coordinate class 0 is in [-1, -m], class 1 in [m, 1].

    Args:
        blocks: Pairs of a number of slabs, one of `SLABS`, and a number of coordinates.
        margin: m, as a share of the half-width 1 of every coordinate.
        noisy: Share of examples with uninformative linear coordinates: exactly that many, rounded,
            of training and test examples have them uniform in [-m, m].
        label_free: Positions in `blocks` of blocks that follow a random class, independent of the
            example's.
        rotate: Whether to multiply by a random orthogonal matrix.
        train: Training examples.
        test: Test examples.
        generator_seed: Seed of the data and the rotation.

    Returns:
        Inputs `(n, coordinates)`.

    Raises:
        UsageError: A setting is out of its range.

    Example:

    >>> data = slabs(blocks=((2, 1), (5, 1)), rotate=False, train=4000, test=1)
    >>> sign = 2 * data.train_labels - 1
    >>> correlations = (data.train_inputs * sign[:, None]).mean(0)
    >>> bool(correlations[0] > 0.5), bool(abs(correlations[1]) < 0.1)
    (True, True)

    When not to use:
        To rank coordinates by the accuracy of a single threshold: on 5 slabs it is right in 11 of
        16 cases, though the coordinate is uncorrelated with the class.

    Reference:
        H. Shah, K. Tamuly, A. Raghunathan, P. Jain, P. Netrapalli, "The Pitfalls of Simplicity Bias
        in Neural Networks", NeurIPS 2020, arXiv 2006.07710.
    """
    _check_blocks(blocks, margin)
    checks.number("noisy", noisy, 0, 1)
    if noisy and not any(slabs == LINEAR for slabs, _ in blocks):
        raise UsageError(f"`noisy` needs a linear coordinate. Received: blocks={blocks!r}")
    for place in label_free:
        checks.whole("label_free", place, 0, len(blocks) - 1)
    for name, value, least in (("train", train, 1), ("test", test, 1)):
        checks.whole(name, value, least)
    checks.whole("generator_seed", generator_seed, 0)
    rotation = slab_blocks(blocks=blocks, rotate=rotate, generator_seed=generator_seed).rotation

    def draw(count: int, fold: int) -> tuple[np.ndarray, np.ndarray]:
        generator = stream(generator_seed, "slabs", fold)
        labels = generator.integers(2, size=count)
        uninformative = generator.permutation(count)[: round(noisy * count)]
        columns = []
        for place, (number, coordinates) in enumerate(blocks):
            classes = generator.integers(2, size=count) if place in label_free else labels
            for _ in range(coordinates):
                values = _coordinate(number, classes, margin, generator)
                if number == LINEAR:
                    values[uninformative] = generator.uniform(-margin, margin, len(uninformative))
                columns.append(values)
        values = np.stack(columns, axis=1)
        return values if rotation is None else values @ rotation, labels

    kinds = " and ".join(
        f"{count} {'linear' if number == LINEAR else f'{number}-slab'}" for number, count in blocks
    )
    return Dataset(
        *draw(train, 1),
        *draw(test, 2),
        num_classes=2,
        name="slabs",
        description=f"{kinds} coordinates, margin {margin:g}, generator seed {generator_seed}",
    )


def slab_blocks(**settings) -> Blocks:
    """Returns the blocks of `slabs` with these settings.

    Args:
        **settings: Those of `slabs`.

    Example:

    >>> found = slab_blocks(blocks=((2, 1), (5, 3)), rotate=False)
    >>> [columns.tolist() for columns in found.columns], found.rotation
    ([[0], [1, 2, 3]], None)
    """
    bound = inspect.signature(slabs).bind(**settings)
    bound.apply_defaults()
    counts = [count for _, count in bound.arguments["blocks"]]
    ends = np.cumsum(counts)
    columns = tuple(np.arange(end - count, end) for end, count in zip(ends, counts, strict=True))
    if not checks.boolean("rotate", bound.arguments["rotate"]):
        return Blocks(columns)
    generator = stream(bound.arguments["generator_seed"], "slabs", 0)
    basis, triangle = np.linalg.qr(generator.standard_normal((ends[-1], ends[-1])))
    # The signs make the factorization unique, and the rotation uniform (Haar measure).
    return Blocks(columns, basis * np.sign(np.diag(triangle)))


def randomize_block(
    inputs: np.ndarray,
    columns: Sequence[int],
    permutation: np.ndarray,
    rotation: np.ndarray | None = None,
) -> np.ndarray:
    """Shuffles a block among examples, so that it carries no information on the class.

    One permutation of examples for the whole block preserves the dependence between its columns.

    Args:
        inputs: `[n, d]`.
        columns: The unrotated coordinates to shuffle.
        permutation: Of the `n` examples: the source of each example's columns.
        rotation: `[d, d]` orthogonal, where inputs are `coordinates @ rotation`.

    Returns:
        New inputs `[n, d]`, of the same type.

    Example:

    >>> inputs = np.asarray([[0.0, 10.0], [1.0, 11.0], [2.0, 12.0]])
    >>> randomize_block(inputs, [1], np.asarray([2, 0, 1])).tolist()
    [[0.0, 12.0], [1.0, 10.0], [2.0, 11.0]]

    When not to use:
        To measure in-distribution behavior: the classes of the blocks disagree in shuffled
        examples, which never happens in training.
    """
    values = np.array(inputs) if rotation is None else inputs.astype("float64") @ rotation.T
    # One index array at a time: NumPy would pair the elements of two.
    values[:, columns] = values[permutation][:, columns]
    return (values if rotation is None else values @ rotation).astype(inputs.dtype)


def _check_blocks(blocks: Sequence[Sequence[int]], margin: float) -> None:
    checks.number("margin", margin, 0)
    pairs = [tuple(block) for block in blocks if not isinstance(block, (int, str))]
    if not pairs or len(pairs) < len(blocks) or not all(len(pair) == 2 for pair in pairs):
        raise UsageError(
            "`blocks` are pairs of a number of slabs and a number of coordinates. "
            f"Received: blocks={blocks!r}"
        )
    for number, count in pairs:
        if number not in SLABS:
            raise UsageError(f"A number of slabs is one of {SLABS}. Received: blocks={blocks!r}")
        checks.whole("blocks", count, 1)
        if slab_width(number, margin) <= 0:
            raise UsageError(
                f"{number} slabs need a `margin` below {1 / (number - 1):g}. "
                f"Received: margin={margin!r}"
            )


def _coordinate(slabs: int, classes: np.ndarray, margin: float, generator) -> np.ndarray:
    """Draws one coordinate of each example, given its class."""
    uniform = generator.uniform(size=len(classes))
    if slabs == LINEAR:
        return (2 * classes - 1) * (margin + (1 - margin) * uniform)
    width = slab_width(slabs, margin)
    nearest = np.asarray(_PROBABILITIES[slabs])[classes]
    # Slabs of class 0 are 0, 2, … and of class 1 are 1, 3, … steps away from 0.
    steps = classes + 2 * (generator.uniform(size=len(classes)) >= nearest)
    distances = steps * (width + 2 * margin) + width * (uniform - 0.5)
    return distances * (2 * generator.integers(2, size=len(classes)) - 1)
