"""A population: copies of one Keras model with their own weights, stacked on a leading axis."""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tfphen.core import seeds
from tfphen.population import batching, keras_rules, mixup
from tfphen.population import library_rules as _library_layers  # noqa: F401  registers their forms
from tfphen.population.initial_weights import initial_weights


class Population:
    """N members that share the graph of `model` and differ in their weights.

    Args:
        model: A built Keras model, functional or sequential. It is read, never changed.
        member_seeds: One integer a member: where its streams `"init"` and `"dropout"` start.
        weights: Initial values, one array `[members, ...]` for each of `model.weights`. Drawn from
            `member_seeds` when None.
        masks: Arrays `[members, ...]` of zeros and ones by the path of a weight, as in
            `model.weights[i].path`: masked weights are zero and stay so.
        init_seeds: Seeds for `"init"` where they differ from `member_seeds`.

    Attributes:
        variables: Stacked `keras.Variable`s in the order of `model.weights`.
    """

    def __init__(
        self,
        model: keras.Model,
        member_seeds: Sequence[int],
        weights: Sequence[np.ndarray] | None = None,
        masks: dict[str, np.ndarray] | None = None,
        init_seeds: Sequence[int] | None = None,
    ):
        if not model.built:
            raise ValueError(f"The model must be built. Received: {model.name!r}, not built")
        self.model = model
        self.size = len(member_seeds)
        if weights is None:
            drawn = [initial_weights(model, seed) for seed in init_seeds or member_seeds]
            weights = [np.stack(values) for values in zip(*drawn, strict=True)]
        self.masks = {}
        known = {variable.path for variable in model.trainable_variables}
        for path, mask in (masks or {}).items():
            if path not in known:
                raise ValueError(
                    f"`masks` names a weight that is not trainable. Received: {path!r}, "
                    f"allowed: {sorted(known)}"
                )
            self.masks[path] = np.asarray(mask, "float32")
        self.variables = []
        for variable, value in zip(model.weights, weights, strict=True):
            if value.shape != (self.size, *variable.shape):
                raise ValueError(
                    f"Weights of {variable.path!r} must have shape "
                    f"{(self.size, *variable.shape)}. Received: {value.shape}"
                )
            if variable.path in self.masks:
                value = value * self.masks[variable.path].astype(value.dtype)
            self.variables.append(
                keras.Variable(
                    value,
                    trainable=variable.trainable,
                    dtype=variable.dtype,
                    name=variable.path.replace("/", "_"),
                    aggregation="mean",
                )
            )
        trainable = {id(v) for v in model.trainable_variables}
        pairs = list(zip(model.weights, self.variables, strict=True))
        self.trainable = [(t, v) for t, v in pairs if id(t) in trainable]
        self.frozen = [(t, v) for t, v in pairs if id(t) not in trainable]
        self.keys = np.stack([seeds.key(seed, "dropout") for seed in member_seeds])
        self.layer_numbers = {
            id(layer): number for number, layer in enumerate(keras_rules.random_layers(model))
        }

    def values(self) -> list[np.ndarray]:
        """Returns the stacked values of `model.weights` as NumPy arrays."""
        return [keras.ops.convert_to_numpy(variable) for variable in self.variables]

    def member(self, index: int) -> keras.Model:
        """Returns an ordinary Keras model with the weights of one member."""
        model = keras.models.clone_model(self.model)
        model.set_weights([value[index] for value in self.values()])
        return model

    def value_of(self, path: str) -> np.ndarray:
        """Returns the stacked value, `[members, ...]`, of the weight with this path."""
        for template, variable in zip(self.model.weights, self.variables, strict=True):
            if template.path == path:
                return keras.ops.convert_to_numpy(variable)
        raise KeyError(f"No weight {path!r}. Allowed: {sorted(v.path for v in self.model.weights)}")


@dataclasses.dataclass
class Pass:
    """One forward pass of all members, as an objective, a hook or a measurement sees it.

    Attributes:
        outputs: The model's outputs, `[members, batch, ...]`.
        activations: Outputs of each layer by its name, `[members, batch, ...]`.
        updates: Pairs (template variable, new stacked value) of layers with state.
    """

    outputs: tf.Tensor
    activations: dict[str, tf.Tensor]
    updates: list


def weight_values(members: Population, unrolled: bool) -> dict:
    """Returns the weights by `id` of the template's variable, as `run` takes them."""
    values = {}
    for template, variable in (*members.trainable, *members.frozen):
        value = tf.convert_to_tensor(variable.value)
        values[id(template)] = [part[None] for part in tf.unstack(value)] if unrolled else value
    return values


def run(model: keras.Model, inputs, weights: dict, unrolled: bool, **settings) -> Pass:
    """Runs all members, at once or one after the other on native convolution kernels.

    Args:
        model: The template.
        inputs: `[members, batch, ...]`.
        weights: Stacked tensors by `id` of the template's variable; lists of `[1, ...]` tensors,
            one a member, when `unrolled`.
        unrolled: Run members one by one in the graph.
        **settings: Further fields of `batching.Members`.
    """
    mixture = settings.pop("mixture", None)
    if mixture is not None:
        inputs = mixture.at(mixup.INPUTS, inputs)
    if not unrolled:
        members = batching.Members(weights=weights, mixture=mixture, **settings)
        outputs = batching.forward(model, inputs, members)
        return Pass(outputs, members.activations, members.updates)
    passes = []
    per_member = {name: settings.pop(name, None) for name in ("row_mask", "keys")}
    for index in range(inputs.shape[0]):
        mine = {k: None if v is None else v[index : index + 1] for k, v in per_member.items()}
        members = batching.Members(
            weights={key: parts[index] for key, parts in weights.items()},
            native=True,
            mixture=None if mixture is None else mixture.member(index),
            **mine,
            **settings,
        )
        outputs = batching.forward(model, inputs[index : index + 1], members)
        passes.append(Pass(outputs, members.activations, members.updates))
    if len(passes) == 1:
        return passes[0]
    updates = [
        (parts[0][0], tf.concat([value for _, value in parts], 0))
        for parts in zip(*(one.updates for one in passes), strict=True)
    ]
    names = [n for n, v in passes[0].activations.items() if tf.is_tensor(v)]
    return Pass(
        tf.concat([one.outputs for one in passes], 0),
        {name: tf.concat([one.activations[name] for one in passes], 0) for name in names},
        updates,
    )
