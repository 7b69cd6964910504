"""A circular convolution whose kernel may be as large as its input."""

import math
import numbers
from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Shape, Tensor
from tfphen.layers.seeded_initializer import seeded_initializer

METHODS = ("product", "fourier")
# Numbers in the windows of one signal from which the Fourier transform is the shorter way.
_LONG = 2**17


def _windows(values: Tensor, axis: int, width: int, before: int, count: int) -> Tensor:
    """Replaces an axis of n entries by two, whose entry (i, s) is `values[(i + s - before) mod n]`.

    By repeating the signal and reading it n + 1 at a time, so that each row starts one further on:
    no gather, whose gradient is slow.
    """
    size = values.shape[axis]
    if before % size:
        values = ops.roll(values, before % size, axis)
    repeats = [1] * len(values.shape)
    repeats[axis] = -(-count * (size + 1) // size)
    values = ops.tile(values, repeats)
    lead, tail = (slice(None),) * axis, values.shape[axis + 1 :]
    values = values[(*lead, slice(0, count * (size + 1)))]
    values = ops.reshape(values, (-1, *values.shape[1:axis], count, size + 1, *tail))
    return values[(*lead, slice(None), slice(0, width))]


@keras.saving.register_keras_serializable(package="tfphen")
class CircularConvolution(keras.layers.Layer):
    """A convolution over periodically continued inputs, for signals and images, with large kernels.

        out[i, f] = activation(Σ_s Σ_c in[(i + s - p) mod n, c] kernel[s, c, f] + bias[f])

    and the same over rows and columns. It is computed as one matrix product with all windows of the
    input, or for long signals by the Fourier transform, so that a kernel as long as the input is no
    harder to compile than a short one.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the kernel along each axis, at most that of the input; None for all
            of it.
        padding: p, the entries that the input goes on by on each side: there are n + 2p - size + 1
            positions. None for as many positions as entries, each shift of the window once.
        activation: A Keras activation.
        method: `"product"`, `"fourier"` (signals, with `padding=None`), or None for the shorter.
        kernel_initializer: A Keras initializer.
        bias_initializer: A Keras initializer.
        seed: Integer seed, for a kernel initializer given by name.
        **kwargs: Keyword arguments of `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: Signals `[batch, n, channels]` or images `[batch, rows, columns, channels]`.

    Returns:
        `[batch, positions, filters]` or `[batch, rows, columns, filters]`.

    Raises:
        UsageError: Inputs of another rank, a kernel larger than they are, or an invalid setting.

    Example:

    >>> layer = CircularConvolution(1, 2, kernel_initializer="ones")
    >>> signal = keras.ops.reshape(keras.ops.arange(4.0), (1, 4, 1))
    >>> keras.ops.convert_to_numpy(layer(signal)).ravel().tolist()  # 0 + 1, 1 + 2, 2 + 3, 3 + 0
    [1.0, 3.0, 5.0, 3.0]

    When not to use:
        For small kernels on large images: the windows take kernel size times the memory of the
        image. Use `tfphen.layers.CircularPadding2D` and `keras.layers.Conv2D` there, and for
        strides, dilation and groups.

    Reference:
        V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness", NeurIPS 2021,
        arXiv 2103.02695.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | None = None,
        padding: int | None = None,
        activation: Any = None,
        method: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        checks.wholes(filters=filters)
        if kernel_size is not None:
            checks.wholes(kernel_size=kernel_size)
        if padding is not None:
            checks.whole("padding", padding, 0)
        if method is not None:
            checks.one_of("method", method, METHODS)
        self.filters, self.kernel_size, self.padding = filters, kernel_size, padding
        self.activation, self.method = keras.activations.get(activation), method
        self.seed = checks.whole("seed", seed, least=0)
        self.kernel_initializer = seeded_initializer(kernel_initializer, self.seed)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def _plan(self, input_shape: Shape) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """Returns sizes of the kernel, first entries of the windows, and positions, by axis."""
        sizes = tuple(input_shape[1:-1])
        whole = all(isinstance(size, numbers.Integral) for size in input_shape[1:])
        if len(sizes) not in (1, 2) or not whole:
            raise UsageError(
                "`CircularConvolution` takes [batch, n, channels] or [batch, rows, columns, "
                f"channels] of a fixed size. Received: inputs of shape {tuple(input_shape)}"
            )
        kernel = tuple(self.kernel_size or size for size in sizes)
        if self.padding is None:
            places = sizes
            before = tuple((k - 1) // 2 for k in kernel)
        else:
            places = tuple(n + 2 * self.padding - k + 1 for n, k in zip(sizes, kernel, strict=True))
            before = (self.padding,) * len(sizes)
        if max(k - n for n, k in zip(sizes, kernel, strict=True)) > 0:
            raise UsageError(
                "The kernel is at most as large as the input. "
                f"Received: kernel_size={self.kernel_size}, inputs of shape {tuple(input_shape)}"
            )
        return kernel, before, places

    def _by_fourier(self, input_shape: Shape) -> bool:
        possible = len(input_shape) == 3 and self.padding is None
        if self.method == "fourier" and not possible:
            raise UsageError(
                '`method="fourier"` is for signals with `padding=None`. Received: '
                f"padding={self.padding}, inputs of shape {tuple(input_shape)}"
            )
        if self.method is not None:
            return self.method == "fourier"
        kernel, _, places = self._plan(input_shape)
        return possible and kernel[0] * places[0] > _LONG

    def build(self, input_shape: Shape) -> None:
        kernel, _, _ = self._plan(input_shape)
        self._by_fourier(input_shape)
        self.kernel = self.add_weight(
            shape=(*kernel, input_shape[-1], self.filters),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.filters,), initializer=self.bias_initializer, name="bias"
        )

    def call(self, inputs: Tensor) -> Tensor:
        convolve = self._fourier if self._by_fourier(inputs.shape) else self._product
        return self.activation(convolve(inputs) + self.bias)

    def _product(self, inputs: Tensor) -> Tensor:
        kernel, before, places = self._plan(inputs.shape)
        channels, windows = inputs.shape[-1], inputs
        for axis, plan in enumerate(zip(kernel, before, places, strict=True)):
            windows = _windows(windows, 1 + 2 * axis, *plan)
        if len(kernel) == 2:
            windows = ops.transpose(windows, (0, 1, 3, 2, 4, 5))
        depth = math.prod(kernel) * channels
        rows = ops.reshape(windows, (-1, math.prod(places), depth))
        outputs = ops.matmul(rows, ops.reshape(self.kernel, (depth, self.filters)))
        return ops.reshape(outputs, (-1, *places, self.filters))

    def _fourier(self, inputs: Tensor) -> Tensor:
        (width,), (before,), (size,) = self._plan(inputs.shape)
        kernel = ops.pad(self.kernel, ((0, size - width), (0, 0), (0, 0)))
        real, imaginary = ops.rfft(ops.transpose(ops.roll(inputs, before, 1), (0, 2, 1)))
        kernel_real, kernel_imaginary = ops.rfft(ops.transpose(kernel, (1, 2, 0)))

        def product(signal: Tensor, other: Tensor) -> Tensor:
            return ops.einsum("bcw,cfw->bfw", signal, other)

        # A correlation: the spectrum of the signal times the conjugate of the kernel's.
        total = (
            product(real, kernel_real) + product(imaginary, kernel_imaginary),
            product(imaginary, kernel_real) - product(real, kernel_imaginary),
        )
        return ops.transpose(ops.irfft(total, fft_length=size), (0, 2, 1))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        _, _, places = self._plan(input_shape)
        return (input_shape[0], *places, self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
            "activation": keras.activations.serialize(self.activation),
            "method": self.method,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "seed": self.seed,
        }
