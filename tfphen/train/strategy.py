"""The tf.distribute strategy of a run. One object a process: a second mirrored one can poison it."""

import functools

import keras
import tensorflow as tf

from tfphen.errors import UsageError, nearest

STRATEGIES = ("auto", "one", "mirrored", "multiworker", "tpu")


@functools.cache
def get(name: str = "auto") -> tf.distribute.Strategy:
    """Returns the strategy of this name, always the same object in one process.

    Args:
        name: `"one"` runs on one device; `"mirrored"` on all devices of the kind that is there;
            `"auto"` is `"mirrored"` with more than one GPU and `"one"` otherwise.

    Raises:
        UsageError: The name is unknown, or the strategy is not available in this release.
    """
    if keras.distribution.distribution() is not None:
        raise UsageError(
            "A keras.distribution is set, which the TensorFlow backend ignores without a word. "
            "Remove it and choose with --strategy."
        )
    if name == "auto":
        name = "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
        return tf.distribute.MirroredStrategy(devices)
    if name in STRATEGIES:
        raise UsageError(
            f"Strategy {name!r} is not available in this release. Allowed now: auto, one, mirrored."
        )
    raise UsageError(
        f"Unknown strategy {name!r}. Allowed: {', '.join(STRATEGIES)}.{nearest(name, STRATEGIES)}"
    )
