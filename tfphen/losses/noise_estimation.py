"""The label-noise transition matrix, read off a model that was trained on the noisy labels."""

import keras
import numpy as np

from tfphen.core import checks


def estimate_transition_matrix(probabilities, percentile=97.0, mixing=0.0):
    """Estimates T, T[i, j] = P(label j | clean class i), from noisy posteriors.

    For each class i the example that the model finds most typical stands for a certain member of
    the class. With η the model's noisy posteriors, and q its percentile of column i:

        xᵢ = argmaxₓ {η(x)ᵢ : η(x)ᵢ < qᵢ},   T̂[i, :] = η(xᵢ) / Σⱼ η(xᵢ)ⱼ

    The estimate can only be right where T[i, i] is the largest entry of column i: where more than
    half of a class carries another label, rows come out swapped or equal. The percentile cuts off
    outliers; where a class has few examples it cuts off the typical ones too, and the estimate
    shows more noise than there is.

    Args:
        probabilities: `[n, K]`, softmax outputs of a model trained on noisy labels, for the
            inputs it was trained on.
        percentile: In (0, 100]; inputs at or above it are left out. None leaves out none.
        mixing: a in [0, 1): the result is a I + (1 - a) T̂.

    Returns:
        float64, `[K, K]`, rows sum to 1.

    Raises:
        ValueError: Not a table of probabilities, or a setting out of its range.

    Example:

    >>> clean = np.eye(2)[[0, 0, 0, 1, 1, 1]]
    >>> estimate_transition_matrix(clean @ [[0.8, 0.2], [0.1, 0.9]], percentile=None)
    array([[0.8, 0.2],
           [0.1, 0.9]])

    When not to use:
        Where more than half of some class carries one other label, and for sets with so few
        examples a class that none is typical of it alone. If the noise process can be looked at
        (some examples labeled twice, or a clean subset), count it instead.

    Migration:
        From `NoiseEstimator` of giorgiop/loss-correction (Keras 2): `probabilities` is
        `model.predict(inputs)` of the network trained on the noisy labels, for all inputs that it
        saw; `filter_outlier=True` is `percentile=97`, False is None; `alpha` is `mixing`. That
        code zeroes outliers in place, so that later classes read zeros; this one does not.

    Reference:
        G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
        Approach", CVPR 2017, arXiv 1609.03683, section 5.
    """
    table = np.asarray(keras.ops.convert_to_numpy(probabilities), dtype="float64")
    if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all() or table.min() < 0:
        raise ValueError(
            "`probabilities` must be finite, not negative and of shape (n, K). "
            f"Received: shape {table.shape}"
        )
    if percentile is not None:
        percentile = checks.number("percentile", percentile, 0, 100, low_open=True)
    mixing = checks.number("mixing", mixing, 0, 1, high_open=True)
    rows = []
    for column in table.T:
        allowed = np.ones(len(column), bool)
        if percentile is not None:
            allowed = column < np.percentile(column, percentile, method="higher")
        # All inputs may share the largest probability; then any of them is as typical.
        candidates = np.where(allowed, column, -1.0) if allowed.any() else column
        rows.append(table[np.argmax(candidates)])
    estimate = np.stack(rows)
    sums = estimate.sum(-1, keepdims=True)
    if not (sums > 0).all():
        raise ValueError(f"`probabilities` has rows of zeros. Received: sums {sums[:, 0]}")
    return mixing * np.eye(len(estimate)) + (1 - mixing) * estimate / sums
