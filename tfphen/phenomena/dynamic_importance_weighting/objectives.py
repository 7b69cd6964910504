"""Cross-entropy with dynamic, random or static weights of examples.

Dynamic weights: within every training step the losses of the batch and of held-out examples are
compared in inference mode, and kernel mean matching yields weights under which both have the same
mean features; the step descends on the weighted losses.
"""

import numpy as np
import tensorflow as tf

from tfphen.core import checks, seeds
from tfphen.core.errors import UsageError
from tfphen.phenomena.dynamic_importance_weighting.loss_matching import matched_weights
from tfphen.phenomena.dynamic_importance_weighting.trials import KERNELS
from tfphen.population import counter_rng
from tfphen.train import batches, objectives
from tfphen.train.loop import StepHook
from tfphen.train.objectives import Objective, Step, Weighted

NORMS = ("mean", "none")


def _on_one_device() -> None:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise UsageError(
            f"Weights of a whole batch are computed on one device. Received: {replicas} replicas"
        )


def _weighted(step: Step, losses, weights, weight_norm: str) -> Weighted:
    """Records the weights for the step hook, and normalizes the loss."""
    real = step.real
    if weight_norm == "mean":
        total = tf.reduce_sum(weights * real, 1, keepdims=True)
        count = tf.reduce_sum(real, 1, keepdims=True)
        step.notes["weights"] = tf.math.divide_no_nan(weights * count, total)
        return Weighted(losses, weights, "weights")
    step.notes["weights"] = weights
    share = tf.reduce_mean(real, 1, keepdims=True)
    return Weighted(losses, weights * share, "examples")


def dynamic_importance_weighting(
    rows: int = 64,
    kernel: str = "median",
    bound: float = 50.0,
    weight_norm: str = "mean",
    warm_up: float = 0.0,
    steps: int = 30,
) -> Objective:
    """Cross-entropy with weights computed for each batch, see `matched_weights`.

    The trial's data needs `validation`, held-out examples of the target distribution.

    Args:
        rows: Held-out examples drawn at each step.
        kernel: `"median"`, `"quantile"` or `"inverse_median"`, see `kernel_gamma`.
        bound: Largest weight.
        weight_norm: `"mean"` divides by the sum of the weights, so that their scale does not
            matter; `"none"` does not rescale them and divides by the batch size, padding
            included: the sum of losses of the released code, up to the unit of the learning rate.
        warm_up: Share of the training in which all weights are 1.
        steps: Maximum number of iterations of the quadratic program.
    """
    checks.one_of("kernel", kernel, KERNELS)
    checks.one_of("weight_norm", weight_norm, NORMS)
    checks.wholes(rows=rows, steps=steps)
    bound = checks.number("bound", bound, 1, low_open=True)
    warm_up = checks.number("warm_up", warm_up, 0, 1)

    def objective(step: Step) -> Weighted:
        _on_one_device()
        losses, real = objectives.cross_entropy(step), step.real
        if warm_up == 1:
            return _weighted(step, losses, real, weight_norm)
        size = losses.shape[1]
        inputs, labels = step.held_out(rows)
        outputs = step.predict(tf.concat([step.inputs, inputs], 1))
        seen = tf.nn.sparse_softmax_cross_entropy_with_logits(
            tf.concat([step.labels, labels], 1), tf.cast(outputs, tf.float32)
        )
        matched = matched_weights(seen[:, :size], seen[:, size:], real, kernel, bound, steps=steps)
        # Slightly less, so that rounding does not delay the first step after the warm-up.
        warm = (step.progress < warm_up * (1 - 1e-6))[:, None]
        return _weighted(step, losses, tf.where(warm, real, matched), weight_norm)

    return objective


def random_weights(weight_norm: str = "mean") -> Objective:
    """Cross-entropy with weights max(0, z) of standard normal z, drawn for each batch.

    The trial's `constants` hold its seed as `"stream_seed"`.

    Args:
        weight_norm: As in `dynamic_importance_weighting`.
    """
    checks.one_of("weight_norm", weight_norm, NORMS)

    def objective(step: Step) -> Weighted:
        _on_one_device()
        losses, real = objectives.cross_entropy(step), step.real
        keys = np.stack([seeds.key(seed, "random_weights") for seed in _seeds(step)])
        drawn = counter_rng.uniform(tf.constant(keys), step.number, 0, (losses.shape[1], 1))[..., 0]
        weights = tf.nn.relu(tf.math.ndtri(tf.clip_by_value(drawn, 1e-6, 1 - 1e-6))) * real
        return _weighted(step, losses, weights, weight_norm)

    return objective


def static_importance_weighting(steps: int, weight_norm: str = "mean") -> Objective:
    """Cross-entropy with fixed weights of the training examples, computed before.

    The trial's `inputs` hold them as `"weights"`, `[n]`, and its `constants` its seed as
    `"stream_seed"`.

    Args:
        steps: Updates of the training.
        weight_norm: As in `dynamic_importance_weighting`.
    """
    checks.one_of("weight_norm", weight_norm, NORMS)
    checks.wholes(steps=steps)

    def objective(step: Step) -> Weighted:
        _on_one_device()
        losses, real = objectives.cross_entropy(step), step.real
        size = losses.shape[1]
        # The seed fixes which examples a step sees: the weights are put in that order once.
        given = tf.get_static_value(step.constants["weights"])
        orders = [
            batches.Order(seed, len(own), size).steps_between(0, steps)
            for seed, own in zip(_seeds(step), given, strict=True)
        ]
        table = np.stack([own[order] for own, order in zip(given, orders, strict=True)], 1)
        weights = tf.gather(tf.constant(table, tf.float32), step.number) * real
        return _weighted(step, losses, weights, weight_norm)

    return objective


def _seeds(step: Step) -> list[int]:
    return [int(seed) for seed in tf.get_static_value(step.constants["stream_seed"])]


def separation(step: Step):
    """How well the recorded weights separate clean from flipped labels, `[members, 4]`.

    Columns: the area under the ROC curve, from ranks with ties counted half; the mean weights of
    clean and of flipped rows; the mean weight. NaN where a batch has no flipped, or no clean, rows.
    """
    weights, real = step.notes["weights"], step.real
    flipped = tf.cast(step.labels != step.clean_labels, tf.float32) * real
    clean = real - flipped
    above = tf.sign(weights[:, :, None] - weights[:, None, :])
    wins = tf.einsum("mi,mij,mj->m", clean, 0.5 + 0.5 * above, flipped)
    counts = [tf.reduce_sum(group, 1) for group in (clean, flipped, real)]
    means = [
        tf.reduce_sum(group * weights, 1) / count
        for group, count in zip((clean, flipped, real), counts, strict=True)
    ]
    return tf.stack([wins / (counts[0] * counts[1]), *means], -1)


WEIGHT_SEPARATION = StepHook(
    ("auc", "clean_weight", "flipped_weight", "mean_weight"),
    lambda step, gradients: separation(step),
)
