"""Factors on logits move where training ends, shifts do not (Kini et al. 2021, arXiv 2103.01550).

Four parts: the path of linear classifiers to support vector machines, the machine of two Gaussian
classes in closed form, networks on imbalanced classes, and machines with margins by group.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, balanced_error, class_counts, class_recall, error, report
from tfphen.phenomena._shared.long_tail import LongTailConfig, long_tail_trial
from tfphen.phenomena.vs_loss import findings as readings
from tfphen.phenomena.vs_loss import trials
from tfphen.verdicts.findings import Control, Signature

ARMS = ("cross_entropy", "weights", "logit_adjustment", "temperatures", "vector_scaling")
# Each of these is to beat its partner in balanced test error.
CLAIMS = (
    ("vector_scaling", "cross_entropy"),
    ("temperatures", "weights"),
    ("logit_adjustment", "weights"),
    ("vector_scaling", "logit_adjustment"),
)
# Cosine with a machine; of two losses; least gain in balanced error of a network, and of a machine
# in an error; least best delta; greatest difference of two errors; ratio of gradients.
NEAR, SAME, GAIN, LARGE, MOVED, EQUAL, SHRUNK = 0.99, 0.995, 0.01, 0.02, 1.5, 0.01, 0.8


@dataclasses.dataclass(frozen=True)
class Config(LongTailConfig):
    """Settings, beside those of imbalanced classes for networks.

    Args:
        path: Settings of the first part, or None to leave it out.
        mixture: Those of the second.
        groups: Those of the last.
        arms: Losses of networks, of `ARMS` with the first, or none.
        gamma, tau: Of `"vector_scaling"`.
        shift: Factor of the shifts of `"logit_adjustment"`.
        temperature: Exponent of `"temperatures"`.
        reversed_counts: Whether to train with the counts of the wrong classes, as a control.
        order: Whether vector scaling is to beat shifts alone, which published numbers do little.
        curve: Updates after which recalls are measured.
        early: The one of them that stands for the first phase, or None.
    """

    path: trials.Path | None = None
    mixture: trials.Mixture | None = None
    groups: trials.Groups | None = None
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
                "`arms` hold 'cross_entropy', and have a control: `balanced_count`, or "
                "`reversed_counts` of 'vector_scaling'. "
                f"Received: arms={self.arms}, reversed_counts={self.reversed_counts}"
            )
        if self.early is not None and self.early not in self.curve:
            raise UsageError(f"`early` is of `curve`, {self.curve}. Received: early={self.early}")

    @property
    def reverses(self) -> bool:
        """Whether vector scaling is trained with the counts of the wrong classes too."""
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


def _initial_rare_gradient(trained):
    """Norm of the mean gradient of the rarer half of the classes, at the initial weights."""
    import numpy as np
    import tensorflow as tf

    from tfphen.losses import vs_loss
    from tfphen.population.population import Population

    trials, model = trained.trials, trained.members.model
    untrained = Population(model, [t.seed for t in trials], trained.initial_weights())
    norms = []
    for index, counts in enumerate(trained.class_counts):
        settings, labels = trials[index].objective.settings, trained.labels("train")[index]
        rare = np.argsort(counts, kind="stable")[: len(counts) // 2]
        chosen = np.flatnonzero(np.isin(labels[: counts.sum()], rare))
        member, inputs = untrained.member(index), trained.inputs("train")[index][chosen]
        with tf.GradientTape() as tape:
            exponents = settings.get("gamma", 0.0), settings.get("tau", 0.0)
            losses = vs_loss(labels[chosen], member(inputs, training=False), counts, *exponents)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [v.value for v in member.trainable_variables])
        norms.append(float(tf.linalg.global_norm(gradients)))
    return np.asarray(norms)


def _solve(name: str, trials, examples, tick):
    """Calls a solver of a module that is heavy to import."""
    from tfphen.solvers import support_vectors

    return getattr(support_vectors, f"solve_{name}")(trials, examples, tick)


SOLVERS = ("ridge_path", "cost_sensitive", "group_sensitive")
REPORTS = (*trials.COSINES, *trials.ERRORS, *trials.CELL_ERRORS)


class VectorScaling(Phenomenon):
    """Each part has its own trials; none of them depends on another's results."""

    title = "Vector-scaling loss"
    claim = (
        "Past zero training error, weights and shifts of logits (logit adjustment) stop moving a "
        "classifier, factors on logits do: they lead to a margin that is larger for rare classes, "
        "or groups. Early in training the same factors hold rare classes back, which shifts make "
        "up for. With both, errors on balanced classes and on the worst group fall."
    )
    paper = (
        "G. R. Kini, O. Paraskevas, S. Oymak, C. Thrampoulidis, Label-Imbalanced and "
        "Group-Sensitive Classification under Overparameterization, NeurIPS 2021, arXiv 2103.01550"
    )
    Config = Config
    measures = (
        error("train"),
        balanced_error("test"),
        class_recall("test"),
        class_counts(),
        Measure("initial_rare_gradient", _initial_rare_gradient),
        *map(report, REPORTS),
    )
    curve_measures = (class_recall("test"),)
    sources: ClassVar[Mapping] = {
        "opposite_gaussians": trials.opposite_gaussians,
        "spurious_attribute": trials.spurious_attribute,
    }
    solvers: ClassVar[Mapping] = {name: functools.partial(_solve, name) for name in SOLVERS}

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for part in (config.path, config.mixture, config.groups):
                yield from part.trials(seed) if part is not None else ()
            yield from _networks(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if config.path is not None:
            yield from _path_findings(table)
        for dimensions in config.mixture.dimensions if config.mixture is not None else ():
            yield from _mixture_findings(table, config.mixture, dimensions)
        if config.arms:
            yield from _network_findings(table, config)
        if config.groups is not None:
            yield from _group_findings(table, config.groups)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        if number.metric == "balanced accuracy, %" and config.arms:
            arms = number.setting.get("arm"), "cross_entropy"
            # Any other setting is one that ours do not have.
            if arms[0] in config.arms and len(number.setting) == 1:
                errors = [readings.balanced_errors(table, arm) for arm in arms]
                return tuple(stats.mean(100 * (1 - one), number.metric) for one in errors)
        if number.metric == "minority minus majority error at the best delta" and config.mixture:
            ratio = number.setting.get("dimensions_per_example")
            dimensions = round(ratio * config.mixture.count)
            if dimensions in config.mixture.dimensions:
                plain = readings.inequality(table, "imbalanced", dimensions, plain=True)
                return readings.inequality(table, "imbalanced", dimensions), plain
        return None


# ---- trials ------------------------------------------------------------------------------------


def _networks(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the trainings of one seed, and those of its controls."""
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


# ---- findings ----------------------------------------------------------------------------------


def _path_findings(table) -> Iterator[Signature]:
    """Yields findings on the directions to which losses lead."""
    plain, sensitive = "plain_machine", "sensitive_machine"
    for kind, arm, to in (
        (Signature, "cross_entropy", plain),
        (Signature, "weights", plain),
        (Signature, "logit_adjustment", plain),
        (Signature, "temperatures", sensitive),
        (Signature, "vector_scaling", sensitive),
        (Control, "temperatures", plain),
        (Control, "cross_entropy", sensitive),
    ):
        yield kind(f"limit_of_{arm}_is_{to}", readings.cosine(table, to, arm), above=NEAR)
    for kind, case in ((Signature, "separable"), (Control, "inseparable")):
        for arm in ("weights", "logit_adjustment"):
            estimate = readings.cosine(table, "cross_entropy", arm, case)
            yield kind(f"{arm}_forgotten_on_{case}_classes", estimate, above=SAME)
    for kind, at, when in ((Signature, 0, "first"), (Control, -1, "last")):
        lead = readings.shift_minus_factor(table, at)
        yield kind(f"shifts_lead_factors_at_{when}_penalty", lead, above=0.0)


def _mixture_findings(table, mixture, dimensions: int) -> Iterator[Signature]:
    """Yields findings on the errors of the machine in so many dimensions."""
    for kind, case in ((Signature, "imbalanced"), (Control, "balanced")):
        name = f"of_{case}_classes_in_{dimensions}_dimensions"
        gain = readings.least_over_plain(table, case, dimensions)
        yield kind(f"larger_margin_lowers_error_{name}", gain, above=LARGE)
        best = readings.best_delta(table, case, dimensions, mixture.deltas())
        yield kind(f"best_delta_is_above_1_{name}", best, above=MOVED)
    for kind, plain, where in ((Signature, False, "best"), (Control, True, "equal")):
        gap = readings.inequality(table, "imbalanced", dimensions, plain)
        name = f"errors_are_equal_at_{where}_margins_in_{dimensions}_dimensions"
        yield kind(name, gap, within=(-EQUAL, EQUAL))
    for kind, share in ((Signature, mixture.minority), (Control, 0.5)) if mixture.limit else ():
        distance = readings.distance_from_limit(table, mixture, dimensions, share)
        name = f"error_is_its_limit_for_a_share_of_{share:g}_in_{dimensions}_dimensions"
        yield kind(name, distance, within=(-EQUAL, EQUAL))


def _network_findings(table, config: Config) -> Iterator[Signature]:
    """Yields findings on balanced errors, and on the first phase of training."""
    for arm, other in CLAIMS:
        resolved = config.order or other != "logit_adjustment"
        if not {arm, other} <= set(config.arms) or not resolved:
            continue
        name = f"gain_of_{arm}_over_{other}"
        yield Signature(name, readings.gain(table, arm, other), above=GAIN)
        if config.balanced_count is not None:
            even = readings.gain(table, arm, other, "balanced")
            yield Control(f"{name}_on_balanced_classes", even, above=GAIN)
    if config.reverses:
        gain = readings.reversed_gain(table, "vector_scaling")
        yield Control("gain_of_reversed_vector_scaling_over_cross_entropy", gain, above=GAIN)
    if config.early is None:
        return
    for kind, arm in ((Signature, "temperatures"), (Control, "logit_adjustment")):
        if arm in config.arms:
            ratio = readings.gradient_ratio(table, arm)
            yield kind(f"rare_gradient_is_small_under_{arm}", ratio, below=SHRUNK)
    if {"temperatures", "logit_adjustment"} <= set(config.arms):
        for kind, step, when in ((Signature, config.early, "early"), (Control, None, "late")):
            lead = readings.early_gain(table, "logit_adjustment", "temperatures", step)
            yield kind(f"shifts_lead_factors_in_networks_{when}", lead, above=LARGE)


def _group_findings(table, groups) -> Iterator[Signature]:
    """Yields findings on the worst cell of class and attribute, and on the gap between cells."""
    for of, name in (("worst", "error_of_worst_group"), ("gap", "gap_between_groups")):
        for case in ("spurious", "independent", "reversed"):
            gain = readings.group_gain(table, case, groups.exponents, groups.exponent, of)
            kind = Signature if case == "spurious" else Control
            yield kind(f"margins_by_group_lower_{name}_{case}", gain, above=LARGE)
