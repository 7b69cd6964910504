"""Test loss and error of all arms, within-class spectra, and accuracy under attacks."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.manifold_mixup import findings as summary
from tfphen.phenomena.manifold_mixup.trials import ATTACK_SIZES
from tfphen.verdicts import stats

_NAMES = {
    "none": "none",
    "input": "inputs",
    "manifold": "inputs and hidden states",
    "independent_labels": "states, labels of others",
    "lambda_one": "states, coefficient 1",
    "none_other": "none, other initialization",
}
_COLORS = dict(zip(_NAMES, plots.SERIES, strict=True))
_MARKERS = dict(zip(_NAMES, plots.MARKERS, strict=True))


def draw(table, config, figure) -> None:
    """Draws a row of panels: loss, error, and spectra and attacks if they were measured."""
    panels = [_draw_loss, _draw_error]
    panels += [_draw_spectra] if config.flattened else []
    panels += [_draw_attacks] if config.attacked else []
    figure.set_size_inches(0.8 + 3.3 * len(panels), 3.6)
    places = figure.subplots(1, len(panels))
    for number, (axes, panel) in enumerate(zip(places, panels, strict=True)):
        panel(axes, table, config)
        if number == 1:
            axes.set(yticklabels=[])


def _draw_arms(axes, table, config, column) -> None:
    """One row an arm: each seed, the mean, its interval, and the mean minimum on the curve."""
    label = "minimum on the curve"
    for row, arm in enumerate(config.arms):
        values = summary.values(table, arm, column)
        color, marker = _COLORS[arm], _MARKERS[arm]
        axes.plot(values, np.full(len(values), row), marker, color=color, alpha=0.35, ms=3)
        mean = stats.mean_if_defined(values)
        axes.plot(mean.value, row, "|", color=color, ms=13, mew=2)
        axes.plot([mean.low, mean.high], [row - 0.28] * 2, color=color, lw=2)
        if config.curve:
            lowest = summary.minimum(table, arm, column).mean()
            axes.plot(lowest, row, "x", color=plots.INK, ms=6, label=label)
            label = None
    names = [_NAMES[arm] for arm in config.arms]
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.6))
    axes.grid(True, axis="x")
    if config.curve:
        axes.legend(loc="best")


def _draw_loss(axes, table, config) -> None:
    _draw_arms(axes, table, config, "test_loss")
    axes.set(title="Test loss, by what is mixed", xlabel="negative log-likelihood, nats")


def _draw_error(axes, table, config) -> None:
    _draw_arms(axes, table, config, "test_error")
    axes.set(title="Test error", xlabel="share misclassified")


def _lines(config) -> list[str]:
    return [arm for arm in _NAMES if arm in config.arms and arm not in ("lambda_one", "none_other")]


def _draw_spectra(axes, table, config) -> None:
    """Energy of the directions of a class as a share of all, summed over classes."""
    layer = config.flattened[-1]
    for arm in _lines(config):
        spectrum = summary.spectra(table, layer, arm)
        spectrum = np.where(spectrum > 0, spectrum, np.nan)
        ranks = np.arange(1, spectrum.shape[1] + 1)
        outside = summary.shares(table, layer, arm).mean()
        style = {"color": _COLORS[arm], "marker": _MARKERS[arm]}
        label = f"{_NAMES[arm]}: {outside:.2f}"
        plots.interval_band(axes, ranks, spectrum, label, **style)
    axes.set(title=f"Directions of a class, {layer}", yscale="log")
    axes.set(xlabel="direction, the strongest first", ylabel="share of all variance")
    low, high = axes.get_ylim()
    axes.set(ylim=(low, high * (high / low) ** 0.5))  # Room for the legend.
    title = "sum behind the first direction"
    axes.legend(loc="upper right", fontsize=7, title=title, title_fontsize=7)


def _draw_attacks(axes, table, config) -> None:
    """Accuracy over the size of an attack: one step solid, projected gradient descent dashed."""
    sizes = (0.0, *ATTACK_SIZES)
    for arm in _lines(config):
        accuracy = summary.arrays(table, arm, "attacked_accuracy")
        style = {"color": _COLORS[arm], "marker": _MARKERS[arm]}
        plots.interval_band(axes, sizes, accuracy[:, 0], _NAMES[arm], **style)
        plots.interval_band(axes, sizes, accuracy[:, 1], linestyle="--", **style)
    axes.plot([], [], color=plots.INK, label="one gradient step")
    axes.plot([], [], "--", color=plots.INK, label="ten, projected")
    axes.set(title="Under attack", xlabel="largest change, standard deviations", xticks=sizes)
    axes.set(ylabel="accuracy", ylim=(0.0, 1.0))
    axes.legend(loc="upper right", fontsize=7)
