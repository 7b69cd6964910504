"""The helpers of figures, and figures as parts of a page."""

import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tfphen.experiment import plots


@pytest.fixture
def axes():
    with plots.style():
        yield Figure(layout="constrained").subplots()


def band(axes):
    """Returns lower and upper edge of the last band that was drawn, `(points,)` each."""
    vertices = axes.collections[-1].get_paths()[0].vertices
    xs = np.unique(vertices[:, 0])
    ends = [vertices[vertices[:, 0] == x, 1] for x in xs]
    return np.asarray([e.min() for e in ends]), np.asarray([e.max() for e in ends])


def test_import_is_light():
    code = (
        "import sys\nimport tfphen.experiment.plots, tfphen.report.terminal, tfphen.report.data\n"
        "assert not {'matplotlib', 'pandas', 'scipy', 'sklearn', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_band_is_students_interval(axes):
    values = np.random.default_rng(0).standard_normal((5, 3))
    line = plots.interval_band(axes, [1, 2, 4], values, "ours")
    np.testing.assert_allclose(line.get_ydata(), values.mean(0))
    assert line.get_label() == "ours"
    low, high = stats.t.interval(0.95, 4, values.mean(0), stats.sem(values, axis=0))
    found = band(axes)
    np.testing.assert_allclose(found[0], low)
    np.testing.assert_allclose(found[1], high)


def test_band_leaves_out_what_is_not_finite(axes):
    values = np.asarray([[1.0, np.nan, np.inf], [3.0, 2.0, np.nan], [2.0, 4.0, np.nan]])
    line = plots.interval_band(axes, [0, 1, 2], values)
    np.testing.assert_allclose(line.get_ydata(), [2.0, 3.0, np.nan])
    low, high = stats.t.interval(0.95, 1, 3.0, stats.sem([2.0, 4.0]))
    lowest, highest = band(axes)
    assert (lowest[1], highest[1]) == pytest.approx((low, high))


def test_one_seed_has_no_band(axes):
    plots.interval_band(axes, [0, 1], [[1.0, 2.0]])
    assert not axes.collections


def test_series_differ_in_colour_and_in_marker(axes):
    lines = [plots.interval_band(axes, [0, 1], np.eye(2) + k) for k in range(6)]
    assert [line.get_color() for line in lines] == list(plots.SERIES)
    assert len({line.get_marker() for line in lines}) == 6


@pytest.mark.parametrize("shape", [(3,), (2, 2), (3, 2, 1)])
def test_shapes_that_do_not_fit(shape, axes):
    with pytest.raises(ValueError, match=re.escape(f"{shape}")):
        plots.interval_band(axes, [0, 1, 2], np.zeros(shape))


def test_direct_labels_do_not_overlap(axes):
    for k in range(4):
        plots.interval_band(axes, [0, 1], [[0, 0.001 * k]] * 2, f"series {k}")
    plots.interval_band(axes, [0, 1], [[0, 1.0]] * 2)
    plots.direct_labels(axes)
    heights = [text.xy[1] for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == [f"series {k}" for k in range(4)]
    assert min(np.diff(sorted(heights))) >= 0.05


def test_svg_is_a_part_of_a_page(axes):
    plots.interval_band(axes, [0, 1], np.eye(2), "a < b")
    plots.threshold_line(axes, 0.5, "half")
    plots.direct_labels(axes)
    svg = plots.to_svg(axes.figure, "one", 'says "a" & <b>')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'says "a" & <b>'
    assert root.get("role") == "img"
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert ids
    assert all(name.startswith("one-") for name in ids)
    assert set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg)) <= set(ids)
    # Colors are those of the page; nothing comes from elsewhere.
    assert "var(--series-1)" in svg
    assert "currentColor" in svg
    assert plots.INK not in svg
    assert "<style" not in svg
    assert "font-family" not in svg
    assert "half" in svg
