"""The member-axis form of each kind of layer equals the plain Keras model, member by member."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.core.keras_internals import functional_of
from tfphen.population import execution
from tfphen.population.batching import Members, forward
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor

layers = keras.layers


def sequential(shape, *stack, dtype=None):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *stack])


def attention():
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(11, 16)(tokens)
    x = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 8)(x, x, use_causal_mask=True)
    x = layers.EinsumDense("abc,cd->abd", output_shape=(None, 12), bias_axes="d")(x)
    return keras.Model(tokens, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def residual():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", dilation_rate=1)(inputs)
    y = layers.BatchNormalization()(x)
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(keras.ops.relu(y))
    x = layers.Concatenate()([layers.Add()([x, y]), y])
    x = layers.AveragePooling2D(2)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


def nested():
    inner = sequential((10,), layers.Dense(8, activation="tanh"), layers.Dense(6))
    inputs = keras.Input((10,))
    return keras.Model(inputs, layers.Dense(3)(inner(inputs)))


MODELS = {
    "attention": attention,
    "residual": residual,
    "nested": nested,
    "dense_on_sequences": lambda: sequential((5, 4), layers.Dense(6), layers.Flatten()),
    "causal": lambda: sequential(
        (20, 2), layers.Conv1D(4, 3, padding="causal", dilation_rate=2), layers.Flatten()
    ),
    "grouped": lambda: sequential((20, 4), layers.Conv1D(4, 3, groups=2), layers.Flatten()),
    "depthwise": lambda: sequential(
        (8, 8, 4), layers.DepthwiseConv2D(3), layers.ZeroPadding2D(1), layers.Flatten()
    ),
    "group_norm": lambda: sequential(
        (8, 8, 4),
        layers.GroupNormalization(2),
        layers.MaxPooling2D(3, 2),
        layers.Flatten(),
        layers.Dense(3),
    ),
    "odd_pooling": lambda: sequential(
        (7, 9, 2), layers.MaxPooling2D(2), layers.Flatten(), layers.Dense(3)
    ),
    "recurrent": lambda: sequential((6, 3), layers.GRU(5, unroll=True), layers.Dense(3)),
    "lstm": lambda: sequential(
        (6, 3),
        layers.LSTM(4, return_sequences=True, go_backwards=True, activation="sigmoid"),
        layers.LSTM(5, use_bias=False, unroll=True),
        layers.Dense(3),
    ),
    "bidirectional": lambda: sequential(
        (6, 3),
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="mul"),
        layers.Bidirectional(layers.SimpleRNN(4, unroll=True)),
        layers.Dense(3),
    ),
    "prelu": lambda: sequential((10,), layers.Dense(8), layers.PReLU(), layers.Dense(3)),
}


def inputs_of(model):
    generator = np.random.default_rng(0)
    shape = (7, *model.input_shape[1:])
    if "int" in model.inputs[0].dtype:
        return generator.integers(0, 11, shape).astype("int32")
    return generator.normal(size=shape).astype("float32")


@pytest.mark.parametrize("name", list(MODELS))
def test_every_member_equals_the_plain_model(name):
    model = MODELS[name]()
    population = Population(model, [3, 4, 5])
    inputs = inputs_of(model)
    for how in ((False, False), (False, True), (True, False)):
        outputs = Predictor(population, execution.Execution(*how, "test")).predict(inputs)
        for index in range(3):
            model.set_weights([value[index] for value in population.values()])
            np.testing.assert_allclose(outputs[index], model(inputs), atol=2e-5)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


@pytest.mark.parametrize(
    "name", ["attention", "residual", "nested", "recurrent", "lstm", "bidirectional"]
)
def test_gradients_equal_the_plain_model(name):
    model = MODELS[name]()
    population = Population(model, [3, 4])
    inputs = inputs_of(model)
    stacked = [tf.constant(v) for v in population.values()]
    with tf.GradientTape() as tape:
        tape.watch(stacked)
        weights = {id(t): v for t, v in zip(model.weights, stacked, strict=True)}
        tiled = tf.constant(np.stack([inputs, inputs]))
        loss = tf.reduce_sum(tf.tanh(forward(model, tiled, Members(weights=weights))))
    mine = dict(zip((v.path for v in model.weights), tape.gradient(loss, stacked), strict=True))
    model.set_weights([value[1] for value in population.values()])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.tanh(model(inputs, training=False)))
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        got, wanted = (tf.convert_to_tensor(g) for g in (mine[variable.path], gradient))
        np.testing.assert_allclose(got[1], wanted, atol=3e-5)


def test_mixed_bfloat16_keeps_the_compute_dtype():
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = sequential((10,), layers.Dense(8, dtype=policy), layers.Dense(3, dtype=policy))
    outputs = Predictor(Population(model, [0, 1])).predict(inputs_of(model))
    assert str(outputs.dtype) == "bfloat16"


@pytest.mark.parametrize(
    "model",
    [
        lambda: sequential((10,), layers.GaussianDropout(0.5), layers.Dense(3)),
        lambda: sequential((6, 3), layers.LSTM(4, recurrent_dropout=0.5), layers.Dense(3)),
    ],
    ids=["gaussian_dropout", "recurrent_dropout"],
)
def test_a_random_layer_without_a_form_is_refused(model):
    model = model()
    with pytest.raises(NotImplementedError, match="Register one"):
        Predictor(Population(model, [0])).predict(inputs_of(model))


def test_the_graph_walk_of_keras_is_there():
    """The one private hook of Keras that the engine stands on."""
    graph = functional_of(sequential((10,), layers.Dense(3)))
    seen = []

    def note(operation):
        seen.append(type(operation).__name__)
        return operation

    graph._run_through_graph(tf.zeros((2, 10)), operation_fn=note)
    assert seen == ["Dense"]


def test_initial_weights_follow_the_seed_and_the_initializer():
    model = sequential((50,), layers.Dense(400, bias_initializer="ones"), layers.Dense(3))
    first, again = Population(model, [1, 2]), Population(model, [2])
    for a, b in zip(first.values(), again.values(), strict=True):
        np.testing.assert_array_equal(a[1], b[0])
    kernel, bias = first.values()[:2]
    assert np.abs(kernel[0] - kernel[1]).max() > 0.1 and np.all(bias == 1)
    limit = np.sqrt(6 / 450)
    assert np.abs(kernel).max() <= limit and abs(kernel.std() - limit / np.sqrt(3)) < 1e-3


@pytest.mark.parametrize("name", ["he_normal", "lecun_uniform", "random_normal", "orthogonal"])
def test_drawn_weights_have_the_moments_of_the_keras_initializer(name):
    model = sequential((300,), layers.Dense(200, kernel_initializer=name))
    theirs = keras.ops.convert_to_numpy(keras.initializers.get(name)((300, 200)))
    mine = Population(model, [7]).values()[0][0]
    assert abs(mine.std() / theirs.std() - 1) < 0.02 and abs(mine.mean()) < 3e-3
    assert abs(np.quantile(mine, 0.99) / np.quantile(theirs, 0.99) - 1) < 0.03


def test_an_unknown_initializer_is_an_error():
    class Odd(layers.Layer):
        def build(self, shape):
            self.offset = self.add_weight(shape=(shape[-1],), initializer="random_normal")

        def call(self, inputs):
            return inputs + self.offset

    model = sequential((4,), Odd())
    with pytest.raises(ValueError, match="initializer of variable"):
        Population(model, [0])
