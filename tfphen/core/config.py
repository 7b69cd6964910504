"""Configs: frozen dataclasses that serve as schema and file format at once.

A phenomenon declares a dataclass; `configs/<id>.toml` holds values for its three sizes; the command
line overrides single values with dotted keys. Unknown keys are errors.
"""

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfphen.core.errors import UsageError, nearest

SIZES = ("smoke", "small", "paper")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings common to all phenomena. Subclass it as `Phenomenon.Config`.

    Args:
        seeds: Number of seeds.
        seed: The first seed. Seeds below 1000 are exploratory, seeds from 1000 up confirmatory.
        minutes: Estimated minutes on `machine`.
        machine: Hardware that `minutes` refers to.
    """

    seeds: int = 2
    seed: int = 1000
    minutes: float = math.nan
    machine: str = "2 CPU cores"

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise UsageError(f"`seeds` must be at least 1. Received: seeds={self.seeds}")
        if self.seed < 0:
            raise UsageError(f"`seed` must not be negative. Received: seed={self.seed}")

    def seed_range(self) -> range:
        """Returns the seeds `seed, seed + 1, …`."""
        return range(self.seed, self.seed + self.seeds)


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Parses `key=value` words, with dotted keys and TOML values (bare words are strings)."""
    overrides: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"An override is `key=value`. Received: {pair!r}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        place = overrides
        *parents, last = key.strip().split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise UsageError(f"{parent!r} is a value, not a table. Received: {pair!r}")
        place[last] = value
    return overrides


def build(schema: type, values: Mapping[str, Any], where: str) -> Any:
    """Builds a dataclass from plain values, checking names and types.

    Args:
        schema: A dataclass.
        values: Values by field name; nested dataclasses take mappings.
        where: Description of the values, for messages.

    Raises:
        UsageError: An unknown key (with the nearest valid one) or a value of the wrong type.
    """
    hints = typing.get_type_hints(schema)
    names = [field.name for field in dataclasses.fields(schema)]
    arguments = {}
    for key, value in values.items():
        if key not in names:
            raise UsageError(
                f"Unknown key {key!r} in {where}.{nearest(key, names)} Allowed: {', '.join(names)}"
            )
        arguments[key] = _convert(hints[key], value, f"{where}: {key}")
    return schema(**arguments)


def _convert(hint: Any, value: Any, where: str) -> Any:
    options = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(option for option in options if option is not type(None))
        return _convert(hint, value, where)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(hint, value, where)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(options[0], item, where) for item in value)
    # Python's True is an int; a setting's is not.
    number = isinstance(value, int) and not isinstance(value, bool)
    if hint is float and number:
        return float(value)
    if dict in (origin, hint) and isinstance(value, Mapping):
        return dict(value)
    if hint is int and number:
        return value
    if hint in (float, str, bool) and isinstance(value, hint):
        return value
    wanted = (
        f"a list of {options[0].__name__}" if origin is tuple else getattr(hint, "__name__", hint)
    )
    raise UsageError(f"{where} must be {wanted}. Received: {value!r} ({type(value).__name__})")


def _merge(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in update.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """The contents of a config file.

    Args:
        card: The comment at its top, without the `#`.
        about: The strings `title`, `claim` and `citation`, where given.
        tables: Values by size; those of `"paper"` by experiment.
    """

    card: str
    about: Mapping[str, str]
    tables: Mapping[str, Any]


ABOUT = ("title", "claim", "citation")


def read(path: Path) -> ConfigFile:
    """Reads a config file.

    Raises:
        UsageError: It cannot be read, or has unknown keys or sections.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"The config {path} cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The config {path} is not valid TOML: {error}") from None
    about = {}
    for name, value in list(tables.items()):
        if name in ABOUT and isinstance(value, str):
            about[name] = tables.pop(name)
        elif name not in SIZES or not isinstance(value, dict):
            raise UsageError(
                f"Unknown section [{name}] in {path}.{nearest(name, SIZES)} Allowed: the texts "
                "title, claim and citation, [smoke], [small], [paper.<experiment>]"
            )
    header = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        header.append(line.removeprefix("#").removeprefix(" "))
    return ConfigFile("\n".join(header), about, tables)


def experiments(tables: Mapping[str, Any]) -> list[str]:
    """Returns the names of the paper experiments of a config."""
    return list(tables.get("paper", {}))


def select(
    schema: type,
    path: Path,
    size: str,
    experiment: str | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """Returns the settings of one size, with overrides.

    Args:
        schema: The phenomenon's `Config`.
        path: Its TOML file.
        size: `"smoke"`, `"small"` or `"paper"`.
        experiment: Name of a section `[paper.<experiment>]`; required if there are several.
        overrides: Nested values that replace those of the file.
    """
    if size not in SIZES:
        raise UsageError(
            f"Unknown size {size!r}.{nearest(size, SIZES)} Allowed: {', '.join(SIZES)}"
        )
    tables = read(path).tables
    if size == "paper":
        names = experiments(tables)
        if experiment is None and len(names) == 1:
            experiment = names[0]
        if experiment not in names:
            problem = "needs --experiment" if experiment is None else f"has no {experiment!r}"
            raise UsageError(
                f"The paper size of {path.stem} {problem}.{nearest(str(experiment), names)} "
                f"Allowed: {', '.join(names) or 'none'}"
            )
        values, section = tables["paper"][experiment], f"[paper.{experiment}]"
    else:
        if experiment is not None:
            raise UsageError(
                f"--experiment goes with --size paper. Received: --size {size}, {experiment!r}"
            )
        if size not in tables:
            raise UsageError(f"{path} has no section [{size}]")
        values, section = tables[size], f"[{size}]"
    return build(schema, _merge(values, overrides or {}), f"{path.name} {section}")
