"""Regularization paths, errors over margins, rare classes in networks, and the worst group."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.vs_loss import statistics
from tfphen.phenomena.vs_loss.limit import mixture_limit
from tfphen.phenomena.vs_loss.trials import ARMS

NAMES = {
    "cross_entropy": "cross-entropy",
    "weights": "class weights",
    "logit_adjustment": "logit adjustment (LA)",
    "temperatures": "temperatures (CDT)",
    "vector_scaling": "vector scaling (VS)",
}
LOOKS = {
    arm: {"color": plots.SERIES[index], "marker": plots.MARKERS[index]}
    for index, arm in enumerate(ARMS)
}


def draw(table, config, figure) -> None:
    """Draws one panel per part that was run, and two for networks."""
    panels = []
    if config.path is not None:
        panels.append(_draw_path)
    if config.mixture is not None:
        panels.append(_draw_mixture)
    if config.arms:
        panels += [_draw_recall] * bool(config.curve) + [_draw_errors]
    if config.groups is not None:
        panels.append(_draw_groups)
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure.set_size_inches(4.3 * columns, 3.7 * rows)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes, panel in zip(places, panels, strict=False):
        panel(axes, table, config)


def _draw_path(axes, table, config) -> None:
    """Draws the difference of the angles of each path to the two SVMs."""
    penalties = 10.0 ** -np.arange(1, config.path.decades + 1)
    for arm in ARMS:
        angles = [
            np.degrees(np.arccos(np.minimum(statistics.cosines(table, to, arm), 1.0)))
            for to in ("sensitive_machine", "plain_machine")
        ]
        plots.interval_band(axes, penalties, angles[0] - angles[1], NAMES[arm], **LOOKS[arm])
    axes.axhline(0.0, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="penalty", title="Only multiplicative adjustment persists")
    axes.set(ylabel="angle to cost-sensitive - to plain SVM, degrees")
    axes.invert_xaxis()
    axes.legend()


def _draw_mixture(axes, table, config) -> None:
    """Draws balanced error over delta, and for a single dimension the errors on both classes."""
    deltas, several = config.mixture.deltas(), len(config.mixture.dimensions) > 1
    for dimensions in config.mixture.dimensions:
        minority, majority = statistics.mixture_errors(table, "imbalanced", dimensions)
        label = f"{dimensions / config.mixture.count:g} dimensions per example"
        label = label if several else "mean of both"
        line = plots.interval_band(axes, deltas, (minority + majority) / 2, label)
        if config.mixture.limit:
            setting = dimensions / config.mixture.count, config.mixture.mean
            limits = mixture_limit(*setting, config.mixture.minority, deltas)
            axes.plot(deltas, sum(limits) / 2, ":", color=line.get_color(), linewidth=2.4)
        if not several:
            for values, name in ((minority, "rare class"), (majority, "frequent class")):
                plots.interval_band(axes, deltas, values, name, linestyle="--")
    balanced = statistics.mixture_errors(table, "balanced", config.mixture.dimensions[0])
    label = "equal counts" if not several else "equal counts, first"
    plots.interval_band(axes, deltas, sum(balanced) / 2, label, color=plots.SERIES[5])
    axes.set(xscale="log", xticks=(1, 2, 5, 10, 20), xticklabels=("1", "2", "5", "10", "20"))
    axes.minorticks_off()
    axes.set(xlabel="margin of the rare class / of the frequent one", ylabel="error")
    axes.set(title="A larger margin for the rare class")
    if config.mixture.limit:
        axes.plot([], [], ":", color=plots.INK, linewidth=2.4, label="limit")
    axes.legend()


def _draw_recall(axes, table, config) -> None:
    """Draws the recall of rare classes over updates, one line per loss."""
    for arm in config.arms:
        steps, recalls = statistics.minority_recall(table, arm)
        plots.interval_band(axes, steps, recalls, NAMES[arm], **LOOKS[arm])
    if config.early is not None:
        plots.threshold_line(axes, config.early, "early", vertical=True)
    axes.set(xscale="log", xlabel="updates", ylabel="test recall of rare classes")
    axes.set(title="Temperatures act late, and persist", ylim=(None, 1.35 * axes.get_ylim()[1]))
    axes.legend(loc="upper right", ncols=2, fontsize=7.5)


def _draw_errors(axes, table, config) -> None:
    """Draws one row per loss, one color and marker per case: each seed and the mean."""
    cases = {
        "imbalanced": ("imbalanced", plots.SERIES[0], "o"),
        "balanced": ("equal counts", plots.SERIES[5], "P"),
        "reversed": ("counts reversed", plots.SERIES[1], "s"),
    }
    for case, (label, color, marker) in cases.items():
        for row, arm in enumerate(config.arms):
            if not len(rows_of(table, part="deep", arm=arm, case=case)):
                continue
            errors = statistics.balanced_errors(table, arm, case)
            heights = np.full(len(errors), row)
            axes.plot(errors, heights, marker, color=color, alpha=0.45, ms=3, label=label)
            axes.plot(errors.mean(), row, "|", color=color, ms=9, mew=2)
            label = None
    axes.set(yticks=range(len(config.arms)), yticklabels=[NAMES[arm] for arm in config.arms])
    axes.set(xlabel="balanced test error", title="Final error of networks")
    axes.set(ylim=(len(config.arms) - 0.5, -0.5))
    axes.grid(True, axis="x")
    axes.legend(loc="best")


def _draw_groups(axes, table, config) -> None:
    """Draws worst-group error, mean error and gap over the exponent of the margins."""
    exponents = config.groups.exponents
    for label, values in (
        ("worst group", statistics.worst_errors(table, "spurious")),
        ("mean of groups", statistics.mean_errors(table, "spurious")),
        ("gap (DEO)", statistics.odds_gaps(table, "spurious")),
    ):
        plots.interval_band(axes, exponents, values, label)
    for case, label, look in (
        ("reversed", "worst, margins reversed", ":"),
        ("independent", "worst, attribute independent", "--"),
    ):
        values = statistics.worst_errors(table, case)
        plots.interval_band(
            axes, exponents, values, label, linestyle=look, color=plots.SERIES[0], marker=""
        )
    axes.set(xlabel="exponent of the margins by group", ylabel="error")
    axes.set(title="Margins by group help the worst group", ylim=(0, 1.4 * axes.get_ylim()[1]))
    axes.legend(ncols=2, fontsize=7.5)
