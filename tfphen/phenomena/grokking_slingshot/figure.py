"""Figure: accuracy and periodicity of a network that groks; loss and norm through slingshots."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.grokking_slingshot.findings import slingshots_of
from tfphen.phenomena.grokking_slingshot.trials import Grokking, Slingshot


def draw(table, config, figure) -> None:
    """Draws a row of two panels for each part that was trained."""
    parts = [part for part in (config.grokking, config.slingshot) if part is not None]
    figure.set_size_inches(9.4, 3.3 * len(parts))
    for axes, part in zip(figure.subplots(len(parts), 2, squeeze=False), parts, strict=True):
        draw_part = _draw_grokking if isinstance(part, Grokking) else _draw_slingshots
        draw_part(*axes, table, part)


def _draw_grokking(left, right, table, part: Grokking) -> None:
    """Draws accuracies and the periodicity of the first layer over steps."""

    def band(axes, arm, column, label, color, **line):
        if arm in part.arms() and f"curve_{column}" in table:
            rows = rows_of(table, arm=arm)
            curves = np.stack(list(rows[f"curve_{column}"]))
            curves = curves if column == "periodicity" else 1 - curves
            line |= {"color": color, "marker": ""}
            plots.interval_band(axes, rows.curve_step.iloc[0], curves, label, **line)

    shares = {arm: f"{100 * share:g}% of the table" for arm, share in part.arms().items()}
    blue, orange, green, purple, *_ = plots.SERIES
    band(left, "main", "train_error", f"training, {shares['main']}", blue)
    colors = {"main": orange, "larger": green, "sparse": purple}
    for arm, color in colors.items():
        band(left, arm, "test_error", f"test, {shares.get(arm)}", color)
    left.set(xlabel="step", ylabel="accuracy", title="Memorized first, generalized later")
    left.legend(loc="center right")
    for arm, color in colors.items():
        band(right, arm, "periodicity", shares.get(arm), color)
    band(right, "random_labels", "periodicity", "random labels", blue)
    right.set(xlabel="step", ylabel="inverse participation ratio", ylim=(0, 1))
    right.set_title("Rows of the first layer become periodic")
    if right.lines:
        right.legend(loc="upper left")
    else:
        right.set_axis_off()


def _draw_slingshots(left, right, table, part: Slingshot) -> None:
    """Draws the first seed of each arm; the loss as its maximum in each of 500 intervals."""
    for number, arm in enumerate(part.arms()):
        rows = rows_of(table, arm=arm)
        row = rows.iloc[0]
        steps, losses, norms = row.step_number, row.step_loss, row.step_last_layer_norm
        starts = np.unique(np.linspace(0, len(steps), 501)[:-1].astype(int))
        line = {"color": plots.SERIES[number], "label": arm.replace("_", " "), "linewidth": 1.0}
        left.plot(steps[starts], np.maximum(np.maximum.reduceat(losses, starts), 1e-12), **line)
        right.plot(steps[starts], norms[starts], **line)
        if arm == "small_epsilon":
            at = slingshots_of(rows.iloc[:1], part.record_every)[0].positions
            for axes, values in ((left, losses), (right, norms)):
                axes.plot(steps[at], values[at], "v", color=plots.INK, label="slingshot")
    left.set(yscale="log", xlabel="step", ylabel="training loss", title="The loss spikes")
    right.set(xlabel="step", ylabel="norm of the last layer", title="The norm grows, then plateaus")
    right.legend(loc="lower right")
