"""Distance awareness, OOD detection and calibration of SNGP, against the deterministic network."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.sngp.trials import DETECTION, Config, Moons, Task
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import numpy as np
    import pandas


@dataclasses.dataclass(frozen=True)
class MoonsThresholds:
    """Minimum effects on two moons.

    Attributes:
        distance_correlation: Rank correlation of an uncertainty with the distance to the data.
        distance_correlation_gain: Of that correlation, over the deterministic network.
        far_confidence_drop: Of the mean confidence on the far cluster.
        auroc: Area under the ROC curve in detecting the far cluster.
    """

    distance_correlation: float = 0.6
    distance_correlation_gain: float = 0.3
    far_confidence_drop: float = 0.1
    auroc: float = 0.75


@dataclasses.dataclass(frozen=True)
class TaskThresholds:
    """Minimum gains over the deterministic network, by the names of `Task.claims`.

    Attributes:
        auroc: Of OOD detection, increase.
        aupr_out: Of OOD detection with the OOD examples as the positive class, increase.
        test_ece: Expected calibration error on the test set, decrease.
        corrupted_ece: The same on corrupted test sets, decrease.
    """

    auroc: float = 0.01
    aupr_out: float = 0.01
    test_ece: float = 0.005
    corrupted_ece: float = 0.02


MOONS_THRESHOLDS = MoonsThresholds()
TASK_THRESHOLDS = TaskThresholds()

# In ids and descriptions: held-out classes are the split "other_test".
SET_NAMES = {"other_test": "held_out_classes"}
CLAIM_NAMES = {
    "auroc": "AUROC",
    "aupr_out": "AUPR (OOD as the positive class)",
    "test_ece": "the expected calibration error on the test set",
    "corrupted_ece": "the expected calibration error on corrupted test sets",
}

# ---- statistics --------------------------------------------------------------------------------


def values(table: "pandas.DataFrame", part: str, arm: str, column: str) -> "np.ndarray":
    """Returns a column of an arm in the order of its seeds, empty where it was not measured."""
    rows = rows_of(table, part=part, arm=arm)
    return rows[column].to_numpy("float64") if column in rows else rows.index.to_numpy()[:0]


def level(table: "pandas.DataFrame", part: str, arm: str, column: str) -> stats.Estimate:
    """Mean of a column of an arm."""
    name = f"{column.replace('_', ' ')}, {arm.replace('_', ' ')}, mean over seeds"
    return stats.mean_if_defined(values(table, part, arm, column), name)


def gain(
    table: "pandas.DataFrame",
    part: str,
    arm: str,
    column: str,
    baseline: str | None = None,
    lower: bool = False,
) -> stats.Estimate:
    """Mean gain of an arm over the deterministic network, paired by seed.

    Args:
        table: The records.
        part: `"moons"` or `"task"`.
        arm: Of `tfphen.phenomena.sngp.trials.ARMS`.
        column: Of the arm.
        baseline: Column of the deterministic network; None for the same.
        lower: Whether lower is better.
    """
    baseline = baseline or column
    ours = values(table, part, arm, column)
    plain = values(table, part, "deterministic", baseline)
    words = [f"{column.replace('_', ' ')} of {arm.replace('_', ' ')}"]
    words.append(f"{baseline.replace('_', ' ')} of the deterministic network")
    if lower:
        ours, plain, words = plain, ours, words[::-1]
    return stats.paired_difference(ours, plain, " minus ".join(words))


# ---- findings ----------------------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls of the parts that were run."""
    if config.moons is not None:
        yield from _moons_findings(table, config.moons)
    if config.task is not None:
        yield from _task_findings(table, config.task)


def _moons_findings(table: "pandas.DataFrame", part: Moons) -> Iterator[Signature]:
    """Yields findings on the plane. The arm `"spectral_norm"`, a control, is optional."""

    def mean(arm, column):
        return level(table, "moons", arm, column)

    def change(arm, column, **settings):
        return gain(table, "moons", arm, column, **settings)

    limits, spectral_norm = MOONS_THRESHOLDS, "spectral_norm" in part.arms
    yield Signature(
        "sngp/distance_correlation",
        mean("sngp", "distance_correlation_variance"),
        above=limits.distance_correlation,
        description="The posterior variance of SNGP grows with the distance to the training data.",
    )
    yield Control(
        "prior_variance/distance_correlation",
        mean("sngp", "distance_correlation_prior"),
        above=limits.distance_correlation,
        description="The variance of SNGP before any data grows with the distance to the data.",
    )
    plain = "distance_correlation_probability"
    yield Signature(
        "sngp/distance_correlation_gain",
        change("sngp", "distance_correlation_variance", baseline=plain),
        above=limits.distance_correlation_gain,
        description=(
            "The variance of SNGP correlates more with the distance to the training data than "
            "one minus the largest probability of the deterministic network."
        ),
    )
    if spectral_norm:
        yield Control(
            "spectral_norm/distance_correlation_gain",
            change("spectral_norm", plain),
            above=limits.distance_correlation_gain,
            description=(
                "Spectral normalization alone raises the correlation of uncertainty and distance "
                "to the training data over that of the deterministic network."
            ),
        )
    yield Signature(
        "sngp/far_confidence_drop",
        change("sngp", "far_confidence", lower=True),
        above=limits.far_confidence_drop,
        description="SNGP is less confident than the deterministic network on a far cluster.",
    )
    if spectral_norm:
        yield Control(
            "spectral_norm/far_confidence_drop",
            change("spectral_norm", "far_confidence", lower=True),
            above=limits.far_confidence_drop,
            description=(
                "Spectral normalization alone makes the network less confident on a far cluster."
            ),
        )
    yield Signature(
        "sngp/far_cluster_auroc",
        mean("sngp", "auroc_far_variance"),
        above=limits.auroc,
        description="The variance of SNGP detects a cluster far from the training data.",
    )
    yield Control(
        "sngp/fresh_sample_auroc",
        mean("sngp", "auroc_fresh_variance"),
        above=limits.auroc,
        description="The variance of SNGP detects a fresh sample of the training distribution.",
    )
    if spectral_norm:
        yield Control(
            "spectral_norm/far_cluster_auroc",
            mean("spectral_norm", "auroc_far_probability"),
            above=limits.auroc,
            description=(
                "With spectral normalization alone, one minus the largest probability detects a "
                "cluster far from the training data."
            ),
        )


def _task_findings(table: "pandas.DataFrame", part: Task) -> Iterator[Signature]:
    for claim in part.claims:
        if claim in DETECTION:
            for ood_set in part.ood_sets():
                yield from _detection_findings(table, part, claim, ood_set)
        else:
            yield from _calibration_findings(table, part, claim)


def _calibration_findings(table, part: Task, claim: str) -> Iterator[Signature]:
    for kind, arm, subject in (
        (Signature, "sngp", "SNGP"),
        (Control, "spectral_norm", "Spectral normalization alone"),
    ):
        if arm in part.arms:
            yield kind(
                f"{arm}/{claim}_reduction",
                gain(table, "task", arm, claim, lower=True),
                above=getattr(TASK_THRESHOLDS, claim),
                description=(
                    f"{subject} lowers {CLAIM_NAMES[claim]} against the deterministic network."
                ),
            )


def _detection_findings(table, part: Task, claim: str, ood_set: str) -> Iterator[Signature]:
    name = SET_NAMES.get(ood_set, ood_set)
    column, plain = (f"{claim}_{ood_set}_{score}" for score in (part.score, "probability"))
    least = getattr(TASK_THRESHOLDS, claim)
    text = (
        f"exceeds the largest probability of the deterministic network in {CLAIM_NAMES[claim]} "
        f"when detecting {name.replace('_', ' ')}."
    )
    yield Signature(
        f"sngp/{claim}_gain_{name}",
        gain(table, "task", "sngp", column, baseline=plain),
        above=least,
        description=f"The {part.score} score of SNGP {text}",
    )
    yield Control(
        f"prior_variance/{claim}_gain_{name}",
        gain(table, "task", "sngp", f"{claim}_{ood_set}_prior", baseline=plain),
        above=least,
        description=f"The variance of SNGP before any data {text}",
    )
    if part.bound_is_control and "spectral_norm" in part.arms:
        yield Control(
            f"spectral_norm/{claim}_gain_{name}",
            gain(table, "task", "spectral_norm", plain),
            above=least,
            description=f"Spectral normalization alone {text}",
        )


# ---- published numbers -------------------------------------------------------------------------


def _of_arm(table, config: Config, setting: Mapping[str, Any], column, transform=None):
    """Estimates of the arm of a number and of the deterministic network.

    Args:
        table: The records.
        config: The settings.
        setting: Of the number; its `arm` counts.
        column: Function of an arm that returns the column's name.
        transform: Function of the values; None for the values as they are.
    """
    arm = setting.get("arm")
    if config.task is None or arm not in config.task.arms:
        return None
    estimates = []
    for one in (arm, "deterministic"):
        found = values(table, "task", one, column(one))
        if not len(found):
            return None
        name = f"{column(one).replace('_', ' ')}, {one.replace('_', ' ')}, mean over seeds"
        estimates.append(stats.mean_if_defined(transform(found) if transform else found, name))
    return tuple(estimates)


def mean_column(table, config: Config, setting: Mapping[str, Any], *, column: str):
    """Mean of a column, such as `"test_nll"`."""
    return _of_arm(table, config, setting, lambda arm: column)


def accuracy_percent(table, config: Config, setting: Mapping[str, Any], *, split: str):
    """Accuracy in percent on `"test"` or `"corrupted"`."""
    return _of_arm(
        table, config, setting, lambda arm: f"{split}_error", lambda error: 100 * (1 - error)
    )


def detection(table, config: Config, setting: Mapping[str, Any], *, statistic: str):
    """OOD detection of the set `outside` of the number's setting.

    Published with the Dempster-Shafer score where there is a Gaussian process.
    """
    scores = {"sngp": "evidence", "gaussian_process": "evidence"}

    def column(arm):
        return f"{statistic}_{setting.get('outside')}_{scores.get(arm, 'probability')}"

    return _of_arm(table, config, setting, column)


STATISTICS = {
    "mean_column": mean_column,
    "accuracy_percent": accuracy_percent,
    "detection": detection,
}
