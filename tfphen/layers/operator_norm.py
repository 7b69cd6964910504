"""Largest singular values of linear maps, by power iteration on a map and its transpose.

Nothing of the size of the map itself is ever made: one application costs a batch of one through
the layer that has the map.
"""

import math

import numpy as np
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Shape, Tensor, TensorLike
from tfphen.layers.linear_maps import ConvolutionMap, LinearMap, axis_values

# A norm below this counts as zero, and the vector is left as it was.
_TINY = 1e-30
# A unit vector of which less than this is left off the span of others counts as part of it.
_SPANNED = 1e-6
# Applications of A^T A in a round of `converge`: two find directions that one misses when the
# kernel has changed a lot.
_ROUND = 2


def random_vector(shape: Shape, seed: int) -> np.ndarray:
    """Returns a unit vector, drawn on the host so that every device and compiler has the same."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return (values / np.linalg.norm(values)).astype("float32")


def _inner(one: Tensor, other: Tensor) -> Tensor:
    return ops.sum(one * other)


def _norm(vector: Tensor) -> Tensor:
    return ops.sqrt(_inner(vector, vector))


def unit(vector: Tensor, otherwise: Tensor) -> Tensor:
    """Returns `vector` divided by its length, or `otherwise` where it is zero."""
    length = _norm(vector)
    return ops.where(length > _TINY, vector / ops.maximum(length, _TINY), otherwise)


def power_iteration(
    linear_map: LinearMap, kernel: Tensor, left: Tensor, right: Tensor, iterations: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Improves a pair of singular vectors, and estimates the largest singular value.

    Each iteration is v = A^T u / |A^T u|, u = A v / |A v|; the estimate is <u, A v>, never above
    the largest singular value. No gradient passes through u and v, so that of the estimate in the
    kernel is the one for constant vectors.

    Args:
        linear_map: An `EinsumMap` or `ConvolutionMap`.
        kernel: Its kernel.
        left: u, a unit vector.
        right: v, a unit vector.
        iterations: Number of iterations. With 0 only u follows the kernel.

    Returns:
        u, v and the estimate, a scalar.
    """
    fixed = ops.stop_gradient(kernel)
    for _ in range(iterations - 1):
        right = unit(linear_map.transpose(fixed, left), right)
        left = unit(linear_map.apply(fixed, right), left)
    if iterations:
        right = unit(linear_map.transpose(fixed, left), right)
    image = linear_map.apply(kernel, right)
    left = unit(ops.stop_gradient(image), left)
    return left, right, _inner(left, image)


def _best_in_krylov_space(
    linear_map: LinearMap, kernel: Tensor, right: Tensor, image: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns the v with the largest |A v| in the space of v, A^T A v and (A^T A)^2 v, and A v."""
    basis, images = [right], [image]
    for _ in range(_ROUND):
        vector = unit(linear_map.transpose(kernel, images[-1]), ops.zeros_like(right))
        for _ in range(2):
            for other in basis:
                vector = vector - _inner(vector, other) * other
        # What is left of a vector that the others span already is rounding, and would count as a
        # direction of its own.
        length = _norm(vector)
        new = length > _SPANNED
        vector = vector / ops.where(new, length, 1.0)
        basis.append(ops.where(new, vector, ops.zeros_like(vector)))
        images.append(linear_map.apply(kernel, basis[-1]))
    flat = ops.stack([ops.reshape(vector, [-1]) for vector in images])
    _, rotation = ops.eigh(ops.matmul(flat, ops.transpose(flat)))
    # An eigenvector has no sign of its own: the new vector keeps that of the old one.
    sign = ops.where(rotation[0, -1] < 0, -1.0, 1.0)
    weights = [ops.cast(sign, right.dtype) * rotation[n, -1] for n in range(len(basis))]
    best = sum(w * vector for w, vector in zip(weights, basis, strict=True))
    moved = sum(w * vector for w, vector in zip(weights, images, strict=True))
    # Rounding can leave the basis not quite orthogonal, so the length is taken, not assumed.
    length = ops.maximum(_norm(best), _TINY)
    best, moved = best / length, moved / length
    better = _norm(moved) > _norm(image)
    return ops.where(better, best, right), ops.where(better, moved, image)


def converge(
    linear_map: LinearMap,
    kernel: Tensor,
    right: Tensor,
    rounds: int,
    tolerance: float | None = None,
    least: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Follows the leading singular vector until its singular value hardly changes.

    A round finds the v with the largest |A v| in the space of v, A^T A v and (A^T A)^2 v, which is
    at least what two power iterations find. Rounds go on while one raised the value by more than
    `tolerance`, relative, and the value is above `least`.

    Args:
        linear_map: An `EinsumMap` or `ConvolutionMap`.
        kernel: Its kernel. No gradient passes.
        right: v to start from, a unit vector.
        rounds: Most rounds, at least 1.
        tolerance: Relative change of the value that ends the search. None for all rounds, written
            out: XLA on the CPU is slow at convolutions inside a loop.
        least: A value below it ends the search too.

    Returns:
        u, v and the largest singular value found, a scalar, never above the true one.
    """
    kernel = ops.stop_gradient(kernel)
    image = linear_map.apply(kernel, right)

    def one_round(right: Tensor, image: Tensor, before: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return (*_best_in_krylov_space(linear_map, kernel, right, image), _norm(image))

    state = one_round(right, image, _norm(image))
    if tolerance is None:
        for _ in range(rounds - 1):
            state = one_round(*state)
    elif rounds > 1:
        growth = 1 + tolerance

        def go_on(right: Tensor, image: Tensor, before: Tensor) -> Tensor:
            value = _norm(image)
            return ops.logical_and(value > before * growth, value > least)

        state = ops.while_loop(go_on, one_round, state, maximum_iterations=rounds - 1)
    right, image, _ = state
    return unit(image, ops.zeros_like(image)), right, _norm(image)


def convolution_norm(
    kernel: TensorLike,
    input_size: int | tuple[int, ...],
    strides: int | tuple[int, ...] = 1,
    padding: str = "valid",
    dilation_rate: int | tuple[int, ...] = 1,
    groups: int = 1,
    iterations: int = 200,
    seed: int = 0,
) -> Tensor:
    """Operator norm of a convolution for inputs of one spatial size.

        σ(A) = max |A x| / |x| over inputs x of that size

    A has the zero padding, strides, dilation and groups of the layer. Its norm is not that of the
    kernel reshaped to a matrix: a 3×3 kernel of 1/9 on 8×8 inputs, padded to the same size, has
    ((1 + 2 cos(π/9)) / 3)² = 0.921, reshaped 0.333. Found from below, by power iteration in a space
    of three vectors.

    Args:
        kernel: `[*kernel_size, channels // groups, filters]`, of one to three spatial axes.
        input_size: Spatial size of the input, an integer or one per axis.
        strides: As in `keras.layers.Conv2D`.
        padding: "valid", "same" or "causal".
        dilation_rate: As in `keras.layers.Conv2D`.
        groups: As in `keras.layers.Conv2D`.
        iterations: Most applications of the convolution and its transpose; fewer where the value
            no longer changes by 1e-7, relative.
        seed: Integer, of the first vector.

    Returns:
        The norm, a scalar in the kernel's dtype (float32 for 16-bit floats).

    Raises:
        ValueError: A kernel without spatial axes, an input smaller than the kernel, or an invalid
            setting.

    Example:

    >>> import numpy as np
    >>> kernel = np.full((3, 3, 1, 1), 1 / 9, "float32")
    >>> norm = convolution_norm(kernel, input_size=8, padding="same")
    >>> print(f"{float(norm):.5f}")
    0.92121

    When not to use:
        For the norm at any input size at once: it grows with the size, towards the largest singular
        value of the kernel's Fourier transform. For a certificate, which needs a bound from above.

    Reference:
        H. Gouk et al., "Regularisation of Neural Networks by Enforcing Lipschitz Continuity",
        Machine Learning 110, 2021, arXiv 1804.04368.
    """
    kernel = ops.convert_to_tensor(kernel)
    if "16" in str(kernel.dtype):
        kernel = ops.cast(kernel, "float32")
    rank = len(kernel.shape) - 2
    if not 1 <= rank <= 3:
        raise ValueError(
            "`kernel` must be (*kernel_size, channels, filters) with one to three spatial axes. "
            f"Received: kernel.shape={tuple(kernel.shape)}"
        )
    linear_map = ConvolutionMap(
        tuple(kernel.shape),
        axis_values("input_size", input_size, rank),
        axis_values("strides", strides, rank),
        checks.one_of("padding", padding, ("valid", "same", "causal")),
        axis_values("dilation_rate", dilation_rate, rank),
        checks.whole("groups", groups),
    )
    if min(linear_map.output_size) < 1:
        raise ValueError(
            "`input_size` must be at least that of the kernel without padding. "
            f"Received: input_size={input_size}, kernel.shape={tuple(kernel.shape)}"
        )
    start = random_vector(linear_map.right_shape, checks.whole("seed", seed, 0))
    right = ops.cast(start, kernel.dtype)
    rounds = math.ceil(checks.whole("iterations", iterations) / _ROUND)
    return converge(linear_map, kernel, right, rounds, 1e-7)[2]
