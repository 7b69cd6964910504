"""Asymptotic errors of cost-sensitive SVMs on two Gaussian classes."""

from collections.abc import Sequence

import numpy as np
from scipy import optimize, special


def mixture_limit(
    ratio: float, mean: float, minority: float, deltas: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Asymptotic errors on both classes, by Gordon's comparison theorem.

    With G standard normal, Y = 1 with probability π and -1 otherwise, cosine ρ of w with the axis
    of the means, β = b / ‖w‖ and q = ‖w‖, the hard-margin SVM has the smallest q at which

        min over ρ, β of  E (G + 1 / q - mean ρ - Y β)₊²  -  ratio (1 - ρ²)  =  0

    and δ adds (δ - 1) / ((δ + 1) q) to β. The errors are Φ(-mean ρ - β) and Φ(-mean ρ + β).

    Args:
        ratio: Dimensions of an example, over the number of examples.
        mean: Distance of each class's mean from 0, in standard deviations of the noise.
        minority: π, the share of the class with the margin δ.
        deltas: Values of δ.

    Returns:
        Errors on minority and majority, each `[deltas]`.

    Raises:
        ValueError: There are too few dimensions for the classes to be separable.

    Example:

    >>> [error.round(3).tolist() for error in mixture_limit(1.5, 2.5, 0.1, [1.0, 3.0])]
    [[0.306, 0.036], [0.001, 0.045]]

    When not to use:
        For a few tens of examples, whose mean errors differ from the limit.
    """

    def excess(point, length):
        cosine, offset = point
        total = -ratio * (1 - cosine**2)
        for share, sign in ((minority, 1), (1 - minority, -1)):
            least = 1 / length - mean * cosine - sign * offset
            density = np.exp(-(least**2) / 2) / np.sqrt(2 * np.pi)
            total += share * ((1 + least**2) * special.ndtr(least) + least * density)
        return total

    def best(length):
        return optimize.minimize(excess, (0.5, 0.0), (length,), options={"gtol": 1e-9})

    length = optimize.brentq(lambda length: best(length).fun, 1e-3, 1e3)
    cosine, offset = best(length).x
    deltas = np.asarray(deltas)
    moved = offset + (deltas - 1) / ((deltas + 1) * length)
    return special.ndtr(-mean * cosine - moved), special.ndtr(-mean * cosine + moved)
