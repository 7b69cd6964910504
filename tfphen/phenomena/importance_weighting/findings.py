"""How far class weights move decisions, how that effect fades, and what restores it.

The spread of an arm is the share of inputs classified as class 1 with class 1 weighted up, minus
the share with class 1 weighted down by the same ratio: between -1 and 1, and 0 without an effect.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.importance_weighting.trials import Config, Networks, Points
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Minimum effects, unless stated otherwise.

    Attributes:
        late_decline: Share of the spread on points that is lost in the last nine tenths.
        points_shift: Change of the final spread or share on points.
        remaining_spread: Largest part of the early spread of networks that remains at the end.
        restored_spread: Increase of the final spread of networks.
        networks_shift: Decrease of the final share of networks.
        train_accuracy: Of networks that fit their training set.
    """

    late_decline: float = 0.15
    points_shift: float = 0.1
    remaining_spread: float = 0.5
    restored_spread: float = 0.05
    networks_shift: float = 0.08
    train_accuracy: float = 0.99


THRESHOLDS = Thresholds()

# ---- statistics --------------------------------------------------------------------------------


def curves(
    table: "pandas.DataFrame", arm: str, ratio: float, column: str = "ambiguous_share"
) -> np.ndarray:
    """A curve measure of the trainings with one weight ratio, `[seeds, points]`."""
    return np.stack(list(rows_of(table, arm=arm, ratio=ratio)[f"curve_{column}"]))


def steps(table: "pandas.DataFrame", arm: str) -> np.ndarray:
    """Updates at which an arm's curves are measured, `[points]`."""
    return rows_of(table, arm=arm).iloc[0].curve_step


def ratios(table: "pandas.DataFrame", arm: str) -> list[float]:
    """Weight ratios above 1 whose inverses were trained with too."""
    of_arm = set(rows_of(table, arm=arm).ratio)
    return sorted(ratio for ratio in of_arm if ratio > 1 and 1 / ratio in of_arm)


def spread(table: "pandas.DataFrame", arm: str, column: str = "ambiguous_share") -> np.ndarray:
    """Mean spread over weight ratios, `[seeds, points]`."""
    pairs = [
        curves(table, arm, ratio, column) - curves(table, arm, 1 / ratio, column)
        for ratio in ratios(table, arm)
    ]
    return sum(pairs) / len(pairs)


def mean_over_weights(table: "pandas.DataFrame", arm: str, column: str) -> np.ndarray:
    """Mean of a curve measure over weighted trainings, `[seeds, points]`."""
    values = [
        curves(table, arm, weight, column)
        for ratio in ratios(table, arm)
        for weight in (ratio, 1 / ratio)
    ]
    return sum(values) / len(values)


def late_decline(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Share of the spread at a tenth of the training that is lost by its end.

    The first tenth is left out: on any data the spread declines there, as weights leave zero.
    """
    values, at = spread(table, arm), steps(table, arm)
    tenth, end = values[:, np.flatnonzero(10 * at == at[-1])[0]], values[:, -1]
    lost = 1 - np.divide(end, tenth, out=np.full(len(end), np.nan), where=tenth > 0)
    name = f"share of the spread lost in the last nine tenths of the training, {arm}"
    return stats.mean_if_defined(lost, name)


def remaining_spread(table: "pandas.DataFrame", arm: str, early: int) -> stats.Estimate:
    """Final spread divided by the mean of the first `early` ones."""
    values = spread(table, arm)
    first = values[:, :early].mean(1)
    share = np.divide(values[:, -1], first, out=np.full(len(first), np.nan), where=first > 0)
    return stats.mean_if_defined(share, f"final spread divided by early spread, {arm}")


def train_accuracy(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Final training accuracy, a mean over weight ratios."""
    accuracy = 1 - mean_over_weights(table, arm, "train_error")[:, -1]
    return stats.mean(accuracy, f"training accuracy, {arm}")


def restored_spread(table: "pandas.DataFrame", arm: str, plain: str) -> stats.Estimate:
    """Final spread minus that of the arm without a regularizer, paired by seed."""
    pair = (spread(table, name)[:, -1] for name in (arm, plain))
    return stats.paired_difference(*pair, f"final spread, {arm} minus {plain}")


def restored_beyond_a_third(
    table: "pandas.DataFrame", arm: str, other: str, plain: str
) -> stats.Estimate:
    """Spread that an arm restores, minus a third of what another restores, paired by seed."""
    ours, theirs, none = (spread(table, name)[:, -1] for name in (arm, other, plain))
    name = f"spread restored by {arm} minus a third of that by {other}"
    return stats.paired_difference(ours - none, (theirs - none) / 3, name)


def shift_without_weights(table: "pandas.DataFrame", arm: str, plain: str) -> stats.Estimate:
    """Absolute change of the final share by a regularizer, with equal class weights."""
    ours, none = (curves(table, name, 1.0)[:, -1] for name in (arm, plain))
    name = f"absolute change of the final share at equal weights, {arm} and {plain}"
    return stats.mean(abs(ours - none), name)


def final_shift(table: "pandas.DataFrame", arm: str, plain: str) -> stats.Estimate:
    """Decrease of the final share from the plain arm with equal class weights.

    Class 1 is either weighted down or sub-sampled by one ratio; a mean over such ratios.
    """
    base = curves(table, plain, 1.0)[:, -1]
    below = [ratio for ratio in set(rows_of(table, arm=arm).ratio) if ratio < 1]
    decreases = [base - curves(table, arm, ratio)[:, -1] for ratio in sorted(below)]
    name = f"final share at equal weights minus that of {arm}"
    return stats.mean(sum(decreases) / len(decreases), name)


# ---- signatures and controls -------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls."""
    if config.points:
        yield from _points_findings(table, config.points)
    if config.networks:
        yield from _networks_findings(table, config.networks)


def _points_findings(table: "pandas.DataFrame", points: Points) -> Iterator[Signature]:
    arms = [
        (Signature, "points", "On separable points the effect of class weights fades"),
        (Control, "points_overlapping", "On overlapping points the effect does not fade"),
    ]
    if points.alpha is not None:
        text = "Under a poly-tailed loss the effect does not fade"
        arms.append((Control, "points_poly_tailed", text))
    for role, arm, text in arms:
        yield role(
            f"{arm}/late_decline",
            late_decline(table, arm),
            above=THRESHOLDS.late_decline,
            description=f"{text} in the last nine tenths of the training.",
        )
    if points.l2 is not None:
        yield Signature(
            "points_l2/restored_spread",
            restored_spread(table, "points_l2", "points"),
            above=THRESHOLDS.points_shift,
            description="On points an L2 penalty restores part of the effect of class weights.",
        )
        yield Control(
            "points_l2/shift_without_weights",
            shift_without_weights(table, "points_l2", "points"),
            above=THRESHOLDS.points_shift,
            description="With equal class weights the L2 penalty does not move decisions.",
        )


def _networks_findings(table: "pandas.DataFrame", networks: Networks) -> Iterator[Signature]:
    for role, arm, fit_text, fade_text in (
        (
            Signature,
            "networks",
            "Networks fit their training set.",
            "The effect of class weights on networks fades.",
        ),
        (
            Control,
            "noisy_linear",
            "A linear model does not fit a training set with flipped labels.",
            "The effect of class weights on a linear model with flipped labels does not fade.",
        ),
    ):
        yield role(
            f"{arm}/train_accuracy",
            train_accuracy(table, arm),
            above=THRESHOLDS.train_accuracy,
            description=fit_text,
        )
        yield role(
            f"{arm}/remaining_spread",
            remaining_spread(table, arm, networks.early),
            below=THRESHOLDS.remaining_spread,
            description=fade_text,
        )
    for role, arm, text in (
        (Signature, "networks_l2", "An L2 penalty restores"),
        (Control, "networks_dropout", "Dropout does not restore"),
    ):
        yield role(
            f"{arm}/restored_spread",
            restored_spread(table, arm, "networks"),
            above=THRESHOLDS.restored_spread,
            description=f"{text} part of the effect of class weights on networks.",
        )
    for role, arm, text in (
        (Signature, "networks_dropout", "Dropout restores less"),
        (Control, "networks_half_l2", "Half of the L2 penalty does not restore less"),
    ):
        yield role(
            f"{arm}/restored_beyond_a_third_of_l2",
            restored_beyond_a_third(table, arm, "networks_l2", "networks"),
            below=0.0,
            description=f"{text} than a third of the effect that the L2 penalty restores.",
        )
    for role, arm, text in (
        (Signature, "networks_sub_sampled", "Sub-sampling a class still lowers"),
        (Control, "networks", "Weighting a class down no longer lowers"),
    ):
        yield role(
            f"{arm}/final_shift",
            final_shift(table, arm, "networks"),
            above=THRESHOLDS.networks_shift,
            description=f"{text} the share of inputs classified as it at the end of training.",
        )


# ---- published numbers -------------------------------------------------------------------------


def positive_share(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> stats.Estimate | tuple[stats.Estimate, stats.Estimate] | None:
    """Share of test points in class 1; with unequal weights, beside that of equal weights.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `weight` of class 1, `"up"`, `"equal"` or `"down"`, and `epoch`.
    """
    weight, epoch = setting.get("weight"), setting.get("epoch")
    if config.points is None:
        return None
    epochs = (*config.points.curve(), config.points.epochs)
    of_weight = {"up": config.points.ratio, "equal": 1.0, "down": 1 / config.points.ratio}
    if epoch not in epochs or weight not in of_weight:
        return None

    def share(ratio):
        values = curves(table, "points", ratio, "test_share")[:, epochs.index(epoch)]
        return stats.mean(values, "fraction positive on test points")

    return share(1.0) if weight == "equal" else (share(of_weight[weight]), share(1.0))


def other_classes_share(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> stats.Estimate | None:
    """Final share in class 1 of images of other classes, a mean over weighted trainings."""
    if config.networks is None:
        return None
    values = mean_over_weights(table, "networks", "ambiguous_share")[:, -1]
    return stats.mean(values, "fraction of images of other classes called dog")


STATISTICS = {"positive_share": positive_share, "other_classes_share": other_classes_share}
