"""Slingshots: spikes of the loss that end a growth of the norm of the last layer."""

from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.core.types import Array, TensorLike
from tfphen.metrics.probabilities import float64_array

# Points whose medians are taken at a time, which bounds the memory of long curves.
_BLOCK = 4096


class Slingshots(NamedTuple):
    """Result of `slingshots`.

    Attributes:
        cycles: Number of spikes with growth of the norm before and a plateau after.
        spikes: Number of all spikes of the loss.
        positions: Where the spikes of the cycles peak, int64, `[cycles]`, indices of points.
        spike_positions: Where all spikes peak, int64, `[spikes]`.
    """

    cycles: int
    spikes: int
    positions: Array
    spike_positions: Array


def slingshots(
    loss: TensorLike,
    norm: TensorLike,
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
        plateau: Largest growth after a spike, as a fraction of that before.
        low_loss: Loss below which late training begins.
        settle: Points to wait from there.
        floor: Added to the loss before its logarithm.

    Returns:
        `Slingshots(cycles, spikes, positions, spike_positions)`.

    Raises:
        ValueError: Curves that are not finite, of different lengths or of several axes, a negative
            loss, or a setting out of range.

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


def _spikes(curve: Array, start: int, window: int, rise: float) -> list[int]:
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


def _rests(norm: Array, spike: int, window: int, lag: int, plateau: float) -> bool:
    """Whether the norm grew before a spike and rests after it."""
    if spike + 2 * window >= len(norm):
        return False
    growth = norm[spike - lag] - norm[spike - window]
    after = norm[spike + 2 * window] - norm[spike + window]
    return bool(growth > 0 and after <= plateau * growth)
