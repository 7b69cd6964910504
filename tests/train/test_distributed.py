"""The same loop under a mirrored strategy on two logical CPU devices equals one device."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches, objectives, strategy
from tfphen.train.loop import Trainer

layers = keras.layers


@pytest.fixture(scope="module")
def mirrored(tensorflow):
    found = strategy.get("mirrored")
    assert found.num_replicas_in_sync == 2
    return found


def net(normalize=False, drop=0.0):
    stack = [keras.Input((12,)), layers.Dense(16, use_bias=not normalize)]
    stack += [layers.BatchNormalization()] if normalize else []
    stack += [layers.ReLU()]
    stack += [layers.Dropout(drop)] if drop else []
    return keras.Sequential([*stack, layers.Dense(4)])


def examples():
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(200, 12)).astype("float32")
    return inputs, generator.integers(0, 4, 200).astype("int32")


OPTIMIZERS = {
    "sgd_momentum": lambda: keras.optimizers.SGD(0.05, momentum=0.9),
    "adamw": lambda: keras.optimizers.AdamW(1e-3, weight_decay=0.01),
    "clipped": lambda: keras.optimizers.SGD(0.5, global_clipnorm=0.05),
}


def train(found, make, batch, build=net, steps=12):
    inputs, labels = examples()
    with found.scope():
        population = Population(build(), [3, 4])
        rule = MemberOptimizer(make(), population)
    data = batches.DeviceBatches(
        batches.DeviceDataset(inputs, np.stack([labels, labels])),
        batch,
        batches.Streams([3, 4]),
        replicas=found.num_replicas_in_sync,
    )
    trainer = Trainer(population, data, objectives.cross_entropy, rule, steps, strategy=found)
    trainer.advance(steps)
    return trainer


def largest_difference(a, b):
    pairs = zip(a.members.values(), b.members.values(), strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs)


# Replicas share 64 rows evenly and 63 not.
@pytest.mark.parametrize(
    ("name", "batch"), [("sgd_momentum", 64), *((name, 63) for name in OPTIMIZERS)]
)
def test_two_replicas_equal_one(mirrored, name, batch):
    one = train(strategy.get("one"), OPTIMIZERS[name], batch)
    two = train(mirrored, OPTIMIZERS[name], batch)
    assert two.replicas == 2 and one.replicas == 1
    assert largest_difference(one, two) < 1e-5
    np.testing.assert_allclose(one.losses, two.losses, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "batch"),
    [
        (lambda: net(normalize=True), 64),
        (lambda: net(normalize=True), 63),
        (lambda: net(drop=0.4), 63),
    ],
    ids=["batch_norm-64", "batch_norm-63", "dropout-63"],
)
def test_layers_that_couple_or_draw_equal_one_device(mirrored, build, batch):
    make = OPTIMIZERS["sgd_momentum"]
    one, two = train(strategy.get("one"), make, batch, build), train(mirrored, make, batch, build)
    assert largest_difference(one, two) < 1e-5
    for variable in two.members.variables:
        copies = mirrored.experimental_local_results(variable.value)
        np.testing.assert_array_equal(copies[0].numpy(), copies[1].numpy())


def test_control_keras_fit_with_clipping_differs(mirrored):
    """Keras clips each replica's gradients before it sums them, so its result must differ."""
    inputs, labels = examples()
    results = []
    for found in (tf.distribute.get_strategy(), mirrored):
        with found.scope():
            model = net()
            model.set_weights([v[0] for v in Population(model, [3]).values()])
            model.compile(
                OPTIMIZERS["clipped"](),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                jit_compile=False,
            )
            model.fit(inputs[:192], labels[:192], batch_size=64, epochs=4, shuffle=False, verbose=0)
            results.append(model.get_weights())
    largest = max(np.abs(a - b).max() for a, b in zip(*results, strict=True))
    assert largest > 1e-4


def test_three_models_of_different_shape_in_one_process(mirrored):
    for width in (3, 5, 8):
        stack = [keras.Input((12,)), layers.Dense(width, "relu"), layers.Dense(4)]
        trainer = train(mirrored, OPTIMIZERS["adamw"], 64, lambda s=stack: keras.Sequential(s))
        assert np.isfinite(trainer.losses).all()


def test_unknown_strategies_are_refused():
    from tfphen.core.errors import UsageError

    with pytest.raises(UsageError, match="Did you mean 'mirrored'"):
        strategy.get("miror")
