"""Area under the ROC curve."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata


def auc(labels: Sequence[int], scores: Sequence[float]) -> float:
    """Area under the ROC curve: the probability that class 1 has the higher score.

    Args:
        labels: 0 or 1, `[n]`.
        scores: `[n]`. Ties count half.

    Example:

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    labels = np.asarray(labels) == 1
    ones, zeros = labels.sum(), (~labels).sum()
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - ones * (ones + 1) / 2) / (ones * zeros))
