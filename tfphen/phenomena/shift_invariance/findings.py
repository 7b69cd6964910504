"""Distances to the decision boundary and robust accuracies, with and without shift invariance."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.shift_invariance.images import Images
from tfphen.phenomena.shift_invariance.trials import (
    LINEAR,
    NO_POOLING,
    ZERO_MEAN,
    Config,
    Dots,
)
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Limits of the statistics; pairs are intervals.

    Attributes:
        sqrt_slope: Slope of log distance over log pixels of a decay as 1 / sqrt(pixels).
        flat_slope: The same of a distance that does not depend on the number of pixels.
        ratio_share: Minimum ratio of two distances, as a share of sqrt(pixels).
        margin_ratio: Hard margin over the exact one for all shifts.
        scaled_distance: Distance over contrast / sqrt(pixels).
        nearer: Maximum ratio of distances of a network that is clearly nearer to its boundary.
        farther: Minimum ratio of distances of a network that is farther from its boundary.
        accuracy_gap: Minimum difference of accuracies.
        accuracy_slope: Maximum slope of accuracy over a pixel of padding.
        consistency_slope: Minimum slope of consistency over a pixel of padding.
    """

    sqrt_slope: tuple[float, float] = (-0.65, -0.35)
    flat_slope: tuple[float, float] = (-0.15, 0.15)
    ratio_share: float = 0.4
    margin_ratio: tuple[float, float] = (0.999, 1.001)
    scaled_distance: tuple[float, float] = (0.9, 1.1)
    nearer: float = 0.5
    farther: float = 1.0
    accuracy_gap: float = 0.05
    accuracy_slope: float = -0.005
    consistency_slope: float = 0.005


THRESHOLDS = Thresholds()

# Subjects of descriptions.
ARM_NAMES = {
    "fully_connected": "the fully connected network",
    "convolution": "the convolution with pooling",
    NO_POOLING: "the convolution without pooling",
    LINEAR: "the linear convolution with pooling",
    ZERO_MEAN: "the linear convolution with pooling for zero-mean dots",
}

# ---- statistics --------------------------------------------------------------------------------


def distances(table: "pandas.DataFrame", part: str, arm: str, **where) -> np.ndarray:
    """Returns the mean distance of examples to the decision boundary, `[seeds]`."""
    rows = rows_of(table, part=part, arm=arm, **where)
    return np.asarray([np.mean(values) for values in rows.distances], "float64")


def median_distances(table: "pandas.DataFrame", part: str, arm: str, **where) -> np.ndarray:
    """As `distances`, with the median over examples."""
    rows = rows_of(table, part=part, arm=arm, **where)
    return np.asarray([np.median(values) for values in rows.distances], "float64")


def distances_by_pixels(table: "pandas.DataFrame", arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers of pixels of an arm on dots, and mean distances `[seeds, pixels]`."""
    pixels = np.sort(rows_of(table, part="dots", arm=arm).pixels.unique())
    columns = [distances(table, "dots", arm, pixels=one) for one in pixels]
    return pixels, np.stack(columns, 1)


def slope(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Slope of log distance over log number of pixels, by seed. NaN if a distance is not finite."""
    pixels, by_seed = distances_by_pixels(table, arm)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(by_seed)
    x = np.log(pixels) - np.log(pixels).mean()
    slopes = [row @ x / (x @ x) if np.isfinite(row).all() else np.nan for row in logs]
    name = f"slope of log distance over log pixels, {arm.replace('_', ' ')}"
    return stats.mean_if_defined(slopes, name)


def ratio(
    table: "pandas.DataFrame",
    part: str,
    arm: str = "convolution",
    other: str = "fully_connected",
    **where,
) -> stats.Estimate:
    """Ratio of the mean distances of two networks, geometric mean over seeds."""
    pair = [distances(table, part, name, **where) for name in (arm, other)]
    of = ", ".join(f"{value:g} {name}" for name, value in where.items())
    names = f"{arm} over {other}".replace("_", " ")
    return stats.geometric_ratio(*pair, f"ratio of distances, {names}, {of}")


def robust_accuracies(
    table: "pandas.DataFrame", images: Images, net: str, size: float, norm: str | None = None
) -> np.ndarray:
    """Returns the accuracy at one radius of PGD, `[seeds]`. Radius 0 is clean accuracy."""
    norm = norm or images.norm
    at = getattr(images.attack, f"{norm}_sizes").index(size)
    rows = rows_of(table, part="images", net=net)
    return np.asarray([np.mean(correct[:, at]) for correct in rows[f"robust_{norm}"]])


def robust_gap(table: "pandas.DataFrame", images: Images, net: str, size: float) -> stats.Estimate:
    """Accuracy of the reference network minus that of another, paired by seed."""
    first = robust_accuracies(table, images, images.reference, size)
    name = f"accuracy at {images.norm} {size:g}, {images.reference} minus {net}"
    other = robust_accuracies(table, images, net, size)
    return stats.paired_difference(first, other, name)


def trend(table: "pandas.DataFrame", images: Images, size: float | None) -> stats.Estimate:
    """Slope over the circular padding, by seed: of accuracy at a radius, or of the consistency.

    Args:
        table: The records.
        images: Settings, a `tfphen.phenomena.shift_invariance.images.Images`.
        size: Radius of PGD; None for the consistency.
    """
    paddings = np.asarray(list(images.paddings.values()), "float64")
    x, values = paddings - paddings.mean(), []
    for net in images.paddings:
        if size is None:
            values.append(rows_of(table, part="images", net=net).consistency.to_numpy())
        else:
            values.append(robust_accuracies(table, images, net, size))
    what = "consistency" if size is None else f"accuracy at {images.norm} {size:g}"
    slopes = x @ np.stack(values) / (x @ x)
    return stats.mean(slopes, f"slope of {what} over the padding in pixels")


def scaled_distance(table: "pandas.DataFrame", dots: Dots, arm: str) -> stats.Estimate:
    """Distance of a dot to the boundary over contrast / sqrt(pixels), mean by seed."""
    pixels, by_seed = distances_by_pixels(table, arm)
    shares = (by_seed * np.sqrt(pixels)).mean(1) / dots.contrast
    name = f"distance over contrast / sqrt(pixels), {arm.replace('_', ' ')}"
    return stats.mean_if_defined(shares, name)


def largest_robust_sizes(table: "pandas.DataFrame", sizes, **where) -> np.ndarray:
    """Returns the largest l-infinity radius up to which all examples stay correct, `[seeds]`."""
    largest = []
    for robust in rows_of(table, **where).robust_linf:
        intact = np.logical_and.accumulate(np.asarray(robust).all(0))
        largest.append(np.max(np.asarray(sizes)[intact], initial=0.0))
    return np.asarray(largest)


# ---- findings ----------------------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls of the parts that were run."""
    if config.margins is not None:
        yield from _margin_findings(table)
    if config.dots is not None:
        yield from _dot_findings(table, config.dots)
    if config.vectors is not None:
        yield from _vector_findings(table, config)
    if config.frequencies is not None:
        yield from _frequency_findings(table, config)
    if config.images is not None and config.gate_images:
        yield from _image_findings(table, config.images)


def _margin_findings(table) -> Iterator[Signature]:
    """Yields findings on hard-margin SVMs, whose margin on all shifts is known exactly."""
    for kind, case, subject in (
        (Signature, "all_shifts", "signals with all their circular shifts"),
        (Control, "no_shifts", "signals without their shifts"),
    ):
        rows = rows_of(table, part="margins", case=case)
        name = f"hard margin over the gap of means, {case.replace('_', ' ')}"
        yield kind(
            f"{case}/margin_ratio",
            stats.mean(rows.margin_over_dc_margin.to_numpy(), name),
            within=THRESHOLDS.margin_ratio,
            description=f"The hard margin of {subject} is the gap of their means.",
        )


def _slope_finding(table, kind: type[Signature], arm: str, shape: str) -> Signature:
    texts = {"sqrt": "decreases as 1 / sqrt(pixels)", "flat": "does not depend on the pixels"}
    return kind(
        f"{arm}/distance_slope_{shape}",
        slope(table, arm),
        within=getattr(THRESHOLDS, f"{shape}_slope"),
        description=f"The distance of a dot to the boundary of {ARM_NAMES[arm]} {texts[shape]}.",
    )


def _dot_findings(table, dots: Dots) -> Iterator[Signature]:
    """Yields findings on distances from a dot to the boundary."""
    if len(dots.sizes) > 1:
        yield _slope_finding(table, Signature, "convolution", "sqrt")
        yield _slope_finding(table, Signature, "fully_connected", "flat")
        yield _slope_finding(table, Control, "fully_connected", "sqrt")
        if len(dots.control_sizes) > 1:
            yield _slope_finding(table, Control, NO_POOLING, "sqrt")
            yield _slope_finding(table, Control, LINEAR, "flat")
    cases = [(Signature, "convolution", max(dots.sizes))]
    if dots.control_sizes:
        cases.append((Control, NO_POOLING, max(dots.control_sizes)))
    for kind, arm, size in cases:
        pixels = dots.pixels(size)
        yield kind(
            f"fully_connected/distance_ratio_to_{arm}",
            ratio(table, "dots", "fully_connected", arm, pixels=pixels),
            above=THRESHOLDS.ratio_share * pixels**0.5,
            description=(
                f"Dots are farther from the boundary of the fully connected network than of "
                f"{ARM_NAMES[arm]}, by a factor of the order of sqrt(pixels)."
            ),
        )
    if dots.control_sizes:
        for kind, arm in ((Signature, LINEAR), (Control, ZERO_MEAN)):
            yield kind(
                f"{arm}/scaled_distance",
                scaled_distance(table, dots, arm),
                within=THRESHOLDS.scaled_distance,
                description=(
                    f"The distance of a dot to the boundary of {ARM_NAMES[arm]} is contrast / "
                    "sqrt(pixels)."
                ),
            )


def _vector_findings(table, config: Config) -> Iterator[Signature]:
    """Yields findings on random orthogonal vectors."""
    for count in config.vectors.compared_counts:
        yield Signature(
            f"convolution/distance_ratio_{count}_vectors",
            ratio(table, "vectors", count=count),
            below=THRESHOLDS.nearer,
            description=(
                "Random orthogonal vectors are much nearer to the boundary of the convolution with "
                "pooling than of the fully connected network."
            ),
        )
    pixels = config.dots.pixels(max(config.dots.control_sizes))
    yield Control(
        f"{NO_POOLING}/distance_ratio_dots",
        ratio(table, "dots", NO_POOLING, pixels=pixels),
        below=THRESHOLDS.nearer,
        description=(
            "Dots are much nearer to the boundary of the convolution without pooling than of the "
            "fully connected network."
        ),
    )


def _frequency_findings(table, config: Config) -> Iterator[Signature]:
    """Yields findings on separate frequencies, where the order is reversed."""
    for count in config.frequencies.compared_counts:
        yield Signature(
            f"convolution/distance_ratio_{count}_frequencies",
            ratio(table, "frequencies", count=count),
            above=THRESHOLDS.farther,
            description=(
                "Separate frequencies are farther from the boundary of the convolution with "
                "pooling than of the fully connected network."
            ),
        )
    pixels = config.dots.pixels(max(config.dots.sizes))
    yield Control(
        "convolution/distance_ratio_dots",
        ratio(table, "dots", pixels=pixels),
        above=THRESHOLDS.farther,
        description=(
            "Dots are farther from the boundary of the convolution with pooling than of the fully "
            "connected network."
        ),
    )


def _image_findings(table, images: Images) -> Iterator[Signature]:
    """Yields findings on images; the same on clean accuracy is the control."""
    cases = ((Signature, images.size, "robust"), (Control, 0.0, "clean"))
    for net in images.invariant:
        for kind, size, case in cases:
            yield kind(
                f"{images.reference}/{case}_accuracy_gap_to_{net}",
                robust_gap(table, images, net, size),
                above=THRESHOLDS.accuracy_gap,
                description=f"The {case} accuracy of {images.reference} exceeds that of {net}.",
            )
    if images.paddings:
        for kind, size, case in cases:
            yield kind(
                f"padding/{case}_accuracy_slope",
                trend(table, images, size),
                below=THRESHOLDS.accuracy_slope,
                description=f"The {case} accuracy decreases with the circular padding.",
            )
        yield Signature(
            "padding/consistency_slope",
            trend(table, images, None),
            above=THRESHOLDS.consistency_slope,
            description="The consistency under shifts increases with the circular padding.",
        )


# ---- published numbers -------------------------------------------------------------------------


def _rows(config: Config, setting: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns that select the rows of a number on dots or signals."""
    part = {"part": "dots"} if "pixels" in setting else {}
    return {**setting, **part}


def _of_signals(function, table, config: Config, setting: Mapping[str, Any], name: str):
    """Mean over seeds of a function of the table and its rows, None if there are none."""
    where = _rows(config, setting)
    if getattr(config, where["part"]) is None or not len(rows_of(table, **where)):
        return None
    return stats.mean(function(table, **where), f"{name}, {where['arm'].replace('_', ' ')}")


def mean_distance(table, config: Config, setting: Mapping[str, Any]):
    """Mean distance of examples to the decision boundary."""
    return _of_signals(distances, table, config, setting, "mean distance to the boundary, l2")


def median_distance(table, config: Config, setting: Mapping[str, Any]):
    """Median distance of examples to the decision boundary."""
    return _of_signals(
        median_distances, table, config, setting, "median distance to the boundary, l2"
    )


def dot_margin(table, config: Config, setting: Mapping[str, Any]):
    """Margin between the dots, twice the distance to the boundary."""
    return _of_signals(
        lambda table, **where: 2 * distances(table, **where),
        table,
        config,
        setting,
        "margin between the dots, l2",
    )


def largest_robust_size(table, config: Config, setting: Mapping[str, Any]):
    """Largest l-infinity radius up to which all examples stay correct."""
    part = getattr(config, _rows(config, setting)["part"])
    if part is None or not part.attack.linf_sizes:
        return None
    return _of_signals(
        lambda table, **where: largest_robust_sizes(table, part.attack.linf_sizes, **where),
        table,
        config,
        setting,
        "largest l-infinity radius without errors",
    )


def mean_robust_accuracy(table, config: Config, setting: Mapping[str, Any]):
    """Accuracy of a network at one radius of PGD."""
    images, net = config.images, setting["net"]
    norm, size = setting["norm"], setting["size"]
    if images is None or net not in images.nets:
        return None
    if size not in getattr(images.attack, f"{norm}_sizes"):
        return None
    accuracies = robust_accuracies(table, images, net, size, norm)
    return stats.mean(accuracies, f"robust accuracy, {norm} {size:g}, {net}")


def consistency_percent(table, config: Config, setting: Mapping[str, Any]):
    """Consistency of a network under circular shifts, in percent."""
    net = setting["net"]
    if config.images is None or net not in config.images.nets:
        return None
    shares = rows_of(table, part="images", net=net).consistency.to_numpy()
    return stats.mean(100 * shares, f"consistency, %, {net}")


STATISTICS = {
    "mean_distance": mean_distance,
    "median_distance": median_distance,
    "dot_margin": dot_margin,
    "largest_robust_size": largest_robust_size,
    "mean_robust_accuracy": mean_robust_accuracy,
    "consistency_percent": consistency_percent,
}
