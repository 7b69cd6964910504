"""Consistency of a classifier's predictions under circular shifts of its input."""

from collections.abc import Callable

import numpy as np

from tfphen.core import checks
from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array, host_array

_REFERENCES = ("unshifted", "shifted")


def prediction_consistency(y_pred: TensorLike, other_y_pred: TensorLike) -> float:
    """Fraction of examples that two sets of predictions assign to the same class.

    Args:
        y_pred: Logits or probabilities, `[..., n, K]`.
        other_y_pred: Those for the same examples, changed in a way that should not matter, of the
            same shape.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: Incompatible shapes, or NaN.

    Example:

    >>> prediction_consistency([[2.0, 1.0], [0.0, 1.0]], [[3.0, 1.0], [1.0, 0.0]])
    0.5

    When not to use:
        As a measure of accuracy: a constant classifier is perfectly consistent.

    Reference:
        R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019,
        arXiv 1904.11486.
    """
    first = float64_array(y_pred, "y_pred", finite=False)
    second = float64_array(other_y_pred, "other_y_pred", finite=False)
    if first.ndim < 2 or first.shape != second.shape or not first.size:
        raise ValueError(
            "`y_pred` and `other_y_pred` must have the same shape, (..., n, K). "
            f"Received: y_pred.shape={first.shape}, other_y_pred.shape={second.shape}"
        )
    return float((first.argmax(-1) == second.argmax(-1)).mean())


def _rolled(values: Array, shifts: Array, axes: tuple[int, ...]) -> Array:
    """Returns each example rolled by its own shifts, `[n, axes]`."""
    for axis, by in zip(axes, shifts.T, strict=True):
        size = values.shape[axis]
        places = (np.arange(size) - by[:, None]) % size
        shape = [len(values)] + [1] * (values.ndim - 1)
        shape[axis] = size
        values = np.take_along_axis(values, places.reshape(shape), axis=axis)
    return values


def shift_consistency(
    predict: Callable[[Array], TensorLike],
    inputs: TensorLike,
    num_shifts: int = 8,
    max_shift: int | None = None,
    axes: int | tuple[int, ...] | list[int] = (1, 2),
    reference: str = "unshifted",
    seed: int = 0,
) -> float:
    """Probability that a random circular shift of the input leaves the predicted class unchanged.

        P over x, s [argmax f(roll(x, s)) = argmax f(x)]

    Each example gets shifts of its own in each of `num_shifts` rounds, uniform over all shifts or
    over those of at most `max_shift` along each axis, the zero shift included.

    Args:
        predict: Takes a batch like `inputs` and gives logits or probabilities, `[n, K]`: a Keras
            model, or `lambda x: model.predict(x, verbose=0)`.
        inputs: A batch, `[n, height, width, channels]`, or of any shape with `axes` to match.
        num_shifts: Number of rounds, each with one prediction of the whole batch, or two.
        max_shift: Largest shift along each axis, in pixels; None for all shifts.
        axes: The axes to shift along: `(2, 3)` with channels first, `(1,)` for sequences.
        reference: `"unshifted"`, or `"shifted"` for two random shifts of each example, as in
            Zhang's tables.
        seed: Integer seed of the shifts.

    Returns:
        A fraction in [0, 1]; 1 for a network that is invariant.

    Raises:
        ValueError: A setting that is not as above, or predictions of another shape.

    Example:

    >>> import numpy as np
    >>> images = np.random.default_rng(0).normal(size=(20, 8, 8, 1))
    >>> sums = lambda x: np.stack([x.sum((1, 2, 3)), 0 * x.sum((1, 2, 3))], -1)
    >>> shift_consistency(sums, images)
    1.0
    >>> corner = lambda x: np.stack([x[:, 0, 0, 0], 0 * x[:, 0, 0, 0]], -1)
    >>> shift_consistency(corner, images) < 0.7
    True

    When not to use:
        As a measure of accuracy: a constant classifier is perfectly consistent. For shifts that
        bring new content in at the border, as a moving camera does: crop from larger images and use
        `prediction_consistency`.

    Reference:
        R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019,
        arXiv 1904.11486; V. Singla et al., "Shift Invariance Can Reduce Adversarial Robustness",
        NeurIPS 2021, arXiv 2103.02695.
    """
    images = host_array(inputs, "inputs")
    num_shifts = checks.whole("num_shifts", num_shifts)
    along = tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)
    if not along or len({*along}) < len(along) or not {*along} <= {*range(1, images.ndim)}:
        raise ValueError(
            "`axes` must be different axes of `inputs` after the first. "
            f"Received: axes={along}, inputs.shape={images.shape}"
        )
    if not images.size:
        raise ValueError(f"`inputs` must not be empty. Received: inputs.shape={images.shape}")
    if reference not in _REFERENCES:
        raise ValueError(
            f"`reference` must be one of {', '.join(map(repr, _REFERENCES))}. "
            f"Received: reference={reference!r}"
        )
    if max_shift is not None:
        max_shift = checks.whole("max_shift", max_shift)
    generator = np.random.default_rng(seed)

    def predictions(shifted: bool) -> Array:
        batch = images
        if shifted:
            draws = [
                generator.integers(0, images.shape[axis], len(images))
                if max_shift is None
                else generator.integers(-max_shift, max_shift + 1, len(images))
                for axis in along
            ]
            batch = _rolled(images, np.stack(draws, -1), along)
        found = float64_array(predict(batch), "predict", finite=False)
        if found.ndim != 2 or len(found) != len(images):
            raise ValueError(
                "`predict` must give one row of logits an example, (n, K). "
                f"Received: shape {found.shape} for {len(images)} examples"
            )
        return found

    fixed = predictions(False) if reference == "unshifted" else None
    shares = []
    for _ in range(num_shifts):
        other = predictions(True) if fixed is None else fixed
        shares.append(prediction_consistency(predictions(True), other))
    return float(np.mean(shares))
