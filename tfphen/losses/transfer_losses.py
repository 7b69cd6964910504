"""Cross-entropies that classify better than the plain one, and whose features transfer worse.

`squared_and_sigmoid` has two losses without a softmax, `transfer_objectives` the nine objectives
of the comparison with their published settings.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

import keras
from keras import ops

from tfphen.core import checks
from tfphen.losses.sparse_labels import entry_of_label, labels_and_predictions, log_probabilities


def in_float32(logits):
    """The logits as a tensor, in float32 if they came in 16 bits."""
    logits = ops.convert_to_tensor(logits)
    precise = keras.backend.standardize_dtype(logits.dtype) in ("float32", "float64")
    return logits if precise else ops.cast(logits, "float32")


def _crossentropy(logits, labels):
    return ops.logsumexp(logits, axis=-1) - entry_of_label(logits, labels)


def checked_alpha(alpha) -> float:
    """Returns the share of a label that smoothing spreads as a float in [0, 1)."""
    return checks.number("alpha", alpha, 0, 1, high_open=True)


def checked_beta(beta) -> float:
    """Returns the weight of a penalty as a float of at least 0."""
    return checks.number("beta", beta, 0)


def checked_temperature(temperature) -> float:
    """Returns what logits are divided by as a float above 0."""
    return checks.number("temperature", temperature, 0, low_open=True)


def label_smoothed_crossentropy(y_true, y_pred, alpha=0.1, from_logits=True):
    """Cross-entropy with a share of each label spread evenly over all classes.

    With p = softmax(z) of the logits z and K classes:

        l(y, z) = -log p_y - α / ((1 - α) K) Σₖ log pₖ

    This is 1 / (1 - α) times the cross-entropy with labels (1 - α) onehot(y) + α / K: the term of
    the label keeps its weight of 1 whatever α.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits, or probabilities with `from_logits=False`, `[..., K]`.
        alpha: α, the share that is spread, in [0, 1).
        from_logits: Whether `y_pred` holds logits.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: `alpha` outside [0, 1), or shapes that do not go together.

    Example:

    >>> float(label_smoothed_crossentropy([1], [[0.0, 0.0]], alpha=0.1)[0])  # log(2) / 0.9
    0.77016...

    Reference:
        C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016,
        arXiv 1512.00567; S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402 (the factor).
    """
    alpha = checked_alpha(alpha)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    logs = log_probabilities(y_pred, from_logits)
    return -entry_of_label(logs, labels) - alpha / (1.0 - alpha) * ops.mean(logs, axis=-1)


def logit_penalty_crossentropy(y_true, y_pred, beta=6e-4):
    """Cross-entropy plus a penalty on the size of the logits.

        l(y, z) = -log softmax(z)_y + β / 2 ||z||²

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Logits z, `[..., K]`.
        beta: β, the weight of the penalty, at least 0.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: `beta` below 0, or shapes that do not go together.

    Example:

    >>> float(logit_penalty_crossentropy([1], [[1.0, 1.0]], beta=0.5)[0])  # log(2) + 0.5
    1.19314...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    beta = checked_beta(beta)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return _crossentropy(y_pred, labels) + 0.5 * beta * ops.sum(ops.square(y_pred), axis=-1)


def normalized_logits(y_pred, temperature=0.04):
    """Logits of fixed length, those that logit normalization trains and predicts with.

        z / (τ ||z||)

    Args:
        y_pred: Outputs z of the last layer, bias included, `[..., K]`.
        temperature: τ, above 0: the result has length 1 / τ.

    Returns:
        `[..., K]`; zeros for zeros. The result does not change when z is multiplied by a positive
        number, so its gradient is orthogonal to z and grows as 1 / ||z||.

    Raises:
        ValueError: `temperature` is not above 0.

    Example:

    >>> [float(logit) for logit in normalized_logits([[3.0, 4.0]], temperature=0.1)[0]]
    [6.0..., 8.0...]

    When not to use:
        Before `logit_normalized_crossentropy`, which does it. On logits of a model that was not
        trained so: it makes every prediction equally sure.

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    temperature = checked_temperature(temperature)
    y_pred = in_float32(y_pred)
    # The largest entry is divided out first, so that squares neither overflow nor vanish. As the
    # result does not depend on the length, no gradient through this factor is missing.
    largest = ops.stop_gradient(ops.max(ops.abs(y_pred), axis=-1, keepdims=True))
    y_pred = y_pred / ops.where(largest > 0, largest, 1.0)
    # At least 1 by now, unless all are 0: then the bound keeps the gradient finite.
    squares = ops.sum(ops.square(y_pred), axis=-1, keepdims=True)
    return y_pred / (temperature * ops.sqrt(ops.maximum(squares, 0.25)))


def logit_normalized_crossentropy(y_true, y_pred, temperature=0.04):
    """Cross-entropy of logits that are divided by their length.

        l(y, z) = -log softmax(z / (τ ||z||))_y

    It is bounded: at best log(1 + (K - 1) exp(-sqrt(K / (K - 1)) / τ)), which is far above 0 where
    K is small and τ large.

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Outputs z of the last layer, bias included, `[..., K]`.
        temperature: τ, above 0.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: `temperature` is not above 0, or shapes do not go together.

    Example:

    >>> float(logit_normalized_crossentropy([1], [[3.0, 4.0]], temperature=0.2)[0])  # 3, 4 again
    0.31326...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    checked_temperature(temperature)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return _crossentropy(normalized_logits(y_pred, temperature), labels)


def cosine_softmax_crossentropy(y_true, y_pred, temperature=0.05):
    """Cross-entropy of cosines between features and class vectors, at a fixed temperature.

    With features h, class vectors wₖ and biases bₖ, all of the last layer:

        l(y, u) = -log softmax(u / τ)_y,   uₖ = cos(h, wₖ) + bₖ

    Args:
        y_true: Integer labels, `[...]`.
        y_pred: Cosines plus biases u, `[..., K]`, such as `tfphen.layers.NormalizedDense` gives.
        temperature: τ, above 0.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: `temperature` is not above 0, or shapes do not go together.

    Example:

    >>> float(cosine_softmax_crossentropy([1], [[0.0, 0.05]], temperature=0.05)[0])
    0.31326...

    Reference:
        S. Kornblith et al., NeurIPS 2021, arXiv 2010.16402.
    """
    temperature = checked_temperature(temperature)
    labels, y_pred = labels_and_predictions(y_true, y_pred)
    return _crossentropy(y_pred / temperature, labels)
