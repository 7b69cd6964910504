"""Density ratios by maximum likelihood: KLIEP."""

import numpy as np

from tfphen.core import checks
from tfphen.core.types import ArrayLike, Floats
from tfphen.density_ratio.kernel_ratio import KernelRatio, centers_and_gamma, pair
from tfphen.density_ratio.kernels import gaussian_kernel


def kliep(
    train: ArrayLike,
    test: ArrayLike,
    gamma: float | None = None,
    centers: ArrayLike = 100,
    tolerance: float = 1e-3,
    iterations: int = 5000,
) -> KernelRatio:
    """Fits the density ratio r under which r p_train is nearest to p_test in Kullback-Leibler
    divergence.

        maximize mean_test[log r]   subject to   mean_train[r] = 1,  θ ≥ 0,   r = Σₗ θₗ φₗ

    with φₗ(x) = exp(-γ |x - cₗ|²). With bₗ = mean_train[φₗ] and πₗ = θₗ bₗ this is a concave
    function on the simplex, which projected gradient ascent climbs. It stops where the duality gap
    maxₗ gₗ - 1, with gₗ = mean_test[φₗ / (bₗ r)], shows that the maximum is near.

    Args:
        train: Training points, `[n, d]` or `[n]`.
        test: Test points, `[m, d]` or `[m]`.
        gamma: γ; None takes `median_gamma` of the test points.
        centers: c, `[l, d]` or `[l]`, or the number of first test points to use.
        tolerance: The mean log-likelihood is at most this below its maximum, in nats.
        iterations: Maximum number of iterations.

    Returns:
        The ratio, a `KernelRatio` without negative coefficients; mean_train[r] is 1.

    Raises:
        UsageError: Invalid samples or settings, or a test point that is far from all centers or
            training points.

    Example:

    >>> generator = np.random.default_rng(0)
    >>> train, test = generator.normal(size=500), generator.normal(1.0, 0.5, size=500)
    >>> ratio = kliep(train, test)
    >>> float(ratio(train).mean().round(6))
    1.0

    When not to use:
        Where speed matters: `ulsif` has a closed form. Where test points lie far from all training
        points: the logarithm has no bound there.

    Reference:
        M. Sugiyama et al., "Direct Importance Estimation with Model Selection and Its Application
        to Covariate Shift Adaptation", NeurIPS 2007.
    """
    train, test = pair(train, test)
    chosen, gamma = centers_and_gamma(test, centers, gamma)
    tolerance = checks.positive("tolerance", tolerance)
    means = gaussian_kernel(train, chosen, gamma).mean(0)
    features = gaussian_kernel(test, chosen, gamma)
    # A center without training points near it would stand for an infinite ratio.
    near = means > 1e-12
    seen = bool(near.any()) and bool((features[:, near].max(1) > 0).all())
    checks.require(seen, "gamma", gamma, "is too large: kernels do not reach every test point")
    ratios = np.zeros_like(features)
    ratios[:, near] = features[:, near] / means[near]
    shares = np.where(near, 1.0, 0.0) / near.sum()
    length = 1.0
    for _ in range(checks.whole("iterations", iterations)):
        values = ratios @ shares
        slopes = (ratios / values[:, None]).mean(0)
        if slopes.max() - 1 <= tolerance:
            break
        likelihood = np.log(values).mean()
        while True:
            moved = _on_simplex(shares + length * slopes)
            found = ratios @ moved
            with np.errstate(divide="ignore"):
                gain = np.log(found).mean() - likelihood
            if gain >= 1e-4 * slopes @ (moved - shares) or length < 1e-12:
                break
            length /= 2
        shares, length = moved, 2 * length
    return KernelRatio(
        np.divide(shares, means, where=near, out=np.zeros_like(means)), chosen, gamma
    )


def _on_simplex(values: Floats) -> Floats:
    """Returns the nearest point whose entries are not negative and sum to 1."""
    ordered = np.sort(values)[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, len(values) + 1)
    return np.maximum(values - excess[np.flatnonzero(ordered > excess)[-1]], 0.0)
