"""Test error over model size, training time and number of samples."""

from tfphen.experiment import plots
from tfphen.phenomena.double_descent.findings import grid_of


def draw(table, config, figure) -> None:
    """Draws error and loss over size, time, and number of samples, whichever there are."""
    panels = []
    if config.widths:
        panels += ["width", "width_loss"]
    if config.epoch_width is not None:
        panels.append("epoch")
    panels += [a for a in ("features", "samples", "descent") if len(table[table.arm == a])]
    figure.set_size_inches(4.0 * len(panels), 3.8)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        if panel in ("width", "width_loss"):
            _draw_widths(axes, table, "test_loss" if panel == "width_loss" else "test_error")
        elif panel in ("epoch", "descent"):
            _draw_time(axes, table[table.arm == panel], panel)
        else:
            for ridge, rows in table[table.arm == panel].groupby("ridge"):
                label = f"ridge {ridge:g}" if ridge else "no ridge"
                grid = grid_of(rows, "test_error")
                plots.interval_band(axes, list(grid.columns), grid.to_numpy(), label)
            unit = "random features" if panel == "features" else "training examples"
            axes.set(xscale="log", xlabel=unit, ylabel="test error", title=f"over {unit}")
        axes.legend(frameon=False)


def _draw_time(axes, rows, arm: str) -> None:
    column = "scale" if arm == "descent" else "label_noise"
    names = {"scale": ("features of two scales", "of one scale")}
    names["label_noise"] = ("with label noise", "without")
    for value, part in rows.groupby(column):
        plain = value == (1.0 if column == "scale" else 0.0)
        curves = part.curve_test_error.tolist()
        plots.interval_band(axes, part.curve_step.iloc[0], curves, names[column][int(plain)])
    axes.set(xscale="log", xlabel="training steps", ylabel="test error", title="over training time")


def _draw_widths(axes, table, column: str) -> None:
    rows = table[table.arm == "width"]
    for noise, part in rows.groupby("label_noise"):
        label = f"{100 * noise:g}% label noise" if noise else "no label noise"
        grid = grid_of(part, column)
        plots.interval_band(axes, list(grid.columns), grid.to_numpy(), label)
        if column == "test_error" and noise:
            fit = grid_of(part, "train_error")
            plots.interval_band(axes, list(fit.columns), fit.to_numpy(), "training error")
    axes.set(xscale="log", xlabel="width", ylabel=column.replace("_", " "), title="over model size")
