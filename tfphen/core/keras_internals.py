"""Every private name of Keras that tfphen uses, each behind one function.

Keras may change them in any release: `pyproject.toml` therefore admits one minor release at a time,
a test exercises each name, and `tfphen check` looks for all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tfphen.core import references

# Attributes by public class, each with its meaning.
NAMES = {
    "Sequential._functional": "the graph of a built sequential model",
    "Functional._run_through_graph": "runs a model with other operations in place of its layers",
    "Functional._standardize_inputs": "the model's inputs as a list of tensors",
    "Layer._flatten_layers": "a layer and everything nested in it",
    "Layer._inbound_nodes": "calls of a layer",
    "Layer._trainable_variables": "a layer's own variables, without those of nested layers",
    "Layer._non_trainable_variables": "a layer's own state, without that of nested layers",
    "Layer._call_has_training_arg": "whether a layer behaves differently in training",
    "Layer._call_context_args": "which arguments a layer takes from its context",
    "Dense._kernel": "the kernel itself, without LoRA or quantization; also of convolutions",
    "Embedding._embeddings": "the table itself, without LoRA or quantization",
    "MultiHeadAttention._query_dense": "projection of the queries",
    "MultiHeadAttention._key_dense": "projection of the keys",
    "MultiHeadAttention._value_dense": "projection of the values",
    "MultiHeadAttention._output_dense": "projection of the outputs",
    "MultiHeadAttention._dropout": "rate of the dropout of the attention scores",
    "MultiHeadAttention._dropout_layer": "dropout of the attention scores",
    "MultiHeadAttention._inverse_sqrt_key_dim": "scale of the scores",
    "KerasTensor._keras_history": "which operation made a symbolic tensor",
    "Tensor._keras_mask": "the mask that a layer attached to its output",
}


def missing() -> list[str]:
    """Returns the names of `NAMES` that the installed Keras does not have.

    They are looked up on small layers, since some belong to instances only.
    """
    keras = references.module("keras")
    inputs = keras.Input((2,))
    dense = keras.layers.Dense(1)
    model = keras.Model(inputs, dense(inputs))
    sequential = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    embedding = keras.layers.Embedding(2, 2)
    embedding.build()
    attention = keras.layers.MultiHeadAttention(1, 1, dropout=0.5)
    attention.build((1, 2, 2), (1, 2, 2))
    masked = keras.layers.Masking()(keras.Input((2, 2)))
    owners = {
        "Sequential": sequential,
        "Functional": model,
        "Layer": dense,
        "Dense": dense,
        "Embedding": embedding,
        "MultiHeadAttention": attention,
        "KerasTensor": model.outputs[0],
        "Tensor": masked,
    }
    return [name for name in NAMES if not hasattr(owners[name.split(".")[0]], name.split(".")[1])]


def functional_of(model: Any) -> Any:
    """Returns the graph of a functional or built sequential model, or None."""
    if hasattr(model, "_functional"):
        return model._functional
    return model if hasattr(model, "_run_through_graph") else None


def run_through_graph(
    graph: Any, inputs: Any, operation_fn: Callable[[Any], Callable[..., Any]]
) -> Any:
    """Runs a graph on inputs, with `operation_fn(operation)` in place of each operation."""
    return graph._run_through_graph(inputs, operation_fn=operation_fn)


def standardized_inputs(graph: Any, inputs: Any) -> Any:
    """Returns inputs in the form that a graph expects."""
    return graph._standardize_inputs(inputs)


def flattened_layers(layer: Any, include_self: bool = True) -> Iterator[Any]:
    """Yields a layer or model and all layers nested in it."""
    yield from layer._flatten_layers(include_self=include_self, recursive=True)


def is_called(layer: Any) -> bool:
    """Whether the layer is an operation of some graph."""
    return bool(layer._inbound_nodes)


def own_variables(layer: Any) -> Sequence[Any]:
    """Returns the variables of a layer itself, trainable ones first."""
    return [*layer._trainable_variables, *layer._non_trainable_variables]


def takes_training(layer: Any) -> bool:
    """Whether `layer.call` has the argument `training`."""
    return layer._call_has_training_arg


def takes_training_from_context(operation: Any) -> bool:
    """Whether an operation takes `training` from its caller when it is not given."""
    return "training" in getattr(operation, "_call_context_args", ())


def kernel_of(layer: Any) -> Any:
    """Returns the kernel variable of a dense layer or a convolution; None if it has none."""
    return getattr(layer, "_kernel", None)


def embeddings_of(layer: Any) -> Any:
    """Returns the table variable of an embedding."""
    return layer._embeddings


def attention_projections(layer: Any) -> tuple[Any, Any, Any, Any]:
    """Returns the layers that project queries, keys, values and outputs of an attention layer."""
    return layer._query_dense, layer._key_dense, layer._value_dense, layer._output_dense


def attention_dropout(layer: Any) -> Any:
    """Returns the dropout layer of an attention layer's scores, or None where its rate is 0."""
    return layer._dropout_layer if layer._dropout > 0 else None


def attention_scale(layer: Any) -> float:
    """Returns the factor on the queries of an attention layer."""
    return layer._inverse_sqrt_key_dim


def operation_of(tensor: Any) -> Any:
    """Returns the operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def mask_of(tensor: Any) -> Any:
    """Returns the mask that a layer attached to a tensor, or None."""
    return getattr(tensor, "_keras_mask", None)
