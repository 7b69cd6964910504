"""Gains in test accuracy, separation of clean and flipped labels, and errors of lines."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.dynamic_importance_weighting.trials import ESTIMATES, Config
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas

# Which labels are flipped: those of training examples, also those held out, or none.
NOISE = {
    "noisy": "noisy labels",
    "noisy_validation": "noisy validation labels",
    "clean": "clean labels",
}


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Minimum effects, unless stated otherwise.

    Attributes:
        weight_auc: Area under the ROC curve of weights, clean against flipped labels.
        noisy_weight_auc: The same, where held-out examples are as noisy.
        gain_over_random: Of the test accuracy, from random to dynamic weights.
        clean_difference: Largest change of the test accuracy without label noise.
        error_reduction: Of a line's squared error by weights.
    """

    weight_auc: float = 0.8
    noisy_weight_auc: float = 0.75
    gain_over_random: float = 0.08
    clean_difference: float = 0.01
    error_reduction: float = 0.05


THRESHOLDS = Thresholds()

# ---- statistics --------------------------------------------------------------------------------


def networks(table: "pandas.DataFrame", arm: str, noise: str = "noisy") -> "pandas.DataFrame":
    """Rows of the networks of an arm, by seed."""
    return rows_of(table, part="networks", arm=arm, noise=noise)


def accuracies(table: "pandas.DataFrame", arm: str, noise: str = "noisy") -> np.ndarray:
    """Final test accuracies, `[seeds]`."""
    return 1 - networks(table, arm, noise).test_error.to_numpy()


def curves(table: "pandas.DataFrame", arm: str, noise: str = "noisy") -> np.ndarray:
    """Test accuracies along the training, `[seeds, points]`."""
    return 1 - np.stack(list(networks(table, arm, noise).curve_test_error))


def gain(table: "pandas.DataFrame", arm: str, other: str, noise: str = "noisy") -> stats.Estimate:
    """Difference of two arms in final test accuracy, paired by seed."""
    pair = (accuracies(table, name, noise) for name in (arm, other))
    return stats.paired_difference(*pair, f"test accuracy, {arm} minus {other}, {NOISE[noise]}")


def recorded(
    table: "pandas.DataFrame", arm: str, column: str, noise: str = "noisy"
) -> tuple[np.ndarray, np.ndarray]:
    """Records of the weights: shares of the training, `[points]`, and values, `[seeds, points]`.

    Args:
        table: The records.
        arm: The arm.
        column: One of those of `objectives.WEIGHT_SEPARATION`.
        noise: One of `NOISE`.
    """
    rows = networks(table, arm, noise)
    shares = np.asarray(rows.step_number.iloc[0]) / rows.steps.iloc[0]
    return shares, np.stack(list(rows[f"step_{column}"]))


def weight_auc(
    table: "pandas.DataFrame",
    arm: str,
    noise: str = "noisy",
    when: str = "last_half",
    epochs: int | None = None,
) -> stats.Estimate:
    """Area under the ROC curve of the weights, clean against flipped labels of a batch.

    Args:
        table: The records.
        arm: The arm.
        noise: One of `NOISE`.
        when: `"last_half"` of the training, or the `"warm_up"`, its first epoch.
        epochs: Length of the training.
    """
    shares, values = recorded(table, arm, "auc", noise)
    chosen = shares >= 0.5 if when == "last_half" else shares < (1 - 1e-6) / epochs
    name = f"AUC of weights, {arm}, {NOISE[noise]}, {when.replace('_', ' ')}"
    return stats.mean_if_defined(np.nanmean(values[:, chosen], 1), name)


def shift_errors(table: "pandas.DataFrame", truth: str, method: str) -> np.ndarray:
    """Squared errors under covariate shift, mean over the datasets of a seed, `[seeds]`."""
    rows = rows_of(table, part=truth, arm=method)
    return rows.groupby("seed").squared_error.mean().to_numpy()


def error_reduction(table: "pandas.DataFrame", truth: str, method: str) -> stats.Estimate:
    """Reduction of a line's squared error by weights, paired by seed."""
    pair = (shift_errors(table, truth, name) for name in ("unweighted", method))
    return stats.paired_difference(*pair, f"squared error, unweighted minus {method}, {truth}")


# ---- signatures and controls -------------------------------------------------------------------

_WEIGHTS = {
    "uniform": "uniform weights",
    "random": "random weights",
    "static_early": "static weights from an early network",
    "static_late": "static weights from a fully trained network",
    "true_weights": "the true density ratio",
    "ulsif": "uLSIF weights",
    "kmm": "kernel mean matching",
    "kliep": "KLIEP weights",
    "one_step": "one-step estimation",
}


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls."""
    for other in ("uniform", "random", "static_early", "static_late"):
        if other in config.arms:
            yield Signature(
                f"dynamic/gain_over_{other}",
                gain(table, "dynamic", other),
                above=THRESHOLDS.gain_over_random if other == "random" else 0.0,
                description="Under label noise dynamic weights have a higher test accuracy than "
                f"{_WEIGHTS[other]}.",
            )
    yield Signature(
        "dynamic/weight_auc",
        weight_auc(table, "dynamic"),
        above=THRESHOLDS.weight_auc,
        description="Dynamic weights separate clean from flipped labels.",
    )
    if "random" in config.arms:
        yield Control(
            "random/weight_auc",
            weight_auc(table, "random"),
            above=THRESHOLDS.weight_auc,
            description="Random weights do not separate clean from flipped labels.",
        )
    else:
        yield Control(
            "dynamic/warm_up_weight_auc",
            weight_auc(table, "dynamic", when="warm_up", epochs=config.epochs),
            above=THRESHOLDS.weight_auc,
            description="The constant weights of the warm-up do not separate clean from flipped "
            "labels.",
        )
    if config.controls:
        yield from _noise_findings(table)
    if config.shift is not None:
        for role, truth, text in (
            (Signature, "sinc", "reduces the squared error of a line fitted to a sinc curve"),
            (Control, "line", "does not reduce the squared error where the truth is a line"),
        ):
            for method in ESTIMATES:
                yield role(
                    f"{method}_{truth}/error_reduction",
                    error_reduction(table, truth, method),
                    above=THRESHOLDS.error_reduction,
                    description=f"Under covariate shift weighting by {_WEIGHTS[method]} {text}.",
                )


def _noise_findings(table: "pandas.DataFrame") -> Iterator[Signature]:
    """Yields findings with noisy held-out examples, and without label noise."""
    yield Control(
        "dynamic_noisy_validation/weight_auc",
        weight_auc(table, "dynamic", "noisy_validation"),
        above=THRESHOLDS.noisy_weight_auc,
        description="With noisy held-out examples dynamic weights do not separate clean from "
        "flipped labels.",
    )
    yield Control(
        "dynamic_noisy_validation/gain_over_random",
        gain(table, "dynamic", "random", "noisy_validation"),
        above=THRESHOLDS.gain_over_random,
        description="With noisy held-out examples dynamic weights do not have a higher test "
        "accuracy than random weights.",
    )
    difference = gain(table, "dynamic", "uniform", "clean")
    limit = THRESHOLDS.clean_difference
    yield Control(
        "dynamic_clean/gain_over_uniform",
        difference,
        above=limit,
        description="Without label noise dynamic weights do not have a higher test accuracy than "
        "uniform weights.",
    )
    yield Signature(
        "dynamic_clean/equivalence_to_uniform",
        difference,
        within=(-limit, limit),
        description="Without label noise dynamic weights have the test accuracy of uniform "
        "weights.",
    )


# ---- published numbers -------------------------------------------------------------------------


def test_accuracy(
    table: "pandas.DataFrame",
    config: Config,
    setting: Mapping[str, Any],
    baseline: str | None = None,
) -> stats.Estimate | tuple[stats.Estimate, stats.Estimate] | None:
    """Test accuracy of an arm, in percent.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `arm`; `rate` of label noise; `when`, `"best"` on the curve or at the `"end"`.
        baseline: An arm to return beside it, if it was trained.
    """
    if setting.get("arm") not in config.arms or setting.get("rate") != config.rate:
        return None

    def percent(arm):
        best = setting.get("when") == "best"
        values = curves(table, arm).max(1) if best else accuracies(table, arm)
        return stats.mean(100 * values, "test accuracy, %")

    ours = percent(setting["arm"])
    return (ours, percent(baseline)) if baseline in config.arms else ours


STATISTICS = {"test_accuracy": test_accuracy}
