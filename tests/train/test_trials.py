"""From plain data to outcomes: shared examples, curves, stopping, exact solutions, resuming."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tfphen.errors import TfphenError, UsageError
from tfphen.measures import error, loss, predictions
from tfphen.phenomenon import Phenomenon
from tfphen.train import checkpoint, least_squares, trials
from tfphen.train.examples import Examples
from tfphen.trial import Data, Spec, Trial


class Plain(Phenomenon):
    title = claim = paper = "a test"
    measures: ClassVar = (
        error("train"),
        error("test"),
        loss("train"),
        predictions("test"),
    )
    curve_measures: ClassVar = (loss("train"),)

    def trials(self, config):
        return ()


def trial(**settings):
    defaults = {
        "model": Spec("mlp", hidden_units=(16,), dropout=0.2),
        "data": Data("digits", train=300, test=200),
        "steps": 120,
        "batch_size": 32,
        "optimizer": Spec("adam", learning_rate=0.01),
    }
    return Trial(**{**defaults, **settings})


def run(*members, path=None, ticks=None):
    return trials.train(
        Plain(),
        members,
        lambda one: {},
        tf.distribute.get_strategy(),
        checkpoint_path=path,
        tick=(ticks.append if ticks is not None else lambda share: None),
    )


def test_an_outcome_has_values_arrays_and_how_it_was_run():
    ticks = []
    (outcome,) = run(trial(), ticks=ticks)
    assert outcome.values["test_error"] < 0.3 and outcome.values["diverged_at"] == -1
    assert outcome.arrays["test_predictions"].shape == (200,)
    assert "XLA" in outcome.environment["execution"]
    assert abs(sum(ticks) - 1) < 1e-6
    assert "curve_train_loss" not in outcome.arrays


def test_curves_are_taken_at_their_steps_and_change_nothing():
    plain, curved = run(trial())[0], run(trial(curve=(1, 40)))[0]
    assert curved.arrays["curve_step"].tolist() == [1, 40, 120]
    losses = curved.arrays["curve_train_loss"]
    assert losses[0] > losses[1] > losses[2]
    assert losses[-1] == pytest.approx(curved.values["train_loss"])
    assert curved.values == plain.values


def test_training_stops_at_a_loss():
    (outcome,) = run(trial(curve=tuple(range(10, 120, 10)), stop_at_loss=1.0))
    stopped = outcome.values["stopped_at"]
    losses = outcome.arrays["curve_train_loss"]
    index = outcome.arrays["curve_step"].tolist().index(stopped)
    assert 0 < stopped < 120 and losses[index] <= 1.0 < losses[index - 1]
    assert np.all(losses[index:] == losses[index])


def test_members_share_inputs_and_may_differ_in_size_and_labels():
    noisy = Spec("label_noise", rate=0.5)
    members = [
        trial(epochs=4, steps=None),
        trial(epochs=4, steps=None, seed=0, data=Data("digits", 300, 200, corruptions=(noisy,))),
        trial(
            epochs=4,
            steps=None,
            data=Data("digits", 300, 200, corruptions=(Spec("subset", size=100),)),
        ),
    ]
    examples = Examples(members, None)
    assert examples.sizes == [300, 300, 100]
    assert len(examples.splits["test"][0]) == 200
    together = run(*members)
    for member, mine in zip(members, together, strict=True):
        (alone,) = run(member)
        assert alone.values["train_loss"] == pytest.approx(mine.values["train_loss"], abs=1e-5)
        assert alone.values["steps"] == mine.values["steps"]
    assert together[2].values["steps"] == 16 and together[0].values["steps"] == 40


def test_a_training_goes_on_from_a_checkpoint_to_the_bit(tmp_path, monkeypatch):
    path = tmp_path / "state.npz"
    curve = tuple(range(10, 120, 10))
    whole = run(trial(curve=curve))[0]
    monkeypatch.setattr(trials, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    saved = []
    save = checkpoint.save

    def stop_later(where, arrays):
        save(where, arrays)
        saved.append(int(arrays["step"]))
        if len(saved) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", stop_later)
    with pytest.raises(KeyboardInterrupt):
        run(trial(curve=curve), path=path)
    assert 0 < saved[-1] < 120
    ticks = []
    (resumed,) = run(trial(curve=curve), path=path, ticks=ticks)
    assert ticks[0] == pytest.approx(saved[4] / 120)
    assert resumed.values == whole.values
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(resumed.arrays[name], array)


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(b"PK not a checkpoint")
    with pytest.raises(TfphenError, match="damaged"):
        run(trial(), path=path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": Spec("mpl")}, "Unknown model 'mpl'.*Did you mean 'mlp'"),
        ({"optimizer": Spec("adma")}, "Unknown optimizer 'adma'.*Did you mean 'adam"),
        ({"schedule": Spec("cosin")}, "Unknown schedule 'cosin'.*Did you mean 'cosine'"),
        ({"objective": Spec("cross")}, "Unknown objective 'cross'"),
        ({"model": Spec("mlp", width=3)}, "Wrong settings of model 'mlp'.*'width'.*hidden_units"),
        ({"objective": Spec("cross_entropy", beta=1)}, "Wrong settings of objective.*none"),
    ],
)
def test_unknown_names_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        run(trial(**settings))


# ---- exact solutions -------------------------------------------------------------------------


def problem(examples, features, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(examples, features)), generator.normal(size=(examples, 3))


def test_the_solution_is_of_least_norm_or_of_least_squares():
    features, targets = problem(20, 50)
    kernel = least_squares.LeastSquares(features, targets).kernel()
    assert np.abs(features @ kernel - targets).max() < 1e-8
    dual = features.T @ np.linalg.solve(features @ features.T, targets)
    np.testing.assert_allclose(kernel, dual, atol=1e-9)
    features, targets = problem(50, 20)
    kernel = least_squares.LeastSquares(features, targets).kernel()
    normal = np.linalg.solve(features.T @ features, features.T @ targets)
    np.testing.assert_allclose(kernel, normal, atol=1e-9)


def test_ridge_solves_its_normal_equations_and_has_the_right_limit():
    features, targets = problem(20, 50)
    kernel = least_squares.LeastSquares(features, targets, 0.3).kernel()
    gram = features.T @ features + 0.3 * np.eye(50)
    np.testing.assert_allclose(kernel, np.linalg.solve(gram, features.T @ targets), atol=1e-9)
    tiny = least_squares.LeastSquares(features, targets, 1e-10).kernel()
    exact = least_squares.LeastSquares(features, targets).kernel()
    np.testing.assert_allclose(tiny, exact, atol=1e-7)


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_descent_steps_equal_gradient_descent(ridge):
    features, targets = problem(30, 12)
    solver = least_squares.LeastSquares(features, targets, ridge)
    rate = 0.5 / (np.linalg.norm(features, 2) ** 2 + ridge)
    kernel = np.zeros((12, 3))
    for _ in range(37):
        kernel -= rate * (features.T @ (features @ kernel - targets) + ridge * kernel)
    np.testing.assert_allclose(solver.kernel(37), kernel, atol=1e-10)


def test_random_features_interpolate_exactly_at_their_number_of_examples():
    data = Data("digits", train=100, test=200)
    model = Spec("random_fourier_features", num_features=100)
    members = [
        trial(model=model, data=data, steps=None, optimizer=Spec("least_squares", ridge=r), seed=s)
        for r, s in ((0.0, 0), (0.1, 0), (0.0, 1))
    ]
    exact, ridge, other = run(*members)
    assert exact.values["train_error"] == other.values["train_error"] == 0
    assert exact.values["test_error"] > ridge.values["test_error"] + 0.1
    again = run(dataclasses.replace(members[2]))[0]
    assert again.values["test_error"] == pytest.approx(other.values["test_error"], abs=0.02)
