"""Invariance to shifts can cost robustness (Singla et al. 2021, arXiv 2103.02695).

Four parts: hard margins of signals with all their shifts, a bright against a dark dot, orthogonal
signals, and images.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, report
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.shift_invariance import findings as readings
from tfphen.phenomena.shift_invariance.images import Images
from tfphen.phenomena.shift_invariance.sources import SOURCES
from tfphen.phenomena.shift_invariance.trials import (
    ARMS,
    LINEAR,
    NO_POOLING,
    ZERO_MEAN,
    Dots,
    Margins,
    Signals,
)
from tfphen.verdicts.findings import Control, Signature

# Slopes of log distance over log pixels; share of the ratio sqrt(pixels) that shows; ratio of a
# margin to the one in theory, and of a distance; ratio that is clearly below 1; difference of
# accuracies; slopes of accuracy and of consistency over a pixel of padding.
FALLS, STAYS, SHARE, EQUAL = (-0.65, -0.35), (-0.15, 0.15), 0.4, (0.999, 1.001)
SUM, BELOW, GAP, FALL, RISE = (0.9, 1.1), 0.5, 0.05, -0.005, 0.005


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        margins, dots, vectors, frequencies, images: Of each part, or None to leave it out; dots
            are the control of orthogonal vectors and frequencies.
        gate_images: Whether the robustness on images is tested, or only shown.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    margins: Margins | None = None
    dots: Dots | None = None
    vectors: Signals | None = None
    frequencies: Signals | None = None
    images: Images | None = None
    gate_images: bool = True
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        tested = self.margins or (self.images is not None and self.gate_images)
        controlled = self.dots is not None and self.dots.control_sizes
        if (self.vectors or self.frequencies) and not controlled:
            raise UsageError(
                "`vectors` and `frequencies` need `dots` with `control_sizes`, their control. "
                f"Received: dots={self.dots}"
            )
        if not (tested or controlled):
            raise UsageError(
                "At least one of `margins`, `dots` with `control_sizes`, and `images` that are "
                "tested is given. Received: none of them"
            )


# ---- models and the solver ---------------------------------------------------------------------


def _circular_convnet(input_shape, num_classes, **settings):
    from tfphen.phenomena.shift_invariance.models import circular_convnet

    return circular_convnet(input_shape, num_classes, **settings)


def _normalized_mlp(input_shape, num_classes, **settings):
    from tfphen.phenomena.shift_invariance.models import normalized_mlp

    return normalized_mlp(input_shape, num_classes, **settings)


def _measure(name: str, *arguments):
    def function(trained):
        from tfphen.phenomena.shift_invariance import measures

        return getattr(measures, name)(trained, *arguments)

    return function


def _solve_hard_margin(trials, examples, tick):
    from tfphen.phenomena.shift_invariance import measures

    return measures.solve_hard_margin(trials, examples, tick)


class ShiftInvariance(Phenomenon):
    """Parts are independent of each other; arms of a part share their seeds."""

    title = "Shift invariance and adversarial robustness"
    claim = (
        "A linear classifier that is invariant to circular shifts can use the mean of a signal "
        "only, so its margin can shrink with the square root of the dimension; wide convolutional "
        "networks with pooling inherit that, and on images they can be easier to attack than fully "
        "connected ones. On other data, such as separate frequencies, they are harder to attack."
    )
    paper = (
        "V. Singla, S. Ge, R. Basri, D. Jacobs, Shift Invariance Can Reduce Adversarial "
        "Robustness, NeurIPS 2021, arXiv 2103.02695"
    )
    Config = Config
    measures = (
        error("test"),
        Measure("distances", _measure("distances")),
        Measure("robust_l2", _measure("robust", "l2")),
        Measure("robust_linf", _measure("robust", "linf")),
        Measure("consistency", _measure("consistency")),
        report("margin_over_dc_margin"),
        report("cosine_with_constant"),
    )
    models: ClassVar[Mapping] = {
        "circular_convnet": _circular_convnet,
        "normalized_mlp": _normalized_mlp,
    }
    sources: ClassVar[Mapping] = SOURCES
    solvers: ClassVar[Mapping] = {"hard_margin": _solve_hard_margin}

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for part in (config.margins, config.dots, config.images):
                yield from part.trials(seed) if part is not None else ()
            for kind in ("vectors", "frequencies"):
                part = getattr(config, kind)
                yield from part.trials(kind, seed) if part is not None else ()

    def findings(self, table, config: Config) -> Iterator[Signature]:
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

    def reproductions(self, table, config: Config, number):
        return readings.reproduction(table, config, number)


# ---- findings ------------------------------------------------------------------------------------


def _margin_findings(table) -> Iterator[Signature]:
    """Yields findings on the machine of all shifts, which is known exactly."""
    from tfphen.verdicts import stats

    for kind, case in ((Signature, "all_shifts"), (Control, "no_shifts")):
        rows = rows_of(table, part="margins", case=case)
        name = f"hard margin over the gap of means, {case.replace('_', ' ')}"
        estimate = stats.mean(rows.margin_over_dc_margin.to_numpy(), name)
        yield kind(f"margin_of_{case}_is_the_gap_of_means", estimate, within=EQUAL)


def _dot_findings(table, dots: Dots) -> Iterator[Signature]:
    """Yields findings on distances from a dot to the boundary."""
    if len(dots.sizes) > 1:
        dense, convolution = (readings.slope(table, arm) for arm in ARMS)
        name = "distance_falls_as_root_of_pixels"
        yield Signature(f"{name}_for_convolution", convolution, within=FALLS)
        yield Signature("distance_stays_for_fully_connected", dense, within=STAYS)
        yield Control(f"{name}_for_fully_connected", dense, within=FALLS)
        if len(dots.control_sizes) > 1:
            estimate = readings.slope(table, NO_POOLING)
            yield Control(f"{name}_without_pooling", estimate, within=FALLS)
            estimate = readings.slope(table, LINEAR)
            yield Control("distance_stays_for_linear", estimate, within=STAYS)
    cases = [(Signature, "convolution", max(dots.sizes))]
    if dots.control_sizes:
        cases.append((Control, NO_POOLING, max(dots.control_sizes)))
    for kind, arm, size in cases:
        pixels = dots.pixels(size)
        estimate = readings.ratio(table, "dots", "fully_connected", arm, pixels=pixels)
        limit = SHARE * pixels**0.5
        yield kind(f"fully_connected_is_farther_than_{arm}", estimate, above=limit)
    if dots.control_sizes:
        for kind, arm in ((Signature, LINEAR), (Control, ZERO_MEAN)):
            estimate = readings.distance_of_mean(table, dots, arm)
            yield kind(f"distance_of_{arm}_net_is_that_of_mean", estimate, within=SUM)


def _vector_findings(table, config: Config) -> Iterator[Signature]:
    """Yields findings on random orthogonal vectors."""
    for count in config.vectors.compared_counts:
        estimate = readings.ratio(table, "vectors", count=count)
        yield Signature(f"convolution_is_nearer_on_{count}_vectors", estimate, below=BELOW)
    pixels = config.dots.pixels(max(config.dots.control_sizes))
    estimate = readings.ratio(table, "dots", NO_POOLING, pixels=pixels)
    yield Control("convolution_without_pooling_is_nearer", estimate, below=BELOW)


def _frequency_findings(table, config: Config) -> Iterator[Signature]:
    """Yields findings on frequencies, where the order turns round."""
    for count in config.frequencies.compared_counts:
        estimate = readings.ratio(table, "frequencies", count=count)
        yield Signature(f"convolution_is_farther_on_{count}_frequencies", estimate, above=1.0)
    pixels = config.dots.pixels(max(config.dots.sizes))
    estimate = readings.ratio(table, "dots", pixels=pixels)
    yield Control("convolution_is_farther_on_dots", estimate, above=1.0)


def _image_findings(table, images: Images) -> Iterator[Signature]:
    """Yields findings on images; the same at size 0, on clean accuracy, is the control."""
    for net in images.invariant:
        for kind, size in ((Signature, images.size), (Control, 0.0)):
            estimate = readings.robust_gap(table, images, net, size)
            case = "robust" if size else "accurate"
            yield kind(f"{images.reference}_is_more_{case}_than_{net}", estimate, above=GAP)
    if images.paddings:
        for kind, size in ((Signature, images.size), (Control, 0.0)):
            estimate = readings.trend(table, images, size)
            case = "robustness" if size else "accuracy"
            yield kind(f"{case}_falls_with_padding", estimate, below=FALL)
        estimate = readings.trend(table, images, None)
        yield Signature("consistency_rises_with_padding", estimate, above=RISE)
