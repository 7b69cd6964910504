"""Classification datasets as NumPy arrays, the common form of all sources."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tfphen.core.types import Array

# Of fields that are made of others where they are not given: None until then.
_DERIVED: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test examples of a classification task. The arrays are read-only.

    Args:
        train_inputs: float32, `[n, ...]`.
        train_labels: int32, `[n]`, in `[0, num_classes)`.
        test_inputs: float32, `[m, ...]`.
        test_labels: int32, `[m]`.
        num_classes: Number of classes.
        name: Name of the data in reports.
        description: One sentence.
        differs: Deviations from the published data, one phrase each.
    """

    train_inputs: Array
    train_labels: Array
    test_inputs: Array
    test_labels: Array
    num_classes: int
    name: str
    description: str = ""
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            inputs = _read_only(getattr(self, f"{part}_inputs"), np.float32)
            labels = _read_only(getattr(self, f"{part}_labels"), np.int32)
            if labels.ndim != 1 or len(inputs) != len(labels):
                raise ValueError(
                    f"There must be one label for each {part} input. "
                    f"Received: inputs {inputs.shape}, labels {labels.shape}"
                )
            if labels.size and not 0 <= labels.min() <= labels.max() < self.num_classes:
                raise ValueError(
                    f"Labels must be in [0, {self.num_classes}). "
                    f"Received: {part} labels from {labels.min()} to {labels.max()}"
                )
            object.__setattr__(self, f"{part}_inputs", inputs)
            object.__setattr__(self, f"{part}_labels", labels)
        object.__setattr__(self, "differs", tuple(self.differs))


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Resolved(Dataset):
    """The data that one trial sees: split, subset and corruptions applied.

    Args:
        clean_labels: int32, `[n]`: the training labels before any label corruption.
        transition_matrix: float64, `[num_classes, num_classes]`: row c holds the probabilities of
            the labels that an example of clean class c was given. Identity for clean labels.
        further: Inputs and labels of extra evaluation sets by split name: `"validation"`, held out
            of the training examples; `"other_train"` and `"other_test"`, the source's examples of
            the classes that were left out, with their own labels.
        corrupted: bool, `[n]`: where the training label differs from the clean one. Derived.
    """

    clean_labels: Array
    transition_matrix: Array
    further: Mapping[str, tuple[Array, Array]] = dataclasses.field(default_factory=dict)
    corrupted: Array = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        clean = _read_only(self.clean_labels, np.int32)
        matrix = _read_only(self.transition_matrix, np.float64)
        object.__setattr__(self, "clean_labels", clean)
        object.__setattr__(self, "transition_matrix", matrix)
        object.__setattr__(self, "corrupted", _read_only(self.train_labels != clean, bool))
        further = {
            name: (_read_only(inputs, self.train_inputs.dtype), _read_only(labels, np.int32))
            for name, (inputs, labels) in self.further.items()
        }
        object.__setattr__(self, "further", further)


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Training examples as they pass through corruptions.

    Args:
        inputs: `[n, ...]`.
        labels: int32, `[n]`.
        num_classes: Number of classes.
        clean_labels: Labels before any label corruption. Defaults to `labels`.
        transition_matrix: Product of the label corruptions so far, `[num_classes, num_classes]`.
            Defaults to the identity.
        test_inputs: Inputs of the test set, for the one corruption that can act on it.
    """

    inputs: Array
    labels: Array
    num_classes: int
    clean_labels: Array = _DERIVED
    transition_matrix: Array = _DERIVED
    test_inputs: Array | None = None

    def __post_init__(self) -> None:
        if self.clean_labels is None:
            object.__setattr__(self, "clean_labels", self.labels)
        if self.transition_matrix is None:
            object.__setattr__(self, "transition_matrix", np.eye(self.num_classes))

    def take(self, index: Array) -> "Examples":
        """Returns the examples at `index`, in that order."""
        return dataclasses.replace(
            self,
            inputs=self.inputs[index],
            labels=self.labels[index],
            clean_labels=self.clean_labels[index],
        )

    def followed_by(self, other: "Examples") -> "Examples":
        """Returns the examples followed by those of `other`."""
        return dataclasses.replace(
            self,
            inputs=np.concatenate([self.inputs, other.inputs]),
            labels=np.concatenate([self.labels, other.labels]),
            clean_labels=np.concatenate([self.clean_labels, other.clean_labels]),
        )

    def relabel(self, labels: Array, transition_matrix: Array) -> "Examples":
        """Returns the examples with new labels, drawn from the old ones by `transition_matrix`."""
        return dataclasses.replace(
            self,
            labels=labels.astype(self.labels.dtype),
            transition_matrix=self.transition_matrix @ transition_matrix,
        )


def _read_only(array: Array, dtype: npt.DTypeLike) -> Array:
    # A view, so that an array that the caller still owns stays writable for the caller.
    view: Array = np.asarray(array, dtype=dtype).view()
    view.setflags(write=False)
    return view
