"""Mixup of the examples of a batch, and sampling of its coefficient."""

import math

import keras
from keras import ops

from tfphen.core.types import Shape, Tensor, TensorLike


def mix(values: TensorLike, coefficient: TensorLike, permutation: TensorLike) -> Tensor:
    """Mixes each example of a batch with another one of it.

        mixed_i = λ values_i + (1 - λ) values_π(i)

    Args:
        values: Floats, `[batch, ...]`: inputs, hidden states, or labels as probabilities.
        coefficient: λ, a scalar in [0, 1]. With 1 the result is `values`, bit for bit.
        permutation: π, integers from 0 to batch - 1, `[batch]`.

    Returns:
        A tensor of the shape and dtype of `values`.

    Raises:
        ValueError: Values that are not floats, or a coefficient that is not a scalar.

    Example:

    >>> from keras import ops
    >>> mixed = mix(ops.array([[1.0, 0.0], [0.0, 1.0]]), 0.75, [1, 0])
    >>> ops.convert_to_numpy(mixed).tolist()
    [[0.75, 0.25], [0.25, 0.75]]

    When not to use:
        For integer labels: mix the losses of the two labels instead, as `ManifoldMixup` does.

    Reference:
        V. Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States",
        ICML 2019, arXiv 1806.05236, section 2.
    """
    values = ops.convert_to_tensor(values)
    dtype = keras.backend.standardize_dtype(values.dtype)
    if not keras.backend.is_float_dtype(dtype):
        raise ValueError(
            "`values` must be floats. For integer labels mix the losses of the two labels. "
            f"Received: values of dtype {dtype}"
        )
    coefficient = ops.cast(coefficient, dtype)
    if len(coefficient.shape):
        raise ValueError(
            "`coefficient` must be a scalar, one for the batch. "
            f"Received: coefficient of shape {tuple(coefficient.shape)}"
        )
    partners = ops.take(values, ops.cast(permutation, "int32"), axis=0)
    return coefficient * values + (1 - coefficient) * partners


def symmetric_beta(
    alpha: float, seed: int | keras.random.SeedGenerator, shape: Shape = ()
) -> Tensor:
    """Draws from Beta(alpha, alpha).

    With u, v uniform in [0, 1) and w = (u^(-1/α) - 1) cos²(2πv) it is
    (1 + sign(cos(2πv)) sqrt(w / (1 + w))) / 2: a Student t variate of 2α degrees of freedom, drawn
    in polar form, mapped onto (0, 1). Unlike a draw by rejection it compiles on every backend.

    Args:
        alpha: Positive float.
        seed: Integer or `keras.random.SeedGenerator`.
        shape: Shape of the result.

    Returns:
        Float32 in [0, 1].

    Reference:
        R. Bailey, "Polar generation of random variates with the t-distribution", Mathematics of
        Computation 62, 1994.
    """
    return beta_of_uniform(alpha, keras.random.uniform((2, *shape), dtype="float32", seed=seed))


def beta_of_uniform(alpha: TensorLike, uniform: Tensor) -> Tensor:
    """Returns draws from Beta(alpha, alpha) for uniform numbers in [0, 1), `[2, ...]`.

    The formula of `symmetric_beta`.
    """
    power = uniform[0] ** (1.0 / alpha)
    cosine = ops.cos(2.0 * math.pi * uniform[1])
    # 1 / w, which is finite or +inf, unlike w for small alpha.
    inverse = power / ((1.0 - power) * cosine**2)
    return 0.5 + 0.5 * ops.sign(cosine) * ops.rsqrt(1.0 + inverse)
