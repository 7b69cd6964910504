"""The runners on TensorFlow: tfphen's engine, and Keras' own `fit`.

A runner module has `prepare(runner, name) -> round`: `round(steps)` trains for that many updates
and returns when they are done.
"""

from collections.abc import Callable

import cases
import numpy as np


def prepare(runner: str, name: str) -> Callable[[int], None]:
    """Returns a function that trains a case for a number of updates."""
    return _fit(name) if runner == "fit" else _population(name, alone=runner == "alone")


def _population(name: str, alone: bool):
    import keras

    from tfphen.population.optimizers import MemberOptimizer
    from tfphen.population.population import Population
    from tfphen.train import batches, objectives
    from tfphen.train.loop import Trainer

    case = cases.CASES[name]
    inputs, labels = cases.data(case)
    seeds = range(1 if alone else case.members)
    members = Population(cases.keras_model(name), seeds)
    trainer = Trainer(
        members,
        batches.DeviceBatches(
            batches.DeviceDataset(inputs, np.tile(labels, (len(seeds), 1))),
            cases.BATCH,
            batches.Streams(seeds),
        ),
        objectives.cross_entropy,
        MemberOptimizer(keras.optimizers.Adam(cases.LEARNING_RATE), members),
        10**6,
    )
    # What `advance` returns from has been read back to the host, so it is done.
    return lambda steps: trainer.advance(trainer.step + steps)


def _fit(name: str):
    import keras

    case = cases.CASES[name]
    inputs, labels = cases.data(case)
    model = cases.keras_model(name)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(cases.LEARNING_RATE), loss, jit_compile="auto")

    def round_(steps):
        rows = min(steps * cases.BATCH, cases.EXAMPLES)
        epochs = -(-steps * cases.BATCH // cases.EXAMPLES)
        model.fit(inputs[:rows], labels[:rows], batch_size=cases.BATCH, epochs=epochs, verbose=0)

    return round_


def peak() -> float:
    """Returns the FLOP/s of a 4096 × 4096 float32 matrix product, the best of three."""
    import time

    import tensorflow as tf

    size = 4096
    matrix = tf.random.stateless_normal((size, size), seed=(0, 0))
    product = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)))
    product(matrix).numpy()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        product(matrix).numpy()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)
