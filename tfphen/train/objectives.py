"""Training objectives: functions of a `Step`.

An objective returns per-example losses `[members, batch]`, which the loop averages over real rows;
or a `Weighted`, losses with its own weights for the batch; or one number a member, `[members]`,
already reduced; or a scalar, a joint objective over all members.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeAlias

import keras
import tensorflow as tf

from tfphen.core.checks import one_of
from tfphen.population.mixup import Mixture


@dataclasses.dataclass
class Step:
    """One training step, the argument of objectives and step hooks.

    Attributes:
        inputs: `[members, batch, ...]`.
        labels: `[members, batch, ...]`.
        outputs: The model's outputs, `[members, batch, ...]`.
        activations: Outputs of each layer by its name, `[members, batch, ...]`.
        weights: Stacked weights by their path in the template model, `[members, ...]`.
        constants: Arrays of the members, such as a noise matrix, `[members, ...]`, by name.
        number: Updates done so far, a scalar.
        apply: `(inputs) -> outputs`: runs the model again, for instance under a second gradient
            tape that watches the inputs, with the weights and dropout masks of the step.
        predict: `(inputs) -> outputs`: runs the model in inference mode, without gradients.
        progress: Fraction of each member's training that is done, `[members]`.
        real: 1 for rows that are examples and 0 for padding, `[members, batch]`.
        clean_labels: Labels before any corruption, `[members, batch]`; None if unknown.
        held_out: `(count) -> (inputs, labels)`: draws `count` random examples of each member's
            split `"validation"`, without replacement within a step.
        notes: Tensors that the objective passes to the step hook, by name.
        row_weights: Weight of each row in the loss, 0 for padding, `[members, batch]`.
        num_real: Number of real rows on all replicas, `[members]`.
        mixture: The mixup of this step; None for none.
        replicas: Number of replicas in sync.
        reduce_sum: Sums over replicas.
    """

    inputs: tf.Tensor
    labels: tf.Tensor
    outputs: tf.Tensor
    activations: Mapping[str, tf.Tensor]
    weights: Mapping[str, tf.Tensor]
    constants: Mapping[str, tf.Tensor]
    number: tf.Tensor
    apply: Callable[[tf.Tensor], tf.Tensor]
    predict: Callable[[tf.Tensor], tf.Tensor] | None = None
    progress: tf.Tensor | None = None
    real: tf.Tensor | None = None
    clean_labels: tf.Tensor | None = None
    held_out: Callable[[int], tuple[tf.Tensor, tf.Tensor]] | None = None
    notes: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)
    row_weights: tf.Tensor | None = None
    num_real: tf.Tensor | None = None
    mixture: Mixture | None = None
    replicas: int = 1
    reduce_sum: Callable[[tf.Tensor], tf.Tensor] = lambda value: value


@dataclasses.dataclass
class Weighted:
    """Losses with weights set by the objective. No gradient flows through the weights.

    Attributes:
        losses: `[members, batch]`.
        weights: Non-negative weights, `[members, batch]`.
        divide_by: `"weights"` divides the sum of weighted losses by the sum of the weights of real
            rows, so that their scale does not matter; `"examples"` by the number of real rows.
    """

    losses: tf.Tensor
    weights: tf.Tensor
    divide_by: str = "weights"

    def __post_init__(self) -> None:
        one_of("divide_by", self.divide_by, ("weights", "examples"))


# See the module docstring for what an objective returns.
Objective: TypeAlias = Callable[[Step], "tf.Tensor | Weighted"]


def reduced(objective: Objective) -> Callable[[Step], tf.Tensor]:
    """Returns the objective reduced to this replica's share of `[members]`, or to a scalar."""
    return lambda step: _reduce(objective(step), step)


def mixed(objective: Objective) -> Callable[[Step], tf.Tensor]:
    """Returns the objective under mixup: λ times that of the labels, 1 - λ times the partners'.

    For a cross-entropy it is the cross-entropy of the mixed labels.
    """

    def loss(step: Step) -> tf.Tensor:
        mixture = step.mixture
        if mixture is None:
            raise ValueError("The step has no mixture.")
        own = _reduce(objective(step), step)
        partners = dataclasses.replace(
            step,
            labels=mixture.labels_of_partners(step.labels),
            clean_labels=mixture.labels_of_partners(step.clean_labels),
        )
        other = _reduce(objective(partners), step)
        return mixture.coefficient * own + (1 - mixture.coefficient) * other

    return loss


def _reduce(loss: "tf.Tensor | Weighted", step: Step) -> tf.Tensor:
    if isinstance(loss, Weighted):
        weights, total = tf.stop_gradient(loss.weights) * step.row_weights, step.num_real
        if loss.divide_by == "weights":
            total = step.reduce_sum(tf.reduce_sum(weights, 1))
        return tf.math.divide_no_nan(tf.reduce_sum(loss.losses * weights, 1), total)
    if len(loss.shape) == 2:
        return tf.reduce_sum(loss * step.row_weights, 1) / step.num_real
    if step.replicas > 1:
        raise ValueError(
            "Under several replicas an objective returns per-example losses "
            f"[members, batch]. Received: a tensor of shape {loss.shape}"
        )
    return loss


def per_example(
    function: keras.losses.Loss | Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> Objective:
    """Returns the objective of `function(labels, outputs) -> losses`, one loss for each example.

    Members are folded into the batch, so the function needs no member axis. A Keras loss is called
    without its reduction.
    """
    call = function.call if isinstance(function, keras.losses.Loss) else function

    def objective(step: Step) -> tf.Tensor:
        lead = tf.shape(step.outputs)[:2]

        def merge(x: tf.Tensor) -> tf.Tensor:
            return tf.reshape(x, (-1, *x.shape[2:]))

        losses = call(merge(step.labels), merge(step.outputs))
        return tf.reshape(losses, (lead[0], lead[1]))

    return objective


def cross_entropy(step: Step, dtype: str = "float32") -> tf.Tensor:
    """Cross-entropy of integer labels with logits, in nats, float32.

    Args:
        step: The training step.
        dtype: Type of the softmax, the loss and their gradient.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=step.labels, logits=tf.cast(step.outputs, dtype)
    )
    return tf.cast(losses, tf.float32)


def squared_error(step: Step) -> tf.Tensor:
    """Mean over classes of the squared difference from one-hot labels."""
    outputs = tf.cast(step.outputs, tf.float32)
    return tf.reduce_mean(tf.square(outputs - tf.one_hot(step.labels, outputs.shape[-1])), -1)
