"""Attacks keep to their ball and box, and find the distance to a boundary that is known."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.core.errors import UsageError
from tfphen.measures import attacks
from tfphen.population import execution
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches, objectives
from tfphen.train.loop import Trainer

MEMBERS, COUNT, WIDTH = 2, 6, 5


def linear():
    """Two-class linear classifiers of two members, their normals and offsets."""
    generator = np.random.default_rng(0)
    normals = generator.normal(size=(MEMBERS, WIDTH)).astype("float32")
    offsets = np.asarray([0.3, -0.2], "float32")

    def apply(inputs):
        score = tf.einsum("mni,mi->mn", inputs, normals) + offsets[:, None]
        return tf.stack([tf.zeros_like(score), score], -1)

    return apply, normals, offsets


def bent():
    """Three-class networks of two members with a hidden layer, on images of 3 by 3."""
    generator = np.random.default_rng(1)
    first = generator.normal(size=(MEMBERS, 9, 16)).astype("float32")
    second = generator.normal(size=(MEMBERS, 16, 3)).astype("float32")

    def apply(inputs):
        flat = tf.reshape(inputs, (MEMBERS, -1, 9))
        return tf.matmul(tf.nn.relu(tf.matmul(flat, first)), second)

    inputs = generator.uniform(size=(MEMBERS, COUNT, 3, 3, 1)).astype("float32")
    labels = generator.integers(0, 3, (MEMBERS, COUNT)).astype("int32")
    return apply, tf.constant(inputs), tf.constant(labels)


def right_and_wrong():
    """A linear classifier with examples near and far; the last one is on the wrong side."""
    apply, normals, offsets = linear()
    generator = np.random.default_rng(2)
    inputs = generator.normal(size=(MEMBERS, COUNT, WIDTH)).astype("float32")
    inputs *= np.geomspace(0.02, 20, COUNT)[:, None].astype("float32")
    scores = np.einsum("mni,mi->mn", inputs, normals) + offsets[:, None]
    labels = (scores > 0).astype("int32")
    labels[:, -1] = 1 - labels[:, -1]
    exact = np.abs(scores) / np.linalg.norm(normals, axis=1, keepdims=True)
    exact[:, -1] = 0.0
    return apply, tf.constant(inputs), tf.constant(labels), exact


@pytest.mark.parametrize("compiled", [True, False])
def test_the_distance_to_a_plane(compiled):
    apply, inputs, labels, exact = right_and_wrong()
    function = tf.function(
        lambda x, y: attacks.nearest_adversarial(apply, x, y, 300), jit_compile=compiled
    )
    distances, points = function(inputs, labels)
    assert np.all(distances >= exact * (1 - 1e-5))
    np.testing.assert_allclose(distances, exact, rtol=0.02)
    # What is returned is misclassified, and lies at the distance that was told.
    assert np.all(np.argmax(apply(points), -1) != labels)
    found = np.linalg.norm(points - inputs, axis=-1)
    np.testing.assert_allclose(found, distances, rtol=1e-4, atol=1e-6)


def test_too_few_steps_find_nothing():
    apply, inputs, labels, exact = right_and_wrong()
    distances = attacks.minimal_norm(apply, inputs, labels, steps=2).numpy()
    assert np.all(np.isinf(distances) == (exact > 1.05**2))


def test_a_flat_start_is_left_in_a_random_direction():
    """All units of the first layer are off at the example, so its gradient is zero."""

    def apply(inputs):
        score = tf.reduce_sum(tf.nn.relu(tf.abs(inputs) - 0.5), -1)
        return tf.stack([tf.zeros_like(score) + 0.1, score], -1)

    inputs, labels = tf.zeros((1, 1, 2)), tf.zeros((1, 1), tf.int32)
    attack = tf.function(lambda x, y: attacks.minimal_norm(apply, x, y), jit_compile=True)
    distance = attack(inputs, labels).numpy().item()
    np.testing.assert_allclose(distance, 0.6, rtol=0.02)


@pytest.mark.parametrize("norm", attacks.NORMS)
@pytest.mark.parametrize("box", [(None, None), (0.0, 1.0)])
def test_ball_and_box(norm, box):
    apply, inputs, labels = bent()
    sizes = tf.constant([0.1, 0.4])
    keys = tf.constant([[1, 2], [3, 4]], tf.uint32)
    before = margin(apply, inputs, labels)

    @tf.function(jit_compile=True)
    def run(inputs, labels):
        arguments = (apply, inputs, labels, sizes, norm)
        fast = attacks.fast_gradient(*arguments, *box)
        short = attacks.projected_gradient(*arguments, 5, sizes / 5, *box)
        start = attacks.projected_gradient(
            *arguments, 1, 0.0, *box, random_start=True, keys=keys, number=7
        )
        return fast, short, start

    found = run(inputs, labels)
    for values in found:
        change = (values - inputs).numpy().reshape(MEMBERS, COUNT, -1)
        length = np.abs(change).max(-1) if norm == "linf" else np.linalg.norm(change, axis=-1)
        assert np.all(length <= sizes[:, None] * (1 + 1e-5))
        assert np.all(length > 0)
        if box[0] is not None:
            assert values.numpy().min() >= 0 and values.numpy().max() <= 1
    for values in found[:2]:
        assert np.mean(margin(apply, values, labels) < before) > 0.9
    if box[0] is None and norm == "l2":
        change = (found[1] - inputs).numpy().reshape(MEMBERS, COUNT, -1)
        np.testing.assert_allclose(
            np.linalg.norm(change, axis=-1), np.tile(sizes[:, None], (1, COUNT)), rtol=0.05
        )


def margin(apply, inputs, labels):
    """How far the label's probability is from certain: its logarithm."""
    logits = apply(inputs)
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits).numpy()


def test_a_sure_classifier_is_still_attacked():
    """At a logit of 200 the cross-entropy and its gradient are zero in float32."""

    def apply(inputs):
        return tf.stack([-100.0 * inputs[..., 0], 100.0 * inputs[..., 0]], -1)

    inputs, labels = tf.constant([[[1.0, 0.0]]]), tf.constant([[1]])
    values = attacks.fast_gradient(apply, inputs, labels, 0.5, "l2")
    np.testing.assert_allclose(values, [[[0.5, 0.0]]], atol=1e-6)


def test_starts_differ_by_member_and_draw():
    apply, inputs, labels = bent()
    keys = tf.constant([[1, 2], [3, 4]], tf.uint32)
    same = tf.tile(inputs[:1], (MEMBERS, 1, 1, 1, 1))

    def start(number):
        return attacks.projected_gradient(
            apply, same, labels, 0.5, "l2", 1, 0.0, random_start=True, keys=keys, number=number
        )

    assert np.abs(start(0)[0] - start(0)[1]).min(0).max() > 0
    assert np.all(start(0) == start(0))
    assert not np.any(start(0) == start(1))


def test_no_gradient_flows_through_the_example_that_is_found():
    scale = tf.constant([[[2.0]]])
    inputs, labels = tf.constant([[[1.0, 0.5]]]), tf.constant([[1]])
    with tf.GradientTape() as tape:
        tape.watch(scale)

        def apply(x):
            score = tf.reduce_sum(scale * x, -1)
            return tf.stack([tf.zeros_like(score), score], -1)

        values = attacks.projected_gradient(apply, inputs, labels, 0.5, steps=3)
        score = apply(values)[0, 0, 1]
    # d score / d scale is the sum of the attacked entries, taken as they are.
    np.testing.assert_allclose(tape.gradient(score, scale), [[[0.5]]], atol=1e-5)


def share_of_weak_entries(attack):
    """Trains on one entry of ±1 and twenty of ±0.1, and tells where the weights went."""
    signs = np.repeat([-1.0, 1.0], 8)
    inputs = (signs[:, None] * np.r_[1.0, np.full(20, 0.1)]).astype("float32")
    labels = np.stack([(signs > 0).astype("int32")] * MEMBERS)
    model = keras.Sequential([keras.Input((21,)), keras.layers.Dense(2)])

    def objective(step):
        found = step.inputs if attack is None else attack(step.apply, step.inputs, step.labels)
        return objectives.cross_entropy(dataclasses.replace(step, outputs=step.apply(found)))

    members = Population(model, (3, 4))
    trainer = Trainer(
        members,
        batches.DeviceBatches(batches.DeviceDataset(inputs, labels), None, batches.Streams((3, 4))),
        objective,
        MemberOptimizer(keras.optimizers.SGD(0.5), members),
        200,
        execution=execution.Execution(attack is not None, False, "test"),
    )
    trainer.advance(200)
    kernel = members.values()[0]
    weights = np.abs(kernel[..., 1] - kernel[..., 0])
    return weights[:, 1:].mean(1) / weights[:, 0]


def test_training_on_attacked_examples_leaves_weak_entries_alone():
    """Entries that the attack can turn round are worth nothing to an adversarially trained net."""

    def attack(apply, inputs, labels):
        return attacks.projected_gradient(apply, inputs, labels, 0.2, "linf", steps=3)

    assert np.all(share_of_weak_entries(attack) < 0.5 * share_of_weak_entries(None))


def test_refusals():
    apply, inputs, labels = bent()
    with pytest.raises(UsageError, match="`norm` must be one of 'l2', 'linf'"):
        attacks.fast_gradient(apply, inputs, labels, 0.1, "l1")
    with pytest.raises(UsageError, match="`size` must be a finite number"):
        attacks.fast_gradient(apply, inputs, labels, -0.1)
    with pytest.raises(UsageError, match="`steps` must be an integer"):
        attacks.projected_gradient(apply, inputs, labels, 0.1, steps=0)
    with pytest.raises(UsageError, match="`factor` must be a finite number"):
        attacks.minimal_norm(apply, inputs, labels, factor=1.0)
    with pytest.raises(UsageError, match=r"shape \[members, n, ...\]"):
        attacks.minimal_norm(apply, inputs[0, 0, :, 0], labels)
