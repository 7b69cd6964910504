"""Relative flatness against test error, and how each measure ranks networks."""

from tfphen.experiment import plots
from tfphen.phenomena.relative_flatness.findings import stopped, tau
from tfphen.phenomena.relative_flatness.measures import MEASURES


def draw(table, config, figure) -> None:
    """Draws networks by two measures, and the tau of every measure with two outcomes."""
    nets = stopped(table[table.arm == "trained"])
    figure.set_size_inches(13.0, 4.2)
    axes = figure.subplots(1, 4, width_ratios=(3, 3, 2.4, 2.4))
    _draw_networks(axes[0], nets, "flatness", "relative flatness")
    _draw_networks(axes[1], nets, "rescaled_trace", "Hessian trace, layers rescaled")
    axes[0].set_ylabel("test error minus mean of its seed, %")
    axes[0].legend(frameon=False)
    _draw_taus(axes[2], nets, "test_error", "tau with test error")
    _draw_taus(axes[3], nets, "gap", "tau with loss gap")
    axes[3].set_yticklabels([])
    figure.legend(*axes[3].get_legend_handles_labels(), loc="outside lower right", ncols=2)


def _draw_networks(axes, nets, column: str, name: str) -> None:
    """One point a network; the mean test error of its seed is subtracted."""
    centered = 100 * (nets.test_error - nets.groupby("seed").test_error.transform("mean"))
    for index, (optimizer, part) in enumerate(nets.groupby("optimizer")):
        marker, color = plots.MARKERS[index], plots.SERIES[index]
        y = centered[part.index]
        axes.plot(part[column], y, marker, color=color, ms=3.5, alpha=0.6, label=optimizer)
    axes.set(xscale="log", xlabel=name)
    mean = tau(nets, column)
    axes.set_title(f"tau {mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]")


def _draw_taus(axes, nets, outcome: str, title: str) -> None:
    """One row a measure: mean over seeds with its interval, as trained and with rescaled layers."""
    trained = [tau(nets, name, outcome) for name in MEASURES]
    trained.append(tau(nets, "flatness", outcome, given="train_loss"))
    rescaled = [tau(nets, f"rescaled_{name}", outcome) for name in MEASURES]
    for index, (taus, label) in enumerate(((trained, "as trained"), (rescaled, "rescaled layers"))):
        values = [t.value for t in taus]
        reach = [[t.value - t.low for t in taus], [t.high - t.value for t in taus]]
        rows = [row + 0.3 * index - 0.15 for row in range(len(taus))]
        look = {"fmt": plots.MARKERS[index], "color": plots.SERIES[index], "ms": 4, "label": label}
        axes.errorbar(values, rows, xerr=reach, **look)
    axes.axvline(0.0, color=plots.INK, linewidth=0.8)
    axes.set(yticks=range(len(trained)), ylim=(len(trained) - 0.5, -0.5), title=title)
    axes.set_yticklabels([*MEASURES.values(), "relative flatness, given train loss"])
    axes.grid(True, axis="x")
