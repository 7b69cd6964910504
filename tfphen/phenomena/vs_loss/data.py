"""Gaussian classes, with and without a spurious attribute, whose exact errors are known."""

import numpy as np

from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset


def opposite_gaussians(*, counts, dimensions: int, mean: float, generator_seed: int = 0) -> Dataset:
    """Two Gaussian classes with means `mean` (class 1) and `-mean` on the first axis.

    Args:
        counts: Training examples of class 0 and class 1; in the test set there are 500 of each.
        dimensions: Of the inputs; the first separates the classes.
        mean: Distance of each mean from 0; the standard deviation is 1.
        generator_seed: Seed of the data.
    """

    def draw(number, fold):
        generator = stream(generator_seed, "opposite_gaussians", fold)
        labels = [0] * number[0] + [1] * number[1]
        inputs = generator.standard_normal((len(labels), dimensions))
        inputs[:, 0] += [mean if label else -mean for label in labels]
        return inputs, labels

    return _dataset("opposite_gaussians", 2, draw(counts, 0), draw((500, 500), 1))


def spurious_attribute(
    *,
    count: int,
    dimensions: int,
    core: float,
    spurious: float,
    agreement: float,
    generator_seed: int = 0,
) -> Dataset:
    """Two classes y and an attribute a that mostly agrees with the class; labels are 2 y + a.

    Attributes are drawn until each of the four groups has an example. In the test set they are
    independent of classes.

    Args:
        count: Training examples, half of either class; there are 2000 test examples.
        dimensions: Of the inputs. Their standard deviation is 1, and their means are 0 but for the
            first, where class 1 has mean `core` and class 0 minus that, and the second, where
            attributes have means `spurious` and minus that.
        core: See above.
        spurious: See above.
        agreement: Probability that an example of class y has attribute y.
        generator_seed: Seed of the data.
    """

    def draw(number, agreeing, fold):
        generator = stream(generator_seed, "spurious_attribute", fold)
        classes, cells = np.repeat([0, 1], number // 2), np.zeros(0, int)
        while len(np.unique(cells)) < 4:
            agrees = generator.random(len(classes)) < agreeing
            cells = 2 * classes + np.where(agrees, classes, 1 - classes)
        inputs = generator.standard_normal((len(cells), dimensions))
        inputs[:, 0] += core * (2 * (cells // 2) - 1)
        inputs[:, 1] += spurious * (2 * (cells % 2) - 1)
        return inputs, cells

    parts = draw(count, agreement, 0), draw(2000, 0.5, 1)
    return _dataset("spurious_attribute", 4, *parts)


def _dataset(name: str, classes: int, train, test) -> Dataset:
    return Dataset(*train, *test, num_classes=classes, name=name)
