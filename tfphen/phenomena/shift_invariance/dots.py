"""Signals on which invariance to circular shifts reduces the margin, or increases it.

Dots, orthogonal vectors and frequencies measure fits, not generalization: the test examples are the
training examples.

Reference:
    V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness", NeurIPS 2021,
    arXiv 2103.02695.
"""

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset


def _fitted(inputs, labels, name: str, description: str) -> Dataset:
    return Dataset(inputs, labels, inputs, labels, 2, name, description)


def dots(
    *,
    size: int = 15,
    dimensions: int = 2,
    contrast: float = 1.0,
    background: float = 0.0,
    place: int | None = None,
    zero_mean: bool = False,
) -> Dataset:
    """One bright dot (class 0) and one dark dot (class 1) at the same position.

        x = background ± contrast · e_place

    A shift-invariant linear classifier depends on the sum of the pixels only, so the distance of a
    dot to its boundary is at most contrast / sqrt(number of pixels); without invariance it is
    contrast.

    Args:
        size: Length of the signal, or of a side of the image.
        dimensions: 1 for signals `(2, size)`, 2 for images `(2, size, size, 1)`.
        contrast: Of the dot against the background.
        background: Value of the other pixels.
        place: Position of the dot along each axis; None for the center.
        zero_mean: Whether the mean of each example is shifted to `background`, so that sums are
            uninformative.

    Raises:
        UsageError: A setting is out of its range.
    """
    checks.whole("size", size, 1)
    checks.whole("dimensions", dimensions, 1, 2)
    checks.number("contrast", contrast, 0)
    checks.number("background", background)
    place = size // 2 if place is None else checks.whole("place", place, 0, size - 1)
    inputs = np.full((2, *(size,) * dimensions), background, "float64")
    at = (place,) * dimensions
    inputs[(0, *at)] += contrast
    inputs[(1, *at)] -= contrast
    if checks.boolean("zero_mean", zero_mean):
        inputs += background - inputs.mean(tuple(range(1, inputs.ndim)), keepdims=True)
    if dimensions == 2:
        inputs = inputs[..., None]
    what = "signals" if dimensions == 1 else "images"
    return _fitted(
        inputs,
        np.arange(2),
        "dots",
        f"a bright and a dark dot on {what} of {size} pixels a side, contrast {contrast:g}",
    )


def orthogonal_vectors(
    *, length: int = 4000, per_class: int = 50, generator_seed: int = 0
) -> Dataset:
    """Random orthonormal vectors, half of them in each class, `(2 · per_class, length)`.

    A linear classifier without invariance has the margin 1 / sqrt(2 · per_class) to each of them.

    Args:
        length: Of each vector.
        per_class: Vectors of each class.
        generator_seed: Seed of the vectors.

    Raises:
        UsageError: A setting is out of its range, or there are more vectors than dimensions.
    """
    checks.whole("length", length, 2)
    checks.whole("per_class", per_class, 1, length // 2)
    checks.whole("generator_seed", generator_seed, 0)
    drawn = stream(generator_seed, "orthogonal_vectors").standard_normal((length, 2 * per_class))
    basis, triangle = np.linalg.qr(drawn)
    # The signs of R's diagonal make the factorization unique, hence the vectors reproducible.
    inputs = (basis * np.sign(np.diag(triangle))).T
    labels = np.repeat(np.arange(2), per_class)
    text = f"{2 * per_class} random orthonormal vectors of length {length} in two classes"
    return _fitted(inputs, labels, "orthogonal_vectors", text)


def orthogonal_frequencies(
    *, length: int = 4000, per_class: int = 50, grid: str = "periodic"
) -> Dataset:
    """Unit vectors cos(2πft) and sin(2πft), f odd in class 0 and even in class 1.

    All shifts of a vector lie in the plane of its frequency, and planes of different frequencies
    are orthogonal, so shift invariance does not reduce the margin here.

    Args:
        length: Of each vector.
        per_class: Vectors of each class, an even number: two for each frequency, from the lowest.
        grid: `"periodic"`: t = 0, 1/n, …, (n-1)/n, on which the vectors are orthogonal; or
            `"closed"`: from 0 to 1 with both ends, on which cosines are only nearly so.

    Raises:
        UsageError: A setting is out of its range, or a frequency above the highest one.
    """
    checks.whole("length", length, 4)
    checks.whole("per_class", per_class, 2)
    checks.one_of("grid", grid, ("periodic", "closed"))
    if per_class % 2 or per_class >= length // 2:
        raise UsageError(
            "`per_class` is even and below half of `length`, since each frequency has a sine and a "
            f"cosine. Received: per_class={per_class}, length={length}"
        )
    times = np.arange(length) / (length if grid == "periodic" else length - 1)
    frequencies = np.concatenate([np.arange(1, per_class, 2), np.arange(2, per_class + 1, 2)])
    angles = 2 * np.pi * frequencies[:, None] * times
    inputs = np.stack([np.cos(angles), np.sin(angles)], 1).reshape(-1, length)
    inputs /= np.linalg.norm(inputs, axis=1, keepdims=True)
    labels = np.repeat(np.arange(2), per_class)
    text = f"cosines and sines of {per_class // 2} odd against as many even frequencies"
    return _fitted(inputs, labels, "orthogonal_frequencies", text)


def offset_signals(
    *, length: int = 12, per_class: int = 3, gap: float = 1.0, generator_seed: int = 0
) -> Dataset:
    """Random signals whose means separate the classes: `f_dc(x) = sum(x) / sqrt(length)`.

    Without their means the signals are standard normal. The values of f_dc are uniform in
    [-1 - gap/2, -gap/2] for class 0 and in [gap/2, 1 + gap/2] for class 1.

    Args:
        length: Of each signal.
        per_class: Signals of each class.
        gap: Minimum difference of f_dc between the classes.
        generator_seed: Seed of the signals.

    Raises:
        UsageError: A setting is out of its range.
    """
    checks.whole("length", length, 2)
    checks.whole("per_class", per_class, 1)
    checks.whole("generator_seed", generator_seed, 0)
    checks.number("gap", gap, 0)
    generator = stream(generator_seed, "offset_signals")
    inputs = generator.standard_normal((2 * per_class, length))
    inputs -= inputs.mean(1, keepdims=True)
    labels = np.repeat(np.arange(2), per_class)
    offsets = (2 * labels - 1) * (gap / 2 + generator.uniform(size=len(labels)))
    inputs += offsets[:, None] / np.sqrt(length)
    text = f"{len(labels)} random signals of length {length} told apart by their means"
    return _fitted(inputs, labels, "offset_signals", text)
