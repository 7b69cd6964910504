"""The shared style of figures, and helpers for phenomena. Matplotlib is imported on first use.

The colors are safe for color-blind readers, and each series also has its own marker. The HTML
report maps `INK`, `RULE` and `SERIES` to its own colors, so that figures are legible on a dark page
too: use these, or leave colors to the helpers.
"""

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK = "#1f2328"
RULE = "#d5d9de"
SERIES = ("#0b6bb0", "#c24a00", "#00805f", "#9c3d86", "#7d6608", "#57616b")
MARKERS = ("o", "s", "^", "D", "v", "P")
# Above this number of points, a line has fewer markers.
_MARKED_POINTS = 16

_STYLE = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.0,
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "xtick.labelsize": 8.5,
    "xtick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.color": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.width": 0.6,
    "ytick.minor.width": 0.4,
    # Keep text as text, and make the bytes of a figure reproducible.
    "svg.fonttype": "none",
    "svg.hashsalt": "tfphen",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Applies the shared Matplotlib style inside the `with`."""
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context({**_STYLE, "axes.prop_cycle": cycler(color=SERIES)}):
        yield


def interval_band(
    axes: "Axes",
    x: Sequence[float],
    values_by_seed: "Sequence[Sequence[float]] | np.ndarray",
    label: str = "",
    confidence: float = 0.95,
    **line: Any,
) -> "Line2D":
    """Draws the mean over seeds, with a band of Student's t intervals. Returns the line.

    Non-finite values are left out, point by point; with fewer than two left, a point has a mean
    without a band.

    Args:
        axes: Axes to draw in.
        x: `[points]`.
        values_by_seed: `[seeds, points]`.
        label: Label for the legend or for `direct_labels`.
        confidence: Coverage of the interval at each point.
        **line: Settings of the line, such as `color` and `linestyle`.

    Raises:
        ValueError: The shapes do not fit.
    """
    from scipy import special

    places, values = np.asarray(x, "float64"), np.asarray(values_by_seed, "float64")
    if places.ndim != 1 or values.ndim != 2 or values.shape[1] != len(places):
        raise ValueError(
            "`x` has shape (points,) and `values_by_seed` (seeds, points). "
            f"Received: shapes {places.shape} and {values.shape}"
        )
    known = np.isfinite(values)
    count = known.sum(0)
    total = np.where(known, values, 0.0).sum(0)
    mean = np.divide(total, count, out=np.full(len(places), np.nan), where=count > 0)
    squares = (np.where(known, values - mean, 0.0) ** 2).sum(0)
    freedom = np.maximum(count - 1, 1)
    error = np.sqrt(squares / freedom / np.maximum(count, 1))
    half = np.where(count > 1, special.stdtrit(freedom, (1 + confidence) / 2) * error, np.nan)
    settings: dict[str, Any] = {
        "marker": MARKERS[len(axes.lines) % len(MARKERS)],
        "markevery": max(1, -(-len(places) // _MARKED_POINTS)),
        "label": label or None,
    }
    (drawn,) = axes.plot(places, mean, **(settings | line))
    if (count > 1).any():
        axes.fill_between(
            places, mean - half, mean + half, color=drawn.get_color(), alpha=0.18, linewidth=0
        )
    return drawn


def direct_labels(axes: "Axes", gap: float = 0.055) -> None:
    """Writes each line's label at its right end, instead of a legend.

    Args:
        axes: Axes with labeled lines. Call this last: labels are placed within the final limits.
        gap: Minimum distance of two labels, as a fraction of the height.
    """

    found = []
    for line in axes.lines:
        x, y = (np.asarray(part, "float64") for part in line.get_data())
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if str(line.get_label()).startswith("_") or not len(known):
            continue
        end = (x[known[-1]], y[known[-1]])
        at = axes.transAxes.inverted().transform(axes.transData.transform(end))
        found.append((float(at[1]), float(at[0]), line))
    bottom = -np.inf
    for height, right, line in sorted(found, key=lambda item: item[0]):
        bottom = max(height, bottom + gap)
        axes.annotate(
            str(line.get_label()),
            (right, bottom),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            color=line.get_color(),
            fontsize=8.5,
            va="center",
            annotation_clip=False,
        )


def threshold_line(axes: "Axes", value: float, label: str = "", vertical: bool = False) -> None:
    """Draws a thin dashed line at a reference value, with its name."""
    draw = axes.axvline if vertical else axes.axhline
    draw(value, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="_threshold")
    if label and vertical:
        place, anchor = (value, 1.0), axes.get_xaxis_transform()
        axes.annotate(label, place, xycoords=anchor, xytext=(3, -9), textcoords="offset points")
    elif label:
        place, anchor = (1.0, value), axes.get_yaxis_transform()
        axes.annotate(
            label, place, xycoords=anchor, xytext=(0, 3), textcoords="offset points", ha="right"
        )


def to_svg(figure: "Figure", prefix: str, description: str) -> str:
    """Returns a figure as an `<svg>` element for a page.

    Args:
        figure: A figure drawn in the shared style.
        prefix: Prefix of all its ids, so that several figures can share a page.
        description: Description for readers who do not see it. Escaped here.
    """

    buffer = io.StringIO()
    with style():
        metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata=metadata)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    # Matplotlib's own rule would apply to the whole page. Fonts are those of the page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.S)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    colors = {INK: "currentColor", RULE: "var(--rule)"}
    colors |= {color: f"var(--series-{i})" for i, color in enumerate(SERIES, start=1)}
    for color, name in colors.items():
        text = text.replace(color, name)
    label = escape(description, quote=True)
    inherited = 'style="stroke-linejoin: round; stroke-linecap: butt"'
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" {inherited} ', 1)
