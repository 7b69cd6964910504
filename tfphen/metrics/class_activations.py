"""How hidden units respond to the classes that a network predicts: alike, selectively, strongly."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.metrics.class_separation import features_and_labels


class ClassActivationCosine(NamedTuple):
    """How alike the class activation matrices of K classes are.

    Attributes:
        mean_cosine: Mean of the K (K - 1) entries of `cosines` off the diagonal.
        num_predicted: How many classes were predicted at all.
        cosines: Cosine of each pair of flattened matrices, float64 `[K, K]`; 0 in the rows of
            classes whose matrix is zero.
    """

    mean_cosine: float
    num_predicted: int
    cosines: np.ndarray


class UnitSelectivity(NamedTuple):
    """How selective the units of a layer of width d are for predicted classes.

    Attributes:
        active_ratio: Share of activations, over examples and units, that are not 0.
        mean_selectivity: Mean of `selectivity` over units that are ever active; NaN if none is.
        selectivity: Normalized NDCG of each unit, float64 `[d]`, in [0, 1]; NaN for a unit that is
            never active.
    """

    active_ratio: float
    mean_selectivity: float
    selectivity: np.ndarray


def _classes(features, predictions, num_classes: int, name: str):
    """Returns checked float64 features `[n, d]` and classes `[n]` of 0..num_classes-1."""
    array, classes = features_and_labels(features, predictions, name, "predictions")
    checks.require(
        classes.min() >= 0 and classes.max() < num_classes,
        "predictions",
        sorted({int(classes.min()), int(classes.max())}),
        f"must hold classes from 0 to {num_classes - 1}",
    )
    return array, classes


def class_activation_cosine(inputs, outputs, predictions, num_classes) -> ClassActivationCosine:
    """Mean cosine between the class activation matrices of pairs of predicted classes.

    The matrix of class c is the mean outer product of two layers' activations over the examples
    that are predicted as c; classes are compared by the cosine of their flattened matrices:

        M_c = 1 / n_c  sum_{i predicted as c} a_i b_iᵀ

    Computed as A_cᵀ B_c / n_c, one product of matrices a class, without the outer product of any
    example. Positive factors of `inputs` and `outputs` change nothing. A class that is never
    predicted has a zero matrix and cosine 0 with every other, which lowers the mean of networks
    that predict few classes: read `num_predicted` beside it.

    Args:
        inputs: Activations a of the lower layer, such as flattened inputs, `[n, d]`.
        outputs: Activations b of the upper layer, such as penultimate features, `[n, k]`.
        predictions: The predicted class of each example, integers of 0..K-1, `[n]`.
        num_classes: K, at least 2.

    Returns:
        A `ClassActivationCosine`.

    Raises:
        ValueError: Shapes that do not go together, NaN, infinite entries, or classes outside
            0..K-1.

    Example:

    >>> inputs = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> class_activation_cosine(inputs, [[2.0], [4.0], [1.0]], [0, 0, 1], 2).mean_cosine
    0.0
    >>> class_activation_cosine(inputs, [[2.0], [4.0], [1.0]], [0, 1, 1], 3).cosines[0].round(2)
    array([1.  , 0.97, 0.  ])

    When not to use:
        To compare layers or data: activations that are never negative (pixels, after a ReLU) have
        a large mean in common, which alone gives a cosine well above 0.

    Reference:
        Y. Gu, "Class-wise Activation Unravelling the Engima of Deep Double Descent", 2024,
        arXiv 2405.07679.
    """
    checks.whole("num_classes", num_classes, 2)
    lower, classes = _classes(inputs, predictions, num_classes, "inputs")
    upper, _ = _classes(outputs, predictions, num_classes, "outputs")
    # The cosine does not change with scale, and products of huge or tiny entries would.
    lower, upper = (values / (np.abs(values).max() or 1.0) for values in (lower, upper))
    matrices = np.zeros((num_classes, lower.shape[1] * upper.shape[1]))
    for index in np.unique(classes):
        own = classes == index
        matrices[index] = (lower[own].T @ upper[own]).ravel() / own.sum()
    norms = np.linalg.norm(matrices, axis=1)
    matrices /= np.where(norms > 0, norms, 1.0)[:, None]
    cosines = matrices @ matrices.T
    off_diagonal = ~np.eye(num_classes, dtype=bool)
    return ClassActivationCosine(
        float(cosines[off_diagonal].mean()), len(np.unique(classes)), cosines
    )


def activation_complexity(features, predictions, *, block_size=20, num_draws=50) -> float:
    """The activation-based "Rademacher complexity" estimate of a layer: its mean level, mostly.

    The examples that are predicted as one class are cut, in order, into blocks of b; what is left
    over is left out. With S vectors s of b random signs (the same ones for the i-th block of every
    class) and f_ij the activation of unit j on example i of the block:

        value of a block = max over s of  mean_j sum_i s_i f_ij

    and the estimate is the mean over the blocks of a class, then over classes.

    Since the mean over units can be taken first, it depends on the features only through the mean
    activation r_i = mean_j f_ij of each example, and is close to c sqrt(b) · rms(r), where c is the
    expected maximum of S standard normal numbers, 2.25 for S = 50. It is not divided by b.

    Args:
        features: Activations of one layer, `[n, d]`.
        predictions: The predicted class of each example, integers, `[n]`.
        block_size: b.
        num_draws: S.

    Returns:
        The estimate, at least the mean over blocks of the largest of S values; NaN where no class
        is predicted `block_size` times.

    Raises:
        ValueError: Shapes that do not go together, NaN, infinite entries, or predictions that are
            not integers.

    Example:

    >>> features = np.ones((40, 7))
    >>> value = activation_complexity(features, np.zeros(40, int))
    >>> value == activation_complexity(3.0 * features, np.zeros(40, int)) / 3.0
    True

    When not to use:
        As the complexity of a class of functions: it measures a level of activations. Dividing a
        layer's activations by a number and multiplying the next kernel by it leaves the network as
        it is, and divides the estimate by that number; it falls with width because activations
        shrink.

    Reference:
        Y. Gu, "Class-wise Activation Unravelling the Engima of Deep Double Descent", 2024,
        arXiv 2405.07679, from its released code.
    """
    array, classes = features_and_labels(features, predictions, "features", "predictions")
    checks.wholes(block_size=block_size, num_draws=num_draws)
    levels = array.mean(1)
    found = []
    for index in np.unique(classes):
        own = levels[classes == index]
        blocks = own[: len(own) // block_size * block_size].reshape(-1, block_size)
        if len(blocks):
            values = [
                (_signs(number, block_size, num_draws) @ block).max()
                for number, block in enumerate(blocks)
            ]
            found.append(np.mean(values))
    return float(np.mean(found)) if found else float("nan")


def _signs(number: int, block_size: int, num_draws: int) -> np.ndarray:
    """Returns the sign vectors of the block with this number, `[draws, block_size]`."""
    return np.random.default_rng(number).choice([-1.0, 1.0], (num_draws, block_size))


def unit_selectivity(features, predictions, num_classes) -> UnitSelectivity:
    """How sparse a layer's activations are, and for how few classes each of its units is active.

    With n_(1) ≥ n_(2) ≥ ... the numbers of examples of each predicted class on which a unit is not
    0, and U the value of D for equal counts:

        D = sum_j n_(j) / log2(j + 1) / sum_j n_(j),    selectivity = (D - U) / (1 - U)

    Args:
        features: Activations of one layer, such as after a ReLU, `[n, d]`.
        predictions: The predicted class of each example, integers of 0..K-1, `[n]`.
        num_classes: K, at least 2.

    Returns:
        A `UnitSelectivity`: 1 for a unit that is active for one class only, 0 for one that is as
        often active in each.

    Raises:
        ValueError: Shapes that do not go together, NaN, infinite entries, or classes outside
            0..K-1.

    Example:

    >>> found = unit_selectivity([[1.0, 1.0], [2.0, 1.0], [0.0, 3.0], [0.0, 1.0]], [0, 0, 1, 1], 2)
    >>> found.active_ratio, found.selectivity.tolist()
    (0.75, [1.0, 0.0])

    When not to use:
        After an activation that is never exactly 0. With unequal class counts, which alone make
        the counts of a unit that is always active unequal.

    Reference:
        Y. Gu, "Class-wise Activation Unravelling the Engima of Deep Double Descent", 2024,
        arXiv 2405.07679.
    """
    checks.whole("num_classes", num_classes, 2)
    array, classes = _classes(features, predictions, num_classes, "features")
    active = (array != 0).astype("float64")
    counts = np.eye(num_classes)[classes].T @ active
    gains = 1.0 / np.log2(np.arange(2, num_classes + 2))
    totals = counts.sum(0)
    share = gains @ -np.sort(-counts, axis=0) / np.where(totals > 0, totals, 1.0)
    uniform = gains.mean()
    selectivity = np.where(totals > 0, (share - uniform) / (1.0 - uniform), np.nan)
    known = selectivity[totals > 0]
    mean = float(known.mean()) if len(known) else float("nan")
    return UnitSelectivity(float(active.mean()), mean, selectivity)
