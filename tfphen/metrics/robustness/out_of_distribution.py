"""Out-of-distribution detection: metrics of a score, and the usual scores of a classifier."""

from typing import Any, NamedTuple

import numpy as np

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array, log_softmax


class OutOfDistributionScores(NamedTuple):
    """Detection of out-of-distribution inputs by one score, threshold by threshold.

    Attributes:
        positive: The class called positive, "out" or "in". `auroc` does not depend on it; `aupr`
            and `false_positive_rate` do.
        auroc: Probability that a random out-of-distribution input looks more so than a random one
            in distribution, ties counting one half; .5 by chance.
        aupr: Average precision; `prevalence` by chance.
        false_positive_rate: Fraction of the other class taken for positive at the strictest
            threshold that finds at least 95 % of the positive class.
        prevalence: Fraction of inputs that are of the positive class.
        num_in: Number of inputs in distribution.
        num_out: Number of inputs out of distribution.
    """

    positive: str
    auroc: float
    aupr: float
    false_positive_rate: float
    prevalence: float
    num_in: int
    num_out: int


def _scores(values: TensorLike, name: str) -> Array:
    array = float64_array(values, name, finite=False)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"`{name}` must have shape (n,) with one score an input, n >= 1. "
            f"Received: {name}.shape={array.shape}"
        )
    return array


def _check_class(value: Any, name: str) -> None:
    if value not in ("out", "in"):
        raise ValueError(f'`{name}` must be "out" or "in". Received: {name}={value!r}')


def ood_scores(
    in_distribution_scores: TensorLike,
    out_of_distribution_scores: TensorLike,
    positive: str = "out",
    higher: str = "out",
) -> OutOfDistributionScores:
    """AUROC, AUPR and FPR at 95 % TPR of a score as a detector of out-of-distribution inputs.

    With precision P_t and recall R_t at each distinct score t taken as the threshold, strictest
    first, the area under the precision-recall curve is the average precision

        AUPR = sum_t (R_t - R_(t-1)) P_t

    a step function without interpolation. Inputs of equal score are taken together everywhere, so
    nothing depends on their order. Only the order of scores matters, never their size.

    Args:
        in_distribution_scores: One score per input, `[n]`, such as test examples of the training
            distribution. Infinite scores are allowed.
        out_of_distribution_scores: One score per input, `[m]`.
        positive: The class to find, "out" or "in". Papers differ, and AUPR and FPR with them.
        higher: The class that high scores mean: "out" for uncertainties, as
            `maximum_probability_uncertainty` gives, "in" for confidences.

    Returns:
        An `OutOfDistributionScores`, which names the positive class.

    Raises:
        ValueError: NaN, scores that are not `[n]`, none at all, or another `positive` or `higher`.

    Example:

    >>> found = ood_scores([0.1, 0.2, 0.3, 0.4], [0.35, 0.9])
    >>> found.positive, found.auroc, round(found.aupr, 4), found.false_positive_rate
    ('out', 0.875, 0.8333, 0.25)
    >>> ood_scores([0.1, 0.2, 0.3, 0.4], [0.35, 0.9], positive="in").aupr
    0.95

    When not to use:
        AUPR to compare sets of different prevalence: it rises with the fraction of positives at the
        same detector, from `prevalence` by chance. FPR with fewer than some hundred positives:
        5 % of them decide it.

    Migration:
        `keras.metrics.AUC(curve="PR")` interpolates between 200 thresholds in [0, 1]: near this
        AUPR, not equal to it. `sklearn.metrics.average_precision_score` is this AUPR.

    Reference:
        D. Hendrycks, K. Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
        Examples in Neural Networks", ICLR 2017, arXiv 1610.02136; FPR at 95 % TPR: S. Liang,
        Y. Li, R. Srikant, "Enhancing the Reliability of Out-of-distribution Image Detection in
        Neural Networks", ICLR 2018, arXiv 1706.02690.
    """
    # Here, because the uncertainties below do without scikit-learn, which is slow to import.
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    inside = _scores(in_distribution_scores, "in_distribution_scores")
    outside = _scores(out_of_distribution_scores, "out_of_distribution_scores")
    _check_class(positive, "positive")
    _check_class(higher, "higher")
    is_out = np.arange(inside.size + outside.size) >= inside.size
    # Ranks keep order and ties, and let infinite scores through.
    ranks = np.unique(np.concatenate([inside, outside]), return_inverse=True)[1].reshape(-1)
    truth = is_out if positive == "out" else ~is_out
    ranks = ranks if positive == higher else -ranks
    false_rate, true_rate, _ = roc_curve(truth, ranks, drop_intermediate=False)
    return OutOfDistributionScores(
        positive,
        float(roc_auc_score(truth, ranks)),
        float(average_precision_score(truth, ranks)),
        float(false_rate[true_rate >= 0.95].min()),
        float(truth.mean()),
        int(inside.size),
        int(outside.size),
    )


def _logits(values: TensorLike) -> Array:
    array = float64_array(values, "logits", finite=False)
    if array.ndim < 1 or array.shape[-1] < 2 or np.isposinf(array).any():
        raise ValueError(
            "`logits` must have shape (..., K) with K >= 2 and no +inf. "
            f"Received: logits.shape={array.shape}, largest entry {array.max(initial=-np.inf)}"
        )
    return array


def maximum_probability_uncertainty(logits: TensorLike) -> Array:
    """One minus the largest probability of each prediction, a score for `ood_scores`.

        1 - max_c softmax(logits)_c

    It is summed over the other classes, so that it keeps its digits far below 1e-16.

    Args:
        logits: `[..., K]`, K ≥ 2; log-probabilities are logits too.

    Returns:
        Between 0 and 1 - 1 / K, float64 `[...]`.

    Raises:
        ValueError: NaN, +inf, a row of -inf, or fewer than two classes.

    Example:

    >>> maximum_probability_uncertainty([[0.0, 0.0], [0.0, 40.0]]).tolist()
    [0.5, 4.248...e-18]

    When not to use:
        For distance from the data: it depends on the distance from the decision boundary, and is
        low far away from all data on the right side of it.

    Reference:
        D. Hendrycks, K. Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
        Examples in Neural Networks", ICLR 2017, arXiv 1610.02136.
    """
    logits = _logits(logits)
    if np.isneginf(logits).all(-1).any():
        raise ValueError("`logits` must have a finite entry in each row. Received: a row of -inf")
    probabilities = np.exp(log_softmax(logits))
    return np.sort(probabilities, axis=-1)[..., :-1].sum(-1)


def dempster_shafer_uncertainty(logits: TensorLike) -> Array:
    """Uncertainty mass that the size of the logits leaves, a score for `ood_scores`.

        K / (K + sum_c exp(logit_c))

    For SNGP give it the mean-field logits.

    Args:
        logits: `[..., K]`, K ≥ 2. Not log-probabilities: a constant added to all logits counts.

    Returns:
        Between 0 and 1, float64 `[...]`; 1/2 where all logits are 0.

    Raises:
        ValueError: NaN, +inf, or fewer than two classes.

    Example:

    >>> dempster_shafer_uncertainty([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]).round(4).tolist()
    [0.5, 0.0004]

    When not to use:
        On a network trained with plain softmax cross-entropy, which leaves the sum of the logits
        free: compare only scores of one trained model.

    Reference:
        M. Sensoy, L. Kaplan, M. Kandemir, "Evidential Deep Learning to Quantify Classification
        Uncertainty", NeurIPS 2018, arXiv 1806.01768; as a score of SNGP: J. Liu et al., "Simple
        and Principled Uncertainty Estimation with Deterministic Deep Learning via Distance
        Awareness", NeurIPS 2020, arXiv 2006.10108.
    """
    logits = _logits(logits)
    # exp(log K - logsumexp) would overflow: the ratio is 1 / (1 + exp(logsumexp - log K)).
    log_sum = np.logaddexp.reduce(logits, axis=-1) - np.log(logits.shape[-1])
    return np.exp(-np.logaddexp(0.0, log_sum))
