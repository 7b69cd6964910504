"""Convolutions in blocks, and pooling on blocks, equal stock Keras: outputs and gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.population import block_convolution
from tfphen.population.batching import Members, forward
from tfphen.population.population import Population

layers = keras.layers


def convolution(filters, size, **settings):
    return layers.Conv2D(filters, size, **settings)


# Layers after the inputs, and the block size of each convolution.
CASES = {
    "lenet": (
        (28, 28, 1),
        lambda: [
            convolution(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            convolution(16, 5, activation="relu"),
            layers.MaxPooling2D(),
        ],
        [4, 2],
    ),
    "blocks_read_and_pooled_twice": (
        (20, 20, 2),
        lambda: [
            convolution(3, 5, padding="same", use_bias=False),
            convolution(3, 5, activation="tanh"),
            layers.MaxPooling2D(),
            layers.MaxPooling2D(),
            convolution(4, 3, padding="same"),
        ],
        [4, 4, 2],
    ),
    "read_in_standard_form": (
        (12, 12, 1),
        lambda: [
            convolution(3, 3, padding="same"),
            layers.MaxPooling2D(3, 2),
            convolution(3, 2),
            layers.AveragePooling2D(2),
        ],
        [2, 1],
    ),
    "not_in_blocks": (
        (9, 9, 3),
        lambda: [
            convolution(4, 3, strides=2),
            convolution(4, 2, activation="softmax"),
            convolution(40, 2),
        ],
        [1, 1, 1],
    ),
}


def build(name):
    shape, stack, _ = CASES[name]
    return keras.Sequential([keras.Input(shape), *stack(), layers.Flatten(), layers.Dense(3)])


@pytest.mark.parametrize("name", list(CASES))
def test_block_sizes(name):
    convolutions = [x for x in build(name).layers if isinstance(x, layers.Conv2D)]
    sizes = [block_convolution.size_of(x, x.input.shape[1:3]) for x in convolutions]
    assert sizes == CASES[name][2]


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("name", list(CASES))
def test_outputs_and_gradients_equal_stock_keras(name, xla):
    model = build(name)
    population = Population(model, [3, 4])
    # Few different values, so that many windows hold their maximum twice.
    inputs = np.random.default_rng(0).integers(0, 2, (6, *model.input_shape[1:])).astype("float32")
    stacked = [tf.constant(v) for v in population.values()]

    @tf.function(jit_compile=xla)
    def mine():
        with tf.GradientTape() as tape:
            tape.watch(stacked)
            weights = {id(t): v for t, v in zip(model.weights, stacked, strict=True)}
            outputs = forward(model, tf.constant(np.stack([inputs, inputs])), Members(weights))
            loss = tf.reduce_sum(tf.tanh(outputs))
        return outputs, tape.gradient(loss, stacked)

    outputs, gradients = mine()
    for member in (0, 1):
        model.set_weights([value[member] for value in population.values()])
        with tf.GradientTape() as tape:
            expected = model(inputs)
            loss = tf.reduce_sum(tf.tanh(expected))
        wanted = tape.gradient(loss, [v.value for v in model.trainable_variables])
        np.testing.assert_allclose(outputs[member], expected, atol=2e-5)
        for got, gradient in zip(gradients, wanted, strict=True):
            np.testing.assert_allclose(got[member], gradient, atol=5e-5)


def test_the_gradient_of_an_input_gradient_equals_stock_keras():
    model = build("lenet")
    population = Population(model, [3])
    model.set_weights([value[0] for value in population.values()])
    inputs = tf.constant(np.random.default_rng(0).normal(size=(4, 28, 28, 1)).astype("float32"))

    def second(run, weights, inputs):
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = tf.reduce_sum(tf.tanh(run(inputs)))
            slope = tf.reduce_sum(tf.square(inner.gradient(outputs, inputs)))
        return outer.gradient(slope, weights)

    stacked = [tf.constant(v) for v in population.values()]
    by_id = {id(t): v for t, v in zip(model.weights, stacked, strict=True)}
    kernels = [0, 2, 4]
    mine = second(
        lambda x: forward(model, x, Members(by_id)), [stacked[i] for i in kernels], inputs[None]
    )
    stock = second(model, [model.trainable_variables[i].value for i in kernels], inputs)
    for got, wanted in zip(mine, stock, strict=True):
        np.testing.assert_allclose(got[0], wanted, atol=1e-4)
