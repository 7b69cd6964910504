"""The construction of Theorem 1: the triangular system, the network, and the Keras model."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.phenomena.random_labels import threshold_network as tn
from tfphen.solvers.base import Problem


def test_weights_of_three_points_by_hand():
    weights = tn.threshold_weights(
        np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5, 2.5]), np.array([5.0, -1.0, 4.0])
    )
    np.testing.assert_allclose(weights, [10, -32, 54], atol=1e-12)


def test_the_recursion_solves_the_triangular_system():
    generator = np.random.default_rng(0)
    z = np.sort(generator.normal(size=30))
    b = np.concatenate([[z[0] - 1], (z[:-1] + z[1:]) / 2])
    y = generator.normal(size=30)
    matrix = np.maximum(z[:, None] - b, 0)
    assert (matrix[np.triu_indices(30, 1)] == 0).all()
    assert (np.diag(matrix) > 0).all()
    expected = np.linalg.solve(matrix, y)
    np.testing.assert_allclose(tn.threshold_weights(z, b, y), expected, rtol=1e-6)


@pytest.mark.parametrize("permuted", [False, True])
def test_any_labels_of_200_points_are_fitted(permuted):
    generator = np.random.default_rng(1)
    inputs, targets = generator.normal(size=(200, 5)), generator.integers(0, 10, 200)
    targets = generator.permutation(targets) if permuted else targets
    network = tn.fit_threshold_network(inputs, targets, generator)
    assert network.num_weights == 2 * 200 + 5
    assert abs(network(inputs) - targets).max() < 1e-6
    assert (np.diff(network.thresholds) > 0).all()
    single = (
        network.weights.astype("float32")
        @ np.maximum(
            (inputs @ network.direction).astype("float32")[:, None]
            - network.thresholds.astype("float32"),
            0,
        ).T
    )
    assert abs(single - targets).max() > 1e-4, "float32 is not enough"


def test_more_draws_find_a_direction_with_a_larger_gap():
    inputs = np.random.default_rng(0).normal(size=(100, 4))
    targets = np.zeros(100)

    def gap(draws):
        network = tn.fit_threshold_network(inputs, targets, np.random.default_rng(5), draws=draws)
        return np.diff(np.sort(inputs @ network.direction)).min()

    assert gap(50) > 2 * gap(1)


def test_one_point():
    network = tn.fit_threshold_network(np.ones((1, 2)), np.array([3.0]), np.random.default_rng(0))
    assert network(np.ones((1, 2))) == pytest.approx(3.0)


def test_wrong_inputs():
    generator = np.random.default_rng(0)
    with pytest.raises(UsageError, match="Two inputs are the same"):
        tn.fit_threshold_network(np.ones((2, 3)), np.arange(2), generator)
    with pytest.raises(UsageError, match=r"\[n, d\].*shapes \(4,\) and \(4,\)"):
        tn.fit_threshold_network(np.arange(4.0), np.arange(4), generator)
    with pytest.raises(UsageError, match="`draws`"):
        tn.fit_threshold_network(np.eye(3), np.arange(3), generator, draws=0)


def test_the_keras_model_has_2n_plus_d_weights_and_survives_saving(tensorflow, tmp_path):
    import keras

    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(60, 7)), generator.integers(0, 10, 60)
    network = tn.fit_threshold_network(inputs, targets, generator)
    model = tn.threshold_model(network)
    assert model.count_params() == 2 * 60 + 7 == network.num_weights
    outputs = keras.ops.convert_to_numpy(model(inputs))
    assert outputs.dtype == "float64"
    np.testing.assert_allclose(outputs[:, 0], targets, atol=1e-6)
    model.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(again(inputs)), outputs)


@pytest.fixture(scope="module")
def solved(tensorflow):
    from tfphen.phenomena.random_labels.phenomenon import RandomLabels
    from tfphen.phenomena.random_labels.trials import Config
    from tfphen.train.examples import Examples

    config = Config(arms=(), construction=80, test=50, seed=0, seeds=2, controls=False)
    trials = [t for t in RandomLabels().trials(config) if t.tags["arm"] == "construction"]
    halves = [t for t in RandomLabels().trials(config) if t.tags["arm"] == "half_construction"]
    return [(Examples(part, None), part) for part in (trials, halves)]


def test_members_are_classifiers_by_the_nearest_class_number(solved):
    (examples, trials), _ = solved
    predictor = tn.solve(Problem(trials, examples, lambda share: None))
    view = examples.view(predictor)
    assert predictor.num_parameters == 2 * 80 + 64
    assert view.logits("train").shape == (2, 80, 10)
    assert (view.logits("train").argmax(-1) == view.labels("train")).all()
    assert view.diagnostics["misfit"].max() < 1e-6
    assert (view.logits("test") <= 0).all()


def test_half_the_units_fit_half_the_examples(solved):
    _, (examples, trials) = solved
    done = []
    predictor = tn.solve(Problem(trials, examples, done.append))
    assert sum(done) == len(trials)
    view = examples.view(predictor)
    right = (view.logits("train").argmax(-1) == view.labels("train")).sum(1)
    assert ((right >= 40) & (right < 60)).all()
    assert predictor.diagnostics["misfit"].min() > 1.0
    with pytest.raises(UsageError, match="has no layers"):
        predictor.predict(*examples.splits["test"][:2], ("features",))
