"""Gains of LDAM-DRW in balanced error, in recall of rare classes, and in their margins."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.ldam_drw.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Minimum effects, beside `Config.least_gain`.

    Attributes:
        recall_gain: Of the mean test recall of half of the classes.
        rank_correlation_gain: Of Spearman's correlation of class rarity and training margin.
    """

    recall_gain: float = 0.01
    rank_correlation_gain: float = 0.5


THRESHOLDS = Thresholds()

# ---- statistics --------------------------------------------------------------------------------


def errors(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """Balanced test error of each training of an arm, `[seeds]`."""
    return rows_of(table, arm=arm).test_balanced_error.to_numpy()


def least_errors(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """Lowest balanced test error on the curve of each training, `[seeds]`."""
    curves = rows_of(table, arm=arm).curve_test_balanced_error
    return np.asarray([min(curve) for curve in curves])


def by_rank(table: "pandas.DataFrame", arm: str, column: str) -> np.ndarray:
    """A per-class column, sorted from the most frequent class to the rarest, `[seeds, classes]`."""
    rows = rows_of(table, arm=arm)
    orders = [np.argsort(-np.asarray(counts), kind="stable") for counts in rows.class_counts]
    pairs = zip(rows[column], orders, strict=True)
    return np.stack([np.asarray(values)[order] for values, order in pairs])


def gain(table: "pandas.DataFrame", arm: str, other: str) -> stats.Estimate:
    """Reduction of balanced test error from one arm to another, paired by seed."""
    name = f"balanced test error, {other} minus {arm}"
    return stats.paired_difference(errors(table, other), errors(table, arm), name)


def recall_gain(table: "pandas.DataFrame", half: str, arm: str, other: str) -> stats.Estimate:
    """Difference of two arms in the mean test recall of half of the classes.

    Args:
        table: The records.
        half: `"rare"` or `"frequent"`; the middle one of an odd number of classes is in neither.
        arm: The arm of interest.
        other: The arm that is subtracted.
    """

    def recalls(name):
        values = by_rank(table, name, "test_class_recall")
        count = values.shape[1] // 2
        return (values[:, -count:] if half == "rare" else values[:, :count]).mean(1)

    name = f"test recall of the {half} half of classes, {arm} minus {other}"
    return stats.paired_difference(recalls(arm), recalls(other), name)


def rank_correlations(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """Spearman's correlation of class rarity and mean training margin, `[seeds]`.

    It is 1 if the rarer of any two classes has the larger margin. Equally frequent classes share a
    rank. NaN for a training that diverged.
    """
    counts = by_rank(table, arm, "class_counts")
    margins = by_rank(table, arm, "train_class_margin")
    finite = np.isfinite(margins).all(1)
    pairs = zip(-counts, margins, finite, strict=True)
    return np.asarray([stats.spearman(*pair).value if ok else np.nan for *pair, ok in pairs])


def margin_order(table: "pandas.DataFrame", arm: str, other: str) -> stats.Estimate:
    """Difference of two arms in `rank_correlations`."""
    differences = rank_correlations(table, arm) - rank_correlations(table, other)
    name = f"rank correlation of rarity and training margin, {arm} minus {other}"
    return stats.mean_if_defined(differences, name)


# ---- signatures and controls -------------------------------------------------------------------

_NAMES = {
    "ce": "cross-entropy",
    "ce_cosine": "cross-entropy with a cosine head",
    "ce_other": "cross-entropy with another initialization and data order",
    "ce_balanced": "cross-entropy",
    "ldam": "LDAM",
    "ldam_drw": "LDAM-DRW",
    "ldam_drw_reversed": "LDAM-DRW with reversed class counts",
    "ldam_drw_balanced": "LDAM-DRW on balanced classes",
}


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls."""
    arms = set(config.arms)
    for arm, other in (("ldam_drw", "ce"), ("ldam_drw", "ce_cosine"), ("ldam", "ce")):
        if {arm, other} <= arms:
            yield Signature(
                f"{arm}/gain_over_{other}",
                gain(table, arm, other),
                above=config.least_gain,
                description=f"{_NAMES[arm]} has a lower balanced test error than {_NAMES[other]}.",
            )
    for role, half, text in (
        (Signature, "rare", "improves"),
        (Control, "frequent", "does not improve"),
    ):
        yield role(
            f"ldam_drw/recall_gain_of_{half}_classes",
            recall_gain(table, half, "ldam_drw", "ce"),
            above=THRESHOLDS.recall_gain,
            description=f"LDAM-DRW {text} the test recall of the {half} half of the classes.",
        )
    pairs = [("ldam_drw_reversed", "ce"), ("ce_other", "ce")]
    for arm, other in [*pairs, ("ldam_drw_balanced", "ce_balanced")]:
        if {arm, other} <= arms:
            yield Control(
                f"{arm}/gain_over_{other}",
                gain(table, arm, other),
                above=config.least_gain,
                description=f"{_NAMES[arm]} does not have a lower balanced test error than "
                f"{_NAMES[other]}.",
            )
    # Two classes give no meaningful rank correlation.
    if "ce_cosine" in arms and len(table.class_counts.iloc[0]) > 3:
        for role, arm, text in (
            (Signature, "ldam", "makes training margins grow"),
            (Control, "ldam_drw_reversed", "does not make training margins grow"),
        ):
            if arm in arms:
                yield role(
                    f"{arm}/margin_correlation_gain",
                    margin_order(table, arm, "ce_cosine"),
                    above=THRESHOLDS.rank_correlation_gain,
                    description=f"{_NAMES[arm]} {text} with class rarity, compared with "
                    f"{_NAMES['ce_cosine']}.",
                )


# ---- published numbers -------------------------------------------------------------------------


def error_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], accuracy: bool = False
) -> tuple[stats.Estimate, stats.Estimate] | None:
    """Balanced test error of an arm and of cross-entropy, in percent.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `arm`; with `reviews`, `"positive"` or `"negative"`, the error on one class only.
        accuracy: Whether to return the accuracy instead.
    """
    arm, reviews = setting.get("arm"), setting.get("reviews")
    if arm not in config.arms:
        return None

    def percent(name):
        values = errors(table, name)
        if reviews is not None:
            recalls = by_rank(table, name, "test_class_recall")
            values = 1 - recalls[:, ("positive", "negative").index(reviews)]
        values = 1 - values if accuracy else values
        return stats.mean(100 * values, "test accuracy, %" if accuracy else "test error, %")

    return percent(arm), percent("ce")


def accuracy_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> tuple[stats.Estimate, stats.Estimate] | None:
    """Balanced test accuracy of an arm and of cross-entropy, in percent. See `error_percent`."""
    return error_percent(table, config, setting, accuracy=True)


STATISTICS = {"test_error": error_percent, "test_accuracy": accuracy_percent}
