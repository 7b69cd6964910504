"""Test accuracy of all arms, and true and estimated noise matrices."""

import numpy as np

from tfphen.data import transition_matrix
from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.loss_correction.findings import accuracies


def draw(table, config, figure) -> None:
    """Draws the accuracy of every arm, and two matrices for each rate of asymmetric noise."""
    rates = [rate for rate in (config.minority, config.majority) if rate is not None]
    widths = [2.6] + [1.0] * len(rates)
    figure.set_size_inches(5.6 + 2.1 * len(rates), 4.6)
    grid = figure.add_gridspec(2, len(widths), width_ratios=widths)
    _draw_accuracies(figure.add_subplot(grid[:, 0]), table, config)
    for column, rate in enumerate(rates, 1):
        rows = rows_of(table, arm="cross_entropy", rate=rate, noise="asymmetric")
        estimate = rows[f"transition_estimate_{config.percentile}"].iloc[0]
        true = transition_matrix(config.flips, rate, len(estimate))
        for row, (name, matrix) in enumerate((("true T", true), ("estimated", estimate))):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(matrix, vmin=0.0, vmax=1.0, cmap="Blues")
            axes.set(title=f"{name}, {rate:g}", xticks=range(10), yticks=range(10))
            axes.set(xlabel="noisy label" if row else "", ylabel="clean class")
            axes.tick_params(labelsize=6, length=0)
            axes.grid(False)


def _draw_accuracies(axes, table, config) -> None:
    """Draws one row per arm, one color and marker per noise: each seed and the mean."""
    arms, noises = list(dict.fromkeys(table.arm)), config.noises()
    names = [arm.replace("_", ", T " if "ward" in arm else " ") for arm in arms]
    for index, (noise, rate) in enumerate(noises):
        color, marker = plots.SERIES[index], plots.MARKERS[index]
        label = "clean labels" if noise == "none" else f"{noise} noise {rate:g}"
        offset = 0.8 * ((index + 0.5) / len(noises) - 0.5)
        for row, arm in enumerate(arms):
            values = accuracies(table, noise, rate, arm)
            if len(values):
                heights = np.full(len(values), row + offset)
                axes.plot(values, heights, marker, color=color, alpha=0.45, ms=3, label=label)
                axes.plot(values.mean(), row + offset, "|", color=color, ms=9, mew=2)
                label = None
    axes.set(yticks=range(len(arms)), yticklabels=names)
    axes.set(xlabel="test accuracy", ylim=(len(arms) - 0.5, -0.5))
    axes.grid(True, axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.35, -0.1), ncols=2, frameon=False)
