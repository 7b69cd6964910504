"""The one training loop. A population trains as one compiled program, a stretch of steps at a time.

Every training in the toolkit goes through `Trainer`: small resident populations and one large
model fed by `tf.data`, on one device or under a mirrored strategy. What differs between phenomena
is the data, the model, the objective, the optimizer, the hooks and the measurements.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfphen.core.errors import UsageError
from tfphen.population import execution, population, regularization
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor
from tfphen.train import batches
from tfphen.train.objectives import Objective, Step, Weighted, reduced
from tfphen.train.validation import HeldOut

# Positions of one stretch that are on the device at a time.
_STRETCH_NUMBERS = 2**22


@dataclasses.dataclass(frozen=True)
class StepHook:
    """Something recorded at every step.

    Args:
        names: What the columns are called.
        function: `(step, gradients) -> [members, len(names)]`, with gradients by weight path.
    """

    names: tuple[str, ...]
    function: Callable[[Step, Mapping[str, tf.Tensor]], tf.Tensor]


class _Batch(NamedTuple):
    """A batch of each member: inputs, labels, weights, which rows are real, and clean labels."""

    inputs: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
    real: tf.Tensor
    clean_labels: tf.Tensor | None


class Trainer:
    """Trains one population.

    Args:
        members: The population, made inside the scope of `strategy`.
        data: A `batches.Resident`, or a `tf.data.Dataset` of global batches
            `(inputs, labels, weights)` of static size that all members share.
        objective: What is minimized, see `objectives`.
        optimizer: A `MemberOptimizer` on the same population, made in the same scope.
        steps: Length of each member's training in updates.
        batch_size: Global batch size, for resident data.
        order_seeds: Where each member's stream `"order"` starts, for resident data.
        drop_remainder: Leave out the last, smaller batch of an epoch.
        constants: Arrays `[members, ...]` that the objective reads, by name.
        augment: `(inputs, keys, step, first_row) -> inputs`, see `augmentation`, for resident data.
        augmentation_keys: uint32, `[members, 2]`; those of the members' stream `"augmentation"`.
        mixing: What draws a `mixing.Mixture` for each step, or None for no mixing.
        held_out: Examples that the objective may draw from, see `Step.held_out`.
        held_out_keys: As `augmentation_keys`, of the stream `"held_out"`.
        step_hook: Recorded at every step beside the loss.
        strategy: A `tf.distribute.Strategy`; the default one runs on one device.
        how: How to compile; chosen by `execution.choose` when None.

    Attributes:
        step: Updates done so far.
        active: Which members still train, bool, `[members]`.
        predict: A `Predictor` of the population.
        diverged_at: Step at which a member's loss stopped being finite, -1 for never, `[members]`.
        stretch_steps: Most steps of one call of the compiled program.
        losses: What was recorded, float32, `[step, members, 1 + hook columns]`; the loss is first.
    """

    def __init__(
        self,
        members: Population,
        data: batches.Resident | tf.data.Dataset,
        objective: Objective,
        optimizer: MemberOptimizer,
        steps: int | Sequence[int],
        batch_size: int | None = None,
        order_seeds: Sequence[int] | None = None,
        drop_remainder: bool = False,
        constants: Mapping[str, np.ndarray] | None = None,
        augment: Callable | None = None,
        augmentation_keys: np.ndarray | None = None,
        mixing: Callable | None = None,
        held_out: batches.Resident | None = None,
        held_out_keys: np.ndarray | None = None,
        step_hook: StepHook | None = None,
        strategy: tf.distribute.Strategy | None = None,
        how: execution.Execution | None = None,
    ):
        self.members, self.data, self.objective = members, data, objective
        self.optimizer, self.step_hook = optimizer, step_hook
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self.how = how or execution.choose(members.model, self.replicas)
        self.totals = np.broadcast_to(np.asarray(steps, "int32"), (members.size,)).copy()
        self.constants = {k: tf.constant(v) for k, v in (constants or {}).items()}
        self.keys = tf.constant(members.keys)
        self.augment, self.augmentation_keys = augment, augmentation_keys
        self.mixing = mixing
        self.held_out = None if held_out is None else HeldOut(held_out, held_out_keys)
        self.masks = {
            t.path: tf.constant(members.masks[t.path])
            for t, _ in members.trainable
            if t.path in members.masks
        }
        self.step, self.active = 0, self.totals > 0
        self.diverged_at = np.full(members.size, -1, "int32")
        self.columns = 1 + (len(step_hook.names) if step_hook else 0)
        self.losses = np.zeros((0, members.size, self.columns), "float32")
        if isinstance(data, batches.Resident):
            self._prepare_resident(batch_size, order_seeds, drop_remainder)
        else:
            self.padded = True
            self._iterator = iter(batches.pipeline(data, self.strategy))
            self.stretch_steps = 256
        # A pipeline's ops run on the host, so only resident data compiles as a whole.
        whole = self.how.xla and isinstance(data, batches.Resident) and self.replicas == 1
        self._stretch = execution.compiled(self._run_stretch, whole)
        self.predict = Predictor(members, self.how)

    def _prepare_resident(self, batch_size, order_seeds, drop_remainder):
        data, members = self.data, self.members
        sizes = data.sizes
        batch_size = max(sizes) if batch_size is None else min(batch_size, max(sizes))
        self.orders = [
            batches.Order(seed, size, batch_size, drop_remainder)
            for seed, size in zip(order_seeds, sizes, strict=True)
        ]
        self.rows_per_batch = math.ceil(batch_size / self.replicas) * self.replicas
        whole = drop_remainder or all(size % batch_size == 0 for size in sizes)
        self.padded = not whole or self.rows_per_batch != batch_size or min(sizes) < batch_size
        self.pool = tf.constant(data.inputs)
        self.labels = tf.constant(data.labels)
        self.clean_labels = None if data.clean_labels is None else tf.constant(data.clean_labels)
        self.rows = tf.constant(data.rows.astype("int32"))
        weights = data.weights
        self.weights = None if weights is None else tf.constant(weights.astype("float32"))
        stretch = _STRETCH_NUMBERS // (members.size * self.rows_per_batch)
        self.stretch_steps = int(np.clip(stretch, 1, min(1000, max(self.totals.max(), 1))))

    # ---- one step, in a replica context -------------------------------------------------------

    def _gather(self, positions, number, first_row) -> "_Batch":
        """Picks a batch of each member. `positions` has shape `[members, batch]`."""
        real = positions >= 0
        positions = tf.maximum(positions, 0)
        rows = tf.gather(self.rows, positions, batch_dims=1)
        weights = tf.cast(real, tf.float32)
        if self.weights is not None:
            weights *= tf.gather(self.weights, positions, batch_dims=1)
        labels = tf.gather(self.labels, positions, batch_dims=1)
        clean = self.clean_labels
        if clean is not None:
            clean = tf.gather(clean, positions, batch_dims=1)
        inputs = tf.gather(self.pool, rows)
        if self.augment is not None:
            inputs = self.augment(inputs, tf.constant(self.augmentation_keys), number, first_row)
        return _Batch(inputs, labels, weights, tf.cast(real, tf.float32), clean)

    def _reduce_sum(self, value):
        if self.replicas == 1:
            return value
        return tf.distribute.get_replica_context().all_reduce("SUM", value)

    def _loss_and_gradients(self, batch, number, first_row):
        real = batch.real
        size = self.members.size
        trainable = [tf.convert_to_tensor(v.value) for _, v in self.members.trainable]
        frozen = [tf.convert_to_tensor(v.value) for _, v in self.members.frozen]
        if self.how.unrolled:
            split = [[part[None] for part in tf.unstack(value)] for value in trainable]
        else:
            split = trainable
        count = self._reduce_sum(tf.reduce_sum(real, 1))
        mixture = None
        if self.mixing is not None:
            rows = real.shape[1] * self.replicas
            mixture = self.mixing(number, rows, first_row, real, self.replicas)
        with tf.GradientTape() as tape:
            tape.watch(split)
            stacked = [tf.concat(v, 0) for v in split] if self.how.unrolled else split
            values = {id(t): v for (t, _), v in zip(self.members.trainable, split, strict=True)}
            for (template, _), value in zip(self.members.frozen, frozen, strict=True):
                parts = [part[None] for part in tf.unstack(value)] if self.how.unrolled else value
                values[id(template)] = parts

            def run(inputs, training=True):
                return population.run(
                    self.members.model,
                    inputs,
                    values,
                    self.how.unrolled,
                    training=training,
                    row_mask=real if self.padded and training else None,
                    mixture=mixture if training else None,
                    keys=self.keys,
                    step=number,
                    first_row=first_row,
                    layer_numbers=self.members.layer_numbers,
                    reduce_sum=self._reduce_sum,
                )

            one = run(batch.inputs)
            paths = [t.path for t, _ in self.members.trainable]
            step = Step(
                batch.inputs,
                batch.labels,
                one.outputs,
                one.activations,
                dict(zip(paths, stacked, strict=True)),
                self.constants,
                number,
                lambda inputs: run(inputs).outputs,
                lambda inputs: tf.stop_gradient(run(inputs, training=False).outputs),
                tf.cast(number, tf.float32) / tf.constant(self.totals.astype("float32")),
                real,
                batch.clean_labels,
                lambda count: self._draw_held_out(count, number),
            )
            loss = self._reduced(self.objective(step), batch, count)
            if mixture is not None:
                partners = dataclasses.replace(
                    step,
                    labels=mixture.labels_of_partners(step.labels),
                    clean_labels=mixture.labels_of_partners(step.clean_labels),
                )
                other = self._reduced(self.objective(partners), batch, count)
                loss = mixture.coefficient * loss + (1 - mixture.coefficient) * other
            templates = (template for template, _ in self.members.trainable)
            penalty = regularization.total(zip(templates, stacked, strict=True)) / self.replicas
            total = tf.reduce_sum(loss + penalty)
        gradients = tape.gradient(total, split)
        if self.how.unrolled:
            gradients = [
                [tf.zeros_like(w) if g is None else g for g, w in zip(gs, ws, strict=True)]
                for gs, ws in zip(gradients, split, strict=True)
            ]
            gradients = [tf.concat(parts, 0) for parts in gradients]
        gradients = [
            tf.zeros_like(w) if g is None else tf.convert_to_tensor(g)
            for g, w in zip(gradients, stacked, strict=True)
        ]
        gradients = [
            g * self.masks[path] if path in self.masks else g
            for path, g in zip(paths, gradients, strict=True)
        ]
        loss = self._reduce_sum(tf.broadcast_to(loss + penalty, (size,)))
        recorded = [loss[:, None]]
        if self.step_hook:
            recorded.append(self.step_hook.function(step, dict(zip(paths, gradients, strict=True))))
        return gradients, one.updates, loss, tf.concat(recorded, 1)

    def _reduced(self, loss, batch, count):
        per_row = isinstance(loss, Weighted) or len(loss.shape) == 2
        if self.replicas > 1 and not per_row:
            raise ValueError(
                "Under several replicas an objective returns per-example losses "
                f"[members, batch]. Received: a tensor of shape {loss.shape}"
            )
        return reduced(loss, batch.weights, count, self._reduce_sum)

    def _draw_held_out(self, count: int, number):
        if self.held_out is None:
            raise UsageError(
                "This objective draws held-out examples: give the trial's data `validation`, their "
                "number. Received: none are held out"
            )
        return self.held_out.draw(count, number)

    def _one_step(self, batch, number, active, diverged_at):
        context = tf.distribute.get_replica_context()
        first_row = 0
        if isinstance(self.data, batches.Resident):
            if self.replicas > 1:
                share = self.rows_per_batch // self.replicas
                first_row = context.replica_id_in_sync_group * share
                batch = batch[:, first_row : first_row + share]
                batch = tf.ensure_shape(batch, (self.members.size, share))
            batch = self._gather(batch, number, first_row)
        else:
            batch = self._shared(batch)
            if self.replicas > 1:
                first_row = context.replica_id_in_sync_group * batch.inputs.shape[1]
        gradients, updates, loss, recorded = self._loss_and_gradients(batch, number, first_row)
        active = tf.logical_and(active, number < tf.constant(self.totals))
        finite = tf.math.is_finite(loss)
        diverged_at = tf.where(tf.logical_and(active, ~finite), number, diverged_at)
        active = tf.logical_and(active, finite)
        stacked = {id(t): v for t, v in (*self.members.trainable, *self.members.frozen)}
        for template, value in updates:
            variable = stacked[id(template)]
            moves = tf.reshape(active, (-1,) + (1,) * (len(value.shape) - 1))
            variable.assign(tf.where(moves, value, tf.convert_to_tensor(variable.value)))
        self.optimizer.apply(gradients, number, active)
        return active, diverged_at, recorded

    def _shared(self, batch):
        """Gives every member the same batch of a pipeline."""
        inputs, labels, weights = batch
        size = self.members.size
        spread = [tf.broadcast_to(x[None], (size, *x.shape)) for x in (inputs, labels)]
        weights = tf.broadcast_to(tf.cast(weights, tf.float32)[None], (size, *weights.shape))
        return _Batch(*spread, weights, tf.cast(weights > 0, tf.float32), None)

    # ---- many steps ----------------------------------------------------------------------------

    def _run_stretch(self, positions, first, count, active, diverged_at):
        size = self.members.size
        recorded = tf.TensorArray(
            tf.float32, size=self.stretch_steps, element_shape=(size, self.columns)
        )
        # Not tf.range(count): XLA takes its length for a constant, and compiles for each one anew.
        i = tf.constant(0)
        while i < count:
            batch = positions[i] if positions is not None else next(self._iterator)
            if self.replicas == 1:
                active, diverged_at, row = self._one_step(batch, first + i, active, diverged_at)
            else:
                results = self.strategy.run(
                    self._one_step, args=(batch, first + i, active, diverged_at)
                )
                active, diverged_at, row = (
                    self.strategy.experimental_local_results(x)[0] for x in results
                )
            recorded = recorded.write(i, row)
            i += 1
        return active, diverged_at, recorded.stack()

    def _positions(self, first, last):
        positions = np.full(
            (self.stretch_steps, self.members.size, self.rows_per_batch), -1, "int32"
        )
        for index, order in enumerate(self.orders):
            mine = order.steps_between(first, last)
            positions[: last - first, index, : mine.shape[1]] = mine
        return tf.constant(positions)

    def advance(self, step: int) -> None:
        """Trains until `step` updates are done in all, or no member is active."""
        recorded = [self.losses]
        while self.step < step and self.active.any():
            last = min(step, self.step + self.stretch_steps)
            resident = isinstance(self.data, batches.Resident)
            active, diverged_at, rows = self._stretch(
                self._positions(self.step, last) if resident else None,
                tf.constant(self.step),
                tf.constant(last - self.step),
                tf.constant(self.active),
                tf.constant(self.diverged_at),
            )
            recorded.append(rows.numpy()[: last - self.step])
            self.diverged_at = diverged_at.numpy()
            self.active = active.numpy() & (self.totals > last)
            self.step = last
        self.losses = np.concatenate(recorded)

    def freeze(self, which: np.ndarray) -> None:
        """Stops the members of a bool mask `[members]`; their weights stay as they are."""
        self.active = self.active & ~which

    def state(self) -> dict[str, np.ndarray]:
        """Returns everything that a training needs to go on, as arrays by name."""
        arrays = {f"weight_{i}": v for i, v in enumerate(self.members.values())}
        for i, variable in enumerate(self.optimizer.optimizer.variables):
            arrays[f"optimizer_{i}"] = keras.ops.convert_to_numpy(variable)
        return arrays | {
            "step": np.int64(self.step),
            "active": self.active,
            "diverged_at": self.diverged_at,
            "losses": self.losses,
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Puts back what `state` returned. Data order and dropout follow from the step."""
        for i, variable in enumerate(self.members.variables):
            variable.assign(arrays[f"weight_{i}"])
        for i, variable in enumerate(self.optimizer.optimizer.variables):
            variable.assign(arrays[f"optimizer_{i}"])
        self.step = int(arrays["step"])
        self.active, self.diverged_at = arrays["active"], arrays["diverged_at"]
        self.losses = arrays["losses"]
