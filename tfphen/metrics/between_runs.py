"""Variation between runs of one training: of test error, and of predictions."""

from typing import NamedTuple

import numpy as np

from tfphen.metrics.probabilities import host_array, integer_array


class RunVariance(NamedTuple):
    """Where the spread of test error between runs comes from. Variances are of shares, not of %.

    Attributes:
        mean_error: Mean share of wrong predictions.
        test_variance: Variance over runs of the error on this test set.
        independent_variance: What that would be if each point's errors were independent of those
            of other points, as in coin tosses of their own rates.
        distribution_variance: Estimate without bias of the variance over runs of the error on the
            distribution; may be negative.
        ratio: `test_variance / independent_variance`, 1 for independent errors.
        half_correlation: Correlation over runs of the errors on the points at even and at odd
            places, near 0 where a lucky seed does not transfer.
        num_runs: Number of runs R.
        num_examples: Number of test points n.
    """

    mean_error: float
    test_variance: float
    independent_variance: float
    distribution_variance: float
    ratio: float
    half_correlation: float
    num_runs: int
    num_examples: int


def _check_table(array: np.ndarray, name: str, fewest: tuple[int, int]) -> None:
    if array.ndim != 2 or array.shape[0] < fewest[0] or array.shape[1] < fewest[1]:
        raise ValueError(
            f"`{name}` must have shape (runs, examples), at least {fewest}. "
            f"Received: {name}.shape={array.shape}"
        )


def run_variance(wrong) -> RunVariance:
    """Splits the variance of test error between runs into chance and real differences.

    With e_ri whether run r errs at point i, and variances over runs with R - 1 in the denominator:
    test variance V = Var_r(mean_i e_ri), independent-error variance V_0 = sum_i Var_r(e_ri) / n²,
    distribution-wise variance n / (n - 1) (V - V_0). The last is the mean covariance of two
    different points. Under independence (R - 1) V / V_0 is about chi-square with R - 1 degrees of
    freedom.

    Args:
        wrong: Zeros and ones or bools, `[R, n]`, R ≥ 2 and n ≥ 2.

    Returns:
        A `RunVariance`. Without variance the ratio and the correlation are NaN.

    Raises:
        ValueError: Another shape, NaN, or entries that are not zeros and ones.

    Example:

    >>> found = run_variance([[0, 1, 0, 1], [1, 0, 1, 0]])
    >>> found.test_variance, found.independent_variance, round(found.distribution_variance, 4)
    (0.0, 0.125, -0.1667)

    When not to use:
        With few runs: the ratio then has a standard error of about sqrt(2 / (R - 1)), .45 for ten.
        To compare architectures by their `test_variance`: a smaller test set has more of it.

    Reference:
        K. Jordan, "On the Variance of Neural Network Training with respect to Test Sets and
        Distributions", ICLR 2024, arXiv 2304.01910, theorem 2.
    """
    table = host_array(wrong, "wrong")
    _check_table(table, "wrong", (2, 2))
    if not np.isin(table, (0, 1)).all():
        raise ValueError(
            f"`wrong` must hold zeros and ones. Received: {np.unique(table)[:5].tolist()}"
        )
    # Counts are whole numbers: identical runs have a variance of exactly zero.
    table = table.astype("int64")
    runs, count = table.shape
    of_run, of_point = table.sum(1), table.sum(0)
    test = float(np.var(of_run, ddof=1)) / count**2
    each = of_point * (runs - of_point) / (runs * (runs - 1))
    independent = float(each.sum()) / count**2
    halves = table[:, ::2].sum(1), table[:, 1::2].sum(1)
    spread = [np.std(half) for half in halves]
    nan = float("nan")
    correlation = np.corrcoef(*halves)[0, 1] if min(spread) > 0 else nan
    return RunVariance(
        float(table.mean()),
        test,
        independent,
        count / (count - 1) * (test - independent),
        test / independent if independent > 0 else nan,
        float(correlation),
        runs,
        count,
    )


def binary_variance_formula(error: float, num_examples: int) -> float:
    """Variance of test error between runs of a binary task, predicted from the error alone.

        variance = error / (2 n)

    It holds where runs are calibrated as a group: the share of runs that predict a
    class is the probability of that class. For K classes error / (K n) is a lower bound.

    Args:
        error: Mean test error, a share in [0, 1].
        num_examples: Number n of test points.

    Returns:
        The variance.

    Raises:
        ValueError: An error outside [0, 1], or no test points.

    Example:

    >>> binary_variance_formula(0.2, 1000)
    0.0001

    When not to use:
        For runs that are not calibrated as a group, such as ones that make the same errors or that
        had different data: the variance may then be many times this.

    Reference:
        K. Jordan, "On the Variance of Neural Network Training with respect to Test Sets and
        Distributions", ICLR 2024, arXiv 2304.01910, theorems 3 and 4.
    """
    if not 0 <= error <= 1 or num_examples < 1:
        raise ValueError(
            "`error` must be in [0, 1] and `num_examples` positive. "
            f"Received: error={error}, num_examples={num_examples}"
        )
    return error / (2 * num_examples)


def churn(predictions, with_replacement=False) -> float:
    """Share of points on which two runs disagree, on average over pairs of runs.

        churn = 2 / (R (R - 1)) sum_{r<s} mean_i 1[prediction_ri ≠ prediction_si]

    It is computed from the votes for each class, in O(R n K).

    Args:
        predictions: Predicted classes, integers, `[R, n]`, R ≥ 2.
        with_replacement: Count pairs of a run with itself too, as an estimate with the observed
            class shares in place of probabilities does; (R - 1) / R times the value without.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: Another shape, NaN, or predictions that are not integers, such as logits.

    Example:

    >>> churn([[0, 1, 2], [0, 1, 1], [0, 2, 1]])
    0.4444444444444444

    When not to use:
        As an estimate of the test error without labels, unless the ensemble of runs is known to be
        calibrated: only then is the mean disagreement the mean error. Runs of different accuracy
        disagree for that reason alone.

    Reference:
        M. Milani Fard et al., "Launch and Iterate: Reducing Prediction Churn", NIPS 2016;
        Y. Jiang et al., "Assessing Generalization of SGD via Disagreement", ICLR 2022,
        arXiv 2106.13799.
    """
    table = integer_array(predictions, "predictions")
    _check_table(table, "predictions", (2, 1))
    runs, count = table.shape
    agreeing = 0
    for label in np.unique(table):
        votes = (table == label).sum(0, dtype="int64")
        agreeing += int((votes * (votes - 1)).sum())
    disagreement = 1.0 - agreeing / (runs * (runs - 1) * count)
    return disagreement * (runs - 1) / runs if with_replacement else disagreement


def disagreement(first, second) -> float:
    """Share of points on which two runs predict different classes: the churn of a pair.

        disagreement = mean_i 1[first_i ≠ second_i]

    Args:
        first: Predicted classes of one run, integers, `[n]`, n ≥ 1.
        second: Those of the other, on the same points in the same order, `[n]`.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: Another shape, NaN, or predictions that are not integers, such as logits.

    Example:

    >>> disagreement([0, 1, 2, 2], [0, 1, 1, 2])
    0.25

    When not to use:
        For more than two runs: `churn` averages over all pairs. See there for what it does not say
        about the error.

    Reference:
        M. Milani Fard et al., "Launch and Iterate: Reducing Prediction Churn", NIPS 2016;
        Y. Jiang et al., "Assessing Generalization of SGD via Disagreement", ICLR 2022,
        arXiv 2106.13799.
    """
    one, other = integer_array(first, "first"), integer_array(second, "second")
    if one.ndim != 1 or not one.size or one.shape != other.shape:
        raise ValueError(
            "`first` and `second` must have one shape (n,) with n >= 1. "
            f"Received: first.shape={one.shape}, second.shape={other.shape}"
        )
    return float((one != other).mean())
