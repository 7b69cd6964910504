"""Linear classifiers of Gaussian classes and groups, with hard margins: data and trials. Light.

The trials are solved, not trained: see `tfphen.solvers.support_vectors`, which knows the means of
these data and so the exact errors.
"""

import dataclasses
import math
from collections.abc import Iterator

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

COSINES = tuple(
    f"cosine_to_{name}" for name in ("cross_entropy", "plain_machine", "sensitive_machine")
)
ERRORS = ("minority_error", "majority_error")
CELL_ERRORS = ("cell_errors",)


def _gaussians(seed: int, counts, dimensions: int, mean: float) -> Data:
    options = {"counts": counts, "dimensions": dimensions, "mean": mean, "generator_seed": seed}
    return Data("opposite_gaussians", options=options)


def _trial(seed: int, data: Data, optimizer: Spec, measures, objective=None, **tags) -> Trial:
    settings = {} if objective is None else {"objective": objective}
    return Trial(
        model=Spec("linear"),
        data=data,
        optimizer=optimizer,
        seed=seed,
        measures=measures,
        tags=tags | {"seed": seed},
        **settings,
    )


@dataclasses.dataclass(frozen=True)
class Path:
    """Linear classifiers of two Gaussian classes under a vanishing penalty.

    Args:
        counts: Examples of both classes, the rare one last, in more dimensions than examples.
        dimensions: Of the inputs.
        mean: Distance of each class's mean from 0.
        inseparable_counts: The same for classes that cannot be separated.
        inseparable_dimensions: The same.
        factor: Ratio of the margins of rare and frequent class, of `"temperatures"` too.
        tau: Factor of the shifts.
        decades: Penalties go from 1e-1 to ten to the minus that.
    """

    counts: tuple[int, ...] = (24, 6)
    dimensions: int = 40
    mean: float = 1.5
    inseparable_counts: tuple[int, ...] = (240, 60)
    inseparable_dimensions: int = 5
    factor: float = 3.0
    tau: float = 1.0
    decades: int = 10

    def losses(self) -> dict[str, Spec]:
        """Returns the loss of each arm."""
        gamma = math.log(self.factor) / math.log(self.counts[0] / self.counts[1])
        scaling = {
            "cross_entropy": {},
            "logit_adjustment": {"tau": self.tau},
            "temperatures": {"gamma": gamma},
            "vector_scaling": {"gamma": gamma, "tau": self.tau},
        }
        found = {arm: Spec("binary_vector_scaling", **values) for arm, values in scaling.items()}
        return found | {"weights": Spec("inversely_weighted")}

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the path of each loss, on separable classes and on others."""
        optimizer = Spec("ridge_path", factor=self.factor, decades=self.decades)
        for case, counts, dimensions in (
            ("separable", self.counts, self.dimensions),
            ("inseparable", self.inseparable_counts, self.inseparable_dimensions),
        ):
            data = _gaussians(seed, counts, dimensions, self.mean)
            for arm, loss in self.losses().items():
                tags = {"part": "path", "case": case, "arm": arm}
                yield _trial(seed, data, optimizer, COSINES, loss, **tags)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """The support vector machine of two Gaussian classes, with margins in a ratio delta.

    Args:
        count: Training examples.
        dimensions: Of the inputs, each a case of its own.
        mean: Distance of each class's mean from 0.
        minority: Share of the rare class.
        largest: The greatest delta; the least is 1.
        points: Number of deltas, evenly spaced on a logarithmic scale.
        limit: Whether errors are compared with what they go to, see `readings.vs_loss`.
    """

    count: int = 100
    dimensions: tuple[int, ...] = (150,)
    mean: float = 2.5
    minority: float = 0.1
    largest: float = 20.0
    points: int = 61
    limit: bool = False

    def deltas(self) -> list[float]:
        """Returns the ratios of margins."""
        return [self.largest ** (place / (self.points - 1)) for place in range(self.points)]

    def cases(self) -> dict[str, tuple[int, int]]:
        """Returns the counts of both classes, the rare one last, with and without imbalance."""
        rare = max(1, round(self.minority * self.count))
        half = self.count // 2
        return {"imbalanced": (self.count - rare, rare), "balanced": (self.count - half, half)}

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields a machine for each number of dimensions, with and without imbalance."""
        optimizer = Spec("cost_sensitive", deltas=self.deltas())
        for dimensions in self.dimensions:
            for case, counts in self.cases().items():
                data = _gaussians(seed, counts, dimensions, self.mean)
                tags = {"part": "mixture", "case": case, "arm": "machine"}
                yield _trial(seed, data, optimizer, ERRORS, dimensions=dimensions, **tags)


@dataclasses.dataclass(frozen=True)
class Groups:
    """Machines on a core feature and a spurious one, whose margins go by class and attribute.

    Args:
        count: Training examples, half of either class.
        dimensions: Of the inputs.
        core: Distance of a class's mean from 0 in the first of them.
        spurious: That of an attribute's mean in the second.
        agreement: Probability that the attribute is that of the class.
        exponents: Margins are counts relative to the largest to minus these powers; the first is 0.
        exponent: The one of them that is compared with 0.
    """

    count: int = 200
    dimensions: int = 300
    core: float = 1.5
    spurious: float = 2.0
    agreement: float = 0.95
    exponents: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
    exponent: float = 0.5

    def __post_init__(self):
        if self.exponents[:1] != (0.0,) or self.exponent not in self.exponents[1:]:
            raise UsageError(
                "`exponents` begin with 0 and hold `exponent`. "
                f"Received: exponents={self.exponents}, exponent={self.exponent}"
            )

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields machines for a spurious attribute, an independent one, and reversed margins."""
        for case, agreement, sign in (
            ("spurious", self.agreement, 1),
            ("independent", 0.5, 1),
            ("reversed", self.agreement, -1),
        ):
            options = {"count": self.count, "dimensions": self.dimensions, "core": self.core}
            options |= {"spurious": self.spurious, "agreement": agreement, "generator_seed": seed}
            optimizer = Spec("group_sensitive", exponents=[sign * e for e in self.exponents])
            data = Data("spurious_attribute", options=options)
            tags = {"part": "groups", "case": case, "arm": "machine"}
            yield _trial(seed, data, optimizer, CELL_ERRORS, **tags)


# ---- data --------------------------------------------------------------------------------------


def opposite_gaussians(*, counts, dimensions: int, mean: float, generator_seed: int = 0):
    """Two classes of normal inputs, their means plus (class 1) and minus `mean` on one axis.

    Args:
        counts: Training examples of class 0 and class 1; in the test set there are 500 of each.
        dimensions: Of the inputs, of which the first tells the classes apart.
        mean: Distance of each mean from 0; the standard deviation is 1.
        generator_seed: Seed of the data.
    """
    from tfphen.core.seeds import stream

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
):
    """Two classes y and an attribute a that mostly is that of the class; labels are 2 y + a.

    Attributes are drawn until each of the four cells has an example. In the test set they are
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
    import numpy as np

    from tfphen.core.seeds import stream

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


def _dataset(name: str, classes: int, train, test):
    from tfphen.data.dataset import Dataset

    return Dataset(*train, *test, num_classes=classes, name=name)
