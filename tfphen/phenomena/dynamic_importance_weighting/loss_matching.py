"""Dynamic importance weighting: weights of each batch, found by matching its losses to clean ones.

Within every training step the losses of the batch and of held-out examples are compared in
inference mode, and kernel mean matching gives the batch weights w under which both have the same
mean features; then the weighted losses are descended. Weights and network help each other on.
"""

import numpy as np
import tensorflow as tf

from tfphen.core import checks, seeds
from tfphen.core.errors import UsageError
from tfphen.phenomena.dynamic_importance_weighting import box_qp
from tfphen.population import counter_rng
from tfphen.train import batches, objectives
from tfphen.train.loop import StepHook
from tfphen.train.objectives import Objective, Step, Weighted

KERNELS = ("median", "quantile", "inverse_median")
NORMS = ("mean", "none")
# Columns that stand for a kernel of losses, and what is added to its diagonal.
_RANK, _RIDGE = 32, 1e-5


def kernel_gamma(losses, real, kernel: str):
    """Returns γ of the kernel exp(-γ (l - l')²) of losses, `[members]`.

    With m and q the median and the 1% quantile of |lᵢ - lⱼ| over pairs of different rows:

        "median": m,   "quantile": q,   "inverse_median": 1 / (2 m²), or 0 where m is 0

    The first two are what was released, a distance in the place of an inverse squared one: a small
    distance gives a wide kernel.

    Args:
        losses: `[members, n]`.
        real: 1.0 for rows that count, else 0.0, `[members, n]`.
        kernel: One of `KERNELS`.
    """
    distances = tf.abs(losses[:, :, None] - losses[:, None])
    later = np.triu(np.ones((losses.shape[1],) * 2), 1)
    counts = real[:, :, None] * real[:, None] * tf.constant(later, real.dtype)
    found = _quantile(distances, counts, 0.01 if kernel == "quantile" else 0.5)
    if kernel == "inverse_median":
        return tf.math.divide_no_nan(tf.cast(0.5, found.dtype), tf.square(found))
    return found


def _quantile(values, counts, share: float):
    """Returns a quantile of those values that count, interpolated, `[members]`; 0 if none do.

    Bisection, since compiled sorting is slow.

    Args:
        values: Not negative, `[members, n, n]`.
        counts: 1.0 for values that count, else 0.0.
        share: In [0, 1].
    """

    def number_to(limit):
        return tf.reduce_sum(tf.where(values <= limit[:, None, None], counts, 0.0), (1, 2))

    def halve(i, low, high):
        middle = 0.5 * (low + high)
        enough = number_to(middle) > below
        return i + 1, tf.where(enough, low, middle), tf.where(enough, middle, high)

    place = tf.maximum(tf.reduce_sum(counts, (1, 2)) - 1, 0.0) * share
    below = tf.floor(place)
    most = tf.reduce_max(values * counts, (1, 2))
    start = tf.constant(0), tf.zeros_like(most) - 1.0, most
    _, _, high = tf.while_loop(lambda i, *_: i < 32, halve, start)
    limit = high[:, None, None]
    # Of rank `below`, counted from 0, and the one after it.
    first = tf.reduce_max(tf.where(values <= limit, values * counts, 0.0), (1, 2))
    further = tf.where((values > limit) & (counts > 0), values, most[:, None, None])
    second = tf.where(number_to(high) > below + 1, first, tf.reduce_min(further, (1, 2)))
    return first + (second - first) * (place - below)


def matched_weights(
    losses,
    held_out_losses,
    real=None,
    kernel: str = "median",
    bound: float = 50.0,
    gap: float = 1e-6,
    steps: int = 30,
):
    """Kernel mean matching of losses, for many batches at once; compiles under XLA.

        minimise ½ w'K w - k'w,   kᵢ = (n / m) Σⱼ exp(-γ (lᵢ - l'ⱼ)²),   0 ≤ w ≤ B,
        |Σ w - n| ≤ n (√n - 1) / √n

    The kernel is nearly singular, and its weights depend on how far the programme is solved: the
    released code stops where the duality gap is a millionth of the objective, and so does this.

    Args:
        losses: Of the batch, `[members, n]`.
        held_out_losses: `[members, m]`.
        real: 1.0 for rows that count, else 0.0, `[members, n]`; None for all.
        kernel: See `kernel_gamma`.
        bound: B, above 1.
        gap: Where to stop.
        steps: Most iterations of the interior-point method.

    Returns:
        w, float32, `[members, n]`, 0 for rows that do not count. Not rescaled.

    Example:

    >>> weights = matched_weights([[0.1, 0.2, 0.1, 4.0, 5.0]], [[0.1, 0.2]])
    >>> bool(tf.reduce_min(weights[0, :3]) > 20 * tf.reduce_max(weights[0, 3:]))
    True

    When not to use:
        On the host, for a whole data set: `tfphen.density_ratio.kernel_mean_matching`.

    Reference:
        T. Fang, N. Lu, G. Niu, M. Sugiyama, "Rethinking Importance Weighting for Deep Learning
        under Distribution Shift", NeurIPS 2020, arXiv 2006.04662.
    """
    losses, held_out_losses = (tf.cast(x, tf.float64) for x in (losses, held_out_losses))
    real = tf.ones_like(losses) if real is None else tf.cast(real, tf.float64)
    gamma = kernel_gamma(losses, real, kernel)
    features, rest = box_qp.gaussian_features(losses, gamma, real, _RANK)
    count = tf.reduce_sum(real, 1)
    distances = tf.square(losses[:, :, None] - held_out_losses[:, None, :])
    near = tf.reduce_mean(tf.exp(-gamma[:, None, None] * distances), -1)
    # One row alone would leave no room; it gets some.
    slack = tf.maximum(count - tf.sqrt(count), 0.5)
    weights = box_qp.solve(
        features, rest + _RIDGE, count[:, None] * near, real, bound, slack, gap, steps
    )
    return tf.cast(weights, tf.float32)


def _on_one_device() -> None:
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise UsageError(
            f"Weights of a whole batch are found on one device. Received: {replicas} replicas"
        )


def _weighted(step: Step, losses, weights, weight_norm: str) -> Weighted:
    """Notes the weights for the step hook, and puts them in the form that is asked for."""
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
    """Cross-entropy with weights found anew for each batch, see `matched_weights`.

    The trial's data needs `validation`, held-out examples of the distribution that counts.

    Args:
        rows: Held-out examples drawn at each step.
        kernel: `"median"`, `"quantile"` or `"inverse_median"`, see `kernel_gamma`.
        bound: Largest weight.
        weight_norm: `"mean"` divides by the sum of the weights, so that their scale does not
            matter; `"none"` takes them as they are and divides by the batch size, padding
            included, which is the released sum of losses with a learning rate in other units.
        warm_up: Share of the training in which all weights are 1.
        steps: Most iterations of the quadratic programme.
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
        found = matched_weights(seen[:, :size], seen[:, size:], real, kernel, bound, steps=steps)
        # A hair less, so that rounding does not put off the first step after the warm-up.
        warm = (step.progress < warm_up * (1 - 1e-6))[:, None]
        return _weighted(step, losses, tf.where(warm, real, found), weight_norm)

    return objective


def random_weights(weight_norm: str = "mean") -> Objective:
    """Cross-entropy with weights max(0, z) of standard normal z, drawn anew for each batch.

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
    """Cross-entropy with a weight for each training example, found before.

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
        # Which examples a step sees is fixed by the seed: the weights are put in that order once.
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


def static_weights(trained) -> np.ndarray:
    """Weights of all training examples, from the losses under a trained population.

    Training examples are matched in random blocks of the batch size, each with as many held-out
    examples; the last block has what is left. `kernel` and `bound` are those of the trial's
    objective.

    Args:
        trained: A `tfphen.measures.trained.Trained` with held-out examples.

    Returns:
        Rescaled to mean 1, float32, `[members, n]`.
    """
    first = trained.trials[0]
    kernel, bound = (first.objective.settings[name] for name in ("kernel", "bound"))
    size = first.batch_size
    parts = {}
    for split in ("train", "validation"):
        table, labels = trained.log_probabilities(split), trained.labels(split)
        parts[split] = -np.take_along_axis(table, labels[..., None], -1)[..., 0]
    count = parts["train"].shape[1]
    blocks, rows = -(-count // size), min(size, parts["validation"].shape[1])
    orders, losses, held_out = [], [], []
    for index, trial in enumerate(trained.trials):
        generator = seeds.stream(trial.seed, "static_weights")
        order = np.append(generator.permutation(count), np.full(blocks * size - count, -1))
        orders.append(order.reshape(blocks, size))
        losses.append(parts["train"][index][orders[-1]])
        held = parts["validation"][index]
        held_out += [generator.permutation(held)[:rows] for _ in range(blocks)]
    real = np.concatenate(orders) >= 0
    found = matched_weights(np.concatenate(losses), np.stack(held_out), real, kernel, bound)
    weights = np.empty(parts["train"].shape, "float32")
    for own, order, row in zip(np.split(found.numpy(), len(orders)), orders, weights, strict=True):
        row[order[order >= 0]] = own[order >= 0]
    return weights / weights.mean(1, keepdims=True)


def fit_of_flipped(trained) -> np.ndarray:
    """Share of the examples with a flipped label that are given it, `[members]`; or NaN."""
    labels, clean = (trained.labels("train", kind) for kind in ("labels", "clean_labels"))
    flipped, fitted = labels != clean, trained.logits("train").argmax(-1) == labels
    with np.errstate(invalid="ignore"):
        return trained.mean("train", flipped & fitted) / trained.mean("train", flipped)


def separation(step: Step):
    """How well the noted weights tell clean from flipped labels, `[members, 4]`.

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


SEPARATION = ("auc", "clean_weight", "flipped_weight", "mean_weight")


WEIGHT_SEPARATION = StepHook(SEPARATION, lambda step, gradients: separation(step))
