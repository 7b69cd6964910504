"""Figure: easy examples, order of learning, complexity, regularizers, sensitivity, arithmetic."""

import numpy as np

from tfphen.core.seeds import stream
from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.memorization.findings import curves_of, values_of
from tfphen.phenomena.memorization.trials import DATA


def draw(table, config, figure) -> None:
    """Draws a panel or more for each experiment that was run."""
    panels = [_draw_easy] if config.runs else []
    panels += [_draw_order, _draw_critical, _draw_regularizers] if config.epochs else []
    panels += [_draw_sensitivity] if config.replayed_steps else []
    panels += [_draw_arithmetic] if config.decays else []
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure.set_size_inches(4.3 * columns, 3.6 * lines)
    places = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes, draw_panel in zip(places, panels, strict=False):
        draw_panel(axes, table)
        axes.legend(frameon=False)


def _draw_easy(axes, table) -> None:
    """Draws sorted success rates of the examples of one seed, and those of coin tosses."""
    for arm in DATA:
        rows = rows_of(table, study="short", arm=arm)
        correct = ~np.stack(list(rows[rows.seed == rows.seed.min()].train_wrong))
        axes.plot(np.sort(correct.mean(0)), label=arm)
        if arm == "randX":
            draws = stream(0, "coin_tosses").binomial(
                len(correct), correct.mean(), correct.shape[1]
            )
            axes.plot(
                np.sort(draws) / len(correct), color=plots.INK, lw=0.9, ls=":", label="coin tosses"
            )
    axes.set(title="After one epoch, some examples are easy", xlabel="training examples, sorted")
    axes.set(ylabel="fraction of correct runs")


def _draw_curves(axes, table, curves: dict, title: str, ylabel: str) -> None:
    """Draws, by label, an arm's column of curves over updates."""
    for label, (arm, column, flip) in curves.items():
        steps, values = curves_of(table, arm, "step")[0], curves_of(table, arm, column)
        taken = np.isfinite(values).any(0)
        values = 1 - values if flip else values
        plots.interval_band(axes, steps[taken], values[:, taken], label)
    axes.set(title=title, xlabel="updates", ylabel=ylabel, xscale="log")


def _draw_order(axes, table) -> None:
    curves = {
        "clean labels fitted": ("noisy", "clean_fit", False),
        "flipped labels fitted": ("noisy", "flipped_fit", False),
        "validation": ("noisy", "validation_error", True),
        "validation, no noise": ("real", "validation_error", True),
    }
    _draw_curves(axes, table, curves, "Patterns first, flipped labels later", "accuracy")


def _draw_critical(axes, table) -> None:
    curves = {arm: (arm, "critical_sample_ratio", False) for arm in (*DATA, "noisy")}
    _draw_curves(axes, table, curves, "Noise needs complex surfaces", "critical sample ratio")


def _draw_regularizers(axes, table) -> None:
    """Draws training accuracy on random labels against validation accuracy on real data."""
    names = {"": "none", "_decay": "weight decay", "_dropout": "dropout"}
    for (suffix, name), marker in zip(names.items(), plots.MARKERS, strict=False):
        x = 1 - values_of(rows_of(table, study="long", arm=f"randY{suffix}"), "train_error")
        y = 1 - values_of(rows_of(table, study="long", arm=f"real{suffix}"), "validation_error")
        axes.plot(x, y, marker, ls="", label=name)
    axes.set(title="Regularizers hinder noise more", xlabel="training accuracy, randY")
    axes.set(ylabel="validation accuracy, real", ylim=(0.9, 1.0))


def _draw_sensitivity(axes, table) -> None:
    """Draws Lorenz curves of loss sensitivity, the mean over seeds."""
    for arm in ("real", "randX"):
        rows = rows_of(table, study="replayed", arm=arm)
        ordered = np.sort(np.stack(list(rows.loss_sensitivity)), 1).cumsum(1)
        shares = np.linspace(0, 1, ordered.shape[1] + 1)[1:]
        gini = values_of(rows, "loss_sensitivity").mean()
        axes.plot(shares, (ordered / ordered[:, -1:]).mean(0), label=f"{arm}, Gini {gini:.2f}")
    axes.axline((0, 0), slope=1, color=plots.INK, lw=0.8, ls=":", label="uniform")
    axes.set(
        title="Few real examples matter most", xlabel="fraction of examples, least sensitive first"
    )
    axes.set(ylabel="fraction of loss sensitivity")


def _draw_arithmetic(axes, table) -> None:
    """Draws accuracies at the end of training for each weight decay."""
    rows = table[table.study == "arithmetic"].sort_values(["weight_decay", "seed"])
    arms = list(dict.fromkeys(rows.arm))
    for label, column, flip in (
        ("test", "curve_test_error", True),
        ("mislabeled sums fitted", "curve_flipped_fit", False),
        ("training", "curve_train_error", True),
    ):
        values = [values_of(rows[rows.arm == arm], column) for arm in arms]
        values = [1 - value if flip else value for value in values]
        plots.interval_band(axes, range(len(arms)), list(zip(*values, strict=True)), label)
    axes.set(title="Weight decay keeps the rule only", xlabel="weight decay", ylabel="accuracy")
    axes.set(xticks=range(len(arms)), xticklabels=arms)
