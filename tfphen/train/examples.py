"""The examples of a population, resolved from the data settings of its trials."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Trial
from tfphen.core.types import Shape
from tfphen.data import Dataset, Resolved, resolve
from tfphen.measures.trained import Split, Trained
from tfphen.solvers.base import Fitted
from tfphen.train import batches


class Examples:
    """The examples of all members of a population. Inputs that members share are stored once.

    Args:
        trials: The members.
        data_dir: Directory to search first for prepared datasets.
        sources: Data sources of the phenomenon, by name.

    Attributes:
        resolved: The data of each trial.
        sizes: Number of training examples of each member.
        splits: `"train"`, `"test"` and the extra evaluation sets, see `Split`.
        class_counts: Number of training examples of each class, int, `[members, classes]`.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        data_dir: str | Path | None,
        sources: Mapping[str, Callable[..., Dataset] | str] | None = None,
    ):
        self._trials, self._sources = tuple(trials), sources
        self._known: dict[Data, list[tuple[dict[str, int], Resolved]]] = {}
        self.resolved = [self._resolve(trial, data_dir) for trial in trials]
        first = self.resolved[0]
        for other in self.resolved:
            if other.test_labels.shape != first.test_labels.shape:
                raise UsageError(
                    "Trials of one population must have test sets of one size. "
                    f"Received: {len(first.test_labels)} and {len(other.test_labels)}"
                )
        self.num_classes = first.num_classes
        self.input_shape = first.train_inputs.shape[1:]
        self.sizes = [len(one.train_labels) for one in self.resolved]
        self.transition_matrices = np.stack([one.transition_matrix for one in self.resolved])
        self.class_counts = np.stack(
            [np.bincount(one.train_labels, minlength=self.num_classes) for one in self.resolved]
        )
        longest = max(self.sizes)

        def padded(values: Sequence[np.ndarray]) -> np.ndarray:
            return np.stack([np.pad(v, (0, longest - len(v)), mode="edge") for v in values])

        pool, starts = self._pool([one.train_inputs for one in self.resolved])
        rows = padded([s + np.arange(n) for s, n in zip(starts, self.sizes, strict=True)])
        labels = {
            "labels": padded([one.train_labels for one in self.resolved]),
            "clean_labels": padded([one.clean_labels for one in self.resolved]),
        }
        test = [(one.test_inputs, one.test_labels) for one in self.resolved]
        self.splits: dict[str, Split] = {"train": (pool, rows, labels), "test": self._whole(test)}
        for name in first.further:
            self.splits[name] = self._whole([one.further[name] for one in self.resolved])

    def _whole(self, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> Split:
        """Returns a split with clean labels only, of the same size in every member."""
        pool, starts = self._pool([inputs for inputs, _ in parts])
        labels = np.stack([labels for _, labels in parts])
        rows = np.asarray(starts)[:, None] + np.arange(labels.shape[1])
        return pool, rows, {"labels": labels, "clean_labels": labels}

    def _resolve(self, trial: Trial, data_dir: str | Path | None) -> Resolved:
        for known_seeds, resolved in self._known.setdefault(trial.data, []):
            if all(trial.seed_of(name) == seed for name, seed in known_seeds.items()):
                return resolved
        asked: dict[str, int] = {}

        def seed_of(name: str) -> int:
            asked[name] = trial.seed_of(name)
            return asked[name]

        resolved = resolve(trial.data, seed_of, data_dir, self._sources)
        self._known[trial.data].append((asked, resolved))
        return resolved

    @staticmethod
    def _pool(arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, list[int]]:
        """Concatenates distinct arrays. Returns the pool and the start of each array in it."""
        # By address first, so that an array that several members share is hashed once.
        digests: dict[tuple[int, Shape], tuple[bytes, Shape]] = {}
        starts: dict[tuple[bytes, Shape], int] = {}
        parts: list[np.ndarray] = []
        members: list[int] = []
        length = 0
        for array in arrays:
            place = array.__array_interface__["data"][0], array.shape
            if place not in digests:
                digest = hashlib.blake2b(np.ascontiguousarray(array).data).digest()
                digests[place] = digest, array.shape
            content = digests[place]
            if content not in starts:
                starts[content] = length
                parts.append(array)
                length += len(array)
            members.append(starts[content])
        return parts[0] if len(parts) == 1 else np.concatenate(parts), members

    def view(self, fitted: Fitted, step: int | None = None) -> Trained:
        """Returns the view that measures take of a population after `step` updates."""
        return Trained(
            fitted,
            self.splits,
            self.num_classes,
            self.sizes,
            self.transition_matrices,
            self.class_counts,
            self._trials,
            step,
        )

    def on_device(self) -> batches.DeviceDataset:
        """Returns the training examples for the loop."""
        pool, rows, labels = self.splits["train"]
        return batches.DeviceDataset(
            pool, labels["labels"], rows, sizes=self.sizes, clean_labels=labels["clean_labels"]
        )

    def held_out(self) -> batches.DeviceDataset | None:
        """Returns the split `"validation"` for the loop, or None if there is none."""
        if "validation" not in self.splits:
            return None
        pool, rows, labels = self.splits["validation"]
        return batches.DeviceDataset(pool, labels["labels"], rows)
