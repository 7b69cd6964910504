"""A population: copies of one Keras model with their own weights, stacked on a leading axis."""

import dataclasses
from collections.abc import Sequence
from typing import Any

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
        member_seeds: One integer a member, the seed of its streams `"init"` and `"dropout"`.
        weights: Initial values, one array `[members, ...]` for each of `model.weights`. Drawn from
            `member_seeds` when None.
        masks: Arrays `[members, ...]` of zeros and ones by the path of a weight, as in
            `model.weights[i].path`: masked weights are zero and stay zero.
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
        self.masks: dict[str, np.ndarray] = {}
        known = {variable.path for variable in model.trainable_variables}
        for path, mask in (masks or {}).items():
            if path not in known:
                raise ValueError(
                    f"`masks` names a weight that is not trainable. Received: {path!r}, "
                    f"allowed: {sorted(known)}"
                )
            self.masks[path] = np.asarray(mask, "float32")
        # As tensors, which a program reads: NumPy arrays would be compiled into it as constants.
        self._masks = {path: tf.constant(mask) for path, mask in self.masks.items()}
        self.variables: list[keras.Variable] = []
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

    def assign(self, updates: Sequence[tuple[keras.Variable, tf.Tensor]], which: tf.Tensor) -> None:
        """Assigns new values to weights of some members.

        Args:
            updates: Pairs (template variable, new stacked value), as in `Pass.updates`.
            which: Whether each member changes, bool, `[members]`.
        """
        stacked = {id(t): v for t, v in (*self.trainable, *self.frozen)}
        for template, value in updates:
            variable = stacked[id(template)]
            changes = tf.reshape(which, (-1,) + (1,) * (len(value.shape) - 1))
            variable.assign(tf.where(changes, value, tf.convert_to_tensor(variable.value)))

    def masked(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Returns gradients of the trainable weights with zeros where a weight is masked."""
        pairs = zip(self.trainable, gradients, strict=True)
        return [
            gradient * self._masks[template.path] if template.path in self._masks else gradient
            for (template, _), gradient in pairs
        ]

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
    """One forward pass of all members.

    Attributes:
        outputs: The model's outputs, `[members, batch, ...]`.
        activations: Outputs of each layer by its name, `[members, batch, ...]`.
        updates: Pairs (template variable, new stacked value) of layers with state.
    """

    outputs: tf.Tensor
    activations: dict[str, tf.Tensor]
    updates: list[tuple[keras.Variable, tf.Tensor]]


class Weights:
    """The weights of all members, read once for one pass.

    Args:
        members: The population.
        unrolled: Whether to hold each weight as a list of slices `[1, ...]`, one a member, for
            passes that run members one after the other, instead of as one tensor `[members, ...]`.

    Attributes:
        trainable: The trainable weights, in the order of `members.trainable`, for a tape to watch.
    """

    def __init__(self, members: Population, unrolled: bool):
        self.unrolled = unrolled

        def read(variable: keras.Variable) -> tf.Tensor | list[tf.Tensor]:
            value = tf.convert_to_tensor(variable.value)
            return [part[None] for part in tf.unstack(value)] if unrolled else value

        self.trainable = [read(variable) for _, variable in members.trainable]
        frozen = [read(variable) for _, variable in members.frozen]
        templates = [template for template, _ in (*members.trainable, *members.frozen)]
        values = (*self.trainable, *frozen)
        self._values = {id(t): value for t, value in zip(templates, values, strict=True)}

    def of_all(self) -> dict[int, tf.Tensor]:
        """Returns the stacked values by the `id` of the template's variable."""
        return self._values

    def of_member(self, index: int) -> dict[int, tf.Tensor]:
        """Returns the slices of one member by the `id` of the template's variable."""
        return {key: parts[index] for key, parts in self._values.items()}

    def stacked(self) -> list[tf.Tensor]:
        """Returns the trainable weights, `[members, ...]`, such that a tape sees them as one."""
        return [tf.concat(v, 0) for v in self.trainable] if self.unrolled else self.trainable

    def gradients(self, tape: tf.GradientTape, target: tf.Tensor) -> list[tf.Tensor]:
        """Returns the gradients of the trainable weights, `[members, ...]`; zeros for None."""
        gradients = tape.gradient(target, self.trainable)
        if self.unrolled:
            gradients = [
                tf.concat([_or_zeros(g, w) for g, w in zip(gs, ws, strict=True)], 0)
                for gs, ws in zip(gradients, self.trainable, strict=True)
            ]
            return gradients
        pairs = zip(gradients, self.trainable, strict=True)
        return [tf.convert_to_tensor(_or_zeros(g, w)) for g, w in pairs]


def _or_zeros(gradient: tf.Tensor | None, weight: tf.Tensor) -> tf.Tensor:
    return tf.zeros_like(weight) if gradient is None else gradient


def run(
    model: keras.Model,
    inputs: tf.Tensor,
    weights: Weights,
    *,
    training: bool = False,
    row_mask: tf.Tensor | None = None,
    mixture: mixup.Mixture | None = None,
    keys: tf.Tensor | None = None,
    **settings: Any,
) -> Pass:
    """Runs all members, at once or one after the other on native convolution kernels.

    Args:
        model: The template.
        inputs: `[members, batch, ...]`.
        weights: Weights of all members. Unrolled ones run members one by one in the graph.
        training, row_mask, mixture, keys: As in `batching.Members`.
        **settings: Further fields of `batching.Members`, the same for all members.
    """
    if mixture is not None:
        inputs = mixture.at(mixup.INPUTS, inputs)
    if not weights.unrolled:
        members = batching.Members(
            weights=weights.of_all(),
            training=training,
            row_mask=row_mask,
            mixture=mixture,
            keys=keys,
            **settings,
        )
        outputs = batching.forward(model, inputs, members)
        return Pass(outputs, members.activations, members.updates)
    passes = []
    for index in range(inputs.shape[0]):
        mine = slice(index, index + 1)
        members = batching.Members(
            weights=weights.of_member(index),
            training=training,
            row_mask=None if row_mask is None else row_mask[mine],
            mixture=None if mixture is None else mixture.member(index),
            keys=None if keys is None else keys[mine],
            native=True,
            **settings,
        )
        outputs = batching.forward(model, inputs[mine], members)
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
