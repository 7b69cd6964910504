"""Gaussian mixtures: classes whose Bayes error is known in closed form."""

import math

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.types import Array
from tfphen.data.dataset import Dataset


def gaussian_mixture(
    *,
    classes: int = 10,
    dimensions: int = 20,
    radius: float = 3.0,
    noise: float = 1.0,
    noise_dimensions: int = 0,
    directions: str = "orthonormal",
    train_per_class: int = 400,
    test_per_class: int = 200,
    generator_seed: int = 0,
) -> Dataset:
    """Draws x = radius * q_c + noise * z with z standard normal, one unit vector q_c for a class.

    Class means, training and test examples come from separate streams: another `test_per_class`
    leaves the training examples as they are.

    Args:
        classes: Number of classes.
        dimensions: Dimensions in which the class means lie.
        radius: Norm of every class mean.
        noise: Standard deviation of the noise in every dimension.
        noise_dimensions: Further dimensions that hold noise only; inputs are
            `[n, dimensions + noise_dimensions]`.
        directions: `"orthonormal"`, or `"gaussian"` for independent random directions.
        train_per_class: Training examples of each class.
        test_per_class: Test examples of each class.
        generator_seed: Seed of the data.

    Raises:
        UsageError: A setting is out of its range.
    """
    checks.whole("classes", classes, 2)
    checks.whole("dimensions", dimensions, 1)
    checks.whole("noise_dimensions", noise_dimensions, 0)
    checks.whole("train_per_class", train_per_class, 1)
    checks.whole("test_per_class", test_per_class, 1)
    checks.whole("generator_seed", generator_seed, 0)
    checks.number("radius", radius, 0)
    checks.number("noise", noise, 0)
    checks.one_of("directions", directions, ("orthonormal", "gaussian"))
    if directions == "orthonormal" and classes > dimensions:
        raise UsageError(
            "Orthonormal class means need at least as many dimensions as classes. "
            f"Received: classes={classes}, dimensions={dimensions}"
        )

    vectors = stream(generator_seed, "gaussian_mixture", 0).standard_normal((classes, dimensions))
    if directions == "orthonormal":
        # The signs of R's diagonal make the factorisation unique, hence the means reproducible.
        basis, triangle = np.linalg.qr(vectors.T)
        vectors = (basis * np.sign(np.diag(triangle))).T
    means = np.zeros((classes, dimensions + noise_dimensions))
    means[:, :dimensions] = radius * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def draw(per_class: int, fold: int) -> tuple[Array, Array]:
        generator = stream(generator_seed, "gaussian_mixture", fold)
        labels = generator.permutation(np.repeat(np.arange(classes), per_class))
        deviations = generator.standard_normal((len(labels), means.shape[1]))
        return means[labels] + noise * deviations, labels

    train_inputs, train_labels = draw(train_per_class, 1)
    test_inputs, test_labels = draw(test_per_class, 2)
    return Dataset(
        train_inputs,
        train_labels,
        test_inputs,
        test_labels,
        num_classes=classes,
        name="gaussian_mixture",
        description=(
            f"{classes} Gaussian classes in {means.shape[1]} dimensions, "
            f"radius {radius:g}, noise {noise:g}, generator seed {generator_seed}"
        ),
    )


def bayes_error(classes: int, radius: float, noise: float) -> float:
    """Returns the least possible error on equally frequent classes with orthonormal means.

    The projections on the class means are independent, so the best guess is the largest one: the
    error is 1 - E[Phi(z + radius / noise) ** (classes - 1)] with z standard normal, which for two
    classes is Phi(-radius / (sqrt(2) * noise)).
    """
    z = np.linspace(-12.0, 12.0, 4801)
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * math.erfc(-(v + radius / noise) / math.sqrt(2)) for v in z])
    # The integrand vanishes at both ends, where the trapezoidal rule is exact to rounding.
    correct = np.sum(density * below ** (classes - 1)) * (z[1] - z[0])
    return float(1 - correct)
