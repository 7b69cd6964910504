"""Signatures, negative controls and published numbers of the four parts of vector scaling."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tfphen.phenomena.vs_loss import statistics
from tfphen.phenomena.vs_loss.trials import Config, Groups, Mixture
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Minimum effects, and maximum differences.

    Attributes:
        cosine_to_svm: Minimum cosine of a loss's limit with an SVM.
        cosine_to_cross_entropy: Minimum cosine of two losses with the same limit.
        lead: Minimum lead of logit adjustment over temperatures along the path.
        error_reduction: Minimum reduction of an SVM's error by its margins.
        margin_ratio: Minimum best ratio of margins.
        error_difference: Maximum difference, either way, of two errors that are equal.
        gain: Minimum reduction of a network's balanced test error.
        gradient_ratio: Maximum ratio of initial gradients of rare classes.
        recall_gain: Minimum difference in test recall of rare classes.
    """

    cosine_to_svm: float = 0.99
    cosine_to_cross_entropy: float = 0.995
    lead: float = 0.0
    error_reduction: float = 0.02
    margin_ratio: float = 1.5
    error_difference: float = 0.01
    gain: float = 0.01
    gradient_ratio: float = 0.8
    recall_gain: float = 0.02


THRESHOLDS = Thresholds()

# ---- signatures and controls -------------------------------------------------------------------

_NAMES = {
    "cross_entropy": "cross-entropy",
    "weights": "class weighting",
    "logit_adjustment": "logit adjustment",
    "temperatures": "CDT",
    "vector_scaling": "vector scaling",
}

# Pairs of losses; each first one has the lower balanced test error.
_CLAIMS = (
    ("vector_scaling", "cross_entropy"),
    ("temperatures", "weights"),
    ("logit_adjustment", "weights"),
    ("vector_scaling", "logit_adjustment"),
)


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls of the parts that were run."""
    if config.path is not None:
        yield from _of_path(table)
    for dimensions in config.mixture.dimensions if config.mixture is not None else ():
        yield from _of_mixture(table, config.mixture, dimensions)
    if config.arms:
        yield from _of_networks(table, config)
    if config.groups is not None:
        yield from _of_groups(table, config.groups)


def _of_path(table) -> Iterator[Signature]:
    """Yields findings on the directions that losses converge to."""
    plain, sensitive = "plain_machine", "sensitive_machine"
    names = {plain: "svm", sensitive: "cost_sensitive_svm"}
    for role, arm, to in (
        (Signature, "cross_entropy", plain),
        (Signature, "weights", plain),
        (Signature, "logit_adjustment", plain),
        (Signature, "temperatures", sensitive),
        (Signature, "vector_scaling", sensitive),
        (Control, "temperatures", plain),
        (Control, "cross_entropy", sensitive),
    ):
        verb = "converges" if role is Signature else "does not converge"
        yield role(
            f"{arm}/cosine_to_{names[to]}",
            statistics.cosine(table, to, arm),
            above=THRESHOLDS.cosine_to_svm,
            description=f"On separable data {_NAMES[arm]} {verb} to the "
            f"{statistics.DIRECTIONS[to]}.",
        )
    for role, case, suffix, verb in (
        (Signature, "separable", "", "converges"),
        (Control, "inseparable", "_inseparable", "does not converge"),
    ):
        for arm in ("weights", "logit_adjustment"):
            yield role(
                f"{arm}{suffix}/cosine_to_cross_entropy",
                statistics.cosine(table, "cross_entropy", arm, case),
                above=THRESHOLDS.cosine_to_cross_entropy,
                description=f"On {case} data {_NAMES[arm]} {verb} to the direction of "
                "cross-entropy.",
            )
    for role, at, penalty, verb in (
        (Signature, 0, "largest", "is"),
        (Control, -1, "smallest", "is not"),
    ):
        yield role(
            f"logit_adjustment/lead_over_temperatures_at_{penalty}_penalty",
            statistics.adjustment_minus_temperatures(table, at),
            above=THRESHOLDS.lead,
            description=f"Under the {penalty} penalty logit adjustment {verb} closer than CDT to "
            "the cost-sensitive SVM.",
        )


def _of_mixture(table, mixture: Mixture, dimensions: int) -> Iterator[Signature]:
    """Yields findings on the errors of the SVM in one number of dimensions."""
    where = f"in {dimensions} dimensions"
    equal = (-THRESHOLDS.error_difference, THRESHOLDS.error_difference)
    for role, case, verb in (
        (Signature, "imbalanced", "lowers"),
        (Control, "balanced", "does not lower"),
    ):
        yield role(
            f"{case}_{dimensions}d/balanced_error_reduction",
            statistics.error_reduction(table, case, dimensions),
            above=THRESHOLDS.error_reduction,
            description=f"A larger margin of one class {verb} balanced error on {case} classes "
            f"{where}.",
        )
        yield role(
            f"{case}_{dimensions}d/best_margin_ratio",
            statistics.best_delta(table, case, dimensions, mixture.deltas()),
            above=THRESHOLDS.margin_ratio,
            description=f"The best ratio of margins is {'' if role is Signature else 'not '}"
            f"clearly above 1 on {case} classes {where}.",
        )
    for role, plain, margins, text in (
        (Signature, False, "best", "equal at the best margins"),
        (Control, True, "equal", "unequal at equal margins"),
    ):
        yield role(
            f"imbalanced_{dimensions}d/error_gap_at_{margins}_margins",
            statistics.error_gap(table, "imbalanced", dimensions, plain),
            within=equal,
            description=f"Errors on minority and majority class are {text} {where}.",
        )
    for role, share, prefix, text in (
        (Signature, mixture.minority, "", "at its asymptotic limit"),
        (Control, 0.5, "balanced_", "not at the asymptotic limit of balanced classes"),
    ):
        if mixture.limit:
            yield role(
                f"imbalanced_{dimensions}d/distance_from_{prefix}limit",
                statistics.distance_from_limit(table, mixture, dimensions, share),
                within=equal,
                description=f"The balanced error of the hard-margin SVM is {text} {where}.",
            )


def _of_networks(table, config: Config) -> Iterator[Signature]:
    """Yields findings on balanced errors, and on the first phase of training."""
    for arm, other in _CLAIMS:
        tested = config.order or other != "logit_adjustment"
        if not {arm, other} <= set(config.arms) or not tested:
            continue
        text = f"lower balanced test error with {_NAMES[arm]} than with {_NAMES[other]}"
        yield Signature(
            f"{arm}/gain_over_{other}",
            statistics.gain(table, arm, other),
            above=THRESHOLDS.gain,
            description=f"Networks have a {text}.",
        )
        if config.balanced_count is not None:
            yield Control(
                f"{arm}_balanced/gain_over_{other}",
                statistics.gain(table, arm, other, "balanced"),
                above=THRESHOLDS.gain,
                description=f"On balanced classes networks do not have a {text}.",
            )
    if config.reverses:
        yield Control(
            "vector_scaling_reversed/gain_over_cross_entropy",
            statistics.reversed_gain(table, "vector_scaling"),
            above=THRESHOLDS.gain,
            description="Networks do not have a lower balanced test error with vector scaling by "
            "reversed class counts than with cross-entropy.",
        )
    if config.early is not None:
        yield from _of_first_phase(table, config)


def _of_first_phase(table, config: Config) -> Iterator[Signature]:
    for role, arm, verb in (
        (Signature, "temperatures", "shrinks"),
        (Control, "logit_adjustment", "does not shrink"),
    ):
        if arm in config.arms:
            yield role(
                f"{arm}/initial_rare_gradient_ratio",
                statistics.gradient_ratio(table, arm),
                below=THRESHOLDS.gradient_ratio,
                description=f"Compared with cross-entropy, {_NAMES[arm]} {verb} the initial "
                "gradient of rare classes.",
            )
    if {"temperatures", "logit_adjustment"} <= set(config.arms):
        for role, step, when, text in (
            (Signature, config.early, "early", "Early in training networks have"),
            (Control, None, "final", "At the end of training networks do not have"),
        ):
            yield role(
                f"logit_adjustment/{when}_rare_recall_gain_over_temperatures",
                statistics.recall_gain(table, "logit_adjustment", "temperatures", step),
                above=THRESHOLDS.recall_gain,
                description=f"{text} a higher test recall of rare classes with logit adjustment "
                "than with CDT.",
            )


def _of_groups(table, groups: Groups) -> Iterator[Signature]:
    """Yields findings on the worst group of class and attribute, and on the gap of groups."""
    cases = (
        (Signature, "spurious", "Margins by group lower", "a spurious attribute"),
        (Control, "independent", "Margins by group do not lower", "an independent attribute"),
        (Control, "reversed", "Reversed margins by group do not lower", "a spurious attribute"),
    )
    for of, name, quantity in (
        ("worst", "worst_group_error", "the error of the worst group"),
        ("gap", "equal_opportunity_gap", "the gap between groups"),
    ):
        for role, case, text, attribute in cases:
            yield role(
                f"group_margins_{case}/{name}_reduction",
                statistics.group_gain(table, case, groups.exponents, groups.exponent, of),
                above=THRESHOLDS.error_reduction,
                description=f"{text} {quantity} with {attribute}.",
            )


# ---- published numbers -------------------------------------------------------------------------


def balanced_accuracy_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> tuple[stats.Estimate, stats.Estimate] | None:
    """Balanced test accuracy of a network and of cross-entropy, in percent.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `arm`. Any other setting is one that our networks do not have.
    """
    arm = setting.get("arm")
    if arm not in config.arms or len(setting) != 1:
        return None
    ours, baseline = (
        stats.mean(100 * (1 - statistics.balanced_errors(table, name)), "balanced accuracy, %")
        for name in (arm, "cross_entropy")
    )
    return ours, baseline


def published_error_gap(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> tuple[stats.Estimate, stats.Estimate] | None:
    """Minority minus majority error at the best delta, and at delta 1.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `dimensions_per_example`.
    """
    if config.mixture is None:
        return None
    dimensions = round(setting["dimensions_per_example"] * config.mixture.count)
    if dimensions not in config.mixture.dimensions:
        return None
    return (
        statistics.error_gap(table, "imbalanced", dimensions),
        statistics.error_gap(table, "imbalanced", dimensions, plain=True),
    )


STATISTICS = {
    "balanced_accuracy": balanced_accuracy_percent,
    "error_gap_at_best_margins": published_error_gap,
}
