"""Test error of the narrow and the wide network."""

from typing import Any

from tfphen.experiment import plots


def draw(table: Any, config: Any, figure: Any) -> None:
    """Draws the mean test error over width, with its interval, on true and random labels."""
    axes = figure.subplots()
    for arm, rows in table.groupby("arm"):
        grid = rows.pivot(index="seed", columns="units", values="test_error")
        plots.interval_band(axes, list(grid.columns), grid.to_numpy(), arm.replace("_", " "))
    axes.set(xscale="log", xlabel="hidden units", ylabel="test error")
    axes.legend(frameon=False)
