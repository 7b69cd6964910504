"""Reductions of test loss, test error and within-class variance by manifold mixup."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.manifold_mixup.trials import Config, Flattening
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas

COLUMN_NAMES = {"test_loss": "test NLL", "test_error": "test error"}
# Subjects of descriptions.
ARM_NAMES = {
    "input": "input mixup",
    "manifold": "manifold mixup",
    "independent_labels": "mixing hidden states with the labels of other examples",
    "lambda_one": "manifold mixup with the mixing coefficient 1",
    "none": "training without mixing",
    "none_other": "another initialization and data order",
}

# ---- statistics --------------------------------------------------------------------------------


def values(table: "pandas.DataFrame", arm: str, column: str) -> np.ndarray:
    """Returns a column of an arm, `[seeds]`."""
    return rows_of(table, arm=arm)[column].to_numpy()


def arrays(table: "pandas.DataFrame", arm: str, column: str) -> np.ndarray:
    """Returns an array-valued column of an arm, `[seeds, ...]`."""
    return np.stack(list(rows_of(table, arm=arm)[column]))


def minimum(table: "pandas.DataFrame", arm: str, column: str) -> np.ndarray:
    """Returns the minimum on the curve of each training, `[seeds]`."""
    return arrays(table, arm, f"curve_{column}").min(1)


def reduction(table: "pandas.DataFrame", column: str, arm: str, other: str) -> stats.Estimate:
    """Reduction of a column from one arm to another, paired by seed.

    Args:
        table: The records.
        column: `"test_loss"` or `"test_error"`.
        arm: The arm of interest.
        other: The arm that it is compared with.
    """
    pair = (values(table, name, column) for name in (other, arm))
    return stats.paired_difference(*pair, f"{COLUMN_NAMES[column]}, {other} minus {arm}")


def shares(table: "pandas.DataFrame", layer: str, arm: str) -> np.ndarray:
    """Returns the share of energy within classes but outside their first directions, `[seeds]`."""
    return arrays(table, arm, f"flattening_{layer}")[..., Flattening.SHARE_OUTSIDE_FIRST].sum(1)


def flattening_gain(table: "pandas.DataFrame", layer: str, arm: str, other: str) -> stats.Estimate:
    """Reduction of `shares` from one arm to another, paired by seed."""
    pair = (shares(table, layer, name) for name in (other, arm))
    name = f"energy outside the first directions of classes at {layer}, {other} minus {arm}"
    return stats.paired_difference(*pair, name)


def spectra(table: "pandas.DataFrame", layer: str, arm: str) -> np.ndarray:
    """Returns shares of all energy by the rank of a direction in its class, summed over classes.

    `[seeds, directions]`.
    """
    return arrays(table, arm, f"spectrum_{layer}").sum(1)


# ---- findings ----------------------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls of what the config tests."""
    if "loss" in config.tested:
        yield from _reductions(table, config, "test_loss", "test_nll", config.least_nll)
    if "error" in config.tested:
        yield from _reductions(table, config, "test_error", "test_error", config.least_error)
    if "flattening" in config.tested:
        yield from _flattening(table, config)


def _reductions(table, config: Config, column: str, name: str, least: float) -> Iterator[Signature]:
    arms = set(config.arms)
    # Labels of other examples are a control of the error only: they smooth the labels, which
    # lowers the test loss too.
    controls = ["lambda_one", "none_other"]
    controls += ["independent_labels"] if column == "test_error" else []
    for arm in ("manifold", *controls):
        if arm in arms:
            kind = Signature if arm == "manifold" else Control
            yield kind(
                f"{arm}/{name}_reduction",
                reduction(table, column, arm, "none"),
                above=least,
                description=(
                    f"{_subject(arm)} lowers the {COLUMN_NAMES[column]} against training without "
                    "mixing."
                ),
            )
    if "independent_labels" in arms:
        yield Signature(
            f"matching_labels/{name}_reduction",
            reduction(table, column, "manifold", "independent_labels"),
            above=least,
            description=(
                f"Mixing the labels of the same examples as the hidden states lowers the "
                f"{COLUMN_NAMES[column]} against mixing the labels of other examples."
            ),
        )


def _flattening(table, config: Config) -> Iterator[Signature]:
    layer = config.flattened[-1]
    pairs = [(Signature, "manifold", other) for other in config.flatter_than]
    for kind, arm, other in (*pairs, (Control, "none_other", "none")):
        if {arm, other} <= set(config.arms):
            yield kind(
                f"{arm}/flattening_vs_{other}",
                flattening_gain(table, layer, arm, other),
                above=config.least_flattening,
                description=(
                    f"{_subject(arm)} leaves classes less variance outside their first direction "
                    f"at {layer} than {ARM_NAMES[other]}."
                ),
            )


def _subject(arm: str) -> str:
    name = ARM_NAMES[arm]
    return name[0].upper() + name[1:]


# ---- published numbers -------------------------------------------------------------------------


def _of_arm(config: Config, setting: Mapping[str, Any], numbers, name: str):
    """Estimates of `numbers(arm)` for the arm of a number and for no mixing."""
    arm = setting.get("arm")
    if arm not in config.arms:
        return None
    return tuple(stats.mean(numbers(one), f"{name}, {one}") for one in (arm, "none"))


def test_error_percent(table, config: Config, setting: Mapping[str, Any]):
    """Test error in percent."""
    return _of_arm(
        config, setting, lambda arm: 100 * values(table, arm, "test_error"), "test error, %"
    )


def test_nll(table, config: Config, setting: Mapping[str, Any]):
    """Test negative log-likelihood in nats."""
    return _of_arm(config, setting, lambda arm: values(table, arm, "test_loss"), "test NLL")


def largest_singular_value(table, config: Config, setting: Mapping[str, Any]):
    """Largest singular value of a class at the last layer of `flattened`, mean over classes."""
    if not config.flattened:
        return None
    column = f"flattening_{config.flattened[-1]}"
    place = Flattening.LARGEST_SINGULAR_VALUE
    return _of_arm(
        config,
        setting,
        lambda arm: arrays(table, arm, column)[..., place].mean(1),
        "largest singular value, mean over classes",
    )


STATISTICS = {
    "test_error_percent": test_error_percent,
    "test_nll": test_nll,
    "largest_singular_value": largest_singular_value,
}
