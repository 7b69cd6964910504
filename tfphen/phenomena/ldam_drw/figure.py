"""Gains in recall and training margins over the rank of the classes, and errors of all arms."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.ldam_drw import findings as readings
from tfphen.phenomena.ldam_drw.phenomenon import ARMS

_NAMES = {
    "ce": "cross-entropy (CE)",
    "ce_cosine": "CE, cosine head",
    "cb_rw": "CE, re-weighted",
    "ce_drw": "CE-DRW",
    "ldam": "LDAM",
    "ldam_drw": "LDAM-DRW",
    "ldam_drw_reversed": "LDAM-DRW, counts reversed",
    "ce_other": "CE, other weights and order",
    "ce_balanced": "CE, balanced",
    "ldam_drw_balanced": "LDAM-DRW, balanced",
}
_LINES = ("ce_cosine", "ce_drw", "ldam", "ldam_drw", "ldam_drw_reversed")
_COLOURS = dict(zip(_LINES, plots.SERIES, strict=False))
_MARKERS = dict(zip(_LINES, plots.MARKERS, strict=False))


def draw(table, config, figure) -> None:
    """Draws what the rare classes gain, where margins lie, and how all arms compare."""
    figure.set_size_inches(12.0, 4.0)
    recalls, margins, errors = figure.subplots(1, 3, width_ratios=(1.0, 1.0, 1.1))
    plain = readings.by_rank(table, "ce", "test_class_recall")
    _draw_classes(recalls, table, config, _LINES, "test_class_recall", plain)
    plots.threshold_line(recalls, 0.0)
    recalls.set(ylabel="test recall minus that of CE", title="The rare classes gain")
    recalls.legend(loc="upper left")
    cosine = [arm for arm in _LINES if ARMS[arm].head == "cosine"]
    _draw_classes(margins, table, config, cosine, "train_class_margin")
    asked = readings.by_rank(table, "ldam_drw", "class_margin").mean(0)
    ranks = np.arange(1, len(asked) + 1)
    margins.plot(ranks, asked, ":", color=plots.INK, label="asked by LDAM")
    margins.set(ylabel="cosine of the label minus the next", title="Margins in the training set")
    margins.legend(handles=margins.lines[-1:], loc="best")
    _draw_errors(errors, table, config)


def _draw_classes(axes, table, config, arms, column, baseline=0.0) -> None:
    """A number of each class over its rank, a line an arm."""
    for arm in arms:
        if arm in config.arms:
            values = readings.by_rank(table, arm, column) - baseline
            ranks = np.arange(1, values.shape[1] + 1)
            look = {"color": _COLOURS[arm], "marker": _MARKERS[arm]}
            plots.interval_band(axes, ranks, values, _NAMES[arm], **look)
    axes.set(xlabel="class, from the most frequent to the rarest")


def _draw_errors(axes, table, config) -> None:
    """One row an arm: each seed, a bar at the mean, and the mean of the least on the curve."""
    label = "least error on the way"
    for row, arm in enumerate(config.arms):
        values = readings.errors(table, arm)
        colour = _COLOURS.get(arm, plots.SERIES[-1])
        marker = _MARKERS.get(arm, plots.MARKERS[-1])
        axes.plot(values, np.full(len(values), row), marker, color=colour, alpha=0.45, ms=3)
        axes.plot(values.mean(), row, "|", color=colour, ms=13, mew=2)
        if config.curve:
            least = readings.least_errors(table, arm).mean()
            axes.plot(least, row, "x", color=plots.INK, ms=6, label=label)
            label = None
    axes.set(yticks=range(len(config.arms)), yticklabels=[_NAMES[arm] for arm in config.arms])
    axes.set(xlabel="balanced test error", ylim=(len(config.arms) - 0.5, -0.5))
    axes.set_title("Balanced test error")
    axes.grid(True, axis="x")
    if config.curve:
        axes.legend(loc="best")
