"""Tables of arithmetic modulo a number: small tasks on which networks memorize, then generalize."""

import math
from collections.abc import Callable

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.types import Array
from tfphen.data.dataset import Dataset


def _inverses(b: Array, p: int) -> Array:
    """Returns the inverses of nonzero numbers modulo a prime."""
    return np.array([pow(int(value), -1, p) for value in range(1, p)])[b - 1]


def _divided_or_subtracted(a: Array, b: Array, p: int) -> Array:
    return np.where(b % 2 == 1, a * _inverses(b, p), a - b)


# Of int64 arrays, to be taken modulo p.
OPERATIONS: dict[str, Callable[[Array, Array, int], Array]] = {
    "addition": lambda a, b, p: a + b,
    "subtraction": lambda a, b, p: a - b,
    "multiplication": lambda a, b, p: a * b,
    "division": lambda a, b, p: a * _inverses(b, p),
    "x/y if y odd else x-y": _divided_or_subtracted,
    "x^2+y^2": lambda a, b, p: a**2 + b**2,
    "x^2+xy+y^2": lambda a, b, p: a**2 + a * b + b**2,
    "x^2+xy+y^2+x": lambda a, b, p: a**2 + a * b + b**2 + a,
    "x^3+xy": lambda a, b, p: a**3 + a * b,
    "x^3+xy^2+y": lambda a, b, p: a**3 + a * b**2 + b,
}
_DIVISIONS = ("division", "x/y if y odd else x-y")
FORMS = ("one_hot_pair", "pair", "tokens")


def modular_arithmetic(
    *,
    operation: str = "addition",
    modulus: int = 97,
    train_fraction: float = 0.5,
    form: str = "one_hot_pair",
    generator_seed: int = 0,
) -> Dataset:
    """Every pair (a, b) of numbers modulo p once, labeled with the result of an operation.

    A random fraction of the pairs is for training, all others are the test set. Operations that
    divide leave out b = 0, so they have p (p - 1) pairs and need a prime modulus; all others have
    p² pairs. For a commutative operation, half of the table follows from the other half by
    (a, b) = (b, a).

    Args:
        operation: `"addition"`, `"subtraction"`, `"multiplication"`, `"division"`, or one of the
            formulas in x = a, y = b of Power et al., such as `"x^2+xy+y^2"`; see `OPERATIONS`.
        modulus: The number p of classes, from 2 to 500.
        train_fraction: Share of the pairs that train, in (0, 1).
        form: What an input looks like. `"one_hot_pair"`: `[2 p]`, ones at a and p + b. `"pair"`:
            `[2]`, the numbers a and b. `"tokens"`: `[5]`, token numbers of "EOS a op b =", with
            the numbers as tokens 0 to p - 1, then the operation p, the equals sign p + 1 and EOS
            p + 2. Numbers of tokens are float32, as in any `Dataset`, and exact.
        generator_seed: Seed of the split.

    Raises:
        UsageError: An unknown operation or form, a modulus that is no prime where one is needed, a
            fraction that leaves no pair for one of the parts.

    Reference:
        A. Power, Y. Burda, H. Edwards, I. Babuschkin, V. Misra, *Grokking: Generalization Beyond
        Overfitting on Small Algorithmic Datasets*, arXiv 2201.02177, with p = 97.
    """
    checks.one_of("operation", operation, tuple(OPERATIONS))
    p = checks.whole("modulus", modulus, 2, 500)
    checks.number("train_fraction", train_fraction, 0, 1)
    checks.one_of("form", form, FORMS)
    checks.whole("generator_seed", generator_seed, 0)
    divides = operation in _DIVISIONS
    if divides and any(p % factor == 0 for factor in range(2, math.isqrt(p) + 1)):
        raise UsageError(f"Division needs a prime modulus. Received: modulus={modulus}")

    a, b = (part.ravel() for part in np.meshgrid(np.arange(p), np.arange(p), indexing="ij"))
    if divides:
        a, b = a[b > 0], b[b > 0]
    labels = OPERATIONS[operation](a, b, p) % p
    size = round(train_fraction * len(labels))
    if not 0 < size < len(labels):
        raise UsageError(
            f"`train_fraction` must leave pairs for training and for the test, of {len(labels)}. "
            f"Received: train_fraction={train_fraction!r}"
        )
    inputs = _inputs(a, b, p, form)
    order = stream(generator_seed, "modular_arithmetic").permutation(len(labels))
    train, test = order[:size], order[size:]
    return Dataset(
        inputs[train],
        labels[train],
        inputs[test],
        labels[test],
        num_classes=p,
        name="modular_arithmetic",
        description=(
            f"{operation} modulo {p}, {size} of {len(labels)} pairs for training, "
            f"generator seed {generator_seed}"
        ),
    )


def _inputs(a: Array, b: Array, p: int, form: str) -> Array:
    if form == "one_hot_pair":
        one_hot = np.eye(p, dtype="float32")
        return np.concatenate((one_hot[a], one_hot[b]), axis=1)
    if form == "pair":
        return np.stack((a, b), axis=1).astype("float32")
    operation, equals, end = (np.full_like(a, p + number) for number in range(3))
    return np.stack((end, a, operation, b, equals), axis=1).astype("float32")
