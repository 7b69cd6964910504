"""Loss sensitivity against finite differences of whole trainings, and its identities."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tfphen.metrics import input_gradient, loss_sensitivity

pytestmark = pytest.mark.usefixtures("tensorflow")

RATE = 0.4


def network(seed=0, dtype="float64", activation="tanh"):
    start = keras.initializers.RandomNormal(stddev=0.8, seed=seed)
    settings = {"dtype": dtype, "kernel_initializer": start, "bias_initializer": start}
    return keras.Sequential(
        [
            keras.Input((3,), dtype=dtype),
            layers.Dense(4, activation, **settings),
            layers.Dense(3, **settings),
        ]
    )


def examples(count=5, seed=1):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 3)), generator.integers(0, 3, count)


def mean_loss(model, inputs, labels):
    losses = keras.losses.sparse_categorical_crossentropy(labels, model(inputs), from_logits=True)
    return ops.mean(losses)


def loss_after(tf, model, start, inputs, labels, steps):
    """Trains from `start` with a plain loop of updates. Returns the loss and the weights."""
    model.set_weights(start)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = mean_loss(model, inputs, labels)
        for variable, gradient in zip(
            model.trainable_variables,
            tape.gradient(loss, [v.value for v in model.trainable_variables]),
            strict=True,
        ):
            variable.assign_sub(RATE * gradient)
    return float(mean_loss(model, inputs, labels)), [v.numpy() for v in model.trainable_variables]


def finite_differences(tf, inputs, labels, steps, size=1e-5):
    slopes, model = np.zeros_like(inputs), network()
    start = model.get_weights()
    for place in np.ndindex(inputs.shape):
        ends = []
        for sign in (1, -1):
            moved = inputs.copy()
            moved[place] += sign * size
            ends.append(loss_after(tf, model, start, moved, labels, steps)[0])
        slopes[place] = (ends[0] - ends[1]) / (2 * size)
    return np.abs(slopes).sum(1)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_total_derivative_is_that_of_finite_differences(tensorflow, steps):
    inputs, labels = examples()
    found = loss_sensitivity(network(), inputs, labels, RATE, steps, at=[steps])
    expected = finite_differences(tensorflow, inputs, labels, steps)
    np.testing.assert_allclose(found.sensitivity, expected, rtol=1e-6)
    # The updates matter: without them the derivative would be another.
    trained = network()
    start = trained.get_weights()
    loss, weights = loss_after(tensorflow, trained, start, inputs, labels, steps)
    direct = input_gradient(lambda x: mean_loss(trained, x, labels), inputs)
    assert abs(np.abs(direct).sum(1) / expected - 1).max() > 0.05
    assert found.losses == pytest.approx([loss], rel=1e-9)
    for ours, theirs in zip(found.weights, weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_sampled_steps_are_averaged():
    inputs, labels = examples()
    alone = [
        loss_sensitivity(network(), inputs, labels, RATE, 2, at=[step]).sensitivity
        for step in range(3)
    ]
    together = loss_sensitivity(network(), inputs, labels, RATE, 2, at=[0, 1, 2])
    np.testing.assert_allclose(together.sensitivity, np.mean(alone, 0), rtol=1e-12)
    assert together.losses.shape == (3,)
    assert together.losses[0] > together.losses[2]
    # By default at ten steps that are evenly spaced, or at each.
    each = loss_sensitivity(network(), inputs, labels, RATE, 2)
    np.testing.assert_allclose(each.sensitivity, np.mean(alone[1:], 0), rtol=1e-12)


def test_without_updates_it_is_the_gradient_in_the_input():
    inputs, labels = examples()
    model = network()
    gradient = input_gradient(lambda x: mean_loss(model, x, labels), inputs)
    expected = np.abs(gradient).sum(1)
    none = loss_sensitivity(model, inputs, labels, RATE, 0)
    np.testing.assert_allclose(none.sensitivity, expected, rtol=1e-12)
    for step in (1, 3):  # A rate of zero leaves the weights where they are.
        still = loss_sensitivity(model, inputs, labels, 0, 3, at=[step])
        np.testing.assert_allclose(still.sensitivity, expected, rtol=1e-12)


def test_members_are_independent_of_one_another():
    starts = [network(seed).get_weights() for seed in (0, 7)]
    sets = [examples(seed=seed) for seed in (1, 2)]
    stacked = [np.stack(pair) for pair in zip(*starts, strict=True)]
    inputs, labels = (np.stack(pair) for pair in zip(*sets, strict=True))
    together = loss_sensitivity(network(), inputs, labels, RATE, 3, [1, 3], stacked)
    assert together.sensitivity.shape == (2, 5)
    for number, start in enumerate(starts):
        model = network()
        model.set_weights(start)
        alone = loss_sensitivity(model, inputs[number], labels[number], RATE, 3, [1, 3])
        np.testing.assert_allclose(together.sensitivity[number], alone.sensitivity, rtol=1e-9)
        np.testing.assert_allclose(together.losses[number], alone.losses, rtol=1e-9)
        for ours, theirs in zip(together.weights, alone.weights, strict=True):
            np.testing.assert_allclose(ours[number], theirs, rtol=1e-9)
    shared = loss_sensitivity(network(), inputs[0], labels[0], RATE, 3, [1, 3], stacked)
    np.testing.assert_allclose(shared.sensitivity[0], together.sensitivity[0], rtol=1e-12)


def test_it_replays_what_fit_does():
    model, (inputs, labels) = network(dtype="float32"), examples()
    before = model.get_weights()
    found = loss_sensitivity(model, inputs, labels, RATE, 12)
    for value, same in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, same)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(RATE), loss, run_eagerly=True)
    model.fit(inputs, labels, batch_size=5, epochs=12, shuffle=False, verbose=0)
    for ours, theirs in zip(found.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)


def test_images_and_constant_models():
    generator = np.random.default_rng(0)
    inputs, labels = generator.normal(size=(4, 2, 3, 1)), [0, 1, 1, 0]
    model = keras.Sequential(
        [keras.Input((2, 3, 1)), layers.Flatten(), layers.Dense(2, kernel_initializer="zeros")]
    )
    # At the start the kernel is zero, and so is the derivative; the first update changes that.
    assert not loss_sensitivity(model, inputs, labels, RATE, 0).sensitivity.any()
    later = loss_sensitivity(model, inputs, labels, RATE, 1)
    assert later.sensitivity.shape == (4,)
    assert later.sensitivity.min() > 0


def test_errors():
    model, (inputs, labels) = network(), examples()
    unbuilt = keras.Sequential([layers.Dense(2)])
    good = {"model": model, "inputs": inputs, "labels": labels, "learning_rate": 0.1, "steps": 2}
    stacked = [value[None] for value in model.get_weights()]
    for name, change in (
        ("model", {"model": unbuilt}),
        ("model", {"model": lambda x: x}),
        ("inputs", {"inputs": inputs[:, :2]}),
        ("inputs", {"inputs": inputs * np.inf}),
        ("inputs", {"inputs": np.stack([inputs, inputs])}),
        ("labels", {"labels": labels[:2]}),
        ("labels", {"labels": labels + 3}),
        ("labels", {"labels": labels + 0.5}),
        ("learning_rate", {"learning_rate": -1.0}),
        ("steps", {"steps": -1}),
        ("at", {"at": [3]}),
        ("at", {"at": []}),
        ("weights", {"weights": stacked[:2]}),
        ("weights", {"weights": model.get_weights()}),
    ):
        with pytest.raises(ValueError, match=rf"`{name}`(.|\n)*Received"):
            loss_sensitivity(**{**good, **change})
    with pytest.raises(ValueError, match="must not diverge"), np.errstate(all="ignore"):
        loss_sensitivity(network(activation="relu"), inputs, labels, 1e200, 3)
