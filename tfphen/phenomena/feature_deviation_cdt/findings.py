"""Recall, deviation and decision values of classes over their rarity, and gains of CDT.

Classes are ranked by the counts of the imbalanced training of the same seed, also in balanced
trainings: a null order.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfphen.core.seeds import stream
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.feature_deviation_cdt.trials import (
    DEVIATIONS,
    TEST_RECALL,
    WITH_TEMPERATURES,
    Config,
    arm_of,
)
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Minimum effects.

    Attributes:
        correlation: Of a rank correlation with the class counts, in absolute value.
        fitted: Of the training recall of a class that is fitted.
        underfitted: Of the training recall that the rarer half of classes lacks if underfitted.
        recall_gain: Of the test recall of the rarer half.
        gain: Of balanced accuracy, and of the decision values of the rarer half.
    """

    correlation: float = 0.3
    fitted: float = 0.99
    underfitted: float = 0.1
    recall_gain: float = 0.05
    gain: float = 0.0


THRESHOLDS = Thresholds()

NAMES = {
    TEST_RECALL: "mean test recall",
    TEST_RECALL + WITH_TEMPERATURES: "mean test recall with temperatures at prediction",
    "decision_value_test": "test decision value",
    "feature_distance": "deviation of the mean feature over equal subsets",
    "squared_deviation": "unbiased squared deviation of the mean feature",
    "feature_distance_of_all": "deviation of the mean feature over all examples",
    "decision_gap": "test minus training decision value",
}

# ---- statistics --------------------------------------------------------------------------------


class Correlation(NamedTuple):
    """Rank correlation over classes of a per-class quantity with the training counts.

    Attributes:
        estimate: Mean over seeds of Spearman's correlation over classes.
        null: The same mean in draws in which each seed orders its classes at random, `[draws]`.
        p_value: Two-sided permutation p-value; the observed order counts as one of the draws.
    """

    estimate: stats.Estimate
    null: np.ndarray
    p_value: float

    @property
    def note(self) -> str:
        """The p-value in words."""
        return f"p = {self.p_value:.2g} under {len(self.null)} random orders of the classes."


def by_class(table: "pandas.DataFrame", arm: str, column: str, when: str = "end") -> np.ndarray:
    """A per-class quantity of an arm, `[seeds, classes]`.

    Args:
        table: The records.
        arm: Its name.
        column: One of `NAMES`, or another column.
        when: `"start"`, before any update, or `"end"`, for a quantity measured at both.
    """
    if column == "decision_gap":
        gap = [by_class(table, arm, f"decision_value_{split}", when) for split in ("test", "train")]
        return gap[0] - gap[1]
    rows = rows_of(table, arm=arm)
    if column in DEVIATIONS:
        (name,) = [name for name in table if name.startswith("curve_deviation_over_")]
        values = np.stack(list(rows[name]))[:, :, DEVIATIONS.index(column)]
    elif f"curve_{column}" in table:
        values = np.stack(list(rows[f"curve_{column}"]))
    else:
        return np.stack(list(rows[column]))
    return values[:, 0 if when == "start" else -1]


def counts_of(table: "pandas.DataFrame", arm: str = "cross_entropy") -> np.ndarray:
    """Class counts of an arm, by default the imbalanced ones, `[seeds, classes]`."""
    return by_class(table, arm, "class_counts")


def normalized_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks in each row, ties averaged, with mean 0 and norm 1; NaN if all are equal."""
    # Slow to import, and every command imports this module.
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return ranks / np.linalg.norm(ranks, axis=1, keepdims=True)


def permutation_null(counts: np.ndarray, values: np.ndarray, draws: int = 9999) -> np.ndarray:
    """Mean correlations under random orders of the classes, `[draws]`.

    Every seed draws an order of its own. If values are independent of counts, the observed orders
    are such a draw, so their rank among all of them is uniform, and the p-value exact.

    Args:
        counts: `[seeds, classes]`.
        values: `[seeds, classes]`.
        draws: Number of draws.
    """
    generator, sums = stream(0, "permutation_null"), np.zeros(draws)
    for count, value in zip(normalized_ranks(counts), normalized_ranks(values), strict=True):
        sums += generator.permuted(np.tile(count, (draws, 1)), axis=1) @ value
    return sums / len(counts)


def correlation(table: "pandas.DataFrame", arm: str, column: str, when: str = "end") -> Correlation:
    """Correlates the class counts with a quantity of `by_class`."""
    counts, values = counts_of(table), by_class(table, arm, column, when)
    correlations = (normalized_ranks(counts) * normalized_ranks(values)).sum(1)
    name = "untrained" if when == "start" else arm.replace("_", " ")
    name = f"Spearman correlation over classes of count and {NAMES[column]}, {name}"
    null = permutation_null(counts, values)
    # Up to rounding.
    extreme = np.sum(np.abs(null) >= abs(correlations.mean()) - 1e-12)
    p_value = (1 + extreme) / (1 + len(null))
    return Correlation(stats.mean_if_defined(correlations, name), null, p_value)


def rarer_half(counts: np.ndarray) -> np.ndarray:
    """Mask of the rarer half of the classes, rounded down, bool `[seeds, classes]`."""
    order = np.argsort(np.argsort(-counts, axis=1, kind="stable"), axis=1)
    return order >= -(-counts.shape[1] // 2)


def balanced_accuracies(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """Mean test recall over classes, `[seeds]`."""
    return by_class(table, arm, TEST_RECALL).mean(1)


def gain(
    table: "pandas.DataFrame", arm: str, column: str = TEST_RECALL, rare: bool = False
) -> stats.Estimate:
    """Gain of an arm over cross-entropy in the mean of a column over classes, paired by seed.

    Args:
        table: The records.
        arm: Its name.
        column: `"test_class_recall"`, whose mean is balanced accuracy; the same with
            `WITH_TEMPERATURES` appended, compared with cross-entropy without; or
            `"decision_value_test"`.
        rare: Whether to average over the rarer half of the classes only.
    """
    counts = counts_of(table)
    kept = rarer_half(counts) if rare else np.ones(counts.shape, bool)
    pair = [
        (by_class(table, name, values) * kept).sum(1) / kept.sum(1)
        for name, values in (
            (arm, column),
            ("cross_entropy", column.removesuffix(WITH_TEMPERATURES)),
        )
    ]
    where = " of the rarer half" if rare else ""
    name = f"{NAMES[column]}{where}, {arm.replace('_', ' ')} minus cross-entropy"
    return stats.paired_difference(*pair, name)


def least_training_recall(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Training recall of the class with the lowest."""
    values = by_class(table, arm, "train_class_recall").min(1)
    return stats.mean(values, f"least training recall of a class, {arm.replace('_', ' ')}")


def training_recall_gap(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Training recall of the other classes minus that of the rarer half."""
    values, rare = by_class(table, arm, "train_class_recall"), rarer_half(counts_of(table, arm))
    gaps = (values * ~rare).sum(1) / (~rare).sum(1) - (values * rare).sum(1) / rare.sum(1)
    name = f"training recall, frequent minus rarer half of the classes, {arm.replace('_', ' ')}"
    return stats.mean(gaps, name)


# ---- signatures and controls -------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls."""
    yield from _of_overfitting(table, config)
    yield from _of_deviation(table)
    yield from _of_temperatures(table, config)


def _of_overfitting(table, config: Config) -> Iterator[Signature]:
    yield Signature(
        "cross_entropy/min_train_recall",
        least_training_recall(table, "cross_entropy"),
        above=THRESHOLDS.fitted,
        description="The network fits the training examples of every class.",
    )
    if config.linear_options:
        yield Control(
            "linear/min_train_recall",
            least_training_recall(table, "linear"),
            above=THRESHOLDS.fitted,
            description="A linear model does not fit the training examples of every class.",
        )
        for role, arm, text in (
            (Signature, "linear", "A linear model underfits"),
            (Control, "network_beside_linear", "A network on the same data does not underfit"),
        ):
            yield role(
                f"{arm}/train_recall_gap",
                training_recall_gap(table, arm),
                above=THRESHOLDS.underfitted,
                description=f"{text} the rarer half of the classes.",
            )
    for role, arm, text in (
        (Signature, "cross_entropy", "The rarer a class, the lower its test recall."),
        (Control, "balanced", "Without imbalance, test recall does not follow the class ranks."),
    ):
        recall = correlation(table, arm, TEST_RECALL)
        yield role(
            f"{arm}/test_recall_correlation",
            recall.estimate,
            above=THRESHOLDS.correlation,
            description=text,
            note=recall.note,
        )


# Role, name in ids, arm, time of measurement, and the beginning of a description.
_CASES = (
    (Signature, "cross_entropy", "cross_entropy", "end", "Rarer classes have"),
    (
        Control,
        "balanced",
        "balanced",
        "end",
        "In balanced training, classes of a rarer rank do not have",
    ),
    (
        Control,
        "untrained",
        "cross_entropy",
        "start",
        "Before training, rarer classes do not have",
    ),
)


def _of_deviation(table) -> Iterator[Signature]:
    for column, quantity in (
        ("feature_distance", "a larger distance between mean training and test features"),
        ("squared_deviation", "a larger unbiased squared deviation of the mean feature"),
    ):
        for role, name, arm, when, text in _CASES:
            deviation = correlation(table, arm, column, when)
            yield role(
                f"{name}/{column}_correlation",
                deviation.estimate,
                below=-THRESHOLDS.correlation,
                description=f"{text} {quantity}.",
                note=deviation.note,
            )
    for role, name, arm, when, text in _CASES:
        gap = correlation(table, arm, "decision_gap", when)
        yield role(
            f"{name}/decision_gap_correlation",
            gap.estimate,
            above=THRESHOLDS.correlation,
            description=f"{text} a larger drop of decision values from training to test data.",
            note=gap.note,
        )


def _of_temperatures(table, config: Config) -> Iterator[Signature]:
    cdt = arm_of(config.gamma)
    for role, name, arm, text in (
        (Signature, "cdt", cdt, "CDT raises"),
        (Control, "reversed", "reversed", "CDT with reversed class counts does not raise"),
    ):
        yield role(
            f"{name}/balanced_accuracy_gain",
            gain(table, arm),
            above=THRESHOLDS.gain,
            description=f"{text} balanced accuracy.",
        )
        yield role(
            f"{name}/rare_decision_value_gain",
            gain(table, arm, "decision_value_test", rare=True),
            above=THRESHOLDS.gain,
            description=f"{text} the decision values of the rarer half of the classes.",
        )
    for role, name, suffix, text in (
        (Signature, "cdt", "", "CDT raises"),
        (
            Control,
            "cdt_at_prediction",
            WITH_TEMPERATURES,
            "CDT with temperatures also at prediction does not raise",
        ),
    ):
        yield role(
            f"{name}/rare_recall_gain",
            gain(table, cdt, TEST_RECALL + suffix, rare=True),
            above=THRESHOLDS.recall_gain,
            description=f"{text} the test recall of the rarer half of the classes.",
        )


# ---- published numbers -------------------------------------------------------------------------


def accuracy_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], error: bool = False
) -> tuple[stats.Estimate, stats.Estimate] | None:
    """Balanced accuracy of an arm and of cross-entropy, in percent.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `arm`, `"cross_entropy"` or `"cdt"`; of the latter `gamma`. Without it, or if it is
            `"tuned"`, the exponent of the best accuracy is used.
        error: Whether to return the error instead.
    """
    arm, gamma = setting.get("arm"), setting.get("gamma")
    candidates = {"cross_entropy": [arm], "cdt": [arm_of(g) for g in config.gammas]}
    if gamma not in (None, "tuned"):
        candidates["cdt"] = [arm_of(gamma)]
    arms = [name for name in candidates.get(arm, ()) if name in set(table.arm)]
    if not arms:
        return None
    values = max((balanced_accuracies(table, name) for name in arms), key=np.mean)
    pair = [values, balanced_accuracies(table, "cross_entropy")]
    if error:
        pair = [1.0 - values for values in pair]
    name = "balanced error, %" if error else "balanced accuracy, %"
    ours, baseline = (stats.mean(100.0 * values, name) for values in pair)
    return ours, baseline


def error_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> tuple[stats.Estimate, stats.Estimate] | None:
    """Balanced error of an arm and of cross-entropy, in percent. See `accuracy_percent`."""
    return accuracy_percent(table, config, setting, error=True)


STATISTICS = {"balanced_accuracy": accuracy_percent, "balanced_error": error_percent}
