"""Runs all members of a population on examples, without training behavior."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfphen.population.execution import Execution, choose, compiled
from tfphen.population.population import Population, Weights, run

# Numbers of input that one call may hold.
_CHUNK_NUMBERS = 2**23


def _chunk(members: int, shape: tuple[int, ...]) -> int:
    """Returns how many examples of this shape one call takes."""
    return int(np.clip(_CHUNK_NUMBERS // max(members * int(np.prod(shape)), 1), 1, 1024))


class Predictor:
    """Predicts with every member of a population. It is a `tfphen.solvers.base.Fitted`.

    Args:
        members: The population.
        execution: How to compile; chosen by `execution.choose` when None.
    """

    def __init__(self, members: Population, execution: Execution | None = None):
        self.members = members
        self.execution = execution or choose(members.model)
        self.num_parameters = members.model.count_params()
        self.diagnostics: Mapping[str, np.ndarray] = {}
        self._programs: dict[tuple[str, ...], Callable] = {}

    def _program(self, layers: tuple[str, ...]) -> Callable:
        """Returns the compiled forward pass that gives the outputs, and those of some layers.

        A program for each choice, since what is not asked for need not be written to memory.
        """
        if layers not in self._programs:
            # Not of `self`, which would hold the programs and so itself.
            members, unrolled = self.members, self.execution.unrolled

            def forward(inputs):
                shape = (members.size, *inputs.shape[1:])
                weights = Weights(members, unrolled)
                one = run(members.model, tf.broadcast_to(inputs, shape), weights)
                return one.outputs, [one.activations[name] for name in layers]

            self._programs[layers] = compiled(forward, self.execution.xla)
        return self._programs[layers]

    def through(self, function: Callable, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns `function(apply, inputs, labels)` for all examples, compiled, in chunks of them.

        Args:
            function: TensorFlow operations on inputs and labels `[members, n, ...]`, with
                `apply(inputs) -> outputs`, the models in inference; gradients flow through it.
                Gives a tensor `[members, n, ...]`.
            inputs: `[members, n, ...]`.
            labels: `[members, n]`.
        """
        members, unrolled = self.members, self.execution.unrolled

        def run_function(inputs, labels):
            weights = Weights(members, unrolled)

            def apply(inputs):
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
            layers: Names of layers whose outputs are wanted beside the model's.

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
        outputs, hidden = [], {name: [] for name in layers}
        for first in range(0, rows.shape[1], chunk):
            part = rows[:, first : first + chunk]
            wanted = part.shape[1]
            # Padded to one static shape, so that the program is compiled once.
            part = np.pad(part, ((0, 0), (0, chunk - wanted)), mode="edge")
            values, activations = program(tf.constant(inputs[part]))
            outputs.append(keras.ops.convert_to_numpy(values)[:, :wanted])
            for name, value in zip(layers, activations, strict=True):
                hidden[name].append(keras.ops.convert_to_numpy(value)[:, :wanted])
        outputs = np.concatenate(outputs, axis=1)
        if not layers:
            return outputs
        return outputs, {name: np.concatenate(parts, axis=1) for name, parts in hidden.items()}
