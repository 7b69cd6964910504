"""How far apart the classes' features point, relative to their spread: the R² of the class."""

import numpy as np

from tfphen.metrics.probabilities import float64_array, integer_array

# Squared distances of unit vectors below this are the rounding of one direction.
_SAME_DIRECTION = 1e-28


def features_and_labels(features, labels, features_name="features", labels_name="labels"):
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


def class_means(values: np.ndarray, index: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns the mean of the rows of each class, `[classes, d]`; every class has a row."""
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(num_classes))
    counts = np.bincount(index, minlength=num_classes)
    return np.add.reduceat(values[order], starts, axis=0) / counts[:, None]


def class_separation(features, labels, centered=False) -> float:
    """Class separation R² of features: 1 - (distance within classes) / (distance between any two).

    With cosine distances d(a, b) = 1 - cos(a, b), K classes and N_k examples of class k:

        within = 1 / K  sum_k 1 / N_k² sum_{m,n in k} d(x_m, x_n)
        total  = 1 / K² sum_j sum_k 1 / (N_j N_k) sum_{m in j, n in k} d(x_m, x_n)
        R²     = 1 - within / total

    (equation 11). Pairs of an example with itself count, and classes weigh equally. It is
    computed in O(N d) from the class means of the normalized features, without differences of
    nearly equal numbers: R² of 1 - 1e-12 keeps its digits. Labels in other than 0..K-1 are fine.

    Args:
        features: Such as the inputs of the last layer, not centered, `[n, d]`.
        labels: Integers, `[n]`, of two or more classes.
        centered: Subtract the mean of the class means from the features before they are
            normalized. Features after a ReLU have a large mean in common, which shrinks the total
            distance; the centered index is another number, not the published one.

    Returns:
        R² in [0, 1]: 0 where all classes have the same mean direction, 1 where each class is one
        direction. NaN where all features point the same way.

    Raises:
        ValueError: Shapes that do not go together, NaN, infinite entries, labels that are not
            integers or of one class only, or a feature vector that is 0 and has no direction.

    Example:

    >>> round(class_separation([[3.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 5.0]], [0, 0, 1, 1]), 6)
    1.0
    >>> round(class_separation([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0], [5.0, 0.0]], [0, 0, 1, 1]), 6)
    0.0

    When not to use:
        To compare networks trained for different times: R² grows with training as classes
        collapse, whatever the loss. As a measure of accuracy or of transfer by itself: across
        losses it went with worse transfer. Over sets with different classes.

    Reference:
        S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
        Transferable Features?", NeurIPS 2021, arXiv 2010.16402, equation 11.
    """
    array, classes = features_and_labels(features, labels)
    names, index = np.unique(classes, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"`labels` must be of two or more classes. Received: labels of {len(names)} class(es)"
        )
    # Directions do not change with scale, and squares of huge or tiny entries would.
    array = array / (np.abs(array).max() or 1.0)
    if centered:
        array = array - class_means(array, index, len(names)).mean(0)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    if not norms.all():
        raise ValueError(
            "`features` must have no zero row, whose cosine is undefined; leave such examples out. "
            f"Received: {int((norms == 0).sum())} zero rows of {len(norms)}"
        )
    unit = array / norms
    means = class_means(unit, index, len(names))
    # |u - mean|² averages to 1 - |mean|², so within is a mean of squares, and so is the rest.
    spread = ((unit - means[index]) ** 2).sum(1)
    within = float(class_means(spread[:, None], index, len(names)).mean())
    between = float(((means - means.mean(0)) ** 2).sum(1).mean())
    total = within + between
    return between / total if total > _SAME_DIRECTION else float("nan")
