"""Transformed importance weights that trade bias for variance."""

import numpy as np

from tfphen.core import checks
from tfphen.core.types import ArrayLike, Floats


def _checked(weights: ArrayLike) -> Floats:
    weights = np.asarray(weights, "float64")
    right = bool(np.isfinite(weights).all()) and not (weights < 0).any()
    return checks.require(right, "weights", weights, "must be finite and not negative")


def flattened_weights(weights: ArrayLike, power: float) -> Floats:
    """Flattens importance weights: w^a, from none (a = 0) to all of them (a = 1).

    Args:
        weights: w, not negative, `[n]`.
        power: a, in [0, 1].

    Returns:
        `[n]`, float64.

    Raises:
        UsageError: Negative weights, or a power out of range.

    Example:

    >>> flattened_weights([0.25, 4.0], power=0.5)
    array([0.5, 2. ])

    When not to use:
        To estimate an expectation under the test density: only the power 1 is unbiased.

    Reference:
        H. Shimodaira, "Improving predictive inference under covariate shift by weighting the
        log-likelihood function", Journal of Statistical Planning and Inference 90, 2000.
    """
    return _checked(weights) ** checks.number("power", power, 0, 1)


def relative_weights(weights: ArrayLike, alpha: float) -> Floats:
    """Turns importance weights into relative ones, which are bounded by 1 / a.

        w_a = w / (a w + 1 - a) = p_test / (a p_test + (1 - a) p_train)

    Args:
        weights: w, not negative, `[n]`.
        alpha: a, in [0, 1].

    Returns:
        `[n]`, float64; all 1 where a is 1.

    Raises:
        UsageError: Negative weights, or an alpha out of range.

    Example:

    >>> relative_weights([0.0, 1.0, 1e9], alpha=0.5).round(6)
    array([0., 1., 2.])

    When not to use:
        On estimated weights where `rulsif` can be used, which estimates w_a itself.

    Reference:
        M. Yamada et al., "Relative Density-Ratio Estimation for Robust Distribution Comparison",
        NeurIPS 2011, arXiv 1106.4729.
    """
    weights = _checked(weights)
    alpha = checks.number("alpha", alpha, 0, 1)
    if alpha == 1:
        return np.ones_like(weights)  # Where w is 0 the quotient is 0 / 0.
    return weights / (alpha * weights + (1 - alpha))
