"""Squared bias and variance of an ensemble's predicted probabilities, point by point."""

from typing import NamedTuple

import numpy as np

from tfphen.metrics.probabilities import float64_array, host_array, labels_and_probabilities


class BiasVariance(NamedTuple):
    """The decomposition for each of n points, from M members; all arrays float64 `[n]`.

    With member m's probabilities h_m, their mean h and the one-hot label e_y:

    Attributes:
        squared_bias: |h - e_y|².
        variance: mean_m |h_m - h|².
        unbiased_squared_bias: Squared bias without what the spread of M members adds to it; may be
            negative.
        unbiased_variance: Variance times M / (M - 1).
        squared_error: mean_m |h_m - e_y|², the sum of squared bias and variance.
        impurity: 1 - mean_m |h_m|², zero for one-hot members.
        calibration_gap: 2 (|h|² - h_y), of mean zero where the ensemble is calibrated. Squared
            bias minus variance is impurity plus calibration gap.
        correct: bool: the ensemble's largest probability is the label's.
    """

    squared_bias: np.ndarray
    variance: np.ndarray
    unbiased_squared_bias: np.ndarray
    unbiased_variance: np.ndarray
    squared_error: np.ndarray
    impurity: np.ndarray
    calibration_gap: np.ndarray
    correct: np.ndarray


def bias_variance(y, y_pred, from_logits=True) -> BiasVariance:
    """Decomposes the squared error of an ensemble's probabilities at each point.

    With member m's probabilities h_m, m = 1..M, their mean h and the one-hot label e_y:

        mean_m |h_m - e_y|² = |h - e_y|² + mean_m |h_m - h|²
             squared error  = squared bias + variance

    Differences from the label are computed with 1 - p_y as the sum of the other probabilities, so
    that squared biases far below 1e-12 keep their digits when float64 logits or log-probabilities
    are passed.

    Args:
        y: Integer labels, `[n]`.
        y_pred: Logits or log-probabilities of M ≥ 2 members, `[M, n, K]`; probabilities with
            `from_logits=False`.
        from_logits: False for probabilities.

    Returns:
        A `BiasVariance`.

    Raises:
        ValueError: Shapes that do not go together, one member only, NaN, or values that are not
            what they should be.

    Example:

    >>> members = [[[0.9, 0.1]], [[0.7, 0.3]]]
    >>> points = bias_variance([0], members, from_logits=False)
    >>> [round(float(x[0]), 3) for x in points[:4]]
    [0.08, 0.02, 0.06, 0.04]

    When not to use:
        The plain estimates with few members: variance is then at most M - 1 squared biases, and
        squared bias contains variance / (M - 1), whatever the model; use the unbiased ones and 20
        members or more. For the Kullback-Leibler decomposition, which is another.

    Reference:
        L. Chen et al., "On Bias-Variance Alignment in Deep Models", ICLR 2024, arXiv 2310.09250.
        The estimators without bias and the identity are elementary.
    """
    labels, h = labels_and_probabilities(y, y_pred, from_logits)
    if h.ndim != 3 or labels.shape != h.shape[1:2] or len(h) < 2:
        raise ValueError(
            "`y` must have shape (n,) and `y_pred` (members, n, K), with at least two members. "
            f"Received: y.shape={labels.shape}, y_pred.shape={h.shape}"
        )
    members = len(h)
    points = np.arange(len(labels))
    # h_m - e_y, without the cancellation of 1 - h_y.
    offset = h.copy()
    offset[:, points, labels] = 0.0
    missing = offset.sum(-1)
    offset[:, points, labels] = -missing
    mean = offset.mean(0)
    squared_bias = (mean**2).sum(-1)
    variance = ((offset - mean) ** 2).sum(-1).mean(0)
    unbiased_variance = variance * members / (members - 1)
    # 1 - |h|² = sum_c h_c (1 - h_c) and |h|² - h_y = sum_{c≠y} h_c² - h_y (1 - h_y).
    rest = 1.0 - h
    rest[:, points, labels] = missing
    ensemble = h.mean(0)
    of_label = ensemble[points, labels] * -mean[points, labels]
    others = ensemble.copy()
    others[points, labels] = 0.0
    return BiasVariance(
        squared_bias,
        variance,
        squared_bias - unbiased_variance / members,
        unbiased_variance,
        (offset**2).sum(-1).mean(0),
        (h * rest).sum(-1).mean(0),
        2.0 * ((others**2).sum(-1) - of_label),
        ensemble.argmax(-1) == labels,
    )


class Alignment(NamedTuple):
    """How closely variance follows squared bias over points.

    Attributes:
        slope: Of the least-squares line of log variance on log squared bias.
        intercept: Of that line, natural logarithm.
        r_squared: Share of the variance of log variance that the line explains.
        median_log_ratio: Median of log(variance / squared bias): the intercept at slope 1.
        share_bounded: Share of all points with variance ≤ `bound` × squared bias.
        share_dropped: Share of the selected points that are at or below the floor.
        count: Number of points the line is fitted to.
    """

    slope: float
    intercept: float
    r_squared: float
    median_log_ratio: float
    share_bounded: float
    share_dropped: float
    count: int


def bias_variance_alignment(
    squared_bias, variance, selected=None, floor=1e-10, bound=3.0
) -> Alignment:
    """Fits log variance to log squared bias over points.

        log variance = intercept + slope · log squared bias

    Slope and R² depend on the range of points that is kept: report `share_dropped` beside them.
    They come out near 1 for any error of constant relative spread; only the median ratio tells
    whether the two are equal.

    Args:
        squared_bias: `[n]`, unbiased or not, see `bias_variance`.
        variance: `[n]`.
        selected: bool `[n]`: points that enter the line, the correctly classified ones as a rule;
            None for all. `share_bounded` is over all points in any case.
        floor: Points with squared bias at or below it, or variance not above zero, are dropped.
        bound: Factor of `share_bounded`.

    Returns:
        An `Alignment`; what is not defined, as with fewer than three points, is NaN.

    Raises:
        ValueError: Arrays of different shapes, NaN, or a negative floor.

    Example:

    >>> bias = np.array([1e-6, 1e-4, 1e-2])
    >>> fit = bias_variance_alignment(bias, 2.0 * bias)
    >>> round(fit.slope, 6), round(fit.r_squared, 6), round(fit.median_log_ratio, 6)
    (1.0, 1.0, 0.693147)

    When not to use:
        As evidence that bias and variance are equal: slope and R² near 1 only say that they are
        proportional. On the plain estimates of few members, where the line is partly arithmetic.

    Reference:
        L. Chen et al., "On Bias-Variance Alignment in Deep Models", ICLR 2024, arXiv 2310.09250.
    """
    bias = float64_array(squared_bias, "squared_bias")
    variance = float64_array(variance, "variance")
    if selected is None:
        selected = np.ones(bias.shape, bool)
    selected = host_array(selected, "selected").astype(bool)
    if bias.ndim != 1 or not bias.shape == variance.shape == selected.shape:
        raise ValueError(
            "`squared_bias`, `variance` and `selected` must have one shape (n,). "
            f"Received: {bias.shape}, {variance.shape}, {selected.shape}"
        )
    if not floor >= 0:
        raise ValueError(f"`floor` must not be negative. Received: floor={floor}")
    nan = float("nan")
    share_bounded = float(np.mean(variance <= bound * bias)) if bias.size else nan
    kept = selected & (bias > floor) & (variance > 0)
    share_dropped = float(1.0 - kept.sum() / selected.sum()) if selected.any() else nan
    x, y = np.log(bias[kept]), np.log(variance[kept])
    slope = intercept = r_squared = nan
    ratio = float(np.median(y - x)) if x.size else nan
    if x.size >= 3 and np.ptp(x) > 0:
        centered = x - x.mean()
        slope = float(centered @ y / (centered @ centered))
        intercept = float(y.mean() - slope * x.mean())
        total = float(((y - y.mean()) ** 2).sum())
        residual = float(((y - intercept - slope * x) ** 2).sum())
        r_squared = 1.0 - residual / total if total > 0 else nan
    return Alignment(slope, intercept, r_squared, ratio, share_bounded, share_dropped, int(x.size))
