"""Trainers of small populations, for tests of what an objective is given beside a batch."""

import keras
import numpy as np

from tfphen.population import execution
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches, strategy
from tfphen.train.loop import StepHook, Trainer
from tfphen.train.validation import ValidationExamples

layers = keras.layers
CLASSES, FEATURES, COUNT, RATE = 3, 4, 26, 0.5


def examples():
    """Inputs whose first entry tells the number of the example, and labels of two members."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(COUNT, FEATURES)).astype("float32")
    inputs[:, 0] = np.arange(COUNT) / COUNT
    return inputs, generator.integers(0, CLASSES, (2, COUNT)).astype("int32")


def linear():
    return keras.Sequential([keras.Input((FEATURES,)), layers.Dense(CLASSES)])


def moody():
    """A model that is another one in training: dropout and batch normalization."""
    stack = [layers.BatchNormalization(momentum=0.5), layers.Dense(6), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((FEATURES,)), *stack, layers.Dense(CLASSES)])


def trainer_of(
    objective,
    member_seeds=(3, 4),
    build=linear,
    found=None,
    batch=8,
    steps=6,
    sizes=None,
    clean_labels=None,
    hook=None,
    xla=False,
    **more,
):
    """A trainer of these members; `hook` is the number of columns and the function of a hook."""
    found = found or strategy.get("one")
    inputs, labels = examples()
    # A member's labels follow its seed, whatever population it is in.
    labels = np.stack([labels[seed % 2] for seed in member_seeds])
    with found.scope():
        population = Population(build(), member_seeds)
        rule = MemberOptimizer(keras.optimizers.SGD(RATE), population)
    return Trainer(
        population,
        batches.DeviceBatches(
            batches.DeviceDataset(inputs, labels, sizes=sizes, clean_labels=clean_labels),
            batch,
            batches.Streams(member_seeds),
            replicas=found.num_replicas_in_sync,
        ),
        objective,
        rule,
        steps,
        step_hook=hook and StepHook(tuple(f"column_{i}" for i in range(hook[0])), hook[1]),
        strategy=found,
        execution=execution.Execution(xla, False, "test"),
        **more,
    )


def held_out(member_seeds=(3, 4), count=9):
    """Examples 100, 101, ... of each member, labeled by their number modulo the classes."""
    numbers = np.arange(count)
    inputs = np.zeros((count, FEATURES), "float32")
    inputs[:, 0] = 100 + numbers
    labels = np.stack([numbers % CLASSES] * len(member_seeds)).astype("int32")
    keys = batches.Streams(member_seeds).keys("held_out")
    return {"validation": ValidationExamples(batches.DeviceDataset(inputs, labels), keys)}
