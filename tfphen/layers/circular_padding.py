"""Circular padding, for exactly shift-invariant networks."""

import numbers
from typing import Any, TypeAlias

import keras
from keras import ops

from tfphen.core.types import Shape, Tensor, TensorLike

# The same on all sides, (height, width), or ((top, bottom), (left, right)).
Padding: TypeAlias = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


def checked_pair(value: Any, name: str, least: int, what: str) -> tuple[int, int]:
    """Normalizes an integer, or a pair of them, to a pair.

    Raises:
        ValueError: Neither, or one is below `least`.
    """
    pair = (value, value) if isinstance(value, numbers.Integral) else value
    whole = isinstance(pair, (tuple, list)) and len(pair) == 2
    if not whole or not all(
        isinstance(x, numbers.Integral) and not isinstance(x, bool) and int(x) >= least
        for x in pair
    ):
        raise ValueError(f"`{name}` must be {what}. Received: {name}={value!r}")
    return int(pair[0]), int(pair[1])


def checked_padding(padding: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns `((top, bottom), (left, right))` of one of the argument's three forms."""
    what = (
        "a non-negative integer, a pair (height, width), or ((top, bottom), (left, right)) of them"
    )
    pair = padding
    if isinstance(padding, numbers.Integral):
        pair = (padding, padding)
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise ValueError(f"`padding` must be {what}. Received: padding={padding!r}")
    try:
        rows, columns = (checked_pair(side, "padding", 0, what) for side in pair)
    except ValueError:
        raise ValueError(f"`padding` must be {what}. Received: padding={padding!r}") from None
    return rows, columns


def checked_data_format(data_format: str | None) -> str:
    """Returns the position of the channels, Keras's setting for None."""
    if data_format is None:
        return keras.config.image_data_format()
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            '`data_format` must be "channels_last", "channels_first" or None. '
            f"Received: data_format={data_format!r}"
        )
    return data_format


def spatial_axes(data_format: str) -> tuple[int, int]:
    """Returns the axes of rows and columns of a batch of images."""
    return (2, 3) if data_format == "channels_first" else (1, 2)


def checked_images(inputs: TensorLike, what: str) -> Tensor:
    """Converts a batch of images to a tensor of four axes.

    Raises:
        ValueError: It does not have four axes.
    """
    inputs = ops.convert_to_tensor(inputs)
    if len(inputs.shape) != 4:
        raise ValueError(
            f"`inputs` of `{what}` must be a batch of images, with four axes. "
            f"Received: inputs of shape {tuple(inputs.shape)}"
        )
    return inputs


def wrap(values: Tensor, before: int, after: int, axis: int) -> Tensor:
    """Extends a tensor periodically along an axis, over several periods where needed."""
    size = values.shape[axis]
    if size is None:
        # A size that is only known when the program runs.
        size = ops.shape(values)[axis]
        places = ops.arange(size + before + after, dtype="int32") - before
        return ops.take(values, ops.mod(places, size), axis=axis)
    periods_before, rest_before = divmod(before, size)
    periods_after, rest_after = divmod(after, size)

    def part(start: int, stop: int) -> Tensor:
        return values[(*[slice(None)] * axis, slice(start, stop))]

    parts = [values] * (periods_before + 1 + periods_after)
    if rest_before:
        parts.insert(0, part(size - rest_before, size))
    if rest_after:
        parts.append(part(0, rest_after))
    return ops.concatenate(parts, axis=axis) if len(parts) > 1 else values


def circular_padding_2d(
    inputs: TensorLike, padding: Padding, data_format: str | None = None
) -> Tensor:
    """Pads images periodically beyond their borders.

        out[i, j] = in[(i - top) mod height, (j - left) mod width]

    Args:
        inputs: Images, `[batch, height, width, channels]`, or `[batch, channels, height, width]`
            with `data_format="channels_first"`, of any dtype.
        padding: As in `CircularPadding2D`.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.

    Returns:
        A tensor like `inputs` with `height + top + bottom` rows and `width + left + right` columns.

    Raises:
        ValueError: Inputs that are not images, or a padding that is negative or of another form.

    Example:

    >>> from keras import ops
    >>> row = ops.reshape(ops.arange(3), (1, 1, 3, 1))
    >>> padded = circular_padding_2d(row, ((0, 0), (1, 2)))
    >>> ops.convert_to_numpy(padded).ravel().tolist()
    [2, 0, 1, 2, 0, 1]

    When not to use:
        See `CircularPadding2D`.

    Reference:
        V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness", NeurIPS 2021,
        arXiv 2103.02695.
    """
    sides = checked_padding(padding)
    inputs = checked_images(inputs, "circular_padding_2d")
    axes = spatial_axes(checked_data_format(data_format))
    for axis, (before, after) in zip(axes, sides, strict=True):
        inputs = wrap(inputs, before, after, axis)
    return inputs


@keras.saving.register_keras_serializable(package="tfphen")
class CircularPadding2D(keras.layers.Layer):
    """Pads images periodically beyond their borders.

        out[i, j] = in[(i - top) mod height, (j - left) mod width]

    A convolution with `padding="valid"` and stride 1 after it commutes with circular shifts of the
    image, and a network of such layers and pointwise ones, ended by a global pooling, is exactly
    invariant to them. For a kernel of size k the padding `((k - 1) // 2, k // 2)` on both axes
    keeps the size; `k // 2` on all sides does so for odd k only, and with an even k gives a map in
    which one row and one column appear twice, which breaks the invariance.

    A padding beyond the image's size wraps several times.

    Args:
        padding: A non-negative integer for all four sides, a pair `(height, width)`, or
            `((top, bottom), (left, right))`.
        data_format: `"channels_last"`, `"channels_first"`, or None for Keras's setting.
        **kwargs: Keyword arguments of `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: Images, `[batch, height, width, channels]`, or `[batch, channels, height, width]`.

    Returns:
        Images with `height + top + bottom` rows and `width + left + right` columns.

    Raises:
        ValueError: A padding that is negative or of another form, or inputs that are not images.

    Example:

    >>> inputs = keras.Input((9, 9, 1))
    >>> x = CircularPadding2D(2)(inputs)
    >>> x = keras.layers.Conv2D(8, 5, activation="relu")(x)
    >>> x.shape
    (None, 9, 9, 8)
    >>> model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    >>> image = keras.random.normal((1, 9, 9, 1), seed=0)
    >>> moved = keras.ops.roll(image, 4, axis=2)
    >>> bool(keras.ops.max(keras.ops.abs(model(image) - model(moved))) < 1e-6)
    True

    When not to use:
        On images whose opposite borders have nothing in common, unless invariance to circular
        shifts is the aim: zero padding tells a network where the border is, and this one shows it
        an edge that is not there. With strides or pooling the invariance is lost for shifts that
        are not multiples of them; see `BlurPool2D`.

    Migration:
        From PyTorch's `Conv2d(..., padding=p, padding_mode="circular")` or `CircularPad2d(p)`:
        `CircularPadding2D(p)` and `Conv2D(..., padding="valid")`. PyTorch orders four numbers left,
        right, top, bottom, refuses to wrap more than once, and before 1.5 padded half of p. From
        `keras.layers.ZeroPadding2D`: the same arguments.

    Reference:
        V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness", NeurIPS 2021,
        arXiv 2103.02695.
    """

    def __init__(
        self, padding: Padding = (1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.padding = checked_padding(padding)
        self.data_format = checked_data_format(data_format)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs: Tensor) -> Tensor:
        return circular_padding_2d(inputs, self.padding, self.data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        shape = list(input_shape)
        for axis, sides in zip(spatial_axes(self.data_format), self.padding, strict=True):
            shape[axis] = None if shape[axis] is None else shape[axis] + sum(sides)
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "padding": [list(sides) for sides in self.padding],
            "data_format": self.data_format,
        }
