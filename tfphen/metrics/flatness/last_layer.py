"""Helpers of the flatness measures: a checked last layer and the curvature of a loss at it."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array, host_array

LOSSES = ("crossentropy", "squared_error", "binary")


class LastLayer(NamedTuple):
    """A dense last layer z = φ · kernel + bias with the examples that reach it, in float64.

    Attributes:
        features: Inputs φ of the layer, `[..., n, m]`.
        kernel: `[..., m, K]`; column s is the weight vector w_s of output s.
        logits: Outputs z, `[..., n, K]`.
        loss: One of `LOSSES`.
    """

    features: Array
    kernel: Array
    logits: Array
    loss: str


def _finite(value: TensorLike, name: str, fewest_axes: int, shape: str) -> Array:
    array = float64_array(value, name)
    if array.ndim < fewest_axes or 0 in array.shape:
        raise ValueError(f"`{name}` must have shape {shape}. Received: {name}.shape={array.shape}")
    return array


def checked_features_and_kernel(features: TensorLike, kernel: TensorLike) -> tuple[Array, Array]:
    """Returns features `[..., n, m]` and kernel `[..., m, K]` in float64.

    Raises:
        ValueError: Incompatible shapes, or values that are not finite.
    """
    features = _finite(features, "features", 2, "(..., n, m)")
    kernel = _finite(kernel, "kernel", 2, "(..., m, K)")
    if features.shape[-1] != kernel.shape[-2] or features.shape[:-2] != kernel.shape[:-2]:
        raise ValueError(
            "`kernel` must have shape (..., m, K) as in `keras.layers.Dense`, with the m features "
            "and the leading axes of `features` (..., n, m); transpose a PyTorch weight. "
            f"Received: features.shape={features.shape}, kernel.shape={kernel.shape}"
        )
    return features, kernel


def _check_labels(labels: Array, layer: LastLayer) -> None:
    rows, outputs = layer.features.shape[:-1], layer.kernel.shape[-1]
    if layer.loss == "squared_error" and labels.shape == (*rows, outputs):
        allowed = np.isfinite(labels.astype("float64")).all()
        wanted = "finite targets"
    else:
        if labels.shape != rows and labels.shape != rows[-1:]:
            one_hot = " For one-hot labels pass their argmax." if labels.ndim > len(rows) else ""
            raise ValueError(
                f"`labels` must have shape {rows}, one label for each row of `features`.{one_hot} "
                f"Received: labels.shape={labels.shape}"
            )
        if layer.loss == "squared_error" and outputs == 1:
            allowed, wanted = np.isfinite(labels.astype("float64")).all(), "finite targets"
        else:
            classes = 2 if layer.loss == "binary" else outputs
            allowed = np.isin(labels, np.arange(classes)).all()
            wanted = f"integers from 0 to {classes - 1}"
    if not allowed:
        raise ValueError(
            f"`labels` must be {wanted}. "
            f"Received: labels from {labels.min()} to {labels.max()}, dtype {labels.dtype}"
        )


def checked_last_layer(
    features: TensorLike, kernel: TensorLike, bias: TensorLike | None, labels: TensorLike, loss: str
) -> LastLayer:
    """Checks the arguments that all flatness measures of a last layer take.

    Args:
        features: `[..., n, m]`.
        kernel: `[..., m, K]`.
        bias: `[..., K]`, or None.
        labels: `[..., n]`, or `[n]` for all members; for squared errors also `[..., n, K]`.
        loss: One of `LOSSES`.

    Raises:
        ValueError: An unknown loss, incompatible shapes, or values out of range.
    """
    if loss not in LOSSES:
        raise ValueError(f"`loss` must be one of {LOSSES}. Received: loss={loss!r}")
    features, kernel = checked_features_and_kernel(features, kernel)
    outputs = kernel.shape[-1]
    if (loss == "binary" and outputs != 1) or (loss == "crossentropy" and outputs == 1):
        raise ValueError(
            '`kernel` must have one column for `loss="binary"` and at least two for '
            f'`loss="crossentropy"`. Received: loss={loss!r}, kernel.shape={kernel.shape}'
        )
    logits = features @ kernel
    if bias is not None:
        bias = _finite(bias, "bias", 1, "(..., K)")
        if bias.shape != (*kernel.shape[:-2], outputs):
            raise ValueError(
                f"`bias` must be None or have shape {(*kernel.shape[:-2], outputs)}, one entry for "
                f"each column of `kernel`. Received: bias.shape={bias.shape}"
            )
        logits = logits + bias[..., None, :]
    layer = LastLayer(features, kernel, logits, loss)
    _check_labels(host_array(labels, "labels"), layer)
    return layer


def squared_distances(kernel: Array) -> Array:
    """Returns ‖w_s - w_t‖² of all pairs of columns of `[..., m, K]`, `[..., K, K]`."""
    # One column at a time: all differences at once would take K times the memory of the kernel.
    columns = range(kernel.shape[-1])
    rows = [((kernel - kernel[..., s : s + 1]) ** 2).sum(-2) for s in columns]
    return np.stack(rows, axis=-2)


def output_curvature(layer: LastLayer) -> tuple[Array, Array]:
    """Returns what the Hessian C_i of one example's loss in its outputs contributes.

    Returns:
        The diagonal of C_i, `[..., n, K]`, and sum_{s,t} <w_s, w_t> C_i[s, t], `[..., n]`. All
        terms are sums of numbers of one sign: nothing cancels where predictions are nearly certain.
    """
    kernel, logits = layer.kernel, layer.logits
    if layer.loss == "squared_error":
        norm = (kernel**2).sum((-2, -1))[..., None]
        return np.full(logits.shape, 2.0), np.broadcast_to(2.0 * norm, logits.shape[:-1])
    if layer.loss == "binary":
        diagonal = expit(logits) * expit(-logits)
        return diagonal, diagonal[..., 0] * (kernel**2).sum((-2, -1))[..., None]
    probabilities = softmax(logits, axis=-1)
    others = probabilities @ (1.0 - np.eye(logits.shape[-1]))
    pairs = (probabilities @ squared_distances(kernel)) * probabilities
    return probabilities * others, 0.5 * pairs.sum(-1)
