"""The training loop. A population trains as one compiled program, a chunk of steps at a time.

Every gradient-based training in the toolkit goes through `Trainer`, on one device or under a
mirrored strategy. Phenomena differ in data, model, objective, optimizer, hooks and measurements,
never in the loop.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfphen.core.errors import UsageError
from tfphen.population import population, regularization
from tfphen.population.batching import Updates
from tfphen.population.execution import Execution, choose, compiled
from tfphen.population.mixup import DrawMixture
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor
from tfphen.train import objectives
from tfphen.train.batches import Batch, DeviceBatches
from tfphen.train.objectives import Objective, Step
from tfphen.train.validation import ValidationExamples


@dataclasses.dataclass(frozen=True)
class StepHook:
    """Values recorded at every step.

    Args:
        names: Names of the columns.
        function: `(step, gradients) -> [members, len(names)]`, with gradients by weight path.
    """

    names: tuple[str, ...]
    function: Callable[[Step, Mapping[str, tf.Tensor]], tf.Tensor]


class Trainer:
    """Trains one population.

    Args:
        members: The population, created inside the scope of `strategy`.
        batches: The source of batches, for the number of replicas of `strategy`.
        objective: The training objective, see `objectives`.
        optimizer: The optimizer of the same population, created in the same scope.
        num_steps: Length of each member's training in updates.
        constants: Arrays `[members, ...]` that the objective reads, by name.
        mixup: Draws the mixture of each step, see `mixup.manifold`; None for no mixup.
        validation: Held-out examples for the objective, see `Step.held_out`.
        step_hook: Values to record at every step, beside the loss.
        strategy: A `tf.distribute.Strategy`; the default one runs on one device.
        execution: Compilation mode; chosen by `execution.choose` when None.

    Attributes:
        step: Updates done so far.
        active: Whether each member still trains, bool, `[members]`.
        predictor: The predictor of the population.
        diverged_at: Step at which a member's loss stopped being finite, -1 for never, `[members]`.
        chunk_steps: Most steps of one call of the compiled program.
        losses: Recorded values, float32, `[steps, members, 1 + hook columns]`; the loss is first.
    """

    def __init__(
        self,
        members: Population,
        batches: DeviceBatches,
        objective: Objective,
        optimizer: MemberOptimizer,
        num_steps: int | Sequence[int],
        *,
        constants: Mapping[str, np.ndarray] | None = None,
        mixup: DrawMixture | None = None,
        validation: ValidationExamples | None = None,
        step_hook: StepHook | None = None,
        strategy: tf.distribute.Strategy | None = None,
        execution: Execution | None = None,
    ):
        self.members, self.batches, self.optimizer = members, batches, optimizer
        self.mixup, self.validation, self.step_hook = mixup, validation, step_hook
        self.loss = objectives.reduced(objective) if mixup is None else objectives.mixed(objective)
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.execution = execution or choose(members.model, self.replicas)
        self.predictor = Predictor(members, self.execution)
        self.num_steps = np.broadcast_to(np.asarray(num_steps, "int32"), (members.size,)).copy()
        self.constants = {k: tf.constant(v) for k, v in (constants or {}).items()}
        self._keys = tf.constant(members.keys)
        self.step, self.active = 0, self.num_steps > 0
        self.diverged_at = np.full(members.size, -1, "int32")
        self.columns = 1 + (len(step_hook.names) if step_hook else 0)
        self.losses = np.zeros((0, members.size, self.columns), "float32")
        self.chunk_steps = min(batches.chunk_steps, max(int(self.num_steps.max()), 1))
        self._chunk = compiled(self._run_chunk, self.execution.xla and self.replicas == 1)

    # ---- many steps ----------------------------------------------------------------------------

    def advance(self, step: int) -> None:
        """Trains up to `step` updates in all, or until no member is active."""
        recorded = [self.losses]
        while self.step < step and self.active.any():
            last = min(step, self.step + self.chunk_steps)
            active, diverged_at, rows = self._chunk(
                self.batches.positions(self.step, last, self.chunk_steps),
                tf.constant(self.step),
                tf.constant(last - self.step),
                tf.constant(self.active),
                tf.constant(self.diverged_at),
            )
            recorded.append(rows.numpy()[: last - self.step])
            self.diverged_at = diverged_at.numpy()
            self.active = active.numpy() & (self.num_steps > last)
            self.step = last
        self.losses = np.concatenate(recorded)

    def _run_chunk(
        self,
        positions: tf.Tensor,
        first: tf.Tensor,
        count: tf.Tensor,
        active: tf.Tensor,
        diverged_at: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        recorded = tf.TensorArray(
            tf.float32,
            size=self.chunk_steps,
            element_shape=(self.members.size, self.columns),
        )
        # Not tf.range(count): XLA treats its length as a constant, and recompiles for each one.
        i = tf.constant(0)
        while i < count:
            arguments = positions[i], first + i, active, diverged_at
            if self.replicas == 1:
                active, diverged_at, row = self._one_step(*arguments)
            else:
                results = self.strategy.run(self._one_step, args=arguments)
                active, diverged_at, row = (
                    self.strategy.experimental_local_results(x)[0] for x in results
                )
            recorded = recorded.write(i, row)
            i += 1
        return active, diverged_at, recorded.stack()

    # ---- one step, in a replica context --------------------------------------------------------

    def _one_step(
        self, positions: tf.Tensor, number: tf.Tensor, active: tf.Tensor, diverged_at: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        first_row = 0
        if self.replicas > 1:
            share = self.batches.rows // self.replicas
            first_row = tf.distribute.get_replica_context().replica_id_in_sync_group * share
            positions = positions[:, first_row : first_row + share]
            positions = tf.ensure_shape(positions, (self.members.size, share))
        batch = self.batches.gather(positions, number, first_row)
        gradients, updates, loss, recorded = self._loss_and_gradients(batch, number, first_row)
        active = tf.logical_and(active, number < tf.constant(self.num_steps))
        finite = tf.math.is_finite(loss)
        diverged_at = tf.where(tf.logical_and(active, ~finite), number, diverged_at)
        active = tf.logical_and(active, finite)
        self.members.assign(updates, active)
        self.optimizer.apply(gradients, number, active)
        return active, diverged_at, recorded

    def _loss_and_gradients(
        self, batch: Batch, number: tf.Tensor, first_row: tf.Tensor | int
    ) -> tuple[list[tf.Tensor], Updates, tf.Tensor, tf.Tensor]:
        members, mixture = self.members, None
        num_real = self._reduce_sum(tf.reduce_sum(batch.real, 1))
        if self.mixup is not None:
            mixture = self.mixup(number, self.batches.rows, first_row, batch.real, self.replicas)
        weights = population.Weights(members, self.execution.unrolled)
        with tf.GradientTape() as tape:
            tape.watch(weights.trainable)
            stacked = weights.stacked()
            paths = [template.path for template, _ in members.trainable]

            def run(inputs: tf.Tensor, training: bool = True) -> population.Pass:
                return population.run(
                    members.model,
                    inputs,
                    weights,
                    training=training,
                    row_mask=batch.real if self.batches.padded and training else None,
                    mixture=mixture if training else None,
                    keys=self._keys,
                    step=number,
                    first_row=first_row,
                    layer_numbers=members.layer_numbers,
                    reduce_sum=self._reduce_sum,
                )

            forward = run(batch.inputs)
            step = Step(
                inputs=batch.inputs,
                labels=batch.labels,
                outputs=forward.outputs,
                activations=forward.activations,
                weights=dict(zip(paths, stacked, strict=True)),
                constants=self.constants,
                number=number,
                apply=lambda inputs: run(inputs).outputs,
                predict=lambda inputs: tf.stop_gradient(run(inputs, training=False).outputs),
                progress=tf.cast(number, tf.float32) / tf.cast(self.num_steps, tf.float32),
                real=batch.real,
                clean_labels=batch.clean_labels,
                held_out=lambda count: self._draw_held_out(count, number),
                row_weights=batch.weights,
                num_real=num_real,
                mixture=mixture,
                replicas=self.replicas,
                reduce_sum=self._reduce_sum,
            )
            loss = self.loss(step)
            templates = (template for template, _ in members.trainable)
            penalty = regularization.total(zip(templates, stacked, strict=True)) / self.replicas
            total = tf.reduce_sum(loss + penalty)
        gradients = members.masked(weights.gradients(tape, total))
        loss = self._reduce_sum(tf.broadcast_to(loss + penalty, (members.size,)))
        recorded = [loss[:, None]]
        if self.step_hook:
            recorded.append(self.step_hook.function(step, dict(zip(paths, gradients, strict=True))))
        return gradients, forward.updates, loss, tf.concat(recorded, 1)

    def _reduce_sum(self, value: tf.Tensor) -> tf.Tensor:
        if self.replicas == 1:
            return value
        return tf.distribute.get_replica_context().all_reduce("SUM", value)

    def _draw_held_out(self, count: int, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.validation is None:
            raise UsageError(
                "This objective draws held-out examples: give the trial's data `validation`, their "
                "number. Received: none are held out"
            )
        return self.validation.draw(count, number)

    # ---- around training -----------------------------------------------------------------------

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> Any:
        """Returns the outputs of all members, `[members, n, ...]`, see `Predictor.predict`."""
        return self.predictor.predict(inputs, rows, layers)

    def freeze(self, which: np.ndarray) -> None:
        """Stops the members of a bool mask `[members]`; their weights no longer change."""
        self.active = self.active & ~which

    def state(self) -> dict[str, np.ndarray]:
        """Returns the state from which a training can resume, as arrays by name."""
        arrays = {f"weight_{i}": v for i, v in enumerate(self.members.values())}
        for i, variable in enumerate(self.optimizer.optimizer.variables):
            arrays[f"optimizer_{i}"] = keras.ops.convert_to_numpy(variable)
        return arrays | {
            "step": np.asarray(self.step, "int64"),
            "active": self.active,
            "diverged_at": self.diverged_at,
            "losses": self.losses,
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restores `state`. Data order and dropout follow from the step."""
        for i, variable in enumerate(self.members.variables):
            variable.assign(arrays[f"weight_{i}"])
        for i, variable in enumerate(self.optimizer.optimizer.variables):
            variable.assign(arrays[f"optimizer_{i}"])
        self.step = int(arrays["step"])
        self.active, self.diverged_at = arrays["active"], arrays["diverged_at"]
        self.losses = arrays["losses"]
