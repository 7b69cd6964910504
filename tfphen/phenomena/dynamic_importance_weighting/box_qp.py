"""Box-constrained quadratic programs, one per member, inside a compiled training step.

    minimize ½ w'(L L' + diag(d)) w - k'w   subject to   0 ≤ w ≤ B,   a ≤ Σ w ≤ b

The method is that of `tfphen.density_ratio.box_quadratic_programme`. Since L has few columns, an
iteration costs what a product with it costs, by Woodbury's formula.
"""

from typing import NamedTuple

import tensorflow as tf

# Largest share of the way to the boundary that an interior step takes.
_SHY = 0.995


class _Point(NamedTuple):
    """Weights, and the dual variables of w ≥ 0, w ≤ B, a ≤ Σ w and Σ w ≤ b."""

    w: tf.Tensor
    duals: tuple[tf.Tensor, ...]


def gaussian_features(values, gamma, real, rank: int):
    """Splits the kernels K = exp(-gamma (x - x')²) of numbers, by Cholesky with pivots.

    Args:
        values: Of each row, float64, `[members, n]`.
        gamma: `[members]`.
        real: 1.0 for rows that count, else 0.0; those get neither features nor a residual.
        rank: Number of columns.

    Returns:
        L, `[members, n, rank]`, and the diagonal of K - L L', `[members, n]`, which is not
        negative. It vanishes where the kernel is wide.
    """
    size, rank = values.shape[1], min(rank, values.shape[1])

    def add(j, features, residual):
        pivot = tf.argmax(residual, axis=1, output_type=tf.int32)
        at = tf.gather(values, pivot, axis=1, batch_dims=1)[:, None]
        own = tf.gather(features, pivot, axis=1, batch_dims=1)
        column = tf.exp(-gamma[:, None] * tf.square(values - at)) * real
        column -= tf.linalg.matvec(features, own)
        length = tf.gather(residual, pivot, axis=1, batch_dims=1)[:, None]
        column = tf.where(length > 1e-14, column / tf.sqrt(tf.maximum(length, 1e-14)), 0.0)
        features += column[..., None] * tf.one_hot(j, rank, dtype=values.dtype)
        return j + 1, features, tf.maximum(residual - tf.square(column), 0.0)

    start = tf.constant(0), tf.zeros((*values.shape, rank), values.dtype), real
    shapes = start[0].shape, tf.TensorShape((values.shape[0], size, rank)), values.shape
    _, features, residual = tf.while_loop(lambda j, *_: j < rank, add, start, shapes)
    return features, residual


def solve(features, diagonal, linear, real, upper: float, slack, gap: float, iterations: int):
    """Returns the solutions w, `[members, n]`.

    Args:
        features: L, float64, `[members, n, rank]`.
        diagonal: d, above 0, `[members, n]`.
        linear: k, `[members, n]`.
        real: 1.0 for rows that count, else 0.0; the others get the weight 0.
        upper: B, above 1.
        slack: The sum lies within this of the number of rows that count, `[members]`.
        gap: Members stop where the duality gap is at most this share of the objective.
        iterations: Maximum number.
    """
    count = tf.reduce_sum(real, 1)
    linear = tf.where(real > 0, linear, -1.0)

    def product(w):
        projected = tf.linalg.matvec(features, w, transpose_a=True)
        return tf.linalg.matvec(features, projected) + diagonal * w

    def slacks(w):
        total = tf.reduce_sum(real * w, 1) - count
        return w, upper - w, slack + total, slack - total

    def gap_of(point):
        parts = [s * z for s, z in zip(slacks(point.w), point.duals, strict=True)]
        return tf.reduce_sum(parts[0] + parts[1], 1) + parts[2] + parts[3]

    def state(point):
        """A point, its product with K, its gap, and whether to continue."""
        products, gaps = product(point.w), gap_of(point)
        objective = tf.reduce_sum(point.w * (0.5 * products - linear), 1)
        return point, products, gaps, gaps > gap * tf.maximum(tf.abs(objective), 1.0)

    def transposed(low, high, least, most):
        """G'z, with the constraints G w ≤ h in the order of the dual variables."""
        return high - low + (most - least)[:, None] * real

    def iterate(i, point, products, gaps, running):
        distances = slacks(point.w)
        ratios = [z / s for s, z in zip(distances, point.duals, strict=True)]
        system = diagonal + ratios[0] + ratios[1]
        root = tf.sqrt(ratios[2] + ratios[3])[:, None] * real
        columns = tf.concat([features, root[..., None]], -1)
        scaled = columns / system[..., None]
        inner = tf.matmul(columns, scaled, transpose_a=True)
        inner = inverse(inner + tf.eye(inner.shape[-1], dtype=inner.dtype))
        residual = products - linear + transposed(*point.duals)

        def direction(aims):
            """Newton's step towards distance * dual = distance * dual + aim."""
            pushes = [aim / s for aim, s in zip(aims, distances, strict=True)]
            right = -residual - transposed(*pushes)
            projected = tf.linalg.matvec(scaled, right, transpose_a=True)
            projected = tf.linalg.matvec(inner, projected)
            move = right / system - tf.linalg.matvec(scaled, projected)
            total = tf.reduce_sum(real * move, 1)
            changes = (move, -move, total, -total)
            others = [p - r * c for p, r, c in zip(pushes, ratios, changes, strict=True)]
            return changes, others

        def moved(changes, others, shy):
            """The next point, at most as far as the boundary."""
            step = tf.ones_like(count)
            before = (*distances, *point.duals)
            for value, change in zip(before, (*changes, *others), strict=True):
                reach = tf.where(change < 0, -value / tf.minimum(change, -1e-300), 1.0)
                reach = tf.reduce_min(reach, 1) if len(reach.shape) == 2 else reach
                step = tf.minimum(step, reach)
            step *= shy
            duals = zip(point.duals, others, strict=True)
            return _Point(
                point.w + _like(step, point.w) * changes[0],
                tuple(z + _like(step, z) * change for z, change in duals),
            )

        pairs = list(zip(distances, point.duals, strict=True))
        changes, others = direction([-s * z for s, z in pairs])
        center = (gap_of(moved(changes, others, 1.0)) / gaps) ** 3 * gaps
        center /= 2.0 * linear.shape[1] + 2.0
        corrections = zip(pairs, changes, others, strict=True)
        aims = [_like(center, s) - s * z - c * o for (s, z), c, o in corrections]
        ahead = state(moved(*direction(aims), _SHY))
        # Where rounding increases the gap, or corrupts the point, the last one is kept.
        accepted = running & (ahead[2] < gaps)
        here = point, products, gaps, tf.zeros_like(running)
        kept = [
            tf.where(_like(accepted, old), new, old)
            for new, old in zip(tf.nest.flatten(ahead), tf.nest.flatten(here), strict=True)
        ]
        return i + 1, *tf.nest.pack_sequence_as(here, kept)

    # Weights of 1 are inside, and dual variables can be chosen so that the gradient is 0 there.
    w = tf.ones_like(linear)
    slope = product(w) - linear
    level = tf.reduce_mean(tf.abs(slope), 1) + 1.0
    bounds = [tf.maximum(sign * slope, 0.0) + level[:, None] for sign in (1.0, -1.0)]
    start = tf.constant(0), *state(_Point(w, (*bounds, level, level)))
    *_, point, _, _, _ = tf.while_loop(
        lambda i, point, products, gaps, running: (i < iterations) & tf.reduce_any(running),
        iterate,
        start,
    )
    return tf.clip_by_value(point.w, 0.0, upper) * real


def inverse(matrices):
    """Inverts positive definite matrices `[members, r, r]` by Gauss-Jordan steps.

    Under XLA on a CPU this takes a seventh of the time of a Cholesky factor.
    """
    size = matrices.shape[-1]

    def sweep(j, values):
        here = tf.one_hot(j, size, dtype=values.dtype)
        pivot, column = values[:, j, j][:, None], values[:, :, j]
        row = values[:, j] / pivot
        swept = values - column[..., None] * row[:, None]
        at_row, at_column = here[None, :, None] > 0, here[None, None] > 0
        swept = tf.where(at_column, -(column / pivot)[..., None], swept)
        swept = tf.where(at_row, tf.where(here > 0, 1 / pivot, row)[:, None], swept)
        return j + 1, swept

    return tf.while_loop(lambda j, _: j < size, sweep, (tf.constant(0), matrices))[1]


def _like(value, other):
    """Gives numbers `[members]` the axes of `other`."""
    return value[:, None] if len(other.shape) == 2 else value
