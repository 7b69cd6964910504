"""A control objective: labels that cannot be memorized, since they change at every step."""

import dataclasses

import tensorflow as tf

from tfphen.core import seeds
from tfphen.population import counter_rng
from tfphen.train import objectives


def redrawn_labels():
    """Cross-entropy with labels resampled at every step, independent of the inputs."""

    def objective(step):
        rows, classes = step.outputs.shape[1:]
        key = tf.constant(seeds.key(0, "redrawn_labels")[None])
        drawn = counter_rng.uniform(key, step.number, 0, (rows, 1))[..., 0] * classes
        labels = tf.broadcast_to(tf.cast(drawn, tf.int32), tf.shape(step.outputs)[:2])
        return objectives.cross_entropy(dataclasses.replace(step, labels=labels))

    return objective
