"""Seven objectives whose features the paper below compares with those of softmax cross-entropy.

With cross-entropy itself, and with cross-entropy on features with dropout, they are the nine of
 `tfphen.losses.transfer_objective`. Each factory takes its settings as keyword arguments and
returns a function of a `Step`; defaults are those released for ResNet-50 on ImageNet.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

from collections.abc import Callable

import tensorflow as tf

from tfphen import losses
from tfphen.core.checks import number
from tfphen.core.errors import UsageError
from tfphen.losses.label_smoothing import checked_alpha
from tfphen.losses.logit_penalty import checked_beta
from tfphen.losses.sparse_labels import checked_temperature
from tfphen.losses.squared_error import checked_squared_error
from tfphen.train import objectives
from tfphen.train.objectives import Objective, Step


def label_smoothing(alpha: float = 0.1) -> Objective:
    """See `tfphen.losses.label_smoothed_crossentropy`.

    Args:
        alpha: Fraction of a label that is spread over all classes.
    """
    alpha = checked_alpha(alpha)
    return lambda step: losses.label_smoothed_crossentropy(step.labels, step.outputs, alpha)


def final_layer_penalty(l2: float = 8e-4, kernel: str = "logits/kernel") -> Objective:
    """Cross-entropy plus `l2 / 2` times the sum of squares of the last kernel.

    Args:
        l2: Weight of the penalty, in addition to the weight decay of the optimizer.
        kernel: Path of the last kernel in the model.
    """
    l2 = number("l2", l2, 0)

    def objective(step: Step) -> tf.Tensor:
        if kernel not in step.weights:
            raise UsageError(
                "`kernel` is the path of a weight of the model, one of "
                f"{', '.join(step.weights)}. Received: kernel={kernel!r}"
            )
        values = tf.cast(step.weights[kernel], tf.float32)
        squares = tf.reduce_sum(tf.square(values), tuple(range(1, len(values.shape))))
        # Once for each example, of which the mean is taken.
        return objectives.cross_entropy(step) + 0.5 * l2 * squares[:, None]

    return objective


def logit_penalty(beta: float = 6e-4) -> Objective:
    """See `tfphen.losses.logit_penalty_crossentropy`.

    Args:
        beta: Weight of the penalty.
    """
    beta = checked_beta(beta)
    return lambda step: losses.logit_penalty_crossentropy(step.labels, step.outputs, beta)


def logit_normalization(temperature: float = 0.04) -> Objective:
    """See `tfphen.losses.logit_normalized_crossentropy`.

    Args:
        temperature: Inverse of the norm of normalized logits.
    """
    value = checked_temperature(temperature)
    return lambda step: losses.logit_normalized_crossentropy(step.labels, step.outputs, value)


def cosine_softmax(temperature: float = 0.05) -> Objective:
    """See `tfphen.losses.cosine_softmax_crossentropy`.

    The model's last layer returns cosines, such as `tfphen.layers.NormalizedDense` with a bias, so
    that the network predicts from the logits of its training.

    Args:
        temperature: Divisor of the cosines.
    """
    value = checked_temperature(temperature)
    return lambda step: losses.cosine_softmax_crossentropy(step.labels, step.outputs, value)


def sigmoid_crossentropy() -> Objective:
    """See `tfphen.losses.sigmoid_crossentropy`."""
    return lambda step: losses.sigmoid_crossentropy(step.labels, step.outputs)


def transfer_squared_error(
    kappa: float = 9.0, target: float = 60.0, scale: float = 10.0
) -> Objective:
    """See `tfphen.losses.squared_error_loss`.

    Args:
        kappa: Weight of the label's term.
        target: Target output of the label.
        scale: Factor of the loss.
    """
    settings = checked_squared_error(kappa, target, scale)
    return lambda step: losses.squared_error_loss(step.labels, step.outputs, **settings)


TRANSFER_OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "label_smoothing": label_smoothing,
    "final_layer_penalty": final_layer_penalty,
    "logit_penalty": logit_penalty,
    "logit_normalization": logit_normalization,
    "cosine_softmax": cosine_softmax,
    "sigmoid_crossentropy": sigmoid_crossentropy,
    "transfer_squared_error": transfer_squared_error,
}
