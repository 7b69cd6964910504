"""Centered kernel alignment of pairs of normal features."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfphen.core.errors import UsageError
from tfphen.data.dataset import Dataset
from tfphen.metrics import linear_cka
from tfphen.solvers.base import Problem


def normal_pairs(*, generator_seed: int = 1337, count: int = 100, width: int = 10) -> Dataset:
    """A data source: normal features, and the same features plus as much noise.

    Its training inputs are X and its test inputs Y = X + N, all entries of X and N of variance 1.

    Args:
        generator_seed: Of NumPy's legacy generator.
        count: Number of examples.
        width: Number of features.
    """
    generator = np.random.RandomState(generator_seed)
    first = generator.randn(count, width)
    second = generator.randn(count, width) + first
    none = np.zeros(count, "int32")
    return Dataset(first, none, second, none, 1, "pairs of normal features")


def rbf_cka(x, y, threshold: float = 0.5) -> float:
    """Centered kernel alignment with Gaussian kernels, not unbiased.

        K_ij = exp(-|x_i - x_j|² / (2 threshold² m)),   CKA = <HKH, HLH> / (|HKH| |HLH|)

    with m the median of all entries of the matrix of squared distances, and H the centering matrix.

    Args:
        x: Features `[n, p]`.
        y: Features of the same examples, `[n, q]`.
        threshold: Width of the kernels in units of the root of m.

    Example:

    >>> x = np.asarray([[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0]])
    >>> round(rbf_cka(x, 7.0 - 2.0 * x), 6)
    1.0

    Reference:
        S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of Neural Network Representations
        Revisited", ICML 2019, arXiv 1905.00414.
    """
    grams = []
    for values in (x, y):
        values = np.asarray(values, "float64")
        squares = np.square(values[:, None] - values[None]).sum(-1)
        gram = np.exp(-squares / (2 * threshold**2 * np.median(squares)))
        gram -= gram.mean(0)
        grams.append(gram - gram.mean(1, keepdims=True))
    first, second = grams
    return float((first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second))


class Similarities:
    """Similarities of the training and the test inputs of each member.

    Attributes:
        execution: The method.
        num_parameters: 0, as none are fitted.
        diagnostics: `[members]` by the name of the index.
    """

    execution, num_parameters = "closed form", 0

    def __init__(self, diagnostics: Mapping[str, np.ndarray]):
        self.diagnostics = diagnostics

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> np.ndarray:
        """Raises `UsageError`: nothing is fitted that could predict."""
        raise UsageError("Similarities of inputs predict nothing: take their diagnostics alone.")


def compare(problem: Problem) -> Similarities:
    """Computes CKA of training and test inputs: plain, unbiased and with Gaussian kernels.

    Args:
        problem: It needs no model and no settings.
    """
    pairs = [(one.train_inputs, one.test_inputs) for one in problem.examples.resolved]
    problem.tick(len(problem.trials))
    diagnostics = {
        "plain_cka": [linear_cka(*pair) for pair in pairs],
        "unbiased_cka": [linear_cka(*pair, unbiased=True) for pair in pairs],
        "rbf_cka": [rbf_cka(*pair) for pair in pairs],
    }
    return Similarities({name: np.asarray(values) for name, values in diagnostics.items()})
