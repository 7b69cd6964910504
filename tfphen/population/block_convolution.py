"""Small two-dimensional convolutions as matrix products over blocks of outputs.

A convolution with few channels is an inefficient matrix product: in LeNet's first layer each patch
of 25 numbers gives 6 outputs. Here one patch covers the receptive field of a whole block of s × s
neighboring outputs, and one product computes all of them with a kernel that holds the layer's
kernel s × s times, shifted. That adds multiplications by zero, and saves most copies of patches.

Outputs stay in block form for the layers that can read it: the four outputs of a two-by-two pooling
window have an axis of their own, and the next convolution reads blocks. Every layer also returns
the standard form; where nothing reads it, the compiler drops it.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfphen.core.types import Floats, Shape

if TYPE_CHECKING:
    from tfphen.population.batching import Members

# Row and column within a block of each of its outputs, in memory order.
Order: TypeAlias = tuple[tuple[int, int], ...]

# Most outputs of one product, and most extra work through zeros. Measured on a CPU: beyond these,
# the plain product is wide enough.
_MOST_COLUMNS = 96
_MOST_WORK = 2.6

# A block holds channels of several outputs side by side, so an activation must not mix them.
_ELEMENTWISE = (
    None,
    keras.activations.linear,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.leaky_relu,
    keras.activations.elu,
    keras.activations.gelu,
    keras.activations.silu,
    keras.activations.softplus,
    keras.activations.sigmoid,
    keras.activations.tanh,
)


@dataclasses.dataclass(frozen=True)
class Blocks:
    """The block form of an activation.

    Attributes:
        standard: The standard form, `[members, batch, rows, columns, channels]`.
        values: `[members, batch, rows / size, columns / size, 4, windows * channels]`: the four
            places of a window of two by two, and the windows of the block row by row.
        size: Rows and columns of a block.
    """

    standard: tf.Tensor
    values: tf.Tensor
    size: int


def _order(size: int) -> Order:
    """Returns the order of outputs in block form."""
    half = range(size // 2)
    windows = [(row, column) for row in half for column in half]
    places = [(row, column) for row in (0, 1) for column in (0, 1)]
    return tuple((2 * a + i, 2 * b + j) for i, j in places for a, b in windows)


def _row_by_row(size: int) -> Order:
    return tuple((row, column) for row in range(size) for column in range(size))


def _reach(kernel: int, size: int) -> int:
    """Returns the number of input blocks, along one axis, on which one block of outputs depends."""
    return -(-(kernel + size - 1) // size)


def size_of(layer: keras.layers.Conv2D, spatial: Shape) -> int:
    """Returns the block size of a `Conv2D` on inputs of these rows and columns; 1 for none."""
    if layer.strides != (1, 1) or layer.dilation_rate != (1, 1) or None in spatial:
        return 1
    if layer.data_format != "channels_last" or layer.groups > 1:
        return 1
    if layer.activation not in _ELEMENTWISE:
        return 1
    kernel = layer.kernel_size
    if layer.padding == "valid":
        spatial = tuple(n - k + 1 for n, k in zip(spatial, kernel, strict=True))
    for size in (4, 2):
        fits = all(n % size == 0 for n in spatial) and size**2 * layer.filters <= _MOST_COLUMNS
        if fits and extra_work(kernel, size) <= _MOST_WORK:
            return size
    return 1


def extra_work(kernel: tuple[int, int], size: int) -> float:
    """Returns the factor by which blocks increase the multiplications of a convolution."""
    return 1.0 if size == 1 else float(np.prod([_reach(k, size) * size / k for k in kernel]))


@functools.cache
def _placement(kernel: tuple[int, int], size: int, order: Order) -> Floats:
    """Returns the place of each number of a kernel in the block kernel, as zeros and ones.

    Shape `[blocks of inputs, size * size, outputs, kernel rows * kernel columns]`, flattened but
    for the last axis.
    """
    reach = [_reach(k, size) for k in kernel]
    out = _order(size)
    places = np.zeros((*reach, size**2, size**2, kernel[0] * kernel[1]), "float32")
    for top, left, i, o in np.ndindex(places.shape[:-1]):
        row = top * size + order[i][0] - out[o][0]
        column = left * size + order[i][1] - out[o][1]
        if 0 <= row < kernel[0] and 0 <= column < kernel[1]:
            places[top, left, i, o, row * kernel[1] + column] = 1.0
    return places.reshape(-1, places.shape[-1])


def _block_kernel(kernel: tf.Tensor, size: int, order: Order) -> tf.Tensor:
    """Returns the matrix of a block, `[members, inputs of a block's window, outputs]`."""
    members, rows, columns, channels, filters = kernel.shape
    places = tf.constant(_placement((rows, columns), size, order), kernel.dtype)
    flat = tf.reshape(kernel, (members, rows * columns, channels * filters))
    placed = tf.reshape(places @ flat, (members, -1, size**2, channels, filters))
    return tf.reshape(tf.transpose(placed, (0, 1, 3, 2, 4)), (members, -1, size**2 * filters))


def _to_blocks(inputs: tf.Tensor, size: int) -> tf.Tensor:
    """Returns `[members, batch, rows / size, columns / size, size * size * channels]`.

    Inputs of a block are in row-major order. A concatenation is written to memory once, where XLA
    would repeat a transposition for each slice that reads it.
    """
    members, _, rows, columns, channels = inputs.shape
    rows, columns = rows // size, columns // size
    split = tf.reshape(inputs, (members, -1, rows, size, columns, size * channels))
    return tf.concat([split[:, :, :, i] for i in range(size)], -1)


def _to_standard(values: tf.Tensor, size: int) -> tf.Tensor:
    """Returns block form as `[members, batch, rows, columns, channels]`."""
    members, _, rows, columns, _, inner = values.shape
    half = size // 2
    channels = inner // half**2
    split = tf.reshape(values, (members, -1, rows, columns, 2, 2, half, half, channels))
    return tf.reshape(
        tf.transpose(split, (0, 1, 2, 6, 4, 3, 7, 5, 8)),
        (members, -1, rows * size, columns * size, channels),
    )


def _remember(members: "Members", values: tf.Tensor, size: int) -> tf.Tensor:
    standard = _to_standard(values, size)
    # A reference to the standard form keeps its id from being reused for another tensor.
    members.blocks[id(standard)] = Blocks(standard, values, size)
    return standard


def convolution(
    layer: keras.layers.Conv2D,
    members: "Members",
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor | None,
    size: int,
) -> tf.Tensor:
    """Applies a `Conv2D` with stride 1, in blocks.

    Args:
        layer: The `keras.layers.Conv2D`.
        members: The forward pass, whose `blocks` are read and filled.
        inputs: `[members, batch, rows, columns, channels]`.
        kernel: `[members, kernel rows, kernel columns, channels, filters]`.
        bias: `[members, filters]`, or None.
        size: The block size, from `size_of`.

    Returns:
        The outputs in standard form, `[members, batch, rows, columns, filters]`.
    """
    source, order, blocks = _source(layer, members, inputs, size)
    rows, columns = blocks
    reach = [_reach(k, size) for k in layer.kernel_size]
    taps = [(i, j) for i in range(reach[0]) for j in range(reach[1])]
    patches = tf.concat([source[:, :, i : i + rows, j : j + columns] for i, j in taps], -1)
    flat = tf.reshape(patches, (patches.shape[0], -1, patches.shape[-1]))
    windows = (size // 2) ** 2
    values = tf.reshape(
        flat @ _block_kernel(kernel, size, order),
        (patches.shape[0], -1, rows, columns, 4, windows * layer.filters),
    )
    if bias is not None:
        # Bias, activation and pooling in one shape, which XLA fuses into one simple loop.
        values += tf.tile(bias, (1, windows))[:, None, None, None, None]
    if layer.activation is not None:
        values = layer.activation(values)
    return _remember(members, values, size)


def _source(
    layer: keras.layers.Conv2D, members: "Members", inputs: tf.Tensor, size: int
) -> tuple[tf.Tensor, Order, list[int]]:
    """Returns inputs as blocks, the order within a block, and the numbers of output blocks.

    The inputs have shape `[members, batch, rows, columns, size * size * channels]`.
    """
    pads, blocks = [(0, 0), (0, 0)], []
    for n, k in zip(inputs.shape[2:4], layer.kernel_size, strict=True):
        same = layer.padding == "same"
        before = (k - 1) // 2 if same else 0
        blocks.append((n if same else n - k + 1) // size)
        pads.append((before, (blocks[-1] + _reach(k, size) - 1) * size - before - n))
    known = members.blocks.get(id(inputs))
    if all(pad == (0, 0) for pad in pads):
        if known is not None and known.size == size:
            count, _, rows, columns, *inner = known.values.shape
            values = tf.reshape(known.values, (count, -1, rows, columns, inner[0] * inner[1]))
            return values, _order(size), blocks
        return _to_blocks(inputs, size), _row_by_row(size), blocks
    return _to_blocks(tf.pad(inputs, [*pads, (0, 0)]), size), _row_by_row(size), blocks


@tf.custom_gradient
def _window_maximum(
    windows: tf.Tensor,
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Maximum over the second to last axis. The gradient goes to the first maximum, as in Keras."""
    maximum = tf.reduce_max(windows, -2)
    # As an index: XLA would repeat comparisons with the maximum for each output.
    first = tf.argmax(windows, -2, output_type=tf.int32)[..., None, :]
    places = tf.range(windows.shape[-2])[:, None]

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return tf.where(first == places, upstream[..., None, :], tf.zeros((), upstream.dtype))

    return maximum, gradient


def max_pooling_by_two(members: "Members", inputs: tf.Tensor) -> tf.Tensor:
    """Pools windows of two by two of an activation that has a block form."""
    known = members.blocks[id(inputs)]
    pooled = _window_maximum(known.values)
    if known.size == 2:
        return pooled
    count, _, rows, columns, inner = pooled.shape
    values = tf.reshape(pooled, (count, -1, rows, columns, 4, inner // 4))
    return _remember(members, values, 2)
