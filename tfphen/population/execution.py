"""Chooses the compilation mode of a population by a fixed rule, and states the reason.

The rule depends on the model and the device only, never on a timing or on the number of members:
a timing could change the bits of a trial from one day to the next.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfphen.core import keras_internals
from tfphen.core.keras_internals import functional_of
from tfphen.population import block_convolution

# Most multiplications of one convolution for one example at which matrix products under XLA beat
# the native kernels on a CPU. Whole steps timed on 29 networks of 1 to 256 channels: up to 100,000
# the products take 0.6 to 0.8 of the native time, at 150,000 to 350,000 0.7 to 1.2 of it (LeNet
# 0.75), beyond 450,000 1.1 to 2.6.
_MOST_MULTIPLICATIONS = 400_000


@dataclasses.dataclass(frozen=True)
class Execution:
    """The way in which the members of a population run.

    Attributes:
        xla: Whether to compile with XLA.
        unrolled: Whether to run members one after the other on native kernels, instead of on a
            member axis.
        reason: The reason, in words.
    """

    xla: bool
    unrolled: bool
    reason: str

    def __str__(self) -> str:
        compiler = "XLA" if self.xla else "TensorFlow graph"
        form = "members unrolled" if self.unrolled else "members on one axis"
        return f"{compiler}, {form}: {self.reason}"


def compiled(function: Callable[..., Any], xla: bool, autograph: bool = True) -> Callable[..., Any]:
    """Returns `function` as a compiled TensorFlow program, traced once for each set of shapes.

    Args:
        function: Maps tensors to tensors.
        xla: Whether to compile with XLA.
        autograph: Whether Python loops and conditions may depend on tensors.
    """
    program = tf.function(function, jit_compile=xla, autograph=autograph)
    # Each population has its own programs. TensorFlow identifies functions by address, so it takes
    # those of successive populations for one function that is retraced often, and warns.
    program._omit_frequent_tracing_warning = True
    return program


def multiplications(model: keras.Model) -> int:
    """Returns the multiplications of the largest 2-D or 3-D convolution, for one example.

    They are those of the matrix products by which `keras_rules` computes the convolution.
    """
    largest = 0
    for called in keras_internals.flattened_layers(model, include_self=False):
        # The layer inside a wrapper is never called by itself.
        layer = getattr(called, "layer", called)
        if isinstance(
            layer, (keras.layers.Conv2D, keras.layers.Conv3D)
        ) and keras_internals.is_called(called):
            positions = math.prod(called.output.shape[1:-1])
            count = positions * math.prod(keras_internals.kernel_of(layer).shape)
            if isinstance(layer, keras.layers.Conv2D):
                size = block_convolution.size_of(layer, called.input.shape[1:3])
                count = round(count * block_convolution.extra_work(layer.kernel_size, size))
            largest = max(largest, count)
    return largest


def choose(model: keras.Model, replicas: int = 1, device: str | None = None) -> Execution:
    """Returns the `Execution` for a model.

    Args:
        model: A built Keras model.
        replicas: Number of replicas in sync.
        device: `"CPU"`, `"GPU"` or `"TPU"`; by default the one that TensorFlow uses.
    """
    if device is None:
        device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    large = multiplications(model) > _MOST_MULTIPLICATIONS
    if replicas > 1:
        # Without XLA the patches of a large convolution would all be written to memory.
        reason = f"{replicas} replicas: collectives do not compile on CPUs"
        return Execution(False, large and functional_of(model) is not None, reason)
    if functional_of(model) is None:
        return Execution(True, False, "a subclassed model, vectorized as a whole")
    if device == "CPU" and large:
        reason = f"convolutions of {multiplications(model):,} multiplications an example on a CPU"
        return Execution(False, True, reason)
    return Execution(True, False, f"matrix products and small convolutions on a {device}")
