"""Separation against transfer, transfer by stage, and similarity by layer, a colour a loss."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.loss_transfer import findings as readings
from tfphen.verdicts import stats

# Two markers a colour: there are nine losses, and fewer colours that all readers tell apart.
_STYLES = [(colour, marker) for marker in ("o", "^") for colour in plots.SERIES]

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
    """Class separation and accuracy of a linear probe: seeds, and means with intervals."""
    references = (
        ("untrained", "probe_penultimate", "untrained network"),
        ("softmax", "probe_first", "first layer, softmax"),
        ("softmax", "probe_inputs", "inputs"),
    )
    for (arm, column, label), style in zip(references, (":", "--", "-."), strict=True):
        height = readings.values(table, arm, column).mean()
        axes.axhline(height, color=plots.INK, lw=0.8, ls=style, label=label)
    for arm, (colour, marker) in styles.items():
        x = readings.separation(table, arm)
        y = readings.values(table, arm, "probe_penultimate")
        axes.plot(x, y, marker, color=colour, ms=2.5, alpha=0.25)
        centre, reach = _mean_and_reach(np.stack([x, y]))
        axes.errorbar(
            *centre, reach[1], reach[0], marker, color=colour, ms=6, label=arm.replace("_", " ")
        )
    # Equal steps are equal factors of what separation lacks to 1.
    axes.set_xscale("function", functions=(_log_lack, lambda x: -np.expm1(-x)))
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in _TICKS if low < tick < high])
    axes.set(xlabel="class separation R², training set", ylabel="accuracy of a linear probe")
    axes.set(title="Classes apart, features poorer for others")


def _draw_fine_tuning(axes, table, styles) -> None:
    """Accuracy on other classes with a frozen and with a fine-tuned body, a line a loss."""
    stages = ("trained", "fine_tuned")
    for arm, (colour, marker) in styles.items():
        found = [readings.transfer_accuracies(table, [arm], stage)[0] for stage in stages]
        axes.plot((0, 1), np.mean(found, 1), marker, ls="-", color=colour)
    scratch = readings.transfer_accuracies(table, ["untrained"], "fine_tuned").mean()
    axes.plot(1, scratch, "_", color=plots.INK, ms=12)
    axes.annotate("from scratch", (1, scratch), (-12, -2), textcoords="offset points", ha="right")
    axes.set(xticks=(0, 1), xticklabels=("linear probe", "fine-tuned"), xlim=(-0.3, 1.3))
    axes.set(ylabel="accuracy on the other classes", title="Fine-tuning evens out")


def _draw_similarity(axes, table, styles, depth: int) -> None:
    """CKA of each layer with that of a softmax network of other seeds."""
    places = np.arange(1, depth + 1)
    for arm, (colour, marker) in styles.items():
        found = readings.similarities(table, arm, depth)
        settings = {"color": colour, "marker": marker}
        if arm == "softmax":
            plots.interval_band(axes, places, found, lw=2.4, **settings)
        else:
            axes.plot(places, found.mean(0), **settings, lw=1.2)
    names = [str(place) for place in places[:-1]]
    axes.set(xticks=places, xticklabels=[*names, "penultimate"], xlabel="layer")
    axes.set(ylabel="CKA with softmax, other seeds", title="Losses differ in late layers")


def _draw_draws(axes, table) -> None:
    """Each index over draws of one hundred examples, and its published value."""
    for row, index in enumerate(readings.INDICES):
        found = readings.values(table, "drawn", f"{index}_cka", "draw")
        heights = row + np.linspace(-0.2, 0.2, len(found))
        axes.plot(found, heights, "o", color=plots.SERIES[0], ms=2.5, alpha=0.3)
        axes.plot(found.mean(), row, "|", color=plots.SERIES[0], ms=26, mew=2)
        published = readings.values(table, "published", f"{index}_cka", "draw")[0]
        axes.plot(published, row, "D", color=plots.SERIES[1], ms=6)
    plots.threshold_line(axes, readings.TRUE_SIMILARITY, "all examples, linear", vertical=True)
    axes.set(yticks=range(len(readings.INDICES)), yticklabels=["linear", "unbiased", "RBF"])
    axes.set(xlabel="CKA of 100 examples (diamond: published draw)", ylim=(2.5, -0.5))
    axes.set(title="Only the unbiased index aims at its limit")


def _mean_and_reach(values: np.ndarray):
    """Returns means over seeds and the half widths of their intervals, for `[rows, seeds]`."""
    found = [stats.mean(row) for row in values]
    return [one.value for one in found], np.nan_to_num([one.high - one.value for one in found])


def _log_lack(values):
    return -np.log1p(-np.minimum(values, 1 - 1e-9))
