"""Records on disk: round trip, folders, comparison, tables."""

import dataclasses
import json
import math
import os

import numpy as np
import pandas as pd
import pytest

from tfphen.core.errors import CorruptRecord, TfphenError, UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.experiment import records
from tfphen.experiment.records import Record


def make(trial_id="0123456789abcdef", seed=0, **changes):
    generator = np.random.default_rng(seed)
    settings = {
        "trial_id": trial_id,
        "phenomenon": "double_descent",
        "trial": {"seed": seed, "model": {"name": "mlp", "width": 4}, "curve": [1, 2]},
        "values": {"test_error": 0.25, "steps": 10, "fitted": True, "stage": "end"},
        "arrays": {"errors": generator.normal(size=(3, 4)).astype("float32")},
        "environment": {"device": "cpu"},
        "seconds": 1.5,
    }
    return Record(**(settings | changes))


def test_a_record_comes_back_as_it_was(tmp_path):
    record = make()
    path = records.write(record, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "0123456789abcdef.json"
    back = records.read(path)
    assert records.same_results(record, back)
    assert back.seconds == 1.5 and record.finished is None and back.finished.endswith("+00:00")
    assert [item.name for item in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "array",
    [
        np.array([math.nan, math.inf, -math.inf, -0.0, 1.5], "float64"),
        np.array([math.nan, 6e-8], "float16"),
        np.zeros((0,), "float32"),
        np.zeros((3, 0, 2), "int16"),
        np.array(True),
        np.array([[True, False], [False, False]]),
        np.array([-(2**63), 2**63 - 1], "int64"),
        np.array([2**64 - 1], "uint64"),
        np.array([1.0, 2.0], ">f4"),
        np.arange(12).reshape(3, 4).T[::2],
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_arrays_round_trip(tmp_path, array):
    back = records.read(records.write(make(arrays={"x": array}), tmp_path)).arrays["x"]
    assert back.dtype == array.dtype.newbyteorder("=") and back.shape == array.shape
    np.testing.assert_array_equal(back, array)
    if array.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(back), np.signbit(array))
    with pytest.raises(ValueError, match="read-only"):
        back[...] = 0


@pytest.mark.parametrize(
    "value",
    [math.inf, -math.inf, 0.1, 1e-320, 1.0, 1, -0.0, True, "", "nan", "é\ud800\n", 10**30],
)
def test_values_keep_their_type(tmp_path, value):
    record = make(values={"x": value}, trial={"deep": [{"x": value}]})
    back = records.read(records.write(record, tmp_path))
    for found in (back.values["x"], back.trial["deep"][0]["x"]):
        assert type(found) is type(value) and found == value
        assert str(found) == str(value)  # Tells -0.0 from 0.0.


def test_nan_survives_strict_json_and_is_not_the_text_nan(tmp_path):
    path = records.write(make(values={"x": math.nan, "y": "nan"}), tmp_path)

    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    document = json.loads(path.read_text(), parse_constant=refuse)
    assert document["values"]["x"] != document["values"]["y"]
    back = records.read(path)
    assert math.isnan(back.values["x"]) and back.values["y"] == "nan"
    assert records.same_results(make(values={"x": math.nan, "y": "nan"}), back)


def test_numpy_scalars_and_tuples_become_plain():
    record = make(
        values={"a": np.float32(0.5), "b": np.int8(3), "c": np.bool_(True), "d": np.array(2.0)},
        trial={"curve": (1, (2, 3))},
    )
    assert [type(x) for x in record.values.values()] == [float, int, bool, float]
    assert record.trial == {"curve": [1, [2, 3]]}


def test_a_trial_of_the_package_can_be_stored(tmp_path):
    trial = Trial(model=Spec("mlp", widths=(4, 5)), epochs=2, seed=3)
    path = records.write(make(trial.id, trial=trial.to_json()), tmp_path)
    assert records.read(path).trial == json.loads(json.dumps(trial.to_json()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trial_id": "../x"}, "letters"),
        ({"trial_id": ""}, "letters"),
        ({"phenomenon": "a b"}, "phenomenon"),
        ({"values": {"x": [1]}}, "arrays"),
        ({"values": {"x": None}}, "one number"),
        ({"values": {"x": 1j}}, "plain data"),
        ({"values": {"$float": 1.0}}, r"\$"),
        ({"trial": {"x": {1: 2}}}, "string"),
        ({"environment": {"x": object()}}, "plain data"),
        ({"arrays": {"x": np.array(["a"])}}, "dtype"),
        ({"arrays": {"x": np.array([{}])}}, "dtype"),
        ({"arrays": {"x": np.array([1j])}}, "dtype"),
        ({"arrays": {"test_error": np.zeros(2)}}, "as both"),
        ({"seconds": math.nan}, "seconds"),
        ({"seconds": -1.0}, "seconds"),
    ],
)
def test_what_a_record_cannot_hold_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        make(**changes)


def test_a_record_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make().seconds = 2.0


def test_a_missing_record_is_said_so(tmp_path):
    with pytest.raises(TfphenError, match="no record"):
        records.read(tmp_path / "x.json")


def test_the_folder_may_not_be_a_file(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        with pytest.raises(TfphenError, match="cannot be written") as caught:
            records.write(make(), folder)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)
    with pytest.raises(TfphenError, match="is a file"):
        records.read_all(file)
    assert file.read_text() == ""


def test_a_failed_write_leaves_the_old_record_and_no_litter(tmp_path, monkeypatch):
    path = records.write(make(seconds=1.0), tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TfphenError, match="No space left"):
            records.write(make(seconds=2.0), tmp_path)
    assert records.read(path).seconds == 1.0
    assert list(tmp_path.iterdir()) == [path]


def test_read_all_in_order_or_by_id(tmp_path):
    assert records.read_all(tmp_path / "nowhere") == {}
    for name in ("cc", "aa", "bb"):
        records.write(make(name), tmp_path)
    (tmp_path / ".hidden.json").write_text("?")
    assert list(records.read_all(tmp_path)) == ["aa", "bb", "cc"]
    assert list(records.read_all(tmp_path, ids=["cc", "dd", "aa", "aa"])) == ["aa", "cc"]
    (tmp_path / "aa.json").write_text("?")
    with pytest.raises(CorruptRecord, match=r"aa\.json"):
        records.read_all(tmp_path)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"seconds": 9.0, "finished": "2020-01-01T00:00:00+00:00"}, True),
        ({"environment": {"device": "gpu"}}, False),
        ({"trial_id": "other"}, False),
        ({"phenomenon": "other"}, False),
        ({"trial": {}}, False),
        ({"values": {"test_error": 0.25, "steps": 10.0, "fitted": True, "stage": "end"}}, False),
        ({"values": {"steps": 10, "test_error": 0.25, "stage": "end", "fitted": True}}, True),
        ({"arrays": {}}, False),
        ({"arrays": {"errors": make().arrays["errors"].astype("float64")}}, False),
        ({"arrays": {"errors": make().arrays["errors"][None]}}, False),
        ({"arrays": {"errors": np.nextafter(make().arrays["errors"], np.float32(9))}}, False),
        ({"arrays": {"errors": make().arrays["errors"].copy()}}, True),
    ],
)
def test_same_results(changes, same):
    assert records.same_results(make(), make(**changes)) is same
    assert records.same_results(make(**changes), make()) is same


def test_same_results_of_nan_and_of_other_machines():
    def record(**changes):
        return make(values={"x": math.nan}, arrays={"x2": np.array([math.nan, 1])}, **changes)

    assert records.same_results(record(), record())
    other = record(environment={"device": "gpu"})
    assert not records.same_results(record(), other)
    assert records.same_results(record(), other, environment=False)


def test_table_has_one_row_a_trial(tmp_path):
    rows = [
        ({"width": 4, "noise": 0.1}, make("bb", values={"error": 0.5, "fitted": True})),
        ({"width": 9, "kind": "wide"}, make("aa", values={"error": math.nan})),
    ]
    frame = records.table(iter(rows))
    columns = ["trial", "width", "noise", "kind", "error", "fitted", "errors", "seconds"]
    assert list(frame.columns) == columns
    assert list(frame.trial) == ["bb", "aa"] and list(frame.width) == [4, 9]
    assert frame.width.dtype == "int64" and frame.error.dtype == "float64"
    assert frame.noise[0] == 0.1 and math.isnan(frame.noise[1])
    assert pd.isna(frame.kind[0]) and pd.isna(frame.fitted[1])
    assert frame.errors.dtype == object and frame.errors[1].shape == (3, 4)
    np.testing.assert_array_equal(frame.errors[0], rows[0][1].arrays["errors"])
    assert list(records.table([]).columns) == ["trial", "seconds"]


@pytest.mark.parametrize(
    ("tags", "name"),
    [({"test_error": 1}, "test_error"), ({"errors": 1}, "errors"), ({"trial": 1}, "trial")],
)
def test_table_refuses_a_name_with_two_meanings(tags, name):
    with pytest.raises(UsageError, match=f"{name}.*Rename"):
        records.table([(tags, make())])


def test_table_refuses_a_name_with_two_meanings_in_two_rows():
    with pytest.raises(UsageError, match="'x' is a value and also a tag"):
        records.table([({"x": 1}, make("aa")), ({}, make("bb", values={"x": 1.0}))])
