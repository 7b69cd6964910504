"""Gaussian-kernel interpolation: the solver against SciPy, and the function against its theory."""

import numpy as np
import pytest
import scipy.linalg

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec
from tfphen.data import load
from tfphen.phenomena.random_labels import kernel_interpolation
from tfphen.phenomena.random_labels import kernel_solver as ks
from tfphen.solvers.base import Problem


@pytest.fixture(scope="module")
def digits():
    data = load("digits")
    return data.train_inputs, data.train_labels, data.test_inputs, data.test_labels


def kernel_by_loops(first, second, gamma):
    return np.array([[np.exp(-gamma * ((x - y) ** 2).sum()) for y in second] for x in first])


def test_kernel_by_loops():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(5, 3)), generator.normal(size=(4, 3))
    found = ks.gaussian_kernel(first, second, 0.7)
    np.testing.assert_allclose(found, kernel_by_loops(first, second, 0.7), rtol=1e-12)


@pytest.mark.parametrize("tile", [64, 100, 333, 1000])
def test_product_by_tiles_is_that_of_the_whole_matrix(digits, tile):
    points = digits[0][:333]
    whole = ks.gaussian_kernel(points.astype("float64"), points.astype("float64"), 0.1)
    vectors = np.random.default_rng(0).normal(size=(333, 3))
    kernel = ks.TiledKernel(points, 0.1, tile)
    np.testing.assert_allclose(kernel.product(vectors, precise=True), whole @ vectors, atol=2e-4)
    np.testing.assert_allclose(kernel.product(vectors), whole @ vectors, atol=4e-4)
    numbers = sum(part.size for part in kernel._tiles.values())
    assert numbers <= 333 * (333 + tile) / 2 + tile**2


def test_preconditioner_inverts_the_approximation_plus_its_shift(digits):
    points = digits[0][:300]
    landmarks = np.random.default_rng(0).choice(300, 80, replace=False)
    precondition = ks.NystromPreconditioner(points, 0.3, landmarks)
    precise = points.astype("float64")
    cross = ks.gaussian_kernel(precise, precise[landmarks], 0.3)
    among = ks.gaussian_kernel(precise[landmarks], precise[landmarks], 0.3)
    approximation = cross @ np.linalg.solve(among, cross.T)
    shift = 1 - np.trace(approximation) / 300
    assert precondition.shift == pytest.approx(shift, abs=1e-5)
    vectors = np.random.default_rng(1).normal(size=(300, 2))
    expected = np.linalg.solve(approximation + shift * np.eye(300), vectors)
    np.testing.assert_allclose(precondition(vectors), expected, atol=1e-4 * abs(expected).max())


def test_conjugate_gradients_solve_each_column_and_let_it_rest():
    generator = np.random.default_rng(0)
    root = generator.normal(size=(40, 40))
    matrix = root @ root.T + np.eye(40)
    eigenvector = np.linalg.eigh(matrix)[1][:, :1]
    targets = np.concatenate([generator.normal(size=(40, 2)), eigenvector, np.zeros((40, 1))], 1)
    widths = []

    def product(vectors):
        widths.append(vectors.shape[1])
        return matrix @ vectors

    goals = 1e-10 * np.linalg.norm(targets, axis=0)
    solution, iterations = ks.conjugate_gradients(product, targets, goals)
    np.testing.assert_allclose(solution, np.linalg.solve(matrix, targets), atol=1e-8)
    assert iterations[2] == 1  # an eigenvector takes one step
    assert iterations[3] == 0  # a column of zeros takes none
    assert (iterations[:2] > 10).all()
    assert widths[0] == 3
    assert widths[1] == 2
    few, taken = ks.conjugate_gradients(product, targets, goals, max_iterations=5)
    assert taken.max() == 5
    assert np.linalg.norm(matrix @ few - targets) > 1e-3


def test_gradients_agree_with_factoring_and_scipy(digits):
    points, labels = digits[0][:700], digits[1][:700]
    random = np.random.default_rng(0).integers(0, 10, 700)
    targets = np.concatenate([np.eye(10)[labels], np.eye(10)[random], np.eye(10)[labels]], 1)
    settings = {"landmarks": 200, "tolerance": 1e-5}
    progress = []
    iterative = ks.interpolate(
        points, targets, 0.1, np.random.default_rng(0), progress.append, dense_points=0, **settings
    )
    direct = ks.interpolate(points, targets, 0.1, np.random.default_rng(0))
    precise = points.astype("float64")
    kernel = ks.gaussian_kernel(precise, precise, 0.1)
    expected = scipy.linalg.solve(kernel, targets, assume_a="pos")
    np.testing.assert_allclose(direct.coefficients, expected, atol=1e-8 * abs(expected).max())
    np.testing.assert_allclose(iterative.coefficients, expected, atol=1e-3 * abs(expected).max())
    assert iterative.residuals.max() <= 1e-5
    assert direct.residuals.max() < 1e-10
    assert (direct.iterations == 0).all()
    assert (iterative.iterations[10:20] > iterative.iterations[:10].min()).all()
    np.testing.assert_array_equal(iterative.iterations[:10], iterative.iterations[20:])
    assert progress[0] >= 0
    assert max(progress) == pytest.approx(1.0)
    squared = np.einsum("ij,ij->j", expected, kernel @ expected)
    np.testing.assert_allclose(direct.squared_norms, squared, rtol=1e-6)
    np.testing.assert_allclose(iterative.squared_norms, squared, rtol=1e-3)


def test_any_other_interpolating_expansion_has_a_larger_norm(digits):
    """The solution on some points is shorter than that on more, which interpolates them too."""
    points, labels = digits[0][:200], digits[1][:200]
    generator = np.random.default_rng(0)
    targets = np.eye(10)[labels]
    fewer = ks.interpolate(points[:150], targets[:150], 0.3, generator)
    more = ks.interpolate(points, targets, 0.3, generator)
    np.testing.assert_allclose(more.fitted[:150], targets[:150], atol=1e-10)
    assert (more.squared_norms >= fewer.squared_norms - 1e-10).all()
    assert more.squared_norms.sum() > 1.1 * fewer.squared_norms.sum()


def test_the_same_input_twice_is_refused(digits):
    points = np.concatenate([digits[0][:20], digits[0][:1]])
    with pytest.raises(UsageError, match=r"two training inputs are the same.*gamma=0\.3"):
        ks.interpolate(points, np.eye(21), 0.3, np.random.default_rng(0))


@pytest.fixture(scope="module")
def solved(tensorflow):
    """Four members: true and random labels of two subsets of the digits."""
    from tfphen.phenomena.random_labels.phenomenon import RandomLabels
    from tfphen.phenomena.random_labels.trials import Config
    from tfphen.train.examples import Examples

    config = Config(arms=(), gamma=0.3, train=300, test=100, seed=0, seeds=2, controls=False)
    trials = list(RandomLabels().trials(config))
    examples, done = Examples(trials, None), []
    return (
        trials,
        examples,
        kernel_interpolation.solve(Problem(trials, examples, done.append)),
        done,
    )


def test_members_are_solved_and_predict_as_alone(solved):
    trials, examples, predictor, done = solved
    assert sum(done) == pytest.approx(len(trials))
    pool, rows, labels = examples.splits["train"]
    test_pool, test_rows, _ = examples.splits["test"]
    outputs, fitted = predictor.predict(test_pool, test_rows), predictor.predict(pool, rows)
    assert outputs.shape == (4, 100, 10)
    for index in range(4):
        points = pool[rows[index]].astype("float64")
        kernel = ks.gaussian_kernel(points, points, 0.3)
        targets = np.eye(10)[labels["labels"][index]]
        coefficients = np.linalg.solve(kernel, targets)
        cross = ks.gaussian_kernel(test_pool[test_rows[index]].astype("float64"), points, 0.3)
        np.testing.assert_allclose(outputs[index], cross @ coefficients, atol=2e-4)
        np.testing.assert_allclose(fitted[index], targets, atol=1e-6)
        norm = np.sqrt((coefficients * targets).sum())
        assert predictor.diagnostics["norm"][index] == pytest.approx(norm, rel=1e-6)
    view = examples.view(predictor)
    assert (view.logits("train").argmax(-1) == view.labels("train")).all()
    assert view.diagnostics["residual"].max() < 1e-10


def test_training_inputs_by_themselves_give_the_fitted_values(solved):
    _, examples, predictor, _ = solved
    pool, rows, _ = examples.splits["train"]
    expanded = predictor.predict(pool.copy(), rows)  # another array: nothing is remembered of it
    np.testing.assert_allclose(expanded, predictor.predict(pool, rows), atol=1e-3)


def test_wrong_settings(solved):
    import dataclasses

    trials, examples, predictor, _ = solved
    for change, message in (
        ({"model": Spec("gaussian_kernel", gamma=0.0)}, "`gamma`"),
        ({"model": Spec("laplace_kernel")}, "Unknown model 'laplace_kernel'"),
        ({"solver": Spec("kernel_interpolation", tolerence=1.0)}, "tolerence"),
    ):
        wrong = [dataclasses.replace(trial, **change) for trial in trials]
        with pytest.raises(UsageError, match=message):
            kernel_interpolation.solve(Problem(wrong, examples, lambda share: None))
    with pytest.raises(UsageError, match="has no layers"):
        predictor.predict(*examples.splits["test"][:2], ("features",))
