"""Stock Keras optimizers on stacked variables, with a learning rate and decay for each member.

An elementwise update rule serves all members at once. The steps that Keras takes outside the rule
are taken here, member by member and after gradients are summed over replicas: clipping by norm,
weight decay, schedules, and freezing of members that have stopped.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfphen.core.types import ArrayLike
from tfphen.population.population import Population

ELEMENTWISE = (
    keras.optimizers.SGD,
    keras.optimizers.Adam,
    keras.optimizers.AdamW,
    keras.optimizers.Adamax,
    keras.optimizers.RMSprop,
    keras.optimizers.Adagrad,
    keras.optimizers.Adadelta,
    keras.optimizers.Lion,
)


def check(optimizer: keras.optimizers.Optimizer) -> None:
    """Checks that an optimizer acts elementwise on each weight.

    Raises:
        ValueError: It does not, or has a setting that populations do not support.
    """
    name = type(optimizer).__name__
    if not isinstance(optimizer, ELEMENTWISE):
        raise ValueError(
            "A population needs an optimizer whose update is elementwise. "
            f"Received: {name}, allowed: {', '.join(c.__name__ for c in ELEMENTWISE)}"
        )
    for setting in ("use_ema", "gradient_accumulation_steps", "loss_scale_factor"):
        if getattr(optimizer, setting, None):
            raise ValueError(
                f"A population does not take `{setting}`. Received: {name}, "
                f"{setting}={getattr(optimizer, setting)!r}"
            )


class MemberOptimizer:
    """One Keras optimizer for all members of a population.

    Args:
        optimizer: A stock Keras optimizer with an elementwise update, not yet built.
        population: The population whose trainable variables it updates.
        learning_rates: Factor on the optimizer's own rate, `[members]`; None for 1.
        weight_decays: `[members]`; None takes the optimizer's `weight_decay`.
        coupled: Whether to add `weight_decay * weight` to the gradient, as PyTorch's SGD and Adam
            do, instead of shrinking weights by `learning_rate * weight_decay`, as Keras does.
        schedule: `(step, total) -> factor`, see `tfphen.train.schedules`.
        totals: Length of each member's training in steps, `[members]`.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        population: Population,
        learning_rates: ArrayLike | None = None,
        weight_decays: ArrayLike | None = None,
        coupled: bool = False,
        schedule: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        totals: ArrayLike | None = None,
    ):
        check(optimizer)
        self.optimizer = optimizer
        self.population = population
        self.variables = [variable for _, variable in population.trainable]
        optimizer.build(self.variables)
        ones = np.ones(population.size, "float32")
        self.rates = ones if learning_rates is None else np.asarray(learning_rates, "float32")
        if weight_decays is None:
            weight_decays = ones * (optimizer.weight_decay or 0.0)
        self.decays = np.asarray(weight_decays, "float32")
        self.coupled = coupled
        self.schedule = schedule
        self.totals = np.asarray(ones if totals is None else totals, "float32")

    def _lead(self, value: tf.Tensor, variable: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.cast(value, variable.dtype), (-1,) + (1,) * (len(variable.shape) - 1))

    def learning_rate(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the rate of each member at a step, `[members]`."""
        rate = tf.cast(self.optimizer.learning_rate, tf.float32) * self.rates
        if self.schedule is not None:
            rate *= self.schedule(tf.cast(step, tf.float32), tf.constant(self.totals))
        return rate

    def _clip(self, gradients: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        optimizer, size = self.optimizer, self.population.size

        def norms(gradient: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(tf.square(tf.reshape(gradient, (size, -1))), axis=1)

        if optimizer.clipnorm:
            squares = [norms(g) for g in gradients]
        elif optimizer.global_clipnorm:
            squares = [tf.add_n([norms(g) for g in gradients])] * len(gradients)
        elif optimizer.clipvalue:
            return [
                tf.clip_by_value(g, -optimizer.clipvalue, optimizer.clipvalue) for g in gradients
            ]
        else:
            return gradients
        limit = optimizer.clipnorm or optimizer.global_clipnorm
        factors = [limit / tf.maximum(tf.sqrt(square), limit) for square in squares]
        return [g * self._lead(f, g) for g, f in zip(gradients, factors, strict=True)]

    def apply(self, gradients: Sequence[tf.Tensor], step: tf.Tensor, active: tf.Tensor) -> None:
        """Updates the variables of the active members. Called in a replica context.

        Args:
            gradients: This replica's share, one `[members, ...]` for each trainable variable.
            step: Updates done so far, a scalar.
            active: Whether each member is updated, bool, `[members]`.
        """
        context = tf.distribute.get_replica_context()
        replicated = context.strategy.num_replicas_in_sync > 1
        if replicated:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if self.coupled and self.decays.any():
            gradients = [
                g + self._lead(self.decays, g) * v
                for g, v in zip(gradients, self.variables, strict=True)
            ]
        gradients = self._clip(gradients)
        rate = self.learning_rate(step)
        if replicated:
            context.merge_call(self._update_replicas, args=(gradients, rate, active))
        else:
            for gradient, variable in zip(gradients, self.variables, strict=True):
                self._update(variable.value, gradient, rate, active)
        self.optimizer.iterations.assign_add(1)

    def _update_replicas(
        self,
        strategy: tf.distribute.Strategy,
        gradients: Sequence[tf.Tensor],
        rate: tf.Tensor,
        active: tf.Tensor,
    ) -> None:
        for gradient, variable in zip(gradients, self.variables, strict=True):
            strategy.extended.update(
                variable.value, self._update, args=(gradient, rate, active), group=False
            )

    def _update(
        self, variable: tf.Variable, gradient: tf.Tensor, rate: tf.Tensor, active: tf.Tensor
    ) -> None:
        rate = self._lead(rate, variable)
        old = tf.convert_to_tensor(variable)
        if not self.coupled and self.decays.any():
            variable.assign_sub(old * rate * self._lead(self.decays, variable))
        self.optimizer.update_step(gradient, variable, rate)
        moves = tf.reshape(active, (-1,) + (1,) * (len(variable.shape) - 1))
        variable.assign(tf.where(moves, variable, old))
