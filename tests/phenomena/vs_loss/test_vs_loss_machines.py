"""Vector scaling: hard-margin SVMs, their errors, regularization paths, and asymptotic limits."""

import doctest
from types import SimpleNamespace

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena.vs_loss import limit
from tfphen.phenomena.vs_loss.data import opposite_gaussians, spurious_attribute
from tfphen.phenomena.vs_loss.trials import Path
from tfphen.solvers.base import Problem


def examples_of(dataset):
    """Training data of one member, as passed to a solver."""
    labels = dataset.train_labels[None]
    return SimpleNamespace(
        splits={
            "train": (dataset.train_inputs, np.arange(labels.shape[1])[None], {"labels": labels})
        },
        sizes=[labels.shape[1]],
    )


def solved(name, dataset, spec, options=(), objective=None):
    from tfphen.phenomena.vs_loss import solver

    data = Data(dataset.name, options=dict(options))
    extra = {} if objective is None else {"objective": objective}
    trial = Trial(model=Spec("linear"), data=data, solver=spec, **extra)
    solve = getattr(solver, f"solve_{name}")
    return solve(Problem([trial], examples_of(dataset)))


def test_docstring_examples(tensorflow):
    from tfphen.solvers import hard_margins

    for module in (hard_margins, limit):
        results = doctest.testmod(module)
        assert results.attempted > 0 and results.failed == 0


def test_margins_are_exact_and_agree_with_the_dual(tensorflow):
    from scipy import optimize

    from tfphen.solvers.hard_margins import max_margin

    generator = np.random.default_rng(0)
    signed, margins = generator.normal(size=(15, 20)), generator.uniform(0.5, 4.0, 15)
    solution = max_margin(signed, margins)
    assert (signed @ solution - margins).min() > -1e-9
    gram = signed @ signed.T
    dual = optimize.minimize(
        lambda a: (0.5 * a @ gram @ a - margins @ a, gram @ a - margins),
        np.zeros(15),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * 15,
        options={"gtol": 1e-12, "ftol": 0, "maxiter": 10000},
    )
    np.testing.assert_allclose(solution, signed.T @ dual.x, atol=1e-5)
    with pytest.raises(UsageError, match="no hard margins"):
        max_margin(np.concatenate([signed, -signed]), np.ones(30))


def test_moved_threshold_is_the_svm_with_that_margin(tensorflow):
    from tfphen.solvers.hard_margins import cost_sensitive, max_margin, plain_machine

    data = opposite_gaussians(counts=(20, 6), dimensions=40, mean=1.5)
    inputs, signs = data.train_inputs.astype("float64"), 2 * data.train_labels - 1
    weights, intercept = cost_sensitive(*plain_machine(inputs, signs), 3.0)
    # A constant feature of 1000 leaves the intercept all but unpenalized.
    large = np.concatenate([inputs, np.full((26, 1), 1e3)], 1)
    direct = max_margin(large * signs[:, None], np.where(signs > 0, 3.0, 1.0))
    np.testing.assert_allclose(direct[:-1], weights, atol=1e-5)
    assert 1e3 * direct[-1] == pytest.approx(intercept, abs=1e-5)


def test_inseparable_classes_have_no_svm(tensorflow):
    from tfphen.solvers.hard_margins import plain_machine

    assert plain_machine([[0.0], [1.0], [2.0]], [1, -1, 1]) is None


def test_exact_errors_match_test_errors(tensorflow):
    data = opposite_gaussians(counts=(45, 15), dimensions=80, mean=1.2, generator_seed=1)
    spec = Spec("cost_sensitive", deltas=[1.0, 4.0])
    solution = solved("cost_sensitive", data, spec, {"mean": 1.2})
    labels, rows = data.test_labels, np.arange(1000)[None]
    wrong = solution.predict(data.test_inputs, rows)[0].argmax(-1) != labels
    for name, label in (("minority_error", 1), ("majority_error", 0)):
        exact = solution.diagnostics[name][0]
        assert wrong[labels == label].mean() == pytest.approx(exact[0], abs=0.06)
        assert 0.02 < exact[0] < 0.5
    assert (
        solution.diagnostics["minority_error"][0, 1] < solution.diagnostics["minority_error"][0, 0]
    )


def test_exact_errors_of_groups_match_test_errors(tensorflow):
    options = {"core": 1.0, "spurious": 2.0}
    data = spurious_attribute(count=120, dimensions=150, agreement=0.9, generator_seed=2, **options)
    spec = Spec("group_sensitive", exponents=[0.0, 0.4])
    solution = solved("group_sensitive", data, spec, options)
    cells = data.test_labels
    wrong = solution.predict(data.test_inputs, np.arange(2000)[None])[0].argmax(-1) != cells // 2
    for cell, exact in enumerate(solution.diagnostics["cell_errors"][0, 1]):
        assert wrong[cells == cell].mean() == pytest.approx(exact, abs=0.06)
    assert np.ptp(solution.diagnostics["cell_errors"][0, 0]) > 0.2


def test_every_group_has_examples_with_its_mean():
    data = spurious_attribute(count=40, dimensions=3, core=3.0, spurious=5.0, agreement=0.99)
    assert set(data.train_labels) == {0, 1, 2, 3}
    for cell in range(4):
        mean = data.test_inputs[data.test_labels == cell].mean(0)
        expected = [3.0 * (2 * (cell // 2) - 1), 5.0 * (2 * (cell % 2) - 1), 0.0]
        np.testing.assert_allclose(mean, expected, atol=0.25)


def test_path_satisfies_the_first_order_condition(tensorflow):
    from tfphen.solvers.hard_margins import ridge_path

    data = opposite_gaussians(counts=(12, 4), dimensions=6, mean=0.5, generator_seed=3)
    inputs, signs = data.train_inputs.astype("float64"), 2.0 * data.train_labels - 1
    # l = log(1 + exp(2 - Δ y f)) with Δ of the class, as the paper writes it.
    factors = np.where(signs > 0, 0.5, 1.0) * signs

    def loss(scores):
        return tensorflow.nn.softplus(2.0 - factors * scores)

    for penalty, w in zip((0.1, 1e-3), ridge_path(loss, inputs, [0.1, 1e-3]), strict=True):
        slopes = -factors / (1 + np.exp(factors * (inputs @ w) - 2.0)) / len(signs)
        np.testing.assert_allclose(inputs.T @ slopes, -penalty * w, rtol=0, atol=2e-4 * penalty)


def test_losses_of_a_path_are_the_binary_formulas(tensorflow):
    from tfphen.phenomena.vs_loss.solver import BINARY_LOSSES

    labels, scores = np.array([0, 0, 0, 1]), np.array([-1.0, 0.5, 2.0, 0.3])
    signs, share = 2 * labels - 1, np.where(labels == 1, 0.25, 0.75)
    loss = BINARY_LOSSES["binary_vector_scaling"](labels, gamma=0.5, tau=1.5)
    delta, iota = (share / 0.75) ** 0.5, -1.5 * np.log(share)
    expected = np.logaddexp(0, iota - delta * signs * scores)
    np.testing.assert_allclose(loss(tensorflow.constant(scores)), expected, rtol=1e-12)
    weighted = BINARY_LOSSES["inversely_weighted"](labels)(tensorflow.constant(scores))
    expected = np.logaddexp(0, -signs * scores) / (2 * share)
    np.testing.assert_allclose(weighted, expected, rtol=1e-12)


def test_only_temperatures_lead_to_the_cost_sensitive_svm(tensorflow):
    path, ends = Path(decades=7), {}
    data = opposite_gaussians(counts=path.counts, dimensions=path.dimensions, mean=path.mean)
    for arm in ("logit_adjustment", "vector_scaling"):
        spec = Spec("ridge_path", factor=path.factor, decades=path.decades)
        solution = solved("ridge_path", data, spec, objective=path.losses()[arm])
        ends[arm] = [
            solution.diagnostics[f"cosine_to_{name}_machine"][0] for name in ("plain", "sensitive")
        ]
    assert ends["logit_adjustment"][0][-1] > 0.99 > 0.97 > ends["logit_adjustment"][1][-1]
    assert ends["vector_scaling"][1][-1] > 0.99 > 0.97 > ends["vector_scaling"][0][-1]


def test_large_svms_are_at_the_limit():
    settings = {"count": 400, "mean": 2.0, "minority": 0.2}
    data = [
        opposite_gaussians(counts=(320, 80), dimensions=480, mean=2.0, generator_seed=seed)
        for seed in range(4)
    ]
    deltas = [1.0, 2.0, 4.0]
    spec = Spec("cost_sensitive", deltas=deltas)
    diagnostics_of = [
        solved("cost_sensitive", one, spec, {"mean": 2.0}).diagnostics for one in data
    ]
    limits = limit.mixture_limit(480 / settings["count"], 2.0, settings["minority"], deltas)
    for name, expected in zip(("minority_error", "majority_error"), limits, strict=True):
        mean = np.mean([reports[name][0] for reports in diagnostics_of], 0)
        np.testing.assert_allclose(mean, expected, atol=0.025)
    assert limits[0][0] > limits[1][0] + 0.1
    with pytest.raises(ValueError, match="sign"):
        limit.mixture_limit(0.05, 0.5, 0.2, deltas)
