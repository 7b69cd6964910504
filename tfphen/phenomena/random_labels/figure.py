"""Figure: training accuracy over epochs, test accuracy over corruption, accuracies of all arms."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.random_labels.findings import (
    CHANCE,
    accuracy,
    accuracy_by_corruption,
    training_errors,
)
from tfphen.phenomena.random_labels.trials import ERRORS


def draw(table, config, figure) -> None:
    """Draws fitting and corruption, as far as they were run, and accuracies of all arms."""
    panels = [_draw_fitting] * bool(config.arms) + [_draw_corruption] * bool(config.rates)
    panels.append(_draw_accuracies)
    figure.set_size_inches(3.7 * len(panels), 3.9)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, draw_panel in zip(axes, panels, strict=True):
        draw_panel(axis, table, config)


def _draw_fitting(axes, table, config) -> None:
    """Draws training accuracy over epochs, a line a randomization."""
    for arm in config.arms:
        accuracies = 1 - training_errors(table, arm)
        epochs = np.arange(1, accuracies.shape[1] + 1)
        plots.interval_band(axes, epochs, accuracies, arm.replace("_", " "))
    axes.set(xlabel="epochs", ylabel="training accuracy", title="Everything is fitted")
    axes.set(ylim=(0, 1.03))
    axes.legend(loc="lower right")


def _draw_corruption(axes, table, config) -> None:
    """Draws test accuracy over the fraction of corrupted labels."""
    arms = ("true", "kernel_true", "kernel_null_noise")
    labels = ("network", "kernel", "kernel, from random labels")
    for arm, label in zip(arms, labels, strict=True):
        if arm in set(table.arm):
            plots.interval_band(axes, *accuracy_by_corruption(table, arm), label)
    axes.axhline(CHANCE, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="fraction of corrupted labels", ylabel="test accuracy", ylim=(0, 1.03))
    axes.set_title("Corrupted labels hurt generalization")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12))


def _draw_accuracies(axes, table, config) -> None:
    """Draws a row for each arm without label noise: training and test, each seed and the mean."""
    arms = [
        a
        for a in dict.fromkeys(table.arm)
        if len(rows_of(table, arm=a, rate=0.0)) and a != "kernel_null_noise"
    ]
    for index, (column, label) in enumerate(zip(ERRORS, ("training", "test"), strict=True)):
        color, marker = plots.SERIES[1 - index], plots.MARKERS[1 - index]
        for row, arm in enumerate(arms):
            values = accuracy(table, arm, column)
            heights = np.full(len(values), row + 0.3 * index - 0.15)
            name = label if row == 0 else None
            axes.plot(values, heights, marker, color=color, alpha=0.45, ms=3, label=name)
            axes.plot(values.mean(), heights[0], "|", color=color, ms=9, mew=2)
    axes.axvline(CHANCE, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(yticks=range(len(arms)), yticklabels=[arm.replace("_", " ") for arm in arms])
    axes.set(xlabel="accuracy", ylim=(len(arms) - 0.5, -0.5), title="Labels as given")
    axes.grid(True, axis="x")
    axes.legend(loc="center", bbox_to_anchor=(0.5, 0.5))
