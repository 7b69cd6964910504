"""Chooses how a population is compiled, by a rule, and says which and why.

The rule depends on the model and the device only, never on a timing or on the number of members:
a timing would let the same trial give other bits on another day.
"""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from tfphen.train.lowering import functional_of

# Largest kernel-window expansion of one example, in numbers, for which patches and a batched
# matrix product beat the native convolution on a CPU (see benchmarks/speed/population.py).
_PATCH_LIMIT = 16_384


@dataclasses.dataclass(frozen=True)
class Execution:
    """How the members of a population run.

    Attributes:
        xla: Compile with XLA.
        unrolled: Run members one after the other on native kernels, instead of on a member axis.
        reason: Why, in words.
    """

    xla: bool
    unrolled: bool
    reason: str

    def __str__(self) -> str:
        compiler = "XLA" if self.xla else "TensorFlow graph"
        form = "members unrolled" if self.unrolled else "members on one axis"
        return f"{compiler}, {form}: {self.reason}"


def compiled(function: Callable, xla: bool) -> Callable:
    """Returns `function` as a compiled TensorFlow program, traced once for each set of shapes."""
    program = tf.function(function, jit_compile=xla)
    # Each population has programs of its own. TensorFlow tells functions apart by address, takes
    # those of populations that came and went for one that is traced again and again, and warns.
    program._omit_frequent_tracing_warning = True
    return program


def patch_size(model: keras.Model) -> int:
    """Returns the numbers in the patches of the largest 2-D or 3-D convolution, for one example."""
    largest = 0
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv3D)):
            kernel, output = layer._kernel.shape, layer.output.shape
            size = 1
            for number in (*output[1:-1], *kernel[:-1]):
                size *= number
            largest = max(largest, size)
    return largest


def choose(model: keras.Model, replicas: int = 1, device: str | None = None) -> Execution:
    """Returns the `Execution` for a model.

    Args:
        model: A built Keras model.
        replicas: Number of replicas in sync.
        device: `"CPU"`, `"GPU"` or `"TPU"`; the one TensorFlow would place on when None.
    """
    if device is None:
        device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    if replicas > 1:
        return Execution(False, False, f"{replicas} replicas: collectives do not compile on CPUs")
    if functional_of(model) is None:
        return Execution(True, False, "a subclassed model, vectorised as a whole")
    if device == "CPU" and patch_size(model) > _PATCH_LIMIT:
        return Execution(
            False, True, f"convolutions of {patch_size(model):,} patch numbers an example on a CPU"
        )
    return Execution(True, False, f"matrix products and small convolutions on a {device}")
