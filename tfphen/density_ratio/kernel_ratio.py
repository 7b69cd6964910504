"""Density ratios as sums of Gaussian kernels, and the median heuristic for their width."""

import dataclasses

import numpy as np
from scipy.spatial.distance import pdist

from tfphen.core import checks
from tfphen.core.types import ArrayLike, Floats
from tfphen.density_ratio.kernels import gaussian_kernel


def points(name: str, values: ArrayLike) -> Floats:
    """Returns a sample as float64 `[n, d]`; one-dimensional points may come as `[n]`.

    Args:
        name: Name of the argument, for the message.
        values: `[n, d]` or `[n]`, finite, at least one point.

    Raises:
        UsageError: `values` is not such a sample.
    """
    sample = np.asarray(values, "float64")
    sample = sample[:, None] if sample.ndim == 1 else sample
    right = sample.ndim == 2 and sample.size > 0 and bool(np.isfinite(sample).all())
    checks.require(right, name, np.shape(values), "must be finite, of shape (n, d) or (n,)")
    return sample


def pair(train: ArrayLike, test: ArrayLike) -> tuple[Floats, Floats]:
    """Returns a training and a test sample of points of one dimension, see `points`."""
    first, second = points("train", train), points("test", test)
    same = first.shape[1] == second.shape[1]
    received = (np.shape(train), np.shape(test))
    checks.require(same, "train", received, "and `test` must have points of one dimension")
    return first, second


def median_gamma(sample: ArrayLike) -> float:
    """Median heuristic: returns the inverse squared width of a Gaussian kernel.

        γ = 1 / (2 m²),   m the median distance of two different points

    Args:
        sample: `[n, d]` or `[n]`, at least two points.

    Returns:
        γ, in units of one over the squared distance.

    Raises:
        UsageError: Fewer than two points, or more than half of the distances are 0.

    Example:

    >>> median_gamma([0.0, 1.0, 3.0])
    0.125

    When not to use:
        Where the sample has clusters: the median is then the distance between clusters, which is
        far wider than the scale on which densities differ within them.

    Reference:
        A. Gretton et al., "A Kernel Two-Sample Test", Journal of Machine Learning Research 13,
        2012, section 8.
    """

    sample = points("sample", sample)
    checks.require(len(sample) > 1, "sample", sample.shape, "must have two points at least")
    median = float(np.median(pdist(sample)))
    checks.require(median > 0, "sample", sample.shape, "must have a median distance above 0")
    return 0.5 / median**2


@dataclasses.dataclass(frozen=True, eq=False)
class KernelRatio:
    """A ratio of densities, r(x) = max(0, Σₗ θₗ exp(-γ |x - cₗ|²)).

    Args:
        coefficients: θ, `[l]`.
        centers: c, `[l, d]`.
        gamma: γ, inverse squared width.

    Example:

    >>> KernelRatio(np.array([2.0]), np.array([[0.0]]), gamma=1.0)([0.0, 1.0]).round(3)
    array([2.   , 0.736])
    """

    coefficients: Floats
    centers: Floats
    gamma: float

    def __call__(self, inputs: ArrayLike) -> Floats:
        """Evaluates the ratio.

        Args:
            inputs: `[n, d]`, or `[n]` where d is 1.

        Returns:
            Nonnegative, `[n]`.
        """
        features = gaussian_kernel(points("inputs", inputs), self.centers, self.gamma)
        return np.maximum(features @ self.coefficients, 0.0)


def centers_and_gamma(
    test: Floats, centers: ArrayLike, gamma: float | None
) -> tuple[Floats, float]:
    """Returns centers `[l, d]` and γ: by default the first 100 test points, and their median's.

    Raises:
        UsageError: An invalid number of centers, or a γ that is not above 0.
    """
    if np.ndim(centers) == 0:
        chosen = test[: checks.whole("centers", centers)]
    else:
        chosen, _ = pair(centers, test)
    gamma = median_gamma(test) if gamma is None else checks.positive("gamma", gamma)
    return chosen, gamma
