"""Distances of dots over the number of pixels, of orthogonal signals, and robustness on images."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.shift_invariance import findings as summary
from tfphen.phenomena.shift_invariance.trials import ARMS, NO_POOLING

NAMES = {
    "fully_connected": "fully connected",
    "convolution": "convolution, pooled",
    NO_POOLING: "convolution, not pooled",
}


def draw(table, config, figure) -> None:
    """Draws a panel for each part that was run; of margins only if they are the only part."""
    panels = []
    if config.dots is not None:
        panels.append(_draw_dots)
    if config.vectors is not None or config.frequencies is not None:
        panels.append(_draw_signals)
    if config.images is not None:
        panels.append(_draw_images)
        if config.images.attack.shifts:
            panels.append(_draw_consistency)
    panels = panels or [_draw_margins]
    figure.set_size_inches(4.4 * len(panels), 3.9)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        panel(axes, table, config)


def _draw_dots(axes, table, config) -> None:
    """Log distance over log number of pixels, with the theoretical curves."""
    dots = config.dots
    for arm in (*ARMS, NO_POOLING):
        if not len(rows_of(table, part="dots", arm=arm)):
            continue
        pixels, by_seed = summary.distances_by_pixels(table, arm)
        style = {"linestyle": "--"} if arm == NO_POOLING else {}
        plots.interval_band(axes, pixels, by_seed / dots.contrast, NAMES[arm], **style)
    ends = np.asarray([dots.pixels(size) for size in (min(dots.sizes), max(dots.sizes))])
    # Beyond the data on both sides, which cover the lines.
    ends = ends * np.asarray([0.6, 1.7])
    theory = {"color": plots.INK, "linewidth": 1.2, "linestyle": ":", "zorder": 3}
    axes.plot(ends, np.ones(2), **theory)
    axes.plot(ends, 1 / np.sqrt(ends), **theory)
    axes.annotate("theory: 1", (ends[-1], 0.84), ha="right", va="top")
    axes.annotate(r"theory: $1/\sqrt{d}$", (ends[-1], 2.2 * ends[-1] ** -0.5), ha="right")
    axes.set(xscale="log", yscale="log", title="One dot: invariance costs the root of d")
    axes.set(xlabel="number of pixels d", ylabel="distance to the boundary / contrast")
    axes.legend(loc="lower left")


def _draw_signals(axes, table, config) -> None:
    """Mean distance on random vectors and on frequencies, each seed and the mean."""
    ticks, labels = [], []
    for kind in ("vectors", "frequencies"):
        part = getattr(config, kind)
        for count in part.counts if part is not None else ():
            at = len(ticks)
            ticks.append(at)
            labels.append(f"{2 * count} {kind}")
            for index, arm in enumerate(ARMS):
                values = summary.distances(table, kind, arm, count=count)
                if not len(values):
                    continue
                color, place = plots.SERIES[index], at + 0.2 * (index - 0.5)
                seen = axes.get_legend_handles_labels()[1]
                label = None if NAMES[arm] in seen else NAMES[arm]
                heights = np.full(len(values), place)
                axes.plot(values, heights, plots.MARKERS[index], color=color, ms=4, label=label)
                axes.plot(values.mean(), place, "|", color=color, ms=11, mew=2)
            best = 1 / np.sqrt(2 * count)
            axes.plot([best, best], [at - 0.3, at + 0.3], ":", color=plots.INK, linewidth=1.2)
    axes.plot([], [], ":", color=plots.INK, label="best linear margin")
    axes.set(yticks=ticks, yticklabels=labels, xscale="log", ylim=(len(ticks) - 0.4, -0.6))
    axes.set(xlabel="mean distance to the boundary", title="Orthogonal signals: it depends")
    axes.grid(True, axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.15), ncols=3, fontsize=7.5)


def _draw_images(axes, table, config) -> None:
    """Accuracy over the radius of PGD, a line per network."""
    images = config.images
    for net in images.nets:
        accuracies = [summary.robust_accuracies(table, images, net, size) for size in images.sizes]
        plots.interval_band(axes, images.sizes, np.stack(accuracies, 1), net.replace("_", " "))
    axes.set(xlabel=f"size of perturbations, {images.norm}", ylabel="accuracy", ylim=(0, 1.02))
    axes.set(title=f"Attacks on {images.data.replace('_', ' ')}")
    axes.legend(fontsize=7.5)


def _draw_consistency(axes, table, config) -> None:
    """Accuracy at the compared radius over the consistency, a marker per network."""
    images = config.images
    for index, net in enumerate(images.nets):
        x = 100 * rows_of(table, part="images", net=net).consistency.to_numpy()
        y = summary.robust_accuracies(table, images, net, images.size)
        color = plots.SERIES[index % len(plots.SERIES)]
        marker = plots.MARKERS[index % len(plots.MARKERS)]
        axes.plot(x, y, marker, color=color, label=net.replace("_", " "))
    axes.set(xlabel="consistency under shifts, %", ylabel=f"accuracy at {images.size:g}")
    axes.set(title="Consistency and robustness", xlim=(0, 104), ylim=(0, 1))
    axes.legend(fontsize=7.5)


def _draw_margins(axes, table, config) -> None:
    """Margins over the gap of means, with all shifts and without."""
    for index, case in enumerate(("all_shifts", "no_shifts")):
        values = rows_of(table, part="margins", case=case).margin_over_dc_margin.to_numpy()
        label = case.replace("_", " ")
        axes.plot(values, plots.MARKERS[index], color=plots.SERIES[index], label=label)
    axes.set(xlabel="seed", ylabel="hard margin / gap of means", ylim=(0, None))
    axes.legend()
