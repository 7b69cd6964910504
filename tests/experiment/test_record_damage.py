"""A damaged record is never read."""

import base64
import json
import math
import zlib

import numpy as np
import pytest

from tfphen.core.errors import CorruptRecord, UsageError
from tfphen.experiment import record_format, records
from tfphen.experiment.records import Record


def make(trial_id="0123456789abcdef", **changes):
    settings = {
        "trial_id": trial_id,
        "phenomenon": "double_descent",
        "trial": {"seed": 0},
        "values": {"test_error": 0.25},
        "arrays": {"errors": np.arange(12.0, dtype="float32").reshape(3, 4)},
    }
    return Record(**(settings | changes))


def resealed(path, change):
    """Applies `change` to the document of a file and gives it a valid checksum again."""
    document = json.loads(path.read_text())
    del document["checksum"]
    change(document)
    path.write_bytes(record_format.to_bytes(document))


def test_every_kind_of_flipped_bit_is_found(tmp_path):
    record = make(values={"small": 1e-05, "text": "é", "nan": math.nan})
    path = records.write(record, tmp_path)
    data = path.read_bytes()
    generator = np.random.default_rng(0)
    positions = generator.choice(len(data), size=50, replace=False)
    # Flips that JSON does not see: 1e-05 as 1E-05, é as another spelling of its escape.
    seen = [data.index(b"1e-05") + 1, data.index(b"\\u00e9") + 4, len(data) - 1]
    for position in [*positions, *seen]:
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(CorruptRecord):
                records.read(path)
    path.write_bytes(data)
    assert records.same_results(records.read(path), record)


@pytest.mark.parametrize("keep", [0, 1, 100, -2, -1])
def test_a_truncated_file_is_found(tmp_path, keep):
    path = records.write(make(), tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptRecord) as caught:
        records.read(path)
    assert str(path) in str(caught.value) and "Delete the file" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "nan", "{}", '{"format": 1}', "[" * 100_000, '{"a": NaN}', '{"a": 1e999}'],
)
def test_other_files_are_not_records(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CorruptRecord):
        records.read(path)


def test_an_edit_without_a_new_checksum_is_found(tmp_path):
    path = records.write(make(), tmp_path)
    text = path.read_text()
    for edited in (text.replace("0.25", "0.15"), text.replace("\n ", "\n  "), text + "\n"):
        assert edited != text
        path.write_text(edited)
        with pytest.raises(CorruptRecord, match="checksum"):
            records.read(path)


def _data(text):
    return base64.b64encode(zlib.compress(text)).decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="tfphen-record/2"), "tfphen-record/2"),
        (lambda d: d.update(trial_id="another"), "another"),
        (lambda d: d.pop("seconds"), "fields"),
        (lambda d: d.update(more=1), "fields"),
        (lambda d: d.update(finished=None), "str"),
        (lambda d: d.update(finished="yesterday"), "yesterday"),
        (lambda d: d.update(seconds="long"), "is damaged"),
        (lambda d: d.update(values=[1]), "is damaged"),
        (lambda d: d["values"].update(x={"$float": "one"}), "one"),
        (lambda d: d["values"].update(x={"$float": "nan", "y": 1}), "is damaged"),
        (lambda d: d.update(arrays=[]), "is damaged"),
        (lambda d: d["arrays"]["errors"].update(dtype="object"), "known dtype"),
        (lambda d: d["arrays"]["errors"].update(dtype="float64"), "do not fill"),
        (lambda d: d["arrays"]["errors"].update(shape=[3, 5]), "do not fill"),
        (lambda d: d["arrays"]["errors"].update(shape=[3, 3]), "do not fill"),
        (lambda d: d["arrays"]["errors"].update(shape=[-3, -4]), "shape"),
        (lambda d: d["arrays"]["errors"].update(shape=[True, 12]), "shape"),
        (lambda d: d["arrays"]["errors"].update(shape=12), "is damaged"),
        (lambda d: d["arrays"]["errors"].update(shape=[2**40, 2**40]), "more than"),
        (lambda d: d["arrays"]["errors"].update(data="%"), "is damaged"),
        (lambda d: d["arrays"]["errors"].update(data="AAAA"), "is damaged"),
        (lambda d: d["arrays"]["errors"].update(data=_data(bytes(10**7))), "do not fill"),
        (lambda d: d["arrays"]["errors"].update(data=None), "is damaged"),
        (lambda d: d["arrays"].update(errors=[]), "is damaged"),
    ],
)
def test_a_wrong_record_with_a_right_checksum_is_refused(tmp_path, change, message):
    path = records.write(make(), tmp_path)
    resealed(path, change)
    with pytest.raises(CorruptRecord, match=message):
        records.read(path)


def test_a_renamed_record_is_refused(tmp_path):
    path = records.write(make("aaaa"), tmp_path)
    with pytest.raises(CorruptRecord, match="aaaa"):
        records.read(path.rename(tmp_path / "bbbb.json"))


def test_too_large_is_refused_on_both_sides(tmp_path, monkeypatch):
    path = records.write(make(arrays={"x": np.zeros(200)}), tmp_path)
    monkeypatch.setattr(record_format, "MAX_BYTES", 1000)
    with pytest.raises(UsageError, match="at most 1000 bytes"):
        make(arrays={"x": np.zeros(100), "y": np.zeros(100)})
    with pytest.raises(CorruptRecord, match="more than 1000 bytes"):
        records.read(path)
