"""Logits that are scaled and shifted by class frequency in training: VS, CDT, logit adjustment.

All of them are cross-entropy of `vector_scaled_logits`. Predictions are argmax of the raw logits:
scaling or shifting those too would undo what training did.
"""

import keras
from keras import ops

from tfphen.core import checks
from tfphen.losses.adjusted_logits import adjusted_crossentropy, adjusted_logits
from tfphen.losses.class_counts import checked_class_counts, values_of_classes
from tfphen.losses.class_weighted import with_class_weights
from tfphen.losses.sparse_labels import labels_and_predictions


def class_temperatures(class_counts, gamma=0.2):
    """Returns the temperature of each class, 1 for the most frequent and higher for rarer ones.

    With n_k training examples of class k,

        a_k = (n_max / n_k)^γ

    `CDTLoss` divides logits by it; `VSLoss` multiplies by Δ_k = 1 / a_k.

    Args:
        class_counts: Number of training examples of each class, `[..., K]`.
        gamma: Exponent γ, at least 0.

    Returns:
        A float64 array of the shape of `class_counts`.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1, or a negative `gamma`.

    Example:

    >>> class_temperatures([5000, 500, 50], gamma=0.3).round(3).tolist()
    [1.0, 1.995, 3.981]

    When not to use:
        To divide logits at prediction: that undoes what training did for rare classes.

    Reference:
        H.-J. Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep
        Learning", arXiv 2001.01385.
    """
    counts = checked_class_counts(class_counts)
    return (counts.max(-1, keepdims=True) / counts) ** checks.number("gamma", gamma, 0)


def vector_scaled_logits(y_pred, class_counts, gamma=0.3, tau=1.0):
    """Logits that are scaled and shifted by class frequency, for use in training only.

    With n_k training examples of class k and π_k = n_k / Σ_j n_j,

        u_k = Δ_k z_k + ι_k,    Δ_k = (n_k / n_max)^γ,    ι_k = τ log π_k

    A rare class has the smaller Δ and the lower ι, so the network must give it a larger logit z
    to get the same u. Cross-entropy of u is the plain one for γ = τ = 0, the logit-adjusted loss
    for γ = 0 (balanced softmax with τ = 1) and CDT for τ = 0.

    Args:
        y_pred: Logits z, `[..., K]`.
        class_counts: Number of training examples of each class, `[K]`, or `[..., K]` with leading
            axes that broadcast against those of `y_pred`, such as `[members, 1, K]`.
        gamma: Exponent γ of the factor, at least 0.
        tau: Factor τ of the shift, at least 0.

    Returns:
        Logits u for a softmax, `[..., K]`, at least float32.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1 or of another number of
            classes; `gamma` or `tau` negative.

    Example:

    >>> logits = vector_scaled_logits([[1.0, 1.0]], [80, 20], gamma=0.5, tau=1.0)
    >>> [round(float(value), 4) for value in logits[0]]  # 1 + log 0.8 and 1 / 2 + log 0.2
    [0.7769, -1.1094]

    When not to use:
        At prediction, or as the last layer of a model that is saved for it: rare classes would
        then lose what training gave them.

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if keras.backend.standardize_dtype(y_pred.dtype) not in ("float32", "float64"):
        y_pred = ops.cast(y_pred, "float32")
    return adjusted_logits(y_pred, *_factors_and_shifts(y_pred, class_counts, gamma, tau))


def _factors_and_shifts(y_pred, class_counts, gamma, tau):
    """Returns Δ and ι, `[K]`, or `[..., K]` as the counts have them."""
    gamma, tau = checks.number("gamma", gamma, 0), checks.number("tau", tau, 0)
    counts, numeric = values_of_classes("class_counts", class_counts, y_pred, checked_class_counts)
    largest = numeric.max(counts, axis=-1, keepdims=True)
    total = numeric.sum(counts, axis=-1, keepdims=True)
    return numeric.power(counts / largest, gamma), tau * numeric.log(counts / total)


def vs_loss(y_true, y_pred, class_counts, gamma=0.3, tau=1.0, class_weights=None):
    """Vector-scaling loss: cross-entropy of scaled and shifted logits.

    With u_k = (n_k / n_max)^γ z_k + τ log π_k of `vector_scaled_logits`,

        L = w_y (log Σ_k exp u_k - u_y)

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        class_counts: As in `vector_scaled_logits`.
        gamma: Exponent γ of the factor, at least 0.
        tau: Factor τ of the shift, at least 0.
        class_weights: `[K]`, or `[..., K]` like `class_counts`. None stands for ones.

    Returns:
        One weighted loss an example, in nats, `[...]`.

    Raises:
        ValueError: Counts, weights or settings out of their range, or of another number of
            classes; labels and predictions that do not go together.

    Example:

    >>> float(vs_loss([1], [[0.0, 2.0]], [80, 20], gamma=0.5, tau=1.0)[0])  # log(1 + 4 / e)
    0.90483...

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    factors, shifts = _factors_and_shifts(y_pred, class_counts, gamma, tau)
    losses = adjusted_crossentropy(labels, y_pred, factors, shifts)
    return with_class_weights(losses, class_weights, labels, y_pred)


def cdt_loss(y_true, y_pred, class_counts, gamma=0.2, class_weights=None):
    """Cross-entropy with class-dependent temperatures.

    With the temperature a_k = (n_max / n_k)^γ ≥ 1 of class k,

        L = -w_y log softmax(z / a)_y

    It is `vs_loss` with τ = 0, whose factor is Δ_k = 1 / a_k.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        class_counts: As in `vector_scaled_logits`.
        gamma: Exponent γ of the temperatures, at least 0.
        class_weights: `[K]`, or `[..., K]` like `class_counts`. None stands for ones.

    Returns:
        One weighted loss an example, in nats, `[...]`.

    Raises:
        ValueError: As in `vs_loss`.

    Example:

    >>> float(cdt_loss([1], [[0.0, 2.0]], [80, 20], gamma=0.5)[0])  # log(1 + exp(-2 / 2))
    0.31326...

    Reference:
        H.-J. Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep
        Learning", arXiv 2001.01385.
    """
    return vs_loss(y_true, y_pred, class_counts, gamma, 0.0, class_weights)


def logit_adjusted_loss(y_true, y_pred, class_counts, tau=1.0, class_weights=None):
    """Cross-entropy of logits plus τ times the log of the class frequency.

    With π_k = n_k / Σ_j n_j,

        L = -w_y log softmax(z + τ log π)_y

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        class_counts: As in `vector_scaled_logits`.
        tau: Factor τ of the shift, at least 0.
        class_weights: `[K]`, or `[..., K]` like `class_counts`. None stands for ones.

    Returns:
        One weighted loss an example, in nats, `[...]`.

    Raises:
        ValueError: As in `vs_loss`.

    Example:

    >>> float(logit_adjusted_loss([1], [[0.0, 0.0]], [80, 20])[0])  # -log 0.2
    1.60943...

    Reference:
        A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021,
        arXiv 2007.07314.
    """
    return vs_loss(y_true, y_pred, class_counts, 0.0, tau, class_weights)
