"""Runs an ordinary Keras model with a leading member axis on every weight and activation.

`forward(model, inputs, members)` walks the graph of a functional or sequential Keras model and
replaces each layer by its member-axis form from a table (`lower.register`, see `keras_rules`).
Activations have shape `[members, batch, ...]`. An operation without weights or randomness that
treats examples one by one (activations, pooling, reshapes, sums) needs no entry: members are
folded into the batch. A layer with weights and no entry goes through `tf.vectorized_map`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import tensorflow as tf

from tfphen.core import keras_internals

if TYPE_CHECKING:
    from tfphen.population.block_convolution import Blocks
    from tfphen.population.mixup import Mixture


# New values of variables: pairs (template variable, new stacked value).
Updates: TypeAlias = list[tuple[keras.Variable, tf.Tensor]]


@dataclasses.dataclass
class Members:
    """Inputs and results of a member-axis forward pass.

    Attributes:
        weights: Stacked value of each template variable, shape `[members, ...]`, by `id`.
        training: Whether layers behave as in training.
        row_mask: 1 for a real row and 0 for padding, `[members, batch]`, or None for no padding.
        keys: Keys of the members' dropout streams, `[members, 2]`, uint32; None outside training.
        step: Training step, a scalar, for dropout.
        first_row: Position of this replica's first row in the global batch.
        layer_numbers: Number of each layer with randomness, by `id`.
        native: Whether there is one member only, and convolutions run on the native kernels.
        mixture: The mixup of a training step; None for none.
        reduce_sum: Sums a statistic over replicas before it is used or assigned.
        activations: Outputs by layer name, filled by the pass.
        blocks: Block forms of activations, by the `id` of the standard form.
        updates: Pairs (template variable, new stacked value), filled by the pass. For a trainable
            variable the value is a projection, from which the optimizer starts.
    """

    weights: dict[int, tf.Tensor]
    training: bool = False
    row_mask: tf.Tensor | None = None
    keys: tf.Tensor | None = None
    step: tf.Tensor | int = 0
    first_row: tf.Tensor | int = 0
    layer_numbers: dict[int, int] = dataclasses.field(default_factory=dict)
    native: bool = False
    mixture: "Mixture | None" = None
    reduce_sum: Callable[[tf.Tensor], tf.Tensor] = lambda x: x
    activations: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    blocks: "dict[int, Blocks]" = dataclasses.field(default_factory=dict)
    updates: Updates = dataclasses.field(default_factory=list)

    def weight(self, variable: keras.Variable, dtype: str | None = None) -> tf.Tensor:
        """Returns the stacked value of a template variable, cast to `dtype`."""
        value = self.weights[id(variable)]
        return value if dtype is None else tf.cast(value, dtype)


def forward(model: keras.Model, inputs: tf.Tensor, members: Members) -> tf.Tensor:
    """Runs `model` on `inputs` of shape `[members, batch, ...]`.

    Returns:
        The model's outputs, shape `[members, batch, ...]`.
    """
    graph = keras_internals.functional_of(model)
    if graph is None:
        return lower_by_vectorized_map(model, members, inputs)
    return keras_internals.run_through_graph(
        graph, inputs, lambda operation: functools.partial(_apply, operation, members)
    )


def _apply(operation: Any, members: Members, *args: Any, **kwargs: Any) -> Any:
    kwargs.pop("training", None)
    if kwargs.get("mask") is None:
        kwargs.pop("mask", None)
    outputs = lower(operation, members, *args, **kwargs)
    if members.mixture is not None:
        outputs = members.mixture.at(operation.name, outputs)
    members.activations[operation.name] = outputs
    return outputs


@functools.singledispatch
def lower(operation: Any, members: Members, *args: Any, **kwargs: Any) -> Any:
    """Applies the member-axis form of a Keras operation. Register a layer class to add a form."""
    if isinstance(operation, keras.Model):
        return forward(operation, args[0], members)
    if not isinstance(operation, keras.Layer):
        return fold(operation, *args, **kwargs)
    if _draws(operation):
        raise NotImplementedError(
            f"Layer {operation.name!r} ({type(operation).__name__}) draws random numbers and has "
            "no member-axis form. Register one with `tfphen.population.batching.lower.register`."
        )
    if operation.variables:
        return lower_by_vectorized_map(operation, members, *args, **kwargs)
    return fold(operation, *args, **kwargs)


def _draws(layer: keras.Layer) -> bool:
    """Whether a layer draws random numbers in training. Recurrent layers with rate 0 do not."""
    for part in keras_internals.flattened_layers(layer):
        if any(isinstance(value, keras.random.SeedGenerator) for value in vars(part).values()):
            names = ("rate", "dropout", "recurrent_dropout")
            rates = [getattr(part, name) for name in names if hasattr(part, name)]
            if not rates or any(rates):
                return True
    return False


def fold(operation: Any, *args: Any, **kwargs: Any) -> Any:
    """Applies an operation that treats examples one by one, with members folded into the batch."""
    tensors = [x for x in keras.tree.flatten((args, kwargs)) if tf.is_tensor(x)]
    lead = tf.shape(tensors[0])[:2] if None in tensors[0].shape[:2] else tensors[0].shape[:2]

    def merge(x: Any) -> Any:
        return tf.reshape(x, (lead[0] * lead[1], *x.shape[2:])) if tf.is_tensor(x) else x

    args, kwargs = keras.tree.map_structure(merge, (args, kwargs))
    outputs = operation(*args, **kwargs)
    return keras.tree.map_structure(
        lambda x: tf.reshape(x, (lead[0], lead[1], *x.shape[1:])), outputs
    )


def lower_by_vectorized_map(layer: keras.Layer, members: Members, *args: Any, **kwargs: Any) -> Any:
    """Applies any layer to each member through `tf.vectorized_map` over `stateless_call`."""
    trainable = [members.weight(v) for v in layer.trainable_variables]
    # An unused seed, as in a recurrent layer without dropout, is not a weight of the model.
    kept = [v for v in layer.non_trainable_variables if id(v) in members.weights]
    other = [members.weight(v) for v in kept]
    unused = {id(v): v.value for v in layer.non_trainable_variables if id(v) not in members.weights}
    if keras_internals.takes_training(layer):
        kwargs["training"] = members.training

    def one(values: Any) -> tuple[Any, list[tf.Tensor]]:
        trainable, other, args = values
        mine = {**unused, **{id(v): value for v, value in zip(kept, other, strict=True)}}
        state = [mine[id(v)] for v in layer.non_trainable_variables]
        outputs, state = layer.stateless_call(trainable, state, *args, **kwargs)
        pairs = zip(layer.non_trainable_variables, state, strict=True)
        return outputs, [value for v, value in pairs if id(v) not in unused]

    outputs, updated = tf.vectorized_map(one, (trainable, other, args))
    if members.training:
        members.updates += zip(kept, updated, strict=True)
    return outputs
