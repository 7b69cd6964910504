"""Share classified as class 1, spread between opposite weights, and margins, along training.

One row for points in the plane, one for networks. Under cross-entropy weights lose their effect
as margins grow: its exponential tail leaves a gradient only for the nearest points. Under a loss
with a heavier tail all points keep a gradient, and weights their effect.
"""

from matplotlib.ticker import LogLocator, NullLocator

from tfphen.experiment import plots
from tfphen.phenomena.importance_weighting.findings import (
    curves,
    mean_over_weights,
    spread,
    steps,
    train_accuracy,
)

# Labels of the arms of each row.
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
        per_epoch = steps(table, "points")[-1] // config.points.epochs
        parts.append(("points", POINTS, per_epoch, (config.points.ratio,), None))
    if config.networks:
        per_epoch = steps(table, "networks")[-1] // config.networks.epochs
        parts.append(("networks", NETWORKS, per_epoch, config.networks.ratios, config.networks))
    figure.set_size_inches(11.4, 3.7 * len(parts))
    grid = figure.subplots(len(parts), 3, squeeze=False)
    for axes, (plain, arms, per_epoch, ratios, networks) in zip(grid, parts, strict=True):
        shown = {arm: name for arm, name in arms.items() if arm in set(table.arm)}
        _draw_shares(axes[0], table, plain, per_epoch, max(ratios), networks)
        _draw_spreads(axes[1], table, shown, per_epoch)
        _draw_margins(axes[2], table, shown, per_epoch)
        for axis in axes:
            axis.set(xscale="log", xlabel="epochs")


def _draw_shares(axes, table, plain: str, per_epoch: int, ratio: float, networks) -> None:
    """Draws the share of ambiguous points in class 1, for opposite and for equal weights."""
    epochs = steps(table, plain) / per_epoch
    for weight, label in ((ratio, f"{ratio:g} : 1"), (1.0, "1 : 1"), (1 / ratio, f"1 : {ratio:g}")):
        plots.interval_band(axes, epochs, curves(table, plain, weight), label)
    what = "grid points"
    if networks is not None:
        label, what = f"1 : {ratio:g} by sub-sampling", "images of other classes"
        shares = curves(table, "networks_sub_sampled", 1 / ratio)
        plots.interval_band(axes, epochs, shares, label, linestyle=(0, (4, 2)))
    axes.set(ylabel=f"share of {what} in class 1", ylim=(-0.03, 1.03))
    axes.set_title("Networks on two classes" if plain == "networks" else "Points in the plane")
    place = "upper right" if networks is None else "lower right"
    axes.legend(title="class 1 : class 0", loc=place, fontsize=7.5, title_fontsize=7.5)


def _draw_spreads(axes, table, arms: dict[str, str], per_epoch: int) -> None:
    """Draws the remaining effect of the weights, one line per arm."""
    for arm, name in arms.items():
        epochs = steps(table, arm) / per_epoch
        plots.interval_band(axes, epochs, spread(table, arm), name)
    axes.axhline(0.0, color=plots.INK, linewidth=0.8)
    axes.set(ylabel="share, weighted up minus down", title="Effect of the weights")
    axes.legend(loc="lower left" if "networks" in arms else "upper right", fontsize=7.5)


def _draw_margins(axes, table, arms: dict[str, str], per_epoch: int) -> None:
    """Draws the mean absolute margin; the legend has the final training accuracy."""
    for arm, name in arms.items():
        epochs = steps(table, arm) / per_epoch
        margins = mean_over_weights(table, arm, "margin")
        accuracy = train_accuracy(table, arm).value
        plots.interval_band(axes, epochs, margins, f"{name}: {accuracy:.3f}")
    axes.set(yscale="log", ylabel="mean absolute margin", title="Why: logits grow, or do not")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(title="training accuracy at the end", fontsize=7.5, title_fontsize=7.5)
