"""Helpers shared by the losses: integer labels, log-probabilities, matrix rows by label."""

import keras
import numpy as np
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Array, Tensor, TensorLike


def known_values(tensor: Tensor) -> Array | None:
    """Returns the values as a NumPy array if they are already known, else None.

    They are not known while a graph or a program is traced, nor inspected where a gradient is
    being recorded by PyTorch: a training that diverges shows NaN losses, as in stock Keras.
    """
    backend = keras.backend.backend()
    if backend == "torch" and tensor.requires_grad:
        return None
    if backend == "tensorflow" and not hasattr(tensor, "numpy"):
        return None
    if backend == "jax":
        import jax

        if isinstance(tensor, jax.core.Tracer):
            return None
    if isinstance(tensor, keras.KerasTensor):
        return None
    return ops.convert_to_numpy(tensor)


def _check_values(labels: Tensor, y_pred: Tensor) -> None:
    """Raises ValueError for labels that are no class, and for NaN, where values are known."""
    values, predictions = known_values(labels), known_values(y_pred)
    if values is not None:
        classes = y_pred.shape[-1]
        whole = values.dtype.kind in "iub" or np.array_equal(values, np.round(values))
        if not whole or (values.size and not 0 <= values.min() <= values.max() < classes):
            raise ValueError(
                f"`y_true` holds integer class labels from 0 to {classes - 1}, one less than the "
                "last axis of `y_pred` (for one-hot labels pass their argmax). "
                f"Received: labels from {values.min()} to {values.max()}, dtype {values.dtype}"
            )
    if predictions is not None and np.isnan(predictions).any():
        raise ValueError(
            "`y_pred` must be numbers: look for a learning rate that is too large, or for NaN in "
            f"the inputs. Received: {int(np.isnan(predictions).sum())} NaN of {predictions.size}"
        )


def in_float32(logits: TensorLike) -> Tensor:
    """The logits as a tensor, in float32 if they came in 16 bits."""
    logits = ops.convert_to_tensor(logits)
    precise = keras.backend.standardize_dtype(logits.dtype) in ("float32", "float64")
    return logits if precise else ops.cast(logits, "float32")


def labels_and_predictions(y_true: TensorLike, y_pred: TensorLike) -> tuple[Tensor, Tensor]:
    """Returns integer labels `[...]` and float predictions `[..., classes]`.

    Args:
        y_true: Integer class labels, `[...]` or `[..., 1]`, of any dtype.
        y_pred: Predictions, `[..., classes]`. 16-bit floats become float32.

    Raises:
        ValueError: Incompatible shapes, such as one-hot labels. Where values are known
            when this is called, in eager calls, also labels that are no class, and NaN.
    """
    y_pred = in_float32(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    rank = len(y_pred.shape)
    if len(y_true.shape) == rank and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    if len(y_true.shape) != rank - 1:
        raise ValueError(
            "`y_true` holds integer class labels, one axis less than `y_pred` (for one-hot labels "
            "pass their argmax). "
            f"Received: y_true.shape={tuple(y_true.shape)}, y_pred.shape={tuple(y_pred.shape)}"
        )
    _check_values(y_true, y_pred)
    return ops.cast(y_true, "int32"), y_pred


def checked_temperature(temperature: float) -> float:
    """Returns what logits are divided by as a float above 0."""
    return checks.number("temperature", temperature, 0, low_open=True)


def log_probabilities(y_pred: Tensor, from_logits: bool, clip: bool = False) -> Tensor:
    """Returns log p, `[..., classes]`, in nats.

    Args:
        y_pred: Logits or probabilities, `[..., classes]`.
        from_logits: Which of the two. Probabilities are divided by their sum and kept away from 0
            by `keras.config.epsilon()`.
        clip: Keep p in [epsilon, 1 - epsilon] for logits too. The gradient outside is zero.
    """
    epsilon = keras.config.epsilon()
    if not from_logits:
        y_pred = y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
        return ops.log(ops.clip(y_pred, epsilon, 1.0 - epsilon))
    values = ops.log_softmax(y_pred, axis=-1)
    if clip:
        limits = ops.log(ops.convert_to_tensor([epsilon, 1.0 - epsilon], values.dtype))
        values = ops.clip(values, limits[0], limits[1])
    return values


def crossentropy_of_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns -log softmax(logits)_label in nats, `[...]`, of logits `[..., classes]`."""
    return ops.logsumexp(logits, axis=-1) - entry_of_label(logits, labels)


def entry_of_label(values: Tensor, labels: Tensor) -> Tensor:
    """Returns `values[..., label]`, `[...]`, of `values` `[..., classes]`."""
    return ops.squeeze(ops.take_along_axis(values, ops.expand_dims(labels, -1), axis=-1), -1)


def row_of_label(matrix: Tensor, labels: Tensor) -> Tensor:
    """Returns row `label` of each example's matrix, `[..., K]`.

    Args:
        matrix: `[K, K]`, or `[..., K, K]` with leading axes that broadcast against `labels`.
        labels: Integers, `[...]`.
    """
    if len(matrix.shape) == 2:
        return ops.take(matrix, labels, axis=0)
    lead, rank = len(matrix.shape) - 2, len(labels.shape)
    if lead > rank:
        raise ValueError(
            "A stack of matrices has at most as many leading axes as the labels have axes. "
            f"Received: matrix shape {tuple(matrix.shape)}, labels shape {tuple(labels.shape)}"
        )
    missing = [1] * (rank - lead)
    matrix = ops.reshape(matrix, (*missing, *matrix.shape))
    if matrix.shape[-3] == 1:
        # All examples of the last axis share one matrix: its rows are looked up, not copied.
        matrix = ops.squeeze(matrix, -3)
        return ops.take_along_axis(matrix, ops.expand_dims(labels, -1), axis=-2)
    rows = ops.take_along_axis(matrix, labels[..., None, None], axis=-2)
    return ops.squeeze(rows, -2)
