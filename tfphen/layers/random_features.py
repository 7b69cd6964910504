"""Random features: frozen cosines whose inner products approximate a shift-invariant kernel."""

import math

import numpy as np
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Array, Tensor, TensorLike

# Degrees of freedom 2 nu of the multivariate t distribution that is a Matérn kernel's spectrum.
_MATERN_FREEDOM = {"matern12": 1, "matern32": 3, "matern52": 5}
KERNEL_TYPES = ("gaussian", *_MATERN_FREEDOM, "laplacian")
FEATURE_TYPES = ("random", "orthogonal")


def checked_features(kernel_type: str, feature_type: str) -> None:
    """Raises ValueError unless there are features of this type for this kernel."""
    checks.one_of("kernel_type", kernel_type, KERNEL_TYPES)
    checks.one_of("feature_type", feature_type, FEATURE_TYPES)
    if kernel_type == "laplacian" and feature_type == "orthogonal":
        raise ValueError(
            "Orthogonal features need a kernel of the Euclidean distance, and the Laplacian one is "
            'of the sum of absolute differences: use feature_type="random", or "matern12", which '
            "is exp(-distance). Received: kernel_type='laplacian', feature_type='orthogonal'"
        )


def _directions(generator: np.random.Generator, input_dim: int, num_features: int) -> np.ndarray:
    """Unit columns, `[input_dim, num_features]`, orthogonal within blocks of `input_dim`."""
    blocks = []
    for _ in range(-(-num_features // input_dim)):
        rotation, triangle = np.linalg.qr(generator.standard_normal((input_dim, input_dim)))
        # Without the signs the result of QR would not be uniform over rotations.
        blocks.append(rotation * np.where(np.diag(triangle) < 0, -1.0, 1.0))
    return np.concatenate(blocks, axis=1)[:, :num_features]


def random_feature_weights(
    input_dim: int,
    num_features: int,
    kernel_type: str = "gaussian",
    feature_type: str = "random",
    stddev: float = 1.0,
    random_norm: bool = True,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Draws the frequencies and phases of random cosine features on the host.

    Frequencies w are drawn from the spectrum of the kernel, phases b uniformly from [0, 2π). With
    the distance r = ‖x - x'‖ and l = 1 / stddev the kernels are

        gaussian   exp(-r² / (2 l²))              w ~ N(0, I / l²)
        matern12   exp(-r / l)                    w ~ multivariate t, 1 degree of freedom
        matern32   (1 + √3 r/l) exp(-√3 r/l)      w ~ multivariate t, 3 degrees of freedom
        matern52   (1 + √5 r/l + 5r²/3l²) exp(-√5 r/l)     ..., 5 degrees of freedom
        laplacian  exp(-‖x - x'‖₁ / l)            each entry of w Cauchy

    Orthogonal features take the directions of w from random rotations, `input_dim` at a time, and
    only the lengths from the distribution: the same kernel, approximated with less variance.

    Args:
        input_dim: Size of the inputs.
        num_features: Number of features.
        kernel_type: `"gaussian"`, `"matern12"`, `"matern32"`, `"matern52"` or `"laplacian"`.
        feature_type: `"random"`, independent frequencies, or `"orthogonal"`. The Laplacian kernel
            has random ones only.
        stddev: Scale of the frequencies, the inverse length-scale of the kernel.
        random_norm: For orthogonal features: whether a direction's length is that of a normal draw
            (chi-distributed, which the kernel needs) or always √input_dim.
        seed: Integer. The same numbers on every backend and device.

    Returns:
        Frequencies `[input_dim, num_features]` and phases `[num_features]`, NumPy float64.

    Raises:
        ValueError: An unknown kernel or feature type, or a pair of them that has no features.

    Example:

    >>> frequencies, phases = random_feature_weights(3, 6, feature_type="orthogonal", seed=1)
    >>> block = frequencies[:, :3]
    >>> bool(abs(block.T @ block - np.diag(np.diag(block.T @ block))).max() < 1e-12)
    True

    When not to use:
        With more than some tens of thousands of inputs or features: the draw is on the host.
        `random_norm=False` with a Matérn kernel is close to it in high dimensions only.

    Reference:
        A. Rahimi, B. Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007;
        F. Yu et al., "Orthogonal Random Features", NIPS 2016, arXiv 1610.09072.
    """
    checked_features(kernel_type, feature_type)
    generator = np.random.default_rng(seed)
    shape = (input_dim, num_features)
    if kernel_type == "laplacian":
        frequencies = generator.standard_cauchy(shape)
    elif feature_type == "random":
        frequencies = generator.standard_normal(shape)
    else:
        directions = _directions(generator, input_dim, num_features)
        if random_norm:
            frequencies = directions * np.sqrt(generator.chisquare(input_dim, num_features))
        else:
            frequencies = directions * math.sqrt(input_dim)
    if kernel_type in _MATERN_FREEDOM:
        freedom = _MATERN_FREEDOM[kernel_type]
        frequencies = frequencies / np.sqrt(generator.chisquare(freedom, num_features) / freedom)
    return stddev * frequencies, generator.uniform(0.0, 2.0 * math.pi, num_features)


def random_features(
    inputs: TensorLike, frequencies: TensorLike, phases: TensorLike, scale: bool = True
) -> Tensor:
    """Returns cosine features of inputs.

        φ(x) = a cos(x W + b),  a = √(2 / D) if `scale` else 1

    so that φ(x)·φ(x') is close to a² D / 2 times the kernel of `random_feature_weights`, with an
    error that falls as 1/√D.

    Args:
        inputs: `[..., input_dim]`.
        frequencies: W, `[input_dim, D]`.
        phases: b, `[D]`.
        scale: Whether the features are scaled so that φ(x)·φ(x) is 1 on average, not D / 2.

    Returns:
        `[..., D]`, of the dtype of `inputs`.

    Example:

    >>> float(random_features(ops.zeros((1, 2)), np.ones((2, 8)), np.zeros(8))[0, 0])
    0.5

    When not to use:
        In 16 bits: the cosine of a large number then has no correct digit.

    Reference:
        A. Rahimi, B. Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007.
    """
    inputs = ops.convert_to_tensor(inputs)
    frequencies = ops.cast(frequencies, inputs.dtype)
    features = ops.cos(ops.matmul(inputs, frequencies) + ops.cast(phases, inputs.dtype))
    return features * math.sqrt(2.0 / frequencies.shape[-1]) if scale else features
