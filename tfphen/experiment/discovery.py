"""Lists the phenomena without importing any."""

import importlib.metadata
from pathlib import Path

import tfphen

ENTRY_POINT_GROUP = "tfphen.phenomena"


def rooms() -> dict[str, str]:
    """Returns the modules of the phenomena in `tfphen/phenomena`, by id, in alphabetical order."""
    folder = Path(tfphen.__file__).parent / "phenomena"
    found = sorted(path.parent.name for path in folder.glob("*/phenomenon.py"))
    return {name: f"tfphen.phenomena.{name}.phenomenon" for name in found}


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Returns the entry points by which installed packages bring phenomena, by id."""
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
