"""Settings and trials of the four parts: regularization path, mixture, groups, networks.

All but the networks are solved, not trained: see `tfphen.phenomena.vs_loss.solver`, which knows the
means of these data and so the exact errors.
"""

import dataclasses
import math
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena._shared.long_tail import LongTailConfig, long_tail_trial

ARMS = ("cross_entropy", "weights", "logit_adjustment", "temperatures", "vector_scaling")

COSINES = tuple(
    f"cosine_to_{name}" for name in ("cross_entropy", "plain_machine", "sensitive_machine")
)
ERRORS = ("minority_error", "majority_error")
CELL_ERRORS = ("cell_errors",)


def _gaussians(seed: int, counts, dimensions: int, mean: float) -> Data:
    options = {"counts": counts, "dimensions": dimensions, "mean": mean, "generator_seed": seed}
    return Data("opposite_gaussians", options=options)


def _trial(seed: int, data: Data, solver: Spec, measures, objective=None, **tags) -> Trial:
    settings = {} if objective is None else {"objective": objective}
    return Trial(
        model=Spec("linear"),
        data=data,
        solver=solver,
        seed=seed,
        measures=measures,
        tags=tags | {"seed": seed},
        **settings,
    )


@dataclasses.dataclass(frozen=True)
class Path:
    """Linear classifiers of two Gaussian classes under a vanishing L2 penalty.

    Args:
        counts: Examples of both classes, the rare one last; fewer than dimensions.
        dimensions: Of the inputs.
        mean: Distance of each class's mean from 0.
        inseparable_counts: The same for classes that are not separable.
        inseparable_dimensions: The same.
        factor: Ratio of the margins of rare and frequent class; it also sets the temperatures.
        tau: Factor of the additive logit adjustment.
        decades: Penalties go from 1e-1 to 10^-decades.
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
        losses = {arm: Spec("binary_vector_scaling", **values) for arm, values in scaling.items()}
        return losses | {"weights": Spec("inversely_weighted")}

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the path of each loss, on separable and inseparable classes."""
        solver = Spec("ridge_path", factor=self.factor, decades=self.decades)
        for case, counts, dimensions in (
            ("separable", self.counts, self.dimensions),
            ("inseparable", self.inseparable_counts, self.inseparable_dimensions),
        ):
            data = _gaussians(seed, counts, dimensions, self.mean)
            for arm, loss in self.losses().items():
                tags = {"part": "path", "case": case, "arm": arm}
                yield _trial(seed, data, solver, COSINES, loss, **tags)


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Cost-sensitive SVM of two Gaussian classes, with a ratio delta of their margins.

    Args:
        count: Training examples.
        dimensions: Of the inputs, one case each.
        mean: Distance of each class's mean from 0.
        minority: Share of the rare class.
        largest: The greatest delta; the least is 1.
        points: Number of deltas, evenly spaced on a logarithmic scale.
        limit: Whether errors are compared with their asymptotic limit, see `limit.mixture_limit`.
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
        """Yields an SVM for each number of dimensions, with and without imbalance."""
        solver = Spec("cost_sensitive", deltas=self.deltas())
        for dimensions in self.dimensions:
            for case, counts in self.cases().items():
                data = _gaussians(seed, counts, dimensions, self.mean)
                tags = {"part": "mixture", "case": case, "arm": "machine"}
                yield _trial(seed, data, solver, ERRORS, dimensions=dimensions, **tags)


@dataclasses.dataclass(frozen=True)
class Groups:
    """SVMs on a core and a spurious feature, with margins by class and attribute.

    Args:
        count: Training examples, half of either class.
        dimensions: Of the inputs.
        core: Distance of a class's mean from 0 in the first of them.
        spurious: That of an attribute's mean in the second.
        agreement: Probability that the attribute agrees with the class.
        exponents: Margins are (n_max / n)^exponent for a group of n examples; the first is 0.
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
                "`exponents` must begin with 0 and include `exponent`. "
                f"Received: exponents={self.exponents}, exponent={self.exponent}"
            )

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields SVMs for a spurious attribute, an independent one, and reversed margins."""
        for case, agreement, sign in (
            ("spurious", self.agreement, 1),
            ("independent", 0.5, 1),
            ("reversed", self.agreement, -1),
        ):
            options = {"count": self.count, "dimensions": self.dimensions, "core": self.core}
            options |= {"spurious": self.spurious, "agreement": agreement, "generator_seed": seed}
            solver = Spec("group_sensitive", exponents=[sign * e for e in self.exponents])
            data = Data("spurious_attribute", options=options)
            tags = {"part": "groups", "case": case, "arm": "machine"}
            yield _trial(seed, data, solver, CELL_ERRORS, **tags)


@dataclasses.dataclass(frozen=True)
class Config(LongTailConfig):
    """Settings, beside those of networks on imbalanced classes.

    Args:
        path: Settings of the regularization path, or None to leave it out.
        mixture: Those of the Gaussian mixture.
        groups: Those of the groups.
        arms: Losses of networks, of `ARMS` with the first, or none.
        gamma, tau: Of `"vector_scaling"`.
        shift: Factor tau of `"logit_adjustment"`.
        temperature: Exponent gamma of `"temperatures"`.
        reversed_counts: Whether to also train with reversed class counts, as a control.
        order: Whether to test that vector scaling beats logit adjustment; published gaps are
            small.
        curve: Updates after which recalls are measured.
        early: The one of them that represents the first phase, or None.
    """

    path: Path | None = None
    mixture: Mixture | None = None
    groups: Groups | None = None
    arms: tuple[str, ...] = ()
    gamma: float = 0.15
    tau: float = 1.0
    shift: float = 1.0
    temperature: float = 0.2
    reversed_counts: bool = True
    order: bool = True
    curve: tuple[int, ...] = ()
    early: int | None = None

    def __post_init__(self):
        super().__post_init__()
        for arm in self.arms:
            checks.one_of("arms", arm, ARMS)
        has_control = self.balanced_count is not None or self.reverses
        if self.arms and not ("cross_entropy" in self.arms and has_control):
            raise UsageError(
                "`arms` must include 'cross_entropy', and have a control: `balanced_count`, or "
                "`reversed_counts` of 'vector_scaling'. "
                f"Received: arms={self.arms}, reversed_counts={self.reversed_counts}"
            )
        if self.early is not None and self.early not in self.curve:
            raise UsageError(
                f"`early` must be in `curve`, {self.curve}. Received: early={self.early}"
            )

    @property
    def reverses(self) -> bool:
        """Whether vector scaling is also trained with reversed class counts."""
        return self.reversed_counts and "vector_scaling" in self.arms

    def objective(self, arm: str, **settings: str) -> Spec:
        """Returns the loss of an arm."""
        if arm == "cross_entropy":
            return Spec(arm)
        if arm == "weights":
            weighting = {"kind": "effective_number", "divide_by": "weights"}
            return Spec("cross_entropy", weighting=weighting)
        pairs = {"logit_adjustment": (0.0, self.shift), "temperatures": (self.temperature, 0.0)}
        gamma, tau = pairs.get(arm, (self.gamma, self.tau))
        return Spec("vector_scaling", gamma=gamma, tau=tau, **settings)


def trials(config: Config) -> Iterator[Trial]:
    """Yields the trials of all parts, seed by seed; none depends on another's results."""
    for seed in config.seed_range():
        for part in (config.path, config.mixture, config.groups):
            yield from part.trials(seed) if part is not None else ()
        yield from _networks(config, seed)


def _networks(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the networks of one seed, and those of its controls."""
    arms = [(arm, "imbalanced") for arm in config.arms]
    if config.balanced_count is not None:
        arms += [(arm, "balanced") for arm in config.arms]
    if config.reverses:
        arms.append(("vector_scaling", "reversed"))
    names = ("train_error", "test_balanced_error", "test_class_recall", "class_counts")
    for arm, case in arms:
        begins = config.early is not None and case != "reversed" and arm != "weights"
        yield long_tail_trial(
            config,
            seed,
            config.objective(arm, **({"counts": case} if case == "reversed" else {})),
            balanced=case == "balanced",
            curve=config.curve,
            measures=(*names, "initial_rare_gradient") if begins else names,
            tags={"part": "deep", "case": case, "arm": arm, "seed": seed},
        )
