"""The member-axis forms of stock Keras layers, registered in `batching.lower`.

Each takes `(layer, members, inputs)` with inputs of shape `[members, batch, ...]`, and returns
outputs of the same form. To support another layer, register one more function.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from tfphen.core import keras_internals
from tfphen.population import block_convolution, counter_rng, recurrence
from tfphen.population.batching import Members, fold, lower, lower_by_vectorized_map


def _over_members(value: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Reshapes `[members, channels]` so that it broadcasts against `like`, channels last."""
    ones = (1,) * (len(like.shape) - 2)
    return tf.reshape(value, (value.shape[0], *ones, value.shape[-1]))


@lower.register
def dense(layer: layers.Dense, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """`inputs @ kernel + bias`, one batched matrix product over members."""
    inputs = tf.cast(inputs, layer.compute_dtype)
    if layer.lora_enabled or layer.quantization_mode:
        return lower_by_vectorized_map(layer, members, inputs)
    kernel = members.weight(keras_internals.kernel_of(layer), layer.compute_dtype)
    rows = inputs
    if len(inputs.shape) > 3:
        rows = tf.reshape(inputs, (inputs.shape[0], -1, inputs.shape[-1]))
    outputs = tf.matmul(rows, kernel)
    if layer.use_bias:
        outputs += members.weight(layer.bias, layer.compute_dtype)[:, None]
    if len(inputs.shape) > 3:
        outputs = tf.reshape(outputs, (*tf.unstack(tf.shape(inputs))[:-1], layer.units))
    return layer.activation(outputs)


@lower.register
def einsum_dense(layer: layers.EinsumDense, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """The layer's equation with one more letter in front of each term."""
    letter = next(x for x in "ZYXWVU" if x not in layer.equation)
    terms, out = layer.equation.split("->")
    equation = ",".join(letter + term for term in terms.split(",")) + "->" + letter + out
    inputs = tf.cast(inputs, layer.compute_dtype)
    outputs = tf.einsum(
        equation, inputs, members.weight(keras_internals.kernel_of(layer), layer.compute_dtype)
    )
    if layer.bias is not None:
        bias = members.weight(layer.bias, layer.compute_dtype)
        missing = len(outputs.shape) - len(bias.shape)
        outputs += tf.reshape(bias, (bias.shape[0], *(1,) * missing, *bias.shape[1:]))
    return layer.activation(outputs) if layer.activation is not None else outputs


def _pad(layer: keras.Layer, inputs: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """Returns the inputs with their spatial axes padded according to the layer's `padding`."""
    pads = [(0, 0)] * len(inputs.shape)
    for i, axis in enumerate(axes):
        reach = (layer.kernel_size[i] - 1) * layer.dilation_rate[i]
        if layer.padding == "causal":
            pads[axis] = (reach, 0)
        elif layer.padding == "same":
            size, stride = inputs.shape[axis], layer.strides[i]
            total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
            pads[axis] = (total // 2, total - total // 2)
    return tf.pad(inputs, pads) if any(p != (0, 0) for p in pads) else inputs


def _slices(layer: keras.Layer, inputs: tf.Tensor, axes: Sequence[int]) -> Iterator[tf.Tensor]:
    """Yields the strided slice of `inputs` for each position of the kernel, in its order."""
    outs: list[int] = []
    starts: list[list[int]] = [[]]
    for i, axis in enumerate(axes):
        reach = (layer.kernel_size[i] - 1) * layer.dilation_rate[i]
        outs.append((inputs.shape[axis] - reach - 1) // layer.strides[i] + 1)
        offsets = [k * layer.dilation_rate[i] for k in range(layer.kernel_size[i])]
        starts = [[*s, offset] for s in starts for offset in offsets]
    for start in starts:
        index = [slice(None)] * len(inputs.shape)
        for i, axis in enumerate(axes):
            stop = start[i] + (outs[i] - 1) * layer.strides[i] + 1
            index[axis] = slice(start[i], stop, layer.strides[i])
        yield inputs[tuple(index)]


def _convolution(layer: keras.Layer, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    channels_first = layer.data_format == "channels_first"
    if channels_first or layer.groups > 1 or getattr(layer, "lora_enabled", False):
        return lower_by_vectorized_map(layer, members, inputs)
    inputs = tf.cast(inputs, layer.compute_dtype)
    kernel = members.weight(keras_internals.kernel_of(layer), layer.compute_dtype)
    bias = members.weight(layer.bias, layer.compute_dtype) if layer.use_bias else None
    activation = layer.activation or (lambda x: x)
    if members.native:
        return activation(_native_convolution(layer, inputs, kernel, bias))[None]
    if layer.rank == 2 and inputs.shape[0] is not None:
        size = block_convolution.size_of(layer, inputs.shape[2:4])
        if size > 1:
            return block_convolution.convolution(layer, members, inputs, kernel, bias, size)
    axes = range(2, 2 + layer.rank)
    patches = tf.concat(list(_slices(layer, _pad(layer, inputs, axes), axes)), axis=-1)
    depth = patches.shape[-1]
    flat = tf.reshape(patches, (patches.shape[0], -1, depth))
    outputs = tf.matmul(flat, tf.reshape(kernel, (kernel.shape[0], depth, layer.filters)))
    lead = tf.unstack(tf.shape(patches))[:2] if None in patches.shape[:2] else patches.shape[:2]
    outputs = tf.reshape(outputs, (*lead, *patches.shape[2:-1], layer.filters))
    if bias is not None:
        outputs += _over_members(bias, outputs)
    return activation(outputs)


def _native_convolution(
    layer: keras.Layer, inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None
) -> tf.Tensor:
    """Convolves the only member, without its axis."""
    # Not `inputs[0]`: the gradient of a slice copies the whole.
    inputs, kernel = tf.squeeze(inputs, 0), tf.squeeze(kernel, 0)
    causal = layer.padding == "causal"
    outputs = tf.nn.convolution(
        _pad(layer, inputs, range(1, layer.rank + 1)) if causal else inputs,
        kernel,
        strides=list(layer.strides),
        padding="VALID" if causal else layer.padding.upper(),
        dilations=list(layer.dilation_rate),
    )
    return outputs if bias is None else tf.nn.bias_add(outputs, tf.squeeze(bias, 0))


@lower.register
def conv1d(layer: layers.Conv1D, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """Concatenated strided slices times the kernel: one batched matrix product over members."""
    return _convolution(layer, members, inputs)


@lower.register
def conv2d(layer: layers.Conv2D, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """As `conv1d`, over two spatial axes."""
    return _convolution(layer, members, inputs)


@lower.register
def batch_normalization(
    layer: layers.BatchNormalization, members: Members, inputs: tf.Tensor
) -> tf.Tensor:
    """Moments over the real rows of all replicas; moving averages as in Keras, for each member."""
    inputs = tf.cast(inputs, layer.compute_dtype)
    axis = layer.axis % (len(inputs.shape) - 1) + 1
    if axis != len(inputs.shape) - 1:
        return lower_by_vectorized_map(layer, members, inputs)
    if members.training and layer.trainable:
        values = tf.cast(inputs, tf.float32)
        axes = tuple(range(1, len(inputs.shape) - 1))
        inner = 1
        for size in inputs.shape[2:-1]:
            inner *= size
        if members.row_mask is None:
            rows = tf.fill(tf.shape(inputs)[:2], 1.0)
        else:
            rows = members.row_mask
            ones = (1,) * (len(inputs.shape) - 2)
            values *= tf.reshape(rows, (rows.shape[0], -1, *ones))
        count = members.reduce_sum(tf.reduce_sum(rows, 1))[:, None] * inner
        mean = members.reduce_sum(tf.reduce_sum(values, axes)) / count
        centered = tf.cast(inputs, tf.float32) - _over_members(mean, inputs)
        squares = tf.square(centered)
        if members.row_mask is not None:
            squares *= tf.reshape(rows, (rows.shape[0], -1, *ones))
        variance = members.reduce_sum(tf.reduce_sum(squares, axes)) / count
        for variable, value in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
            old = members.weight(variable)
            members.updates.append(
                (variable, old * layer.momentum + value * (1.0 - layer.momentum))
            )
    else:
        mean = members.weight(layer.moving_mean)
        variance = members.weight(layer.moving_variance)
    scale = tf.math.rsqrt(variance + layer.epsilon)
    if layer.scale:
        scale *= members.weight(layer.gamma, tf.float32)
    offset = -mean * scale
    if layer.center:
        offset += members.weight(layer.beta, tf.float32)
    outputs = tf.cast(inputs, tf.float32) * _over_members(scale, inputs)
    return tf.cast(outputs + _over_members(offset, inputs), layer.compute_dtype)


@lower.register
def embedding(layer: layers.Embedding, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """A lookup in each member's own table."""
    if layer.mask_zero or layer.lora_enabled or layer.quantization_mode:
        raise NotImplementedError(
            f"Embedding {layer.name!r}: `mask_zero`, LoRA and quantization have no member-axis "
            "form."
        )
    table = members.weight(keras_internals.embeddings_of(layer), layer.compute_dtype)
    return tf.gather(table, tf.cast(inputs, tf.int32), batch_dims=1)


def _drop(
    layer: keras.Layer, members: Members, inputs: tf.Tensor, noise_shape: Sequence[int | None]
) -> tf.Tensor:
    if not members.training or layer.rate == 0:
        return inputs
    inputs = tf.cast(inputs, layer.compute_dtype)
    shape = [inputs.shape[i + 1] if size is None else size for i, size in enumerate(noise_shape)]
    shape[0] = tf.shape(inputs)[1] if shape[0] is None else shape[0]
    number = members.layer_numbers[id(layer)]
    numbers = counter_rng.uniform(
        members.keys, members.step, number, tuple(shape), members.first_row
    )
    kept = tf.cast(numbers >= layer.rate, inputs.dtype)
    return inputs * kept * (1.0 / (1.0 - layer.rate))


@lower.register
def dropout(layer: layers.Dropout, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """Masks from each member's own counter-based stream."""
    return _drop(layer, members, inputs, layer.noise_shape or (None,) * (len(inputs.shape) - 1))


@lower.register
def spatial_dropout1d(
    layer: layers.SpatialDropout1D, members: Members, inputs: tf.Tensor
) -> tf.Tensor:
    """Drops whole channels of `[members, batch, steps, channels]`."""
    return _drop(layer, members, inputs, (None, 1, None))


@lower.register
def spatial_dropout2d(
    layer: layers.SpatialDropout2D, members: Members, inputs: tf.Tensor
) -> tf.Tensor:
    """Drops whole channels of `[members, batch, rows, columns, channels]`."""
    if layer.data_format == "channels_first":
        return _drop(layer, members, inputs, (None, None, 1, 1))
    return _drop(layer, members, inputs, (None, 1, 1, None))


@lower.register
def max_pooling2d(layer: layers.MaxPooling2D, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """The maximum of strided slices, or of places in a block, where windows tile the input."""
    rows, columns = layer.pool_size
    channels_last = layer.data_format == "channels_last"
    tiles = layer.strides == layer.pool_size and layer.padding == "valid" and channels_last
    if members.native or not tiles:
        return fold(layer, inputs)
    if (rows, columns) == (2, 2) and id(inputs) in members.blocks:
        return block_convolution.max_pooling_by_two(members, inputs)
    height, width = inputs.shape[2] // rows, inputs.shape[3] // columns
    inputs = inputs[:, :, : height * rows, : width * columns]
    parts = [inputs[:, :, i::rows, j::columns] for i in range(rows) for j in range(columns)]
    outputs = parts[0]
    for part in parts[1:]:
        outputs = tf.maximum(outputs, part)
    return outputs


@lower.register
def multi_head_attention(
    layer: layers.MultiHeadAttention,
    members: Members,
    query: tf.Tensor,
    value: tf.Tensor,
    key: tf.Tensor | None = None,
    **kwargs: Any,
) -> tf.Tensor:
    """Scaled dot-product attention over the second to last axis, heads and members batched."""
    causal = kwargs.pop("use_causal_mask", False)
    if kwargs.pop("return_attention_scores", False) or any(v is not None for v in kwargs.values()):
        raise NotImplementedError(
            f"MultiHeadAttention {layer.name!r}: masks and returned scores have no member-axis "
            f"form; `use_causal_mask` has. Received: {sorted(kwargs)}"
        )
    key = value if key is None else key
    to_query, to_key, to_value, to_output = keras_internals.attention_projections(layer)
    queries = lower(to_query, members, query) * keras_internals.attention_scale(layer)
    keys, values = lower(to_key, members, key), lower(to_value, members, value)
    scores = tf.einsum("nbqhd,nbkhd->nbhqk", queries, keys)
    if causal:
        length, memory = scores.shape[-2:]
        allowed = tf.linalg.band_part(tf.ones((length, memory), tf.bool), -1, 0)
        scores = tf.where(allowed, scores, tf.constant(-1e9, scores.dtype))
    scores = tf.nn.softmax(scores)
    if (dropout := keras_internals.attention_dropout(layer)) is not None:
        scores = lower(dropout, members, scores)
    return lower(to_output, members, tf.einsum("nbhqk,nbkhd->nbqhd", scores, values))


@lower.register(layers.LSTM)
@lower.register(layers.Bidirectional)
def recurrent(layer: layers.Layer, members: Members, inputs: tf.Tensor, **kwargs: Any) -> tf.Tensor:
    """An LSTM, in one or both directions, see `recurrence`.

    With dropout, kept states or masks it goes through `tf.vectorized_map`.
    """
    if kwargs or not recurrence.has_form(layer):
        return lower.dispatch(object)(layer, members, inputs, **kwargs)
    form = recurrence.lstm if isinstance(layer, layers.LSTM) else recurrence.bidirectional
    return form(layer, members, inputs)


def random_layers(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers of `model` that draw random numbers in training, in a fixed order."""
    return [
        layer
        for layer in keras_internals.flattened_layers(model, include_self=False)
        if getattr(layer, "rate", 0) and hasattr(layer, "seed_generator")
    ]
