"""Reads recalls, deviations and decision values of classes, for verdicts and figure.

Classes are held against the counts of the imbalanced training of the same seed, also where all
had as many examples: a fake order. Light to import.
"""

from typing import TYPE_CHECKING, NamedTuple

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

TEST_RECALL = "test_class_recall"
# Behind the name of a recall: of predictions from logits that are divided as in training.
TEMPERED = "_with_temperatures"
NAMES = {
    TEST_RECALL: "mean test recall",
    TEST_RECALL + TEMPERED: "mean test recall with temperatures at prediction",
    "decision_value_test": "test decision value",
    "feature_distance": "deviation of the mean feature over equal subsets",
    "squared_deviation": "unbiased squared deviation of the mean feature",
    "feature_distance_of_all": "deviation of the mean feature over all examples",
    "decision_gap": "test minus training decision value",
}

# What a record holds of them, in this order.
DEVIATIONS = ("feature_distance", "squared_deviation", "feature_distance_of_all")


class Correlation(NamedTuple):
    """How what is measured of each class goes with the number of its training examples.

    Attributes:
        estimate: Mean over seeds of Spearman's correlation over classes.
        null: The same mean in draws in which each seed orders its classes at random, `[draws]`.
        p_value: Share of orders, the true one among them, whose mean is as far from 0 or farther.
    """

    estimate: stats.Estimate
    null: "np.ndarray"
    p_value: float

    @property
    def note(self) -> str:
        """What is said beside the verdict."""
        return f"p = {self.p_value:.2g} under {len(self.null)} random orders of the classes."


def arm_of(gamma: float) -> str:
    """Returns the name of the arm whose temperatures have this exponent."""
    return f"cdt_{gamma:g}"


def by_class(table: "pandas.DataFrame", arm: str, column: str, when: str = "end") -> "np.ndarray":
    """Returns what was measured of each class in an arm, `[seeds, classes]`.

    Args:
        table: The records.
        arm: Its name.
        column: One of `NAMES`, or another column.
        when: `"start"`, before any update, or `"end"`, for what is measured at both.
    """
    import numpy as np

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


def counts_of(table: "pandas.DataFrame", arm: str = "cross_entropy") -> "np.ndarray":
    """Returns the class counts of an arm, by default the imbalanced ones, `[seeds, classes]`."""
    return by_class(table, arm, "class_counts")


def normalised_ranks(values: "np.ndarray") -> "np.ndarray":
    """Returns the ranks in each row, ties shared, with mean 0 and norm 1; NaN if all are equal."""
    import numpy as np
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return ranks / np.linalg.norm(ranks, axis=1, keepdims=True)


def permutation_null(counts: "np.ndarray", values: "np.ndarray", draws: int = 9999) -> "np.ndarray":
    """Returns mean correlations under random orders of the classes, `[draws]`.

    Every seed draws an order of its own. If counts have nothing to do with the values, the true
    orders are some such draw, so their rank among all of them is uniform: an exact p-value.

    Args:
        counts: `[seeds, classes]`.
        values: `[seeds, classes]`.
        draws: Number of draws.
    """
    import numpy as np

    from tfphen.core.seeds import stream

    generator, sums = stream(0, "permutation_null"), np.zeros(draws)
    for count, value in zip(normalised_ranks(counts), normalised_ranks(values), strict=True):
        sums += generator.permuted(np.tile(count, (draws, 1)), axis=1) @ value
    return sums / len(counts)


def correlation(table: "pandas.DataFrame", arm: str, column: str, when: str = "end") -> Correlation:
    """Correlates the counts with what `by_class` reads of an arm."""
    import numpy as np

    counts, values = counts_of(table), by_class(table, arm, column, when)
    found = (normalised_ranks(counts) * normalised_ranks(values)).sum(1)
    name = "untrained" if when == "start" else arm.replace("_", " ")
    name = f"Spearman correlation over classes of count and {NAMES[column]}, {name}"
    null = permutation_null(counts, values)
    # Equal but for rounding counts as equal.
    beyond = np.sum(np.abs(null) >= abs(found.mean()) - 1e-12)
    return Correlation(stats.mean_if_defined(found, name), null, (1 + beyond) / (1 + len(null)))


def rarer_half(counts: "np.ndarray") -> "np.ndarray":
    """Returns which classes are of the rarer half, bool `[seeds, classes]`; the smaller of two."""
    import numpy as np

    order = np.argsort(np.argsort(-counts, axis=1, kind="stable"), axis=1)
    return order >= -(-counts.shape[1] // 2)


def balanced_accuracies(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns the mean test recall of the classes, `[seeds]`."""
    return by_class(table, arm, TEST_RECALL).mean(1)


def gain(
    table: "pandas.DataFrame", arm: str, column: str = TEST_RECALL, rare: bool = False
) -> stats.Estimate:
    """Compares an arm with cross-entropy in the mean of a column over classes, paired by seed.

    Args:
        table: The records.
        arm: Its name.
        column: `"test_class_recall"`, whose mean is balanced accuracy, the same with `TEMPERED`
            behind it, which is held against cross-entropy without, or `"decision_value_test"`.
        rare: Whether to average over the rarer half of the classes only.
    """
    import numpy as np

    counts = counts_of(table)
    kept = rarer_half(counts) if rare else np.ones(counts.shape, bool)
    pair = [
        (by_class(table, name, read) * kept).sum(1) / kept.sum(1)
        for name, read in ((arm, column), ("cross_entropy", column.removesuffix(TEMPERED)))
    ]
    where = " of the rarer half" if rare else ""
    name = f"{NAMES[column]}{where}, {arm.replace('_', ' ')} minus cross-entropy"
    return stats.paired_difference(*pair, name)


def least_training_recall(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Training recall of the class that is fitted worst."""
    values = by_class(table, arm, "train_class_recall").min(1)
    return stats.mean(values, f"least training recall of a class, {arm.replace('_', ' ')}")


def training_recall_gap(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Training recall of the other classes minus that of the rarer half."""
    values, rare = by_class(table, arm, "train_class_recall"), rarer_half(counts_of(table, arm))
    gaps = (values * ~rare).sum(1) / (~rare).sum(1) - (values * rare).sum(1) / rare.sum(1)
    name = f"training recall, frequent minus rarer half of the classes, {arm.replace('_', ' ')}"
    return stats.mean(gaps, name)
