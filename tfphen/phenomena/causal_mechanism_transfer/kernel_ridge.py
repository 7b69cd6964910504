"""Kernel least squares with a penalty on the coefficients, chosen by leave-one-out error.

Not the usual kernel ridge regression: with the kernel matrix K of the points,

    theta = (K'K + a I)^-1 K' y,        f(x) = sum_i theta_i k(x, x_i).
"""

from collections.abc import Sequence

import numpy as np
from scipy.linalg import lapack
from scipy.spatial.distance import cdist, pdist, squareform

from tfphen.core.checks import require

PENALTIES = tuple(2.0**power for power in range(-10, 11))
# Tolerance of the pivoted Cholesky factorization of a matrix with unit diagonal, and the smallest
# eigenvalue of K that is kept: the smallest penalty shrinks its component by 1e-9.
_TOLERANCE, _LEAST = 1e-8, 1e-6


class KernelRidge:
    """A function fitted with a Gaussian kernel, exp(-|x - x'|² / (2 m²)).

    The width m is the median distance of the inputs of each fit. The kernel matrix is
    factorized to its numerical rank, which is far below its size where many points are close.

    Args:
        inputs: `[points, d]`.
        targets: `[points]`.
        validated: Number of the first points that are left out one at a time to choose the penalty;
            None for all.
        penalties: Candidates.

    Attributes:
        width: Median distance of two of the inputs.
        penalty: The chosen one.
        score: Leave-one-out mean squared error with this penalty.
        coefficients: `[points]`.

    Example:

    >>> x = np.linspace(0, 3, 20)[:, None]
    >>> fitted = KernelRidge(x, np.sin(x[:, 0]))
    >>> bool(abs(fitted(np.asarray([[1.3]])) - np.sin(1.3)) < 0.01)
    True

    When not to use: where coefficients are to be penalized in the norm of the kernel, as kernel
    ridge regression and Gaussian processes do.
    """

    def __init__(
        self,
        inputs: np.ndarray,
        targets: np.ndarray,
        validated: int | None = None,
        penalties: Sequence[float] = PENALTIES,
    ):
        self.inputs = np.asarray(inputs, "float64")
        targets = np.asarray(targets, "float64")
        require(
            self.inputs.ndim == 2 and targets.shape == self.inputs.shape[:1],
            "targets",
            targets.shape,
            f"must be one number for each of the inputs, of shape {self.inputs.shape}",
        )
        distances = pdist(self.inputs)
        self.width = float(np.median(distances))
        require(self.width > 0, "inputs", inputs, "must differ in more than half of the pairs")
        kernel = squareform(np.exp(-0.5 * (distances / self.width) ** 2))
        np.fill_diagonal(kernel, 1.0)
        vectors, values = _eigenpairs(kernel)
        projected = vectors.T @ targets
        some = slice(None, validated)
        penalties = np.asarray(penalties, "float64")
        shrinkage = values**2 / (values**2 + penalties[:, None])
        fitted = vectors[some] @ (shrinkage * projected).T
        leverage = vectors[some] ** 2 @ shrinkage.T
        left_out = (targets[some, None] - fitted) / (1 - leverage)
        scores = np.mean(left_out**2, axis=0)
        best = int(np.argmin(scores))
        self.penalty, self.score = float(penalties[best]), float(scores[best])
        self.coefficients = vectors @ (projected * values / (values**2 + self.penalty))

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Returns the function's values at `[n, d]`, `[n]`."""
        squares = cdist(np.asarray(inputs, "float64"), self.inputs, "sqeuclidean")
        return np.exp(-squares / (2 * self.width**2)) @ self.coefficients


def _eigenpairs(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns eigenvectors `[points, rank]` and eigenvalues `[rank]`; overwrites the matrix."""
    # Symmetric, so that its transpose is the matrix in the order that LAPACK expects.
    factor, pivots, rank, _ = lapack.dpstrf(kernel.T, tol=_TOLERANCE, lower=1, overwrite_a=1)
    lower = np.empty((len(kernel), rank))
    lower[pivots - 1] = np.tril(factor[:, :rank])
    values, rotation = np.linalg.eigh(lower.T @ lower)
    kept = values > _LEAST
    return lower @ rotation[:, kept] / np.sqrt(values[kept]), values[kept]
