"""Random augmentation of the inputs of a batch, inside the loop.

Each takes `inputs` `[members, batch, ...]`, the members' keys of the stream `"augmentation"`, the
step and the position of the first row in the global batch, then its settings.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import tensorflow as tf

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.population import counter_rng

# `(inputs, keys, step, first_row) -> inputs`, see `crop_and_flip` for the arguments.
Augment: TypeAlias = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor | int], tf.Tensor]


def crop_and_flip(
    inputs: tf.Tensor,
    keys: tf.Tensor,
    step: tf.Tensor,
    first_row: tf.Tensor | int,
    padding: int = 4,
    flip: bool = True,
    fill: float | Sequence[float] = 0.0,
) -> tf.Tensor:
    """Pads images, crops them to their size at a random position, and mirrors half of them.

    Args:
        inputs: Images `[members, batch, rows, columns, channels]`.
        keys: uint32, `[members, 2]`.
        step: Updates done so far.
        first_row: Position of this replica's first row in the global batch.
        padding: Pixels on each side.
        flip: Whether to mirror left to right with probability 1/2.
        fill: Value of the padding, one number or one a channel, such as that of black in
            standardized images.

    Raises:
        UsageError: The inputs are not images, `padding` is negative, or the length of `fill` is
            wrong.
    """
    padding = checks.whole("padding", padding, 0)
    if len(inputs.shape) != 5:
        raise UsageError(
            "`crop_and_flip` takes images of shape (rows, columns, channels). "
            f"Received: inputs of shape {tuple(inputs.shape[2:])}"
        )
    batch, height, width, channels = inputs.shape[1:]
    values = tf.constant(fill, inputs.dtype)
    if values.shape not in ((), (channels,)):
        raise UsageError(
            f"`fill` is one number, or one for each of the {channels} channels. "
            f"Received: fill={fill!r}"
        )
    drawn = counter_rng.uniform(keys, step, 0, (batch, 3), first_row)
    places = tf.cast(tf.floor(drawn[..., :2] * (2 * padding + 1)), tf.int32)
    rows = places[..., :1] + tf.range(height) - padding
    columns = tf.range(width)
    if flip:
        columns = tf.where(drawn[..., 2:] < 0.5, columns, width - 1 - columns)
    columns = places[..., 1:2] + columns - padding
    # Gathered from the image, with clipped positions, rather than from a padded copy.
    images = tf.gather(inputs, tf.clip_by_value(rows, 0, height - 1), axis=2, batch_dims=2)
    images = tf.gather(images, tf.clip_by_value(columns, 0, width - 1), axis=3, batch_dims=2)
    inside = tf.logical_and(
        tf.logical_and(rows >= 0, rows < height)[..., None],
        tf.logical_and(columns >= 0, columns < width)[:, :, None],
    )
    return tf.where(inside[..., None], images, values)


# Functions `(inputs, keys, step, first_row, **settings) -> inputs`, for `Trial.augmentation`.
AUGMENTATIONS: dict[str, Callable[..., tf.Tensor] | None] = {
    "none": None,
    "crop_and_flip": crop_and_flip,
}
