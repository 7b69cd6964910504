"""Class counts of the training set, and class weights derived from them."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.losses.sparse_labels import known_values, row_of_label

_NORMALIZATIONS = ("classes", "examples")


def _array_of(name: str, values: TensorLike) -> Array:
    try:
        return np.asarray(values, dtype="float64")
    except (TypeError, ValueError):
        raise ValueError(
            f"`{name}` must be a list of numbers. Received: {name}={values!r}"
        ) from None


def checked_class_counts(class_counts: TensorLike, name: str = "class_counts") -> Array:
    """Returns class counts, `[..., K]`, as float64.

    Raises:
        ValueError: Fewer than two classes, or a count that is not a whole number of at least 1.
    """
    counts = _array_of(name, class_counts)
    if counts.ndim < 1 or counts.shape[-1] < 2:
        raise ValueError(
            f"`{name}` holds the number of training examples of each of at least two classes, "
            f"shape (..., K). Received: shape {counts.shape}"
        )
    if not (np.isfinite(counts).all() and (counts >= 1).all() and (counts % 1 == 0).all()):
        raise ValueError(
            f"`{name}` must be whole numbers of at least 1: counts, not frequencies, of the "
            "examples that are trained on; drop a class that has none. "
            f"Received: {name}={counts.tolist()}"
        )
    return counts


def listed_class_counts(class_counts: TensorLike) -> list[int]:
    """Returns the class counts of one model, `[K]`, as a list of whole numbers.

    Raises:
        ValueError: As `checked_class_counts` does, or more than one axis.
    """
    counts = checked_class_counts(class_counts)
    if counts.ndim != 1:
        raise ValueError(
            "`class_counts` must have shape (K,), one count a class. "
            f"Received: class_counts of shape {counts.shape}"
        )
    return counts.astype("int64").tolist()


def reversed_class_counts(class_counts: TensorLike) -> Array:
    """Returns the counts, `[..., K]`, on the wrong classes: a negative control.

    The rarest class has that of the most frequent one, the second rarest that of the second most
    frequent, and so on.
    """
    counts = np.asarray(class_counts)
    rank = np.argsort(np.argsort(counts, axis=-1, kind="stable"), axis=-1)
    return np.take_along_axis(np.sort(counts, axis=-1)[..., ::-1], rank, axis=-1)


def checked_class_weights(class_weights: TensorLike, name: str = "class_weights") -> Array:
    """Returns class weights, `[..., K]`, as float64.

    Raises:
        ValueError: Fewer than two classes, a weight that is negative or not finite, or no weight
            above 0.
    """
    weights = _array_of(name, class_weights)
    if weights.ndim < 1 or weights.shape[-1] < 2:
        raise ValueError(
            f"`{name}` holds the weight of each of at least two classes, shape (..., K). "
            f"Received: shape {weights.shape}"
        )
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights > 0).any(-1).all()):
        raise ValueError(
            f"`{name}` must be finite and at least 0, and above 0 for some class. "
            f"Received: {name}={weights.tolist()}"
        )
    return weights


def values_of_classes(
    name: str, values: TensorLike, y_pred: Tensor, check: Callable[[Any], Array]
) -> tuple[Any, Any]:
    """Returns checked per-class values that fit the logits, and the module to compute with.

    Arrays, lists and tensors with known values come back as float64 with NumPy. A tensor of a
    graph that is being traced comes back unchecked, in the dtype of `y_pred`, with `keras.ops`.

    Args:
        name: Name of the argument, for error messages.
        values: `[K]`, or `[..., K]` with leading axes that broadcast against those of `y_pred`.
        y_pred: Logits, `[..., K]`.
        check: Function that checks an array, such as `checked_class_counts`.

    Raises:
        ValueError: Another number of classes, or more axes than `y_pred` has.
    """
    known = known_values(values) if ops.is_tensor(values) else values
    numeric, values = (ops, ops.cast(values, y_pred.dtype)) if known is None else (np, check(known))
    if values.shape[-1] != y_pred.shape[-1] or len(values.shape) > len(y_pred.shape):
        raise ValueError(
            f"`{name}` needs one entry for each of the {y_pred.shape[-1]} classes, the last axis "
            "of `y_pred`, and no more axes than it. "
            f"Received: {name} of shape {tuple(values.shape)}, "
            f"y_pred.shape={tuple(y_pred.shape)}"
        )
    return values, numeric


def value_of_label(values: Tensor, labels: Tensor) -> Tensor:
    """Returns `values[..., label]`, `[...]`, of per-class values that broadcast against labels.

    Args:
        values: Tensor `[K]`, or `[..., K]` such as `[members, 1, K]`.
        labels: Integers, `[...]`.
    """
    return ops.squeeze(row_of_label(ops.expand_dims(values, -1), labels), -1)


def class_priors(class_counts: TensorLike) -> Array:
    """Returns the frequency of each class in the training set.

    With n_k training examples of class k,

        π_k = n_k / Σ_j n_j

    Args:
        class_counts: Number of training examples of each class, `[..., K]`; of integer labels
            `y`, `numpy.bincount(y, minlength=K)`.

    Returns:
        A float64 array of the shape of `class_counts`.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1.

    Example:

    >>> class_priors([60, 30, 10]).tolist()
    [0.6, 0.3, 0.1]

    When not to use:
        For frequencies at test time, or of a training set that is resampled: these are those of
        the counts alone.

    Reference:
        A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021,
        arXiv 2007.07314.
    """
    counts = checked_class_counts(class_counts)
    return counts / counts.sum(-1, keepdims=True)


def _normalized(weights: Array, counts: Array, normalization: str) -> Array:
    if normalization not in _NORMALIZATIONS:
        raise ValueError(
            f"`normalization` must be one of {_NORMALIZATIONS}. "
            f"Received: normalization={normalization!r}"
        )
    # With equal counts this makes every weight exactly 1, whatever rounding came before.
    weights = weights / weights.max(-1, keepdims=True)
    share = np.ones_like(counts) if normalization == "classes" else counts
    return weights * (share.sum(-1, keepdims=True) / (share * weights).sum(-1, keepdims=True))


def effective_number_weights(
    class_counts: TensorLike, beta: float = 0.9999, normalization: str = "classes"
) -> Array:
    """Class-balanced weights: the inverse of the effective number of examples of each class.

    With n_k examples of class k,

        w_k ∝ (1 - β) / (1 - β^n_k)

    β = 0 gives equal weights. β = 1 stands for the limit, w_k ∝ 1 / n_k, and any class much
    smaller than 1 / (1 - β) has nearly that weight (equation 2 of the paper).

    Args:
        class_counts: Number of training examples of each class, `[..., K]`.
        beta: β, from 0 to 1.
        normalization: `"classes"`: weights sum to K, as in the paper. `"examples"`: their mean over
            the training set, Σ_k n_k w_k / Σ_k n_k, is 1, so that a plain mean of weighted losses
            keeps the learning rate's meaning.

    Returns:
        A float64 array of the shape of `class_counts`.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1, `beta` outside [0, 1], or an
            unknown `normalization`.

    Example:

    >>> effective_number_weights([5000, 500, 50]).round(4).tolist()
    [0.0341, 0.2752, 2.6907]

    When not to use:
        From the first epoch of a network that is trained until it fits its training set, see
        `DeferredReweighting`. With `normalization="classes"` and a plain mean: on a long tail the
        mean weight of an example is then far below 1, and so is the learning rate.

    Reference:
        Y. Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019,
        arXiv 1901.05555.
    """
    counts = checked_class_counts(class_counts)
    beta = checks.number("beta", beta, 0, 1)
    if beta == 1.0:
        effective = counts
    elif beta == 0.0:
        effective = np.ones_like(counts)
    else:
        # 1 - beta ** n without the cancellation that a beta close to 1 would bring.
        effective = -np.expm1(counts * math.log(beta))
    return _normalized(1.0 / effective, counts, normalization)


def inverse_frequency_weights(class_counts: TensorLike, normalization: str = "classes") -> Array:
    """Class weights under which every class has the same total weight.

    With n_k training examples of class k,

        w_k ∝ 1 / n_k

    Args:
        class_counts: Number of training examples of each class, `[..., K]`.
        normalization: As in `effective_number_weights`.

    Returns:
        A float64 array of the shape of `class_counts`.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1, or an unknown `normalization`.

    Example:

    >>> inverse_frequency_weights([60, 30, 10]).round(4).tolist()
    [0.3333, 0.6667, 2.0]

    When not to use:
        As for `effective_number_weights`. With classes of a handful of examples, single mislabeled
        ones get a large say.

    Reference:
        J. Byrd, Z. Lipton, "What is the Effect of Importance Weighting in Deep Learning?",
        ICML 2019, arXiv 1812.03372.
    """
    return effective_number_weights(class_counts, 1.0, normalization)
