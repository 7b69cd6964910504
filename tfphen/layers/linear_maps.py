"""The linear maps of Keras's dense and convolutional layers, and their transposes.

A map is written as two functions of the layer's kernel: `apply`, which is the layer without bias
and activation on one input, and `transpose`, with <apply(v), u> = <v, transpose(u)>.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Shape, Tensor

_LAYERS = (
    keras.layers.Dense,
    keras.layers.EinsumDense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


def axis_values(name: str, value: Any, rank: int) -> tuple[int, ...]:
    """Returns one positive integer per axis, or raises ValueError."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,) * rank
    if len(values) != rank:
        raise ValueError(
            f"`{name}` is a positive integer, or one for each of {rank} axes. "
            f"Received: {name}={value!r}"
        )
    return tuple(checks.whole(name, number) for number in values)


@dataclasses.dataclass(frozen=True)
class EinsumMap:
    """x -> einsum(x, kernel) with the batch left out. Vectors have one axis a letter.

    Args:
        kernel_axes: Letters of the kernel, such as "io" for a Dense layer.
        input_axes: Letters of one input that the kernel has too.
        output_axes: Letters of one output that the kernel has too.
        right_shape: Shape of an input.
        left_shape: Shape of an output.
    """

    kernel_axes: str
    input_axes: str
    output_axes: str
    right_shape: tuple[int, ...]
    left_shape: tuple[int, ...]

    def apply(self, kernel: Tensor, right: Tensor) -> Tensor:
        """Returns A right."""
        return ops.einsum(
            f"{self.kernel_axes},{self.input_axes}->{self.output_axes}", kernel, right
        )

    def transpose(self, kernel: Tensor, left: Tensor) -> Tensor:
        """Returns A^T left."""
        return ops.einsum(f"{self.kernel_axes},{self.output_axes}->{self.input_axes}", kernel, left)


def einsum_map(equation: str, kernel_shape: Shape) -> EinsumMap:
    """Reads the map from the equation of an `EinsumDense` layer.

    Args:
        equation: Such as "abc,cd->abd".
        kernel_shape: Shape of its kernel.

    Raises:
        ValueError: An axis of the kernel or of the input is summed by itself.
    """
    inputs, rest = equation.replace(" ", "").replace("...", "").split(",")
    kernel, outputs = rest.split("->")
    alone = [letter for letter in kernel if letter not in inputs + outputs]
    alone += [letter for letter in inputs if letter not in kernel + outputs]
    if alone:
        raise ValueError(
            "Each axis in `equation` must be contracted between input and kernel, new in the "
            f"output, or kept. Summed by itself: {', '.join(alone)}. Received: equation={equation}"
        )
    sizes = dict(zip(kernel, kernel_shape, strict=True))
    right = "".join(letter for letter in kernel if letter in inputs)
    left = "".join(letter for letter in kernel if letter in outputs)
    shapes = (tuple(sizes[letter] for letter in letters) for letters in (right, left))
    return EinsumMap(kernel, right, left, *shapes)


@dataclasses.dataclass(frozen=True)
class ConvolutionMap:
    """A convolution of inputs of one spatial size. Vectors are `[1, *size, channels]`.

    Args:
        kernel_shape: `[*kernel_size, channels // groups, filters]`.
        input_size: Spatial size of the input, static.
        strides: One per axis.
        padding: "valid", "same" or "causal".
        dilation_rate: One per axis.
        groups: Number of groups of channels.
    """

    kernel_shape: tuple[int, ...]
    input_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str
    dilation_rate: tuple[int, ...]
    groups: int = 1

    @property
    def _reach(self) -> tuple[int, ...]:
        sizes = zip(self.kernel_shape[:-2], self.dilation_rate, strict=True)
        return tuple((kernel - 1) * dilation + 1 for kernel, dilation in sizes)

    @property
    def output_size(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        used = self.input_size
        if self.padding == "valid":
            used = tuple(n - k + 1 for n, k in zip(self.input_size, self._reach, strict=True))
        return tuple(-(-n // s) for n, s in zip(used, self.strides, strict=True))

    @property
    def right_shape(self) -> tuple[int, ...]:
        """Shape of an input."""
        return (1, *self.input_size, self.kernel_shape[-2] * self.groups)

    @property
    def left_shape(self) -> tuple[int, ...]:
        """Shape of an output."""
        return (1, *self.output_size, self.kernel_shape[-1])

    def _padded_before(self) -> tuple[int, ...]:
        """Zeros that the convolution puts before the input, one number per axis."""
        if self.padding == "valid":
            return (0,) * len(self.input_size)
        if self.padding == "causal":
            return tuple(k - 1 for k in self._reach)
        axes = zip(self.input_size, self.output_size, self.strides, self._reach, strict=True)
        return tuple(max((out - 1) * s + k - n, 0) // 2 for n, out, s, k in axes)

    def _by_group(
        self, function: Callable[[Tensor, Tensor], Tensor], kernel: Tensor, vector: Tensor
    ) -> Tensor:
        if self.groups == 1:
            return function(kernel, vector)
        kernels = ops.split(kernel, self.groups, axis=-1)
        vectors = ops.split(vector, self.groups, axis=-1)
        parts = [function(k, v) for k, v in zip(kernels, vectors, strict=True)]
        return ops.concatenate(parts, axis=-1)

    def _convolve(
        self, kernel: Tensor, vector: Tensor, padding: str, strides: tuple[int, ...]
    ) -> Tensor:
        return ops.conv(
            vector,
            kernel,
            strides=list(strides),
            padding=padding,
            data_format="channels_last",
            dilation_rate=self.dilation_rate,
        )

    def apply(self, kernel: Tensor, right: Tensor) -> Tensor:
        """Returns A right."""
        padding = self.padding
        if padding == "causal":
            before = ((n, 0) for n in self._padded_before())
            right, padding = ops.pad(right, [(0, 0), *before, (0, 0)]), "valid"
        return self._by_group(
            lambda k, v: self._convolve(k, v, padding, self.strides), kernel, right
        )

    def _scatter(self, kernel: Tensor, vector: Tensor) -> Tensor:
        """Transpose of the convolution without padding, `[1, (out - 1) stride + reach, ...]`."""
        rank = len(self.strides)
        if max(self.dilation_rate) == 1:
            return ops.conv_transpose(
                vector,
                kernel,
                strides=list(self.strides),
                padding="valid",
                output_padding=(0,) * rank,
                data_format="channels_last",
            )
        # TensorFlow has no dilated transpose on the CPU. Dilated layers have stride 1, where the
        # transpose is a convolution with the kernel turned round.
        turned = ops.swapaxes(ops.flip(kernel, axis=tuple(range(rank))), -1, -2)
        around = [(0, 0), *((k - 1, k - 1) for k in self._reach), (0, 0)]
        return self._convolve(turned, ops.pad(vector, around), "valid", (1,) * rank)

    def transpose(self, kernel: Tensor, left: Tensor) -> Tensor:
        """Returns A^T left."""
        full = self._by_group(self._scatter, kernel, left)
        before = self._padded_before()
        axes = zip(before, self.input_size, full.shape[1:-1], strict=True)
        # Inputs to the right of the last window have no influence: zeros.
        after = [max(start + n - size, 0) for start, n, size in axes]
        if any(after):
            full = ops.pad(full, [(0, 0), *((0, n) for n in after), (0, 0)])
        ends = zip(before, self.input_size, strict=True)
        return full[(slice(None), *(slice(start, start + n) for start, n in ends))]


LinearMap: TypeAlias = EinsumMap | ConvolutionMap


def checked_layer(layer: keras.Layer) -> keras.Layer:
    """Returns the layer, or raises ValueError: its kernel must be what it multiplies with."""
    base = next((cls for cls in _LAYERS if isinstance(layer, cls)), None)
    rule = (
        "is a keras.layers.Dense, EinsumDense, Conv1D, Conv2D or Conv3D whose `call` is Keras's "
        "own: only of these is the operator norm known"
    )
    checks.require(base is not None and type(layer).call is base.call, "layer", layer, rule)
    changed = (
        getattr(layer, "lora_rank", None)
        or getattr(layer, "lora_enabled", False)
        or getattr(layer, "quantization_mode", None) is not None
    )
    rule = "has no LoRA and is not quantized: its kernel is then not what it multiplies with"
    return checks.require(not changed, "layer", layer, rule)


def spatial_part(layer: keras.Layer, shape: Shape) -> Shape:
    """Returns the spatial part of the shape of an input of a convolution."""
    return shape[1:-1] if layer.data_format == "channels_last" else shape[2:]


def linear_map_of(
    layer: keras.Layer, input_shape: Shape, input_size: Sequence[int] | None = None
) -> LinearMap:
    """Returns the map of a built layer.

    Args:
        layer: One that `checked_layer` lets through.
        input_shape: Shape of its input.
        input_size: Spatial size of a convolution's input, in place of that in `input_shape`.

    Raises:
        ValueError: A convolution without a static spatial size, or an equation that sums an axis
            by itself.
    """
    kernel_shape = tuple(layer.kernel.shape)
    if isinstance(layer, keras.layers.Dense):
        return einsum_map("...i,io->...o", kernel_shape)
    if isinstance(layer, keras.layers.EinsumDense):
        return einsum_map(layer.equation, kernel_shape)
    size = tuple(input_size or spatial_part(layer, input_shape))
    if None in size:
        raise ValueError(
            "The norm of a convolution belongs to one spatial size of its input. Pass "
            "`input_size`, the largest that will come, or give the input a static size. "
            f"Received: input_shape={tuple(input_shape)}"
        )
    return ConvolutionMap(
        kernel_shape, size, layer.strides, layer.padding, layer.dilation_rate, layer.groups
    )


def check_size(layer: keras.Layer, linear_map: LinearMap, shape: Shape) -> None:
    """Raises ValueError where an input is larger than the norm of a convolution was taken for."""
    measured = getattr(linear_map, "input_size", ())
    sizes = spatial_part(layer, shape) if measured else ()
    if any(n is not None and n > most for n, most in zip(sizes, measured, strict=True)):
        raise ValueError(
            "The norm was taken for inputs of a smaller spatial size, so it is no bound for this "
            "one. Pass `input_size`, the largest that will come. "
            f"Received: inputs.shape={tuple(shape)}, input_size={measured}"
        )
