"""AUC and accuracy with shuffled blocks, and the best network of each set."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.simplicity_bias import findings as summary
from tfphen.phenomena.simplicity_bias.trials import SCORES

ARMS = {
    "slab_test": "one simple\nblock",
    "mean": "mean of {}\nnetworks",
    "equal": "all equally\nsimple",
    "label_free": "simple block\nuninformative",
    "untrained": "untrained",
    "noisy": "noisy simple\nblock",
    "without_simple": "without simple\nblock",
}
LABELS = ("test set", "simple block shuffled", "all others shuffled")


def draw(table, config, figure) -> None:
    """Draws a panel for each part that was run."""
    panels = []
    if config.slab_test:
        panels.append((_draw_slab_test, 1.7))
    if config.noisy:
        panels.append((_draw_noisy, 1.0))
    if config.diversity:
        panels.append((_draw_sets, 1.2))
    ratios = [ratio for _, ratio in panels]
    figure.set_size_inches(1.0 + 3.1 * sum(ratios), 4.0)
    axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=ratios)[0]
    for axis, (draw_panel, _) in zip(axes, panels, strict=True):
        draw_panel(axis, table, config)


def _draw_slab_test(axes, table, config) -> None:
    """AUC of each arm on the test set and with blocks shuffled."""
    arms = [arm for arm in ARMS if arm in config.slab_trainings() and arm in _SLAB_TEST]
    groups = {ARMS[arm]: (arm, summary.slab_values) for arm in arms}
    if config.networks > 1:
        label = ARMS["mean"].format(config.networks)
        mean = {label: ("slab_test", summary.ensemble_aucs)}
        groups = {ARMS["slab_test"]: groups.pop(ARMS["slab_test"])} | mean | groups
    values = {
        label: [read(table, arm, score) for score in SCORES]
        for label, (arm, read) in groups.items()
    }
    _draw_bars(axes, values, LABELS)
    axes.set(ylabel="AUC", title="Networks use the simple block alone")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)


def _draw_noisy(axes, table, config) -> None:
    """Accuracies with a noisy simple block, and without it."""
    values = {}
    for arm in ("noisy", "without_simple"):
        shown = [summary.slab_values(table, arm, s, "accuracies") for s in SCORES]
        values[ARMS[arm]] = shown if arm == "noisy" else shown[:1]
    _draw_bars(axes, values, LABELS)
    plots.threshold_line(axes, 1 - config.noisy.noisy / 2)
    axes.set(ylabel="test accuracy", title="Noise in it costs accuracy")
    if not config.slab_test:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))


def _draw_sets(axes, table, config) -> None:
    """Accuracy of the best network of each set, by the block that is predictive."""
    diversity = config.diversity
    values = {}
    for place, name in enumerate(diversity.names()):
        label = name.replace("_", " ")
        values[label] = [
            summary.best(table, diversity, place, strength=s) for s in diversity.strengths
        ]
    labels = [f"similarity × {strength:g}" for strength in diversity.strengths]
    _draw_bars(axes, values, labels, first=len(LABELS))
    for place in range(len(values)):
        bounds = summary.upper_bounds(table, diversity, place)
        if bounds is not None:
            label = "upper bound" if place == 0 else None
            axes.hlines(bounds.mean(), place - 0.42, place + 0.42, color=plots.INK, label=label)
    title = f"Best of {diversity.models} networks"
    axes.set(ylabel="accuracy, only this block predictive", title=title)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


_SLAB_TEST = ("slab_test", "label_free", "equal", "untrained")


def _draw_bars(axes, values, labels, first=0) -> None:
    """Draws groups of bars at means, with a point for each seed.

    Args:
        axes: Where to draw.
        values: By the name of each group, arrays `[seeds]`, one a bar.
        labels: Of the bars of a group.
        first: Index of the color of the first bar.
    """
    width = 0.84 / len(labels)
    named = set()
    for place, bars in enumerate(values.values()):
        for index, (seeds, label) in enumerate(zip(bars, labels, strict=False)):
            at = place + width * (index - (len(bars) - 1) / 2)
            color = plots.SERIES[(first + index) % len(plots.SERIES)]
            settings = {} if label in named else {"label": label}
            named.add(label)
            axes.bar(at, np.mean(seeds), 0.9 * width, color=color, alpha=0.45, **settings)
            spread = np.linspace(-0.25, 0.25, len(seeds)) * width if len(seeds) > 1 else [0.0]
            marker = plots.MARKERS[(first + index) % len(plots.MARKERS)]
            axes.plot(at + spread, seeds, marker, color=color, ms=2.6)
    plots.threshold_line(axes, 0.5)
    axes.set(ylim=(0, 1.04), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.set_yticklabels(("0", "0.25", "chance", "0.75", "1"))
    axes.set_xticks(range(len(values)), values)
    axes.tick_params(axis="x", length=0, labelsize=8)
