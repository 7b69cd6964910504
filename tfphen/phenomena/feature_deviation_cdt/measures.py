"""Feature deviation and decision values of classes, and recall with temperatures at prediction."""

from typing import TYPE_CHECKING

import numpy as np

from tfphen.losses import class_temperatures
from tfphen.metrics import class_accuracies, feature_deviation
from tfphen.metrics.representation.class_features import class_means
from tfphen.phenomena.feature_deviation_cdt.trials import DEVIATIONS

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def feature_deviations(trained: "Trained", *, subset_size: int) -> np.ndarray:
    """Deviations of mean features, `[members, 3, classes]`, in the order of `DEVIATIONS`.

    In units of the spread of test features, since features have no scale of their own. NaN for a
    network whose features are not finite.

    Args:
        trained: The members, with a layer `"features"`.
        subset_size: Size of the equal subsets.
    """
    classes, sizes = trained.num_classes, trained.class_counts.sum(-1)
    values = np.full((len(sizes), len(DEVIATIONS), classes), np.nan)
    for index, size in enumerate(sizes):
        # A member's own training examples may be followed by padding.
        train, test = (
            (
                trained.activations(split, "features")[index][:end].astype("float64"),
                trained.labels(split)[index][:end],
            )
            for split, end in (("train", size), ("test", None))
        )
        if np.isfinite(train[0]).all() and np.isfinite(test[0]).all():
            values[index] = _deviations_of(train, test, subset_size, classes)
    return values


def _deviations_of(train, test, subset_size: int, classes: int) -> np.ndarray:
    """Returns the deviations `[3, classes]` of one network from its features and labels."""
    deviation = feature_deviation(*train, *test, subset_size)
    train_means, test_means = class_means(*train, classes), class_means(*test, classes)
    unit = np.sqrt(deviation.scale)
    by_name = {
        "feature_distance": deviation.distance / unit,
        "squared_deviation": deviation.squared_deviation / unit**2,
        "feature_distance_of_all": np.linalg.norm(train_means - test_means, axis=1) / unit,
    }
    return np.stack([by_name[name] for name in DEVIATIONS])


def decision_values(trained: "Trained", *, split: str) -> np.ndarray:
    """Mean centered logit of the true class over the examples of each class, `[members, classes]`.

    Logits are centered over classes. The unit is their root mean square over test examples and
    classes.

    Args:
        trained: The members.
        split: `"train"` or `"test"`.
    """
    labels, logits = trained.labels(split)[..., None], _centered_logits(trained, split)
    is_class = labels == np.arange(trained.num_classes)
    true = np.take_along_axis(logits, labels, -1)
    sums = trained.mean_of_classes(split, is_class * true)
    scale = np.sqrt((_centered_logits(trained, "test") ** 2).mean((1, 2)))
    return sums / trained.mean_of_classes(split, is_class) / scale[:, None]


def _centered_logits(trained: "Trained", split: str) -> np.ndarray:
    logits = trained.logits(split).astype("float64")
    return logits - logits.mean(-1, keepdims=True)


def recall_with_temperatures(trained: "Trained") -> np.ndarray:
    """Test recall if logits are divided at prediction as in training, `[members, classes]`."""
    gamma = trained.trials[0].objective.settings["gamma"]
    members = zip(trained.labels("test"), trained.logits("test"), trained.class_counts, strict=True)
    return np.stack(
        [
            class_accuracies(labels, logits / class_temperatures(counts, gamma))
            for labels, logits, counts in members
        ]
    )
