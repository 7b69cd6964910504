"""The first update of networks: gradients of rare classes at initialization."""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfphen.losses import vs_loss
from tfphen.population.population import Population

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def initial_rare_gradient(trained: "Trained") -> np.ndarray:
    """Norm of the gradient of the rarer half of classes at initialization, `[members]`."""
    trials, model = trained.trials, trained.members.model
    untrained = Population(model, [t.seed for t in trials], trained.initial_weights())
    norms = []
    for index, counts in enumerate(trained.class_counts):
        settings, labels = trials[index].objective.settings, trained.labels("train")[index]
        rare = np.argsort(counts, kind="stable")[: len(counts) // 2]
        chosen = np.flatnonzero(np.isin(labels[: counts.sum()], rare))
        member, inputs = untrained.member(index), trained.inputs("train")[index][chosen]
        with tf.GradientTape() as tape:
            exponents = settings.get("gamma", 0.0), settings.get("tau", 0.0)
            losses = vs_loss(labels[chosen], member(inputs, training=False), counts, *exponents)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, [v.value for v in member.trainable_variables])
        norms.append(float(tf.linalg.global_norm(gradients)))
    return np.asarray(norms)
