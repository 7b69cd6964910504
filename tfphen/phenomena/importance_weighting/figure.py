"""Figure of importance weighting: where decisions move, how far apart they end, and why.

A row for points in the plane, one for networks. On the left the share put into class 1, in the
middle the spread between opposite weights, on the right the mean margin, whose growth is why
weights fade under cross-entropy: the logits grow, and its tail leaves only the nearest points to
act. Under a loss with a heavier tail all points go on acting, and weights with them.
"""

from matplotlib.ticker import LogLocator, NullLocator

from tfphen.experiment import plots
from tfphen.phenomena.importance_weighting import findings as readings

# Arms of each row, with what they are called.
POINTS = {
    "points": "separable",
    "points_l2": "separable, L2",
    "points_poly_tailed": "separable, poly-tailed",
    "points_overlapping": "overlapping",
}
NETWORKS = {
    "networks": "network",
    "networks_l2": "network, L2",
    "networks_dropout": "network, dropout",
    "noisy_linear": "linear, flipped labels",
}


def draw(table, config, figure) -> None:
    """Draws a row of three panels for each of the two parts that were run."""
    parts = []
    if config.points:
        steps = readings.steps(table, "points")[-1] // config.points.epochs
        parts.append(("points", POINTS, steps, (config.points.ratio,), None))
    if config.networks:
        steps = readings.steps(table, "networks")[-1] // config.networks.epochs
        parts.append(("networks", NETWORKS, steps, config.networks.ratios, config.networks))
    figure.set_size_inches(11.4, 3.7 * len(parts))
    grid = figure.subplots(len(parts), 3, squeeze=False)
    for axes, (plain, arms, steps, ratios, networks) in zip(grid, parts, strict=True):
        known = {arm: name for arm, name in arms.items() if arm in set(table.arm)}
        _draw_shares(axes[0], table, plain, steps, max(ratios), networks)
        _draw_spreads(axes[1], table, known, steps)
        _draw_margins(axes[2], table, known, steps)
        for axis in axes:
            axis.set(xscale="log", xlabel="epochs")


def _draw_shares(axes, table, plain: str, steps: int, ratio: float, networks) -> None:
    """Share of ambiguous points put into class 1, for one class up, none, and the other up."""
    epochs = readings.steps(table, plain) / steps
    for weight, label in ((ratio, f"{ratio:g} : 1"), (1.0, "1 : 1"), (1 / ratio, f"1 : {ratio:g}")):
        plots.interval_band(axes, epochs, readings.curves(table, plain, weight), label)
    what = "grid points"
    if networks is not None:
        label, what = f"1 : {ratio:g} by sub-sampling", "images of other classes"
        shares = readings.curves(table, "networks_sub_sampled", 1 / ratio)
        plots.interval_band(axes, epochs, shares, label, linestyle=(0, (4, 2)))
    axes.set(ylabel=f"share of {what} in class 1", ylim=(-0.03, 1.03))
    axes.set_title("Networks on two classes" if plain == "networks" else "Points in the plane")
    place = "upper right" if networks is None else "lower right"
    axes.legend(title="class 1 : class 0", loc=place, fontsize=7.5, title_fontsize=7.5)


def _draw_spreads(axes, table, arms: dict[str, str], steps: int) -> None:
    """What is left of the effect of the weights, a line an arm."""
    for arm, name in arms.items():
        epochs = readings.steps(table, arm) / steps
        plots.interval_band(axes, epochs, readings.spread(table, arm), name)
    axes.axhline(0.0, color=plots.INK, linewidth=0.8)
    axes.set(ylabel="share, weighted up minus down", title="Effect of the weights")
    axes.legend(loc="lower left" if "networks" in arms else "upper right", fontsize=7.5)


def _draw_margins(axes, table, arms: dict[str, str], steps: int) -> None:
    """Mean absolute margin, with the training accuracy at the end beside each line."""
    for arm, name in arms.items():
        epochs = readings.steps(table, arm) / steps
        margins = readings.typical(table, arm, "margin")
        accuracy = readings.fit(table, arm).value
        plots.interval_band(axes, epochs, margins, f"{name}: {accuracy:.3f}")
    axes.set(yscale="log", ylabel="mean absolute margin", title="Why: logits grow, or do not")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(title="training accuracy at the end", fontsize=7.5, title_fontsize=7.5)
