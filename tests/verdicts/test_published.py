"""Published numbers: what loads, and what does not."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pytest

from tfphen.core.errors import MissingData, UsageError
from tfphen.verdicts import published

ENTRY = {
    "experiment": '"mnist1d_mlp"',
    "metric": '"test error, %"',
    "value": "54.05",
    "source": '"greydanus/mnist1d: notebooks/deep-double-descent.ipynb"',
    "provenance": '"read"',
}


def write(folder, *entries, name="double_descent"):
    """Writes entries whose values are TOML text; None leaves a field out."""
    text = ""
    for entry in entries:
        fields = {key: value for key, value in (ENTRY | entry).items() if value is not None}
        text += "[[number]]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items())
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_full_entry_loads(tmp_path):
    write(
        tmp_path,
        {
            "setting": '{width = 47, label_noise = 0.15, stages = [1, 2], aug = "none"}',
            "dataset": '"mnist1d"',
            "model": '"mlp"',
            "spread": "1",
            "n": "1",
            "baseline": "40",
            "unit": '"%"',
            "differs": '["noise drawn from a global generator"]',
            "unknown": '["initialization"]',
            "note": '"single run"',
        },
    )
    (number,) = published.load("double_descent", tmp_path)
    assert number.value == 54.05 and number.n == 1
    assert type(number.spread) is float and type(number.baseline) is float
    assert number.setting["width"] == 47 and number.setting["stages"] == [1, 2]
    assert number.differs == ("noise drawn from a global generator",)
    assert number.unknown == ("initialization",)
    assert number.id.startswith("mnist1d_mlp/mnist1d/mlp/test_error/width=47/label_noise=0.15")
    assert number.statement == "54.05 %"


def test_a_short_entry_has_no_claims(tmp_path):
    (number,) = published.load_file(write(tmp_path, {}))
    assert (number.n, number.spread, number.baseline, number.dataset) == (None, None, None, "")
    assert number.id == "mnist1d_mlp/test_error"


@pytest.mark.parametrize(
    ("fields", "statement"),
    [
        ({"lower": "90"}, "> 90"),
        ({"upper": "0.5"}, "< 0.5"),
        ({"lower": "1", "upper": "2"}, "in [1, 2]"),
    ],
)
def test_a_bound_instead_of_a_value(tmp_path, fields, statement):
    (number,) = published.load_file(write(tmp_path, {"value": None} | fields))
    assert number.value is None and number.statement == statement


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"source": None}, "source", "without a source does not load"),
        ({"source": '""'}, "source", "without a source it does not load"),
        ({"source": '"  "'}, "source", "without a source"),
        ({"source": "3"}, "source", "without a source"),
        ({"experiment": None}, "experiment", "missing"),
        ({"metric": None}, "metric", "missing"),
        ({"provenance": None}, "provenance", "missing"),
        ({"provenance": '"heard"'}, "provenance", "read, recalled, derived"),
        ({"provenance": '["read"]'}, "provenance", "read, recalled, derived"),
        ({"value": None}, "value", "Received: "),
        ({"lower": "1"}, "value", "'value', 'lower'"),
        ({"value": None, "lower": "2", "upper": "1"}, "lower", "less than `upper`"),
        ({"value": "nan"}, "value", "finite"),
        ({"value": "-inf"}, "value", "finite"),
        ({"value": "true"}, "value", "finite number"),
        ({"value": '"54"'}, "value", "finite number"),
        ({"baseline": "inf"}, "baseline", "finite"),
        ({"spread": "-1"}, "spread", "not negative"),
        ({"spread": "nan"}, "spread", "finite"),
        ({"n": "0"}, "n", "at least 1"),
        ({"n": "2.5"}, "n", "whole number"),
        ({"n": "true"}, "n", "whole number"),
        ({"setting": '"x"'}, "setting", "table"),
        ({"setting": "{width = nan}"}, "setting", "finite"),
        ({"setting": "{width = {a = 1}}"}, "setting", "table"),
        ({"differs": '"x"'}, "differs", "list"),
        ({"unknown": '[""]'}, "unknown", "empty"),
        ({"dataset": "1"}, "dataset", "text"),
        ({"id": '""'}, "id", "text"),
        ({"sorce": '"x"'}, "sorce", "Did you mean 'source'"),
        ({"zzzz": "1"}, "zzzz", "unknown field"),
    ],
)
def test_a_wrong_entry_is_named_with_file_and_field(tmp_path, fields, field, message):
    path = write(tmp_path, {"id": '"first"'}, fields)
    with pytest.raises(UsageError) as caught:
        published.load_file(path)
    text = str(caught.value)
    assert str(path) in text and "entry 2" in text and f"`{field}`" in text and message in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one"),
        ("number = []", "at least one"),
        ("number = 3", "at least one"),
        ("number = [3]", "entry 1: it is not a table"),
        ("[[numbers]]\nvalue = 1", "numbers"),
        ("[[number]\nvalue = 1", "not TOML"),
        ("[[number]]\nvalue = 1\nvalue = 2", "not TOML"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, message):
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        published.load_file(path)
    assert str(path) in str(caught.value)
    path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="not TOML"):
        published.load_file(path)
    with pytest.raises(UsageError, match="cannot be read"):
        published.load_file(tmp_path)


def test_two_entries_must_be_told_apart(tmp_path):
    with pytest.raises(UsageError, match=r"entry 3, `id`: it is that of entry 1"):
        published.load_file(write(tmp_path, {}, {"metric": '"loss"'}, {"value": "3"}))
    numbers = published.load_file(write(tmp_path, {}, {"setting": "{p = 1}"}, {"id": '"again"'}))
    assert [number.id for number in numbers][1:] == ["mnist1d_mlp/test_error/p=1", "again"]


def test_an_unknown_phenomenon_gets_the_nearest(tmp_path):
    write(tmp_path, {})
    for name in ("double_decent", "../double_descent", "double_descent.toml"):
        with pytest.raises(UsageError, match="Received"):
            published.load(name, tmp_path)
    with pytest.raises(UsageError, match="Did you mean 'double_descent'"):
        published.load("double_decent", tmp_path)


@pytest.mark.parametrize(
    ("kind", "checkout", "installed"),
    [
        ("configs", "configs", "_configs"),
        ("published", "benchmarks/published", "_benchmarks/published"),
        ("template", "examples/minimal_phenomenon", "_examples/minimal_phenomenon"),
    ],
)
def test_resources_of_a_wheel_come_before_those_of_a_checkout(
    tmp_path, monkeypatch, kind, checkout, installed
):
    package = tmp_path / "tfphen"
    package.mkdir()
    monkeypatch.setattr(published.importlib.resources, "files", lambda name: package)
    with pytest.raises(MissingData, match="Install the package again"):
        published.resource_folder(kind)
    for folder in (tmp_path / checkout, package / installed):
        folder.mkdir(parents=True)
        assert published.resource_folder(kind) == folder
    with pytest.raises(UsageError, match="published"):
        published.resource_folder("results")


def test_the_published_numbers_of_the_package_load():
    for path in published.resource_folder("published").glob("*.toml"):
        assert published.load(path.stem) == published.load_file(path)


TABLE = """
[[table]]
experiment = "one"
setting = {arm = "plain"}
metric = "test error, %"
source = "a table"
provenance = "read"
columns = ["setting.width", "value", "spread", "n"]
rows = [[1, 5.0, 0.5, 3], [2, 4.0, "", 2], [3, 3.0]]
"""


def test_a_table_stands_for_a_number_a_row(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(TABLE, encoding="utf-8")
    numbers = published.load_file(path)
    assert [dict(number.setting) for number in numbers] == [
        {"arm": "plain", "width": width} for width in (1, 2, 3)
    ]
    assert [(number.value, number.spread, number.n) for number in numbers] == [
        (5.0, 0.5, 3),
        (4.0, None, 2),
        (3.0, None, None),
    ]
    assert {number.source for number in numbers} == {"a table"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[3, 3.0]", "[3, 3.0, 1.0, 2, 9]", "table 1, row 3: it is a list of at most 4"),
        ("[3, 3.0]", '[3, "three"]', "table 1, row 3, `value`: it must be a finite number"),
        ("[3, 3.0]", "[1, 3.0]", "table 1, row 3, `id`: it is that of table 1, row 1"),
        ('"n"]', '"source"]', "`columns`: 'source' is given twice"),
        ('columns = ["setting.width", "value", "spread", "n"]', "", "it has `columns`"),
        ('rows = [[1, 5.0, 0.5, 3], [2, 4.0, "", 2], [3, 3.0]]', "rows = []", "and `rows`"),
    ],
)
def test_a_wrong_table_is_named_with_its_row(tmp_path, old, new, said):
    path = tmp_path / "some.toml"
    assert old in TABLE
    path.write_text(TABLE.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(said)):
        published.load_file(path)


def test_the_registry_is_as_recorded():
    """A published number changes only on purpose, with its line in published_registry.json."""
    path = Path(__file__).with_name("published_registry.json")
    recorded = json.loads(path.read_text(encoding="utf-8"))
    found = {}
    for file in sorted(published.resource_folder("published").glob("*.toml")):
        found[file.stem] = {}
        for number in published.load_file(file):
            fields = dataclasses.asdict(number)
            # How we compute ours is no part of what was published.
            for ours in ("statistic", "arguments"):
                del fields[ours]
            text = json.dumps(fields, sort_keys=True)
            found[file.stem][number.id] = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert found == recorded
