"""What an objective is given beside a batch: weights, inference, held-out examples, notes."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen import plan
from tfphen.errors import UsageError
from tfphen.phenomenon import Phenomenon
from tfphen.train import batches, execution, objectives, seeds, strategy, trials
from tfphen.train.loop import StepHook, Trainer
from tfphen.train.objectives import Weighted
from tfphen.train.optimizers import MemberOptimizer
from tfphen.train.population import Population
from tfphen.trial import Data, Spec, Trial

layers = keras.layers
CLASSES, FEATURES, COUNT, RATE = 3, 4, 26, 0.5


def examples():
    """Inputs whose first entry tells the number of the example, and labels of two members."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(COUNT, FEATURES)).astype("float32")
    inputs[:, 0] = np.arange(COUNT) / COUNT
    return inputs, generator.integers(0, CLASSES, (2, COUNT)).astype("int32")


def linear():
    return keras.Sequential([keras.Input((FEATURES,)), layers.Dense(CLASSES)])


def moody():
    """A model that is another one in training: dropout and batch normalisation."""
    stack = [layers.BatchNormalization(momentum=0.5), layers.Dense(6), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((FEATURES,)), *stack, layers.Dense(CLASSES)])


def trainer_of(
    objective,
    member_seeds=(3, 4),
    build=linear,
    found=None,
    batch=8,
    steps=6,
    sizes=None,
    clean_labels=None,
    hook=None,
    xla=False,
    **more,
):
    """A trainer of these members; `hook` is the number of columns and the function of a hook."""
    found = found or strategy.get("one")
    inputs, labels = examples()
    # A member's labels follow its seed, whatever population it is in.
    labels = np.stack([labels[seed % 2] for seed in member_seeds])
    with found.scope():
        population = Population(build(), member_seeds)
        rule = MemberOptimizer(keras.optimizers.SGD(RATE), population)
    return Trainer(
        population,
        batches.Resident(inputs, labels, sizes=sizes, clean_labels=clean_labels),
        objective,
        rule,
        steps,
        batch,
        member_seeds,
        step_hook=hook and StepHook(tuple(f"column_{i}" for i in range(hook[0])), hook[1]),
        strategy=found,
        how=execution.Execution(xla, False, "test"),
        **more,
    )


def held_out(member_seeds=(3, 4), count=9):
    """Examples 100, 101, ... of each member, labelled by their number modulo the classes."""
    numbers = np.arange(count)
    inputs = np.zeros((count, FEATURES), "float32")
    inputs[:, 0] = 100 + numbers
    labels = np.stack([numbers % CLASSES] * len(member_seeds)).astype("int32")
    keys = np.stack([seeds.key(seed, "held_out") for seed in member_seeds])
    return {"held_out": batches.Resident(inputs, labels), "held_out_keys": keys}


# ---- weights of the objective's choice -----------------------------------------------------------


def weights_of(labels, logits):
    """Weights that depend on the label and, for the gradient to notice, on the outputs."""
    return (0.5 + labels) * (1.0 + 1.0 / (1.0 + np.exp(-logits[..., 0])))


def weighted(divide_by, frozen=True):
    def objective(step):
        factors = 0.5 + tf.cast(step.labels, tf.float32)
        weights = factors * (1.0 + tf.sigmoid(step.outputs[..., 0]))
        losses = objectives.cross_entropy(step)
        if not frozen:
            return losses * weights
        return Weighted(losses, weights, divide_by)

    return objective


def by_hand(trainer, member, divide_by, before):
    """Gradient descent on the weighted loss of one member's real rows, in NumPy float64."""
    kernel, bias = (value[member].astype("float64") for value in before)
    inputs, labels = trainer.data.inputs, trainer.data.labels[member]
    recorded = []
    for positions in trainer.orders[member].steps_between(0, len(trainer.losses)):
        rows = positions[positions >= 0]
        x, y = inputs[rows].astype("float64"), labels[rows]
        logits = x @ kernel + bias
        odds = np.exp(logits - logits.max(1, keepdims=True))
        share = odds / odds.sum(1, keepdims=True)
        weights = weights_of(y, logits)
        total = weights.sum() if divide_by == "weights" else len(rows)
        recorded.append(-(weights * np.log(share[np.arange(len(rows)), y])).sum() / total)
        slope = (weights / total)[:, None] * (share - np.eye(CLASSES)[y])
        kernel, bias = kernel - RATE * x.T @ slope, bias - RATE * slope.sum(0)
    return recorded, (kernel, bias)


@pytest.mark.parametrize("divide_by", ["weights", "examples"])
def test_weighted_losses_are_averaged_over_real_rows(divide_by):
    # 26 and 21 rows in batches of 8: both have a padded batch, at different steps.
    trainer = trainer_of(weighted(divide_by), sizes=(26, 21))
    before = trainer.members.values()
    trainer.advance(6)
    for member in range(2):
        losses, weights = by_hand(trainer, member, divide_by, before)
        np.testing.assert_allclose(trainer.losses[:, member, 0], losses, rtol=1e-4)
        for mine, expected in zip(trainer.members.values(), weights, strict=True):
            np.testing.assert_allclose(mine[member], expected, atol=1e-5)


def test_control_weights_with_a_gradient_are_something_else():
    trainer = trainer_of(weighted("examples", frozen=False), sizes=(26, 21))
    before = trainer.members.values()
    trainer.advance(6)
    _, weights = by_hand(trainer, 0, "examples", before)
    assert np.abs(trainer.members.values()[0][0] - weights[0]).max() > 1e-2


def test_the_scale_of_weights_matters_only_where_examples_divide():
    def objective(scale, divide_by):
        def scaled(step):
            losses = objectives.cross_entropy(step)
            return Weighted(losses, scale * (1.0 + tf.cast(step.labels, tf.float32)), divide_by)

        return scaled

    def losses(scale, divide_by):
        trainer = trainer_of(objective(scale, divide_by))
        trainer.advance(1)
        return trainer.losses[0, :, 0]

    np.testing.assert_allclose(losses(3.0, "weights"), losses(1.0, "weights"), rtol=1e-5)
    np.testing.assert_allclose(losses(3.0, "examples"), 3 * losses(1.0, "examples"), rtol=1e-5)


def test_a_batch_without_weight_moves_nothing():
    def objective(step):
        losses = objectives.cross_entropy(step)
        return Weighted(losses, tf.zeros_like(losses))

    trainer = trainer_of(objective)
    before = trainer.members.values()
    trainer.advance(6)
    assert (trainer.losses == 0).all() and (trainer.diverged_at == -1).all()
    for old, new in zip(before, trainer.members.values(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_unknown_divisor_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'weights'"):
        Weighted(tf.zeros((1, 2)), tf.zeros((1, 2)), "weight")


# ---- inference while training --------------------------------------------------------------------


def noting(step):
    step.notes["predicted"] = step.predict(step.inputs)
    return objectives.cross_entropy(step)


def flat(step, gradients):
    """What was noted, and the outputs of the same step in training."""
    parts = (step.notes["predicted"], step.outputs)
    return tf.concat([tf.reshape(part, (part.shape[0], -1)) for part in parts], 1)


def test_predict_is_the_model_in_inference():
    trainer = trainer_of(noting, build=moody, batch=None, hook=(2 * COUNT * CLASSES, flat), steps=3)
    for step in range(3):
        expected = trainer.predict(trainer.data.inputs)
        trainer.advance(step + 1)
        noted, outputs = trainer.losses[-1, :, 1:].reshape(2, 2, COUNT, CLASSES).swapaxes(0, 1)
        np.testing.assert_allclose(noted, expected, atol=1e-5)
        assert np.abs(outputs - expected).max() > 0.1, "dropout is at work in training"


def test_predict_leaves_no_trace_in_what_is_trained():
    with_it = trainer_of(noting, build=moody)
    without = trainer_of(objectives.cross_entropy, build=moody)
    for trainer in (with_it, without):
        trainer.advance(6)
    for mine, other in zip(with_it.members.values(), without.members.values(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


def test_no_gradient_flows_through_predict():
    trainer = trainer_of(lambda step: tf.reduce_sum(step.predict(step.inputs) ** 2, -1))
    before = trainer.members.values()
    trainer.advance(3)
    assert trainer.losses.min() > 0
    for old, new in zip(before, trainer.members.values(), strict=True):
        np.testing.assert_array_equal(old, new)


# ---- held-out examples ---------------------------------------------------------------------------


def drawing(count):
    def objective(step):
        inputs, labels = step.held_out(count)
        step.notes["drawn"] = tf.concat((inputs[..., 0], tf.cast(labels, tf.float32)), 1)
        return objectives.cross_entropy(step)

    return {"objective": objective, "hook": (2 * count, lambda step, _: step.notes["drawn"])}


def drawn(count=4, member_seeds=(3, 4), steps=60, **more):
    trainer = trainer_of(
        member_seeds=member_seeds,
        steps=steps,
        **{**drawing(count), **held_out(member_seeds), **more},
    )
    trainer.advance(steps)
    numbers, labels = np.split(trainer.losses[..., 1:].astype(int), 2, axis=-1)
    return numbers - 100, labels


def test_held_out_examples_are_drawn_without_replacement_anew_at_each_step():
    numbers, labels = drawn()
    assert numbers.shape == (60, 2, 4)
    np.testing.assert_array_equal(labels, numbers % CLASSES)
    assert (np.diff(np.sort(numbers, -1), axis=-1) > 0).all() and numbers.min() >= 0
    # Each of nine examples comes 4/9 of the time, in every place of the draw.
    share = np.bincount(numbers.ravel(), minlength=9) / 120
    assert np.abs(share - 4 / 9).max() < 4.5 * np.sqrt(4 / 9 * 5 / 9 / 120)
    sets = [frozenset(row) for row in numbers[:, 0]]
    assert len(set(sets)) > 30, "of 126 sets of four"
    assert np.mean([a == b for a, b in zip(sets[1:], sets, strict=False)]) < 0.1
    assert (np.sort(numbers[:, 0], -1) != np.sort(numbers[:, 1], -1)).any(-1).mean() > 0.8


def test_all_held_out_examples_can_be_drawn_at_once():
    numbers, _ = drawn(count=9, steps=3)
    np.testing.assert_array_equal(np.sort(numbers, -1), np.broadcast_to(np.arange(9), (3, 2, 9)))


def test_a_member_draws_the_same_in_any_population():
    numbers, _ = drawn(steps=5)
    for index, seed in enumerate((3, 4)):
        alone, _ = drawn(member_seeds=(seed,), steps=5)
        np.testing.assert_array_equal(alone[:, 0], numbers[:, index])


def test_xla_draws_the_same():
    np.testing.assert_array_equal(drawn(steps=5, xla=True), drawn(steps=5))


def test_drawing_more_than_there_are_or_where_there_are_none_is_refused():
    with pytest.raises(UsageError, match=r"At most the 9 held-out.*count=10"):
        drawn(count=10, steps=1)
    trainer = trainer_of(drawing(4)["objective"])
    with pytest.raises(UsageError, match="give the trial's data `validation`"):
        trainer.advance(1)


# ---- what a step knows ---------------------------------------------------------------------------


def test_clean_labels_and_progress_of_each_member():
    _, clean = examples()
    clean = (clean + np.asarray([[1], [2]])) % CLASSES

    def look(step, gradients):
        # The input tells which example it is.
        numbers = tf.round(step.inputs[..., 0] * COUNT)
        columns = (numbers, step.clean_labels, step.labels)
        columns = [tf.cast(column, tf.float32) for column in columns]
        return tf.concat((step.progress[:, None], *columns), 1)

    trainer = trainer_of(
        objectives.cross_entropy,
        member_seeds=(4, 3),
        batch=13,
        steps=(8, 4),
        clean_labels=clean,
        hook=(1 + 3 * 13, look),
    )
    trainer.advance(8)
    progress = trainer.losses[..., 1]
    np.testing.assert_allclose(progress[:, 0], np.arange(8) / 8)
    np.testing.assert_allclose(progress[:4, 1], np.arange(4) / 4)
    numbers, seen, labels = np.split(trainer.losses[..., 2:].astype(int), 3, axis=-1)
    assert set(numbers[:2, 0].ravel()) == set(range(COUNT))
    for member in range(2):
        np.testing.assert_array_equal(seen[:, member], clean[member][numbers[:, member]])
        known = trainer.data.labels[member][numbers[:, member]]
        np.testing.assert_array_equal(labels[:, member], known)
    some = trainer.data.take([1])
    np.testing.assert_array_equal(some.clean_labels, clean[1:])


def test_rows_behind_the_last_example_are_not_real():
    trainer = trainer_of(
        objectives.cross_entropy, sizes=(26, 20), hook=(8, lambda step, gradients: step.real)
    )
    trainer.advance(4)
    left = {0: (8, 8, 8, 2), 1: (8, 8, 4, 8)}
    for member, counts in left.items():
        expected = np.arange(8) < np.asarray(counts)[:, None]
        np.testing.assert_array_equal(trainer.losses[:, member, 1:], expected)


def test_clean_labels_are_none_where_nobody_told_them():
    def objective(step):
        assert step.clean_labels is None
        return objectives.cross_entropy(step)

    trainer_of(objective).advance(1)


def test_the_hook_reads_what_the_objective_noted_at_the_same_step():
    def objective(step):
        step.notes["number"] = tf.cast(step.number, tf.float32) + tf.constant([10.0, 20.0])
        return objectives.cross_entropy(step)

    trainer = trainer_of(objective, hook=(1, lambda step, _: step.notes["number"][:, None]))
    trainer.advance(6)
    np.testing.assert_array_equal(trainer.losses[..., 1], np.arange(6)[:, None] + [10, 20])


# ---- constants of a trial ------------------------------------------------------------------------


def scaled(step):
    factor = step.constants["factor"] * step.constants["shares"][:, 1]
    return objectives.cross_entropy(step) * factor[:, None]


class Scaled(Phenomenon):
    title = claim = paper = "a test"
    objectives = {"scaled": lambda: scaled}  # noqa: RUF012

    def trials(self, config):
        return ()

    @staticmethod
    def step_hook():
        names = ("factor", "share", "first_class")
        return StepHook(
            names,
            lambda step, gradients: tf.stack(
                (
                    step.constants["factor"],
                    step.constants["shares"][:, 1],
                    step.constants["class_counts"][:, 0],
                ),
                1,
            ),
        )


def scaled_trial(factor, share, **settings):
    return Trial(
        Spec("linear"),
        Data("digits", train=60, test=20),
        objective=Spec("scaled"),
        optimizer=Spec("sgd", learning_rate=0.1),
        batch_size=None,
        steps=3,
        record_every=1,
        constants={"factor": factor, "shares": (0.0, share)},
        **settings,
    )


def run(*members):
    return trials.train(Scaled(), members, lambda one: {}, tf.distribute.get_strategy())


def test_each_member_has_the_constants_of_its_trial():
    members = [scaled_trial(1, 1.0), scaled_trial(2.5, 1.0), scaled_trial(2.5, 0.0)]
    assert len({one.id for one in members}) == 3 and len(plan.groups(members)) == 1
    outcomes = run(*members)
    for outcome, factor, share in zip(outcomes, (1, 2.5, 2.5), (1, 1, 0), strict=True):
        np.testing.assert_array_equal(outcome.arrays["step_factor"], [factor] * 3)
        np.testing.assert_array_equal(outcome.arrays["step_share"], [share] * 3)
    plain, large, nothing = (outcome.arrays["step_loss"] for outcome in outcomes)
    assert large[0] == pytest.approx(2.5 * plain[0]) and (nothing == 0).all()
    (alone,) = run(members[1])
    np.testing.assert_allclose(alone.arrays["step_loss"], large, rtol=1e-5)


def test_class_counts_are_those_of_each_member():
    kept = Spec("class_fractions", fractions=(0.5,) + (1.0,) * 9)
    whole = scaled_trial(1, 1.0)
    thinned = dataclasses.replace(whole, data=Data("digits", 60, 20, corruptions=(kept,)))
    first, second = (outcome.arrays["step_first_class"][0] for outcome in run(whole, thinned))
    assert second == first // 2 > 0


def test_constants_of_other_names_are_another_graph():
    one = scaled_trial(1, 1.0)
    other = dataclasses.replace(one, constants={"factor": 1, "shares": (0.0, 1.0), "more": 2})
    assert len(plan.groups([one, other])) == 2
    with pytest.raises(UsageError, match="plain data"):
        dataclasses.replace(one, constants={"factor": object()})


# ---- several replicas ----------------------------------------------------------------------------


def meta_weighted(divide_by):
    """Weights from held-out examples that the model sees in inference, as in meta-learning."""

    def objective(step):
        inputs, labels = step.held_out(5)
        guesses = step.predict(inputs / 100.0)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=guesses)
        weights = tf.reduce_mean(losses, 1)[:, None] + tf.cast(step.labels, tf.float32)
        step.notes["drawn"] = inputs[:, :, 0]
        return Weighted(objectives.cross_entropy(step), weights, divide_by)

    return objective


@pytest.mark.parametrize(("divide_by", "batch"), [("weights", 8), ("examples", 7), ("weights", 7)])
def test_two_replicas_equal_one(tensorflow, divide_by, batch):
    one, two = (
        trainer_of(
            meta_weighted(divide_by),
            found=strategy.get(name),
            batch=batch,
            sizes=(26, 21),
            hook=(5, lambda step, _: step.notes["drawn"]),
            **held_out(),
        )
        for name in ("one", "mirrored")
    )
    for trainer in (one, two):
        trainer.advance(6)
    assert two.replicas == 2
    np.testing.assert_allclose(one.losses, two.losses, atol=1e-5)
    for mine, other in zip(one.members.values(), two.members.values(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)
