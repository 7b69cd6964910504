"""Hard-margin support vector machines with unequal margins, and losses that converge to them.

The machine with margins m is `min ‖w‖` with `yᵢ ⟨w, xᵢ⟩ ≥ mᵢ`. It is the plain SVM for equal
margins, cost-sensitive for margins by class, and group-sensitive for margins by class and group.

Reference:
    G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
    Overparameterization", NeurIPS 2021, arXiv 2103.01550.
"""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from scipy import linalg, optimize
from sklearn import exceptions, svm

from tfphen.core.errors import UsageError
from tfphen.core.types import ArrayLike

# Maps scores `[n]` to losses `[n]`.
Loss: TypeAlias = Callable[[tf.Tensor], tf.Tensor]

_MOST_STEPS = 1000

# Settings of `sklearn.svm.SVC`: with this cost of slack, separable examples have hard margins.
_HARD, _TOLERANCE, _ITERATIONS = 1e8, 1e-9, 10**6


def max_margin(signed_inputs: ArrayLike, margins: ArrayLike) -> np.ndarray:
    """Returns the shortest w with given margins, `min ‖w‖` with `⟨w, yᵢ xᵢ⟩ ≥ mᵢ`.

    The solution is exact, by Lawson and Hanson's reduction to non-negative least squares: with u
    the solution of `min ‖(Zᵀ u, mᵀ u - 1)‖, u ≥ 0` and r its residual, w = -r_Z / r_m. For an
    intercept, add a constant feature.

    Args:
        signed_inputs: Rows yᵢ xᵢ, `[n, d]`.
        margins: Margins mᵢ > 0, `[n]`.

    Returns:
        w, float64, `[d]`.

    Raises:
        UsageError: No w has these margins: the examples are not separable.

    Example:

    >>> max_margin([[1.0, 1.0], [2.0, -1.0]], [1.0, 1.0]).round(4).tolist()
    [0.6667, 0.3333]

    When not to use:
        For more than some hundred examples on the margin: the time grows with the fourth power of
        their number.

    Reference:
        C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974, chapter 23.
    """
    signed, margins = np.asarray(signed_inputs, "float64"), np.asarray(margins, "float64")
    system = np.concatenate([signed.T, margins[None]])
    target = np.zeros(len(system))
    target[-1] = 1.0
    multipliers, distance = optimize.nnls(system, target)
    if distance < 1e-7:  # then ‖w‖ would be above 1e7
        raise UsageError(
            "Some examples are on the wrong side of every hyperplane, so there are no hard "
            f"margins. Received: {len(signed)} examples in {signed.shape[1]} dimensions"
        )
    residual = system @ multipliers - target
    return -residual[:-1] / residual[-1]


def plain_machine(inputs: ArrayLike, signs: ArrayLike) -> tuple[np.ndarray, float] | None:
    """Returns (w, b) of `min ‖w‖` with `yᵢ (⟨w, xᵢ⟩ + b) ≥ 1`, or None if there is none.

    Args:
        inputs: `[n, d]`.
        signs: yᵢ, 1 or -1, `[n]`.

    Example:

    >>> weights, intercept = plain_machine([[0.0], [1.0], [3.0]], [-1, -1, 1])
    >>> weights.round(6).tolist(), round(intercept, 6)
    ([1.0], -2.0)
    """

    points, sides = np.asarray(inputs, "float64"), np.asarray(signs)
    machine = svm.SVC(kernel="linear", C=_HARD, tol=_TOLERANCE, max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        # Without a solution the search does not converge, which is detected below.
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        machine.fit(points, sides)
    weights, intercept = machine.coef_[0], float(machine.intercept_[0])
    if (sides * (points @ weights + intercept)).min() < 1 - 1e-4:
        return None
    return weights, intercept


def cost_sensitive(weights: np.ndarray, intercept: float, delta: float) -> tuple[np.ndarray, float]:
    """Returns the machine with margin δ on the positive side, from the plain one with margins 1.

        w_δ = (δ + 1) / 2 · w,    b_δ = (δ + 1) / 2 · b + (δ - 1) / 2

    It is the plain machine with a shifted threshold. The intercept must not be penalized.

    Args:
        weights: w of the plain machine, `[d]`.
        intercept: Its b.
        delta: δ > 0.

    Example:

    >>> weights, intercept = cost_sensitive(np.array([1.0]), -2.0, 3.0)
    >>> weights.tolist(), intercept  # of margin 1 at x = 1 and of margin 3 at x = 3
    ([2.0], -3.0)
    """
    half = (delta + 1) / 2
    return half * weights, half * intercept + (delta - 1) / 2


@functools.lru_cache(maxsize=8)
def _derivatives(loss: Loss) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Compiles the gradient of the mean loss in the scores, and the diagonal of its Hessian."""

    @tf.function
    def derivatives(scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as second:
            second.watch(scores)
            with tf.GradientTape() as first:
                first.watch(scores)
                value = tf.reduce_mean(loss(scores))
            slopes = first.gradient(value, scores)
            total = tf.reduce_sum(slopes)
        # Each loss depends on one score, so the Hessian is diagonal: the gradient of `total`.
        return slopes, second.gradient(total, scores)

    return derivatives


def ridge_path(loss: Loss, inputs: ArrayLike, penalties: Sequence[float]) -> np.ndarray:
    """Returns the w that minimize `mean(loss(X w)) + λ ‖w‖² / 2`, for each of several λ.

    Each is found by Newton's method, starting from the one before, to a gradient that is small
    relative to λ. For separable examples and a loss with an exponential tail, w / ‖w‖ converges to
    a hard-margin machine as λ goes to 0, as slowly as 1 / log(1 / λ).

    Args:
        loss: Maps scores, a float64 tensor `[n]`, to losses `[n]`: convex, twice differentiable.
            Each function is compiled once.
        inputs: `[n, d]`.
        penalties: Values of λ > 0, in descending order.

    Returns:
        float64 `[penalties, d]`.

    Raises:
        UsageError: A minimum was not found.

    Example:

    >>> path = ridge_path(lambda scores: tf.nn.softplus(-scores), [[3.0, 4.0]], [1e-2, 1e-4])
    >>> (path / np.linalg.norm(path, axis=1)[:, None]).round(6).tolist()
    [[0.6, 0.8], [0.6, 0.8]]
    """
    features, found = np.asarray(inputs, "float64"), []
    derivatives = _derivatives(loss)

    def at(weights: np.ndarray, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        slopes, curvatures = derivatives(tf.constant(features @ weights))
        return features.T @ slopes.numpy() + penalty * weights, curvatures.numpy()

    weights = np.zeros(features.shape[1])
    for penalty in penalties:
        weights = _minimum(at, features, weights, penalty)
        found.append(weights)
    return np.stack(found)


def _minimum(
    at: Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]],
    inputs: np.ndarray,
    weights: np.ndarray,
    penalty: float,
) -> np.ndarray:
    """Newton's method, with a line search that decreases the norm of the gradient.

    The line search does not use the loss, whose changes are below the precision of float64 near the
    end of the path.
    """
    gradient, curvatures = at(weights, penalty)
    for _ in range(_MOST_STEPS):
        size = np.linalg.norm(gradient)
        if size <= 1e-4 * penalty:
            return weights
        hessian = (inputs.T * curvatures) @ inputs
        hessian[np.diag_indices_from(hessian)] += penalty
        step, length = linalg.solve(hessian, -gradient, assume_a="pos"), 1.0
        gradient, curvatures = at(weights + step, penalty)
        while np.linalg.norm(gradient) > (1 - 1e-4 * length) * size and length > 1e-9:
            length /= 2
            gradient, curvatures = at(weights + length * step, penalty)
        weights = weights + length * step
    raise UsageError(
        f"A loss has no minimum that Newton's method finds in {_MOST_STEPS} steps. "
        f"Received: penalty={penalty:g}"
    )


def cosines(vectors: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the cosine of each row of `vectors`, `[n, d]`, with `other`, `[d]`."""
    return vectors @ other / np.linalg.norm(vectors, axis=1) / np.linalg.norm(other)
