"""Blur pooling: anti-aliased downsampling that is nearly shift-equivariant."""

import math
from typing import Any

import keras
from keras import ops

from tfphen.core.types import Shape, Tensor, TensorLike
from tfphen.layers.circular_padding import (
    checked_data_format,
    checked_images,
    checked_pair,
    spatial_axes,
    wrap,
)

_PADDINGS = ("reflect", "circular", "zero")


def checked_blur(
    pool_size: Any, strides: Any, padding: Any
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns sizes and strides as pairs.

    Raises:
        ValueError: One of them, or `padding`, is invalid.
    """
    if padding not in _PADDINGS:
        raise ValueError(
            f"`padding` must be one of {', '.join(map(repr, _PADDINGS))}. "
            f"Received: padding={padding!r}"
        )
    what = "a positive integer or a pair of them, for height and width"
    return checked_pair(pool_size, "pool_size", 1, what), checked_pair(strides, "strides", 1, what)


def _check_sizes(
    shape: Shape, axes: tuple[int, int], pool_size: tuple[int, int], padding: str
) -> None:
    for axis, size in zip(axes, pool_size, strict=True):
        if padding == "reflect" and shape[axis] is not None and size // 2 >= shape[axis]:
            raise ValueError(
                f"`pool_size` with reflection needs images of more than {size // 2} rows or "
                'columns; use a smaller one, or `padding="circular"`. '
                f"Received: pool_size={pool_size}, inputs of shape {tuple(shape)}"
            )


def _part(values: Tensor, axis: int, start: int | None, stop: int | None, step: int = 1) -> Tensor:
    return values[(*[slice(None)] * axis, slice(start, stop, step))]


def _reflected(values: Tensor, before: int, after: int, axis: int) -> Tensor:
    """Mirrors a tensor at both ends of an axis; the ends themselves are not repeated.

    Written out, since with PyTorch `ops.pad` does not mirror every axis.
    """
    parts = [values]
    if before:
        parts.insert(0, ops.flip(_part(values, axis, 1, before + 1), axis=axis))
    if after:
        parts.append(ops.flip(_part(values, axis, -after - 1, -1), axis=axis))
    return ops.concatenate(parts, axis=axis) if len(parts) > 1 else values


def blur_pool_2d(
    inputs: TensorLike,
    pool_size: int | tuple[int, int] = 3,
    strides: int | tuple[int, int] = 2,
    padding: str = "reflect",
    data_format: str | None = None,
) -> Tensor:
    """Blurs images with a binomial filter and keeps every s-th row and column.

        out[i] = 2^(1 - m) Σ_t C(m - 1, t) in[s i + t - ⌊(m - 1) / 2⌋],    t = 0..m - 1

    on rows, then on columns, each channel separately.

    Args:
        inputs: Images, floats, `[batch, height, width, channels]`, or `[batch, channels, height,
            width]` with `data_format="channels_first"`.
        pool_size: Size m of the filter, an integer or a pair.
        strides: s, an integer or a pair.
        padding: `"reflect"`, `"circular"` or `"zero"`: the padding at the border.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.

    Returns:
        Images of `ceil(height / s)` rows and `ceil(width / s)` columns, of the dtype of `inputs`.

    Raises:
        ValueError: An invalid setting, inputs that are not images, or reflection of more rows or
            columns than there are.

    Example:

    >>> from keras import ops
    >>> row = ops.reshape(ops.array([0.0, 4.0, 0.0, 0.0]), (1, 1, 4, 1))
    >>> ops.convert_to_numpy(blur_pool_2d(row, (1, 3), (1, 2))).ravel().tolist()
    [2.0, 1.0]

    When not to use:
        See `BlurPool2D`.

    Reference:
        R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019,
        arXiv 1904.11486.
    """
    pool_size, strides = checked_blur(pool_size, strides, padding)
    values = checked_images(inputs, "blur_pool_2d")
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(values.dtype)):
        raise ValueError(f"`inputs` must be floats. Received: inputs of dtype {values.dtype}")
    axes = spatial_axes(checked_data_format(data_format))
    _check_sizes(values.shape, axes, pool_size, padding)
    for axis, size, stride in zip(axes, pool_size, strides, strict=True):
        before, after = (size - 1) // 2, size // 2
        if padding == "circular":
            values = wrap(values, before, after, axis)
        elif padding == "reflect":
            values = _reflected(values, before, after, axis)
        else:
            sides = [(0, 0)] * 4
            sides[axis] = (before, after)
            values = ops.pad(values, sides)
        # Sums of strided slices: unlike a depthwise convolution they have a fast form with and
        # without a compiler, and with channels in either place.
        shares = [math.comb(size - 1, t) / 2 ** (size - 1) for t in range(size)]
        parts = []
        for t, share in enumerate(shares):
            parts.append(share * _part(values, axis, t, (t - size + 1) or None, stride))
        values = sum(parts[1:], parts[0])
    return values


@keras.saving.register_keras_serializable(package="tfphen")
class BlurPool2D(keras.layers.Layer):
    """Anti-aliased downsampling: a fixed binomial blur, then every s-th row and column.

        out[i] = 2^(1 - m) Σ_t C(m - 1, t) in[s i + t - ⌊(m - 1) / 2⌋],    t = 0..m - 1

    on rows, then on columns, each channel separately. The filters are those of the paper: m = 2 is
    its Rect-2, m = 3 its Tri-3, m = 5 its Bin-5. The paper replaces max pooling by max pooling of
    stride 1 and this layer, a strided convolution by one of stride 1, its activation and this
    layer, and average pooling by this layer.

    With `padding="circular"` and sizes that the strides divide, a circular shift of the input by s
    is a shift of the output by one, exactly; other shifts change the output less than they do
    without the blur, but do change it.

    Args:
        pool_size: Size m of the filter, a positive integer or a pair `(height, width)`.
        strides: s, a positive integer or a pair.
        padding: Padding at the border: `"reflect"` (the border itself not repeated; the authors'
            setting), `"circular"` or `"zero"`.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.
        **kwargs: Keyword arguments of `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: Images, floats, `[batch, height, width, channels]`, or `[batch, channels, height,
            width]`.

    Returns:
        Images of `ceil(height / s)` rows and `ceil(width / s)` columns.

    Raises:
        ValueError: An invalid setting, inputs that are not images, or reflection of more rows or
            columns than there are.

    Example:

    >>> inputs = keras.Input((32, 32, 16))
    >>> x = keras.layers.MaxPooling2D(2, strides=1, padding="same")(inputs)
    >>> BlurPool2D(3)(x).shape
    (None, 16, 16, 16)

    When not to use:
        For exact shift invariance: only stride 1 gives that. On inputs of one or two pixels, or
        where high frequencies decide the class. The convolution before it runs at full resolution,
        which costs s² times the work of a strided one.

    Migration:
        From `antialiased_cnns.BlurPool(channels, pad_type="reflect", filt_size=4, stride=2)`:
        `BlurPool2D(4, strides=2, padding="reflect")`; the number of channels is read from the
        inputs, `pad_type="zero"` is `padding="zero"`, and `"replicate"` and `pad_off` are not
        there. Its default filter has size 4, the paper's tables 2, 3 and 5.

    Reference:
        R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019,
        arXiv 1904.11486.
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 3,
        strides: int | tuple[int, int] = 2,
        padding: str = "reflect",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size, self.strides = checked_blur(pool_size, strides, padding)
        self.padding = padding
        self.data_format = checked_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape: Shape) -> None:
        _check_sizes(input_shape, spatial_axes(self.data_format), self.pool_size, self.padding)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        # Integer images too: layers cast floats only.
        inputs = ops.cast(inputs, self.compute_dtype)
        return blur_pool_2d(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        for axis, stride in zip(spatial_axes(self.data_format), self.strides, strict=True):
            shape[axis] = None if shape[axis] is None else -(-shape[axis] // stride)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": list(self.pool_size),
            "strides": list(self.strides),
            "padding": self.padding,
            "data_format": self.data_format,
        }
