"""Reads what mixing changes off trained networks and the findings table.

Light to import: what computes is imported when a function is called.
"""

from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

    from tfphen.measures.trained import Trained

# Directions of a class that a spectrum has.
DIRECTIONS = 20

# Sizes of attacks in standard deviations of the inputs, test examples attacked, and steps.
ATTACK_SIZES = (0.05, 0.1)
ATTACKED_EXAMPLES = 1000
ATTACK_STEPS = 10

# Places in the last axis of what `flattening` returns.
SHARE_OUTSIDE_FIRST, PARTICIPATION_RATIO, LARGEST, SUM_OF_OTHERS = range(4)


# ---- of trained networks -----------------------------------------------------------------------


def flattening(states: "np.ndarray", labels: "np.ndarray") -> "np.ndarray":
    """Returns how the hidden states of each class vary, `[classes, 4]`.

    Share of all energy outside the first direction, participation ratio, largest singular value,
    sum of the others: see `tfphen.metrics.class_flattening`.
    """
    import numpy as np

    from tfphen.metrics import class_flattening

    found = class_flattening(states, labels)
    return np.stack(
        (
            found.share_outside_first,
            found.participation_ratio,
            found.largest_singular_value,
            found.sum_of_other_singular_values,
        ),
        axis=-1,
    )


def spectrum(states: "np.ndarray", labels: "np.ndarray") -> "np.ndarray":
    """Returns the share of all energy in each class's directions, `[classes, DIRECTIONS]`.

    The strongest first, and zeros where the layer has fewer units.
    """
    import numpy as np

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


def attacked_accuracy(trained: "Trained") -> "np.ndarray":
    """Returns accuracies `[members, 2, 1 + sizes]` under one gradient step, and under several.

    No entry of an input changes by more than 0 and `ATTACK_SIZES` standard deviations. The second
    row is that of projected gradient descent, which shows what the first one hides.
    """
    inputs = trained.inputs("test")[:, :ATTACKED_EXAMPLES]
    labels = trained.labels("test")[:, :ATTACKED_EXAMPLES]
    unit = float(inputs.std())
    low = high = None
    if inputs.ndim == 5:  # A channel of an image has a black and a white.
        low, high = inputs.min((0, 1, 2, 3)), inputs.max((0, 1, 2, 3))

    def right(apply, inputs, labels):
        import tensorflow as tf

        from tfphen.measures.attacks import fast_gradient, projected_gradient

        # All sizes side by side, as so many examples, in one graph.
        shape, count = labels.shape, 1 + len(ATTACK_SIZES)
        inputs = tf.repeat(inputs, count, axis=1)
        labels = tf.repeat(tf.cast(labels, tf.int32), count, axis=1)
        sizes = tf.tile(tf.constant([[0.0, *ATTACK_SIZES]]), (shape[0], shape[1]))
        settings = {"size": unit * sizes, "low": low, "high": high}
        found = (
            fast_gradient(apply, inputs, labels, **settings),
            projected_gradient(apply, inputs, labels, steps=ATTACK_STEPS, **settings),
        )
        hits = [tf.argmax(apply(x), -1, output_type=tf.int32) == labels for x in found]
        hits = [tf.reshape(tf.cast(hit, tf.float32), (*shape, count)) for hit in hits]
        return tf.stack(hits, -2)

    return trained.with_model(right, inputs, labels).mean(1)


# ---- of the findings table ---------------------------------------------------------------------


def values(table: "pandas.DataFrame", arm: str, column: str) -> "np.ndarray":
    """Returns a number of each training of an arm, `[seeds]`."""
    return rows_of(table, arm=arm)[column].to_numpy()


def arrays(table: "pandas.DataFrame", arm: str, column: str) -> "np.ndarray":
    """Returns an array of each training of an arm, `[seeds, ...]`."""
    import numpy as np

    return np.stack(list(rows_of(table, arm=arm)[column]))


def least(table: "pandas.DataFrame", arm: str, column: str) -> "np.ndarray":
    """Returns the least value on the curve of each training, `[seeds]`."""
    return arrays(table, arm, f"curve_{column}").min(1)


def fall(table: "pandas.DataFrame", column: str, arm: str, other: str) -> stats.Estimate:
    """Compares two arms, paired by seed, in how much lower the first is."""
    what = {"test_loss": "test NLL", "test_error": "test error"}[column]
    pair = (values(table, name, column) for name in (other, arm))
    return stats.paired_difference(*pair, f"{what}, {other} minus {arm}")


def shares(table: "pandas.DataFrame", layer: str, arm: str) -> "np.ndarray":
    """Returns the share of energy within classes but outside their first directions, `[seeds]`."""
    found = arrays(table, arm, f"flattening_{layer}")
    return found[..., SHARE_OUTSIDE_FIRST].sum(1)


def flatter(table: "pandas.DataFrame", layer: str, arm: str, other: str) -> stats.Estimate:
    """Compares two arms, paired by seed, in how much smaller `shares` of the first are."""
    pair = (shares(table, layer, name) for name in (other, arm))
    name = f"energy outside the first directions of classes at {layer}, {other} minus {arm}"
    return stats.paired_difference(*pair, name)


def largest_singular_values(table: "pandas.DataFrame", layer: str, arm: str) -> "np.ndarray":
    """Returns the largest singular value of a class, mean over classes, `[seeds]`."""
    return arrays(table, arm, f"flattening_{layer}")[..., LARGEST].mean(1)


def spectra(table: "pandas.DataFrame", layer: str, arm: str) -> "np.ndarray":
    """Returns shares of all energy by the rank of a direction in its class, summed over classes.

    `[seeds, directions]`.
    """
    return arrays(table, arm, f"spectrum_{layer}").sum(1)
