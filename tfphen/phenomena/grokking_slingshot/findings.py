"""Reads the curves of grokking and of slingshots from the findings table, for verdicts and figure.

Light to import: the metrics are imported when a function is called.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

    from tfphen.metrics import GrokkingTimes, Slingshots

# Updates: window of the detector, end of the growth before a spike, wait at the beginning.
WINDOW, LAG, SETTLE = 200, 10, 300


def times_of(rows: "pandas.DataFrame") -> "GrokkingTimes":
    """Returns when the trainings of an arm memorise and generalise, one entry a training."""
    from tfphen.metrics import grokking_times

    errors = (rows[f"curve_{split}_error"] for split in ("train", "test"))
    accuracies = ([1 - curve for curve in curves] for curves in errors)
    return grokking_times(rows.curve_step.iloc[0], *accuracies)


def slingshots_of(rows: "pandas.DataFrame", record_every: int) -> "list[Slingshots]":
    """Returns the slingshots of each training of an arm.

    Args:
        rows: The trainings.
        record_every: Updates between two records.
    """
    from tfphen.metrics import slingshots

    lengths = {"window": WINDOW, "growth_lag": LAG, "settle": SETTLE}
    settings = {name: updates // record_every for name, updates in lengths.items()}
    pairs = zip(rows.step_loss, rows.step_last_layer_norm, strict=True)
    return [slingshots(losses, norms, **settings) for losses, norms in pairs]
