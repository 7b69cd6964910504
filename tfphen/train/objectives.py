"""What a population minimizes. An objective is a function of a `Step`.

It returns per-example losses `[members, batch]`, which the loop averages over real rows; or a
`Weighted`, losses with weights that it chose for the batch; or one number a member, `[members]`,
already reduced; or a scalar, a joint objective over all members.
"""

import dataclasses
from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from tfphen.core.checks import one_of


@dataclasses.dataclass
class Step:
    """What an objective sees of one training step.

    Attributes:
        inputs: `[members, batch, ...]`.
        labels: `[members, batch, ...]`.
        outputs: The model's outputs, `[members, batch, ...]`.
        activations: Outputs of each layer by its name, `[members, batch, ...]`.
        weights: Stacked weights by their path in the template model, `[members, ...]`.
        constants: Arrays of the members, such as a noise matrix, `[members, ...]`, by name.
        number: Updates done so far, a scalar.
        apply: `apply(inputs) -> outputs`: runs the model again, for instance under a second
            gradient tape that watches the inputs. Weights and dropout masks are those of the step.
        predict: `predict(inputs) -> outputs`: runs the model as in inference, without gradients.
        progress: Share of each member's training that is done, `[members]`.
        real: 1 for rows that are examples and 0 for padding, `[members, batch]`.
        clean_labels: Labels before any corruption, `[members, batch]`; None where not known.
        held_out: `held_out(count) -> (inputs, labels)`: so many random examples, without
            replacement and anew at each step, of each member's split `"validation"`.
        notes: What the objective leaves for the step hook, by name.
    """

    inputs: tf.Tensor
    labels: tf.Tensor
    outputs: tf.Tensor
    activations: Mapping[str, tf.Tensor]
    weights: Mapping[str, tf.Tensor]
    constants: Mapping[str, tf.Tensor]
    number: tf.Tensor
    apply: Callable
    predict: Callable | None = None
    progress: tf.Tensor | None = None
    real: tf.Tensor | None = None
    clean_labels: tf.Tensor | None = None
    held_out: Callable | None = None
    notes: dict[str, tf.Tensor] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Weighted:
    """Losses with weights of the objective's choice. No gradient flows through the weights.

    Attributes:
        losses: `[members, batch]`.
        weights: At least 0, `[members, batch]`.
        divide_by: `"weights"`: the sum of weighted losses is divided by the sum of the weights of
            real rows, so their scale does not matter; `"examples"`: by the number of real rows.
    """

    losses: tf.Tensor
    weights: tf.Tensor
    divide_by: str = "weights"

    def __post_init__(self):
        one_of("divide_by", self.divide_by, ("weights", "examples"))


Objective = Callable[[Step], "tf.Tensor | Weighted"]


def reduced(loss, weights: tf.Tensor, count: tf.Tensor, reduce_sum: Callable) -> tf.Tensor:
    """Returns what an objective gave as one number a member, this replica's share of it.

    Args:
        loss: What the objective gave; one that is reduced already stays as it is.
        weights: Of the rows, 0 for padding, `[members, batch]`.
        count: Number of real rows on all replicas, `[members]`.
        reduce_sum: Sums over replicas.
    """
    if isinstance(loss, Weighted):
        chosen = tf.stop_gradient(loss.weights) * weights
        if loss.divide_by == "weights":
            count = reduce_sum(tf.reduce_sum(chosen, 1))
        return tf.math.divide_no_nan(tf.reduce_sum(loss.losses * chosen, 1), count)
    return tf.reduce_sum(loss * weights, 1) / count if len(loss.shape) == 2 else loss


def per_example(function: Callable) -> Objective:
    """Makes an objective of `function(labels, outputs) -> losses`, one loss for each example.

    Members are folded into the batch, so the function sees what it would see of one model. A Keras
    loss is called without its reduction.
    """
    call = function.call if isinstance(function, keras.losses.Loss) else function

    def objective(step: Step) -> tf.Tensor:
        lead = tf.shape(step.outputs)[:2]

        def merge(x):
            return tf.reshape(x, (-1, *x.shape[2:]))

        losses = call(merge(step.labels), merge(step.outputs))
        return tf.reshape(losses, (lead[0], lead[1]))

    return objective


def cross_entropy(step: Step, dtype: str = "float32") -> tf.Tensor:
    """Cross-entropy of integer labels with logits, in nats, float32.

    Args:
        step: The training step.
        dtype: Type in which softmax, loss and their gradient are computed.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=step.labels, logits=tf.cast(step.outputs, dtype)
    )
    return tf.cast(losses, tf.float32)


def squared_error(step: Step) -> tf.Tensor:
    """Mean over classes of the squared difference from one-hot labels."""
    outputs = tf.cast(step.outputs, tf.float32)
    return tf.reduce_mean(tf.square(outputs - tf.one_hot(step.labels, outputs.shape[-1])), -1)
