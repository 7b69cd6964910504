"""Results of trials on disk: one checksummed JSON file a trial, written atomically.

A record is either complete or absent, and reading detects one that was damaged or edited. Trials
that trained together are written all or none, through a journal that `recover` completes after an
interruption. Nothing is pickled: a record is plain data.
"""

import contextlib
import dataclasses
import datetime
import hashlib
import math
import re
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.core.environment import environment
from tfphen.core.errors import TfphenError, UsageError
from tfphen.core.trial import Trial
from tfphen.experiment import record_format
from tfphen.experiment.record_format import checked_array, corrupt, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Record",
    "environment",
    "read",
    "read_all",
    "read_trials",
    "recover",
    "same_results",
    "table",
    "write",
    "write_group",
]

FORMAT = "tfphen-record/1"
GROUP_FORMAT = "tfphen-group/1"
# Another process may be writing in the same folder, so only old temporary files are abandoned.
STALE_SECONDS = 3600.0

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """The results of one trial. Compare two records with `same_results`.

    Args:
        trial_id: `Trial.id`; letters, digits, `-` and `_` only, since it names the file.
        phenomenon: Id of the phenomenon.
        trial: The trial's settings as JSON data.
        values: Measured numbers, strings and booleans by name. NaN and infinities are allowed.
        arrays: Measured arrays by name: booleans, integers or floats of at most 64 bits.
        environment: Versions and devices of the run, see `environment`.
        seconds: Wall time of the training, for a population the trial's share of it.
        finished: ISO time in UTC; None until the record is written.

    Raises:
        UsageError: If something is not plain data, or a name is both a value and an array.
    """

    trial_id: str
    phenomenon: str
    trial: Mapping[str, Any]
    values: Mapping[str, float | int | str | bool]
    arrays: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    finished: str | None = None

    def __post_init__(self) -> None:
        for name in ("trial_id", "phenomenon"):
            text = getattr(self, name)
            if not (isinstance(text, str) and _ID.fullmatch(text)):
                raise UsageError(
                    f"`{name}` is 1 to 64 letters, digits, '-' or '_', and starts with a letter "
                    f"or digit. Received: {name}={text!r}"
                )
        values = plain(self.values, "values")
        for name, value in values.items():
            if not isinstance(value, (bool, int, float, str)):
                raise UsageError(
                    "A value is one number, string or boolean; anything larger goes into `arrays`. "
                    f"Received: {name}={value!r}"
                )
        arrays = {name: checked_array(name, array) for name, array in self.arrays.items()}
        if both := sorted(values.keys() & arrays.keys()):
            raise UsageError(f"A name is either a value or an array. Received as both: {both}")
        if (total := sum(array.nbytes for array in arrays.values())) > record_format.MAX_BYTES:
            raise UsageError(
                f"The arrays of one record hold at most {record_format.MAX_BYTES} bytes. Received: "
                f"{total} bytes in {sorted(arrays)}. Store a summary, or a narrower dtype."
            )
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise UsageError(f"`seconds` is a duration. Received: seconds={self.seconds}")
        for name, item in {
            "trial": plain(self.trial, "trial"),
            "values": values,
            "arrays": arrays,
            "environment": plain(self.environment, "environment"),
            "seconds": float(self.seconds),
        }.items():
            object.__setattr__(self, name, item)


def write(record: Record, folder: str | Path) -> Path:
    """Writes `<folder>/<trial_id>.json` atomically and returns its path.

    The folder is made if it is not there. A record of the same trial is replaced.

    Raises:
        TfphenError: If the file cannot be written.
    """
    path = Path(folder) / f"{record.trial_id}.json"
    record_format.write_atomically(path, record_format.to_bytes(_document(record)))
    return path


def read(path: str | Path) -> Record:
    """Reads and verifies one record. Its arrays are read-only.

    Raises:
        CorruptRecord: If the file is not byte for byte what `write` wrote.
        TfphenError: If there is no such file or it cannot be opened.
    """
    path = Path(path)
    document = record_format.from_bytes(record_format.read_bytes(path), path, FORMAT)
    if document.get("trial_id") != path.stem:
        raise corrupt(path, f"it holds trial {document.get('trial_id')!r}")
    return _record(document, path)


def read_all(folder: str | Path, ids: Iterable[str] | None = None) -> dict[str, Record]:
    """Reads the records of a folder, by trial id in alphabetical order.

    Call `recover` first, to complete groups that an interrupted process left half written.

    Args:
        folder: Folder of the records. A folder that does not exist holds none.
        ids: Trials to read; those without a record are left out. None reads every record.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise TfphenError(f"Records are kept in a folder, and {folder} is a file.")
    if ids is None:
        paths = [path for path in folder.glob("*.json") if not path.name.startswith(".")]
    else:
        paths = [path for one in set(ids) if (path := folder / f"{one}.json").exists()]
    return {path.stem: read(path) for path in sorted(paths)}


def read_trials(folder: str | Path, trials: Iterable[Trial]) -> dict[str, Record]:
    """Reads the records of trials, by id. Trials without a record are left out.

    A record under the former id of a trial counts as its own, see `Trial.former_id`.
    """
    trials = list(trials)
    known = read_all(folder, [trial.id for trial in trials])
    former = {t.former_id: t for t in trials if t.id not in known and t.former_id != t.id}
    for identifier, record in read_all(folder, former).items():
        trial = former[identifier]
        renamed = dataclasses.replace(record, trial_id=trial.id, trial=trial.to_json())
        known[trial.id] = renamed
    return known


def write_group(records: Iterable[Record], folder: str | Path) -> list[Path]:
    """Writes the records of trials that trained together, all or none of them.

    All of them go into one journal file first. Once that is on disk, the group counts as finished:
    if the single files are not written, `recover` completes them.

    Returns:
        The paths of the single files, in the order of `records`.
    """
    # The time is set here, so that `recover` writes the same bytes as this call.
    records = [_finished(record) for record in records]
    ids = [record.trial_id for record in records]
    if len(set(ids)) < len(ids):
        raise UsageError(f"A group holds each trial once. Received: {ids}")
    name = hashlib.sha256(",".join(sorted(ids)).encode()).hexdigest()[:16]
    journal = Path(folder) / f".group-{name}.journal"
    document = {"format": GROUP_FORMAT, "records": [_document(record) for record in records]}
    record_format.write_atomically(journal, record_format.to_bytes(document))
    paths = [write(record, folder) for record in records]
    record_format.remove(journal)
    return paths


def recover(folder: str | Path) -> list[Path]:
    """Completes groups that an interrupted process left half written. Call it before each run.

    May be called any number of times, and while other processes write in the same folder.
    Temporary files older than `STALE_SECONDS` are removed.

    Returns:
        The paths of the records that were written from journals.
    """
    folder = Path(folder)
    written = []
    for journal in sorted(folder.glob(".group-*.journal")):
        try:
            data = journal.read_bytes()
        except FileNotFoundError:
            continue  # Its writer, or another recovering process, has just finished it.
        documents = record_format.from_bytes(data, journal, GROUP_FORMAT).get("records")
        if not isinstance(documents, list):
            raise corrupt(journal, "it holds no list of records")
        # All are verified before the first is written.
        records = [_record(document, journal) for document in documents]
        written += [write(record, folder) for record in records]
        record_format.remove(journal)
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                record_format.remove(path)
    return written


def table(rows: Iterable[tuple[Mapping[str, Any], Record]]) -> "pd.DataFrame":
    """Returns one row a trial, in the order of `rows`.

    Columns: `trial` (the id), the tags, the values, the arrays (objects: NumPy arrays) and
    `seconds`. Where a row lacks a column that others have, the cell is empty (NaN or None).

    Args:
        rows: Pairs of a trial's tags and its record.

    Raises:
        UsageError: If a name is used for two of tag, value and array, or is `trial` or `seconds`.
    """
    import pandas as pd

    kinds = dict.fromkeys(("trial", "seconds"), "column of every table")
    cells = []
    for tags, record in rows:
        row: dict[str, Any] = {"trial": record.trial_id, "seconds": record.seconds}
        for kind, items in (("tag", tags), ("value", record.values), ("array", record.arrays)):
            for name, item in items.items():
                if kinds.setdefault(name, kind) != kind:
                    raise UsageError(
                        f"{name!r} is a {kind} and also a {kinds[name]}. Rename one of them. "
                        f"Received: trial {record.trial_id} of {record.phenomenon}"
                    )
                row[name] = item
        cells.append(row)
    order = [name for kind in ("tag", "value", "array") for name in kinds if kinds[name] == kind]
    columns = {
        name: pd.Series(
            [row.get(name) for row in cells],
            # An array is one cell, never another axis of the table.
            dtype=object if kinds[name] == "array" else None,
        )
        for name in ("trial", *order, "seconds")
    }
    return pd.DataFrame(columns)


def same_results(first: Record, second: Record, environment: bool = True) -> bool:
    """Returns whether two records are equal apart from `seconds` and `finished`.

    Types count (`1` is not `1.0`), NaN equals NaN, arrays must agree in dtype, shape and every
    element. With `environment=False` the records may come from different machines or versions.
    """
    names = ["trial_id", "phenomenon", "trial", "values"] + ["environment"] * environment
    texts = [
        record_format.canonical(record_format.encode([getattr(record, name) for name in names]))
        for record in (first, second)
    ]
    if texts[0] != texts[1] or first.arrays.keys() != second.arrays.keys():
        return False
    return all(
        array.dtype == (other := second.arrays[name]).dtype
        and np.array_equal(array, other, equal_nan=array.dtype.kind == "f")
        for name, array in first.arrays.items()
    )


def _finished(record: Record) -> Record:
    if record.finished is not None:
        return record
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return dataclasses.replace(record, finished=now)


def _document(record: Record) -> dict[str, Any]:
    record = _finished(record)
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    arrays = {name: record_format.encode_array(item) for name, item in fields.pop("arrays").items()}
    return {"format": FORMAT, **record_format.encode(fields), "arrays": arrays}


def _record(document: Any, path: Path) -> Record:
    """Returns the record in a document that was read from `path`."""
    names = {field.name for field in dataclasses.fields(Record)}
    try:
        if document.keys() != names | {"format"} or document["format"] != FORMAT:
            raise ValueError("it does not hold the fields of a record")
        fields = record_format.decode({name: document[name] for name in names - {"arrays"}})
        datetime.datetime.fromisoformat(fields["finished"])
        return Record(arrays=record_format.decode_arrays(document["arrays"]), **fields)
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
        raise corrupt(path, str(error)) from error
