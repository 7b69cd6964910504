"""Training accuracy over epochs, test accuracy over corruption, and accuracies of all arms."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.random_labels.findings import accuracy, corruption, training_errors
from tfphen.phenomena.random_labels.phenomenon import ERRORS


def draw(table, config, figure) -> None:
    """Draws a panel on fitting, on corruption, as far as they were run, and on all arms."""
    panels = [_draw_fitting] * bool(config.arms) + [_draw_corruption] * bool(config.rates)
    panels.append(_draw_accuracies)
    figure.set_size_inches(3.7 * len(panels), 3.9)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, draw_panel in zip(axes, panels, strict=True):
        draw_panel(axis, table, config)


def _draw_fitting(axes, table, config) -> None:
    """Training accuracy over epochs, a line a randomization."""
    for arm in config.arms:
        accuracies = 1 - training_errors(table, arm)
        epochs = np.arange(1, accuracies.shape[1] + 1)
        plots.interval_band(axes, epochs, accuracies, arm.replace("_", " "))
    axes.set(xlabel="epochs", ylabel="training accuracy", title="Everything is fitted")
    axes.set(ylim=(0, 1.03))
    axes.legend(loc="lower right")


def _draw_corruption(axes, table, config) -> None:
    """Test accuracy over the share of corrupted labels."""
    arms = ("true", "kernel_true", "kernel_null_noise")
    labels = ("network", "kernel", "kernel, labels random before")
    for arm, label in zip(arms, labels, strict=True):
        if arm in set(table.arm):
            plots.interval_band(axes, *corruption(table, arm), label)
    axes.axhline(0.1, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="share of corrupted labels", ylabel="test accuracy", ylim=(0, 1.03))
    axes.set_title("What is fitted matters")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12))


def _draw_accuracies(axes, table, config) -> None:
    """One row an arm without label noise, train and test: each seed, and a bar at the mean."""
    arms = [
        a
        for a in dict.fromkeys(table.arm)
        if len(rows_of(table, arm=a, rate=0.0)) and a != "kernel_null_noise"
    ]
    for index, (column, label) in enumerate(zip(ERRORS, ("training", "test"), strict=True)):
        colour, marker = plots.SERIES[1 - index], plots.MARKERS[1 - index]
        for row, arm in enumerate(arms):
            values = accuracy(table, arm, column)
            heights = np.full(len(values), row + 0.3 * index - 0.15)
            name = label if row == 0 else None
            axes.plot(values, heights, marker, color=colour, alpha=0.45, ms=3, label=name)
            axes.plot(values.mean(), heights[0], "|", color=colour, ms=9, mew=2)
    axes.axvline(0.1, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(yticks=range(len(arms)), yticklabels=[arm.replace("_", " ") for arm in arms])
    axes.set(xlabel="accuracy", ylim=(len(arms) - 0.5, -0.5), title="Labels as given")
    axes.grid(True, axis="x")
    axes.legend(loc="center", bbox_to_anchor=(0.5, 0.5))
