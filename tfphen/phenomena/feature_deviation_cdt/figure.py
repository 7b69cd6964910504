"""Recall, deviation and its null, decision values, and what temperatures gain."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.feature_deviation_cdt import findings as readings

TEMPERED = readings.TEST_RECALL + readings.TEMPERED


def draw(table, config, figure) -> None:
    """Draws a panel for each signature, and one for the null of deviation."""
    figure.set_size_inches(13.2, 7.4)
    places = figure.subplots(2, 3).ravel()
    panels = (_draw_recall, _draw_deviation, _draw_null, _draw_values, _draw_cdt_recall, _draw_gain)
    for axes, panel in zip(places, panels, strict=True):
        panel(axes, table, config)


def _draw_classes(axes, table, curves, beside: str = "cross_entropy") -> None:
    """Draws bands over seeds against rank, from the most frequent class to the rarest.

    Args:
        axes: Where to draw.
        table: The records.
        curves: Triples of a label, values by class and settings of the line.
        beside: The arm whose counts order the classes.
    """
    counts = readings.counts_of(table, beside)
    order = np.argsort(-counts, axis=1, kind="stable")
    ranks = np.arange(1, counts.shape[1] + 1)
    for label, values, settings in curves:
        plots.interval_band(axes, ranks, np.take_along_axis(values, order, 1), label, **settings)
    shown = ranks if len(ranks) <= 10 else ranks[:: len(ranks) // 5]
    sizes = np.take_along_axis(counts, order, 1)[0]
    axes.set(xticks=shown, xticklabels=[int(sizes[rank - 1]) for rank in shown])
    axes.set(xlabel="training examples of the class")
    axes.legend()


def _draw_recall(axes, table, config) -> None:
    names = {"cross_entropy": "network"}
    if config.linear_options:
        names = {"network_beside_linear": "network", "linear": "linear model"}
    curves = [
        (f"{name}, {split}", readings.by_class(table, arm, f"{split}_class_recall"), settings)
        for (arm, name), colour in zip(names.items(), plots.SERIES, strict=False)
        for split, settings in (
            ("train", {"color": colour}),
            ("test", {"color": colour, "ls": ":"}),
        )
    ]
    _draw_classes(axes, table, curves, next(iter(names)))
    axes.set(title="Networks over-fit rare classes", ylabel="recall", ylim=(None, 1.03))


def _draw_deviation(axes, table, config) -> None:
    cases = (
        ("trained", "cross_entropy", "end"),
        ("trained, balanced, fake order", "balanced", "end"),
        ("untrained", "cross_entropy", "start"),
    )
    curves = [
        (label, readings.by_class(table, arm, "squared_deviation", when), {})
        for label, arm, when in cases
    ]
    _draw_classes(axes, table, curves)
    axes.set(title="Mean features of rare classes move")
    axes.set(ylabel="squared deviation / spread of test features")


def _draw_null(axes, table, config) -> None:
    """Null distribution of the mean correlation, and where it was seen."""
    trained = readings.correlation(table, "cross_entropy", "feature_distance")
    edges = np.linspace(-1.0, 1.0, 101)
    axes.hist(trained.null, edges, density=True, color=plots.RULE, label="random orders of classes")
    cases = (
        ("trained", "cross_entropy", "feature_distance", "end"),
        ("trained, balanced, fake order", "balanced", "feature_distance", "end"),
        ("untrained", "cross_entropy", "feature_distance", "start"),
        ("untrained, unequal subsets", "cross_entropy", "feature_distance_of_all", "start"),
    )
    for (label, arm, column, when), colour in zip(cases, plots.SERIES, strict=False):
        found = readings.correlation(table, arm, column, when)
        style = ":" if column.endswith("of_all") else "-"
        label = f"{label}: {found.estimate.value:.2f}, p = {found.p_value:.2g}"
        axes.axvline(found.estimate.value, 0.0, 0.6, color=colour, ls=style, label=label)
    axes.set(title="Only unequal subsets see what is not there")
    axes.set(xlabel=f"mean rank correlation of count and deviation over {config.subset_size}")
    axes.set(xlim=(-1.02, 1.02), ylim=(0.0, 1.75 * axes.get_ylim()[1]), ylabel="density")
    axes.legend(loc="upper center")


def _draw_values(axes, table, config) -> None:
    cdt = readings.arm_of(config.gamma)
    cases = (
        ("cross-entropy, train", "cross_entropy", "train", plots.SERIES[0], ":"),
        ("cross-entropy, test", "cross_entropy", "test", plots.SERIES[0], "-"),
        (f"CDT {config.gamma:g}, train", cdt, "train", plots.SERIES[1], ":"),
        (f"CDT {config.gamma:g}, test", cdt, "test", plots.SERIES[1], "-"),
    )
    curves = [
        (label, readings.by_class(table, arm, f"decision_value_{split}"), {"color": c, "ls": ls})
        for label, arm, split, c, ls in cases
    ]
    _draw_classes(axes, table, curves)
    axes.set(title="Temperatures raise rare decision values", ylabel="true logit / typical logit")


def _draw_cdt_recall(axes, table, config) -> None:
    cdt = readings.arm_of(config.gamma)
    cases = (
        ("cross-entropy", "cross_entropy", readings.TEST_RECALL),
        (f"CDT {config.gamma:g}", cdt, readings.TEST_RECALL),
        ("and at prediction too", cdt, TEMPERED),
        ("CDT, counts reversed", "reversed", readings.TEST_RECALL),
    )
    curves = [(label, readings.by_class(table, arm, column), {}) for label, arm, column in cases]
    _draw_classes(axes, table, curves)
    axes.set(title="Their recall too, if used in training only", ylabel="test recall")


def _draw_gain(axes, table, config) -> None:
    """Gain in balanced accuracy of each arm: seeds, and the mean with its interval."""
    arms = [
        (f"CDT {gamma:g}", readings.arm_of(gamma), readings.TEST_RECALL) for gamma in config.gammas
    ]
    arms.append(("at prediction too", readings.arm_of(config.gamma), TEMPERED))
    arms.append(("counts reversed", "reversed", readings.TEST_RECALL))
    before = readings.balanced_accuracies(table, "cross_entropy")
    for row, (_, arm, column) in enumerate(arms):
        colour = plots.SERIES[0] if row < len(config.gammas) else plots.SERIES[1]
        gains = readings.by_class(table, arm, column).mean(1) - before
        found = readings.gain(table, arm, column)
        axes.plot(gains, np.full(len(gains), row), "o", color=colour, ms=3, alpha=0.3)
        axes.plot([found.low, found.high], [row, row], color=colour, lw=5, alpha=0.35)
        axes.plot(found.value, row, "|", color=colour, ms=13, mew=2)
    plots.threshold_line(axes, 0.0, vertical=True)
    axes.set(yticks=range(len(arms)), yticklabels=[name for name, _, _ in arms])
    axes.set(ylim=(len(arms) - 0.5, -0.5), xlabel="balanced accuracy above cross-entropy")
    axes.set(title="Balanced accuracy gained")
    axes.locator_params(axis="x", nbins=6)
