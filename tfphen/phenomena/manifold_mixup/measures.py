"""Within-class spectra of hidden states, and accuracy under adversarial attacks."""

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from tfphen.measures.attacks import fast_gradient, projected_gradient
from tfphen.metrics import class_flattening
from tfphen.phenomena.manifold_mixup.trials import ATTACK_SIZES, DIRECTIONS

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained

# Test examples attacked, and steps of projected gradient descent.
ATTACKED_EXAMPLES = 1000
ATTACK_STEPS = 10


def flattening(trained: "Trained", layer: str) -> np.ndarray:
    """Returns `class_flattening_rows` at a layer in the training set, `[members, classes, 4]`."""
    return _of_members(class_flattening_rows, trained, layer)


def spectrum(trained: "Trained", layer: str) -> np.ndarray:
    """Returns `class_spectra` at a layer in the training set, `[members, classes, DIRECTIONS]`."""
    return _of_members(class_spectra, trained, layer)


def _of_members(function, trained: "Trained", layer: str) -> np.ndarray:
    pairs = zip(trained.activations("train", layer), trained.labels("train"), strict=True)
    return np.stack([function(states, labels) for states, labels in pairs])


def class_flattening_rows(states: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns how the hidden states of each class vary, `[classes, 4]`.

    The columns are those of `tfphen.phenomena.manifold_mixup.trials.Flattening`, see
    `tfphen.metrics.class_flattening`.
    """
    flat = class_flattening(states, labels)
    return np.stack(
        (
            flat.share_outside_first,
            flat.participation_ratio,
            flat.largest_singular_value,
            flat.sum_of_other_singular_values,
        ),
        axis=-1,
    )


def class_spectra(states: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the share of all energy in each class's directions, `[classes, DIRECTIONS]`.

    In descending order, padded with zeros where the layer has fewer units.
    """
    states = states.astype("float64")
    total = ((states - states.mean(0)) ** 2).sum()
    classes = np.unique(labels)
    rows = np.zeros((len(classes), DIRECTIONS))
    for row, label in zip(rows, classes, strict=True):
        own = states[labels == label]
        own = own - own.mean(0)
        energies = np.linalg.eigvalsh(own.T @ own)[::-1][:DIRECTIONS]
        row[: len(energies)] = np.maximum(energies, 0.0) / total
    return rows


def attacked_accuracy(trained: "Trained") -> np.ndarray:
    """Returns accuracies `[members, 2, 1 + sizes]` under FGSM, and under PGD.

    The l-infinity radius is 0 and `ATTACK_SIZES` standard deviations. Projected gradient descent
    reveals gradient masking, which a single step cannot.
    """
    inputs = trained.inputs("test")[:, :ATTACKED_EXAMPLES]
    labels = trained.labels("test")[:, :ATTACKED_EXAMPLES]
    unit = float(inputs.std())
    low = high = None
    if inputs.ndim == 5:  # The range of each channel of an image.
        low, high = inputs.min((0, 1, 2, 3)), inputs.max((0, 1, 2, 3))

    def correct(apply, inputs, labels):
        # All sizes as additional examples, in one graph.
        shape, count = labels.shape, 1 + len(ATTACK_SIZES)
        inputs = tf.repeat(inputs, count, axis=1)
        labels = tf.repeat(tf.cast(labels, tf.int32), count, axis=1)
        sizes = tf.tile(tf.constant([[0.0, *ATTACK_SIZES]]), (shape[0], shape[1]))
        settings = {"size": unit * sizes, "low": low, "high": high}
        perturbed = (
            fast_gradient(apply, inputs, labels, **settings),
            projected_gradient(apply, inputs, labels, steps=ATTACK_STEPS, **settings),
        )
        hits = [tf.argmax(apply(x), -1, output_type=tf.int32) == labels for x in perturbed]
        hits = [tf.reshape(tf.cast(hit, tf.float32), (*shape, count)) for hit in hits]
        return tf.stack(hits, -2)

    return trained.with_model(correct, inputs, labels).mean(1)
