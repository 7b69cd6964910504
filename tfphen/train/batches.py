"""The examples of a population: resident on the device, in an order drawn for each member."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfphen.core import seeds

_BLOCK = 2**15


@dataclasses.dataclass(frozen=True)
class Resident:
    """Examples that stay on the device as tensors.

    Rows of all members live in one pool; a member's training set is a list of rows with labels and
    weights of its own, so members may differ in subset, labels and weights and share the inputs.

    Args:
        inputs: The pool, `[rows, ...]`.
        labels: A member's labels in its own order, `[members, n, ...]`.
        rows: Which row of the pool each example of a member is, `[members, n]`; None for the first
            `n` rows.
        weights: Weight of each example in the loss, `[members, n]`; None for 1.
        sizes: How many of the `n` each member really has; None for all.
        clean_labels: Labels before any corruption, `[members, n]`, for an objective or hook that
            looks at them; None for none.
    """

    inputs: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None
    weights: np.ndarray | None = None
    sizes: Sequence[int] | None = None
    clean_labels: np.ndarray | None = None

    def __post_init__(self):
        members, count = self.labels.shape[:2]
        if self.rows is None:
            rows = np.broadcast_to(np.arange(count, dtype="int32"), (members, count))
            object.__setattr__(self, "rows", rows)
        if self.sizes is None:
            object.__setattr__(self, "sizes", (count,) * members)
        if self.rows.shape != (members, count):
            raise ValueError(
                f"`rows` must have shape {(members, count)}. Received: {self.rows.shape}"
            )
        if count and int(self.rows.max()) >= len(self.inputs):
            raise ValueError(
                f"`rows` must be below {len(self.inputs)}. Received: {int(self.rows.max())}"
            )

    def take(self, members: Sequence[int]) -> "Resident":
        """Returns the examples of some members only."""
        index = list(members)
        return Resident(
            self.inputs,
            self.labels[index],
            self.rows[index],
            None if self.weights is None else self.weights[index],
            [self.sizes[i] for i in index],
            None if self.clean_labels is None else self.clean_labels[index],
        )


class Order:
    """The order in which one member meets its examples: a new permutation each epoch.

    Permutations come from the stream `"order"` of the member's seed, in blocks, so that any epoch
    can be reached at once and a resumed training goes on exactly.

    Args:
        seed: The member's seed for the stream.
        size: Number of examples.
        batch_size: Rows of a batch; the last batch of an epoch is padded with rows of weight 0.
        drop_remainder: Leave out the last batch of an epoch where it is not full.
    """

    def __init__(self, seed: int, size: int, batch_size: int, drop_remainder: bool = False):
        self.seed, self.size, self.batch_size = seed, size, batch_size
        full = size // batch_size
        self.steps = full if drop_remainder and full else -(-size // batch_size)
        self._epochs = max(1, _BLOCK // size)
        self._cached = (-1, None)

    def _block(self, number: int) -> np.ndarray:
        if self._cached[0] != number:
            kept = min(self.size, self.steps * self.batch_size)
            padded = np.full((self._epochs, self.steps * self.batch_size), -1, "int32")
            if self.size <= self.batch_size:
                padded[:, :kept] = np.arange(self.size)
            else:
                generator = seeds.stream(self.seed, "order", number)
                tiled = np.tile(np.arange(self.size, dtype="int32"), (self._epochs, 1))
                padded[:, :kept] = generator.permuted(tiled, axis=1)[:, :kept]
            self._cached = (number, padded.reshape(-1, self.batch_size))
        return self._cached[1]

    def steps_between(self, first: int, last: int) -> np.ndarray:
        """Returns positions `[last - first, batch_size]`, int32; -1 stands for padding."""
        length = self._epochs * self.steps
        parts = []
        while first < last:
            number, offset = divmod(first, length)
            stop = min(length, offset + last - first)
            parts.append(self._block(number)[offset:stop])
            first += stop - offset
        return np.concatenate(parts)


def pipeline(dataset: tf.data.Dataset, strategy: tf.distribute.Strategy):
    """Returns a dataset of global batches `(inputs, labels, weights)` distributed over replicas.

    Batches must have a static size: pad the last with rows of weight 0, or drop it.
    """
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return strategy.experimental_distribute_dataset(dataset.with_options(options))
