"""Adversarial perturbations of all members' inputs at once, as TensorFlow that compiles under XLA.

Each attack is a function of `(apply, inputs, labels)`, with `apply(inputs) -> logits` and a leading
member axis everywhere. Objectives use it with `Step.apply`, measures with `Trained.with_model`. All
attacks follow the direction of the cross-entropy's gradient, and no gradient flows through their
results.
"""

import math

import tensorflow as tf

from tfphen.core import checks
from tfphen.measures import attack_parts as parts
from tfphen.population import counter_rng
from tfphen.population.prediction import Apply

NORMS = ("l2", "linf")
# A gradient with a smaller norm has no direction.
_NO_LENGTH = 1e-30
# The attacks use `tf.while_loop`, so AutoGraph, which would take seconds, has nothing to convert.
_as_it_is = tf.autograph.experimental.do_not_convert


@_as_it_is
def fast_gradient(
    apply: Apply,
    inputs: tf.Tensor,
    labels: tf.Tensor,
    size: tf.Tensor | float,
    norm: str = "linf",
    low: float | None = None,
    high: float | None = None,
) -> tf.Tensor:
    """The fast gradient method: one step of the full length.

        x' = clip(x + ε sign(g))  or, in the l2 norm,  x' = clip(x + ε g / |g|)

    with g the gradient of the cross-entropy with respect to x.

    Args:
        apply: `apply(inputs) -> logits`, `[members, n, ...] -> [members, n, K]`, differentiable
            TensorFlow; K of at least 2.
        inputs: Examples, `[members, n, ...]`, floating point.
        labels: Their classes, integers `[members, n]`.
        size: Length ε of the perturbation in units of the inputs: a number, or a tensor
            `[members]` or `[members, n]`.
        norm: `"linf"`, the largest change of any entry, or `"l2"`, Euclidean length.
        low: Smallest value of an entry; None for no limit.
        high: Largest value of an entry; None for no limit.

    Returns:
        Perturbed examples like `inputs`. Where the gradient is zero nothing changes.

    Raises:
        UsageError: An unknown norm, a negative size, or inputs without a member axis.

    Example:

    >>> import tensorflow as tf
    >>> apply = lambda x: tf.stack([-x[..., 0], x[..., 0]], -1)
    >>> inputs = tf.constant([[[2.0, 0.0]]])
    >>> fast_gradient(apply, inputs, tf.constant([[1]]), 0.5, "l2").numpy().tolist()
    [[[1.5, 0.0]]]

    When not to use:
        To claim that a network is robust: one step fails where the loss is curved. Use
        `projected_gradient` or `minimal_norm`.

    Reference:
        I. Goodfellow, J. Shlens, C. Szegedy, "Explaining and Harnessing Adversarial Examples",
        ICLR 2015, arXiv 1412.6572.
    """
    checks.one_of("norm", norm, NORMS)
    inputs = parts.checked(inputs, labels)
    size = parts.per_example("size", size, inputs)
    gradient, _ = parts.uphill(apply, inputs, labels)
    found = inputs + size * parts.direction(gradient, norm)
    return tf.stop_gradient(parts.clip(found, low, high))


@_as_it_is
def projected_gradient(
    apply: Apply,
    inputs: tf.Tensor,
    labels: tf.Tensor,
    size: tf.Tensor | float,
    norm: str = "linf",
    steps: int = 10,
    step_size: tf.Tensor | float | None = None,
    low: float | None = None,
    high: float | None = None,
    random_start: bool = False,
    keys: tf.Tensor | None = None,
    number: tf.Tensor | int = 0,
) -> tf.Tensor:
    """Projected gradient ascent on the cross-entropy within a ball around each example.

        x ← clip(project(x + α d(g)))

    with d(g) = sign(g) or g / |g|, and the projection to the ball of radius ε.

    Args:
        apply: As in `fast_gradient`.
        inputs: Examples, `[members, n, ...]`, floating point.
        labels: Their classes, integers `[members, n]`.
        size: Radius ε of the ball, as in `fast_gradient`.
        norm: `"linf"` or `"l2"`.
        steps: Number of steps.
        step_size: Length α of a step, a number or a tensor as `size`; None for
            2.5 ε / `steps`, which reaches the boundary from everywhere in the ball.
        low: Smallest value of an entry; None for no limit.
        high: Largest value of an entry; None for no limit.
        random_start: Whether to start from a random point: uniform in the cube of radius ε, and for
            the l2 norm projected to the ball.
        keys: Keys of the random start, `[members, 2]`, uint32; None for the same in all members.
        number: Index of its draw, such as the training step or the number of a restart.

    Returns:
        Perturbed examples like `inputs`: the last iterate, misclassified or not.

    Raises:
        UsageError: An unknown norm, `steps` below one, a negative size, or inputs without a member
            axis.

    Example:

    >>> import tensorflow as tf
    >>> apply = lambda x: tf.stack([-x[..., 0], x[..., 0]], -1)
    >>> inputs = tf.constant([[[2.0, 0.0]]])
    >>> projected_gradient(apply, inputs, tf.constant([[1]]), 0.5, steps=4).numpy().tolist()
    [[[1.5, 0.0]]]

    When not to use:
        For the distance to the decision boundary: `minimal_norm` finds it in one run. A network
        that is robust to ten steps may not be to forty, or to a few restarts.

    Reference:
        A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks",
        ICLR 2018, arXiv 1706.06083.
    """
    checks.one_of("norm", norm, NORMS)
    checks.wholes(steps=steps)
    inputs = parts.checked(inputs, labels)
    size = parts.per_example("size", size, inputs)
    step_size = 2.5 * size / steps if step_size is None else step_size
    step_size = parts.per_example("step_size", step_size, inputs)

    def bounded(values: tf.Tensor) -> tf.Tensor:
        return parts.clip(inputs + parts.project(values - inputs, size, norm), low, high)

    start = inputs
    if random_start:
        shape = tuple(inputs.shape[1:])
        keys = parts.member_keys(keys, inputs)
        numbers = counter_rng.uniform(keys, number, parts.START, shape)
        start = bounded(inputs + size * (2.0 * tf.cast(numbers, inputs.dtype) - 1.0))

    def ascend(step: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        gradient, _ = parts.uphill(apply, values, labels)
        values = bounded(values + step_size * parts.direction(gradient, norm))
        return step + 1, tf.ensure_shape(values, inputs.shape)

    _, found = tf.while_loop(lambda step, _: step < steps, ascend, (tf.constant(0), start))
    return tf.stop_gradient(found)


@_as_it_is
def minimal_norm(
    apply: Apply,
    inputs: tf.Tensor,
    labels: tf.Tensor,
    steps: int = 300,
    initial_norm: float = 1.0,
    factor: float = 0.05,
    low: float | None = None,
    high: float | None = None,
    keys: tf.Tensor | None = None,
) -> tf.Tensor:
    """Euclidean distance of each example to the nearest misclassified point that DDN finds.

    The decoupled direction and norm attack follows the normalized gradient, and adapts the norm of
    the perturbation: smaller after a success, larger after a failure.

        δ ← δ + a_t g / |g|,   ε ← (1 ∓ γ) ε,   δ ← ε δ / |δ|

    with a_t from 1 to 0.01 along a cosine. The perturbation is not rounded to gray levels.

    Args:
        apply: As in `fast_gradient`.
        inputs: Examples, `[members, n, ...]`, floating point.
        labels: Their classes, integers `[members, n]`.
        steps: Number of steps. The norm falls by 5 % a step at most, so distances far below
            `initial_norm` need some hundreds.
        initial_norm: First norm ε, and the length of the first step, in units of the inputs.
        factor: γ, the relative change of the norm.
        low: Smallest value of an entry; None for no limit.
        high: Largest value of an entry; None for no limit.
        keys: Keys of the random directions that are used where the gradient is zero,
            `[members, 2]`, uint32; None for the same in all members.

    Returns:
        The smallest norm of a perturbation that changed the class, `[members, n]`: 0 for an example
        that is already misclassified, infinity where none was found.

    Raises:
        UsageError: `steps` below one, an `initial_norm` that is not positive, a `factor` outside
            (0, 1), or inputs without a member axis.

    Example:

    >>> import tensorflow as tf
    >>> apply = lambda x: tf.stack([-x[..., 0], x[..., 0]], -1)
    >>> inputs = tf.constant([[[0.2, 0.0]]])
    >>> round(float(minimal_norm(apply, inputs, tf.constant([[1]]))[0, 0]), 2)
    0.2

    When not to use:
        As a certificate: the distance is an upper bound, and a nearer point may exist. For the
        largest change of any entry use `projected_gradient`.

    Reference:
        J. Rony et al., "Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial
        Attacks and Defenses", CVPR 2019, arXiv 1811.09600.
    """
    distances, _ = nearest_adversarial(
        apply, inputs, labels, steps, initial_norm, factor, low, high, keys
    )
    return distances


@_as_it_is
def nearest_adversarial(
    apply: Apply,
    inputs: tf.Tensor,
    labels: tf.Tensor,
    steps: int = 300,
    initial_norm: float = 1.0,
    factor: float = 0.05,
    low: float | None = None,
    high: float | None = None,
    keys: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """As `minimal_norm`, which returns the distances only.

    Returns:
        Distances `[members, n]`, and the adversarial points, like `inputs`; the example itself
        where none was found.
    """
    checks.wholes(steps=steps)
    checks.positive("initial_norm", initial_norm)
    checks.number("factor", factor, 0, 1, low_open=True, high_open=True)
    inputs = parts.checked(inputs, labels)
    keys = parts.member_keys(keys, inputs)
    axes = tuple(range(2, len(inputs.shape)))

    def updated(
        values: tf.Tensor, fooled: tf.Tensor, best: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        length = tf.sqrt(tf.reduce_sum(tf.square(values - inputs), axes))
        better = tf.logical_and(fooled, length < best)
        kept = tf.where(parts.spread(better, inputs), values, found)
        return tf.where(better, length, best), kept

    def walk(
        step: tf.Tensor, values: tf.Tensor, norm: tf.Tensor, best: tf.Tensor, found: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        gradient, fooled = parts.uphill(apply, values, labels)
        best, found = updated(values, fooled, best, found)
        flat = tf.sqrt(tf.reduce_sum(tf.square(gradient), axes, keepdims=True)) <= _NO_LENGTH
        other = parts.random_direction(keys, step, inputs)
        direction = tf.where(flat, other, parts.direction(gradient, "l2"))
        share = tf.cast(step, inputs.dtype) / steps
        rate = initial_norm * (0.01 + 0.99 * 0.5 * (1.0 + tf.cos(math.pi * share)))
        norm *= tf.where(fooled, tf.cast(1.0 - factor, norm.dtype), 1.0 + factor)
        change = parts.direction(values - inputs + rate * direction, "l2")
        values = parts.clip(inputs + change * parts.spread(norm, inputs), low, high)
        shaped = [tf.ensure_shape(x, inputs.shape[:2]) for x in (norm, best)]
        values, found = (tf.ensure_shape(x, inputs.shape) for x in (values, found))
        return step + 1, values, *shaped, found

    best = tf.fill(tf.shape(inputs)[:2], tf.constant(math.inf, inputs.dtype))
    norm = tf.fill(tf.shape(inputs)[:2], tf.constant(initial_norm, inputs.dtype))
    _, values, _, best, found = tf.while_loop(
        lambda step, *_: step < steps, walk, (tf.constant(0), inputs, norm, best, inputs)
    )
    # The last point has not been evaluated yet.
    best, found = updated(values, parts.misclassified(apply(values), labels), best, found)
    return tf.stop_gradient(best), tf.stop_gradient(found)
