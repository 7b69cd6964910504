"""Figure: tickets and their controls, from dense to sparse."""

from tfphen.experiment import plots
from tfphen.phenomena.lottery_ticket.findings import read_curves
from tfphen.phenomena.lottery_ticket.trials import CONTROLS

_ARMS = ("dense", "ticket", *CONTROLS[:-1])


def draw(table, config, figure) -> None:
    """Draws accuracy and early stopping over the weights left, and loss over the steps."""
    runs, number = read_curves(table, config), max(config.control_rounds, default=config.rounds)
    figure.set_size_inches(11.5, 4.2)
    accuracy, stopping, losses = figure.subplots(1, 3)
    _draw(accuracy, runs, "accuracy")
    accuracy.set(title="at early stopping", ylabel="test accuracy")
    _draw(stopping, runs, "stopped_step")
    stopping.set(title="early stopping", ylabel="step")
    share = 100 * runs[runs["round"] == number].density.mean()
    _draw(losses, runs[runs["round"].isin((0, number))], "curve_validation_loss")
    losses.set(title=f"with {share:.2g}% of the weights", ylabel="validation loss")
    figure.legend(*losses.get_legend_handles_labels(), loc="outside lower center", ncols=7)


def _draw(axes, runs, column: str) -> None:
    """Draws curves over steps, or another column over the percentage of weights left."""
    curves = column.startswith("curve_")
    for index, arm in enumerate(_ARMS):
        color, marker = (plots.INK, *plots.SERIES)[index], ("", *plots.MARKERS)[index]
        # Kept signs hide the ticket wherever they are all that matters.
        line = {"dense": "--", "kept_signs": ":"}.get(arm, "-")
        label = arm.replace("_", " ")
        look = {"color": color, "marker": marker, "linestyle": line, "label": label}
        rows = runs[runs.arm.isin(("dense", arm) if arm == "ticket" and not curves else (arm,))]
        if not len(rows):
            continue
        if curves:
            plots.interval_band(axes, rows.curve_step.iloc[0], rows[column].tolist(), **look)
        elif arm == "dense":
            axes.axhline(rows[column].mean(), linewidth=1.0, **look)
        else:
            shares = 100 * rows.groupby("round").density.mean()
            values = rows.pivot_table(column, "seed", "round").to_numpy()
            plots.interval_band(axes, shares, values, **look)
    if curves:
        axes.set(xlabel="steps", yscale="log")
        return
    ticks = [tick for tick in (100, 50, 20, 10, 5, 2, 1) if tick > 90 * runs.density.min()]
    axes.set(xscale="log", xlabel="% of weights left")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.invert_xaxis()
