"""Combinations of components, what is left out of them, and kernel fits with one point left out."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from tfphen.core.errors import UsageError
from tfphen.phenomena.causal_mechanism_transfer import kernel_ridge, mechanism_transfer
from tfphen.phenomena.causal_mechanism_transfer import shared_mechanism as source
from tfphen.phenomena.causal_mechanism_transfer.kernel_ridge import KernelRidge
from tfphen.phenomena.causal_mechanism_transfer.mechanism_transfer import (
    NoveltyFilter,
    combinations,
    transfer,
)


def as_set(points):
    return {tuple(row) for row in np.round(points, 9)}


def test_combinations_keep_means_and_lose_covariance():
    components = np.random.default_rng(0).normal(size=(6, 4))
    made = combinations(components)
    assert made.shape == (6**4, 4)
    np.testing.assert_allclose(made.mean(0), components.mean(0), atol=1e-14)
    covariance = np.cov(made.T, bias=True)
    np.testing.assert_allclose(covariance, np.diag(components.var(0)), atol=1e-14)
    assert as_set(components) <= as_set(made)


def test_one_component_gives_the_data_back():
    points = np.arange(5.0)[:, None]
    np.testing.assert_array_equal(combinations(points), points)
    with pytest.raises(UsageError, match="components"):
        combinations(np.arange(5.0))


def test_order_and_scale_of_components_change_nothing():
    mechanism = source.MECHANISMS["nonlinear"]
    points = mechanism.points(np.random.default_rng(1).normal(size=(7, 2)))
    scales = np.asarray([3.0, -0.2])
    plain = transfer(points, mechanism.components(points), mechanism.points, None)
    other = transfer(
        points,
        mechanism.components(points)[:, ::-1] * scales,
        lambda made: mechanism.points((made / scales)[:, ::-1]),
        None,
    )
    assert as_set(plain.points) == as_set(other.points)
    assert len(plain.points) == 7 + 49
    at = np.linspace(-1, 1, 9)[:, None]
    np.testing.assert_allclose(plain.ridge(at), other.ridge(at), atol=1e-8)
    assert plain.kept == other.kept == 1.0


def test_what_is_not_finite_or_far_off_is_left_out():
    sources = np.random.default_rng(0).normal(size=(300, 2))
    points = np.asarray([[0.0, 0.1], [np.inf, 0.0], [0.0, np.nan], [40.0, 0.0], [-np.inf, np.nan]])
    assert NoveltyFilter(sources)(points).tolist() == [True, False, False, False, False]
    assert not NoveltyFilter(sources)(points[1:3]).any()
    fitted = transfer(sources[:5], sources[:5], lambda made: made + np.asarray([np.inf, 0]), None)
    assert fitted.kept == 0.0
    assert len(fitted.points) == 5


def test_kernel_fit_is_the_formula_and_leaves_out_what_it_says():
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(40, 2)), generator.normal(size=40)
    targets += 3 * inputs[:, 0]
    fitted = KernelRidge(inputs, targets, 12)
    distances = cdist(inputs, inputs)
    assert fitted.width == pytest.approx(np.median(distances[np.triu_indices(40, 1)]))
    kernel = np.exp(-(distances**2) / (2 * fitted.width**2))

    def coefficients(penalty, rows):
        some = kernel[rows]
        return np.linalg.solve(some.T @ some + penalty * np.eye(40), some.T @ targets[rows])

    def left_out(penalty):
        rows = [np.delete(np.arange(40), i) for i in range(12)]
        guesses = [kernel[i] @ coefficients(penalty, rows[i]) for i in range(12)]
        return np.mean((targets[:12] - guesses) ** 2)

    scores = [left_out(penalty) for penalty in kernel_ridge.PENALTIES]
    assert fitted.penalty == kernel_ridge.PENALTIES[int(np.argmin(scores))]
    assert fitted.score == pytest.approx(min(scores), rel=1e-6)
    direct = coefficients(fitted.penalty, np.arange(40))
    np.testing.assert_allclose(fitted.coefficients, direct, atol=1e-6)


def test_each_fit_has_a_width_of_its_own():
    inputs = np.random.default_rng(0).normal(size=(20, 1))
    widths = [KernelRidge(scale * inputs, inputs[:, 0]).width for scale in (1.0, 10.0)]
    assert widths[1] == pytest.approx(10 * widths[0])


@pytest.mark.parametrize(
    ("inputs", "targets", "text"),
    [(np.zeros((5, 1)), np.zeros(5), "inputs"), (np.eye(3), np.zeros(4), "targets")],
)
def test_wrong_points(inputs, targets, text):
    with pytest.raises(UsageError, match=f"`{text}`"):
        KernelRidge(inputs, targets)


def test_fast_ica_undoes_a_linear_mechanism_up_to_a_turn():
    data = source.shared_mechanism(mechanism="linear", generator_seed=5, per_domain=2000)
    points, labels = data.train_inputs.astype("float64"), data.train_labels
    mine = labels == 10
    task = mechanism_transfer.Task(points[~mine], labels[~mine], points[mine], points[mine], 0)
    fits = {
        turn: mechanism_transfer.ARMS["fast_ica"](task, rotation=turn) for turn in (0.0, 45.0, 90.0)
    }
    true = mechanism_transfer.ARMS["mechanism"](task, kind="linear")
    assert {len(one.points) for one in fits.values()} == {110}
    far = [cdist(one.points, true.points).min(1).max() for one in fits.values()]
    assert far[0] < 0.1 < 0.3 < far[1]
    # A quarter of a turn swaps the components; an eighth mixes them.
    assert as_set(fits[0.0].points) == as_set(fits[90.0].points)
    assert as_set(fits[0.0].points) != as_set(fits[45.0].points)
