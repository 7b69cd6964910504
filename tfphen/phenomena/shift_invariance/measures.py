"""Adversarial attacks on trained networks, and their consistency under shifts.

The settings of the attacks are constants of the trials, see
`tfphen.phenomena.shift_invariance.attack.Attack`. All members of a population share them.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from keras import ops

from tfphen.core import seeds
from tfphen.measures.attacks import minimal_norm, projected_gradient
from tfphen.metrics import shift_consistency

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained

# Maximum number of values in the largest activation during an attack.
_ACTIVATION_VALUES = 2**25
# Images per call when consistency is measured.
_IMAGES = 100


def _constants(trained: "Trained") -> Mapping:
    return trained.trials[0].constants


def _examples(trained: "Trained") -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels of the attacked test examples."""
    attacked = slice(0, _constants(trained).get("examples"))
    return trained.inputs("test")[:, attacked], trained.labels("test")[:, attacked]


def _box(trained: "Trained") -> dict:
    return {name: _constants(trained).get(name) for name in ("low", "high")}


def _attacked(trained: "Trained", function) -> np.ndarray:
    """Returns `function(apply, inputs, labels)`, `[members, n, ...]`, in chunks of examples."""
    members = trained.members
    shapes = [layer.output.shape[1:] for layer in members.model.layers]
    rows = max(1, _ACTIVATION_VALUES // (members.size * max(map(math.prod, shapes))))

    @tf.autograph.experimental.do_not_convert
    def run(apply, inputs, labels):
        count = inputs.shape[1]
        if count <= rows:
            return function(apply, inputs, labels)
        indices = tf.minimum(tf.range(-(-count // rows) * rows), count - 1)

        def chunk(indices):
            return function(apply, *(tf.gather(x, indices, axis=1) for x in (inputs, labels)))

        results = tf.map_fn(chunk, tf.reshape(indices, (-1, rows)), fn_output_signature=tf.float32)
        return tf.concat(tf.unstack(results), axis=1)[:, :count]

    return trained.with_model(run, *_examples(trained))


def distances(trained: "Trained") -> np.ndarray:
    """Returns the l2 norm of the smallest adversarial perturbation (DDN), `[members, n]`."""
    settings = {"steps": _constants(trained)["distance_steps"], **_box(trained)}
    return _attacked(trained, lambda *model: minimal_norm(*model, **settings))


def robust(trained: "Trained", norm: str) -> np.ndarray:
    """Returns whether each example is classified correctly under PGD, `[members, n, radii]`."""
    given = _constants(trained)
    settings = {"norm": norm, "steps": given["ascent_steps"], **_box(trained)}
    settings["random_start"] = "random_start" in given
    settings["keys"] = np.stack([seeds.key(trial.seed, "attack") for trial in trained.trials])

    def attack(apply, inputs, labels):
        def at(size):
            step = given["step_share"] * size
            perturbed = projected_gradient(apply, inputs, labels, size, step_size=step, **settings)
            correct = tf.argmax(apply(perturbed), -1, output_type=labels.dtype) == labels
            return tf.cast(correct, tf.float32)

        sizes = tf.constant(given[f"{norm}_sizes"], tf.float32)
        correct = tf.map_fn(at, sizes, fn_output_signature=tf.float32)
        return tf.transpose(correct, (1, 2, 0))

    return _attacked(trained, attack) > 0.5


def consistency(trained: "Trained") -> np.ndarray:
    """Returns the share of random circular shifts that keep the predicted class, `[members]`."""
    given, shares = _constants(trained), []
    shifts = {"num_shifts": int(given["shifts"]), "max_shift": given.get("max_shift")}
    for index, inputs in enumerate(_examples(trained)[0]):
        model = trained.members.member(index)

        def predict(images, model=model):
            parts = np.array_split(images, -(-len(images) // _IMAGES))
            outputs = [ops.convert_to_numpy(model(part, training=False)) for part in parts]
            return np.concatenate(outputs)

        shares.append(shift_consistency(predict, inputs, axes=(1, 2), **shifts))
    return np.asarray(shares)
