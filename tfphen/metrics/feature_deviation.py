"""How far the mean feature of each class moves between training and test data."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.metrics.class_separation import class_means, features_and_labels


class FeatureDeviation(NamedTuple):
    """Deviation of each of C classes, in the order of `classes`; arrays are float64 `[C]`.

    Attributes:
        classes: The classes, ascending, int64.
        distance: Mean over subsets of the distance from the mean of K training features to the
            mean of the test features: dis(c).
        null_distance: Root of the mean squared distance that K training features would have, had
            the class the same mean in both sets: sqrt(tr S_train / K + tr S_test / n_test).
        squared_deviation: Unbiased estimate of the squared distance of the two true means, from
            all examples; may be negative.
        scale: Mean over classes of tr S_test, the same for all. Divide `squared_deviation` by it,
            and `distance` by its root, to compare networks: features have no scale of their own.
        train_count: Number of training examples, int64.
        test_count: Number of test examples, int64.
        subset_size: K, the same for all classes.
    """

    classes: np.ndarray
    distance: np.ndarray
    null_distance: np.ndarray
    squared_deviation: np.ndarray
    scale: float
    train_count: np.ndarray
    test_count: np.ndarray
    subset_size: int


def _total_variances(values, index, means, counts) -> np.ndarray:
    """Returns the trace of the unbiased covariance of each class; NaN for a class of one."""
    spread = ((values - means[index]) ** 2).sum(1)
    sums = np.bincount(index, spread, len(counts))
    return np.where(counts > 1, sums / np.maximum(counts - 1, 1), np.nan)


def _subset_distance(features, target, size, num_subsets, generator) -> float:
    """Returns the mean distance to `target` of the means of random subsets of the rows."""
    distances = []
    for _ in range(num_subsets):
        chosen = generator.choice(len(features), size, replace=False, shuffle=False)
        distances.append(np.linalg.norm(features[chosen].mean(0) - target))
    return float(np.mean(distances))


def feature_deviation(
    features, labels, test_features, test_labels, subset_size=None, num_subsets=100, seed=0
) -> FeatureDeviation:
    """Distance of each class's mean feature between training and test data, fair to rare classes.

    With S_r(c) a random subset of K training examples of class c, the same K for every class:

        dis(c) = 1 / R sum_{r=1..R} |mean_{i in S_r(c)} f(x_i) - mean_{test j of c} f(x_j)|

    The mean of N examples is off by tr(S) / N in square by chance alone, so over all examples rare
    classes would deviate more without any deviation; with equal K they do not. The estimate

        |mean_train - mean_test|² - tr S_train / n_train - tr S_test / n_test

    from all examples, with unbiased covariances S, takes that chance part off instead; it stays
    right where the spread differs between classes, which equal K does not correct.

    Args:
        features: Of the training examples, in inference mode and without augmentation, `[n, d]`.
        labels: Integers, `[n]`.
        test_features: `[m, d]`.
        test_labels: Integers, `[m]`, of the same classes.
        subset_size: K. None for the size of the smallest class of the training examples.
        num_subsets: Number R of subsets of each class; one suffices where K is all of a class.
        seed: Of the subsets. Those of a class do not depend on the other classes.

    Returns:
        A `FeatureDeviation`. What needs a variance is NaN for a class of one example.

    Raises:
        ValueError: Shapes that do not go together, NaN, infinite entries, labels that are not
            integers, classes that are in one set only, K larger than the smallest class, or
            settings that are not integers.

    Example:

    >>> found = feature_deviation([[0.0], [2.0], [9.0]], [0, 0, 1], [[1.0], [6.0]], [0, 1])
    >>> found.subset_size, found.train_count.tolist(), found.distance.tolist()
    (1, [2, 1], [1.0, 3.0])

    When not to use:
        Before training is over: early on rare classes are under-fitted, not over-fitted. On
        features of batch normalization in training mode. To compare the distances of two networks
        without dividing by `scale`. With K of one or two: chance then drowns the deviation.

    Reference:
        H. Ye, H. Chen, D. Zhan, W. Chao, "Identifying and Compensating for Feature Deviation in
        Imbalanced Deep Learning", arXiv 2001.01385. The unbiased estimate is elementary.
    """
    train, train_labels = features_and_labels(features, labels)
    test, labels_of_test = features_and_labels(
        test_features, test_labels, "test_features", "test_labels"
    )
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            "`test_features` must have as many columns as `features`. Received: "
            f"features.shape={train.shape}, test_features.shape={test.shape}"
        )
    num_subsets = checks.whole("num_subsets", num_subsets)
    seed = checks.whole("seed", seed, 0)
    classes, index, counts = np.unique(train_labels, return_inverse=True, return_counts=True)
    test_classes, test_index, test_counts = np.unique(
        labels_of_test, return_inverse=True, return_counts=True
    )
    if not np.array_equal(classes, test_classes):
        alone = np.setxor1d(classes, test_classes)
        raise ValueError(
            "`test_labels` must have the classes of `labels`. "
            f"Received: in one of them only, classes {alone[:5].tolist()}"
        )
    smallest = int(counts.min())
    size = smallest if subset_size is None else checks.whole("subset_size", subset_size)
    if size > smallest:
        raise ValueError(
            f"`subset_size` must be at most the size of the smallest class, {smallest}: equal "
            f"subsets are what makes classes comparable. Received: subset_size={size}"
        )
    count = len(classes)
    means = class_means(train, index, count)
    test_means = class_means(test, test_index, count)
    variance = _total_variances(train, index, means, counts)
    test_variance = _total_variances(test, test_index, test_means, test_counts)
    # Right for classes of K examples, which have one subset.
    distance = np.linalg.norm(means - test_means, axis=1)
    for c in np.flatnonzero(counts > size):
        # Seeded by the class itself, not its place: that depends on which other classes there are.
        generator = np.random.default_rng([seed, abs(int(classes[c])), int(classes[c] < 0)])
        rows = train[index == c]
        distance[c] = _subset_distance(rows, test_means[c], size, num_subsets, generator)
    return FeatureDeviation(
        classes,
        distance,
        np.sqrt(variance / size + test_variance / test_counts),
        ((means - test_means) ** 2).sum(1) - variance / counts - test_variance / test_counts,
        float(test_variance.mean()),
        counts,
        test_counts,
        size,
    )
