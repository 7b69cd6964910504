"""Mixes the examples of a batch with each other, at the inputs or at hidden layers.

Each step draws for each member one of the eligible layers, one coefficient λ and one permutation
π of its batch. The hidden states of the layer become λ h_i + (1 - λ) h_π(i), and example i has the
loss λ ℓ(z_i, y_i) + (1 - λ) ℓ(z_i, y_π(i)): for a cross-entropy, that of the mixed label.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.keras_internals import functional_of
from tfphen.layers import mixing_points
from tfphen.layers.mixing import beta_of_uniform
from tfphen.population import counter_rng

# The place of the inputs; all others are names of layers.
INPUTS = 0
# Where the examples of a batch may be mixed: at the inputs, or at the outputs of a layer.
Place: TypeAlias = str | int


@dataclasses.dataclass(frozen=True)
class Mixture:
    """The random draw of one step.

    Attributes:
        layers: The eligible places.
        place: Index of the chosen one, int32, `[members]`.
        coefficient: λ, float32, `[members]`.
        partners: π and its inverse, int32, `[members, batch]`.
        label_partners: As `partners`, for the labels.
    """

    layers: tuple[Place, ...]
    place: tf.Tensor
    coefficient: tf.Tensor
    partners: tuple[tf.Tensor, tf.Tensor]
    label_partners: tuple[tf.Tensor, tf.Tensor]

    def at(self, name: Place, values: tf.Tensor) -> tf.Tensor:
        """Returns the outputs `[members, batch, ...]` of a place, mixed where it was drawn."""
        if name not in self.layers:
            return values
        # λ = 1 elsewhere is an exact identity, so one graph serves all places.
        here = tf.where(self.place == self.layers.index(name), self.coefficient, 1.0)
        here = tf.reshape(tf.cast(here, values.dtype), (-1,) + (1,) * (len(values.shape) - 1))
        return here * values + (1 - here) * permuted(values, *self.partners)

    def labels_of_partners(self, labels: tf.Tensor | None) -> tf.Tensor | None:
        """Returns the label of each example's partner, `[members, batch, ...]`."""
        return None if labels is None else tf.gather(labels, self.label_partners[0], batch_dims=1)

    def member(self, index: int) -> "Mixture":
        """Returns the draw of one member, with a member axis of size 1."""
        mine = slice(index, index + 1)
        return Mixture(
            self.layers,
            self.place[mine],
            self.coefficient[mine],
            (self.partners[0][mine], self.partners[1][mine]),
            (self.label_partners[0][mine], self.label_partners[1][mine]),
        )


def permuted(values: tf.Tensor, order: tf.Tensor, inverse: tf.Tensor) -> tf.Tensor:
    """Returns `values[m, order[m, i]]`, with a gradient that gathers where TensorFlow's scatters.

    Args:
        values: `[members, batch, ...]`.
        order: A permutation of each member's batch, int32, `[members, batch]`.
        inverse: Its inverse.
    """

    @tf.custom_gradient
    def gather(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return tf.gather(values, order, batch_dims=1), lambda d: permuted(d, inverse, order)

    return gather(values)


def _orders(numbers: tf.Tensor, real: tf.Tensor, parts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns random permutations within parts, and their inverses. Padding, at the end, stays."""
    keys = numbers + 2.0 * parts + tf.where(real > 0, 0.0, 1.0)
    order = tf.argsort(keys, axis=1)
    return order, tf.argsort(order, axis=1)


class DrawMixture(Protocol):
    """Draws the mixture of one step.

    Attributes:
        layers: The places among which it draws.
    """

    layers: tuple[Place, ...]

    def __call__(
        self,
        step: tf.Tensor,
        rows: int,
        first_row: tf.Tensor | int,
        real: tf.Tensor,
        replicas: int = 1,
    ) -> Mixture:
        """Returns the mixture.

        Args:
            step: Updates done so far.
            rows: Rows of the global batch.
            first_row: Position in it of this replica's first row.
            real: 1 for the rows of this replica that are examples and 0 for padding,
                `[members, batch]`.
            replicas: Number of replicas in sync.
        """


def manifold(
    keys: np.ndarray,
    layers: Sequence[Place] = (INPUTS,),
    alpha: float = 2.0,
    parts: int = 1,
    label_partners: str = "same",
) -> DrawMixture:
    """Manifold mixup (Verma et al. 2019), and input mixup with `layers=(0,)`.

    Args:
        keys: uint32, `[members, 2]`; those of the members' stream `"mixing"`.
        layers: Names of the layers whose outputs may be mixed, 0 for the inputs.
        alpha: λ ~ Beta(alpha, alpha). Zero or less: λ = 1.
        parts: Number of equal parts of the batch within which partners are drawn. On several
            replicas a multiple of their number, which then does not change the result.
        label_partners: `"same"`, or `"independent"` to draw the partners of the labels apart from
            those of the hidden states: wrong on purpose, a negative control.
    """
    places = tuple(layers)
    if not places or len(set(places)) < len(places):
        raise UsageError(f"`layers` are different places, one at least. Received: layers={places}")
    alpha, parts = checks.number("alpha", alpha), checks.whole("parts", parts)
    checks.one_of("label_partners", label_partners, ("same", "independent"))

    def draw(
        step: tf.Tensor,
        rows: int,
        first_row: tf.Tensor | int,
        real: tf.Tensor,
        replicas: int = 1,
    ) -> Mixture:
        if parts % replicas:
            raise UsageError(
                "Partners are drawn within parts of the batch, each on one replica: set `parts` to "
                f"a multiple of the replicas. Received: parts={parts} on {replicas} replicas"
            )
        own, size = tf.constant(keys), real.shape[1]
        numbers = counter_rng.uniform(own, step, 0, (1, 3))[:, 0]
        place = tf.cast(numbers[:, 0] * len(places), tf.int32)
        drawn = tf.ones_like(numbers[:, 0])
        if alpha > 0:
            drawn = beta_of_uniform(alpha, (numbers[:, 1], numbers[:, 2]))
        part = tf.cast((tf.range(size) + first_row) * parts // rows, tf.float32)
        shuffled = [
            _orders(counter_rng.uniform(own, step, layer, (size, 1), first_row)[..., 0], real, part)
            for layer in (1, 2)[: 1 if label_partners == "same" else 2]
        ]
        return Mixture(places, place, drawn, shuffled[0], shuffled[-1])

    drawing: Any = draw
    drawing.layers = places
    return drawing


# Factories `(keys, **settings) -> DrawMixture` by the names that `Trial.mixing` uses.
MIXINGS: dict[str, Callable[..., DrawMixture] | None] = {"none": None, "manifold": manifold}


def check_layers(model: keras.Model, layers: Sequence[Place]) -> None:
    """Checks that the whole hidden state passes through each place.

    Raises:
        UsageError: It does not, or the model is subclassed.
    """
    graph = functional_of(model)
    if graph is None:
        raise UsageError(
            f"Only a functional or sequential model can be mixed inside. Received: {model.name!r}"
        )
    try:
        mixing_points.checked_points(graph, layers)
    except ValueError as error:
        raise UsageError(str(error)) from None
