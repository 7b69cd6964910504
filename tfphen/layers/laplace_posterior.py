"""The Laplace posterior of a last layer: its precision, a root of its covariance, variances."""

import keras
import numpy as np
from keras import ops
from scipy.linalg import lapack

from tfphen.core.types import Array, Tensor, TensorLike

LIKELIHOODS = ("gaussian", "binary_logistic", "poisson", "softmax")
FORMS = ("variance", "matrix")


def curvature(logits: Tensor, likelihood: str) -> Tensor | None:
    """Returns the weight of each example in the precision, `[batch]` or None where it is 1.

    It is the second derivative of the negative log-likelihood in the logit: 1 for `"gaussian"`,
    p (1 - p) for `"binary_logistic"` and exp(logit) for `"poisson"`, both with one logit; for
    `"softmax"` p_k (1 - p_k) for each class, `[batch, K]`.

    Args:
        logits: `[batch, K]`.
        likelihood: One of the four.
    """
    if likelihood == "gaussian":
        return None
    if likelihood == "softmax":
        probabilities = ops.softmax(logits, axis=-1)
        return probabilities * (1.0 - probabilities)
    logits = ops.squeeze(logits, -1)
    if likelihood == "poisson":
        return ops.exp(logits)
    probabilities = ops.sigmoid(logits)
    return probabilities * (1.0 - probabilities)


def precision_of(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Returns the sum over examples of w φ φᵀ.

    Args:
        features: φ, `[batch, D]`.
        weights: None for 1, `[batch]`, or `[batch, K]` for one sum per class.

    Returns:
        `[D, D]`, or `[K, D, D]`.
    """
    if weights is None:
        return ops.matmul(ops.transpose(features), features)
    if len(weights.shape) == 1:
        weighted = features * ops.expand_dims(weights, -1)
        return ops.matmul(ops.transpose(features), weighted)
    by_class = ops.expand_dims(ops.transpose(weights), -1) * features
    return ops.matmul(ops.transpose(by_class, (0, 2, 1)), features)


def added_ridge(
    precision: Tensor, ridge: float, starts_with_ridge: bool = False, decays: bool = False
) -> Tensor:
    """Returns what is added to the diagonal before the inversion, `[..., 1, 1]`.

    That is the ridge, or nothing where the precision started with it, but at least the rounding
    error that the sum over examples leaves in the smallest eigenvalues: a ridge below it means
    nothing, and without it the matrix may not be positive definite.

    Args:
        precision: `[..., D, D]`, a tensor or a NumPy array.
        ridge: The ridge penalty.
        starts_with_ridge: Whether the precision started as the ridge times the identity.
        decays: Whether that start decays, as it does under momentum.
    """
    library = np if isinstance(precision, np.ndarray) else ops
    dtype = keras.backend.standardize_dtype(precision.dtype)
    mean = library.mean(library.diagonal(precision, axis1=-2, axis2=-1), axis=-1)
    floor = 8.0 * float(np.finfo(dtype).eps) * precision.shape[-1] ** 0.5 * mean
    if starts_with_ridge:
        added = library.maximum(floor - (0.0 if decays else ridge), 0.0)
    else:
        added = library.maximum(floor, ridge)
    return added[..., None, None]


def covariance_root(precision: Tensor, added: TensorLike) -> Tensor:
    """Returns A with A Aᵀ = (P + r I)⁻¹: the inverse of the Cholesky factor, transposed.

    Computed in float64 where the backend has it. With a root, variances are sums of squares and
    cannot come out negative.

    Args:
        precision: P, `[..., D, D]`, a tensor.
        added: r, `[..., 1, 1]`.

    Returns:
        `[..., D, D]`, upper triangular.
    """
    wide = _widest_float(precision)
    identity = ops.eye(precision.shape[-1], dtype=wide)
    matrix = ops.cast(precision, wide) + ops.cast(added, wide) * identity
    triangle = ops.cholesky(0.5 * (matrix + ops.swapaxes(matrix, -1, -2)))
    identity = ops.broadcast_to(identity, precision.shape)
    return ops.swapaxes(ops.solve_triangular(triangle, identity, lower=True), -1, -2)


def covariance_root_on_host(precision: np.ndarray, added: np.ndarray) -> tuple[Array, Array]:
    """`covariance_root` in NumPy and float64, which raises r tenfold until P + r I has a root.

    Returns:
        A, `[..., D, D]`, and the r that was used, `[..., 1, 1]`.

    Raises:
        ValueError: P is not finite.
    """

    matrix = np.asarray(precision, "float64")
    wrong = int(np.size(matrix) - np.isfinite(matrix).sum())
    if wrong:
        raise ValueError(
            "The precision holds values that are not finite: inputs of the layer were not, or the "
            f"training diverged. Received: a precision with {wrong} such entries"
        )
    matrix = 0.5 * (matrix + np.swapaxes(matrix, -1, -2))
    while True:
        try:
            triangle = np.linalg.cholesky(matrix + added * np.eye(matrix.shape[-1]))
            break
        except np.linalg.LinAlgError:
            added = np.maximum(10.0 * added, np.finfo("float32").tiny)
    stack = triangle.reshape(-1, *triangle.shape[-2:])
    inverses = [lapack.dtrtri(one, lower=1)[0].T for one in stack]
    return np.stack(inverses).reshape(matrix.shape), added


def predictive_covariance(features: Tensor, root: Tensor, form: str = "variance") -> Tensor:
    """Returns the variance of each logit, or their covariance over the batch.

        C = Φ A Aᵀ Φᵀ,  variance = diag(C) = row sums of (Φ A)²

    Args:
        features: Φ, `[batch, D]`.
        root: A of `covariance_root`, `[D, D]`, or `[K, D, D]` for one per class.
        form: `"variance"` or `"matrix"`.

    Returns:
        `[batch]`, or `[batch, K]` with one root a class; as a matrix `[batch, batch]`, or
        `[K, batch, batch]`.
    """
    product = ops.matmul(features, root)
    if form == "matrix":
        return ops.matmul(product, ops.swapaxes(product, -1, -2))
    variance = ops.sum(ops.square(product), axis=-1)
    return variance if len(root.shape) == 2 else ops.transpose(variance)


def placeholder(features: Tensor, classes: int | None = None, form: str = "variance") -> Tensor:
    """Returns what training mode gives for `predictive_covariance`: that of an identity."""
    batch = ops.shape(features)[0]
    if form == "matrix":
        rows = ops.arange(batch)
        same = ops.cast(ops.expand_dims(rows, 1) == ops.expand_dims(rows, 0), features.dtype)
        return same if classes is None else ops.tile(same[None], (classes, 1, 1))
    shape = (batch,) if classes is None else (batch, classes)
    return ops.ones(shape, dtype=features.dtype)


def _widest_float(tensor: Tensor) -> str:
    """float64, except on JAX in its default mode and on devices of PyTorch that have none."""
    if keras.backend.backend() == "torch" and tensor.device.type == "mps":
        return "float32"
    return keras.backend.standardize_dtype(ops.convert_to_tensor(np.zeros((), "float64")).dtype)
