"""The shared look of figures, and helpers for phenomena. Matplotlib is imported when one is used.

Colors are told apart by readers who are colour-blind, and each series has a marker of its own, so
that color is never the only sign. The HTML report turns `INK`, `RULE` and `SERIES` into its own
colors, so a figure reads well on a dark page too: use them, or leave colors to the helpers.
"""

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INK = "#1f2328"
RULE = "#d5d9de"
SERIES = ("#0b6bb0", "#c24a00", "#00805f", "#9c3d86", "#7d6608", "#57616b")
MARKERS = ("o", "s", "^", "D", "v", "P")
# More points than this are drawn as a line with few markers.
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
    # Text stays text, and the same figure gives the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "tfphen",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The shared Matplotlib style, for what is drawn and saved inside the `with`."""
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
    **line: object,
) -> "Line2D":
    """Draws the mean over seeds, with a band of Student's t intervals. Returns the line.

    Values that are not finite are left out, point by point; where fewer than two are left there is
    a mean without a band.

    Args:
        axes: Where to draw.
        x: Shape `(points,)`.
        values_by_seed: Shape `(seeds, points)`.
        label: For the legend, or for `direct_labels`.
        confidence: Coverage of the interval at each point.
        **line: Settings of the line, such as `color` and `linestyle`.

    Raises:
        ValueError: The shapes do not fit.
    """
    import numpy as np
    from scipy import special

    x, values = np.asarray(x, "float64"), np.asarray(values_by_seed, "float64")
    if x.ndim != 1 or values.ndim != 2 or values.shape[1] != len(x):
        raise ValueError(
            "`x` has shape (points,) and `values_by_seed` (seeds, points). "
            f"Received: shapes {x.shape} and {values.shape}"
        )
    known = np.isfinite(values)
    count = known.sum(0)
    total = np.where(known, values, 0.0).sum(0)
    mean = np.divide(total, count, out=np.full(len(x), np.nan), where=count > 0)
    squares = (np.where(known, values - mean, 0.0) ** 2).sum(0)
    freedom = np.maximum(count - 1, 1)
    error = np.sqrt(squares / freedom / np.maximum(count, 1))
    half = np.where(count > 1, special.stdtrit(freedom, (1 + confidence) / 2) * error, np.nan)
    settings = {
        "marker": MARKERS[len(axes.lines) % len(MARKERS)],
        "markevery": max(1, -(-len(x) // _MARKED_POINTS)),
        "label": label or None,
    }
    (drawn,) = axes.plot(x, mean, **(settings | line))
    if (count > 1).any():
        axes.fill_between(
            x, mean - half, mean + half, color=drawn.get_color(), alpha=0.18, linewidth=0
        )
    return drawn


def direct_labels(axes: "Axes", gap: float = 0.055) -> None:
    """Writes each line's label at its right end, instead of a legend.

    Args:
        axes: With lines that have labels. Call it last: labels are placed within its limits.
        gap: Least distance of two labels, as a share of the height.
    """
    import numpy as np

    found = []
    for line in axes.lines:
        x, y = (np.asarray(part, "float64") for part in line.get_data())
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if line.get_label().startswith("_") or not len(known):
            continue
        end = (x[known[-1]], y[known[-1]])
        at = axes.transAxes.inverted().transform(axes.transData.transform(end))
        found.append((float(at[1]), float(at[0]), line))
    bottom = -np.inf
    for height, right, line in sorted(found, key=lambda item: item[0]):
        bottom = max(height, bottom + gap)
        axes.annotate(
            line.get_label(),
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
    """Draws a thin dashed line at a value that something is held against, with its name."""
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
    """Returns a figure as an `<svg>` element to put into a page.

    Args:
        figure: Drawn and saved in the shared style.
        prefix: Put before every id in it, so that several figures can share a page.
        description: What it shows, for readers who do not see it. Escaped here.
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
    # Matplotlib's own rule would reach the whole page. Fonts are those of the page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.S)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    colors = {INK: "currentColor", RULE: "var(--rule)"}
    colors |= {color: f"var(--series-{i})" for i, color in enumerate(SERIES, start=1)}
    for color, name in colors.items():
        text = text.replace(color, name)
    label = escape(description, quote=True)
    inherited = 'style="stroke-linejoin: round; stroke-linecap: butt"'
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" {inherited} ', 1)
