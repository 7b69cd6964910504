"""Density ratios against closed forms, other solvers, and the identities that they satisfy."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
from scipy import optimize

from tfphen import density_ratio
from tfphen.core.errors import UsageError


@pytest.fixture
def samples():
    """Training points N(1, ½²), test points N(2, ¼²), and the true ratio as a function."""
    generator = np.random.default_rng(0)
    train, test = generator.normal(1.0, 0.5, 300), generator.normal(2.0, 0.25, 200)

    def ratio(x):
        return 2.0 * np.exp(-0.5 * ((x - 2.0) / 0.25) ** 2 + 0.5 * ((x - 1.0) / 0.5) ** 2)

    return train, test, ratio


def kernel(first, second, gamma):
    return np.exp(-gamma * (np.asarray(first)[:, None] - np.asarray(second)) ** 2)


# ---- kernel mean matching ----------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [None, 0.01])
def test_mean_matching_finds_what_a_general_solver_finds(tolerance):
    generator = np.random.default_rng(1)
    train, test = generator.normal(size=30), generator.normal(0.5, 0.7, 40)
    weights = density_ratio.kernel_mean_matching(train, test, 1.0, 3.0, tolerance)
    matrix = kernel(train, train, 1.0) + 1e-5 * np.eye(30)
    linear = kernel(train, test, 1.0).sum(1) * 30 / 40
    share = (np.sqrt(30) - 1) / np.sqrt(30) if tolerance is None else tolerance

    def objective(w):
        return 0.5 * w @ matrix @ w - linear @ w

    found = optimize.minimize(
        objective,
        np.ones(30),
        jac=lambda w: matrix @ w - linear,
        bounds=[(0, 3)] * 30,
        constraints=[
            {"type": "ineq", "fun": lambda w: w.sum() - 30 * (1 - share)},
            {"type": "ineq", "fun": lambda w: 30 * (1 + share) - w.sum()},
        ],
        method="SLSQP",
        options={"maxiter": 2000, "ftol": 1e-15},
    )
    np.testing.assert_allclose(weights, found.x, atol=1e-5)
    assert objective(weights) == pytest.approx(found.fun, abs=1e-8)
    if tolerance is not None:  # Test points lie where there are few training points.
        assert weights.sum() == pytest.approx(30 * (1 - share), abs=1e-6)


def test_mean_matching_of_a_sample_with_itself_gives_ones():
    spread = np.arange(40.0)
    same = density_ratio.kernel_mean_matching(spread, spread, gamma=0.5)
    np.testing.assert_allclose(same, 1.0, atol=1e-4)
    # All points alike: the weights of least norm.
    alike = density_ratio.kernel_mean_matching(spread, spread + 7.0, gamma=0.0)
    np.testing.assert_allclose(alike, 1.0, atol=1e-5)


def test_mean_matching_keeps_its_constraints_and_follows_the_order(samples):
    train, test, _ = samples
    train = train[:64]
    weights = density_ratio.kernel_mean_matching(train, test, bound=4.0)
    assert weights.min() >= 0
    assert weights.max() <= 4
    assert weights.max() > 3.99
    assert abs(weights.mean() - 1) <= 7 / 8
    order = np.random.default_rng(2).permutation(64)
    moved = density_ratio.kernel_mean_matching(train[order], test[::-1], bound=4.0)
    np.testing.assert_allclose(moved, weights[order], atol=1e-3)


def test_a_programme_without_bounds_on_the_sum():
    generator = np.random.default_rng(3)
    root = generator.normal(size=(8, 8))
    matrix, inside = root @ root.T, generator.uniform(0.5, 1.5, 8)
    found = density_ratio.box_quadratic_programme(matrix, matrix @ inside, upper=2.0)
    np.testing.assert_allclose(found, inside, atol=1e-5)


def test_a_larger_gap_leaves_weights_further_inside(samples):
    train, test, _ = samples
    exact, loose = (
        density_ratio.kernel_mean_matching(train[:50], test, bound=50.0, gap=gap)
        for gap in (1e-12, 1e-4)
    )
    assert loose.min() > 10 * exact.min()


# ---- ratios as functions -----------------------------------------------------------------------


def test_least_squares_minimises_its_objective(samples):
    train, test, _ = samples
    ratio = density_ratio.ulsif(train, test, gamma=8.0, regularization=0.05, centers=20)
    of_train, of_test = (kernel(x, test[:20], 8.0) for x in (train, test))

    def objective(theta):
        squares = 0.5 * np.mean((of_train @ theta) ** 2)
        return squares - np.mean(of_test @ theta) + 0.025 * theta @ theta

    gradient = optimize.approx_fprime(ratio.coefficients, objective, 1e-6)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-5)
    np.testing.assert_allclose(
        ratio(train), np.maximum(of_train @ ratio.coefficients, 0.0), atol=1e-9
    )


def test_relative_ratios_reach_from_the_ratio_to_one(samples):
    train, test, _ = samples
    plain = density_ratio.ulsif(train, test)
    none = density_ratio.rulsif(train, test, alpha=0.0)
    np.testing.assert_array_equal(plain.coefficients, none.coefficients)
    # A kernel so wide that it holds the constant function.
    whole = density_ratio.rulsif(train, test, 1.0, gamma=1e-9, regularization=1e-9)
    np.testing.assert_allclose(whole(test), 1.0, atol=1e-6)
    half = density_ratio.rulsif(train, test, alpha=0.5, regularization=0.01)
    assert half(train).max() < 2.3
    assert plain(train).max() > 3


@pytest.mark.parametrize("fit", [density_ratio.ulsif, density_ratio.kliep])
def test_ratios_of_samples_from_one_distribution_are_near_one(fit):
    generator = np.random.default_rng(4)
    train, test = generator.normal(size=(2, 1000))
    weights = fit(train, test)(train)
    assert weights.mean() == pytest.approx(1.0, abs=0.1)
    assert weights[abs(train) < 1].std() < 0.2


@pytest.mark.parametrize(("fit", "least"), [(density_ratio.ulsif, 0.9), (density_ratio.kliep, 0.9)])
def test_ratios_follow_the_true_one(samples, fit, least):
    train, test, ratio = samples
    grid = np.linspace(0.5, 2.3, 50)
    assert np.corrcoef(fit(train, test)(grid), ratio(grid))[0, 1] > least


def test_likelihood_is_at_its_maximum(samples):
    train, test, _ = samples
    ratio = density_ratio.kliep(train, test, gamma=8.0, centers=15, tolerance=1e-6)
    assert ratio.coefficients.min() >= 0
    assert ratio(train).mean() == pytest.approx(1.0, abs=1e-9)
    features, means = kernel(test, test[:15], 8.0), kernel(train, test[:15], 8.0).mean(0)
    found = optimize.minimize(
        lambda theta: -np.log(features @ theta).mean(),
        np.full(15, 1 / means.sum()),
        jac=lambda theta: -(features / (features @ theta)[:, None]).mean(0),
        bounds=[(0, None)] * 15,
        constraints=[{"type": "eq", "fun": lambda theta: means @ theta - 1}],
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert np.log(ratio(test)).mean() == pytest.approx(-found.fun, abs=2e-6)


# ---- the one-step method -----------------------------------------------------------------------


def test_the_bound_holds_for_any_weights_and_losses():
    generator = np.random.default_rng(5)
    for _ in range(50):
        losses, weights, true = generator.random((3, 40)) * [[1.0], [3.0], [3.0]]
        risk = np.mean(true * losses)
        assert density_ratio.risk_bound(losses, weights, true) >= 0.5 * risk**2
        # With the true weights the second term vanishes.
        assert density_ratio.risk_bound(losses, true, true) == pytest.approx(risk**2)


def test_turns_never_raise_the_objective_and_end_at_a_minimum(samples):
    train, test, _ = samples
    targets = np.sinc(train)
    found = density_ratio.one_step(train, targets, test, centers=20, iterations=30)
    assert (np.diff(found.objectives) <= 1e-9).all()
    assert found.objectives[1] < found.objectives[0] - 0.01
    gamma, size = found.ratio.gamma, 20
    of_train, of_test = (kernel(x, test[:size], gamma) for x in (train, test))

    def objective(parameters):
        line, theta = parameters[:2], parameters[2:]
        losses = (line[0] + line[1] * train - targets) ** 2
        weights = of_train @ theta
        value = np.mean(weights * losses) ** 2 + np.mean(weights**2)
        return value - 2 * np.mean(of_test @ theta) + 0.1 * theta @ theta

    here = np.concatenate([found.parameters, found.ratio.coefficients])
    assert objective(here) == pytest.approx(found.objectives[-1], abs=1e-9)
    gradient = optimize.approx_fprime(here, objective, 1e-7)
    free = np.concatenate([[True, True], found.ratio.coefficients > 0])
    np.testing.assert_allclose(gradient[free], 0.0, atol=1e-3)
    assert (gradient > -1e-3).all()


def test_the_line_fits_where_the_test_points_are(samples):
    train, test, _ = samples
    targets = np.sinc(train)
    _, slope = density_ratio.one_step(train, targets, test).parameters
    assert np.polyfit(train, targets, 1)[0] < 0 < slope


# ---- transforms --------------------------------------------------------------------------------


def test_flattened_and_relative_weights():
    weights = np.array([0.0, 0.3, 1.0, 40.0])
    np.testing.assert_array_equal(density_ratio.flattened_weights(weights, 0.0), 1.0)
    np.testing.assert_array_equal(density_ratio.flattened_weights(weights, 1.0), weights)
    np.testing.assert_array_equal(density_ratio.relative_weights(weights, 0.0), weights)
    np.testing.assert_array_equal(density_ratio.relative_weights(weights, 1.0), 1.0)
    for alpha in (0.1, 0.5, 0.9):
        assert density_ratio.relative_weights(weights, alpha).max() <= 1 / alpha


# ---- errors and examples -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: density_ratio.ulsif([], [1.0]), "`train` must be finite"),
        (lambda: density_ratio.ulsif([[1.0, 2.0]], [1.0, 2.0]), "points of one dimension"),
        (lambda: density_ratio.ulsif([1.0], [1.0, 2.0], regularization=0.0), "regularization"),
        (lambda: density_ratio.rulsif([1.0], [1.0, 2.0], alpha=2.0), "`alpha` must be"),
        (lambda: density_ratio.kliep([0.0, 1.0], [90.0, 91.0]), "do not reach every test point"),
        (lambda: density_ratio.median_gamma([1.0]), "two points at least"),
        (lambda: density_ratio.median_gamma([1.0, 1.0, 1.0, 1.0, 2.0]), "median distance above 0"),
        (lambda: density_ratio.kernel_mean_matching([1.0], [1.0], 1.0, bound=0.0), "`bound`"),
        (
            lambda: density_ratio.box_quadratic_programme(np.eye(2), [1.0, 1.0], 1.0, (3, 4)),
            "`total` must leave room",
        ),
        (
            lambda: density_ratio.box_quadratic_programme(np.eye(2), [1.0], 1.0),
            "as many rows as `linear`",
        ),
        (
            lambda: density_ratio.box_quadratic_programme(np.eye(2), [1.0, 1.0], 1.0, iterations=1),
            "has not converged",
        ),
        (lambda: density_ratio.risk_bound([2.0], [1.0], [1.0]), r"must be in \[0, 1\]"),
        (lambda: density_ratio.one_step([1.0, 2.0], [1.0], [1.0, 2.0]), "`targets`"),
        (lambda: density_ratio.flattened_weights([-1.0], 0.5), "`weights` must be finite"),
    ],
)
def test_messages(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(density_ratio.__path__)]
)
def test_examples(name):
    module = importlib.import_module(f"tfphen.density_ratio.{name}")
    assert doctest.testmod(module).failed == 0
