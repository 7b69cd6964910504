"""Similarity of two representations of the same examples: linear CKA, whole or in batches."""

import math

import numpy as np

from tfphen.metrics.probabilities import float64_array

# HSIC_1 divides by n - 3.
_FEWEST_UNBIASED = 4
# HSIC_1 below this share of its terms is their rounding.
_ROUNDING = 1e-13


def _centred(features, name: str, fewest: int) -> np.ndarray:
    """Returns the features, float64 `[n, features]`, with column means 0."""
    array = float64_array(features, name)
    if array.ndim != 2 or array.shape[0] < fewest or array.shape[1] < 1:
        raise ValueError(
            f"`{name}` must have shape (n, features) with n >= {fewest}; reshape feature maps to "
            f"(n, -1) first. Received: {name}.shape={array.shape}"
        )
    # The first row goes first: a constant column is then exactly 0, with no rounding left over.
    array = array - array[0]
    return array - array.mean(0)


def _pair(x, y, fewest: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = _centred(x, "x", fewest), _centred(y, "y", fewest)
    if len(x) != len(y):
        raise ValueError(
            "`x` and `y` must hold the same examples in the same order. "
            f"Received: x.shape={x.shape}, y.shape={y.shape}"
        )
    return x, y


def _product(x: np.ndarray, y: np.ndarray) -> float:
    """Returns |XᵀY|², the sum over all pairs of examples of K_ij L_ij, by the cheaper way."""
    if x.shape[1] * y.shape[1] > len(x) * (x.shape[1] + y.shape[1]):
        return float(((x @ x.T) * (y @ y.T)).sum())
    return float(((x.T @ y) ** 2).sum())


def _unbiased_product(x: np.ndarray, y: np.ndarray) -> float:
    """Returns HSIC_1 of centered features `[n, p]` and `[n, q]`, without the Gram matrices' size.

    With K = XXᵀ and L = YYᵀ, diagonals set to 0, and centered columns, every row of K sums to
    -|x_i|² and K to -sum_i |x_i|².
    """
    count = len(x)
    norms_x, norms_y = (x**2).sum(1), (y**2).sum(1)
    diagonal = float(norms_x @ norms_y)
    trace = _product(x, y) - diagonal
    totals = float(norms_x.sum() * norms_y.sum()) / ((count - 1) * (count - 2))
    rows = 2.0 * diagonal / (count - 2)
    value = trace + totals - rows
    if abs(value) <= _ROUNDING * (abs(trace) + totals + rows):
        return 0.0
    return value / (count * (count - 3))


def _ratio(cross: float, of_x: float, of_y: float) -> float:
    """Returns cross / sqrt(of_x of_y), NaN where one of the two has no variance."""
    if not (of_x > 0 and of_y > 0):
        return float("nan")
    return cross / (math.sqrt(of_x) * math.sqrt(of_y))


def linear_cka(x, y, unbiased=False) -> float:
    """Linear centered kernel alignment of two representations of the same n examples.

    With centered columns, so that XᵀX / n is the covariance of the features:

        CKA = |XᵀY|² / (|XᵀX| |YᵀY|)        (Frobenius norms)

    With `unbiased` the three products are the U-statistic HSIC_1 of the Gram matrices K = XXᵀ and
    L = YYᵀ with their diagonals set to 0:

        HSIC_1 = [tr(KL) + 1ᵀK1 1ᵀL1 / ((n-1)(n-2)) - 2 / (n-2) 1ᵀKL1] / (n (n-3))

    Neither changes under rotation, a common scale or a constant added to the features of `x` or
    of `y`. Memory is O(n (p + q)) and the smaller of O(n²) and O(p q).

    Args:
        x: Features `[n, p]`; feature maps are flattened by the caller.
        y: Features of the same examples in the same order, `[n, q]`.
        unbiased: Use HSIC_1, which needs n ≥ 4. The plain index is above 0 for independent
            features, and near 1 where p and q exceed n.

    Returns:
        In [0, 1], or at most 1 and possibly negative if `unbiased`. NaN where one of the two does
        not vary over examples.

    Raises:
        ValueError: Not `[n, p]` and `[n, q]`, fewer than 2 examples (4 if `unbiased`), NaN or
            infinite entries.

    Example:

    >>> x = [[0.0, 1.0], [2.0, 0.0], [1.0, 3.0], [4.0, 1.0], [2.0, 2.0]]
    >>> rotated = [[-second, first + 7.0] for first, second in x]
    >>> round(linear_cka(x, rotated), 6)
    1.0
    >>> other = [[1.0], [0.0], [0.0], [1.0], [0.0]]
    >>> round(linear_cka(x, other), 4), round(linear_cka(x, other, unbiased=True), 4)
    (0.0637, -0.6768)

    When not to use:
        To say that two layers compute the same: directions of large variance and outlying examples
        decide the value, and directions of small variance, which may carry the accuracy, count
        almost nothing. Without `unbiased` on fewer examples than features.

    Migration:
        `feature_space_linear_cka(x, y)` of google-research's representation_similarity is this
        with the same arguments; its `debiased=True` is `unbiased=True`.

    Reference:
        S. Kornblith, M. Norouzi, H. Lee, G. Hinton, "Similarity of Neural Network Representations
        Revisited", ICML 2019, arXiv 1905.00414; HSIC_1: L. Song et al., "Feature Selection via
        Dependence Maximization", JMLR 13, 2012.
    """
    x, y = _pair(x, y, _FEWEST_UNBIASED if unbiased else 2)
    # Products of four features overflow long before the features do.
    x, y = (values / (np.abs(values).max() or 1.0) for values in (x, y))
    product = _unbiased_product if unbiased else _product
    return _ratio(product(x, y), product(x, x), product(y, y))


class MinibatchCKA:
    """Linear CKA of two representations too large to hold, one batch of examples after another.

        CKA = mean HSIC_1(K, L) / sqrt(mean HSIC_1(K, K) · mean HSIC_1(L, L))

    with the means over batches of the unbiased estimate that `linear_cka` states. Each mean is an
    unbiased estimate of the population's value whatever the batch size, so batches of 4 examples
    and of 4000 aim at the same number; every batch counts alike.

    Example:

    >>> generator = np.random.default_rng(0)
    >>> x = generator.normal(size=(400, 10))
    >>> similarity = MinibatchCKA()
    >>> for part in np.split(x, 20):
    ...     similarity.update_state(part, 3.0 * part[:, ::-1])
    >>> round(similarity.result(), 6)
    1.0

    When not to use:
        On batches that are not random samples, such as one class after another: each batch then
        estimates the similarity within it. Where all examples fit in memory `linear_cka` has less
        variance.

    Reference:
        T. Nguyen, M. Raghu, S. Kornblith, "Do Wide and Deep Networks Learn the Same Things?",
        ICLR 2021, arXiv 2010.15327, section 3.
    """

    def __init__(self):
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets all batches."""
        self.num_batches = 0
        self._cross = self._of_x = self._of_y = 0.0

    def update_state(self, x, y) -> None:
        """Adds a batch.

        Args:
            x: Features `[n, p]`, n ≥ 4.
            y: Features of the same examples in the same order, `[n, q]`.

        Raises:
            ValueError: As `linear_cka` with `unbiased=True`.
        """
        x, y = _pair(x, y, _FEWEST_UNBIASED)
        self._cross += _unbiased_product(x, y)
        self._of_x += _unbiased_product(x, x)
        self._of_y += _unbiased_product(y, y)
        self.num_batches += 1

    def result(self) -> float:
        """Returns the CKA of the batches so far; NaN where one side never varied.

        Raises:
            ValueError: There was no batch yet.
        """
        if not self.num_batches:
            raise ValueError("`update_state` must have seen a batch. Received: num_batches=0")
        return _ratio(self._cross, self._of_x, self._of_y)
