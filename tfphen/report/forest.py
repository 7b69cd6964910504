"""Forest plots of an estimate and its interval against a threshold, as inline SVG."""

import math
from collections.abc import Iterable
from html import escape

from tfphen.report.terminal import interval, number, threshold
from tfphen.verdicts.comparison import Comparison
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import ABSENT, PRESENT, Signature

_WIDTH, _HEIGHT, _MARGIN = 180, 26, 10


class _Scale:
    """Maps numbers to pixels, with a margin at both ends. Numbers beyond are clipped."""

    def __init__(self, numbers: Iterable[float | None]):
        known = [x for x in numbers if x is not None and math.isfinite(x)]
        self.low, self.high = min(known), max(known)
        room = 0.12 * (self.high - self.low) or 0.5 * abs(self.high) or 1.0
        self.low, self.high = self.low - room, self.high + room

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_MARGIN + share * (_WIDTH - 2 * _MARGIN), 2)


def finding(found: Signature) -> str:
    """Returns a finding's interval; the region where its statement holds is shaded."""
    limits = found.within or [x for x in (found.below, found.above) if x is not None]
    ours = found.estimate
    scale = _Scale([ours.value, ours.low, ours.high, *limits])
    edges = [scale(limit) for limit in limits]
    start = 0 if found.below is not None else edges[0]
    end = _WIDTH if found.above is not None else edges[-1]
    marks = [_region(start, end), *(_line(x) for x in edges), *_interval(ours, scale)]
    if math.isfinite(ours.value):
        marks.append(_marker(scale(ours.value), found.verdict))
    words = (
        f"{interval(ours.value, ours.low, ours.high)}, to be {threshold(found)}: {found.verdict}"
    )
    return _svg(found.role, words, marks)


def comparison(compared: Comparison) -> str:
    """Returns our interval against a published number: a dashed line, or a shaded range.

    Raises:
        ValueError: The comparison has no estimate.
    """
    published, ours = compared.number, compared.estimate
    if ours is None:
        raise ValueError("There is no estimate to draw.")
    centers = [x for x in (published.value, published.lower, published.upper) if x is not None]
    spread = published.spread or 0.0
    numbers = [ours.value, ours.low, ours.high, *(c - spread for c in centers)]
    scale = _Scale([*numbers, *(c + spread for c in centers)])
    marks = []
    if published.value is None:
        start = 0 if published.lower is None else scale(published.lower)
        end = _WIDTH if published.upper is None else scale(published.upper)
        marks.append(_region(start, end))
    elif spread:
        marks.append(_region(scale(published.value - spread), scale(published.value + spread)))
    marks += [_line(scale(center)) for center in centers]
    marks += _interval(ours, scale)
    if math.isfinite(ours.value):
        marks.append(_marker(scale(ours.value), PRESENT))
    words = f"ours {interval(ours.value, ours.low, ours.high)}, published {published.statement}" + (
        f" ± {number(spread)}" if spread else ""
    )
    return _svg("published", f"{words}: {compared.verdict}", marks)


def _svg(role: str, words: str, marks: list[str]) -> str:
    return (
        f'<svg class="forest {role}" role="img" aria-label="{escape(words, quote=True)}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        + "".join(marks)
        + "</svg>"
    )


def _region(start: float, end: float) -> str:
    return (
        f'<rect class="holds" x="{start:g}" y="2" width="{max(end - start, 0.5):.2f}" '
        f'height="{_HEIGHT - 4}"/>'
    )


def _line(x: float) -> str:
    return f'<line class="limit" x1="{x:g}" x2="{x:g}" y1="1" y2="{_HEIGHT - 1}"/>'


def _interval(ours: Estimate, scale: _Scale) -> list[str]:
    if not (math.isfinite(ours.low) and math.isfinite(ours.high)):
        return []
    low, high, y = scale(ours.low), scale(ours.high), _HEIGHT / 2
    return [
        f'<path class="interval" d="M{low:g} {y - 4:g}V{y + 4:g}M{low:g} {y:g}H{high:g}'
        f'M{high:g} {y - 4:g}V{y + 4:g}"/>'
    ]


def _marker(x: float, verdict: str) -> str:
    """A filled circle for present, a hollow one for absent, a hollow diamond otherwise."""
    y = _HEIGHT / 2
    if verdict in (PRESENT, ABSENT):
        return f'<circle class="mark {verdict}" cx="{x:g}" cy="{y:g}" r="4.5"/>'
    return f'<path class="mark" d="M{x:g} {y - 6:g}l6 6l-6 6l-6 -6z"/>'
