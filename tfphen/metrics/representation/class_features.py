"""Features with labels, and the mean feature of each class."""

import numpy as np

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array, integer_array


def features_and_labels(
    features: TensorLike,
    labels: TensorLike,
    features_name: str = "features",
    labels_name: str = "labels",
) -> tuple[Array, Array]:
    """Returns float64 features `[n, d]` and int64 labels `[n]`, checked.

    Raises:
        ValueError: Other shapes, NaN, infinite entries, or labels that are not integers.
    """
    array = float64_array(features, features_name)
    classes = integer_array(labels, labels_name).astype("int64")
    if classes.ndim == 2 and classes.shape[-1] == 1:
        classes = classes[:, 0]
    if array.ndim != 2 or not array.size or classes.shape != array.shape[:1]:
        raise ValueError(
            f"`{features_name}` must have shape (n, d) and `{labels_name}` (n,). Received: "
            f"{features_name}.shape={array.shape}, {labels_name}.shape={classes.shape}"
        )
    return array, classes


def class_means(values: Array, index: Array, num_classes: int) -> Array:
    """Returns the mean of the rows of each class, `[classes, d]`; every class has a row."""
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(num_classes))
    counts = np.bincount(index, minlength=num_classes)
    return np.add.reduceat(values[order], starts, axis=0) / counts[:, None]
