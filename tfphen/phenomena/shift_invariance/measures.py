"""Attacks on trained networks, their consistency, and a solver, for `shift_invariance`.

How they are attacked stands in the constants of the trials, see `shift_invariance.Attack`. All
members of a population have the same ones.
"""

import math

import numpy as np
import tensorflow as tf
from keras import ops

from tfphen.core import seeds
from tfphen.measures.attacks import minimal_norm, projected_gradient
from tfphen.metrics import dc_margin, shift_consistency
from tfphen.metrics.robustness.dc_margin import circular_shifts
from tfphen.solvers.hard_margins import plain_machine
from tfphen.solvers.support_vectors import LinearClassifiers

# Numbers in the largest activation that an attack may hold at a time, and images of one call.
_NUMBERS, _IMAGES = 2**25, 100


def _constants(trained):
    return trained.trials[0].constants


def _examples(trained):
    """Returns inputs and labels of the test examples that are attacked."""
    some = slice(0, _constants(trained).get("examples"))
    return trained.inputs("test")[:, some], trained.labels("test")[:, some]


def _box(trained) -> dict:
    return {name: _constants(trained).get(name) for name in ("low", "high")}


def _attacked(trained, function) -> np.ndarray:
    """Returns `function(apply, inputs, labels)`, `[members, n, ...]`, a few examples at a time."""
    members = trained.members
    shapes = [layer.output.shape[1:] for layer in members.model.layers]
    rows = max(1, _NUMBERS // (members.size * max(map(math.prod, shapes))))

    @tf.autograph.experimental.do_not_convert
    def run(apply, inputs, labels):
        count = inputs.shape[1]
        if count <= rows:
            return function(apply, inputs, labels)
        places = tf.minimum(tf.range(-(-count // rows) * rows), count - 1)

        def some(places):
            return function(apply, *(tf.gather(x, places, axis=1) for x in (inputs, labels)))

        found = tf.map_fn(some, tf.reshape(places, (-1, rows)), fn_output_signature=tf.float32)
        return tf.concat(tf.unstack(found), axis=1)[:, :count]

    return trained.with_model(run, *_examples(trained))


def distances(trained) -> np.ndarray:
    """Least Euclidean length of a perturbation that changes the class, `[members, n]`."""
    settings = {"steps": _constants(trained)["distance_steps"], **_box(trained)}
    return _attacked(trained, lambda *model: minimal_norm(*model, **settings))


def robust(trained, norm: str) -> np.ndarray:
    """Whether each example is classified rightly under perturbations, `[members, n, sizes]`."""
    given = _constants(trained)
    settings = {"norm": norm, "steps": given["ascent_steps"], **_box(trained)}
    settings["random_start"] = "random_start" in given
    settings["keys"] = np.stack([seeds.key(trial.seed, "attack") for trial in trained.trials])

    def attack(apply, inputs, labels):
        def at(size):
            step = given["step_share"] * size
            found = projected_gradient(apply, inputs, labels, size, step_size=step, **settings)
            right = tf.argmax(apply(found), -1, output_type=labels.dtype) == labels
            return tf.cast(right, tf.float32)

        sizes = tf.constant(given[f"{norm}_sizes"], tf.float32)
        found = tf.map_fn(at, sizes, fn_output_signature=tf.float32)
        return tf.transpose(found, (1, 2, 0))

    return _attacked(trained, attack) > 0.5


def consistency(trained) -> np.ndarray:
    """Share of random circular shifts that leave the predicted class, `[members]`."""
    given, found = _constants(trained), []
    shifts = {"num_shifts": int(given["shifts"]), "max_shift": given.get("max_shift")}
    for index, inputs in enumerate(_examples(trained)[0]):
        model = trained.members.member(index)

        def predict(images, model=model):
            parts = np.array_split(images, -(-len(images) // _IMAGES))
            outputs = [ops.convert_to_numpy(model(part, training=False)) for part in parts]
            return np.concatenate(outputs)

        found.append(shift_consistency(predict, inputs, axes=(1, 2), **shifts))
    return np.asarray(found)


def solve_hard_margin(trials, examples, tick) -> LinearClassifiers:
    """The machine of all circular shifts of the training signals, or of the signals alone.

    Its reports are the margin, as a share of that in theory for all shifts, and the cosine of its
    normal with the constant signal.
    """
    pool, rows, labels = examples.splits["train"]
    found, ratios, cosines = [], [], []
    for index, trial in enumerate(trials):
        inputs, classes = pool[rows[index]].astype("float64"), labels["labels"][index]
        size = inputs.shape[1]
        exact = dc_margin(inputs[classes == 0], inputs[classes == 1])
        if trial.optimizer.settings["shifts"]:
            inputs = circular_shifts(inputs).reshape(-1, size)
            classes = np.repeat(classes, size)
        weights, intercept = plain_machine(inputs, 2 * classes - 1)
        length = np.linalg.norm(weights)
        found.append((weights, intercept))
        ratios.append(2 / length / exact.margin)
        cosines.append(weights @ exact.normal / length)
        tick(1.0)
    reports = {"margin_over_dc_margin": ratios, "cosine_with_constant": cosines}
    reports = {name: np.asarray(values) for name, values in reports.items()}
    return LinearClassifiers(*zip(*found, strict=True), "support vector machines", reports)
