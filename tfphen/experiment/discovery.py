"""Lists the phenomena without importing any."""

import importlib.metadata
from pathlib import Path

import tfphen
from tfphen.core.errors import UsageError

ENTRY_POINT_GROUP = "tfphen.phenomena"


def rooms() -> dict[str, str]:
    """Returns the modules of the phenomena in `tfphen/phenomena`, by id, in alphabetical order."""
    folder = Path(tfphen.__file__).parent / "phenomena"
    found = sorted(path.parent.name for path in folder.glob("*/phenomenon.py"))
    return {name: f"tfphen.phenomena.{name}.phenomenon" for name in found}


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Returns the entry points of phenomena in other installed packages, by id.

    Raises:
        UsageError: Two of them have the same id.
    """
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.name in found:
            raise UsageError(f"Two phenomena have the id {point.name!r}. Rename an entry point.")
        found[point.name] = point
    return found
