"""Weights of an objective's choice: how they are averaged, and on several replicas."""

import numpy as np
import pytest
import tensorflow as tf

from tfphen.train import objectives, strategy
from tfphen.train.objectives import Weighted

from .objective_trainers import CLASSES, RATE, held_out, trainer_of

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
    inputs, labels = trainer.batches.data.inputs, trainer.batches.data.labels[member]
    recorded = []
    for positions in trainer.batches.orders[member].steps_between(0, len(trainer.losses)):
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
