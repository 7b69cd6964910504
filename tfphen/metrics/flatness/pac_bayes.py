"""Measures from PAC-Bayes bounds: how much weight noise a layer tolerates."""

import math
from collections.abc import Callable

import numpy as np

from tfphen.core import checks
from tfphen.core.types import Array, TensorLike
from tfphen.metrics.flatness.last_layer import checked_last_layer
from tfphen.metrics.probabilities import float64_array, float_or_array, host_array

# Doublings of the noise before it is said that no noise takes so much accuracy away.
_MOST_DOUBLINGS = 60


def pac_bayes_sigma(
    features: TensorLike,
    kernel: TensorLike,
    bias: TensorLike | None,
    labels: TensorLike,
    accuracy_drop: float = 0.1,
    tolerance: float = 0.01,
    num_draws: int = 10,
    upper: float | None = None,
    max_iterations: int = 15,
    noise: str = "sigma",
    seed: int = 0,
) -> float | Array:
    """Scale σ of Gaussian noise on a last layer's weights that costs it a given accuracy.

        σ: mean over draws U of accuracy(W) - accuracy(W + σ U) = accuracy_drop,    U_ij ~ N(0, 1)

    found by bisection. It stops once the mean drop is within `tolerance` of `accuracy_drop`, or
    after `max_iterations` halvings. The same draws serve every σ that is tried, and every member:
    networks are compared under the same noise. Multiplying the layer by c and its features by 1/c
    multiplies σ by c, though the network stays the same. The flatness of the published comparisons
    is 1/σ², small for flat.

    Args:
        features: Inputs φ of the last layer, `[..., n, m]`.
        kernel: Its weights as in `keras.layers.Dense`, `[..., m, K]`, K ≥ 2.
        bias: Its bias, `[..., K]`, or None. It is not perturbed.
        labels: Integer classes, `[..., n]`, or `[n]` for all members.
        accuracy_drop: Accuracy to lose, a fraction in (0, 1).
        tolerance: How near to that the drop must come for an early end, at least 0.
        num_draws: Draws of the noise.
        upper: Largest σ. None starts from the root mean square of the kernel and doubles it until
            the accuracy falls by more than `accuracy_drop`, so that no scale is preferred.
        max_iterations: Most halvings of the interval.
        noise: `"sigma"`: the standard deviation of the noise is σ. `"sigma_squared"`: it is σ², as
            in published code.
        seed: Seed of the draws.

    Returns:
        σ: a float, or an array `[...]` for inputs with leading axes. Infinite without `upper` where
        no noise costs so much accuracy, as that of a network that only guesses; with `upper`, a
        number just below it.

    Raises:
        ValueError: Incompatible shapes, labels out of range, values that are not finite,
            settings out of range.

    Example:

    Two examples far from the boundary stand more noise than two near it.

    >>> kernel, labels = [[1.0, -1.0]], [0, 1]
    >>> near = pac_bayes_sigma([[0.1], [-0.1]], kernel, [0.1, 0.0], labels)
    >>> far = pac_bayes_sigma([[0.1], [-0.1]], [[9.0, -9.0]], [0.1, 0.0], labels)
    >>> near < far
    True

    When not to use:
        To compare networks whose layers may be rescaled without changing what they compute: σ then
        says how they were scaled. As the σ of a whole network, which perturbs all layers. For
        networks less accurate than `accuracy_drop` above chance.

    Migration:
        `_pacbayes_sigma` of `robust-generalization-measures`, from which the relative flatness
        comparison takes its own, draws noise of standard deviation σ² where it says σ, and searches
        (0, 2): pass `noise="sigma_squared", upper=2.0`. Values of the two conventions, σ and √σ,
        rank networks alike, except at the end of the interval, but enter the bound differently.
        The relative flatness comparison has 3 draws.

    Reference:
        Y. Jiang et al., "Fantastic Generalization Measures and Where to Find Them", ICLR 2020,
        arXiv 1912.02178; G. K. Dziugaite et al., "In Search of Robust Measures of Generalization",
        NeurIPS 2020, arXiv 2010.11924 (the published code).
    """
    drop = checks.number("accuracy_drop", accuracy_drop, 0, 1, low_open=True, high_open=True)
    tolerance = checks.number("tolerance", tolerance, 0)
    checks.wholes(num_draws=num_draws, max_iterations=max_iterations)
    checks.one_of("noise", noise, ("sigma", "sigma_squared"))
    if upper is not None:
        upper = checks.positive("upper", upper)
    power = 2 if noise == "sigma_squared" else 1
    layer = checked_last_layer(features, kernel, bias, labels, "crossentropy")
    labels = np.broadcast_to(host_array(labels, "labels"), layer.features.shape[:-1])
    draws = np.random.default_rng(seed).standard_normal((num_draws, *layer.kernel.shape[-2:]))
    values = np.empty(layer.features.shape[:-2])
    for member in np.ndindex(values.shape):
        logits, own = layer.logits[member], labels[member]
        moves = layer.features[member] @ draws  # One perturbation of the logits per draw.
        right = (logits.argmax(-1) == own).mean()

        def lost(
            sigma: float,
            logits: Array = logits,
            moves: Array = moves,
            own: Array = own,
            right: Array = right,
        ) -> float:
            return right - ((logits + sigma**power * moves).argmax(-1) == own).mean()

        start = math.sqrt((layer.kernel[member] ** 2).mean()) or 1.0
        values[member] = _search(lost, drop, tolerance, upper, start ** (1 / power), max_iterations)
    return float_or_array(values)


def _search(
    lost: Callable[[float], float],
    drop: float,
    tolerance: float,
    upper: float | None,
    start: float,
    max_iterations: int,
) -> float:
    """Returns the σ at which `lost(σ)` is about `drop`, infinity if there is none."""
    lower = 0.0
    if upper is None:
        upper = start
        for _ in range(_MOST_DOUBLINGS):
            if lost(upper) > drop:
                break
            lower, upper = upper, 2.0 * upper
        else:
            return math.inf
    sigma = upper
    for _ in range(max_iterations):
        sigma = (lower + upper) / 2.0
        found = lost(sigma)
        if abs(found - drop) <= tolerance:
            break
        lower, upper = (lower, sigma) if found > drop else (sigma, upper)
    return sigma


def pac_bayes_orig(kernel: TensorLike, sigma: TensorLike, num_examples: int) -> float | Array:
    """PAC-Bayes-orig of a layer: its squared norm relative to the weight noise it tolerates.

        ‖W‖² / (4 σ²) + ln(n / σ) + 10

    with the constants of published code, which come from a bound that holds with a probability; as
    it stands it is no bound, only a measure to rank networks by.

    Args:
        kernel: Weights, `[..., m, K]`, without biases.
        sigma: σ of `pac_bayes_sigma`, a number or `[...]`, positive; infinity gives minus infinity.
        num_examples: Number n of training examples.

    Returns:
        The measure: a float, or an array `[...]` for kernels with leading axes.

    Raises:
        ValueError: A `sigma` that is not positive, incompatible shapes.

    Example:

    >>> round(pac_bayes_orig([[3.0, 4.0]], sigma=0.5, num_examples=50), 4)  # 25 + ln 100 + 10
    39.6052

    When not to use:
        To compare networks trained on different data sets, or measures of one layer with those of
        whole networks. Where layers may be rescaled: ‖W‖ / σ stays the same then, ln(n / σ) does
        not; with a fixed range of σ neither does.

    Reference:
        Y. Jiang et al., "Fantastic Generalization Measures and Where to Find Them", ICLR 2020,
        arXiv 1912.02178; code of G. K. Dziugaite et al., NeurIPS 2020, arXiv 2010.11924.
    """
    kernel = float64_array(kernel, "kernel")
    if kernel.ndim < 2:
        raise ValueError(
            f"`kernel` must have shape (..., m, K). Received: kernel.shape={kernel.shape}"
        )
    count = checks.whole("num_examples", num_examples)
    sigma = np.asarray(host_array(sigma, "sigma"), "float64")
    if not (sigma > 0).all() or sigma.shape not in ((), kernel.shape[:-2]):
        raise ValueError(
            "`sigma` must be positive, one number or one for each kernel. "
            f"Received: sigma={sigma}, kernel.shape={kernel.shape}"
        )
    value = (kernel**2).sum((-2, -1)) / (4.0 * sigma**2) + math.log(count) - np.log(sigma) + 10.0
    return float_or_array(value)
