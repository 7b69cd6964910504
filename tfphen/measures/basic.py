"""Measures of a trained population: functions from a `Trained` view to NumPy arrays.

A measure returns one value a member, `[members]`, or one array a member, `[members, ...]`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.core import references
from tfphen.core.trial import FrozenMapping

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


@dataclasses.dataclass(frozen=True)
class Measure:
    """A named measurement.

    Args:
        name: Column of the findings table.
        function: `(trained, **settings) -> array [members]` or `[members, ...]`, or a reference
            `"package.module:name"` to such a function.
        settings: Keyword arguments of the function.
    """

    name: str
    function: Callable[..., object] | str
    settings: Mapping[str, Any] = dataclasses.field(default_factory=FrozenMapping)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", FrozenMapping(self.settings))

    def __call__(self, trained: "Trained") -> np.ndarray:
        """Returns the measurement of all members."""
        return np.asarray(references.load(self.function)(trained, **self.settings))


def error(split: str, labels: str = "labels") -> Measure:
    """Fraction of examples whose largest logit is not the label's.

    Args:
        split: `"train"`, `"test"` or `"validation"`.
        labels: `"labels"`, those of the training, or `"clean_labels"`, before any corruption.
    """
    name = f"{split}_error" if labels == "labels" else f"{split}_error_on_clean_labels"

    def function(trained: "Trained") -> np.ndarray:
        wrong = trained.logits(split).argmax(-1) != trained.labels(split, labels)
        return trained.mean(split, wrong)

    return Measure(name, function)


def loss(split: str) -> Measure:
    """Mean cross-entropy of the labels, in nats."""

    return Measure(f"{split}_loss", lambda trained: trained.mean_loss(split))


def class_recall(split: str) -> Measure:
    """Fraction of each class's examples that are classified as such, `[members, classes]`.

    NaN for a class without examples in the split.
    """

    def function(trained: "Trained") -> np.ndarray:
        recall: np.ndarray = trained.once(_class_recall, split)
        return recall

    return Measure(f"{split}_class_recall", function)


def balanced_error(split: str) -> Measure:
    """Mean over classes of the fraction of a class's examples that are misclassified."""

    def function(trained: "Trained") -> np.ndarray:
        recall: np.ndarray = trained.once(_class_recall, split)
        return np.asarray(1.0 - recall.mean(-1))

    return Measure(f"{split}_balanced_error", function)


def class_counts() -> Measure:
    """Number of training examples of each class, `[members, classes]`."""
    return Measure("class_counts", lambda trained: trained.class_counts)


def _class_recall(trained: "Trained", split: str) -> np.ndarray:
    right = trained.logits(split).argmax(-1) == trained.labels(split)
    is_class = trained.labels(split)[..., None] == np.arange(trained.num_classes)
    counts = trained.mean_of_classes(split, is_class)
    with np.errstate(invalid="ignore"):
        return trained.mean_of_classes(split, is_class & right[..., None]) / counts


def wrong(split: str) -> Measure:
    """Whether each example is misclassified, bool, `[members, n]`."""

    def function(trained: "Trained") -> np.ndarray:
        return trained.logits(split).argmax(-1) != trained.labels(split)

    return Measure(f"{split}_wrong", function)


def predictions(split: str) -> Measure:
    """The predicted class of each example, uint8 or int32, `[members, n]`."""

    def function(trained: "Trained") -> np.ndarray:
        classes = trained.logits(split).argmax(-1)
        return classes.astype("uint8" if trained.num_classes <= 256 else "int32")

    return Measure(f"{split}_predictions", function)


def log_probabilities(split: str) -> Measure:
    """Log-softmax of the logits, float64, `[members, n, classes]`."""
    return Measure(f"{split}_log_probabilities", lambda trained: trained.log_probabilities(split))


def diagnostic(name: str) -> Measure:
    """A per-member solver diagnostic, see `tfphen.solvers.base.Fitted`."""
    return Measure(name, lambda trained: trained.diagnostics[name])


def weights() -> Measure:
    """All weights, `[members, numbers]`: an input of other trials, see `train.initialization`."""
    return Measure("weights", lambda trained: trained.weights())


def masks() -> Measure:
    """Whether each weight is kept, not pruned, bool, `[members, numbers]`."""
    return Measure("masks", lambda trained: trained.masks())
