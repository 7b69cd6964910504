"""Checks and conversions that the metrics share. Everything is NumPy in float64."""

import numpy as np

from tfphen.core.types import Array, TensorLike

# Rounding of one entry in 16 bits is at most 2^-8: sums of rows then miss 1 by less than this.
_SUM_TOLERANCE = {False: 1e-4, True: 1e-2}


def is_16_bit(values: TensorLike) -> bool:
    """Returns whether an array, a tensor, or a list of them holds float16 or bfloat16."""
    if isinstance(values, (list, tuple)) and values:
        return is_16_bit(values[0])
    return "float16" in str(getattr(values, "dtype", ""))


def host_array(values: TensorLike, name: str) -> Array:
    """Returns an array, a list or a tensor of TensorFlow, JAX or PyTorch as a NumPy array.

    Args:
        values: On any device, with or without a gradient, of any numeric dtype.
        name: Name of the argument, for error messages.

    Raises:
        ValueError: Ragged lists, or symbolic tensors, which have no values yet.
    """
    try:
        if isinstance(values, (list, tuple)) and values and hasattr(values[0], "__array__"):
            return np.stack([host_array(value, name) for value in values])
        if hasattr(values, "detach"):
            values = values.detach().cpu()
            # NumPy has no bfloat16 that PyTorch knows of; float32 holds every bfloat16.
            values = values.float() if is_16_bit(values) else values
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"`{name}` must be an array, a rectangular list or a tensor with values: these metrics "
            "are computed on the host, outside of compiled functions (for `model.compile` there "
            f"are Keras metrics). Received: {name} of type {type(values).__name__} ({error})"
        ) from error
    return array


def float64_array(values: TensorLike, name: str, finite: bool = True) -> Array:
    """Returns `values` as a float64 array.

    Args:
        values: Anything that `host_array` takes.
        name: Name of the argument, for error messages.
        finite: Refuse infinite entries too, not only NaN.

    Raises:
        ValueError: Not real numbers, or entries that are NaN or infinite.
    """
    array = host_array(values, name)
    if array.dtype.kind in "cSUmM":
        raise ValueError(f"`{name}` must hold real numbers. Received: dtype={array.dtype}")
    try:
        array = array.astype("float64", copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` must hold real numbers. Received: dtype={array.dtype}"
        ) from error
    wrong = ~np.isfinite(array) if finite else np.isnan(array)
    if wrong.any():
        allowed = "finite" if finite else "not NaN"
        raise ValueError(
            f"`{name}` must be {allowed} in every entry. Received: {int(wrong.sum())} of "
            f"{wrong.size} entries that are not, the first at index "
            f"{tuple(np.argwhere(wrong)[0].tolist())}"
        )
    return array


def integer_array(values: TensorLike, name: str) -> Array:
    """Returns whole numbers as an array of their own integer or bool dtype, floats as int64.

    Raises:
        ValueError: Entries that are not whole numbers.
    """
    array = host_array(values, name)
    if array.dtype.kind not in "iub":
        numbers = float64_array(array, name)
        if not np.array_equal(numbers, np.round(numbers)):
            first = tuple(np.argwhere(numbers != np.round(numbers))[0].tolist())
            raise ValueError(
                f"`{name}` must hold integers. Received: {numbers[first]} at index {first}"
            )
        array = numbers.astype("int64")
    return array


def log_softmax(logits: Array) -> Array:
    """Returns log-probabilities `[..., K]`, in nats; logits and log-probabilities alike go in."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def labels_and_predictions(
    y: TensorLike, y_pred: TensorLike, from_logits: bool
) -> tuple[Array, Array]:
    """Returns int64 labels and float64 logits or probabilities `[..., K]`, checked.

    Args:
        y: Integer class labels, one axis less than `y_pred` or a last axis of 1 in its place.
        y_pred: Logits, log-probabilities or probabilities, `[..., K]`, K ≥ 2. -inf is a logit:
            that of an impossible class.
        from_logits: False for probabilities. Rows of 16-bit ones, whose sums miss 1 by up to .01,
            are divided by their sum.

    Raises:
        ValueError: Labels that are not integers of 0..K-1, NaN, or predictions that are not
            probabilities though they should be.
    """
    labels, half = host_array(y, "y"), is_16_bit(y_pred)
    predictions = float64_array(y_pred, "y_pred", finite=False)
    if predictions.ndim < 2 or predictions.shape[-1] < 2:
        raise ValueError(
            "`y_pred` must have shape (..., n, K) with K >= 2; labels come first, predictions "
            "second. For one sigmoid output p stack 1 - p and p. "
            f"Received: y.shape={labels.shape}, y_pred.shape={predictions.shape}"
        )
    labels = integer_array(labels, "y").astype("int64")
    if labels.ndim == predictions.ndim and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = predictions.shape[-1]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(
            f"`y` must hold integers from 0 to {classes - 1}, one less than the last axis of "
            f"`y_pred`. Received: y from {labels.min()} to {labels.max()}, "
            f"y.shape={labels.shape}, y_pred.shape={predictions.shape}"
        )
    if not predictions.size:
        raise ValueError(
            f"`y_pred` must hold at least one example. Received: y_pred.shape={predictions.shape}"
        )
    if from_logits:
        largest = predictions.max(-1)
        if not np.isfinite(largest).all():
            raise ValueError(
                "`y_pred` must have a finite largest logit in every row; -inf, for an impossible "
                f"class, is allowed elsewhere. Received: a row with largest logit "
                f"{largest[~np.isfinite(largest)][0]}"
            )
        return labels, predictions
    sums = predictions.sum(-1)
    if (predictions < 0).any() or not np.abs(sums - 1.0).max() <= _SUM_TOLERANCE[half]:
        raise ValueError(
            "With `from_logits=False` each row of `y_pred` must be probabilities that sum to 1. "
            f"Received: sums from {sums.min()} to {sums.max()}, "
            f"smallest entry {predictions.min()}"
        )
    return labels, predictions / sums[..., None] if half else predictions


def labels_and_probabilities(
    y: TensorLike, y_pred: TensorLike, from_logits: bool
) -> tuple[Array, Array]:
    """Returns int64 labels and float64 probabilities `[..., K]`.

    Takes and raises what `labels_and_predictions` does.
    """
    labels, predictions = labels_and_predictions(y, y_pred, from_logits)
    return labels, np.exp(log_softmax(predictions)) if from_logits else predictions


def check_same_rows(labels: Array, predictions: Array) -> None:
    """Raises ValueError unless labels `[..., n]` go with predictions `[..., n, K]`."""
    if labels.shape != predictions.shape[:-1]:
        raise ValueError(
            "`y` must have the shape of `y_pred` without its last axis (for one-hot labels pass "
            "their argmax). "
            f"Received: y.shape={labels.shape}, y_pred.shape={predictions.shape}"
        )


def checked_rows(y: TensorLike, y_pred: TensorLike, from_logits: bool) -> tuple[Array, Array]:
    """Returns int64 labels `[..., n]` and float64 probabilities `[..., n, K]`, row by row.

    Takes and raises what `labels_and_predictions` and `check_same_rows` do.
    """
    labels, probabilities = labels_and_probabilities(y, y_pred, from_logits)
    check_same_rows(labels, probabilities)
    return labels, probabilities


def float_or_array(value: Array) -> float | Array:
    """Returns a float for an array without axes, else the array."""
    return float(value) if np.ndim(value) == 0 else value


def check_table(array: Array, name: str, fewest: tuple[int, int]) -> None:
    """Raises ValueError unless an array is a table of at least as many runs and examples."""
    if array.ndim != 2 or array.shape[0] < fewest[0] or array.shape[1] < fewest[1]:
        raise ValueError(
            f"`{name}` must have shape (runs, examples), at least {fewest}. "
            f"Received: {name}.shape={array.shape}"
        )
