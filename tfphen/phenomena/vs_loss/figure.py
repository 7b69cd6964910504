"""Paths to machines, errors over margins, rare classes in networks, and the worst group."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.vs_loss import findings as readings
from tfphen.phenomena.vs_loss.phenomenon import ARMS

NAMES = {
    "cross_entropy": "cross-entropy",
    "weights": "class weights",
    "logit_adjustment": "shifts (LA)",
    "temperatures": "factors (CDT)",
    "vector_scaling": "both (VS)",
}
LOOKS = {
    arm: {"color": plots.SERIES[index], "marker": plots.MARKERS[index]}
    for index, arm in enumerate(ARMS)
}


def draw(table, config, figure) -> None:
    """Draws a panel for each part that was run, and two for networks."""
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
    """Where between the two machines a path is: the difference of its angles to them."""
    penalties = 10.0 ** -np.arange(1, config.path.decades + 1)
    for arm in ARMS:
        angles = [
            np.degrees(np.arccos(np.minimum(readings.cosines(table, to, arm), 1.0)))
            for to in ("sensitive_machine", "plain_machine")
        ]
        plots.interval_band(axes, penalties, angles[0] - angles[1], NAMES[arm], **LOOKS[arm])
    axes.axhline(0.0, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(xscale="log", xlabel="penalty", title="What factors move, weights forget")
    axes.set(ylabel="angle to sensitive - to plain machine, degrees")
    axes.invert_xaxis()
    axes.legend()


def _draw_mixture(axes, table, config) -> None:
    """Balanced error over delta, and the errors on both classes in the first dimensions."""
    deltas, several = config.mixture.deltas(), len(config.mixture.dimensions) > 1
    for dimensions in config.mixture.dimensions:
        minority, majority = readings.mixture_errors(table, "imbalanced", dimensions)
        label = f"{dimensions / config.mixture.count:g} dimensions an example"
        label = label if several else "mean of both"
        line = plots.interval_band(axes, deltas, (minority + majority) / 2, label)
        if config.mixture.limit:
            setting = dimensions / config.mixture.count, config.mixture.mean
            limits = readings.mixture_limit(*setting, config.mixture.minority, deltas)
            axes.plot(deltas, sum(limits) / 2, ":", color=line.get_color(), linewidth=2.4)
        if not several:
            for values, name in ((minority, "rare class"), (majority, "frequent class")):
                plots.interval_band(axes, deltas, values, name, linestyle="--")
    balanced = readings.mixture_errors(table, "balanced", config.mixture.dimensions[0])
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
    """Recall of rare classes over updates, a line a loss."""
    for arm in config.arms:
        steps, recalls = readings.minority_recall(table, arm)
        plots.interval_band(axes, steps, recalls, NAMES[arm], **LOOKS[arm])
    if config.early is not None:
        plots.threshold_line(axes, config.early, "early", vertical=True)
    axes.set(xscale="log", xlabel="updates", ylabel="test recall of rare classes")
    axes.set(title="Factors are late, and stay", ylim=(None, 1.35 * axes.get_ylim()[1]))
    axes.legend(loc="upper right", ncols=2, fontsize=7.5)


def _draw_errors(axes, table, config) -> None:
    """One row a loss, one colour and marker a case: each seed, and a bar at the mean."""
    cases = {
        "imbalanced": ("imbalanced", plots.SERIES[0], "o"),
        "balanced": ("equal counts", plots.SERIES[5], "P"),
        "reversed": ("counts reversed", plots.SERIES[1], "s"),
    }
    for case, (label, colour, marker) in cases.items():
        for row, arm in enumerate(config.arms):
            if not len(rows_of(table, part="deep", arm=arm, case=case)):
                continue
            errors = readings.balanced_errors(table, arm, case)
            heights = np.full(len(errors), row)
            axes.plot(errors, heights, marker, color=colour, alpha=0.45, ms=3, label=label)
            axes.plot(errors.mean(), row, "|", color=colour, ms=9, mew=2)
            label = None
    axes.set(yticks=range(len(config.arms)), yticklabels=[NAMES[arm] for arm in config.arms])
    axes.set(xlabel="balanced test error", title="Where networks end")
    axes.set(ylim=(len(config.arms) - 0.5, -0.5))
    axes.grid(True, axis="x")
    axes.legend(loc="best")


def _draw_groups(axes, table, config) -> None:
    """Error of the worst cell, mean error and gap over the exponent of the margins."""
    exponents = config.groups.exponents
    for label, values in (
        ("worst group", readings.worst_errors(table, "spurious")),
        ("mean of groups", readings.mean_errors(table, "spurious")),
        ("gap (DEO)", readings.odds_gaps(table, "spurious")),
    ):
        plots.interval_band(axes, exponents, values, label)
    for case, label, look in (
        ("reversed", "worst, margins reversed", ":"),
        ("independent", "worst, attribute independent", "--"),
    ):
        values = readings.worst_errors(table, case)
        plots.interval_band(
            axes, exponents, values, label, linestyle=look, color=plots.SERIES[0], marker=""
        )
    axes.set(xlabel="exponent of the margins by group", ylabel="error")
    axes.set(title="Margins by group help the worst one", ylim=(0, 1.4 * axes.get_ylim()[1]))
    axes.legend(ncols=2, fontsize=7.5)
