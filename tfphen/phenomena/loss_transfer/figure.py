"""Separation and transfer, transfer by stage, and similarity by layer, one color per loss."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.loss_transfer.findings import (
    TRUE_SIMILARITY,
    separation,
    similarities,
    transfer_accuracies,
    values,
)
from tfphen.phenomena.loss_transfer.trials import INDICES
from tfphen.verdicts import stats

# Two markers per color: there are nine losses, and fewer colors that all readers can distinguish.
_STYLES = [(color, marker) for marker in ("o", "^") for color in plots.SERIES]

_TICKS = (0.2, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99)


def draw(table, config, figure) -> None:
    """Draws the panels of trained networks, or those of similarities of draws."""
    if config.draws:
        figure.set_size_inches(5.4, 3.6)
        return _draw_draws(figure.subplots(), table)
    fine_tuned = bool(config.fine_tuning)
    figure.set_size_inches(10.4 + 3.2 * fine_tuned, 4.4)
    widths = [1.5, *[0.75] * fine_tuned, 1.1]
    places = figure.subplots(1, len(widths), width_ratios=widths)
    arms = ("softmax", *config.objectives)
    styles = dict(zip(arms, _STYLES, strict=False))
    _draw_transfer(places[0], table, styles)
    if fine_tuned:
        _draw_fine_tuning(places[1], table, styles)
    _draw_similarity(places[-1], table, styles, config.depth)
    handles, labels = places[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return None


def _draw_transfer(axes, table, styles) -> None:
    """Draws class separation and probe accuracy: seeds, and means with intervals."""
    references = (
        ("untrained", "probe_penultimate", "untrained network"),
        ("softmax", "probe_first", "first layer, softmax"),
        ("softmax", "probe_inputs", "inputs"),
    )
    for (arm, column, label), style in zip(references, (":", "--", "-."), strict=True):
        height = values(table, arm, column).mean()
        axes.axhline(height, color=plots.INK, lw=0.8, ls=style, label=label)
    for arm, (color, marker) in styles.items():
        x = separation(table, arm)
        y = values(table, arm, "probe_penultimate")
        axes.plot(x, y, marker, color=color, ms=2.5, alpha=0.25)
        center, reach = _mean_and_reach(np.stack([x, y]))
        axes.errorbar(
            *center, reach[1], reach[0], marker, color=color, ms=6, label=arm.replace("_", " ")
        )
    # Equal steps are equal factors of 1 - separation.
    axes.set_xscale("function", functions=(_negative_log_complement, lambda x: -np.expm1(-x)))
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in _TICKS if low < tick < high])
    axes.set(xlabel="class separation R², training set", ylabel="accuracy of a linear probe")
    axes.set(title="Classes apart, features poorer for others")


def _draw_fine_tuning(axes, table, styles) -> None:
    """Draws accuracy on other classes with a frozen and a fine-tuned body, one line per loss."""
    stages = ("trained", "fine_tuned")
    for arm, (color, marker) in styles.items():
        accuracies = [transfer_accuracies(table, [arm], stage)[0] for stage in stages]
        axes.plot((0, 1), np.mean(accuracies, 1), marker, ls="-", color=color)
    scratch = transfer_accuracies(table, ["untrained"], "fine_tuned").mean()
    axes.plot(1, scratch, "_", color=plots.INK, ms=12)
    axes.annotate("from scratch", (1, scratch), (-12, -2), textcoords="offset points", ha="right")
    axes.set(xticks=(0, 1), xticklabels=("linear probe", "fine-tuned"), xlim=(-0.3, 1.3))
    axes.set(ylabel="accuracy on the other classes", title="Fine-tuning evens out")


def _draw_similarity(axes, table, styles, depth: int) -> None:
    """Draws the CKA of each layer with that of a softmax network of other seeds."""
    places = np.arange(1, depth + 1)
    for arm, (color, marker) in styles.items():
        by_layer = similarities(table, arm, depth)
        settings = {"color": color, "marker": marker}
        if arm == "softmax":
            plots.interval_band(axes, places, by_layer, lw=2.4, **settings)
        else:
            axes.plot(places, by_layer.mean(0), **settings, lw=1.2)
    names = [str(place) for place in places[:-1]]
    axes.set(xticks=places, xticklabels=[*names, "penultimate"], xlabel="layer")
    axes.set(ylabel="CKA with softmax, other seeds", title="Losses differ in late layers")


def _draw_draws(axes, table) -> None:
    """Draws each index for draws of one hundred examples, and its published value."""
    for row, index in enumerate(INDICES):
        drawn = values(table, "drawn", f"{index}_cka", "draw")
        heights = row + np.linspace(-0.2, 0.2, len(drawn))
        axes.plot(drawn, heights, "o", color=plots.SERIES[0], ms=2.5, alpha=0.3)
        axes.plot(drawn.mean(), row, "|", color=plots.SERIES[0], ms=26, mew=2)
        published = values(table, "published", f"{index}_cka", "draw")[0]
        axes.plot(published, row, "D", color=plots.SERIES[1], ms=6)
    plots.threshold_line(axes, TRUE_SIMILARITY, "all examples, linear", vertical=True)
    axes.set(yticks=range(len(INDICES)), yticklabels=["linear", "unbiased", "RBF"])
    axes.set(xlabel="CKA of 100 examples (diamond: published draw)", ylim=(2.5, -0.5))
    axes.set(title="Only the unbiased index aims at its limit")


def _mean_and_reach(rows: np.ndarray):
    """Means over seeds and the half-widths of their intervals, for `[rows, seeds]`."""
    means = [stats.mean(row) for row in rows]
    return [mean.value for mean in means], np.nan_to_num([mean.high - mean.value for mean in means])


def _negative_log_complement(separations):
    """-log(1 - separation), the scale of its axis."""
    return -np.log1p(-np.minimum(separations, 1 - 1e-9))
