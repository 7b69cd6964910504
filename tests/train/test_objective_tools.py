"""What an objective is given beside a batch: inference, held-out examples, notes, clean labels."""

import numpy as np
import pytest
import tensorflow as tf

from tfphen.core.errors import UsageError
from tfphen.train import objectives

from .objective_trainers import CLASSES, COUNT, examples, held_out, moody, trainer_of

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
        expected = trainer.predict(trainer.batches.data.inputs)
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
        known = trainer.batches.data.labels[member][numbers[:, member]]
        np.testing.assert_array_equal(labels[:, member], known)
    some = trainer.batches.data.take([1])
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
