"""Losses meant to tolerate label noise without a noise model, as compared with loss correction.

They follow the code published with Patrini et al. 2017, which gives one-hot labels of zeros and
ones, not of ±1, to losses written for ±1, and takes the mean over classes. The scores of the wrong
classes then enter the unhinged, sigmoid, ramp and Savage losses only as constants. In that code
the scores of the unhinged, sigmoid and ramp losses come out of a batch normalization. Add one as
the last layer of the model for these three: it bounds the scores, and it alone lets classes
compete. Without it nothing keeps the scores of wrong classes down, and training fails.

Reference:
    G. Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction
    Approach", CVPR 2017, arXiv 1609.03683.
"""

from keras import ops

from tfphen.core import checks
from tfphen.losses.sparse_labels import (
    entry_of_label,
    labels_and_predictions,
    log_probabilities,
)


def _mean_over_classes(of_label, constant, y_pred):
    """Mean of the label's term and of the others, each of which is `constant`."""
    classes = y_pred.shape[-1]
    return (of_label + constant * (classes - 1)) / classes


def checked_beta(beta) -> float:
    """Returns the weight of the given label as a float in [0, 1], or raises ValueError."""
    return checks.number("beta", beta, 0, 1)


def bootstrap_soft_crossentropy(y_true, y_pred, beta=0.95, from_logits=True):
    """Cross-entropy with the label mixed with the prediction itself.

    With p = softmax(z) of the logits z:

        l(y, z) = -β log p_y - (1 - β) Σⱼ pⱼ log pⱼ

    Gradients flow through both factors of the second term.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        beta: β, the weight of the given label, in [0, 1].
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: `beta` outside [0, 1], or shapes that do not go together.

    Example:

    >>> float(bootstrap_soft_crossentropy([1], [[0.0, 0.0]])[0])
    0.69314...

    Reference:
        S. Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
        ICLR 2015 workshop, arXiv 1412.6596.
    """
    checked_beta(beta)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    logs = log_probabilities(y_pred, from_logits)
    entropy = -ops.sum(ops.exp(logs) * logs, axis=-1)
    return -beta * entry_of_label(logs, labels) + (1.0 - beta) * entropy


def bootstrap_hard_crossentropy(y_true, y_pred, beta=0.8, from_logits=True):
    """Cross-entropy with the label mixed with the predicted class.

    With p = softmax(z) of the logits z:

        l(y, z) = -β log p_y - (1 - β) log maxⱼ pⱼ

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        beta: β, the weight of the given label, in [0, 1].
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: `beta` outside [0, 1], or shapes that do not go together.

    Example:

    >>> float(bootstrap_hard_crossentropy([1], [[0.0, 0.0]])[0])
    0.69314...

    Reference:
        S. Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping",
        ICLR 2015 workshop, arXiv 1412.6596.
    """
    checked_beta(beta)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    logs = log_probabilities(y_pred, from_logits)
    predicted = ops.cast(ops.argmax(logs, axis=-1), "int32")
    return -beta * entry_of_label(logs, labels) - (1.0 - beta) * entry_of_label(logs, predicted)


def unhinged_loss(y_true, y_pred):
    """Loss linear in the score of the label, and unbounded.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = 1 - z_y / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Scores z, `[..., K]`.

    Returns:
        One loss an example, `[...]`.

    Raises:
        ValueError: Shapes that do not go together.

    Example:

    >>> float(unhinged_loss([1], [[0.0, 1.0]])[0])
    0.5

    Reference:
        B. van Rooyen, A. Menon, R. Williamson, "Learning with Symmetric Label Noise: The
        Importance of Being Unhinged", NIPS 2015, arXiv 1505.07634.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return _mean_over_classes(1.0 - entry_of_label(y_pred, labels), 1.0, y_pred)


def sigmoid_loss(y_true, y_pred):
    """Sigmoid of the negative score of the label.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (sigmoid(-z_y) + (K - 1) / 2) / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Scores z, `[..., K]`.

    Returns:
        One loss an example, `[...]`.

    Raises:
        ValueError: Shapes that do not go together.

    Example:

    >>> float(sigmoid_loss([1], [[3.0, 0.0]])[0])
    0.5

    Reference:
        A. Ghosh, N. Manwani, P. Sastry, "Making Risk Minimization Tolerant to Label Noise",
        Neurocomputing 160, 2015, arXiv 1403.3610.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return _mean_over_classes(ops.sigmoid(-entry_of_label(y_pred, labels)), 0.5, y_pred)


def ramp_loss(y_true, y_pred):
    """Hinge loss of the label's score, cut off at 1.

    With the scores z of K classes, of which only that of the label moves:

        l(y, z) = (min(1, max(0, 1 - z_y)) + K - 1) / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Scores z, `[..., K]`.

    Returns:
        One loss an example, `[...]`.

    Raises:
        ValueError: Shapes that do not go together.

    Example:

    >>> float(ramp_loss([1], [[3.0, 0.5]])[0])
    0.75

    Reference:
        J. Brooks, "Support Vector Machines with the Ramp Loss and the Hard Margin Loss",
        Operations Research 59, 2011.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    clipped = ops.clip(1.0 - entry_of_label(y_pred, labels), 0.0, 1.0)
    return _mean_over_classes(clipped, 1.0, y_pred)


def savage_loss(y_true, y_pred, from_logits=True):
    """Savage loss of the probability of the label: bounded, and flat where it is small.

    With p = softmax(z) of the logits z of K classes:

        l(y, z) = ((1 + exp(2 p_y))⁻² + (K - 1) / 4) / K

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss an example, `[...]`.

    Raises:
        ValueError: Shapes that do not go together.

    Example:

    >>> float(savage_loss([1], [[0.0, 0.0]])[0])  # (1 / (1 + e)**2 + 1 / 4) / 2
    0.16116...

    Reference:
        H. Masnadi-Shirazi, N. Vasconcelos, "On the Design of Loss Functions for Classification:
        theory, robustness to outliers, and SavageBoost", NIPS 2008.
    """
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    logs = log_probabilities(y_pred, from_logits)
    # 1 / (1 + exp(u)) is sigmoid(-u).
    of_label = ops.square(ops.sigmoid(-2.0 * ops.exp(entry_of_label(logs, labels))))
    return _mean_over_classes(of_label, 0.25, y_pred)
