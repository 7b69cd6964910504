"""Spread of test accuracy after long and short training, and that of binary tasks."""

import numpy as np

from tfphen.core.seeds import stream
from tfphen.experiment.plots import INK, SERIES
from tfphen.metrics import binary_variance_formula, run_variance


def draw(table, config, figure) -> None:
    """Draws the runs of the first split."""
    first = table[table.split == table.split.min()]
    axes = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    for axis, arm in zip(axes, ("long", "short"), strict=False):
        _draw_spread(axis, first[first.arm == arm])
    _draw_binary_tasks(axes[2], first[first.arm == "long"])


def _draw_spread(axis, runs) -> None:
    """Draws the accuracies of runs, and their distribution if errors were independent."""
    errors = np.stack(list(runs.test_wrong))
    variance = run_variance(errors)
    chance = stream(0, "independent_errors").random((2000, errors.shape[1])) < errors.mean(0)
    observed, independent = 100 * (1 - errors.mean(1)), 100 * (1 - chance.mean(1))
    both, point = np.concatenate((observed, independent)), 100 / errors.shape[1]
    width = point * max(1, round(np.ptp(both) / point / 25))
    bins = np.arange(both.min() - point / 2, both.max() + width, width)
    axis.hist(observed, bins, density=True, color=SERIES[0], alpha=0.5)
    axis.hist(independent, bins, density=True, histtype="step", color=INK)
    axis.set(xlabel="test accuracy of a run, %", yticks=[], ylim=(0, 1.4 * axis.get_ylim()[1]))
    axis.set_title(f"Epochs: {runs.epochs.iloc[0]:g}")
    place = {"va": "top", "transform": axis.transAxes}
    text = f"{len(errors)} runs: sd {100 * variance.test_variance**0.5:.2f}%"
    axis.text(0.03, 0.97, text, color=SERIES[0], **place)
    text = f"independent errors: sd {100 * variance.independent_variance**0.5:.2f}%"
    axis.text(0.03, 0.91, text, **place)


def _draw_binary_tasks(axis, runs) -> None:
    """Draws the spread of the tasks that merge the classes into two against sqrt(err / 2n)."""
    predictions, labels = np.stack(list(runs.test_predictions)), runs.test_labels.iloc[0]
    classes, points = 1 + max(int(labels.max()), int(predictions.max())), []
    # Every partition of ten classes into two; any further classes stay on one side.
    for code in range(1, 2 ** (min(classes, 10) - 1)):
        side = code >> np.minimum(np.arange(classes), 60) & 1
        variance = run_variance(side[predictions] != side[labels])
        formula = binary_variance_formula(variance.mean_error, variance.num_examples)
        points.append((100 * formula**0.5, 100 * variance.test_variance**0.5))
    predicted, observed = np.transpose(points)
    axis.scatter(predicted, observed, s=4, color=SERIES[0])
    axis.axline((0, 0), slope=1, color=INK, linewidth=0.8)
    axis.set(xlabel="predicted, √(err / 2n), %", ylabel="observed sd, %", title="Binary tasks")
    level = np.median(observed[predicted > 0] / predicted[predicted > 0])
    axis.text(0.97, 0.03, f"median ratio {level:.2f}", ha="right", transform=axis.transAxes)
