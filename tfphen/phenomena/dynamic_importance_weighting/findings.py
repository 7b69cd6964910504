"""Reads accuracies, weights and errors off the findings table, for verdicts and figure.

Light to import: what computes is imported when a function is called.
"""

from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas


def networks(table: "pandas.DataFrame", arm: str, noise: str = "noisy") -> "pandas.DataFrame":
    """Returns the rows of the networks of an arm, by seed."""
    return rows_of(table, part="networks", arm=arm, noise=noise)


def accuracies(table: "pandas.DataFrame", arm: str, noise: str = "noisy") -> "np.ndarray":
    """Returns the test accuracies at the end, `[seeds]`."""
    return 1 - networks(table, arm, noise).test_error.to_numpy()


def curves(table: "pandas.DataFrame", arm: str, noise: str = "noisy") -> "np.ndarray":
    """Returns the test accuracies along the training, `[seeds, points]`."""
    import numpy as np

    return 1 - np.stack(list(networks(table, arm, noise).curve_test_error))


def reached(table: "pandas.DataFrame", arm: str, when: str) -> "np.ndarray":
    """Returns test accuracies in percent, `[seeds]`.

    Args:
        table: The records.
        arm: The arm.
        when: `"best"` of the curve, or the `"end"`.
    """
    found = curves(table, arm).max(1) if when == "best" else accuracies(table, arm)
    return 100 * found


def gain(table: "pandas.DataFrame", arm: str, other: str, noise: str = "noisy") -> stats.Estimate:
    """Compares two arms in test accuracy at the end, paired by seed."""
    pair = (accuracies(table, name, noise) for name in (arm, other))
    name = f"test accuracy, {arm} minus {other}, {noise.replace('_', ' ')} labels"
    return stats.paired_difference(*pair, name)


def recorded(table: "pandas.DataFrame", arm: str, column: str, noise: str = "noisy"):
    """Returns what was recorded of the weights: shares of the training, `[points]`, and values.

    Args:
        table: The records.
        arm: The arm.
        column: One of `tfphen.phenomena.dynamic_importance_weighting.loss_matching.SEPARATION`.
        noise: What is noisy.
    """
    import numpy as np

    rows = networks(table, arm, noise)
    shares = np.asarray(rows.step_number.iloc[0]) / rows.steps.iloc[0]
    return shares, np.stack(list(rows[f"step_{column}"]))


def separation(
    table: "pandas.DataFrame",
    arm: str,
    noise: str = "noisy",
    when: str = "last_half",
    epochs: int | None = None,
) -> stats.Estimate:
    """Area under the ROC curve of the weights, clean against flipped labels of a batch.

    Args:
        table: The records.
        arm: The arm.
        noise: What is noisy.
        when: `"last_half"` of the training, or the `"warm_up"`, its first epoch.
        epochs: Length of the training.
    """
    import numpy as np

    shares, values = recorded(table, arm, "auc", noise)
    chosen = shares >= 0.5 if when == "last_half" else shares < (1 - 1e-6) / epochs
    name = f"AUC of weights, {arm}, {noise.replace('_', ' ')} labels, {when.replace('_', ' ')}"
    return stats.mean_if_defined(np.nanmean(values[:, chosen], 1), name)


def shift_errors(table: "pandas.DataFrame", truth: str, method: str) -> "np.ndarray":
    """Returns squared errors under covariate shift, mean over the repeats of a seed, `[seeds]`."""
    rows = rows_of(table, part=truth, arm=method)
    return rows.groupby("seed").squared_error.mean().to_numpy()


def shift_gain(table: "pandas.DataFrame", truth: str, method: str) -> stats.Estimate:
    """By how much a weighted line has less squared error than an unweighted one."""
    pair = (shift_errors(table, truth, name) for name in ("unweighted", method))
    return stats.paired_difference(*pair, f"squared error, unweighted minus {method}, {truth}")
