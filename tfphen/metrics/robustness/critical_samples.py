"""Critical sample ratio: fraction of examples near a decision boundary."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.metrics.flatness.hessian_products import compiled_gradient
from tfphen.metrics.probabilities import host_array

# Of the published constants 0.25, 0.2 and 0.3, in levels of 256: kept when the radius changes.
_STEP_OF_RADIUS = 5 / 6
_NOISE_OF_RADIUS = 2 / 3


class CriticalSamples(NamedTuple):
    """Result of the search. With members in front, arrays have a leading axis.

    Attributes:
        ratio: Fraction of examples that are critical: a float, or `[members]`.
        critical: Whether each example is, bool, `[n]` or `[members, n]`.
        iterations: Iterations until its predicted class changed, from 1; 0 where it did not.
        points: Where the search ended: for critical examples the point with another predicted
            class, `[n, ...]` or `[members, n, ...]`.
    """

    ratio: float | Array
    critical: Array
    iterations: Array
    points: Array


def critical_sample_ratio(
    model: keras.Model | Callable[..., Tensor],
    inputs: TensorLike,
    radius: float,
    step: float | None = None,
    noise: float | None = None,
    iterations: int = 20,
    data_range: tuple[float, float] | None = None,
    batch_size: int = 256,
    members: int | None = None,
    seed: int = 0,
) -> CriticalSamples:
    """Fraction of examples whose predicted class changes within a small box, found by LASS.

    An example x is critical if some x' with max_j |x'_j - x_j| ≤ r has another predicted class
    than x; its true class plays no part. The ratio grows with the complexity of the decision
    surface: it is higher for networks that fit noise. The search is Langevin adversarial sample
    search. With c the class predicted at x, it starts at x' = x and repeats

        g  = gradient at x' of max_{k ≠ c} z_k - z_c
        x' ← x' + step · sign(g) + noise · η,    η ~ N(0, I)
        x' ← min(max(x', x - r), x + r)

    until argmax z(x') ≠ c, or `iterations` times. What it finds is certain, what it does not find
    is not: the ratio is a lower bound. For a linear model it is exact, from ceil(r / step)
    iterations on with `noise=0`: with two classes x is critical if |z_1 - z_0| ≤ r ‖w_1 - w_0‖_1.

    Noise is drawn for each coordinate, in one stream for all examples, so that neither
    `batch_size` nor a smaller `iterations` changes it: the ratio never falls as iterations grow.

    Args:
        model: A built `keras.Model` from inputs to logits `[n, K]`, run in inference mode; or a
            function of a tensor that gives logits, made of operations of the Keras backend.
            Logits, not probabilities, whose gradient vanishes where the model is confident.
        inputs: Examples, `[n, ...]`, floats. Use held-out ones: for training examples the ratio
            first rises and then falls, since training moves the boundary away from them.
        radius: r ≥ 0, in the units of `inputs`. The paper's is 0.3 of 255 levels; digits and the
            like on [0, 1] need about 0.05.
        step: Size of a step along the sign of the gradient. None for 5/6 r, as published.
        noise: Standard deviation of the noise. None for 2/3 r, as published.
        iterations: Number of iterations, the same for all examples.
        data_range: `(low, high)` to keep x' inside, or None.
        batch_size: Examples in one pass.
        members: For functions that run a population: their number. The function then maps
            `[members, batch, ...]` to `[members, batch, K]`.
        seed: Seed of the noise.

    Returns:
        A `CriticalSamples`.

    Raises:
        ValueError: A negative or infinite `radius`, `step` or `noise`; counts below 1; inputs that
            are not finite or outside of `data_range`; outputs that are not logits of two classes or
            more; a backend without automatic differentiation.

    Example:

    >>> from keras import ops
    >>> boundary = lambda x: ops.concatenate([x, -x], axis=-1)  # z_0 - z_1 = 2 x
    >>> found = critical_sample_ratio(boundary, [[-1.0], [0.04], [0.02], [0.5]], radius=0.05)
    >>> found.ratio, found.critical.tolist()
    (0.5, [False, True, True, False])

    When not to use:
        As a statement on robustness: an attack with more iterations, restarts or another norm finds
        more. Between networks compare at one radius, one number of iterations and one seed.

    Migration:
        From `lass` of dimensionality-driven learning: radius, step and noise there are 0.3, 0.25
        and 0.2 of 255 levels, which are this function's ratios. It stops once an iteration adds
        fewer than 20 examples, often after the first: its ratios are lower than these.

    Reference:
        D. Arpit et al., "A Closer Look at Memorization in Deep Networks", ICML 2017,
        arXiv 1706.05394, section 4.2 and algorithm 1 (which ascends the class score itself, though
        only descending it leads to another class).
    """
    radius = checks.number("radius", radius, 0)
    step = _STEP_OF_RADIUS * radius if step is None else checks.number("step", step, 0)
    noise = _NOISE_OF_RADIUS * radius if noise is None else checks.number("noise", noise, 0)
    checks.wholes(iterations=iterations, batch_size=batch_size)
    if members is not None:
        checks.whole("members", members)
    start = _checked_inputs(inputs, data_range)
    low, high = start - radius, start + radius
    if data_range is not None:
        low, high = np.maximum(low, data_range[0]), np.minimum(high, data_range[1])
    lead = () if members is None else (members,)
    points = np.broadcast_to(start, (*lead, *start.shape)).copy()
    search = _Search(model, start, lead, batch_size)
    classes = search.classes(points)
    taken = np.zeros(classes.shape, "int32")
    signs = np.empty_like(points)
    for part in search.batches:
        at = search.rows(part)
        signs[at] = search.step(points[at], classes[..., part])[0]
    generator = np.random.default_rng(seed)
    for number in range(1, iterations + 1):
        # Drawn for all examples, also for those that are done.
        drawn = generator.standard_normal(points.shape, dtype="float32")
        for part in search.batches:
            at, active = search.rows(part), taken[..., part] == 0
            if not active.any():
                continue
            moved = (points[at] + step * signs[at] + noise * drawn[at]).astype(start.dtype)
            moved = np.clip(moved, low[part], high[part])
            still = active.reshape(active.shape + (1,) * (start.ndim - 1))
            points[at] = np.where(still, moved, points[at])
            signs[at], found = search.step(points[at], classes[..., part])
            changed = active & (found != classes[..., part])
            taken[..., part] = np.where(changed, number, taken[..., part])
    critical = taken > 0
    ratio = critical.mean(-1)
    return CriticalSamples(float(ratio) if members is None else ratio, critical, taken, points)


def _checked_inputs(inputs: TensorLike, data_range: tuple[float, float] | None) -> Array:
    array = host_array(inputs, "inputs")
    if array.dtype != "float64" or not hasattr(inputs, "dtype"):
        array = array.astype("float32")
    if array.ndim < 2 or 0 in array.shape or not np.isfinite(array).all():
        raise ValueError(
            "`inputs` must be finite numbers of shape (n, ...), at least one example. "
            f"Received: inputs of shape {array.shape}"
        )
    if data_range is not None:
        low, high = data_range
        if not low < high or array.min() < low or array.max() > high:
            raise ValueError(
                "`data_range` must be (low, high) with all `inputs` inside. Received: "
                f"data_range={data_range}, inputs from {array.min()} to {array.max()}"
            )
    return array


class _Search:
    """Runs a model on batches of one static shape.

    Args:
        model: A Keras model or a function.
        start: The examples, `[n, ...]`.
        lead: `(members,)` or `()`.
        batch_size: Examples in one pass.
    """

    def __init__(
        self,
        model: keras.Model | Callable[..., Tensor],
        start: Array,
        lead: tuple[int, ...],
        batch_size: int,
    ) -> None:
        count = len(start)
        self.size, self.lead = min(batch_size, count), lead
        self.batches = [
            slice(first, min(first + self.size, count)) for first in range(0, count, self.size)
        ]
        self._logits, self._weights = logits_function(model)
        self._program = compiled_gradient(self._margin)

    def _margin(self, points: Tensor, classes: Tensor, *weights: Any) -> tuple[Tensor, Tensor]:
        """Returns the sum of margins, whose gradient is each example's own, and the classes."""
        logits = ops.convert_to_tensor(self._logits(points, *weights))
        rows = (*self.lead, self.size)
        shape = tuple(logits.shape)
        if len(shape) != len(rows) + 1 or shape[:-1] != rows or shape[-1] < 2:
            raise ValueError(
                f"`model` must give logits of shape {(*rows, 'K')} with K ≥ 2 classes for inputs "
                f"of shape {tuple(points.shape)}. Received: outputs of shape {shape}"
            )
        if keras.backend.standardize_dtype(logits.dtype) != "float64":
            logits = ops.cast(logits, "float32")
        chosen = ops.one_hot(classes, shape[-1], dtype=logits.dtype)
        # Far below any other logit, so that the class itself is never the maximum.
        others = logits - 1e9 * chosen
        margins = ops.max(others, axis=-1) - ops.sum(logits * chosen, axis=-1)
        return ops.sum(margins), ops.argmax(logits, axis=-1)

    def step(self, points: Array, classes: Array) -> tuple[Array, Array]:
        """Looks at one batch of points.

        Returns:
            The sign of the gradient of max_{k ≠ class} z_k - z_class, of the shape of `points`, and
            the predicted classes, `[..., batch]`.
        """
        count, axis = classes.shape[-1], len(self.lead)
        missing = self.size - count
        if missing:
            # The last batch repeats its last example; rows do not influence one another.
            widths = [(0, missing if number == axis else 0) for number in range(points.ndim)]
            points = np.pad(points, widths, mode="edge")
            classes = np.pad(classes, widths[: axis + 1])
        classes = keras.ops.convert_to_tensor(classes.astype("int32"))
        gradient, found = self._program(points, classes, *self._weights)
        if not np.isfinite(gradient).all():
            raise ValueError(
                "`model` must give finite logits with finite gradients. "
                f"Received: {int((~np.isfinite(gradient)).sum())} entries of the gradient that are "
                "infinite or NaN"
            )
        return np.sign(np.take(gradient, range(count), axis)), found[..., :count]

    def classes(self, points: Array) -> Array:
        """Returns the predicted classes of all points, `[..., n]`."""
        parts = []
        for part in self.batches:
            here = points[self.rows(part)]
            parts.append(self.step(here, np.zeros(here.shape[: len(self.lead) + 1]))[1])
        return np.concatenate(parts, axis=-1)

    def rows(self, part: slice) -> tuple[slice, ...]:
        """Returns the index of the examples of a batch in an array of points."""
        return (*[slice(None)] * len(self.lead), part)


def logits_function(
    model: keras.Model | Callable[..., Tensor],
) -> tuple[Callable[..., Tensor], tuple[list[Tensor], ...]]:
    """Returns a function of inputs and weights that runs a model for inference, and the weights.

    Args:
        model: A built Keras model; or a function of inputs, which then has no weights.
    """
    if not isinstance(model, keras.Model):
        return model, ()
    if not model.built:
        raise ValueError(
            f"`model` must be built: call it once, or give it a `keras.Input`. Received: "
            f"{model.name!r}, not built"
        )

    def logits(inputs: Tensor, trainable: list[Tensor], non_trainable: list[Tensor]) -> Tensor:
        return model.stateless_call(trainable, non_trainable, inputs, training=False)[0]

    groups = model.trainable_variables, model.non_trainable_variables
    return logits, tuple([keras.ops.convert_to_tensor(v.value) for v in group] for group in groups)
