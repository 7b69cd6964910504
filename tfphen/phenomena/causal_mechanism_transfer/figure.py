"""A target domain with its combinations and errors of all arms, or errors in each country."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.causal_mechanism_transfer.findings import (
    COMPARED,
    THRESHOLDS,
    log_ratios,
    relative_errors,
)
from tfphen.phenomena.causal_mechanism_transfer.shared_mechanism import UNITS
from tfphen.phenomena.causal_mechanism_transfer.trials import CASES, COUNTRIES, SHOWN_ARMS
from tfphen.verdicts import stats

_NAMES = {
    "true_mechanism": "true mechanism",
    "linear_mechanism": "linear mechanism",
    "fast_ica": "FastICA",
    "turned_fast_ica": "FastICA, rotated by 45°",
    "learned": "learned flow",
    "source_only": "sources only",
    "target_only": "target only",
    "source_and_target": "sources and target",
}
_CASES = {
    "nonlinear": "nonlinear mechanism",
    "linear": "linear mechanism",
    "same_laws": "no shift",
}


def draw(table, config, figure) -> None:
    """Draws synthetic domains, or the panel of countries."""
    if config.data == "gasoline":
        figure.set_size_inches(7.6, 5.6)
        _draw_countries(figure.subplots(), table)
        return
    figure.set_size_inches(11.0, 4.4)
    example, errors = figure.subplots(1, 2, width_ratios=(1.0, 1.05))
    _draw_example(example, table)
    _draw_errors(errors, table)


def _draw_example(axes, table) -> None:
    """Draws the target domain of the first seed: points, combinations, and two predictions."""
    with_mechanism, alone = (
        rows_of(table, case="nonlinear", arm=arm).iloc[0] for arm in SHOWN_ARMS
    )
    points = np.asarray(alone.points) * UNITS
    made = np.asarray(with_mechanism.points)[len(points) :] * UNITS
    axes.scatter(*(np.asarray(with_mechanism.sources) * UNITS).T, s=3, color=plots.RULE, lw=0)
    axes.scatter(*made.T, s=9, color=plots.SERIES[0], alpha=0.35, lw=0)
    axes.scatter(*points.T, s=26, color=plots.INK, zorder=4)
    first, truth, fitted = (np.asarray(with_mechanism.predicted) * UNITS[[0, 1, 1]]).T
    other = np.asarray(alone.predicted)[:, 2] * UNITS[1]
    axes.plot(first, truth, color=plots.INK, lw=1.0, ls=(0, (4, 3)), label="true mean")
    axes.plot(first, other, color=plots.SERIES[1], label="target's points only")
    axes.plot(first, fitted, color=plots.SERIES[0], label="with their combinations")
    everything = np.concatenate([points, made, np.stack([first, truth], 1)])
    (left, low), (right, high) = np.min(everything, 0) - 0.4, np.max(everything, 0) + 0.4
    axes.set(xlim=(left, right), ylim=(low, high), xlabel="z₁", ylabel="z₂")
    axes.set_title(f"{len(points)} points become {len(made)}")
    axes.legend(loc="best")


def _draw_errors(axes, table) -> None:
    """Draws one row per arm and case: each seed, and the interval of the mean."""
    rows, labels = [], []
    for case, arms in CASES.items():
        every = [arm for arm in (*arms, "learned") if arm != "target_only"]
        for arm in every:
            if len(rows_of(table, case=case, arm=arm)):
                rows.append((case, arm))
                labels.append(_NAMES[arm])
    for place, (case, arm) in enumerate(rows):
        index = list(CASES).index(case)
        ratios = log_ratios(table, case, arm)
        color = plots.SERIES[index]
        first = place == 0 or rows[place - 1][0] != case
        heights = np.full(len(ratios), place, float)
        axes.plot(ratios, heights, plots.MARKERS[index], color=color, alpha=0.2, ms=3)
        interval = stats.mean_if_defined(ratios)
        name = _CASES[case] if first else None
        axes.plot((interval.low, interval.high), (place, place), color=color, lw=4, label=name)
    plots.threshold_line(axes, THRESHOLDS.gain, vertical=True)
    axes.axvline(0.0, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(yticks=range(len(rows)), yticklabels=labels, ylim=(len(rows) - 0.5, -0.5))
    axes.set(xlabel="log(error / error of target only)", xlim=(-7.0, 9.0))
    axes.set_title("Only the right mechanism helps")
    axes.grid(True, axis="x")
    axes.legend(loc="upper right")


def _draw_countries(axes, table) -> None:
    """Draws the mean relative error of each arm in each country."""
    places = np.arange(len(COUNTRIES))
    for index, arm in enumerate(arm for arm in COMPARED if arm in set(table.arm)):
        means = [relative_errors(table, country, arm).mean() for country in COUNTRIES]
        axes.plot(
            means,
            places + 0.15 * index - 0.2,
            plots.MARKERS[index],
            color=plots.SERIES[index],
            label=_NAMES[arm],
        )
    axes.set(yticks=places, yticklabels=COUNTRIES, ylim=(len(places) - 0.5, -0.5))
    axes.set(xscale="log", xlabel="error on the target over leave-one-out error of all its years")
    axes.set_title("Gasoline demand: each country from 6 of its years")
    axes.grid(True, axis="x")
    axes.legend(loc="lower right")
