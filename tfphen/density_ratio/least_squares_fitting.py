"""Density ratios by least squares, in closed form: uLSIF and its relative form RuLSIF."""

import numpy as np

from tfphen.core import checks
from tfphen.core.types import ArrayLike
from tfphen.density_ratio.kernel_ratio import KernelRatio, centers_and_gamma, pair
from tfphen.density_ratio.kernels import gaussian_kernel


def rulsif(
    train: ArrayLike,
    test: ArrayLike,
    alpha: float,
    gamma: float | None = None,
    regularization: float = 0.1,
    centers: ArrayLike = 100,
) -> KernelRatio:
    """Fits the relative density ratio w_a = p_test / (a p_test + (1 - a) p_train).

        θ = (H + λ I)⁻¹ h,   H = a mean_test[φφ'] + (1 - a) mean_train[φφ'],   h = mean_test[φ]

    with φₗ(x) = exp(-γ |x - cₗ|²). The true w_a is at most 1 / a.

    Args:
        train: Training points, `[n, d]` or `[n]`.
        test: Test points, `[m, d]` or `[m]`.
        alpha: a, in [0, 1]; 0 is `ulsif`.
        gamma: γ; None takes `median_gamma` of the test points.
        regularization: λ, above 0.
        centers: c, `[l, d]` or `[l]`, or the number of first test points to use.

    Returns:
        The ratio, a `KernelRatio`.

    Raises:
        UsageError: Invalid samples or settings.

    Example:

    >>> generator = np.random.default_rng(0)
    >>> ratio = rulsif(generator.normal(size=500), generator.normal(size=500), alpha=0.5)
    >>> bool(abs(ratio([0.0]) - 1.0) < 0.2)
    True

    When not to use:
        Where the weights must be those of the test density itself: w_a is biased towards 1.

    Reference:
        M. Yamada et al., "Relative Density-Ratio Estimation for Robust Distribution Comparison",
        NeurIPS 2011, arXiv 1106.4729.
    """
    train, test = pair(train, test)
    alpha = checks.number("alpha", alpha, 0, 1)
    chosen, gamma = centers_and_gamma(test, centers, gamma)
    of_train, of_test = (gaussian_kernel(sample, chosen, gamma) for sample in (train, test))
    system = alpha * of_test.T @ of_test / len(test)
    system += (1 - alpha) * of_train.T @ of_train / len(train)
    system[np.diag_indices_from(system)] += checks.positive("regularization", regularization)
    return KernelRatio(np.linalg.solve(system, of_test.mean(0)), chosen, gamma)


def ulsif(
    train: ArrayLike,
    test: ArrayLike,
    gamma: float | None = None,
    regularization: float = 0.1,
    centers: ArrayLike = 100,
) -> KernelRatio:
    """Fits the density ratio w = p_test / p_train by unconstrained least squares.

        minimize ½ mean_train[r²] - mean_test[r] + ½ λ |θ|²,   r = Σₗ θₗ φₗ

    which is ½ mean_train[(r - w)²] up to a constant. Negative values are clipped to 0 afterwards.

    Args:
        train: Training points, `[n, d]` or `[n]`.
        test: Test points, `[m, d]` or `[m]`.
        gamma: γ; None takes `median_gamma` of the test points.
        regularization: λ, above 0.
        centers: c, `[l, d]` or `[l]`, or the number of first test points to use.

    Returns:
        The ratio, a `KernelRatio`.

    Raises:
        UsageError: Invalid samples or settings.

    Example:

    >>> generator = np.random.default_rng(0)
    >>> train, test = generator.normal(size=500), generator.normal(1.0, 1.0, size=500)
    >>> ratio = ulsif(train, test)
    >>> bool(ratio([-1.0]) < ratio([0.5]) < ratio([1.5]))
    True

    When not to use:
        Where the test density leaves the support of the training density: w is not bounded, use
        `rulsif`. For weights of the training points alone `kernel_mean_matching` needs no λ.

    Reference:
        T. Kanamori, S. Hido, M. Sugiyama, "A Least-squares Approach to Direct Importance
        Estimation", Journal of Machine Learning Research 10, 2009.
    """
    return rulsif(train, test, 0.0, gamma, regularization, centers)
