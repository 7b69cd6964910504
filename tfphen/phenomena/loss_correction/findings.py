"""Test accuracy gained by loss correction, with true, estimated and false noise matrices."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.loss_correction.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import numpy as np
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Differences in test accuracy.

    Attributes:
        gain: Minimum gain over cross-entropy that counts as a correction of the noise.
        failure: Minimum loss of an estimated matrix that counts as its failure.
        near: Maximum loss of an estimated matrix that is nearly as good as the true one.
        negligible: Maximum difference, either way, that counts as none.
    """

    gain: float = 0.2
    failure: float = 0.1
    near: float = 0.05
    negligible: float = 0.03


THRESHOLDS = Thresholds()

# ---- statistics --------------------------------------------------------------------------------


def accuracies(table: "pandas.DataFrame", noise: str, rate: float, arm: str) -> "np.ndarray":
    """Test accuracy of each training of an arm, `[seeds]`."""
    return 1.0 - rows_of(table, noise=noise, rate=rate, arm=arm).test_error.to_numpy()


def gap(table: "pandas.DataFrame", noise: str, rate: float, arm: str, other: str) -> stats.Estimate:
    """Difference of two arms in test accuracy, paired by seed."""
    return stats.paired_difference(
        accuracies(table, noise, rate, arm),
        accuracies(table, noise, rate, other),
        f"test accuracy, {arm} minus {other}, {noise} noise {rate:g}",
    )


# ---- signatures and controls -------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls for each noise that was trained under."""
    if config.majority is not None:
        yield from _of_majority_flips(table, config.majority)
    if config.minority is not None:
        yield from _of_minority_flips(table, config.minority)
    if config.symmetric is not None:
        yield from _of_symmetric_noise(table, config.symmetric)
    if config.clean:
        yield from _of_clean_labels(table)


def _of_majority_flips(table, rate: float) -> Iterator[Signature]:
    for arm in ("forward", "backward"):
        yield Signature(
            f"majority_flips/{arm}_accuracy_gain",
            gap(table, "asymmetric", rate, arm, "cross_entropy"),
            above=THRESHOLDS.gain,
            description=f"{arm.capitalize()} correction with the true matrix is far more accurate "
            "than cross-entropy where most labels of several classes are flipped.",
        )
    yield Signature(
        "majority_flips/estimated_matrix_accuracy_loss",
        gap(table, "asymmetric", rate, "forward", "forward_estimated"),
        above=THRESHOLDS.failure,
        description="Forward correction with an estimated matrix is clearly less accurate than "
        "with the true one where most labels of several classes are flipped.",
    )
    yield Control(
        "majority_flips/transposed_matrix_accuracy_gain",
        gap(table, "asymmetric", rate, "forward_transposed", "cross_entropy"),
        above=THRESHOLDS.gain,
        description="Forward correction with the transposed matrix is not far more accurate than "
        "cross-entropy.",
    )


def _of_minority_flips(table, rate: float) -> Iterator[Signature]:
    for role, name, text in (
        (Signature, "estimated", "with an estimated matrix is nearly as accurate as with the true"),
        (Control, "wrong", "with the matrix of another noise rate is less accurate than the true"),
    ):
        yield role(
            f"minority_flips/{name}_matrix_accuracy_loss",
            gap(table, "asymmetric", rate, "forward", f"forward_{name}"),
            below=THRESHOLDS.near,
            description=f"Forward correction {text} one while flips are a minority.",
        )


def _of_symmetric_noise(table, rate: float) -> Iterator[Signature]:
    limits = (-THRESHOLDS.negligible, THRESHOLDS.negligible)
    change = gap(table, "symmetric", rate, "forward", "cross_entropy")
    yield Signature(
        "symmetric_noise/forward_accuracy_change",
        change,
        within=limits,
        description="Forward correction with the true matrix is as accurate as cross-entropy "
        "under symmetric noise.",
    )
    yield Control(
        "symmetric_noise/forward_accuracy_gain",
        change,
        above=THRESHOLDS.gain,
        description="Forward correction with the true matrix is not far more accurate than "
        "cross-entropy under symmetric noise.",
    )
    yield Control(
        "symmetric_noise/wrong_matrix_accuracy_change",
        gap(table, "symmetric", rate, "forward_wrong", "cross_entropy"),
        within=limits,
        description="Forward correction with the matrix of asymmetric noise is not as accurate as "
        "cross-entropy under symmetric noise.",
    )


def _of_clean_labels(table) -> Iterator[Signature]:
    for arm, name, matrix in (
        ("forward", "identity", "the identity"),
        ("forward_wrong", "wrong", "the matrix of asymmetric noise"),
    ):
        yield Control(
            f"clean_labels/{name}_matrix_accuracy_gain",
            gap(table, "none", 0.0, arm, "cross_entropy"),
            above=THRESHOLDS.gain,
            description=f"Forward correction with {matrix} is not far more accurate than "
            "cross-entropy on clean labels.",
        )


# ---- published numbers -------------------------------------------------------------------------


def accuracy_percent(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> tuple[stats.Estimate, stats.Estimate] | None:
    """Test accuracy of an arm and of cross-entropy, in percent.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `arm`, `noise` and `rate`.
    """
    noise, rate, arm = (setting.get(name) for name in ("noise", "rate", "arm"))
    pair = [accuracies(table, noise, rate, name) for name in (arm, "cross_entropy")]
    if not len(pair[0]):
        return None
    ours, baseline = (stats.mean(100 * values, "test accuracy, %") for values in pair)
    return ours, baseline


STATISTICS = {"test_accuracy": accuracy_percent}
