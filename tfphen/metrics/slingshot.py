"""Late events in training curves: generalization long after memorization, and slingshots."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.metrics.probabilities import float64_array

# Points whose medians are taken at a time, which bounds the memory of long curves.
_BLOCK = 4096


class GrokkingTimes(NamedTuple):
    """What `grokking_times` found, one entry a training.

    Attributes:
        memorised: First step at which the training examples are learned, NaN for never.
        generalised: First step at which the test examples are learned, NaN for never.
        test_accuracy: Test accuracy at `memorised`, NaN where that is.
    """

    memorised: np.ndarray
    generalised: np.ndarray
    test_accuracy: np.ndarray


def grokking_times(steps, train_accuracy, test_accuracy, *, level: float = 0.99) -> GrokkingTimes:
    """Steps after which a network has memorised, and after which it generalizes.

        memorised = min {step: train accuracy ≥ level}
        generalised = min {step: test accuracy ≥ level}

    Grokking is a test accuracy near chance at `memorised` with `generalised / memorised` well above
    1. Both are found among the given steps only.

    Args:
        steps: Updates done at each point, increasing, `[points]`.
        train_accuracy: Shares of training examples that are right, `[..., points]`.
        test_accuracy: Of test examples, `[..., points]`.
        level: Accuracy from which examples count as learned, in (0, 1].

    Returns:
        `GrokkingTimes(memorised, generalised, test_accuracy)`, float64 arrays `[...]`.

    Raises:
        ValueError: Curves that are not finite or of other shapes, steps that do not increase, a
            `level` outside (0, 1].

    Example:

    >>> times = grokking_times([0, 10, 20, 30], [0.1, 1.0, 1.0, 1.0], [0.1, 0.1, 0.2, 1.0])
    >>> [float(value) for value in times]
    [10.0, 30.0, 0.1]

    When not to use:
        Tasks whose test accuracy never comes near `level`. With few points: a time is as coarse as
        the steps between them.

    Reference:
        A. Power, Y. Burda, H. Edwards, I. Babuschkin, V. Misra, "Grokking: Generalization Beyond
        Overfitting on Small Algorithmic Datasets", arXiv 2201.02177, figure 1 and section 3.1.
    """
    steps = float64_array(steps, "steps")
    curves = [
        float64_array(curve, name)
        for name, curve in (("train_accuracy", train_accuracy), ("test_accuracy", test_accuracy))
    ]
    shapes = [curve.shape for curve in curves]
    if steps.ndim != 1 or not steps.size or shapes[0] != shapes[1] or shapes[0][-1:] != steps.shape:
        raise ValueError(
            "`steps` must have shape (points,), `train_accuracy` and `test_accuracy` both "
            f"(..., points). Received: steps.shape={steps.shape}, shapes {shapes[0]}, {shapes[1]}"
        )
    if (np.diff(steps) <= 0).any():
        raise ValueError(f"`steps` must increase. Received: steps={steps.tolist()}")
    checks.number("level", level, 0, 1, low_open=True)
    learned = [curve >= level for curve in curves]
    places = [reached.argmax(-1) for reached in learned]
    ever = [reached.any(-1) for reached in learned]
    memorised, generalised = (
        np.where(known, steps[place], np.nan) for known, place in zip(ever, places, strict=True)
    )
    then = np.take_along_axis(curves[1], places[0][..., None], -1)[..., 0]
    return GrokkingTimes(memorised, generalised, np.where(ever[0], then, np.nan))


class Slingshots(NamedTuple):
    """What `slingshots` found.

    Attributes:
        cycles: Number of spikes with growth of the norm before and a plateau after.
        spikes: Number of all spikes of the loss.
        positions: Where the spikes of the cycles peak, int64, `[cycles]`, indices of points.
        spike_positions: Where all spikes peak, int64, `[spikes]`.
    """

    cycles: int
    spikes: int
    positions: np.ndarray
    spike_positions: np.ndarray


def slingshots(
    loss,
    norm,
    *,
    window: int = 200,
    rise: float = 1.0,
    growth_lag: int = 10,
    plateau: float = 0.25,
    low_loss: float = 0.01,
    settle: int = 300,
    floor: float = 1e-12,
) -> Slingshots:
    """Finds slingshots: spikes of the loss that end a growth of the last layer's norm.

    With l_t = log10(loss_t + floor), n_t the norm and w the window, a cycle is a point t with

        l_t - median(l_{t-w}, ..., l_{t-1}) ≥ rise, the largest l within w points from where this
            first holds, and not the last of them;
        g = n_{t-growth_lag} - n_{t-w} > 0: the norm grew before;
        n_{t+2w} - n_{t+w} ≤ plateau * g: it rests after.

    Points within w of a spike cannot be another one. A spike less than 2 w before the end is none
    of a cycle, since it is not known what follows. The search begins `settle` points after the loss
    first falls below `low_loss`: spikes of early training are another matter.

    Args:
        loss: Training loss at regular steps, nonnegative, `[points]`.
        norm: Norm of the last layer's weights at the same steps, `[points]`.
        window: Length w, in points: divide 200 steps by the steps between two points.
        rise: Least height of a spike, in powers of ten.
        growth_lag: Points before the spike that do not count as growth, below `window`.
        plateau: Largest growth after a spike, as a share of that before.
        low_loss: Loss below which late training begins.
        settle: Points to wait from there.
        floor: Added to the loss before its logarithm.

    Returns:
        `Slingshots(cycles, spikes, positions, spike_positions)`.

    Raises:
        ValueError: Curves that are not finite, of different lengths or of several axes, a negative
            loss, or a setting out of its range.

    Example:

    >>> phase = np.arange(6000) % 1500
    >>> loss = 10.0 ** np.where(phase < 1000, -5 - phase / 1000, -5.0)
    >>> loss[1000::1500] = 0.1
    >>> norm = 10 + np.arange(6000) // 1500 + np.minimum(phase, 1000) / 1000
    >>> slingshots(loss, norm).cycles
    4

    When not to use:
        Minibatch losses with noise of half a power of ten and more: their own maxima are spikes.
        Curves with fewer than some ten points a cycle. The original work defines the cycle in words
        and pictures only; these conditions and their constants are this library's.

    Reference:
        V. Thilak et al., "The Slingshot Mechanism: An Empirical Study of Adaptive Optimizers and
        the Grokking Phenomenon", arXiv 2206.04817.
    """
    loss, norm = float64_array(loss, "loss"), float64_array(norm, "norm")
    for name, curve in (("loss", loss), ("norm", norm)):
        if curve.ndim != 1 or curve.shape != loss.shape:
            raise ValueError(
                "`loss` and `norm` must have one axis and equal lengths. "
                f"Received: loss.shape={loss.shape}, {name}.shape={curve.shape}"
            )
    if loss.min(initial=0.0) < 0:
        raise ValueError(f"`loss` must not be negative. Received: smallest {loss.min()}")
    checks.whole("window", window, 2)
    checks.positive("rise", rise)
    checks.whole("growth_lag", growth_lag, 0)
    checks.require(growth_lag < window, "growth_lag", growth_lag, f"must be below {window=}")
    checks.number("plateau", plateau)
    checks.positive("low_loss", low_loss)
    checks.whole("settle", settle, 0)
    checks.positive("floor", floor)

    low = np.flatnonzero(loss < low_loss)
    start = len(loss) if not len(low) else max(window, int(low[0]) + settle)
    spikes = _spikes(np.log10(loss + floor), start, window, rise)
    cycles = [t for t in spikes if _rests(norm, t, window, growth_lag, plateau)]
    found = np.asarray(cycles, "int64"), np.asarray(spikes, "int64")
    return Slingshots(len(cycles), len(spikes), *found)


def _spikes(curve: np.ndarray, start: int, window: int, rise: float) -> list[int]:
    """Returns where the spikes peak."""
    if start >= len(curve):
        return []
    # Window i covers the points i to i + window - 1, before point i + window.
    before = np.lib.stride_tricks.sliding_window_view(curve, window)[start - window : -1]
    parts = range(0, len(before), _BLOCK)
    medians = np.concatenate([np.median(before[i : i + _BLOCK], axis=1) for i in parts])
    high = start + np.flatnonzero(curve[start:] - medians >= rise)
    spikes: list[int] = []
    while len(high):
        first = int(high[0])
        near = curve[first : first + window]
        peak = int(np.argmax(near))
        # Still rising at the last point: no maximum yet, one may come.
        if peak < len(near) - 1:
            spikes.append(first + peak)
            high = high[high > first + peak + window]
        else:
            high = high[high >= first + peak + 1]
    return spikes


def _rests(norm: np.ndarray, spike: int, window: int, lag: int, plateau: float) -> bool:
    """Whether the norm grew before a spike and rests after it."""
    if spike + 2 * window >= len(norm):
        return False
    growth = norm[spike - lag] - norm[spike - window]
    after = norm[spike + 2 * window] - norm[spike + window]
    return bool(growth > 0 and after <= plateau * growth)
