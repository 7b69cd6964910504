"""Variance of test error between runs of one training."""

from typing import NamedTuple

import numpy as np

from tfphen.core.types import TensorLike
from tfphen.metrics.probabilities import check_table, host_array


class RunVariance(NamedTuple):
    """Parts of the variance of test error between runs, of fractions rather than percentages.

    Attributes:
        mean_error: Mean fraction of wrong predictions.
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


def run_variance(wrong: TensorLike) -> RunVariance:
    """Splits the variance of test error between runs into finite-sample noise and real variance.

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
    check_table(table, "wrong", (2, 2))
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

    It holds where runs are calibrated as a group: the fraction of runs that predict a
    class is the probability of that class. For K classes error / (K n) is a lower bound.

    Args:
        error: Mean test error, a fraction in [0, 1].
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
