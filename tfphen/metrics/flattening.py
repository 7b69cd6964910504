"""In how many directions the features of one class vary: the flattening of manifold mixup."""

from typing import NamedTuple

import numpy as np

from tfphen.metrics.class_separation import features_and_labels

# A class's share of the total energy below this is the rounding of equal features.
_NO_ENERGY = 1e-28


class ClassFlattening(NamedTuple):
    """How features of each of C classes vary, in the order of `classes`; arrays float64 `[C]`.

    With s_1 ≥ s_2 ≥ ... the singular values of the features of a class:

    Attributes:
        classes: The classes, ascending, int64.
        share_outside_first: Sum of s_i², i ≥ 2, as a share of the total energy of all features.
        total_share: Their sum over classes, a float in [0, 1]: 0 where each class varies along one
            line at most.
        participation_ratio: (Σ s_i²)² / Σ s_i⁴, the number of directions that a class varies in;
            NaN for a class without variation.
        largest_singular_value: s_1.
        sum_of_other_singular_values: Σ s_i, i ≥ 2.
    """

    classes: np.ndarray
    share_outside_first: np.ndarray
    total_share: float
    participation_ratio: np.ndarray
    largest_singular_value: np.ndarray
    sum_of_other_singular_values: np.ndarray


def class_flattening(features, labels, centered=True) -> ClassFlattening:
    """Share of the features' energy that lies within classes but outside their first direction.

    With H_c the features of class c minus their mean, s_ci its singular values in falling order,
    and H all features minus their mean:

        flat_c = Σ_{i ≥ 2} s_ci² / |H|²,    PR_c = (Σ_i s_ci²)² / Σ_i s_ci⁴

    Shares and ratios do not change when all features are multiplied by a number, moved or rotated;
    singular values do change with the first.

    Args:
        features: Hidden states of one layer, in inference mode, `[n, d]`.
        labels: Integers, `[n]`; any values.
        centered: Subtract the means. Without, H_c and H are the features as they are. The paper
            reports s_c1 and the sum of the other s_ci and does not say which it takes.

    Returns:
        A `ClassFlattening`.

    Raises:
        ValueError: Shapes that do not go together, entries that are NaN or infinite, labels that
            are not integers, or features that are all the same.

    Example:

    >>> found = class_flattening([[0.0, 0.0], [2.0, 0.0], [4.0, 1.0], [4.0, 3.0]], [0, 0, 1, 1])
    >>> found.total_share, found.participation_ratio.tolist()
    (0.0, [1.0, 1.0])

    When not to use:
        With fewer examples of a class than directions to tell apart: n_c centered examples span
        n_c - 1. Across layers of different width, or networks trained for different times. It says
        nothing about directions that classes share; classes pooled, the paper saw no difference.

    Reference:
        V. Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States",
        ICML 2019, arXiv 1806.05236, section 3.2 and appendix G (the singular values; the share and
        the participation ratio are scale-free forms of them).
    """
    array, labels = features_and_labels(features, labels)
    whole = array - array.mean(0) if centered else array
    energy = float((whole**2).sum())
    if not energy > 0:
        raise ValueError(
            "`features` must differ between examples, or be other than zero with `centered=False`. "
            f"Received: features.shape={array.shape}, all the same"
        )
    classes = np.unique(labels)
    rows = []
    for label in classes:
        own = array[labels == label]
        values = np.linalg.svd(own - own.mean(0) if centered else own, compute_uv=False)
        squares = values**2 * (values**2 > _NO_ENERGY * energy)
        ratio = squares.sum() ** 2 / (squares**2).sum() if squares.any() else np.nan
        rows.append((squares[1:].sum() / energy, ratio, values[0], values[1:].sum()))
    share, ratio, largest, others = np.array(rows).T
    return ClassFlattening(classes, share, float(share.sum()), ratio, largest, others)
