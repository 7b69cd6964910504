"""Test accuracy along the training, mean weights, and squared errors of lines."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.dynamic_importance_weighting.findings import (
    curves,
    networks,
    recorded,
    shift_errors,
)

NAMES = {
    "uniform": "uniform",
    "random": "random",
    "static_early": "static, early net",
    "static_late": "static, final net",
    "dynamic": "dynamic",
    "median": "dynamic, median kernel",
    "quantile": "dynamic, wide kernel",
    "inverse_median": "dynamic, narrow kernel",
}
METHODS = {
    "true_weights": "true weights",
    "ulsif": "uLSIF",
    "kmm": "KMM",
    "kliep": "KLIEP",
    "one_step": "one-step",
}


def draw(table, config, figure) -> None:
    """Draws accuracies, weights and, with a part on covariate shift, errors of lines."""
    shift = config.shift is not None
    widths = [1.5, 1.25, 1.0] if shift else [1.5, 1.25]
    figure.set_size_inches(4.2 * sum(widths) - 2.5, 3.8)
    axes = figure.subplots(1, len(widths), width_ratios=widths)
    _draw_accuracies(axes[0], table, config)
    _draw_weights(axes[1], table, config)
    if shift:
        _draw_lines(axes[2], table)


def _draw_accuracies(axes, table, config) -> None:
    """Draws the test accuracy of each arm."""
    steps = np.asarray(networks(table, "dynamic").curve_step.iloc[0])
    epochs = steps / steps[-1] * config.epochs
    for index, arm in enumerate(config.arms):
        style = {"color": plots.SERIES[index % len(plots.SERIES)], "label": NAMES[arm]}
        plots.interval_band(axes, epochs, curves(table, arm), **style)
    if config.controls:
        values = curves(table, "dynamic", "noisy_validation")
        style = {"color": plots.INK, "linestyle": ":", "label": "noisy held-out"}
        plots.interval_band(axes, epochs, values, **style)
    axes.set(title=f"{config.rate:.0%} of labels flipped", xlabel="epoch", ylabel="test accuracy")
    axes.set_xlim(0, config.epochs)
    plots.direct_labels(axes)


def _draw_weights(axes, table, config) -> None:
    """Draws mean weights of clean and of flipped labels, smoothed over about an epoch."""
    window = max(1, config.epochs // 20)
    for index, (column, name) in enumerate((("clean", "clean"), ("flipped", "flipped"))):
        shares, values = recorded(table, "dynamic", f"{column}_weight")
        whole = values[:, : values.shape[1] // window * window]
        values = np.nanmean(whole.reshape(len(values), -1, window), -1)
        epochs = config.epochs * shares[: whole.shape[1] : window]
        style = {"color": plots.SERIES[index + 2], "label": f"{name} labels"}
        plots.interval_band(axes, epochs, values, **style)
    plots.threshold_line(axes, 1 / (1 - config.rate), "ideal")
    plots.threshold_line(axes, 0.0)
    axes.set(title="dynamic weights", xlabel="epoch", ylabel="mean weight in a batch")
    axes.set_xlim(0, config.epochs)
    axes.set_ylim(-0.1, None)
    plots.direct_labels(axes)


def _draw_lines(axes, table) -> None:
    """Draws squared errors of weighted lines, relative to the unweighted line, by seed."""
    for index, (truth, name) in enumerate((("sinc", "a sinc curve"), ("line", "a line"))):
        color, marker = plots.SERIES[index], plots.MARKERS[index]
        plain = shift_errors(table, truth, "unweighted")
        label = f"truth: {name}"
        for row, method in enumerate(METHODS):
            ratios = shift_errors(table, truth, method) / plain
            height = row + 0.3 * (index - 0.5)
            heights = np.full(len(ratios), height)
            axes.plot(ratios, heights, marker, color=color, alpha=0.45, ms=3, label=label)
            axes.plot(np.exp(np.log(ratios).mean()), height, "|", color=color, ms=9, mew=2)
            label = None
    plots.threshold_line(axes, 1.0, "no weights", vertical=True)
    axes.set(xscale="log", yticks=range(len(METHODS)), yticklabels=list(METHODS.values()))
    axes.set(title="lines under covariate shift", xlabel="squared error, relative to no weights")
    axes.set_ylim(len(METHODS) - 0.5, -0.9)
    axes.grid(True, axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.16), frameon=False)
