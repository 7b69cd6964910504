"""The examples of a population on the device, and the batches of each member."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfphen.core import seeds
from tfphen.core.trial import Trial
from tfphen.train.augmentation import Augment

# Positions of an order drawn at a time, and positions of one chunk of steps on the device.
_BLOCK = 2**15
_CHUNK_POSITIONS = 2**22


class Streams:
    """The seeds of the members' named random streams.

    Args:
        seeds: One integer a member, for every stream.
        named: Seeds of single streams that differ from these, by name.
    """

    def __init__(self, seeds: Sequence[int], named: Mapping[str, Sequence[int]] | None = None):
        self._seeds, self._named = tuple(seeds), dict(named or {})

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> "Streams":
        """Returns the streams of trials."""
        names = {name for trial in trials for name in trial.stream_seeds}
        named = {name: [trial.seed_of(name) for trial in trials] for name in names}
        return cls([trial.seed for trial in trials], named)

    def seeds(self, name: str) -> Sequence[int]:
        """Returns the seed of a stream, one a member."""
        return self._named.get(name, self._seeds)

    def keys(self, name: str) -> np.ndarray:
        """Returns the keys of a stream, uint32, `[members, 2]`, see `population.counter_rng`."""
        return np.stack([seeds.key(seed, name) for seed in self.seeds(name)])


@dataclasses.dataclass(frozen=True)
class DeviceDataset:
    """Examples that stay on the device as tensors.

    All members share one pool of inputs. A member's training set is a list of rows with its own
    labels and weights, so members may differ in subset, labels and weights.

    Args:
        inputs: The pool, `[rows, ...]`.
        labels: A member's labels in its own order, `[members, n, ...]`.
        rows: Row in the pool of each example of a member, `[members, n]`; None for the first `n`
            rows.
        weights: Weight of each example in the loss, `[members, n]`; None for 1.
        sizes: Number of examples of each member; the rest of the `n` is padding. None for `n`.
        clean_labels: Labels before any corruption, `[members, n]`, for objectives and hooks that
            read them; None for none.
    """

    inputs: np.ndarray
    labels: np.ndarray
    rows: np.ndarray = None  # type: ignore[assignment]  # Filled in by `__post_init__`.
    weights: np.ndarray | None = None
    sizes: Sequence[int] = None  # type: ignore[assignment]  # Filled in by `__post_init__`.
    clean_labels: np.ndarray | None = None

    def __post_init__(self) -> None:
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

    def take(self, members: Sequence[int]) -> "DeviceDataset":
        """Returns the examples of some members only."""
        index = list(members)
        return DeviceDataset(
            self.inputs,
            self.labels[index],
            self.rows[index],
            None if self.weights is None else self.weights[index],
            [self.sizes[i] for i in index],
            None if self.clean_labels is None else self.clean_labels[index],
        )


class Order:
    """The order of one member's examples: a new permutation each epoch.

    Permutations come from the stream `"order"` of the member's seed, in blocks, so that any epoch
    can be reached directly and a resumed training continues exactly.

    Args:
        seed: The member's seed for the stream.
        size: Number of examples.
        batch_size: Rows of a batch; the last batch of an epoch is padded with rows of weight 0.
    """

    def __init__(self, seed: int, size: int, batch_size: int):
        self.seed, self.size, self.batch_size = seed, size, batch_size
        self.steps = -(-size // batch_size)
        self._epochs = max(1, _BLOCK // size)
        self._cached: tuple[int, np.ndarray] = (-1, np.zeros((0, batch_size), "int32"))

    def _block(self, number: int) -> np.ndarray:
        if self._cached[0] != number:
            padded = np.full((self._epochs, self.steps * self.batch_size), -1, "int32")
            if self.size <= self.batch_size:
                padded[:, : self.size] = np.arange(self.size)
            else:
                generator = seeds.stream(self.seed, "order", number)
                tiled = np.tile(np.arange(self.size, dtype="int32"), (self._epochs, 1))
                padded[:, : self.size] = generator.permuted(tiled, axis=1)
            self._cached = (number, padded.reshape(-1, self.batch_size))
        return self._cached[1]

    def steps_between(self, first: int, last: int) -> np.ndarray:
        """Returns positions `[last - first, batch_size]`, int32; -1 is padding."""
        length = self._epochs * self.steps
        parts = []
        while first < last:
            number, offset = divmod(first, length)
            stop = min(length, offset + last - first)
            parts.append(self._block(number)[offset:stop])
            first += stop - offset
        return np.concatenate(parts)


class Batch(NamedTuple):
    """A batch of each member, `[members, batch, ...]`.

    Attributes:
        inputs: Augmented inputs.
        labels: Training labels.
        weights: Weights of the examples in the loss, float32; 0 for padding.
        real: 1 for a real row, 0 for padding, float32.
        clean_labels: Labels before any corruption; None if unknown.
    """

    inputs: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
    real: tf.Tensor
    clean_labels: tf.Tensor | None


class DeviceBatches:
    """Batches of examples on the device, in each member's own order.

    The loop uses `rows`, `padded`, `chunk_steps`, `positions` and `gather`; another source of
    batches must have these.

    Args:
        data: The examples.
        batch_size: Global batch size; None for all examples of the largest member.
        streams: Streams of the members: `"order"`, and `"augmentation"` where there is one.
        augment: Augmentation, see `tfphen.train.augmentation`; None for none.
        replicas: Number of replicas that share a batch.

    Attributes:
        data: The examples.
        orders: The order of each member's examples.
        rows: Rows of a global batch, a multiple of the replicas.
        padded: Whether some batch of some member has padding.
        chunk_steps: Most steps whose positions are on the device at a time.
    """

    def __init__(
        self,
        data: DeviceDataset,
        batch_size: int | None,
        streams: Streams,
        augment: Augment | None = None,
        replicas: int = 1,
    ):
        self.data, sizes = data, data.sizes
        batch_size = max(sizes) if batch_size is None else min(batch_size, max(sizes))
        self.orders = [
            Order(seed, size, batch_size)
            for seed, size in zip(streams.seeds("order"), sizes, strict=True)
        ]
        self.rows = math.ceil(batch_size / replicas) * replicas
        whole = all(size % batch_size == 0 for size in sizes)
        self.padded = not whole or self.rows != batch_size
        self.chunk_steps = int(np.clip(_CHUNK_POSITIONS // (len(sizes) * self.rows), 1, 1000))
        self._pool, self._labels = tf.constant(data.inputs), tf.constant(data.labels)
        self._rows = tf.constant(data.rows.astype("int32"))
        clean, weights = data.clean_labels, data.weights
        self._clean_labels = None if clean is None else tf.constant(clean)
        self._weights = None if weights is None else tf.constant(weights.astype("float32"))
        self._augment = augment
        self._keys = None if augment is None else streams.keys("augmentation")

    def positions(self, first: int, last: int, length: int) -> tf.Tensor:
        """Returns the positions of each member's examples in steps `first` to `last - 1`.

        Args:
            first: The first step.
            last: One more than the last step.
            length: Number of steps in the result; those beyond `last` are padding.

        Returns:
            int32, `[length, members, rows]`; -1 is padding.
        """
        positions = np.full((length, len(self.orders), self.rows), -1, "int32")
        for index, order in enumerate(self.orders):
            mine = order.steps_between(first, last)
            positions[: last - first, index, : mine.shape[1]] = mine
        return tf.constant(positions)

    def gather(self, positions: tf.Tensor, step: tf.Tensor, first_row: tf.Tensor | int) -> Batch:
        """Returns the batch of each member.

        Args:
            positions: int32, `[members, batch]`; -1 is padding.
            step: Updates done so far, a scalar.
            first_row: Position in the global batch of the first of these rows.
        """
        real = positions >= 0
        positions = tf.maximum(positions, 0)
        rows = tf.gather(self._rows, positions, batch_dims=1)
        weights = tf.cast(real, tf.float32)
        if self._weights is not None:
            weights *= tf.gather(self._weights, positions, batch_dims=1)
        labels = tf.gather(self._labels, positions, batch_dims=1)
        clean = self._clean_labels
        if clean is not None:
            clean = tf.gather(clean, positions, batch_dims=1)
        inputs = tf.gather(self._pool, rows)
        if self._augment is not None:
            inputs = self._augment(inputs, tf.constant(self._keys), step, first_row)
        return Batch(inputs, labels, weights, tf.cast(real, tf.float32), clean)
