"""Held-out examples that objectives read during training."""

import numpy as np
import tensorflow as tf

from tfphen.core.errors import UsageError
from tfphen.population import counter_rng
from tfphen.train.batches import DeviceDataset


class ValidationExamples:
    """Draws random held-out examples of each member at each step.

    Args:
        data: The examples.
        keys: Keys of the members' stream `"held_out"`, uint32, `[members, 2]`.
    """

    def __init__(self, data: DeviceDataset, keys: np.ndarray):
        self.count = data.labels.shape[1]
        self.pool, self.labels = tf.constant(data.inputs), tf.constant(data.labels)
        self.rows, self.keys = tf.constant(data.rows.astype("int32")), tf.constant(keys)

    def draw(self, count: int, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns `count` inputs `[members, count, ...]` and labels, without replacement.

        Raises:
            UsageError: There are fewer than `count`.
        """
        if not 0 < count <= self.count:
            raise UsageError(
                f"At most the {self.count} held-out examples can be drawn. Received: count={count}"
            )
        _, places = tf.math.top_k(counter_rng.uniform(self.keys, step, 0, (self.count,)), count)
        rows = tf.gather(self.rows, places, batch_dims=1)
        return tf.gather(self.pool, rows), tf.gather(self.labels, places, batch_dims=1)
