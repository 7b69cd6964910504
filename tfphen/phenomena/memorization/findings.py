"""How patterns and noise differ in training: statistics, signatures and controls."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.metrics import binomial_dispersion, gini_coefficient
from tfphen.phenomena._shared.interior_peak import interior_peak
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.memorization.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Thresholds of the findings.

    Attributes:
        dispersion_ratio: Ratio of the dispersions of success rates.
        validation_drop: Drop of validation accuracy from its peak to the end.
        fit_gap: Fit of clean minus fit of flipped labels.
        critical_sample_ratio: Difference in critical sample ratio.
        gini: Difference in the Gini coefficient of loss sensitivity.
        train_error: Increase of training error by a regularizer.
        validation_change: Largest absolute change of validation error by a regularizer.
        forgotten_fit: Reduction of the fit of mislabeled sums by weight decay.
        rule_accuracy: Test accuracy on sums of a network that has learned the rule.
    """

    dispersion_ratio: float = 3.0
    validation_drop: float = 0.03
    fit_gap: float = 0.5
    critical_sample_ratio: float = 0.1
    gini: float = 0.03
    train_error: float = 0.15
    validation_change: float = 0.015
    forgotten_fit: float = 0.5
    rule_accuracy: float = 0.9


THRESHOLDS = Thresholds()
# What arms are called in the ids of findings, and in words.
ARMS = {
    "real": ("real", "real data"),
    "real_again": ("real_reinitialized", "real data, with another initialization and order"),
    "real_dropout": ("real_dropout", "real data"),
    "noisy": ("label_noise", "data with label noise"),
    "randX": ("random_inputs", "noise inputs"),
    "randX_again": ("random_inputs_resampled", "another draw of noise inputs"),
    "randY": ("random_labels", "random labels"),
    "randY_again": ("random_labels_resampled", "another draw of random labels"),
    "randY_dropout": ("random_labels_dropout", "random labels"),
}
COLUMNS = {
    "curve_critical_sample_ratio": "critical sample ratio on validation examples",
    "loss_sensitivity": "Gini coefficient of loss sensitivity",
    "train_error": "training error",
    "validation_error": "validation error",
}


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on the parts that were trained."""
    if config.runs:
        yield from _easy_examples(table)
    if config.epochs:
        yield from _order_of_learning(table)
        yield from _critical_samples(table)
        yield from _dropout(table)
    if config.replayed_steps:
        yield from _loss_sensitivity(table)
    if config.decays:
        yield from _weight_decay(table, config)


def _easy_examples(table: "pandas.DataFrame") -> Iterator[Signature]:
    for kind, arm in ((Signature, "real"), (Control, "randX_again")):
        name, words = ARMS[arm]
        yield kind(
            f"{name}/success_rate_dispersion_ratio",
            dispersion_ratio(table, arm),
            above=THRESHOLDS.dispersion_ratio,
            description=f"With {words}, examples differ more in how often a one-epoch run "
            "classifies them correctly than with noise inputs.",
        )


def _order_of_learning(table: "pandas.DataFrame") -> Iterator[Signature]:
    for kind, arm in ((Signature, "noisy"), (Control, "real")):
        name, words = ARMS[arm]
        yield kind(
            f"{name}/validation_accuracy_drop",
            validation_drop(table, arm),
            above=THRESHOLDS.validation_drop,
            description=f"With {words}, validation accuracy peaks early and then drops.",
        )
    for kind, when, words in (
        (Signature, "peak", "At the peak of validation accuracy"),
        (Control, "end", "At the end of training"),
    ):
        yield kind(
            f"label_noise/fit_gap_at_{when}",
            fit_gap(table, when),
            above=THRESHOLDS.fit_gap,
            description=f"{words}, clean labels are fitted and flipped ones are not.",
        )


def _critical_samples(table: "pandas.DataFrame") -> Iterator[Signature]:
    for kind, arm in ((Signature, "randY"), (Signature, "randX"), (Control, "real_again")):
        name, words = ARMS[arm]
        yield kind(
            f"{name}/critical_sample_ratio_increase",
            difference(table, arm, "real", "curve_critical_sample_ratio"),
            above=THRESHOLDS.critical_sample_ratio,
            description=f"With {words}, more validation examples lie near a decision boundary "
            "than after training on real data.",
        )


def _dropout(table: "pandas.DataFrame") -> Iterator[Signature]:
    for kind, arm, words in (
        (Signature, "randY_dropout", "Dropout"),
        (Control, "randY_again", "Another draw of random labels, without dropout,"),
    ):
        yield kind(
            f"{ARMS[arm][0]}/train_error_increase",
            difference(table, arm, "randY", "train_error"),
            above=THRESHOLDS.train_error,
            description=f"{words} raises training error on random labels.",
        )
    for kind, arm, words in (
        (Signature, "real_dropout", "Dropout"),
        (Control, "noisy", "Label noise, without dropout,"),
    ):
        yield kind(
            f"{ARMS[arm][0]}/validation_error_change",
            difference(table, arm, "real", "validation_error"),
            within=(-THRESHOLDS.validation_change, THRESHOLDS.validation_change),
            description=f"{words} leaves validation error on real data unchanged.",
        )


def _loss_sensitivity(table: "pandas.DataFrame") -> Iterator[Signature]:
    for kind, arm in ((Signature, "real"), (Control, "randX_again")):
        name, words = ARMS[arm]
        yield kind(
            f"{name}/loss_sensitivity_gini_increase",
            difference(table, arm, "randX", "loss_sensitivity", "replayed"),
            above=THRESHOLDS.gini,
            description=f"With {words}, loss sensitivity is concentrated on fewer examples than "
            "with noise inputs.",
        )


def _weight_decay(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    # At the end weight decay has kept the rule and forgotten the noise; early it has not.
    for kind, when, step, words in (
        (Signature, "at_the_end", None, "At the end of training"),
        (Control, "early", config.decay_curve[0], "Early in training"),
    ):
        fit_reduction, accuracy_with_it = effect_of_weight_decay(
            table, config.best_decay, when, step
        )
        yield kind(
            f"weight_decay/mislabeled_fit_reduction_{when}",
            fit_reduction,
            above=THRESHOLDS.forgotten_fit,
            description=f"{words}, weight decay has removed the fit of mislabeled sums.",
        )
        yield kind(
            f"weight_decay/test_accuracy_{when}",
            accuracy_with_it,
            above=THRESHOLDS.rule_accuracy,
            description=f"{words}, the network with weight decay has learned the rule.",
        )


# ---- statistics ----------------------------------------------------------------------------------


def curves_of(table: "pandas.DataFrame", arm: str, column: str) -> np.ndarray:
    """Returns a curve of each long training of an arm, `[seeds, points]`."""
    return np.stack(list(rows_of(table, study="long", arm=arm)[f"curve_{column}"]))


def values_of(rows: "pandas.DataFrame", column: str) -> np.ndarray:
    """Returns one number a row: of a curve the last, of loss sensitivity the Gini coefficient."""
    values = list(rows[column])
    if column.startswith("curve_"):
        return np.asarray([value[-1] for value in values])
    if column == "loss_sensitivity":
        return gini_coefficient(np.stack(values))
    return np.asarray(values)


def at_step(rows: "pandas.DataFrame", column: str, step: int | None) -> np.ndarray:
    """Returns the values after `step` updates, None for all, of the rows measured there."""
    curves = zip(rows[f"curve_{column}"], rows.curve_step, strict=True)
    values = [curve[steps == (step or steps[-1])] for curve, steps in curves]
    return np.concatenate([np.zeros(0), *values])


def difference(
    table: "pandas.DataFrame", arm: str, other: str, column: str, study: str = "long"
) -> Estimate:
    """Difference of two arms in what `values_of` returns, paired by seed."""
    pair = (values_of(rows_of(table, study=study, arm=name), column) for name in (arm, other))
    return stats.paired_difference(*pair, f"{COLUMNS[column]}, {arm} minus {other}")


def dispersion_ratio(table: "pandas.DataFrame", arm: str) -> Estimate:
    """Dispersion of success rates over the runs of a seed, over that of randX, mean over seeds.

    NaN where all runs of a seed agree on every example.
    """

    def dispersions(name):
        seeds = rows_of(table, study="short", arm=name).groupby("seed")
        runs = [~np.stack(list(rows.train_wrong)) for _, rows in seeds]
        return np.asarray([binomial_dispersion(correct) for correct in runs])

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = dispersions(arm) / dispersions("randX")
    name = f"dispersion of success rates over runs, {arm} over randX"
    return stats.mean_if_defined(ratios, name)


def validation_drop(table: "pandas.DataFrame", arm: str) -> Estimate:
    """Drop of validation accuracy from its peak to the end."""
    drops = interior_peak(1 - curves_of(table, arm, "validation_error")).drop
    return stats.mean(drops, f"validation accuracy, at its peak minus at the end, {arm}")


def fit_gap(table: "pandas.DataFrame", when: str) -> Estimate:
    """Fit of clean minus fit of flipped labels, at the peak of validation accuracy or at the end.

    Args:
        table: The records.
        when: `"peak"` or `"end"`.
    """
    gaps = curves_of(table, "noisy", "clean_fit") - curves_of(table, "noisy", "flipped_fit")
    places = np.argmin(curves_of(table, "noisy", "validation_error"), 1)
    places = places if when == "peak" else np.full(len(gaps), -1)
    chosen = gaps[np.arange(len(gaps)), places]
    return stats.mean(chosen, f"fit of clean minus fit of flipped labels at the {when}")


def effect_of_weight_decay(
    table: "pandas.DataFrame", decay: float, when: str, step: int | None
) -> tuple[Estimate, Estimate]:
    """Reduction of the fit of mislabeled sums by a weight decay, and test accuracy with it.

    Args:
        table: The records.
        decay: The weight decay, compared with none.
        when: `"at_the_end"` or `"early"`.
        step: The updates until then, None for all.
    """
    arms = (f"{value:g}" for value in (0.0, decay))
    none, with_it = (rows_of(table, study="arithmetic", arm=arm) for arm in arms)
    fits = [at_step(rows, "flipped_fit", step) for rows in (none, with_it)]
    how = f"{when.replace('_', ' ')}, weight decay {decay:g}"
    accuracy_with_it = 1 - at_step(with_it, "test_error", step)
    return (
        stats.paired_difference(*fits, f"fit of mislabeled sums, without decay minus with, {how}"),
        stats.mean(accuracy_with_it, f"test accuracy, {how}"),
    )


# ---- published numbers ---------------------------------------------------------------------------


def accuracy(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], *, split: str
) -> Estimate | None:
    """Mean accuracy on sums, on the training labels as given or on clean test labels.

    Args:
        table: The records.
        config: Their settings.
        setting: `weight_decay` of the number, and its `step`, by default the last.
        split: `"train"` or `"test"`.
    """
    rows = rows_of(table, study="arithmetic", arm=f"{setting['weight_decay']:g}")
    errors = at_step(rows, f"{split}_error", setting.get("step")) if len(rows) else ()
    return stats.mean(1 - errors, f"{split} accuracy") if len(errors) else None


STATISTICS = {"accuracy": accuracy}
