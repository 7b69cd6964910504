"""Lists the phenomena without importing any."""

import importlib.metadata
import importlib.util
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
        UsageError: One has the id of another phenomenon.
    """
    ours = rooms()
    found: dict[str, importlib.metadata.EntryPoint] = {}
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
        if point.name in found or point.name in ours:
            raise UsageError(f"Two phenomena have the id {point.name!r}. Rename the entry point.")
        found[point.name] = point
    return found


def config_beside(point: importlib.metadata.EntryPoint) -> Path | None:
    """Returns the config beside the module of an entry point, or None if it must be imported.

    The module itself is not imported: its folder follows from that of its top package.
    """
    package, *rest = point.module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # An imported module without a spec.
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent.joinpath(*rest[:-1], f"{point.name}.toml")
    return path if path.is_file() else None
