"""LSTM layers of all members, as one loop over the steps of a sequence.

Keras' own loop does not compile under XLA inside `tf.vectorized_map`. Here the products with the
inputs are taken for all steps at once, and the loop holds one batched product over members.
"""

import tensorflow as tf
from keras import layers

from tfphen.population.batching import Members

_MERGES = {
    "concat": lambda forward, backward: tf.concat((forward, backward), -1),
    "sum": lambda forward, backward: forward + backward,
    "ave": lambda forward, backward: (forward + backward) / 2,
    "mul": lambda forward, backward: forward * backward,
}


def has_form(layer: layers.Layer) -> bool:
    """Whether a layer is an LSTM without dropout or kept state, or two of them side by side."""
    if isinstance(layer, layers.Bidirectional):
        parts = (layer.forward_layer, layer.backward_layer)
        return layer.merge_mode in _MERGES and all(has_form(part) for part in parts)
    return isinstance(layer, layers.LSTM) and not (
        layer.dropout or layer.recurrent_dropout or layer.stateful or layer.return_state
    )


def lstm(layer: layers.LSTM, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """The states `[members, batch, steps, units]`, or the last of them `[members, batch, units]`.

    The layer's `unroll`, which changes only the graph, is ignored.
    """
    cell, dtype = layer.cell, layer.compute_dtype
    recurrent = members.weight(cell.recurrent_kernel, dtype)
    kernel = members.weight(cell.kernel, dtype)
    products = tf.einsum("nbsi,nij->snbj", tf.cast(inputs, dtype), kernel)
    if cell.use_bias:
        products += members.weight(cell.bias, dtype)[:, None]
    if layer.go_backwards:
        products = tf.reverse(products, [0])
    steps, size, batch, _ = products.shape
    state = (size, tf.shape(products)[2], layer.units)
    # TensorArrays, whose static sizes XLA needs for the gradient.
    by_step = tf.TensorArray(dtype, steps, element_shape=products.shape[1:]).unstack(products)
    kept = steps if layer.return_sequences else 0
    states = tf.TensorArray(dtype, kept, element_shape=(size, batch, layer.units))

    def advance(
        step: tf.Tensor, hidden: tf.Tensor, carry: tf.Tensor, states: tf.TensorArray
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
        gates = by_step.read(step) + tf.matmul(hidden, recurrent)
        enter, forget, candidate, leave = tf.split(gates, 4, axis=-1)
        carry = layer.recurrent_activation(forget) * carry
        carry += layer.recurrent_activation(enter) * layer.activation(candidate)
        hidden = layer.recurrent_activation(leave) * layer.activation(carry)
        if layer.return_sequences:
            states = states.write(step, hidden)
        return step + 1, hidden, carry, states

    zeros = tf.zeros(state, dtype)
    _, hidden, _, states = tf.while_loop(
        lambda step, *_: step < steps,
        advance,
        (tf.constant(0), zeros, zeros, states),
        maximum_iterations=steps,
    )
    return tf.transpose(states.stack(), (1, 2, 0, 3)) if layer.return_sequences else hidden


def bidirectional(layer: layers.Bidirectional, members: Members, inputs: tf.Tensor) -> tf.Tensor:
    """Both directions, merged, with the steps of the backward one in forward order."""
    forward = lstm(layer.forward_layer, members, inputs)
    backward = lstm(layer.backward_layer, members, inputs)
    if layer.return_sequences:
        backward = tf.reverse(backward, [2])
    return _MERGES[layer.merge_mode](forward, backward)
