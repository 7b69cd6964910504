"""Recall gains and training margins by class rank, and the errors of all arms."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.ldam_drw.findings import by_rank, errors, least_errors
from tfphen.phenomena.ldam_drw.trials import ARMS

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
_COLORS = dict(zip(_LINES, plots.SERIES, strict=False))
_MARKERS = dict(zip(_LINES, plots.MARKERS, strict=False))


def draw(table, config, figure) -> None:
    """Draws recall gains and training margins by class, and the error of every arm."""
    figure.set_size_inches(12.0, 4.0)
    recalls, margins, bars = figure.subplots(1, 3, width_ratios=(1.0, 1.0, 1.1))
    baseline = by_rank(table, "ce", "test_class_recall")
    _draw_classes(recalls, table, config, _LINES, "test_class_recall", baseline)
    plots.threshold_line(recalls, 0.0)
    recalls.set(ylabel="test recall minus that of CE", title="Rare classes gain recall")
    recalls.legend(loc="upper left")
    cosine = [arm for arm in _LINES if ARMS[arm].head == "cosine"]
    _draw_classes(margins, table, config, cosine, "train_class_margin")
    required = by_rank(table, "ldam_drw", "class_margin").mean(0)
    ranks = np.arange(1, len(required) + 1)
    margins.plot(ranks, required, ":", color=plots.INK, label="margin in the LDAM loss")
    margins.set(ylabel="cosine of label minus largest other", title="Training margins")
    margins.legend(handles=margins.lines[-1:], loc="best")
    _draw_errors(bars, table, config)


def _draw_classes(axes, table, config, arms, column, baseline=0.0) -> None:
    """Draws a per-class column over class rank, one line per arm."""
    for arm in arms:
        if arm in config.arms:
            values = by_rank(table, arm, column) - baseline
            ranks = np.arange(1, values.shape[1] + 1)
            look = {"color": _COLORS[arm], "marker": _MARKERS[arm]}
            plots.interval_band(axes, ranks, values, _NAMES[arm], **look)
    axes.set(xlabel="class, from the most frequent to the rarest")


def _draw_errors(axes, table, config) -> None:
    """Draws one row per arm: each seed, the mean, and the mean of the lowest error on the curve."""
    label = "lowest error on the curve"
    for row, arm in enumerate(config.arms):
        values = errors(table, arm)
        color = _COLORS.get(arm, plots.SERIES[-1])
        marker = _MARKERS.get(arm, plots.MARKERS[-1])
        axes.plot(values, np.full(len(values), row), marker, color=color, alpha=0.45, ms=3)
        axes.plot(values.mean(), row, "|", color=color, ms=13, mew=2)
        if config.curve:
            least = least_errors(table, arm).mean()
            axes.plot(least, row, "x", color=plots.INK, ms=6, label=label)
            label = None
    axes.set(yticks=range(len(config.arms)), yticklabels=[_NAMES[arm] for arm in config.arms])
    axes.set(xlabel="balanced test error", ylim=(len(config.arms) - 0.5, -0.5))
    axes.set_title("Balanced test error")
    axes.grid(True, axis="x")
    if config.curve:
        axes.legend(loc="best")
