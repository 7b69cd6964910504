"""The tf.distribute strategy of a run, a singleton: a second one corrupts the runtime."""

import functools

import keras
import tensorflow as tf

from tfphen.core.errors import UsageError
from tfphen.core.strategies import check_strategy


def _two_logical_cpus() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        devices = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError:
        # TensorFlow has started, so that its devices can no longer change.
        if len(tf.config.list_logical_devices("CPU")) < 2:
            raise UsageError(
                "The mirrored strategy needs a second device, and TensorFlow has started with one "
                "CPU device. Choose the strategy before anything else runs."
            ) from None


@functools.cache
def get(name: str = "auto") -> tf.distribute.Strategy:
    """Returns a strategy by name, always the same object in one process.

    Args:
        name: `"one"` runs on one device; `"mirrored"` on all GPUs, or without a GPU on two logical
            CPU devices, which tests the code and saves no time; `"auto"` is `"mirrored"` with more
            than one GPU and `"one"` otherwise.

    Raises:
        UsageError: The name is unknown, or a keras.distribution is set.
    """
    if keras.distribution.distribution() is not None:
        raise UsageError(
            "A keras.distribution is set, which the TensorFlow backend silently ignores. "
            "Remove it and choose with --strategy."
        )
    check_strategy(name)
    if name == "auto":
        name = "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"
    if name == "one":
        return tf.distribute.get_strategy()
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if kind == "CPU":
        _two_logical_cpus()
    devices = [device.name for device in tf.config.list_logical_devices(kind)]
    return tf.distribute.MirroredStrategy(devices)
