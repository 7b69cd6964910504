"""How well predicted probabilities match what happens: calibration errors and proper scores."""

import numpy as np

from tfphen.core import checks
from tfphen.metrics.probabilities import (
    check_same_rows,
    labels_and_predictions,
    labels_and_probabilities,
    log_softmax,
)
from tfphen.metrics.reliability import bin_of


def _prepared(y, y_pred, from_logits) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = labels_and_probabilities(y, y_pred, from_logits)
    check_same_rows(labels, probabilities)
    return labels, probabilities


def _mean_of_gaps(gaps: np.ndarray, bins: np.ndarray, num_bins: int) -> np.ndarray:
    """Returns sum_b |sum of the gaps in bin b| / n, `[...]`, of gaps and bins `[..., n]`."""
    count, lead = gaps.shape[-1], gaps.shape[:-1]
    rows = np.arange(int(np.prod(lead)))[:, None]
    cells = (rows * num_bins + bins.reshape(-1, count)).ravel()
    sums = np.bincount(cells, gaps.ravel(), len(rows) * num_bins)
    return np.abs(sums.reshape(*lead, num_bins)).sum(-1) / count


def _float_or_array(value: np.ndarray):
    return float(value) if np.ndim(value) == 0 else value


def _gaps_of_classes(labels, probabilities) -> tuple[np.ndarray, np.ndarray]:
    """Returns p_ik and 1[y_i = k] - p_ik, both `[..., K, n]`."""
    one_hot = np.eye(probabilities.shape[-1])[labels]
    return np.swapaxes(probabilities, -1, -2), np.swapaxes(one_hot - probabilities, -1, -2)


def expected_calibration_error(y, y_pred, num_bins=15, from_logits=True):
    """Mean distance of confidence and accuracy over bins of equal width (ECE).

    With the confidence max_c p_c of each example, and n_b examples in bin b of B:

        ECE = sum_b n_b / n · |accuracy of bin b - mean confidence of bin b|

    Bin b = 1..B is ((b - 1) / B, b / B]: closed above, so that a confidence of 1 is in the last;
    a confidence at an edge b / B (as float64) is in the bin below it. Empty bins count nothing.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        num_bins: Number of bins B.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A share in [0, 1]: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: `num_bins` is not a positive integer, NaN, shapes that do not go together, or
            values that are not what they should be.

    Example:

    >>> expected_calibration_error([0, 1], [[0.75, 0.25], [0.75, 0.25]], from_logits=False)
    0.25

    When not to use:
        On few examples: a calibrated model has an error of about .4 sqrt(2 b / (π n)) with n
        examples spread over b of the bins (.05 for 500 and 10), so compare at equal n and B.
        As an objective: predicting class frequencies everywhere has no error and is useless; use
        `brier_score` or `negative_log_likelihood`. For classes that are not the most probable:
        use `classwise_calibration_error`.

    Migration:
        `tfp.stats.expected_calibration_error(num_bins, logits=, labels_true=)` closes its bins
        below, which differs only for confidences at an edge. In `model.compile` use
        `tfphen.metrics.ExpectedCalibrationError`.

    Reference:
        C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv 1706.04599,
        equation 3.
    """
    num_bins = checks.whole("num_bins", num_bins)
    labels, probabilities = _prepared(y, y_pred, from_logits)
    confidence = probabilities.max(-1)
    hit = probabilities.argmax(-1) == labels
    return _float_or_array(_mean_of_gaps(hit - confidence, bin_of(confidence, num_bins), num_bins))


def classwise_calibration_error(y, y_pred, num_bins=15, from_logits=True):
    """Calibration error of every class's probability, averaged over classes.

    With the n_bk examples whose probability of class k is in bin b of B:

        1 / K · sum_k sum_b n_bk / n · |share of label k - mean p_k in the bin|

    Bins are those of `expected_calibration_error`. Also called static calibration error.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        num_bins: Number of bins B.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A share in [0, 2 / K]: a float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: As `expected_calibration_error`.

    Example:

    >>> p = [[0.75, 0.25, 0.0], [0.75, 0.25, 0.0]]
    >>> round(classwise_calibration_error([0, 1], p, from_logits=False), 6)  # (.25 + .25 + 0) / 3
    0.166667

    When not to use:
        To compare problems with different numbers of classes: most of the K probabilities are
        near 0 and share one bin, so the value falls like 1 / K. With many classes and bins of
        equal width use `adaptive_calibration_error`.

    Reference:
        M. Kull et al., "Beyond temperature scaling", NeurIPS 2019, arXiv 1910.12656; J. Nixon et
        al., "Measuring Calibration in Deep Learning", CVPR workshops 2019, arXiv 1904.01685.
    """
    num_bins = checks.whole("num_bins", num_bins)
    of_class, gaps = _gaps_of_classes(*_prepared(y, y_pred, from_logits))
    return _float_or_array(_mean_of_gaps(gaps, bin_of(of_class, num_bins), num_bins).mean(-1))


def adaptive_calibration_error(y, y_pred, num_bins=15, from_logits=True):
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
        A share in [0, 2 / K]: a float, or an array `[...]` for inputs with leading axes.

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
    of_class, gaps = _gaps_of_classes(*_prepared(y, y_pred, from_logits))
    count = gaps.shape[-1]
    rows = of_class.reshape(-1, count)
    below = np.stack([np.searchsorted(np.sort(row), row, side="left") for row in rows])
    bins = (below * num_bins // count).reshape(gaps.shape)
    return _float_or_array(_mean_of_gaps(gaps, bins, num_bins).mean(-1))


def brier_score(y, y_pred, from_logits=True):
    """Mean squared distance of the probabilities from the one-hot label, between 0 and 2.

        1 / n · sum_i sum_c (p_ic - 1[y_i = c])²

    A proper score: its expectation is least at the true probabilities.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A float, or an array `[...]` for inputs with leading axes.

    Raises:
        ValueError: NaN, shapes that do not go together, or values that are not what they should be.

    Example:

    >>> brier_score([0], [[0.5, 0.5]], from_logits=False)
    0.5

    When not to use:
        To see calibration alone: accuracy moves it too. Where rare events matter: it hardly tells
        a probability of 1e-3 from one of 1e-6; `negative_log_likelihood` does.

    Migration:
        `sklearn.metrics.brier_score_loss(y, p)` of two classes sums over one of them: it is half
        of this.

    Reference:
        G. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather
        Review 78, 1950.
    """
    labels, probabilities = _prepared(y, y_pred, from_logits)
    one_hot = np.eye(probabilities.shape[-1])[labels]
    return _float_or_array(((probabilities - one_hot) ** 2).sum(-1).mean(-1))


def negative_log_likelihood(y, y_pred, from_logits=True):
    """Mean of -log p_y over examples, in nats: cross-entropy as a measurement, in float64.

    Args:
        y: Integer labels, `[..., n]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., n, K]`, K ≥ 2.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        A float, or an array `[...]` for inputs with leading axes. Infinite where a label was
        given a probability of exactly 0; nothing is clipped.

    Raises:
        ValueError: NaN, shapes that do not go together, or values that are not what they should be.

    Example:

    >>> round(negative_log_likelihood([0, 1], [[0.0, 0.0], [0.0, 0.0]]), 6)
    0.693147

    When not to use:
        On hard 0/1 predictions, or where single confident errors should not decide: one example
        with p_y = 1e-30 adds 69 / n. `brier_score` is bounded.

    Migration:
        `keras.losses.SparseCategoricalCrossentropy(from_logits=False)` clips probabilities to
        [1e-7, 1 - 1e-7], so that no example costs more than 16.1.

    Reference:
        T. Gneiting, A. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation",
        Journal of the American Statistical Association 102, 2007.
    """
    labels, predictions = labels_and_predictions(y, y_pred, from_logits)
    check_same_rows(labels, predictions)
    if from_logits:
        logs = log_softmax(predictions)
    else:
        with np.errstate(divide="ignore"):
            logs = np.log(predictions)
    of_label = np.take_along_axis(logs, labels[..., None], axis=-1)[..., 0]
    return _float_or_array(np.maximum(-of_label, 0.0).mean(-1))
