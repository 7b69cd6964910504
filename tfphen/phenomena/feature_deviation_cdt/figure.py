"""Recall, deviation and its null distribution, decision values, and gains by temperatures."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena.feature_deviation_cdt import findings
from tfphen.phenomena.feature_deviation_cdt.trials import TEST_RECALL, WITH_TEMPERATURES, arm_of

TEMPERED_RECALL = TEST_RECALL + WITH_TEMPERATURES


def draw(table, config, figure) -> None:
    """Draws one panel per signature, and one for the null distribution of deviation."""
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
    counts = findings.counts_of(table, beside)
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
        (f"{name}, {split}", findings.by_class(table, arm, f"{split}_class_recall"), settings)
        for (arm, name), color in zip(names.items(), plots.SERIES, strict=False)
        for split, settings in (
            ("train", {"color": color}),
            ("test", {"color": color, "ls": ":"}),
        )
    ]
    _draw_classes(axes, table, curves, next(iter(names)))
    axes.set(title="Networks overfit rare classes", ylabel="recall", ylim=(None, 1.03))


def _draw_deviation(axes, table, config) -> None:
    cases = (
        ("trained", "cross_entropy", "end"),
        ("trained, balanced, null order", "balanced", "end"),
        ("untrained", "cross_entropy", "start"),
    )
    curves = [
        (label, findings.by_class(table, arm, "squared_deviation", when), {})
        for label, arm, when in cases
    ]
    _draw_classes(axes, table, curves)
    axes.set(title="Mean features of rare classes deviate")
    axes.set(ylabel="squared deviation / spread of test features")


def _draw_null(axes, table, config) -> None:
    """Draws the null distribution of the mean correlation, and observed ones."""
    trained = findings.correlation(table, "cross_entropy", "feature_distance")
    edges = np.linspace(-1.0, 1.0, 101)
    axes.hist(trained.null, edges, density=True, color=plots.RULE, label="random orders of classes")
    cases = (
        ("trained", "cross_entropy", "feature_distance", "end"),
        ("trained, balanced, null order", "balanced", "feature_distance", "end"),
        ("untrained", "cross_entropy", "feature_distance", "start"),
        ("untrained, unequal subsets", "cross_entropy", "feature_distance_of_all", "start"),
    )
    for (label, arm, column, when), color in zip(cases, plots.SERIES, strict=False):
        observed = findings.correlation(table, arm, column, when)
        style = ":" if column.endswith("of_all") else "-"
        label = f"{label}: {observed.estimate.value:.2f}, p = {observed.p_value:.2g}"
        axes.axvline(observed.estimate.value, 0.0, 0.6, color=color, ls=style, label=label)
    axes.set(title="Unequal subsets give spurious deviation")
    axes.set(xlabel=f"mean rank correlation of count and deviation over {config.subset_size}")
    axes.set(xlim=(-1.02, 1.02), ylim=(0.0, 1.75 * axes.get_ylim()[1]), ylabel="density")
    axes.legend(loc="upper center")


def _draw_values(axes, table, config) -> None:
    cdt = arm_of(config.gamma)
    cases = (
        ("cross-entropy, train", "cross_entropy", "train", plots.SERIES[0], ":"),
        ("cross-entropy, test", "cross_entropy", "test", plots.SERIES[0], "-"),
        (f"CDT {config.gamma:g}, train", cdt, "train", plots.SERIES[1], ":"),
        (f"CDT {config.gamma:g}, test", cdt, "test", plots.SERIES[1], "-"),
    )
    curves = [
        (label, findings.by_class(table, arm, f"decision_value_{split}"), {"color": c, "ls": ls})
        for label, arm, split, c, ls in cases
    ]
    _draw_classes(axes, table, curves)
    axes.set(title="Temperatures raise rare decision values", ylabel="true logit / typical logit")


def _draw_cdt_recall(axes, table, config) -> None:
    cdt = arm_of(config.gamma)
    cases = (
        ("cross-entropy", "cross_entropy", TEST_RECALL),
        (f"CDT {config.gamma:g}", cdt, TEST_RECALL),
        ("and at prediction too", cdt, TEMPERED_RECALL),
        ("CDT, counts reversed", "reversed", TEST_RECALL),
    )
    curves = [(label, findings.by_class(table, arm, column), {}) for label, arm, column in cases]
    _draw_classes(axes, table, curves)
    axes.set(title="And their recall, if used in training only", ylabel="test recall")


def _draw_gain(axes, table, config) -> None:
    """Draws the gain in balanced accuracy of each arm: seeds, and the mean with its interval."""
    arms = [(f"CDT {gamma:g}", arm_of(gamma), TEST_RECALL) for gamma in config.gammas]
    arms.append(("at prediction too", arm_of(config.gamma), TEMPERED_RECALL))
    arms.append(("counts reversed", "reversed", TEST_RECALL))
    before = findings.balanced_accuracies(table, "cross_entropy")
    for row, (_, arm, column) in enumerate(arms):
        color = plots.SERIES[0] if row < len(config.gammas) else plots.SERIES[1]
        gains = findings.by_class(table, arm, column).mean(1) - before
        gain = findings.gain(table, arm, column)
        axes.plot(gains, np.full(len(gains), row), "o", color=color, ms=3, alpha=0.3)
        axes.plot([gain.low, gain.high], [row, row], color=color, lw=5, alpha=0.35)
        axes.plot(gain.value, row, "|", color=color, ms=13, mew=2)
    plots.threshold_line(axes, 0.0, vertical=True)
    axes.set(yticks=range(len(arms)), yticklabels=[name for name, _, _ in arms])
    axes.set(ylim=(len(arms) - 0.5, -0.5), xlabel="balanced accuracy minus that of cross-entropy")
    axes.set(title="Gain in balanced accuracy")
    axes.locator_params(axis="x", nbins=6)
