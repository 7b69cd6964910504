"""Kernel mean matching: weights under which training points have the test points' mean features."""

import math

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import ArrayLike, Floats
from tfphen.density_ratio.kernel_ratio import median_gamma, pair
from tfphen.density_ratio.kernels import gaussian_kernel

# Share of the way to the boundary that an interior step goes at most.
_SHY = 0.995


def box_quadratic_programme(
    matrix: ArrayLike,
    linear: ArrayLike,
    upper: float,
    total: tuple[float, float] | None = None,
    gap: float = 1e-12,
    iterations: int = 100,
) -> Floats:
    """Solves a convex quadratic program in a box, by an interior-point method.

        minimize ½ w'K w - k'w   subject to   0 ≤ w ≤ B,   a ≤ Σ w ≤ b

    Args:
        matrix: K, symmetric and positive semidefinite, `[n, n]`.
        linear: k, `[n]`.
        upper: B, above 0.
        total: (a, b) with a < b, a < n B and b > 0; None leaves the sum free.
        gap: Stops where the duality gap is at most this share of the objective, or of 1 if that is
            more. A larger one leaves weights further inside the box, and smoother.
        iterations: Maximum number of iterations.

    Returns:
        w, `[n]`, strictly inside the box: zeros of the exact solution are only small here.

    Raises:
        UsageError: Shapes that do not fit, bounds that leave no point inside, or no convergence.

    Example:

    >>> box_quadratic_programme(np.eye(3), [-1.0, 0.5, 3.0], upper=2.0).round(6)
    array([0. , 0.5, 2. ])

    When not to use:
        For thousands of variables: every iteration factors a matrix of n by n.

    Reference:
        S. Mehrotra, "On the implementation of a primal-dual interior point method", SIAM Journal
        on Optimization 2, 1992.
    """
    matrix, linear = np.asarray(matrix, "float64"), np.asarray(linear, "float64")
    size = len(linear)
    right = matrix.shape == (size, size) and bool(np.isfinite(matrix).all())
    right = right and linear.shape == (size,) and bool(np.isfinite(linear).all())
    checks.require(right, "matrix", matrix.shape, "must be finite, with as many rows as `linear`")
    upper = checks.positive("upper", upper)
    constraints = _Constraints(size, upper, total)
    # From inside the box, with dual variables for which the gradient is 0, up to rounding.
    w = constraints.inside()
    slope = matrix @ w - linear
    level = np.abs(slope).mean() + 1.0
    dual = np.full(len(constraints.limit), level)
    dual[:size] += np.maximum(slope, 0.0)
    dual[size : 2 * size] += np.maximum(-slope, 0.0)
    for _ in range(iterations):
        product = matrix @ w
        slack = constraints.limit - constraints.apply(w)
        found = slack @ dual
        if found <= gap * max(1.0, abs(w @ (0.5 * product - linear))):
            return w
        residual = product - linear + constraints.transposed(dual)
        factor = constraints.factor(matrix, dual / slack)

        def direction(
            aim: Floats | float,
            residual: Floats = residual,
            factor: tuple[Floats, bool] = factor,
            slack: Floats = slack,
            dual: Floats = dual,
        ) -> tuple[Floats, Floats, Floats]:
            """Newton's step towards slack * dual = slack * dual + aim."""
            right = -residual - constraints.transposed(aim / slack)
            move = cho_solve(factor, right, check_finite=False)
            change = -constraints.apply(move)
            return move, change, (aim - dual * change) / slack

        _, change, other = direction(-slack * dual)
        step = min(_reach(slack, change), _reach(dual, other))
        share = (slack + step * change) @ (dual + step * other) / found
        center = share**3 * found / len(slack)
        move, change, other = direction(center - slack * dual - change * other)
        step = _SHY * min(_reach(slack, change), _reach(dual, other))
        w, dual = w + step * move, dual + step * other
    raise UsageError(
        "The quadratic program has not converged. Raise `gap`, or add to the diagonal of "
        f"`matrix`. Received: gap={gap:g}, after {iterations} iterations {found:.1e}"
    )


class _Constraints:
    """The constraints G w ≤ h: w ≥ 0, then w ≤ B, then the two of the sum, if it has bounds."""

    def __init__(self, size: int, upper: float, total: tuple[float, float] | None) -> None:
        self.size, self.upper, self.total = size, upper, total
        self.limit = np.repeat([0.0, upper], size)
        if total is not None:
            least, most = (float(value) for value in total)
            room = least < most and least < size * upper and most > 0
            checks.require(room, "total", total, "must leave room inside the box")
            self.limit = np.append(self.limit, [-least, most])

    def inside(self) -> Floats:
        least, most = (0.0, np.inf) if self.total is None else self.total
        mean = (max(least, 0.0) + min(most, self.size * self.upper)) / 2 / self.size
        return np.full(self.size, mean)

    def apply(self, w: Floats) -> Floats:
        """Returns G w."""
        sums = [] if self.total is None else [-w.sum(), w.sum()]
        return np.concatenate([-w, w, sums])

    def transposed(self, z: Floats) -> Floats:
        """Returns G'z."""
        value = z[self.size : 2 * self.size] - z[: self.size]
        return value if self.total is None else value + (z[-1] - z[-2])

    def factor(self, matrix: Floats, ratio: Floats) -> tuple[Floats, bool]:
        """Returns the Cholesky factor of K + G' diag(ratio) G."""
        system = matrix + (0.0 if self.total is None else ratio[-1] + ratio[-2])
        own = ratio[: self.size] + ratio[self.size : 2 * self.size]
        system[np.diag_indices_from(system)] += own
        return cho_factor(system, check_finite=False)


def _reach(values: Floats, change: Floats) -> float:
    """Longest step, at most 1, that leaves all values at 0 or above."""
    falling = change < 0
    return min(1.0, float((-values[falling] / change[falling]).min(initial=1.0)))


def kernel_mean_matching(
    train: ArrayLike,
    test: ArrayLike,
    gamma: float | None = None,
    bound: float = 1000.0,
    tolerance: float | None = None,
    ridge: float = 1e-5,
    gap: float = 1e-12,
) -> Floats:
    """Weights training points so that their mean in feature space is that of the test points.

        minimize ½ w'K w - k'w,   kᵢ = (n / m) Σⱼ exp(-γ |xᵢ - x'ⱼ|²)
        subject to 0 ≤ wᵢ ≤ B and |Σ w - n| ≤ n ε

    Args:
        train: n training points, `[n, d]` or `[n]`.
        test: m test points, `[m, d]` or `[m]`.
        gamma: γ; None takes `median_gamma` of the training points. 0 makes all points equivalent.
        bound: B.
        tolerance: ε, above 0; None is (√n - 1) / √n, which for large n binds nothing but the sum's
            being positive and below 2n.
        ridge: Added to the diagonal of K; above 0.
        gap: Accuracy of the solution, see `box_quadratic_programme`; cvxopt's is 1e-6.

    Returns:
        w, `[n]`.

    Raises:
        UsageError: Invalid samples or settings.

    Example:

    >>> kernel_mean_matching([0.0, 1.0, 2.0], [1.0, 2.0, 2.0], gamma=1.0).round(2)
    array([0., 1., 2.])

    When not to use:
        For weights at points that were not in `train`, or where widths are to be chosen by
        cross-validation: `ulsif` gives a function. For more than a few thousand points.

    Migration:
        From `kernel_mean_matching` of TongtongFANG/DIW (cvxopt): `kernel_width` there is `gamma`,
        `eps` is `tolerance`, `B` is `bound` (50). From `adapt.instance_based.KMM`: `eps` is
        `tolerance`, and points are not split into blocks.

    Reference:
        J. Huang et al., "Correcting Sample Selection Bias by Unlabeled Data", NeurIPS 2006.
    """
    train, test = pair(train, test)
    gamma = median_gamma(train) if gamma is None else checks.number("gamma", gamma, 0)
    ridge, bound = checks.positive("ridge", ridge), checks.positive("bound", bound)
    size = len(train)
    if tolerance is None:
        tolerance = (math.sqrt(size) - 1) / math.sqrt(size) if size > 1 else 0.5
    tolerance = checks.positive("tolerance", tolerance)
    matrix = gaussian_kernel(train, train, gamma)
    np.fill_diagonal(matrix, 1.0 + ridge)
    linear = gaussian_kernel(train, test, gamma).sum(1) * (size / len(test))
    total = size * (1 - tolerance), size * (1 + tolerance)
    return box_quadratic_programme(matrix, linear, bound, total, gap)
