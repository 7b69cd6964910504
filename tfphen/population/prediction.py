"""Runs all members of a population on examples, in inference mode."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfphen.population.execution import Execution, choose, compiled
from tfphen.population.population import Population, Weights, run

# Most input numbers of one call.
_CHUNK_NUMBERS = 2**23

# Applies models of all members, `[members, n, ...] -> [members, n, ...]`.
Apply: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
# `(apply, inputs, labels) -> [members, n, ...]`, such as an attack.
WithModel: TypeAlias = Callable[[Apply, tf.Tensor, tf.Tensor], tf.Tensor]


def _chunk(members: int, shape: tuple[int, ...]) -> int:
    """Returns the number of examples of this shape that one call takes."""
    return int(np.clip(_CHUNK_NUMBERS // max(members * int(np.prod(shape)), 1), 1, 1024))


class Predictor:
    """Predicts with every member of a population, as a `tfphen.solvers.base.Fitted`.

    Args:
        members: The population.
        execution: Compilation mode; chosen by `execution.choose` when None.
    """

    def __init__(self, members: Population, execution: Execution | None = None):
        self.members = members
        self.execution = execution or choose(members.model)
        self.num_parameters = members.model.count_params()
        self.diagnostics: Mapping[str, np.ndarray] = {}
        self._programs: dict[tuple[str, ...], Callable[..., Any]] = {}

    def _program(self, layers: tuple[str, ...]) -> Callable[..., Any]:
        """Returns the compiled forward pass that gives the outputs, and those of some layers.

        There is one program for each choice of layers, so that none writes unused outputs to
        memory.
        """
        if layers not in self._programs:
            # Without a closure over `self`, which holds the programs: that would be a cycle.
            members, unrolled = self.members, self.execution.unrolled

            def forward(inputs: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
                shape = (members.size, *inputs.shape[1:])
                weights = Weights(members, unrolled)
                one = run(members.model, tf.broadcast_to(inputs, shape), weights)
                return one.outputs, [one.activations[name] for name in layers]

            self._programs[layers] = compiled(forward, self.execution.xla)
        return self._programs[layers]

    def through(self, function: WithModel, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns `function(apply, inputs, labels)` for all examples, compiled, in chunks of them.

        Args:
            function: TensorFlow operations on inputs and labels `[members, n, ...]`, with
                `apply(inputs) -> outputs`, the models in inference mode; gradients flow through
                it. Returns a tensor `[members, n, ...]`.
            inputs: `[members, n, ...]`.
            labels: `[members, n]`.
        """
        members, unrolled = self.members, self.execution.unrolled

        def run_function(inputs: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            weights = Weights(members, unrolled)

            def apply(inputs: tf.Tensor) -> tf.Tensor:
                return run(members.model, inputs, weights).outputs

            return function(apply, inputs, labels)

        program = compiled(run_function, self.execution.xla, autograph=False)
        chunk = min(_chunk(members.size, inputs.shape[2:]), inputs.shape[1])
        parts = []
        for first in range(0, inputs.shape[1], chunk):
            values = [x[:, first : first + chunk] for x in (inputs, labels)]
            wanted = values[0].shape[1]
            pads = [[(0, 0), (0, chunk - wanted)] + [(0, 0)] * (x.ndim - 2) for x in values]
            # Padded to one static shape, so that the program is compiled once.
            values = [np.pad(x, p, mode="edge") for x, p in zip(values, pads, strict=True)]
            outputs = program(*(tf.constant(x) for x in values))
            parts.append(keras.ops.convert_to_numpy(outputs)[:, :wanted])
        return np.concatenate(parts, axis=1)

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> Any:
        """Returns the outputs of all members.

        Args:
            inputs: A pool of examples, `[pool, ...]`.
            rows: Rows of the pool for each member, `[members, n]`; None for the whole pool.
            layers: Names of layers whose outputs to return beside the model's.

        Returns:
            Outputs `[members, n, ...]` as a NumPy array; with `layers`, also a dict of arrays.
        """
        size = self.members.size
        if rows is None:
            rows = np.broadcast_to(np.arange(len(inputs)), (size, len(inputs)))
        chunk = _chunk(size, inputs.shape[1:])
        program = self._program(tuple(layers))
        if (rows == rows[0]).all():
            rows = rows[:1]  # Read once where all members see the same.
        parts: list[np.ndarray] = []
        hidden: dict[str, list[np.ndarray]] = {name: [] for name in layers}
        for first in range(0, rows.shape[1], chunk):
            chunk_rows = rows[:, first : first + chunk]
            wanted = chunk_rows.shape[1]
            # Padded to one static shape, so that the program is compiled once.
            chunk_rows = np.pad(chunk_rows, ((0, 0), (0, chunk - wanted)), mode="edge")
            values, activations = program(tf.constant(inputs[chunk_rows]))
            parts.append(keras.ops.convert_to_numpy(values)[:, :wanted])
            for name, value in zip(layers, activations, strict=True):
                hidden[name].append(keras.ops.convert_to_numpy(value)[:, :wanted])
        outputs = np.concatenate(parts, axis=1)
        if not layers:
            return outputs
        return outputs, {name: np.concatenate(values, axis=1) for name, values in hidden.items()}
