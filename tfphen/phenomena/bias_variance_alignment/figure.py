"""Variance against squared bias at each test point of the first ensembles."""

from tfphen.experiment.plots import INK, SERIES
from tfphen.phenomena.bias_variance_alignment.findings import alignments, decompositions


def draw(table, config, figure) -> None:
    """Draws the first ensemble of the large and of the small model."""
    first = table[table.ensemble == table.ensemble.min()]
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    arms = {"wide": config.wide, "narrow": config.narrow}
    for axis, (arm, model) in zip(axes, arms.items(), strict=True):
        points = decompositions(first, arm)
        ((_, terms),) = points.items()
        (fit,) = alignments(points)
        label = f"correct: slope {fit.slope:.2f}, R² {fit.r_squared:.2f}"
        groups = (
            (terms.correct, label, SERIES[0]),
            (~terms.correct, "misclassified", SERIES[1]),
        )
        for line, (chosen, label, color) in enumerate(groups):
            chosen = chosen & (terms.unbiased_squared_bias > 1e-10)
            xy = terms.unbiased_squared_bias[chosen], terms.unbiased_variance[chosen]
            axis.scatter(*xy, s=8, color=color, alpha=0.6, linewidth=0)
            height = 0.97 - 0.06 * line
            axis.text(0.03, height, label, color=color, va="top", transform=axis.transAxes)
        settings = " ".join(str(value) for key, value in model.items() if key != "name")
        axis.set(xscale="log", yscale="log", xlabel="squared bias at a test point")
        axis.set_title(f"{model['name']} {settings}")
    axes[0].set_ylabel("variance at a test point")
    for axis in axes:
        axis.axline((1e-4, 1e-4), (1e-2, 1e-2), color=INK, linewidth=0.8, zorder=0)
