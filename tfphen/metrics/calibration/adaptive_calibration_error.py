"""Adaptive calibration error (ACE): bins of equal mass."""

import numpy as np

from tfphen.core import checks
from tfphen.core.types import Array, TensorLike
from tfphen.metrics.calibration.bins import gaps_of_classes, mean_of_gaps
from tfphen.metrics.probabilities import checked_rows, float_or_array


def adaptive_calibration_error(
    y: TensorLike, y_pred: TensorLike, num_bins: int = 15, from_logits: bool = True
) -> float | Array:
    """Calibration error of every class's probability over bins of equal mass (ACE).

    As `classwise_calibration_error`, but an example is in bin

        floor(R · (number of examples with a smaller probability of the class) / n)

    of R = `num_bins`, so that each bin holds n / R examples, up to one. Examples of equal
    probability are never parted: a run of ties is all in the bin where it begins, which is then
    larger, and each bin weighs n_b / n. The order of examples does not matter.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        num_bins: Number of bins R.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A fraction in [0, 2 / K]: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: As `expected_calibration_error`.

    Example:

    >>> p = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]
    >>> error = adaptive_calibration_error([0, 0, 1, 1], p, num_bins=2, from_logits=False)
    >>> round(error, 6)  # (|1 - .85| + |0 - .65|) / 2, the same for both classes
    0.4

    When not to use:
        With fewer than some 20 examples a bin: like every binned error it is then far above 0 on
        a calibrated model. Bins move with the predictions, so it cannot be summed over batches.

    Reference:
        J. Nixon et al., "Measuring Calibration in Deep Learning", CVPR workshops 2019,
        arXiv 1904.01685; equal-mass bins: K. Nguyen, B. O'Connor, "Posterior calibration and
        exploratory analysis for natural language processing models", EMNLP 2015.
    """
    num_bins = checks.whole("num_bins", num_bins)
    of_class, gaps = gaps_of_classes(*checked_rows(y, y_pred, from_logits))
    count = gaps.shape[-1]
    rows = of_class.reshape(-1, count)
    below = np.stack([np.searchsorted(np.sort(row), row, side="left") for row in rows])
    bins = (below * num_bins // count).reshape(gaps.shape)
    return float_or_array(mean_of_gaps(gaps, bins, num_bins).mean(-1))
