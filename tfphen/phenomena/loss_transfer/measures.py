"""Linear probes, class separation, and representations of layers of networks of `network`."""

from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tfphen.core.seeds import stream
from tfphen.metrics import class_separation

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained

# Maximum number of probed examples, and number of test examples of a representation.
_MAX_PROBED, _COMPARED = 2000, 150
# Inverse strengths of a probe's penalty, for features of mean square 1.
_GRID = (0.01, 0.1, 1.0, 10.0)


def _places(trained: "Trained") -> list[str]:
    """Names of the measured layers, from the first to the penultimate."""
    names = [layer.name for layer in trained.members.model.layers]
    # The last by the name that all models share, whose outputs are computed anyway.
    return [*[name for name in names if name.startswith(("pool_", "hidden_"))][:-1], "features"]


def separation(trained: "Trained") -> np.ndarray:
    """Class separation of penultimate features of the training set, `[members]`.

    Features of length zero have no direction and are left out. NaN where some are not finite, or
    a class has none.
    """
    separations = []
    features, labels = trained.activations("train", "features"), trained.labels("train")
    for values, own, size in zip(features, labels, trained.class_counts.sum(-1), strict=True):
        values, own = values[:size].astype("float64"), own[:size]
        nonzero = np.any(values, axis=1)
        usable = np.isfinite(values).all() and len(set(own[nonzero])) == trained.num_classes
        separations.append(class_separation(values[nonzero], own[nonzero]) if usable else np.nan)
    return np.asarray(separations)


def _probed(trained: "Trained") -> tuple[np.ndarray, np.ndarray]:
    """Inputs `[members, n, ...]` and labels of the probe's data, shuffled by seed."""
    splits = tuple(trained.trials[0].data.further) or ("other_train", "other_test")
    labels = np.concatenate([trained.labels(split) for split in splits], 1)
    inputs = np.concatenate([trained.inputs(split) for split in splits], 1)
    generators = [stream(trial.seed_of("probe"), "probe") for trial in trained.trials]
    order = [one.permutation(labels.shape[1])[:_MAX_PROBED] for one in generators]
    rows = np.arange(len(order))[:, None], np.stack(order)
    return inputs[rows], labels[rows]


def probe(trained: "Trained", place: int | None) -> np.ndarray:
    """Accuracy of a linear probe of a layer, or of the inputs, on other data, `[members]`.

    The data are those of `Data.further`, if any, else the other classes.

    Args:
        trained: The population.
        place: Index of the layer, 0 for the first and -1 for the penultimate; None for the inputs.
    """
    inputs, labels = trained.once(_probed)
    values = inputs if place is None else trained.apply(inputs, _places(trained)[place])
    return np.asarray([probe_accuracy(x, y) for x, y in zip(values, labels, strict=True)])


def probe_accuracy(features, labels) -> float:
    """Test accuracy of multinomial logistic regression on the second half of some examples.

    It is fitted on the first half, with the penalty of the best accuracy on the last 30% of it
    when fitted on the rest. Features are divided by their root mean square.

    Args:
        features: Of randomly ordered examples, `[n, ...]`.
        labels: Integers, `[n]`.

    Returns:
        A share of the second half; NaN if features are not finite.

    Example:

    >>> labels = np.arange(40) % 2
    >>> probe_accuracy(np.stack([labels, 1 - labels], 1), labels)
    1.0
    """
    features = np.reshape(features, (len(labels), -1)).astype("float64")
    if not np.isfinite(features).all():
        return float("nan")
    half = len(labels) // 2
    fitted = round(0.7 * half)
    features = features / (np.sqrt(np.square(features[:half]).mean()) or 1.0)

    # Each fit starts from the previous one.
    model = LogisticRegression(tol=1e-3, max_iter=10_000, warm_start=True)

    def accuracy(inverse: float, end: int, last: int) -> float:
        model.set_params(C=inverse).fit(features[:end], labels[:end])
        return float(model.score(features[end:last], labels[end:last]))

    # On matrices this small threads take more time than one: tenfold on a busy machine.
    with threadpool_limits(1, user_api="blas"):
        best = max(_GRID, key=lambda inverse: accuracy(inverse, fitted, half))
        return accuracy(best, half, len(labels))


def representation(trained: "Trained", place: int) -> np.ndarray:
    """Outputs of a layer for the first test examples, float16 `[members, examples, numbers]`."""
    values = trained.apply(trained.inputs("test")[:, :_COMPARED], _places(trained)[place])
    return values.reshape(*values.shape[:2], -1).astype("float16")
