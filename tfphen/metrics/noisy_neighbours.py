"""Where wrongly labeled examples lie: among those of their true class, or of their label's."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.metrics.class_separation import features_and_labels
from tfphen.metrics.probabilities import integer_array

_DISTANCES = ("cosine", "euclidean")


class NoisyNeighbours(NamedTuple):
    """How the neighbors of N wrongly labeled examples vote.

    Attributes:
        clean_vote: P_clean, the share of them whose neighbors vote for the true class, in [0, 1];
            NaN, which means "not applicable", where N = 0.
        noisy_vote: P_noisy, the share whose neighbors vote for the given label, likewise. The two
            add up to 1 at most.
        num_noisy: N.
    """

    clean_vote: float
    noisy_vote: float
    num_noisy: int


def noisy_neighbours(
    features, labels, clean_labels, *, num_neighbors=5, distance="cosine"
) -> NoisyNeighbours:
    """The class that correctly labeled neighbors give to wrongly labeled training examples.

    With given labels g, true labels t, C the examples with g = t and N those with g ≠ t: each
    example of N asks its nearest `num_neighbors` examples of C, which have one vote each for their
    class.

        P_clean = mean over N of 1[vote = t],    P_noisy = mean over N of 1[vote = g]

    Where label noise redraws the true class, the example counts as correctly labeled. A row of
    zeros has no direction: its cosine distance to every other is 1. Of classes with equally many
    votes the smallest wins.

    Args:
        features: Of all training examples in inference mode, `[n, d]`: such as the inputs of the
            last layer, maps pooled or flattened.
        labels: The labels that were trained on, integers, `[n]`.
        clean_labels: The true ones, integers, `[n]`.
        num_neighbors: How many vote.
        distance: `"cosine"` or `"euclidean"`.

    Returns:
        A `NoisyNeighbours`.

    Raises:
        ValueError: Shapes that do not go together, NaN, infinite entries, labels that are not
            integers, another distance, or fewer correctly labeled examples than
            `num_neighbors`.

    Example:

    >>> features = [[1.0, 0.1], [1.0, 0.0], [0.1, 1.0], [0.0, 1.0], [1.0, 0.2], [0.9, 1.0]]
    >>> clean = [0, 0, 1, 1, 0, 0]
    >>> given = [0, 0, 1, 1, 1, 1]
    >>> noisy_neighbours(features, given, clean, num_neighbors=1)
    NoisyNeighbours(clean_vote=0.5, noisy_vote=0.5, num_noisy=2)

    When not to use:
        As evidence that training isolates noise, without its value on the inputs and on the
        untrained network beside it: nearest neighbors of raw images often have the same class.
        With few wrongly labeled examples, or on more noise than signal, where no majority of the
        neighbors is left.

    Reference:
        Y. Gu, X. Zheng, T. Aste, "Unraveling the Enigma of Double Descent: An In-depth Analysis
        through the Lens of Learned Feature Space", ICLR 2024, arXiv 2310.13572.
    """
    array, given = features_and_labels(features, labels)
    true = integer_array(clean_labels, "clean_labels").astype("int64")
    true = true[:, 0] if true.ndim == 2 and true.shape[-1] == 1 else true
    checks.require(
        true.shape == given.shape, "clean_labels", true.shape, "must have the shape of `labels`"
    )
    checks.whole("num_neighbors", num_neighbors)
    checks.one_of("distance", distance, _DISTANCES)
    wrong = given != true
    num_noisy = int(wrong.sum())
    if not num_noisy:
        return NoisyNeighbours(float("nan"), float("nan"), 0)
    if len(given) - num_noisy < num_neighbors:
        raise ValueError(
            "`num_neighbors` must be at most the number of correctly labeled examples, "
            f"{len(given) - num_noisy}. Received: num_neighbors={num_neighbors}"
        )
    from sklearn.neighbors import KNeighborsClassifier

    # Directions do not change with scale, and squares of huge or tiny entries would.
    array = array / (np.abs(array).max() or 1.0)
    voters = KNeighborsClassifier(num_neighbors, metric=distance, algorithm="brute")
    votes = voters.fit(array[~wrong], true[~wrong]).predict(array[wrong])
    return NoisyNeighbours(
        float((votes == true[wrong]).mean()), float((votes == given[wrong]).mean()), num_noisy
    )
