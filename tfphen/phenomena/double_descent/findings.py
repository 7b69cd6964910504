"""Peaks of test loss and error over width, samples and time: statistics, signatures, controls."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.interior_peak import interior_peak
from tfphen.phenomena.double_descent.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Thresholds of the findings.

    Attributes:
        loss: Rise and drop of the test loss of networks, nats.
        error: Rise and drop of the test error of networks, and over time.
        random_features_error: Rise and drop of the test error of random features.
        peak_location: Interval for log2 of the width of the peak over the interpolation width.
    """

    loss: float = 0.3
    error: float = 0.02
    random_features_error: float = 0.1
    peak_location: tuple[float, float] = (-1.0, 1.0)


THRESHOLDS = Thresholds()
# The interpolation width is the first whose training error is at most this.
INTERPOLATION_ERROR = 0.1


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings of each sweep that the settings have."""
    if config.widths:
        yield from _model_wise(table[table.arm == "width"])
    if config.epoch_width is not None:
        yield from _epoch_wise(table[table.arm == "epoch"])
    for arm in ("features", "samples"):
        rows = table[table.arm == arm]
        if len(rows):
            yield from _random_features(rows, arm)
    rows = table[table.arm == "descent"]
    if config.descent_steps and len(rows):
        yield from _two_scales(rows)


def _model_wise(rows: "pandas.DataFrame") -> Iterator[Signature]:
    noisy, clean = rows[rows.label_noise > 0], rows[rows.label_noise == 0]
    rise, drop = _rise_and_drop(grid_of(noisy, "test_loss"))
    yield Signature(
        "width/test_loss_rise",
        rise,
        above=THRESHOLDS.loss,
        description="With label noise, test loss rises to a peak over width.",
    )
    yield Signature(
        "width/test_loss_drop",
        drop,
        above=THRESHOLDS.loss,
        description="With label noise, test loss drops beyond its peak over width.",
    )
    _, drop = _rise_and_drop(grid_of(noisy, "test_error"))
    yield Signature(
        "width/test_error_drop",
        drop,
        above=THRESHOLDS.error,
        description="With label noise, test error drops beyond its peak over width.",
    )
    yield Signature(
        "width/peak_location",
        _peak_location(noisy),
        within=THRESHOLDS.peak_location,
        description="The peak of the test loss lies within a factor of 2 of the first width that "
        "fits 90 % of its training labels.",
    )
    if len(clean):
        # A curve that only falls has no rise, however far it drops: the rise alone is the control.
        rise, _ = _rise_and_drop(grid_of(clean, "test_loss"))
        yield Control(
            "width_no_label_noise/test_loss_rise",
            rise,
            above=THRESHOLDS.loss,
            description="Without label noise, test loss rises to a peak over width.",
        )


def _epoch_wise(rows: "pandas.DataFrame") -> Iterator[Signature]:
    for role, arm, words, part in (
        (Signature, "epoch", "With", rows[rows.label_noise > 0]),
        (Control, "epoch_no_label_noise", "Without", rows[rows.label_noise == 0]),
    ):
        if len(part):
            rise, drop = _rise_and_drop(_curves(part))
            yield role(
                f"{arm}/test_error_rise",
                rise,
                above=THRESHOLDS.error,
                description=f"{words} label noise, test error rises to a peak during training.",
            )
            yield role(
                f"{arm}/test_error_drop",
                drop,
                above=THRESHOLDS.error,
                description=f"{words} label noise, test error drops beyond its peak during "
                "training.",
            )


def _random_features(rows: "pandas.DataFrame", arm: str) -> Iterator[Signature]:
    name, sweep = {
        "features": ("random_features", "the number of random features"),
        "samples": ("samples", "the number of training examples"),
    }[arm]
    limit = THRESHOLDS.random_features_error
    rise, drop = _rise_and_drop(grid_of(rows[rows.ridge == 0], "test_error"))
    yield Signature(
        f"{name}/test_error_rise",
        rise,
        above=limit,
        description=f"Without a penalty, test error rises to a peak over {sweep}.",
    )
    yield Signature(
        f"{name}/test_error_drop",
        drop,
        above=limit,
        description=f"Without a penalty, test error drops beyond its peak over {sweep}.",
    )
    # A curve that only falls has no rise, however far it drops: the rise alone is the control.
    rise, _ = _rise_and_drop(grid_of(rows[rows.ridge > 0], "test_error"))
    yield Control(
        f"{name}_ridge/test_error_rise",
        rise,
        above=limit,
        description=f"With a ridge penalty, test error rises to a peak over {sweep}.",
    )


def _two_scales(rows: "pandas.DataFrame") -> Iterator[Signature]:
    rise, drop = _rise_and_drop(_curves(rows[rows.scale < 1]))
    yield Signature(
        "two_scales/test_error_rise",
        rise,
        above=THRESHOLDS.error,
        description="With features of two scales, the test error of gradient descent rises to a "
        "peak.",
    )
    yield Signature(
        "two_scales/test_error_drop",
        drop,
        above=THRESHOLDS.error,
        description="With features of two scales, the test error of gradient descent drops beyond "
        "its peak.",
    )
    # With one scale the error falls and then rises for good: there is no drop.
    _, drop = _rise_and_drop(_curves(rows[rows.scale == 1]))
    yield Control(
        "one_scale/test_error_drop",
        drop,
        above=THRESHOLDS.error,
        description="With features of one scale, the test error of gradient descent drops beyond "
        "a peak.",
    )


# ---- statistics ----------------------------------------------------------------------------------


def grid_of(rows: "pandas.DataFrame", column: str) -> "pandas.DataFrame":
    """Returns one row a seed, one column a size."""
    return rows.pivot(index="seed", columns="size", values=column)


def _curves(rows: "pandas.DataFrame") -> list[np.ndarray]:
    """Returns the curves of the test error during training, by seed."""
    return rows.sort_values("seed").curve_test_error.tolist()


def _rise_and_drop(curves) -> tuple[Estimate, Estimate]:
    """Means over seeds of the rise to an interior peak, and of the drop beyond it."""
    peak = interior_peak(curves)
    rise = stats.mean(peak.rise, "rise to the peak")
    return rise, stats.mean(peak.drop, "drop behind the peak")


def _peak_location(rows: "pandas.DataFrame") -> Estimate:
    """Width of the peak of the test loss relative to the interpolation width, log2."""
    loss, error = grid_of(rows, "test_loss"), grid_of(rows, "train_error")
    widths = np.asarray(loss.columns, "float64")
    interpolates = (error.to_numpy() <= INTERPOLATION_ERROR).argmax(1)
    distance = np.log2(widths[interior_peak(loss.to_numpy()).position] / widths[interpolates])
    return stats.mean(distance, "log2 of peak width over interpolation width")


# ---- published numbers ---------------------------------------------------------------------------


def mean_error(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], *, split: str
) -> tuple[Estimate, Estimate | None] | None:
    """Error of the networks of a width and noise rate, %, and of those of the baseline's width.

    Args:
        table: The records.
        config: Their settings.
        setting: `width`, `label_noise` and, for the baseline, `against_width` of the number.
        split: `"train"` or `"test"`.
    """
    networks = table[table.arm == "width"]
    networks = networks[(networks.label_noise - setting["label_noise"]).abs() < 1e-9]

    def estimate(width: int | None) -> Estimate | None:
        errors = networks[networks["size"] == width][f"{split}_error"]
        return stats.mean(100 * errors, f"{split} error, %") if len(errors) else None

    ours = estimate(setting["width"])
    return None if ours is None else (ours, estimate(setting.get("against_width")))


STATISTICS = {"mean_error": mean_error}
