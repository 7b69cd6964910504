"""Reads off the findings table what networks fit and what they learn, for verdicts and figure.

Light to import: what computes is imported when a function is called.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

# Training accuracy of a network that has fitted.
FITTED = 0.99


def accuracy(
    table: "pandas.DataFrame", arm: str, column: str = "test_error", rate: float = 0.0
) -> "np.ndarray":
    """Returns one minus an error, `[seeds]`."""
    return 1 - rows_of(table, arm=arm, rate=rate)[column].to_numpy()


def training_errors(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns training errors after each epoch, `[seeds, epochs]`."""
    import numpy as np

    return np.stack(list(rows_of(table, arm=arm, rate=0.0).curve_train_error))


def epochs_to_fit(table: "pandas.DataFrame", arm: str) -> "np.ndarray":
    """Returns the epoch after which training accuracy is first `FITTED`, `[seeds]`, or NaN."""
    import numpy as np

    fitted = training_errors(table, arm) <= 1 - FITTED
    return np.where(fitted.any(1), 1.0 + fitted.argmax(1), np.nan)


def _time_ratio(first: "np.ndarray", second: "np.ndarray", name: str) -> stats.Estimate:
    name = f"epochs to fit, {name}, geometric mean over seeds"
    return stats.geometric_ratio(first, second, name)


def longer(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean ratio of the epochs to fit of an arm to those of true labels."""
    times = (epochs_to_fit(table, one) for one in (arm, "true"))
    return _time_ratio(*times, f"{arm} over true")


def first(table: "pandas.DataFrame", arm: str, arms: Iterable[str]) -> stats.Estimate:
    """Mean ratio of the epochs to fit of the quickest other of some arms to those of an arm."""
    import numpy as np

    least = np.min([epochs_to_fit(table, other) for other in arms if other != arm], 0)
    return _time_ratio(least, epochs_to_fit(table, arm), f"least of the others over {arm}")


def last(table: "pandas.DataFrame", arm: str, arms: Iterable[str]) -> stats.Estimate:
    """Mean ratio of the epochs to fit of an arm to those of the slowest other of some arms."""
    import numpy as np

    most = np.max([epochs_to_fit(table, other) for other in arms if other != arm], 0)
    return _time_ratio(epochs_to_fit(table, arm), most, f"{arm} over most of the others")


def fit(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean training accuracy."""
    accuracies = accuracy(table, arm, "train_error")
    return stats.mean_if_defined(accuracies, f"training accuracy, {arm}, mean over seeds")


def advantage(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean test accuracy less that of chance, among ten classes."""
    return stats.mean(accuracy(table, arm) - 0.1, f"test accuracy minus chance, {arm}")


def gain(table: "pandas.DataFrame", arm: str, rate: float = 0.0) -> stats.Estimate:
    """Mean test accuracy less that of the network without a regularizer, paired by seed."""
    pair = (accuracy(table, one, rate=rate) for one in (arm, "true"))
    return stats.paired_difference(*pair, f"test accuracy, {arm} minus none, noise {rate}")


def misfit(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean logarithm of the largest error of a construction on an example."""
    import numpy as np

    logs = np.log10(np.maximum(rows_of(table, arm=arm, rate=0.0).misfit, 1e-300))
    name = f"log10 of the largest error on an example, {arm}, mean over seeds"
    return stats.mean_if_defined(logs, name)


def corruption(table: "pandas.DataFrame", arm: str) -> tuple[list[float], "np.ndarray"]:
    """Returns shares of corrupted labels, and test accuracies `[seeds, shares]`.

    Beside the shares of an arm on true labels stand random labels, as the share of 1.
    """
    import numpy as np

    shares = sorted(table[table.arm == arm].rate.unique())
    values = [accuracy(table, arm, rate=rate) for rate in shares]
    if arm.endswith("true"):
        shares, random = [*shares, 1.0], arm.replace("true", "random_labels")
        values.append(accuracy(table, random))
    return shares, np.stack(values, 1)


def rise(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Mean rank correlation of test error with the share of corrupted labels."""
    shares, accuracies = corruption(table, arm)
    ranks = [stats.spearman(shares, 1 - one).value for one in accuracies]
    name = f"rank correlation of test error and share of corrupted labels, {arm}, mean over seeds"
    return stats.mean_if_defined(ranks, name)
