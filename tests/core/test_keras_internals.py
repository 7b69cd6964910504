"""Each private name of Keras that tfphen uses still means what tfphen takes it for."""

import ast
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import tfphen
from tfphen.core import keras_internals

pytestmark = pytest.mark.backend


def sequential():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(4, name="first"), layers.Dropout(0.5, name="drop")]
    )


def functional():
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(2, name="dense")(inputs))


def attention(dropout=0.0):
    layer = layers.MultiHeadAttention(2, 4, dropout=dropout)
    layer(np.zeros((1, 3, 6), "float32"), np.zeros((1, 3, 6), "float32"))
    return layer


def check_sequential_functional():
    graph = keras_internals.functional_of(sequential())
    assert isinstance(graph, keras.Model) and not isinstance(graph, keras.Sequential)
    model = functional()
    assert keras_internals.functional_of(model) is model

    class Subclassed(keras.Model):
        pass

    assert keras_internals.functional_of(Subclassed()) is None


def check_run_through_graph():
    seen = []

    def instead(operation):
        seen.append(operation.name)
        return lambda x, **settings: x + 1

    inputs = np.zeros((2, 3), "float32")
    graph = keras_internals.functional_of(sequential())
    outputs = keras_internals.run_through_graph(graph, inputs, instead)
    assert seen == ["first", "drop"]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(outputs), inputs + 2)


def check_standardize_inputs():
    (inputs,) = keras_internals.standardized_inputs(functional(), np.zeros((2, 3)))
    assert tuple(inputs.shape) == (2, 3)
    assert keras.backend.standardize_dtype(inputs.dtype) == "float32"


def check_flatten_layers():
    model = keras.Sequential([keras.Input((3,)), sequential()])
    names = [layer.name for layer in keras_internals.flattened_layers(model, include_self=False)]
    assert {"first", "drop"} <= set(names)
    assert model in list(keras_internals.flattened_layers(model))


def check_inbound_nodes():
    assert keras_internals.is_called(functional().get_layer("dense"))
    assert not keras_internals.is_called(layers.Dense(2))


def check_own_variables():
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    names = [variable.name for variable in keras_internals.own_variables(layer)]
    assert names[:4] == ["gamma", "beta", "moving_mean", "moving_variance"]
    wrapper = layers.TimeDistributed(layers.Dense(2))
    wrapper.build((None, 3, 4))
    assert wrapper.weights and not keras_internals.own_variables(wrapper)


def check_takes_training():
    assert keras_internals.takes_training(layers.Dropout(0.5))
    assert not keras_internals.takes_training(layers.Flatten())


def check_context_args():
    assert keras_internals.takes_training_from_context(layers.Dropout(0.5))
    assert not keras_internals.takes_training_from_context(keras.ops.absolute)


def check_kernel():
    for layer in (layers.Dense(2), layers.Conv1D(2, 1)):
        layer.build((None, 4, 3))
        assert keras_internals.kernel_of(layer).shape[-1] == 2
    assert keras_internals.kernel_of(layers.ReLU()) is None


def check_embeddings():
    layer = layers.Embedding(5, 2)
    layer.build()
    assert tuple(keras_internals.embeddings_of(layer).shape) == (5, 2)


def check_projections():
    shapes = [part.kernel.shape for part in keras_internals.attention_projections(attention())]
    assert [tuple(shape) for shape in shapes] == [(6, 2, 4)] * 3 + [(2, 4, 6)]


def check_attention_dropout():
    assert keras_internals.attention_dropout(attention()) is None
    assert keras_internals.attention_dropout(attention(0.25)).rate == 0.25


def check_attention_scale():
    assert keras_internals.attention_scale(attention()) == pytest.approx(0.5)


def check_history():
    model = functional()
    dense = model.get_layer("dense")
    assert keras_internals.operation_of(model.outputs[0]) is dense


def check_mask():
    embedded = layers.Embedding(5, 2, mask_zero=True)(np.array([[0, 1]]))
    mask = keras.ops.convert_to_numpy(keras_internals.mask_of(embedded))
    np.testing.assert_array_equal(mask, [[False, True]])
    assert keras_internals.mask_of(layers.Dense(2)(np.zeros((1, 3), "float32"))) is None


CHECKS = {
    "Sequential._functional": check_sequential_functional,
    "Functional._run_through_graph": check_run_through_graph,
    "Functional._standardize_inputs": check_standardize_inputs,
    "Layer._flatten_layers": check_flatten_layers,
    "Layer._inbound_nodes": check_inbound_nodes,
    "Layer._trainable_variables": check_own_variables,
    "Layer._non_trainable_variables": check_own_variables,
    "Layer._call_has_training_arg": check_takes_training,
    "Layer._call_context_args": check_context_args,
    "Dense._kernel": check_kernel,
    "Embedding._embeddings": check_embeddings,
    "MultiHeadAttention._query_dense": check_projections,
    "MultiHeadAttention._key_dense": check_projections,
    "MultiHeadAttention._value_dense": check_projections,
    "MultiHeadAttention._output_dense": check_projections,
    "MultiHeadAttention._dropout": check_attention_dropout,
    "MultiHeadAttention._dropout_layer": check_attention_dropout,
    "MultiHeadAttention._inverse_sqrt_key_dim": check_attention_scale,
    "KerasTensor._keras_history": check_history,
    "Tensor._keras_mask": check_mask,
}


@pytest.mark.parametrize("name", keras_internals.NAMES)
def test_name(name):
    CHECKS[name]()


def test_every_private_name_that_the_module_uses_is_listed():
    text = Path(keras_internals.__file__).read_text(encoding="utf-8")
    body = text.split("def functional_of", 1)[1]
    used = set(re.findall(r"[.\"](_[a-z]\w*)", body))
    assert used == {name.split(".")[1] for name in keras_internals.NAMES}


def test_no_other_module_uses_one():
    names = {name.split(".")[1] for name in keras_internals.NAMES}
    # Common words, which our own classes use too, count only on what is not `self`.
    found = {}
    for path in Path(tfphen.__file__).parent.rglob("*.py"):
        if path == Path(keras_internals.__file__):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            foreign = isinstance(node, ast.Attribute) and not (
                isinstance(node.value, ast.Name) and node.value.id == "self"
            )
            asked = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr"
            by_name = asked and getattr(node.args[1], "value", None) in names
            if (foreign and node.attr in names) or by_name:
                found.setdefault(path.name, []).append(node.lineno)
    assert found == {}
