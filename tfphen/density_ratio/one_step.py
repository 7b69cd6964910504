"""The one-step method: weights and predictor learned jointly by minimizing a bound on test risk."""

import dataclasses

import numpy as np
from scipy.optimize import nnls

from tfphen.core import checks
from tfphen.core.types import ArrayLike, Floats
from tfphen.density_ratio.kernel_ratio import KernelRatio, centers_and_gamma, pair
from tfphen.density_ratio.kernels import gaussian_kernel


@dataclasses.dataclass(frozen=True, eq=False)
class OneStep:
    """Result of `one_step`.

    Args:
        parameters: Parameters of the linear predictor, `[p]`.
        ratio: The weights as a function of the inputs.
        objectives: Values of the objective, before the first turn and after each, `[turns + 1]`.
    """

    parameters: Floats
    ratio: KernelRatio
    objectives: Floats


def risk_bound(losses: ArrayLike, weights: ArrayLike, true_weights: ArrayLike) -> float:
    """Upper bound on half the squared test risk, for any nonnegative weights.

        ½ R² ≤ (mean_train[g l])² + mean_train[(g - w)²],   R = mean_train[w l]

    It holds for losses in [0, 1]: R = mean[g l] + mean[(w - g) l], (a + b)² ≤ 2a² + 2b², and
    Jensen's inequality. The second term does not depend on the predictor; up to terms that do not
    depend on g it is mean_train[g²] - 2 mean_test[g], so that w need not be known to minimize it.

    Args:
        losses: l of the training points, in [0, 1], `[n]`.
        weights: g, not negative, `[n]`.
        true_weights: w, `[n]`.

    Returns:
        The right-hand side.

    Raises:
        UsageError: Losses outside [0, 1], or negative weights.

    Example:

    >>> risk_bound([0.5, 0.5], weights=[1.0, 1.0], true_weights=[1.0, 1.0])
    0.25

    When not to use:
        As an estimate of the risk: where g = w it is R², twice what it bounds.

    Reference:
        T. Zhang, I. Yamane, N. Lu, M. Sugiyama, "A One-step Approach to Covariate Shift
        Adaptation", ACML 2020, arXiv 2007.04043.
    """
    losses, weights = np.asarray(losses, "float64"), np.asarray(weights, "float64")
    bounded = bool((losses >= 0).all() and (losses <= 1).all())
    checks.require(bounded, "losses", losses, "must be in [0, 1]")
    checks.require(bool((weights >= 0).all()), "weights", weights, "must not be negative")
    distance = np.mean((weights - np.asarray(true_weights, "float64")) ** 2)
    return float(np.mean(weights * losses) ** 2 + distance)


def one_step(
    train: ArrayLike,
    targets: ArrayLike,
    test: ArrayLike,
    gamma: float | None = None,
    centers: ArrayLike = 100,
    scale: float = 1.0,
    regularization: float = 0.1,
    iterations: int = 50,
) -> OneStep:
    """Fits a linear predictor and the weights of its training points by alternating minimization.

        minimize (mean_train[g l])² + mean_train[g²] - 2 mean_test[g] + λ |θ|²

    over f(x) = a + b'x in l = (f(x) - y)² / s, and over g = Σₗ θₗ φₗ with θ ≥ 0. Each turn is
    exact: weighted least squares for f, least squares with θ ≥ 0 for g. So the objective, which
    bounds half the squared risk of min(1, l) on test points, never rises.

    Args:
        train: Training inputs, `[n, d]` or `[n]`.
        targets: y, `[n]`.
        test: Test inputs, `[m, d]` or `[m]`.
        gamma: γ of the kernels; None takes `median_gamma` of the test points.
        centers: c, `[l, d]` or `[l]`, or the number of first test points to use.
        scale: s, the squared error that counts as a loss of 1.
        regularization: λ, above 0.
        iterations: Maximum number of turns; stops where a turn lowers the objective by less than
            1e-9.

    Returns:
        A `OneStep`.

    Raises:
        UsageError: Invalid samples or settings.

    Example:

    >>> generator = np.random.default_rng(0)
    >>> train, test = generator.normal(1.0, 0.5, 200), generator.normal(2.0, 0.25, 200)
    >>> found = one_step(train, np.sinc(train), test)
    >>> bool(found.parameters[1] > 0)  # The curve rises where the test points are.
    True

    When not to use:
        Where errors are far above s for most points: the bound is then of no use, and weights are
        drawn to points with small errors.

    Reference:
        T. Zhang, I. Yamane, N. Lu, M. Sugiyama, "A One-step Approach to Covariate Shift
        Adaptation", ACML 2020, arXiv 2007.04043.
    """

    train, test = pair(train, test)
    targets = np.asarray(targets, "float64")
    checks.require(
        targets.shape == (len(train),), "targets", targets.shape, "must be of shape (n,)"
    )
    chosen, gamma = centers_and_gamma(test, centers, gamma)
    scale = checks.positive("scale", scale)
    ridge = checks.positive("regularization", regularization)
    of_train, of_test = (gaussian_kernel(sample, chosen, gamma) for sample in (train, test))
    size, linear = len(train), of_test.mean(0)
    system = of_train.T @ of_train / size + ridge * np.eye(len(chosen))
    design = np.column_stack([np.ones(size), train])

    def losses_of(parameters: Floats) -> Floats:
        return (design @ parameters - targets) ** 2 / scale

    def objective(parameters: Floats, theta: Floats) -> float:
        product = np.mean(of_train @ theta * losses_of(parameters))
        return product**2 + theta @ system @ theta - 2 * linear @ theta

    def fit(weights: Floats) -> Floats:
        roots = np.sqrt(weights)
        return np.linalg.lstsq(design * roots[:, None], targets * roots, rcond=None)[0]

    def weigh(parameters: Floats) -> Floats:
        # θ'Aθ - 2 h'θ is |L'θ - L⁻¹h|² up to a constant, with A = LL'.
        slope = of_train.T @ losses_of(parameters) / size
        lower = np.linalg.cholesky(system + np.outer(slope, slope))
        return nnls(lower.T, np.linalg.solve(lower, linear))[0]

    parameters = fit(np.ones(size))
    theta = np.full(len(chosen), 1.0 / len(chosen))
    objectives = [objective(parameters, theta)]
    for _ in range(checks.whole("iterations", iterations)):
        theta = weigh(parameters)
        parameters = fit(of_train @ theta)
        objectives.append(objective(parameters, theta))
        if objectives[-2] - objectives[-1] < 1e-9:
            break
    return OneStep(parameters, KernelRatio(theta, chosen, gamma), np.asarray(objectives))
