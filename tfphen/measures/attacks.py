"""Adversarial perturbations of all members' inputs at once, as TensorFlow that compiles under XLA.

Each attack is a function of `(apply, inputs, labels)`, with `apply(inputs) -> logits` and a member
axis in front of everything. It serves an objective, with `Step.apply`, and a measure, with
`Trained.with_model`. All attacks follow the direction of the cross-entropy's gradient, and none of
them lets a gradient flow through the example that it finds.
"""

import math

import tensorflow as tf

from tfphen.core import checks
from tfphen.measures import attack_parts as parts
from tfphen.population import counter_rng

NORMS = ("l2", "linf")
# Below this length a gradient has no direction.
_NO_LENGTH = 1e-30
# Loops are written out here: there is nothing for AutoGraph to convert, which would take seconds.
_as_it_is = tf.autograph.experimental.do_not_convert


@_as_it_is
def fast_gradient(apply, inputs, labels, size, norm="linf", low=None, high=None):
    """The fast gradient method: one step as long as the perturbation may be.

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
        UsageError: An unknown norm, a size that is negative, or inputs without a member axis.

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
    apply,
    inputs,
    labels,
    size,
    norm="linf",
    steps=10,
    step_size=None,
    low=None,
    high=None,
    random_start=False,
    keys=None,
    number=0,
):
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
            2.5 ε / `steps`, which reaches the border from everywhere in the ball.
        low: Smallest value of an entry; None for no limit.
        high: Largest value of an entry; None for no limit.
        random_start: Whether to start from a random place of the ball: uniform in the cube of
            radius ε, and for the l2 norm brought back to the ball.
        keys: For the start: one key a member, `[members, 2]`, uint32; None for one and the same.
        number: For the start: of the draw, such as the training step or the number of a restart.

    Returns:
        Perturbed examples like `inputs`: the last iterate, misclassified or not.

    Raises:
        UsageError: An unknown norm, `steps` below one, a size that is negative, or inputs without
            a member axis.

    Example:

    >>> import tensorflow as tf
    >>> apply = lambda x: tf.stack([-x[..., 0], x[..., 0]], -1)
    >>> inputs = tf.constant([[[2.0, 0.0]]])
    >>> projected_gradient(apply, inputs, tf.constant([[1]]), 0.5, steps=4).numpy().tolist()
    [[[1.5, 0.0]]]

    When not to use:
        For the distance to the decision boundary: `minimal_norm` finds it in one run. A network
        that withstands ten steps may fall to forty, or to a few restarts.

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

    def bounded(values):
        return parts.clip(inputs + parts.project(values - inputs, size, norm), low, high)

    start = inputs
    if random_start:
        shape = tuple(inputs.shape[1:])
        keys = parts.member_keys(keys, inputs)
        numbers = counter_rng.uniform(keys, number, parts.START, shape)
        start = bounded(inputs + size * (2.0 * tf.cast(numbers, inputs.dtype) - 1.0))

    def ascend(step, values):
        gradient, _ = parts.uphill(apply, values, labels)
        values = bounded(values + step_size * parts.direction(gradient, norm))
        return step + 1, tf.ensure_shape(values, inputs.shape)

    _, found = tf.while_loop(lambda step, _: step < steps, ascend, (tf.constant(0), start))
    return tf.stop_gradient(found)


@_as_it_is
def minimal_norm(
    apply,
    inputs,
    labels,
    steps=300,
    initial_norm=1.0,
    factor=0.05,
    low=None,
    high=None,
    keys=None,
):
    """Euclidean distance of each example to the nearest misclassified point that DDN finds.

    The decoupled direction and norm attack walks along the normalized gradient, and sets the
    length of the perturbation by itself: shorter after a success, longer after a failure.

        δ ← δ + a_t g / |g|,   ε ← (1 ∓ γ) ε,   δ ← ε δ / |δ|

    with a_t from 1 to 0.01 along a cosine. The perturbation is not rounded to gray levels.

    Args:
        apply: As in `fast_gradient`.
        inputs: Examples, `[members, n, ...]`, floating point.
        labels: Their classes, integers `[members, n]`.
        steps: Number of steps. The length falls by 5 % a step at most, so distances far below
            `initial_norm` need some hundreds.
        initial_norm: First length ε, and the length of the first step, in units of the inputs.
        factor: γ, by which the length changes.
        low: Smallest value of an entry; None for no limit.
        high: Largest value of an entry; None for no limit.
        keys: For the random direction that is taken where the gradient is zero: one key a
            member, `[members, 2]`, uint32; None for one and the same.

    Returns:
        The least length of a perturbation that changed the class, `[members, n]`: 0 for an example
        that is misclassified as it is, infinity where none was found.

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
        As a certificate: the distance is that of a point which was found, and the nearest one may
        be nearer. For the largest change of any entry use `projected_gradient`.

    Reference:
        J. Rony et al., "Decoupling Direction and Norm for Efficient Gradient-Based L2 Adversarial
        Attacks and Defenses", CVPR 2019, arXiv 1811.09600.
    """
    return nearest_adversarial(apply, inputs, labels, steps, initial_norm, factor, low, high, keys)[
        0
    ]


@_as_it_is
def nearest_adversarial(
    apply,
    inputs,
    labels,
    steps=300,
    initial_norm=1.0,
    factor=0.05,
    low=None,
    high=None,
    keys=None,
):
    """As `minimal_norm`, and the misclassified points themselves.

    Returns:
        Distances `[members, n]`, and points like `inputs`: the example itself where none was found.
    """
    checks.wholes(steps=steps)
    checks.positive("initial_norm", initial_norm)
    checks.number("factor", factor, 0, 1, low_open=True, high_open=True)
    inputs = parts.checked(inputs, labels)
    keys = parts.member_keys(keys, inputs)
    axes = tuple(range(2, len(inputs.shape)))

    def updated(values, fooled, best, found):
        length = tf.sqrt(tf.reduce_sum(tf.square(values - inputs), axes))
        better = tf.logical_and(fooled, length < best)
        kept = tf.where(parts.spread(better, inputs), values, found)
        return tf.where(better, length, best), kept

    def walk(step, values, norm, best, found):
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
    # The last point has not been looked at yet.
    best, found = updated(values, parts.misclassified(apply(values), labels), best, found)
    return tf.stop_gradient(best), tf.stop_gradient(found)
