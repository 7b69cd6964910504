"""Mixtures of the examples of a batch: what is drawn, where it acts, what the loop makes of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfphen.core import seeds
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment import training
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.population import execution, mixup
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches, objectives, strategy
from tfphen.train.loop import Trainer

layers = keras.layers


def keys(*members):
    return np.stack([seeds.key(seed, "mixing") for seed in members])


def mixture(size=8, members=(0, 1), real=None, step=0, first_row=0, rows=None, **settings):
    draw = mixup.manifold(keys(*members), **settings)
    if real is None:
        real = np.ones((len(members), size), "float32")
    return draw(tf.constant(step), rows or size, first_row, tf.constant(real))


# ---- what is drawn -------------------------------------------------------------------------------


def test_places_are_uniform_and_coefficients_beta():
    drawn = mixture(2, range(3000), layers=(0, "a", "b"), alpha=2.0)
    counts = np.bincount(drawn.place, minlength=3)
    assert counts.size == 3 and stats.chisquare(counts).pvalue > 1e-3
    assert stats.kstest(drawn.coefficient.numpy(), stats.beta(2, 2).cdf).pvalue > 1e-3
    flat = mixture(2, range(3000), alpha=1.0).coefficient.numpy()
    assert stats.kstest(flat, "uniform").pvalue > 1e-3


def test_no_alpha_is_a_coefficient_of_one():
    np.testing.assert_array_equal(mixture(alpha=0.0).coefficient, [1.0, 1.0])


def test_partners_are_a_permutation_and_its_inverse():
    order, inverse = (x.numpy() for x in mixture(50).partners)
    for one, back in zip(order, inverse, strict=True):
        np.testing.assert_array_equal(np.sort(one), np.arange(50))
        np.testing.assert_array_equal(one[back], np.arange(50))
    assert (order[0] != order[1]).any()
    assert (order != mixture(50, step=1).partners[0].numpy()).any(), "each step draws anew"


def test_padding_has_no_partners_among_examples():
    real = np.ones((2, 8), "float32")
    real[1, 5:] = 0
    order = mixture(8, real=real).partners[0].numpy()
    assert order[1, :5].max() == 4
    np.testing.assert_array_equal(np.sort(order[1, 5:]), [5, 6, 7])


def test_parts_keep_to_themselves_and_follow_the_first_row():
    whole = mixture(12, parts=3).partners[0].numpy()
    np.testing.assert_array_equal(whole // 4, np.broadcast_to(np.arange(12) // 4, (2, 12)))
    second = mixture(4, parts=3, first_row=4, rows=12).partners[0].numpy()
    np.testing.assert_array_equal(whole[:, 4:8] - 4, second)


def test_labels_have_the_same_partners_unless_told_otherwise():
    same, other = mixture(30), mixture(30, label_partners="independent")
    assert same.label_partners[0] is same.partners[0]
    np.testing.assert_array_equal(same.partners[0], other.partners[0])
    assert (other.label_partners[0].numpy() != other.partners[0].numpy()).any()


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"layers": ()}, "one at least. Received: layers=()"),
        ({"layers": (0, 0)}, "different places"),
        ({"alpha": float("nan")}, "alpha"),
        ({"parts": 0}, "parts"),
        ({"label_partners": "none"}, "label_partners"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(ValueError, match=text):
        mixup.manifold(keys(0), **settings)


# ---- where it acts -------------------------------------------------------------------------------


def test_a_place_mixes_with_the_coefficient_and_others_are_left_exactly_alone():
    drawn = mixture(6, range(40), layers=(0, "a"), alpha=2.0)
    values = np.random.default_rng(0).normal(size=(40, 6, 3)).astype("float32")
    order, coefficient = drawn.partners[0].numpy(), drawn.coefficient.numpy()[:, None, None]
    mixed = coefficient * values + (1 - coefficient) * np.take_along_axis(
        values, order[..., None], 1
    )
    here = drawn.place.numpy() == 1
    assert here.any() and not here.all()
    found = drawn.at("a", tf.constant(values)).numpy()
    np.testing.assert_allclose(found[here], mixed[here], atol=1e-6)
    np.testing.assert_array_equal(found[~here], values[~here])
    untouched = tf.constant(values)
    assert drawn.at("b", untouched) is untouched


def test_the_gradient_is_that_of_a_gather_twice_over():
    order, inverse = mixture(5).partners
    values = tf.constant(np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32"))
    weights = tf.constant(np.random.default_rng(2).normal(size=(2, 5, 3)).astype("float32"))

    def gradients(gather):
        with tf.GradientTape() as outer:
            outer.watch(values)
            with tf.GradientTape() as inner:
                inner.watch(values)
                result = tf.reduce_sum(weights * gather(values) ** 3)
            first = inner.gradient(result, values)
            square = tf.reduce_sum(first**2)
        return first, outer.gradient(square, values)

    ours = gradients(lambda x: mixup.permuted(x, order, inverse))
    stock = gradients(lambda x: tf.gather(x, order, batch_dims=1))
    for one, other in zip(ours, stock, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


# ---- in the loop ---------------------------------------------------------------------------------


def net(activation=None):
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, activation, name="a"), layers.Dense(3, name="b")]
    )


def train(members=(0, 1), found=None, batch=16, steps=6, build=net, draw=mixup.manifold, **more):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(40, 6)).astype("float32")
    labels = np.stack([generator.integers(0, 3, 40).astype("int32")] * len(members))
    found = found or tf.distribute.get_strategy()
    with found.scope():
        population = Population(build(), list(members))
        optimizer = MemberOptimizer(keras.optimizers.SGD(0.2), population)
    data = batches.DeviceDataset(inputs, labels)
    trainer = Trainer(
        population,
        batches.DeviceBatches(
            data, batch, batches.Streams(members), replicas=found.num_replicas_in_sync
        ),
        objectives.cross_entropy,
        optimizer,
        steps,
        mixup=draw and draw(keys(*members), **more),
        strategy=found,
        execution=execution.Execution(False, False, "test"),
    )
    trainer.advance(steps)
    return trainer


def weights(trainer, member=0):
    return np.concatenate([value[member].ravel() for value in trainer.members.values()])


def test_a_coefficient_of_one_is_training_without_mixing_bit_for_bit():
    plain = train(draw=None, build=lambda: net("relu"))
    still = train(alpha=0.0, layers=(0, "a"), build=lambda: net("relu"))
    np.testing.assert_array_equal(weights(plain), weights(still))
    mixed = train(alpha=2.0, layers=(0, "a"), build=lambda: net("relu"))
    assert np.abs(weights(plain) - weights(mixed)).max() > 1e-3


def test_mixing_at_a_layer_of_a_linear_network_is_mixing_at_its_inputs():
    np.testing.assert_allclose(
        weights(train(layers=(0,))), weights(train(layers=("a",))), atol=1e-5
    )


def test_the_loss_is_that_of_mixed_inputs_and_mixed_labels():
    trainer = train(members=(3,), steps=1, batch=40)
    drawn = mixture(40, (3,))
    coefficient, order = drawn.coefficient.numpy()[0], drawn.partners[0].numpy()[0]
    rows = trainer.batches.orders[0].steps_between(0, 1)[0]
    data = trainer.batches.data
    inputs, one_hot = data.inputs[rows], np.eye(3)[data.labels[0][rows]]
    model = net()
    model.set_weights([value[0] for value in Population(net(), [3]).values()])

    def mixed(values):
        return coefficient * values + (1 - coefficient) * values[order]

    losses = keras.ops.categorical_crossentropy(
        mixed(one_hot), model(mixed(inputs)), from_logits=True
    )
    np.testing.assert_allclose(trainer.losses[0, 0, 0], np.mean(losses), rtol=1e-5)


def test_members_do_not_depend_on_each_other():
    both, alone = train((0, 1)), train((1,))
    np.testing.assert_allclose(weights(both, 1), weights(alone), atol=1e-6)


@pytest.mark.parametrize("batch", [16, 15])
def test_two_replicas_equal_one(tensorflow, batch):
    settings = {"layers": (0, "a"), "parts": 2, "build": lambda: net("relu"), "batch": batch}
    one, two = train(**settings), train(**settings, found=strategy.get("mirrored"))
    assert two.replicas == 2
    np.testing.assert_allclose(weights(one), weights(two), atol=1e-5)
    np.testing.assert_allclose(one.losses, two.losses, atol=1e-5)


def test_parts_that_no_replica_holds_whole_are_refused(tensorflow):
    with pytest.raises(UsageError, match=r"multiple of the replicas\. Received: parts=1 on 2"):
        train(found=strategy.get("mirrored"), steps=1)


class Plain(Phenomenon):
    title = claim = paper = "a test"

    def trials(self, config):
        return ()


def test_a_trial_names_its_mixing():
    def losses(spec):
        one = Trial(
            Spec("mlp", hidden_units=(8,)),
            Data("digits", train=100, test=10),
            steps=5,
            batch_size=20,
            record_every=1,
            mixing=spec,
        )
        (outcome,) = training.train(Plain(), [one], lambda one: {}, tf.distribute.get_strategy())
        return outcome.arrays["step_loss"]

    mixed = losses(Spec("manifold", layers=(0, "hidden_1"), alpha=2.0))
    assert np.abs(mixed - losses(Spec("none"))).max() > 1e-3
    with pytest.raises(UsageError, match=r"'hidden_7' is not one: .* Allowed: .*'hidden_1'"):
        losses(Spec("manifold", layers=("hidden_7",)))


def test_a_place_beside_which_something_passes_is_refused():
    inputs = keras.Input((6,))
    inner = layers.Dense(6, name="inner")(inputs)
    model = keras.Model(inputs, layers.Add(name="sum")([inputs, inner]))
    with pytest.raises(UsageError, match="'inner' is not one: a connection goes around it"):
        mixup.check_layers(model, ("inner",))
