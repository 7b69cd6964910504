"""From plain data to outcomes: shared examples, curves, stopping, exact solutions, resuming."""

import dataclasses
import gc
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tfphen.core.errors import TfphenError, UsageError
from tfphen.core.trial import Data, Result, Spec, Trial
from tfphen.experiment import training
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss, masks, predictions, weights
from tfphen.measures.trained import Trained
from tfphen.population.population import Population
from tfphen.solvers import linear_readout
from tfphen.train import checkpoint, gradient_descent
from tfphen.train.examples import Examples
from tfphen.train.initialization import flatten, unflatten
from tfphen.train.loop import StepHook


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
    return training.train(
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
    monkeypatch.setattr(gradient_descent, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
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
        ({"objective": Spec("cross_entropy", beta=1)}, "Wrong settings of objective.*dtype"),
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
    kernel = linear_readout.LeastSquares(features, targets).kernel()
    assert np.abs(features @ kernel - targets).max() < 1e-8
    dual = features.T @ np.linalg.solve(features @ features.T, targets)
    np.testing.assert_allclose(kernel, dual, atol=1e-9)
    features, targets = problem(50, 20)
    kernel = linear_readout.LeastSquares(features, targets).kernel()
    normal = np.linalg.solve(features.T @ features, features.T @ targets)
    np.testing.assert_allclose(kernel, normal, atol=1e-9)


def test_ridge_solves_its_normal_equations_and_has_the_right_limit():
    features, targets = problem(20, 50)
    kernel = linear_readout.LeastSquares(features, targets, 0.3).kernel()
    gram = features.T @ features + 0.3 * np.eye(50)
    np.testing.assert_allclose(kernel, np.linalg.solve(gram, features.T @ targets), atol=1e-9)
    tiny = linear_readout.LeastSquares(features, targets, 1e-10).kernel()
    exact = linear_readout.LeastSquares(features, targets).kernel()
    np.testing.assert_allclose(tiny, exact, atol=1e-7)


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_descent_steps_equal_gradient_descent(ridge):
    features, targets = problem(30, 12)
    solver = linear_readout.LeastSquares(features, targets, ridge)
    rate = 0.5 / (np.linalg.norm(features, 2) ** 2 + ridge)
    kernel = np.zeros((12, 3))
    for _ in range(37):
        kernel -= rate * (features.T @ (features @ kernel - targets) + ridge * kernel)
    np.testing.assert_allclose(solver.kernel(37), kernel, atol=1e-10)


def test_random_features_interpolate_exactly_at_their_number_of_examples():
    data = Data("digits", train=100, test=200)
    model = Spec("random_fourier_features", num_features=100)
    members = [
        trial(model=model, data=data, steps=None, solver=Spec("least_squares", ridge=r), seed=s)
        for r, s in ((0.0, 0), (0.1, 0), (0.0, 1))
    ]
    exact, ridge, other = run(*members)
    assert exact.values["train_error"] == other.values["train_error"] == 0
    assert exact.values["test_error"] > ridge.values["test_error"] + 0.1
    again = run(dataclasses.replace(members[2]))[0]
    assert again.values["test_error"] == pytest.approx(other.values["test_error"], abs=0.02)


class Extended(Plain):
    """Brings a start, a solver, a step hook, and measures that trials choose from."""

    measures: ClassVar = (*Plain.measures, weights(), masks(), loss("validation"))

    step_hook = StepHook(
        ("bias_square",),
        lambda step, gradients: tf.stack([tf.reduce_sum(step.weights["logits/bias"] ** 2, 1)], 1),
    )


def half_masked(drawn, inputs, generator, *, factor):
    """Scales what another trial ended with, and masks the first half of the first kernel's rows."""
    vector = inputs["weights"] if inputs else flatten(drawn)
    values = {path: factor * array for path, array in unflatten(vector, drawn).items()}
    path = next(iter(values))
    mask = np.ones(values[path].shape)
    mask[: len(mask) // 2] = 0
    return values, {path: mask}


class Majority:
    """Predicts the majority class of each member, and says so."""

    execution, num_parameters, diagnostics = "counting", 0, {}

    def __init__(self, problem):
        labels = problem.examples.splits["train"][2]["labels"]
        self.outputs = np.stack([np.bincount(row, minlength=10) for row in labels])
        problem.tick(len(problem.trials))

    def predict(self, inputs, rows=None, layers=()):
        return np.repeat(self.outputs[:, None].astype("float32"), rows.shape[1], 1)


Extended.starts = {"half_masked": half_masked}
Extended.solvers = {"majority": Majority}


def run_extended(*members, inputs=None):
    return training.train(
        Extended(), members, lambda one: inputs or {}, tf.distribute.get_strategy()
    )


def test_a_start_gives_weights_and_masks_that_training_keeps():
    start = Spec("half_masked", factor=0.5)
    short = trial(steps=20, measures=("weights", "masks"), model=Spec("mlp", hidden_units=(16,)))
    (first,) = run_extended(short)
    assert first.arrays["masks"].all()
    again, plain = run_extended(dataclasses.replace(short, start=start), short)
    np.testing.assert_allclose(plain.arrays["weights"], first.arrays["weights"], atol=1e-6)
    assert plain.arrays["masks"].all()
    kernel = again.arrays["weights"][: 64 * 16].reshape(64, 16)
    kept = again.arrays["masks"][: 64 * 16].reshape(64, 16)
    assert not kernel[:32].any() and kernel[32:].any()
    assert not kept[:32].any() and kept[32:].all() and again.arrays["masks"][64 * 16 :].all()
    child = dataclasses.replace(short, start=start, inputs={"weights": Result(short, "weights")})
    (scaled,) = run_extended(
        dataclasses.replace(child, steps=1, optimizer=Spec("sgd", learning_rate=0.0)),
        inputs={"weights": first.arrays["weights"]},
    )
    np.testing.assert_array_equal(
        scaled.arrays["weights"][64 * 16 :], 0.5 * first.arrays["weights"][64 * 16 :]
    )


@pytest.mark.parametrize(
    ("start", "text"),
    [
        (Spec("haf_masked"), "half_masked"),
        (Spec("half_masked"), "factor"),
        (Spec("half_masked", factor=1, rate=2), "rate"),
    ],
)
def test_a_start_that_there_is_not_is_told(start, text):
    with pytest.raises(UsageError, match=text):
        run_extended(trial(steps=1, start=start))


def test_a_start_cannot_give_arrays_of_another_shape(monkeypatch):
    wrong = {"wrong": lambda drawn, inputs, generator: ({"logits/bias": np.zeros(3)}, {})}
    monkeypatch.setattr(Extended, "starts", wrong)
    with pytest.raises(UsageError, match=r"logits/bias \(3,\)"):
        run_extended(trial(steps=1, start=Spec("wrong")))


def test_a_solver_takes_the_place_of_descent():
    ticks = []
    one = trial(
        model=Spec("none"),
        solver=Spec("majority"),
        steps=None,
        measures=("test_error", "train_error"),
    )
    (outcome,) = training.train(
        Extended(), [one], lambda t: {}, tf.distribute.get_strategy(), tick=ticks.append
    )
    assert outcome.values.keys() == {"test_error", "train_error"} and ticks == [1]
    assert 0.85 < outcome.values["test_error"] < 0.95
    assert outcome.environment["execution"] == "counting"


def test_the_loss_and_the_hook_are_recorded_at_every_so_many_updates():
    one = trial(record_every=7, steps=30, measures=("train_loss",))
    every = dataclasses.replace(one, record_every=1)
    sparse, dense = (run_extended(t)[0].arrays for t in (one, every))
    assert sparse["step_number"].tolist() == [0, 7, 14, 21, 28]
    assert dense["step_loss"].shape == (30,)
    np.testing.assert_array_equal(dense["step_loss"][::7], sparse["step_loss"])
    assert sparse["step_bias_square"][0] == 0 < sparse["step_bias_square"][-1]


def test_held_out_examples_are_measured_and_never_trained_on():
    data = Data("digits", train=300, test=200, validation=150, split="seeded")
    (outcome,) = run_extended(trial(data=data, measures=("validation_loss",)))
    assert 0.05 < outcome.values["validation_loss"] < 2
    seen = Examples([trial(data=data)], None).splits
    rows = {
        part: {row.tobytes() for row in pool[index[0]]} for part, (pool, index, _) in seen.items()
    }
    assert len(rows["validation"]) >= 149
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not rows[one] & rows[other]
    smaller = Examples([trial(data=dataclasses.replace(data, train=100))], None).splits
    np.testing.assert_array_equal(smaller["validation"][0], seen["validation"][0])


def test_measures_that_a_trial_does_not_name_are_not_taken():
    one = trial(steps=5, curve=(0, 2), measures=("test_error",))
    (outcome,) = run_extended(one)
    assert "test_error" in outcome.values and "train_error" not in outcome.values
    assert "curve_train_loss" not in outcome.arrays
    (outcome,) = run_extended(dataclasses.replace(one, measures=("train_loss",)))
    assert outcome.arrays["curve_train_loss"].shape == (3,)
    with pytest.raises(UsageError, match="test_eror"):
        run_extended(dataclasses.replace(one, measures=("test_eror",)))


def test_softmax_in_float64_sees_what_float32_rounds_away():
    from tfphen.train.loss_objectives import OBJECTIVES
    from tfphen.train.objectives import Step

    gradients = {}
    for dtype in ("float32", "float64"):
        logits = tf.constant([[[25.0] + [0.0] * 96]])
        step = Step(None, tf.constant([[0]]), logits, {}, {}, {}, tf.constant(0), None)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            loss_value = OBJECTIVES["cross_entropy"](dtype=dtype)(step)
        assert loss_value.dtype == tf.float32
        gradients[dtype] = tape.gradient(loss_value, logits).numpy()[0, 0].astype("float64")
    assert gradients["float32"][0] == 0 and gradients["float32"].sum() > 1e-10
    assert gradients["float64"][0] < 0 and abs(gradients["float64"].sum()) < 1e-14
    with pytest.raises(UsageError, match="dtype"):
        OBJECTIVES["cross_entropy"](dtype="float16")


def test_nothing_holds_a_population_once_it_is_measured():
    gc.collect()
    before = {id(one) for one in gc.get_objects() if isinstance(one, (Trained, Population))}
    run(trial(steps=3, curve=(0, 1)))
    gc.collect()
    left = [one for one in gc.get_objects() if isinstance(one, (Trained, Population))]
    assert not [one for one in left if id(one) not in before]


def test_what_measures_share_is_computed_once_for_a_view():
    calls = []

    def dear(trained, split):
        calls.append(split)
        return trained.logits(split).argmax(-1)

    class Sharing(Plain):
        measures: ClassVar = (
            Measure("first", lambda trained: trained.once(dear, "test").mean(1)),
            Measure("second", lambda trained: trained.once(dear, "test").max(1)),
            Measure("third", lambda trained: trained.once(dear, "train").max(1)),
        )

    members = trial(steps=1, curve=()), trial(steps=1, seed=1, curve=())
    training.train(Sharing(), members, lambda one: {}, tf.distribute.get_strategy())
    assert calls == ["test", "train"]
