"""Small pictures of intervals: they are right, and never the only thing that says so."""

import math
from xml.etree import ElementTree

import pytest

from tfphen.report import forest
from tfphen.verdicts.comparison import compare
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.published import Number

WIDTH = 180


def parts(svg):
    """Returns label, marks by class, and the numbers of each."""
    root = ElementTree.fromstring(svg)
    marks = {}
    for element in root:
        marks.setdefault(element.get("class").split()[0], []).append(element)
    return root, marks


def estimate(value, low, high, n=5):
    return Estimate("mean", value, low, high, n)


@pytest.mark.parametrize(
    ("limits", "start", "end"),
    [({"above": 0.0}, "limit", WIDTH), ({"below": 0.0}, 0.0, "limit")],
)
def test_region_of_a_threshold(limits, start, end):
    svg = forest.finding(Signature("one", estimate(1.0, 0.5, 1.5), **limits))
    root, marks = parts(svg)
    x = float(marks["limit"][0].get("x1"))
    (region,) = marks["holds"]
    left = float(region.get("x"))
    right = left + float(region.get("width"))
    assert left == pytest.approx(x if start == "limit" else start, abs=0.01)
    assert right == pytest.approx(x if end == "limit" else end, abs=0.01)
    assert x < float(marks["mark"][0].get("cx"))
    assert "1 [0.5, 1.5]" in root.get("aria-label")
    verdict = "present" if "above" in limits else "absent"
    assert root.get("aria-label").endswith(verdict)
    assert verdict in marks["mark"][0].get("class")


def test_range_and_control():
    svg = forest.finding(Control("one", estimate(1.0, 0.9, 1.4), within=(0.8, 1.2)))
    root, marks = parts(svg)
    assert len(marks["limit"]) == 2
    assert "control" in root.get("class")
    assert marks["mark"][0].tag.endswith("path"), "a diamond says inconclusive"


@pytest.mark.parametrize("value", [math.nan, 2.0])
def test_no_interval(value):
    svg = forest.finding(Signature("one", estimate(value, math.nan, math.nan, 1), above=0.0))
    root, marks = parts(svg)
    assert "interval" not in marks
    assert ("mark" in marks) == math.isfinite(value)
    assert "no interval" in root.get("aria-label")


def test_infinite_end_is_drawn_at_the_edge():
    svg = forest.finding(Signature("one", estimate(1.0, 0.5, math.inf), above=0.0))
    root, marks = parts(svg)
    assert "mark" in marks
    assert "inf" in root.get("aria-label")


def test_zero_width_at_the_threshold():
    svg = forest.finding(Signature("one", estimate(0.0, 0.0, 0.0), above=0.0))
    _, marks = parts(svg)
    assert float(marks["mark"][0].get("cx")) == pytest.approx(WIDTH / 2)


@pytest.mark.parametrize(
    ("published", "regions", "lines"),
    [
        ({"value": 2.0}, 0, 1),
        ({"value": 2.0, "spread": 0.3}, 1, 1),
        ({"lower": 2.0}, 1, 1),
        ({"lower": 0.0, "upper": 2.0}, 1, 2),
    ],
)
def test_published_beside_ours(published, regions, lines):
    number = Number("e", "metric", "Table 1", "read", n=5, **published)
    root, marks = parts(forest.comparison(compare(number, estimate(1.0, 0.8, 1.2))))
    assert len(marks.get("holds", [])) == regions
    assert len(marks["limit"]) == lines
    assert "ours 1 [0.8, 1.2]" in root.get("aria-label")
