"""Published numbers with provenance, read from TOML. A number without a source does not load.

The verdict on a number is in `tfphen.verdicts.comparison`.

A file holds `[[number]]` entries, see `Number` for their fields, and `[[table]]`s of numbers that
share fields: the shared ones once, and for the others `columns`, their names, and `rows`, their
values. A column `setting.arm` is the entry `arm` of `setting`. An empty text in a row, or a row
that is shorter, leaves the field out.

    [[table]]
    experiment = "cifar10"
    metric = "test error, %"
    source = "the paper, table 2"
    provenance = "read"
    columns = ["setting.arm", "value", "spread"]
    rows = [["plain", 5.1, 0.2], ["mixup", 4.2]]
"""

import dataclasses
import importlib.resources
import math
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfphen.core.errors import MissingData, UsageError, nearest

PROVENANCES = ("read", "recalled", "derived")
# Where the files of each kind lie: beside the modules of an installed package, or in a checkout.
_FOLDERS = {
    "configs": ("_configs", "configs"),
    "published": ("_benchmarks/published", "benchmarks/published"),
    "template": ("_examples/minimal_phenomenon", "examples/minimal_phenomenon"),
}


@dataclasses.dataclass(frozen=True)
class Number:
    """One published number.

    Args:
        experiment: The experiment of size `paper` that it is compared with.
        metric: Name of the metric in the source.
        source: Location of the number: paper and table, or repository and file.
        provenance: `"read"` in the source, `"derived"` from numbers read there, or `"recalled"`
            from memory, which never decides a verdict.
        value: The number; None if the source gives a bound.
        lower: Lower bound, where the source says "more than", instead of `value`.
        upper: Upper bound, where the source says "less than", instead of `value`.
        id: Name, unique in its file. By default made of experiment, data, model, metric, setting.
        setting: Settings that distinguish it from other numbers of the experiment.
        dataset: Dataset it was measured on.
        model: Model it was measured on.
        spread: Published standard deviation between runs, in the units of `value`.
        n: Number of published runs; None if the source does not say.
        baseline: Published value of its baseline, in the units of `value`.
        statistic: Name of our statistic that it is compared with, one of
            `Phenomenon.statistics`; empty if there is none.
        arguments: Keyword arguments of that statistic.
        unit: Unit, if `metric` does not include it.
        differs: Known deviations of our protocol of size `paper`.
        unknown: Details that the source does not report.
        note: Other remarks.
    """

    experiment: str
    metric: str
    source: str
    provenance: str
    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    id: str = ""
    setting: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dataset: str = ""
    model: str = ""
    spread: float | None = None
    n: int | None = None
    baseline: float | None = None
    statistic: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unit: str = ""
    differs: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    note: str = ""

    @property
    def statement(self) -> str:
        """The published value or bound, such as `"54.05"` or `"> 90"`, with the unit."""
        if self.value is not None:
            text = f"{self.value:.12g}"
        elif self.upper is None:
            text = f"> {self.lower:.12g}"
        elif self.lower is None:
            text = f"< {self.upper:.12g}"
        else:
            text = f"in [{self.lower:.12g}, {self.upper:.12g}]"
        return f"{text} {self.unit}".rstrip()


def load(phenomenon: str, folder: str | Path | None = None) -> tuple[Number, ...]:
    """Returns the published numbers of a phenomenon.

    Args:
        phenomenon: Its id.
        folder: Where `<id>.toml` lies; by default with the package, or in its checkout.

    Raises:
        UsageError: If there is no such file, or it does not load.
    """
    folder = resource_folder("published") if folder is None else Path(folder)
    known = sorted(path.stem for path in folder.glob("*.toml"))
    if phenomenon not in known:
        raise UsageError(
            f"There are no published numbers for this phenomenon in {folder}. "
            f"Received: {phenomenon!r}.{nearest(phenomenon, known)}"
        )
    return load_file(folder / f"{phenomenon}.toml")


def load_file(path: str | Path) -> tuple[Number, ...]:
    """Returns the numbers in one TOML file.

    Raises:
        UsageError: If anything in it is missing, misspelt, not finite or without a source. The
            message names file, entry and field.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: it cannot be read: {error.strerror}.") from error
    except ValueError as error:  # Wrong TOML as well as wrong UTF-8.
        raise UsageError(f"{path}: it is not TOML: {error}.") from error
    singles, tables = document.pop("number", []), document.pop("table", [])
    lists = isinstance(singles, list) and isinstance(tables, list)
    if document or not lists or not (singles or tables):
        raise UsageError(
            f"{path}: it holds [[number]] and [[table]] entries, at least one, and nothing else. "
            f"Received: {sorted(document) or singles or tables!r}"
        )
    entries = [(entry, f"{path}: entry {i}") for i, entry in enumerate(singles, start=1)]
    for position, table in enumerate(tables, start=1):
        entries += _rows(table, f"{path}: table {position}")
    numbers: dict[str, Number] = {}
    places: dict[str, str] = {}
    for entry, where in entries:
        number = _number(entry, where)
        if number.id in numbers:
            raise UsageError(
                f"{where}, `id`: it is that of {places[number.id].removeprefix(f'{path}: ')}. Tell "
                f"them apart by `setting`, or give each an `id`. Received: {number.id!r}"
            )
        numbers[number.id], places[number.id] = number, where
    return tuple(numbers.values())


def resource_folder(kind: str) -> Path:
    """Returns the folder of the files that ship with the package.

    Args:
        kind: `"configs"`, `"published"` or `"template"`, that of `tfphen new`.

    Raises:
        MissingData: If the package was installed without them.
    """
    if kind not in _FOLDERS:
        raise UsageError(f"`kind` is one of {sorted(_FOLDERS)}. Received: kind={kind!r}")
    package = Path(str(importlib.resources.files("tfphen")))
    installed, checkout = _FOLDERS[kind]
    candidates = (package / installed, package.parent / checkout)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise MissingData(
        f"The {kind} files of tfphen are not here: neither {candidates[0]} nor {candidates[1]} is "
        "a folder. Install the package again."
    )


def _rows(table: Any, where: str) -> list[tuple[dict[str, Any], str]]:
    """Returns the entries that a table stands for, each with where it stands."""
    if not isinstance(table, dict):
        raise UsageError(f"{where}: it is not a table. Received: {table!r}")
    shared = {name: value for name, value in table.items() if name not in ("columns", "rows")}
    columns, rows = table.get("columns"), table.get("rows")
    if columns is None or not _is_texts(columns) or not isinstance(rows, list) or not rows:
        raise UsageError(
            f"{where}: it has `columns`, a list of fields, and `rows`, a list of lists, at least "
            f"one. Received: columns={columns!r}, rows={rows!r}"
        )
    if taken := [name for name in columns if name in shared or columns.count(name) > 1]:
        raise UsageError(f"{where}, `columns`: {taken[0]!r} is given twice.")
    entries = []
    for position, row in enumerate(rows, start=1):
        place = f"{where}, row {position}"
        if not isinstance(row, list) or len(row) > len(columns):
            raise UsageError(
                f"{place}: it is a list of at most {len(columns)} values. Received: {row!r}"
            )
        entry = {
            name: dict(value) if isinstance(value, dict) else value
            for name, value in shared.items()
        }
        for name, value in zip(columns, row, strict=False):
            field, dot, key = name.partition(".")
            if value == "":
                continue
            if dot:
                entry.setdefault(field, {})[key] = value
            else:
                entry[name] = value
        entries.append((entry, place))
    return entries


def _number(entry: Any, where: str) -> Number:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: it is not a table. Received: {entry!r}")
    for field in entry:
        if field not in _CHECKS:
            raise UsageError(
                f"{where}, `{field}`: unknown field. Allowed: {', '.join(_CHECKS)}."
                f"{nearest(field, _CHECKS)}"
            )
    for field in ("experiment", "metric", "source", "provenance"):
        if field not in entry:
            advice = " A number without a source does not load." if field == "source" else ""
            raise UsageError(f"{where}, `{field}`: it is missing.{advice}")
    checked: dict[str, Any] = {}
    for field, value in entry.items():
        what, check = _CHECKS[field]
        if not check(value):
            raise UsageError(f"{where}, `{field}`: it must be {what}. Received: {value!r}")
        if what in (_NUMBER, _SPREAD):
            value = float(value)
        checked[field] = tuple(value) if isinstance(value, list) else value
    bounds = [checked[field] for field in ("lower", "upper") if field in checked]
    if ("value" in checked) == bool(bounds):
        raise UsageError(
            f"{where}, `value`: it has either a value, or `lower`, `upper` or both. "
            f"Received: {[field for field in ('value', 'lower', 'upper') if field in checked]}"
        )
    if len(bounds) == 2 and not bounds[0] < bounds[1]:
        raise UsageError(f"{where}, `lower`: it must be less than `upper`. Received: {bounds}")
    checked.setdefault("id", _default_id(checked))
    return Number(**checked)


def _default_id(fields: Mapping[str, Any]) -> str:
    parts = [fields.get(name, "") for name in ("experiment", "dataset", "model", "metric")]
    parts += [f"{name}={value}" for name, value in fields.get("setting", {}).items()]
    words = (re.sub(r"[^\w.=+-]+", "_", str(part)).strip("_") for part in parts)
    return "/".join(word for word in words if word)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, (str, bool)) or _is_number(value)


def _is_setting(value: Any) -> bool:
    return isinstance(value, dict) and all(
        all(map(_is_scalar, item)) if isinstance(item, list) else _is_scalar(item)
        for item in value.values()
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_SOURCE = "text that says where the number stands: without a source it does not load"
_TEXT = "text that is not empty"
_TEXTS = "a list of texts, none of them empty"
_NUMBER = "a finite number"
_SPREAD = "a finite number that is not negative"
_CHECKS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "id": (_TEXT, _is_text),
    "experiment": (_TEXT, _is_text),
    "setting": ("a table of finite numbers, texts and booleans, or lists of them", _is_setting),
    "dataset": (_TEXT, _is_text),
    "model": (_TEXT, _is_text),
    "metric": (_TEXT, _is_text),
    "value": (_NUMBER, _is_number),
    "lower": (_NUMBER, _is_number),
    "upper": (_NUMBER, _is_number),
    "unit": (_TEXT, _is_text),
    "spread": (_SPREAD, lambda value: _is_number(value) and value >= 0),
    "n": ("a whole number, at least 1", lambda value: type(value) is int and value >= 1),
    "baseline": (_NUMBER, _is_number),
    "statistic": (_TEXT, _is_text),
    "arguments": ("a table of finite numbers, texts and booleans, or lists of them", _is_setting),
    "source": (_SOURCE, _is_text),
    "provenance": (f"one of {', '.join(PROVENANCES)}", lambda value: value in PROVENANCES),
    "differs": (_TEXTS, _is_texts),
    "unknown": (_TEXTS, _is_texts),
    "note": (_TEXT, _is_text),
}
