"""Weight decay in the gradient: what it is, where it stands in a step, and what is left out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen import optimizers
from tfphen.optimizers import SGD, Adam, CoupledWeightDecay

DECAY = 0.1
BUILDERS = {
    "sgd": lambda **settings: SGD(0.1, momentum=0.9, **settings),
    "sgd of keras": lambda **settings: SGD(
        0.1, momentum=0.9, learning_rate_placement="keras", **settings
    ),
    "adam": lambda **settings: Adam(0.01, **settings),
    "adam of keras": lambda **settings: Adam(0.01, epsilon_placement="keras", **settings),
}


class RMSprop(CoupledWeightDecay, keras.optimizers.RMSprop):
    """A user's own."""


def steps(optimizer, gradient_of, start, count=5):
    """Applies gradients `gradient_of(weight)` to one weight and returns where it went."""
    weight = keras.Variable(start)
    path = []
    for _ in range(count):
        optimizer.apply([gradient_of(weight)], [weight])
        path.append(keras.ops.convert_to_numpy(weight).copy())
    return np.array(path)


@pytest.mark.parametrize("name", BUILDERS)
def test_it_is_the_gradient_of_an_l2_penalty(name):
    """With gradient g and decay, a weight goes where g + decay * weight without decay takes it."""
    generator = np.random.default_rng(0)
    start, fixed = generator.normal(size=(2, 7)).astype("float32")
    make = BUILDERS[name]
    # Strong enough to turn gradients round, which is what Adam can see of it.
    found = steps(make(coupled_weight_decay=2.0), lambda w: fixed * w + 0.5, start)
    expected = steps(make(), lambda w: fixed * w + 0.5 + 2.0 * w, start)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    without = steps(make(), lambda w: fixed * w + 0.5, start)
    assert np.abs(found - without).max() > 1e-3


def test_a_users_own_optimizer():
    start = np.ones(3, "float32")
    found = steps(RMSprop(0.01, coupled_weight_decay=DECAY), lambda w: 0.5 * w, start)
    expected = steps(keras.optimizers.RMSprop(0.01), lambda w: (0.5 + DECAY) * w, start)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_decoupled_decay_is_much_weaker_under_momentum():
    zero = lambda w: keras.ops.zeros_like(w)  # noqa: E731
    start = np.ones(1, "float32")
    coupled = steps(SGD(0.01, 0.9, coupled_weight_decay=0.01), zero, start, 200)
    decoupled = steps(SGD(0.01, 0.9, weight_decay=0.01), zero, start, 200)
    # Over the second half, once the momentum has built up.
    shrunk = [np.log(path[99, 0] / path[-1, 0]) for path in (coupled, decoupled)]
    assert shrunk[0] / shrunk[1] == pytest.approx(10.0, rel=0.02)


def test_gradients_are_clipped_before_the_decay_is_added():
    weight = keras.Variable([10.0, 0.0])
    optimizer = SGD(1.0, coupled_weight_decay=DECAY, clipnorm=1.0)
    optimizer.apply([keras.ops.convert_to_tensor([300.0, 400.0])], [weight])
    np.testing.assert_allclose(weight, [10.0 - 0.6 - 1.0, -0.8], rtol=1e-6)


def two_layers():
    return keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, kernel_initializer=keras.initializers.GlorotUniform(1)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2, kernel_initializer=keras.initializers.GlorotUniform(2)),
        ]
    )


@pytest.mark.parametrize("scope", ["one device", "two replicas"])
def test_what_is_excluded_does_not_decay(scope, two_devices):
    """A gradient of zero: only decay can move a weight."""
    strategy = tf.distribute.get_strategy()
    if scope == "two replicas":
        reduction = tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(two_devices, cross_device_ops=reduction)
    with strategy.scope():
        model = two_layers()
        for variable in model.trainable_variables:
            variable.assign(keras.ops.ones_like(variable))
        optimizer = SGD(0.5, coupled_weight_decay=DECAY)
        optimizer.exclude_from_weight_decay(
            var_list=[model.layers[-1].kernel], var_names=["bias", "gamma", "beta"]
        )
        model.compile(optimizer, lambda y, z: 0.0 * z, jit_compile=False)
    model.fit(np.ones((4, 4)), np.zeros((4, 2)), batch_size=4, verbose=0)
    for variable in model.trainable_variables:
        decays = variable.name == "kernel" and variable is not model.layers[-1].kernel
        np.testing.assert_allclose(variable, 0.95 if decays else 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_embeddings_decay_in_the_rows_that_are_not_looked_up(name):
    def train(make, **settings):
        model = keras.Sequential(
            [
                keras.Input((2,), dtype="int32"),
                keras.layers.Embedding(6, 3, keras.initializers.RandomNormal(seed=0)),
                keras.layers.Flatten(),
                keras.layers.Dense(2, kernel_initializer=keras.initializers.GlorotUniform(1)),
            ]
        )
        model.compile(make(**settings), "mse", jit_compile=False)
        model.fit(np.array([[0, 1], [1, 2]]), np.ones((2, 2)), epochs=3, verbose=0)
        return model.layers[0].get_weights()[0]

    with_decay = train(BUILDERS[name], coupled_weight_decay=DECAY)
    without = train(BUILDERS[name])
    assert np.all(np.abs(with_decay[3:]) < np.abs(without[3:]))
    assert np.isfinite(with_decay).all() and np.abs(with_decay - without).max() > 1e-4


def test_errors():
    for wrong in (-0.1, float("nan"), "small"):
        with pytest.raises(ValueError, match=r"`coupled_weight_decay` must be .* Received"):
            RMSprop(coupled_weight_decay=wrong)
    with pytest.raises(ValueError, match=r"Set one of .* Received: coupled_weight_decay=0.1"):
        Adam(coupled_weight_decay=0.1, weight_decay=0.1)


def test_exports():
    assert set(optimizers.__all__) == {
        "SGD", "Adam", "CosineDecay", "CoupledWeightDecay", "InverseSquareRootDecay", "LinearDecay",
        "OneCycle", "StepDecay",
    }  # fmt: skip
