"""Interpolates labels with a Gaussian kernel: the function of least norm that fits them exactly.

    f(x) = Σᵢ αᵢ exp(-γ |x - xᵢ|²)   with   K α = Y

Y holds one column a class and member: `kernel_interpolation` solves all members with
the same inputs at once. A small matrix is factored. A large one is held in float32 as tiles of its
upper triangle, and solved by conjugate gradients behind a Nyström preconditioner: 60,000 points
take 8 GB.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import scipy.linalg

from tfphen.core.errors import UsageError
from tfphen.density_ratio.kernels import gaussian_kernel

# A tile of 4 MB is read from memory once and multiplied twice out of the cache.
_TILE = 1024
# Maximum number of restarts of conjugate gradients, each from the true residual.
_REFINEMENTS = 4


class TiledKernel:
    """The kernel matrix of some points with themselves, float32, without its lower triangle.

    Args:
        points: `[n, d]`.
        gamma: Inverse squared width.
        tile: Rows of a tile.
    """

    def __init__(self, points: np.ndarray, gamma: float, tile: int = _TILE):
        points = np.ascontiguousarray(points, "float32")
        self.size = len(points)
        self._parts = [slice(a, min(a + tile, self.size)) for a in range(0, self.size, tile)]
        self._tiles: dict[tuple[int, int], np.ndarray] = {}
        for i, rows in enumerate(self._parts):
            for j, columns in enumerate(self._parts[i:], i):
                self._tiles[i, j] = gaussian_kernel(points[rows], points[columns], gamma)
            np.fill_diagonal(self._tiles[i, i], 1.0)

    def product(self, vectors: np.ndarray, precise: bool = False) -> np.ndarray:
        """Returns the product with vectors, `[n, columns]`, float64.

        Args:
            vectors: `[n, columns]`.
            precise: False multiplies each tile in float32, and adds tiles up in float64. The error
                is about 1e-7 of the products of absolute values, which may be large. True
                multiplies in float64 too, which is several times slower.
        """
        kind = "float64" if precise else "float32"
        vectors = np.ascontiguousarray(vectors, kind)
        products = np.zeros(vectors.shape)
        for (i, j), tile in self._tiles.items():
            rows, columns = self._parts[i], self._parts[j]
            tile = tile.astype(kind, copy=False)
            products[rows] += tile @ vectors[columns]
            if i != j:
                products[columns] += tile.T @ vectors[rows]
        return products


class NystromPreconditioner:
    """Applies the inverse of `F F' + shift`, where `F F'` is the Nyström approximation of K.

    The shift is what the approximation leaves of K's diagonal, on average.

    Args:
        points: `[n, d]`.
        gamma: Inverse squared width.
        landmarks: Rows of `points`, each once.
    """

    def __init__(self, points: np.ndarray, gamma: float, landmarks: np.ndarray):
        points = np.ascontiguousarray(points, "float32")
        chosen = points[landmarks]
        among = gaussian_kernel(chosen.astype("float64"), chosen.astype("float64"), gamma)
        among[np.diag_indices_from(among)] = 1.0 + 1e-7
        lower = scipy.linalg.cholesky(among, lower=True, overwrite_a=True, check_finite=False)
        self._factor = np.empty((len(points), len(landmarks)), "float32")
        inner = np.zeros((len(landmarks), len(landmarks)))
        for start in range(0, len(points), 4096):
            cross = gaussian_kernel(points[start : start + 4096], chosen, gamma)
            part = scipy.linalg.solve_triangular(
                lower, cross.T.astype("float64"), lower=True, check_finite=False
            )
            self._factor[start : start + 4096] = part.T
            inner += part @ part.T
        self.shift = max(1.0 - np.trace(inner) / len(points), 1e-6)
        inner[np.diag_indices_from(inner)] += self.shift
        self._inner = scipy.linalg.cho_factor(inner, overwrite_a=True, check_finite=False)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Returns the product with `[n, columns]`, by Woodbury's formula."""
        projected = (self._factor.T @ vectors.astype("float32")).astype("float64")
        weights = scipy.linalg.cho_solve(self._inner, projected, check_finite=False)
        return (vectors - self._factor @ weights.astype("float32")) / self.shift


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    targets: np.ndarray,
    goals: np.ndarray,
    precondition: Callable[[np.ndarray], np.ndarray] = lambda vectors: vectors,
    max_iterations: int = 4000,
    tick: Callable[[float], None] = lambda progress: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Solves `A X = B` for all columns at once, each of which stops on its own.

    Args:
        product: `[n, c] -> [n, c]`, the product with a positive definite A.
        targets: B, `[n, columns]`.
        goals: Norm of each column's residual, as it is updated, at which the column is done,
            `[columns]`.
        precondition: `[n, c] -> [n, c]`, about the product with the inverse of A.
        max_iterations: No column takes more.
        tick: Called with the progress so far, from 0 to 1, on the scale of the logarithm of the
            residuals.

    Returns:
        X, `[n, columns]`, float64; iterations of each column, `[columns]`.
    """
    solution = np.zeros(targets.shape)
    iterations = np.zeros(targets.shape[1], int)
    excess = np.linalg.norm(targets, axis=0) / np.maximum(goals, np.finfo("float64").tiny)
    active = np.flatnonzero(excess > 1.0)
    if not len(active):
        return solution, iterations
    first = np.log(excess.max())
    residual = targets[:, active].astype("float64")
    direction = precondition(residual)
    inner = np.einsum("ij,ij->j", residual, direction)
    for _ in range(max_iterations):
        image = product(direction)
        step = inner / np.einsum("ij,ij->j", direction, image)
        solution[:, active] += step * direction
        residual -= step * image
        iterations[active] += 1
        excess = np.linalg.norm(residual, axis=0) / goals[active]
        tick(float(np.clip(1.0 - np.log(excess.max()) / first, 0.0, 1.0)))
        going = excess > 1.0
        if not going.any():
            break
        active, inner = active[going], inner[going]
        residual, direction = residual[:, going], direction[:, going]
        preconditioned = precondition(residual)
        new = np.einsum("ij,ij->j", residual, preconditioned)
        direction = preconditioned + new / inner * direction
        inner = new
    return solution, iterations


@dataclasses.dataclass(frozen=True)
class Interpolation:
    """A solution of `K α = Y`.

    Attributes:
        coefficients: α, `[n, columns]`, float64.
        fitted: K α, `[n, columns]`, float64.
        iterations: Of conjugate gradients for each column, `[columns]`; 0 where K was factored.
        residuals: |K α - Y| / |Y| of each column, `[columns]`; 0 for a column of zeros.
        squared_norms: α' K α of each column, `[columns]`, the squared norm in the kernel's space.
    """

    coefficients: np.ndarray
    fitted: np.ndarray
    iterations: np.ndarray
    residuals: np.ndarray
    squared_norms: np.ndarray


def interpolate(
    points: np.ndarray,
    targets: np.ndarray,
    gamma: float,
    generator: np.random.Generator,
    tick: Callable[[float], None] = lambda progress: None,
    *,
    tolerance: float = 1e-4,
    landmarks: int = 4000,
    dense_points: int = 4000,
    max_iterations: int = 4000,
) -> Interpolation:
    """Fits a Gaussian-kernel expansion to targets, without any penalty.

    Args:
        points: `[n, d]`, all different.
        targets: Y, `[n, columns]`.
        gamma: Inverse squared width.
        generator: Draws the landmarks of the preconditioner.
        tick: See `conjugate_gradients`.
        tolerance: Relative residual at which a column is done.
        landmarks: Points behind the preconditioner.
        dense_points: Up to this many points K is factored in float64 instead.
        max_iterations: Of conjugate gradients.

    Raises:
        UsageError: K is not positive definite in float64, as where two points are the same.
    """
    # Members that differ only in their seed may have the same columns.
    targets, back = np.unique(np.asarray(targets, "float64"), axis=1, return_inverse=True)
    norms = np.linalg.norm(targets, axis=0)
    solve = _by_factoring
    if len(points) > dense_points:
        chosen = generator.choice(len(points), min(landmarks, len(points)), replace=False)
        limits = tolerance * norms, max_iterations
        solve = functools.partial(_by_gradients, landmarks=chosen, limits=limits, tick=tick)
    try:
        solution, fitted, iterations = solve(points, targets, gamma)
    except np.linalg.LinAlgError as error:
        raise UsageError(
            "The kernel matrix is not positive definite: two training inputs are the same, or "
            f"`gamma` is too small to tell them apart. Received: gamma={gamma} ({error})"
        ) from None
    missed = np.linalg.norm(fitted - targets, axis=0)
    relative = np.divide(missed, norms, out=np.zeros_like(norms), where=norms > 0)
    squared_norms = np.einsum("ij,ij->j", solution, fitted)
    return Interpolation(
        solution[:, back], fitted[:, back], iterations[back], relative[back], squared_norms[back]
    )


def _by_factoring(points, targets, gamma):
    """Returns coefficients, fitted values and iterations (0) in float64."""
    points = np.asarray(points, "float64")
    kernel = gaussian_kernel(points, points, gamma)
    np.fill_diagonal(kernel, 1.0)
    factor = scipy.linalg.cho_factor(kernel, check_finite=False)
    solution = scipy.linalg.cho_solve(factor, targets, check_finite=False)
    return solution, kernel @ solution, np.zeros(targets.shape[1], int)


def _by_gradients(points, targets, gamma, landmarks, limits, tick):
    """Returns coefficients, fitted values and iterations, by a matrix in float32."""
    goals, max_iterations = limits
    precondition = NystromPreconditioner(points, gamma, landmarks)
    kernel = TiledKernel(points, gamma)
    solution, fitted = np.zeros(targets.shape), np.zeros(targets.shape)
    iterations = np.zeros(targets.shape[1], int)
    # The products round, so the recursively updated residual drifts from the true one.
    for _ in range(_REFINEMENTS):
        correction, taken = conjugate_gradients(
            kernel.product, targets - fitted, goals, precondition, max_iterations, tick
        )
        solution += correction
        iterations += taken
        fitted = kernel.product(solution, precise=True)
        if (np.linalg.norm(fitted - targets, axis=0) <= goals).all():
            break
    return solution, fitted, iterations
