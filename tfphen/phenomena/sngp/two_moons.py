"""Two moons in the plane, moved apart, with a far cluster and a grid around them.

Each sample has its own random stream of one seed, so that neither the number of test examples nor
the cluster changes the training examples.

Reference:
    The TensorFlow tutorial "Uncertainty-aware Deep Learning with SNGP", after J. Liu et al.,
    NeurIPS 2020, arXiv 2006.10108, figure 1.
"""

import numpy as np
from scipy.spatial import cKDTree

from tfphen.core import checks
from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset

# Of the tutorial: the region of the plots, and the OOD cluster.
HORIZONTAL, VERTICAL = (-3.5, 3.5), (-2.5, 2.5)
FAR_CENTER, FAR_DEVIATION = (2.5, -1.75), 0.1

# Folds of the stream.
_TRAIN, _TEST, _FRESH, _FAR = range(4)


def two_moons(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    noise: float = 0.1,
    horizontal: float = 0.1,
    vertical: float = 0.2,
    generator_seed: int = 0,
) -> Dataset:
    """Two interleaving half circles, one class each, moved apart.

        class 0   (cos t - h, sin t + v)            + noise
        class 1   (1 - cos t + h, 1/2 - sin t - v)  + noise

    with t evenly spaced from 0 to pi and Gaussian noise in both coordinates.

    Args:
        train_size: Training examples, half of them of each class; class 1 has the odd one.
        test_size: Test examples.
        noise: Standard deviation of the noise.
        horizontal: h, the horizontal shift of each class.
        vertical: v, the vertical shift of each class.
        generator_seed: Seed of the data.

    Returns:
        A dataset of inputs `(n, 2)` in random order.

    Raises:
        UsageError: A setting is out of its range.

    Example:

    >>> data = two_moons(train_size=6, noise=0.0, horizontal=0.0, vertical=0.0)
    >>> sorted(map(tuple, data.train_inputs[data.train_labels == 0].round(2).tolist()))
    [(-1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]

    When not to use:
        To compare accuracies: unless the noise is far above 0.1, every network separates these
        classes. For claims about high-dimensional inputs, where distances behave differently.

    Reference:
        The TensorFlow tutorial "Uncertainty-aware Deep Learning with SNGP", which shifts the moons
        of scikit-learn's `make_moons`.
    """
    checks.whole("train_size", train_size, 2)
    checks.whole("test_size", test_size, 2)
    checks.number("noise", noise, 0)
    checks.number("horizontal", horizontal)
    checks.number("vertical", vertical)
    checks.whole("generator_seed", generator_seed, 0)
    place = noise, horizontal, vertical, generator_seed
    return Dataset(
        *_draw(train_size, _TRAIN, *place),
        *_draw(test_size, _TEST, *place),
        num_classes=2,
        name="two_moons",
        description=f"Two moons, moved apart, noise {noise:g}, generator seed {generator_seed}",
    )


def fresh_moons(
    *,
    test_size: int = 1000,
    noise: float = 0.1,
    horizontal: float = 0.1,
    vertical: float = 0.2,
    generator_seed: int = 0,
    **others,
) -> np.ndarray:
    """Returns a second sample of test inputs of the same moons, `(n, 2)`.

    They are in-distribution, so no score should separate them from the test inputs.

    Args:
        test_size: As in `two_moons`.
        noise: As in `two_moons`.
        horizontal: As in `two_moons`.
        vertical: As in `two_moons`.
        generator_seed: As in `two_moons`.
        **others: Remaining settings of `two_moons`, which have no effect here.
    """
    return _draw(test_size, _FRESH, noise, horizontal, vertical, generator_seed)[0]


def far_cluster(count: int = 500, generator_seed: int = 0) -> np.ndarray:
    """Returns OOD inputs, N((2.5, -1.75), 0.1² I), float32 `(count, 2)`."""
    generator = stream(generator_seed, "two_moons", _FAR)
    return (FAR_CENTER + FAR_DEVIATION * generator.standard_normal((count, 2))).astype("float32")


def plane_grid(side: int = 100) -> np.ndarray:
    """Returns a `side` by `side` grid of the plane, row by row from below, `(side * side, 2)`.

    It covers -3.5 to 3.5 and -2.5 to 2.5.
    """
    checks.whole("side", side, 2)
    axes = np.meshgrid(np.linspace(*HORIZONTAL, side), np.linspace(*VERTICAL, side))
    return np.stack(axes, -1).reshape(-1, 2).astype("float32")


def nearest_distances(points: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distance of each point to its nearest example.

    Args:
        points: `(n, d)`.
        examples: `(m, d)`.
    """
    return cKDTree(examples).query(points)[0]


def _draw(count, fold, noise, horizontal, vertical, generator_seed):
    generator = stream(generator_seed, "two_moons", fold)
    labels = np.arange(count) >= count // 2
    first, second = (np.linspace(0, np.pi, part) for part in (count // 2, count - count // 2))
    upper = np.stack([np.cos(first) - horizontal, np.sin(first) + vertical], -1)
    lower = np.stack([1 - np.cos(second) + horizontal, 0.5 - np.sin(second) - vertical], -1)
    points = np.concatenate([upper, lower]) + noise * generator.standard_normal((count, 2))
    order = generator.permutation(count)
    return points[order].astype("float32"), labels[order].astype("int32")
