"""Data sources: embedded ones that need no download, and prepared tfds sets.

Only `fetch` ever uses the network. Only reading or fetching a tfds set imports TensorFlow.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tfphen.data.gasoline as gasoline
import tfphen.data.image_classification as image_classification
import tfphen.data.prepared as prepared
import tfphen.data.text_classification as text_classification
import tfphen.data.tfds_sets as tfds_sets
from tfphen.core import references
from tfphen.core.errors import MissingData, nearest
from tfphen.core.trial import FrozenMapping
from tfphen.data.dataset import Dataset
from tfphen.data.digits import digits
from tfphen.data.download import download
from tfphen.data.mixtures import gaussian_mixture
from tfphen.data.mnist1d import mnist1d
from tfphen.data.modular_arithmetic import modular_arithmetic
from tfphen.data.settings import checked_settings
from tfphen.data.two_scales import two_scales

EMBEDDED: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "mnist1d": mnist1d,
    "gaussian_mixture": gaussian_mixture,
    "two_scales": two_scales,
    "modular_arithmetic": modular_arithmetic,
}

# Files that users copy by hand: modules with `FILE`, `WHERE`, `read` and `load`.
COPIED = {"gasoline": gasoline}

_READERS: dict[str, Callable[..., Dataset]] = {
    "image": image_classification.load,
    "text": text_classification.load,
}


class Source(NamedTuple):
    """An entry of `tfphen data list`.

    Args:
        name: Name of the data in trials.
        kind: `"embedded"`, `"tfds"`, or `"file"` for one to be copied by hand.
        found: `"built in"`, the folder of a prepared set, the path of a file, or None if it is not
            on this machine.
    """

    name: str
    kind: str
    found: str | None


def search_folders(data_dir: str | Path | None = None) -> list[Path]:
    """Returns the folders to search for prepared tfds sets and files, in order.

    `data_dir`, the environment variable `TFPHEN_DATA`, then tfds' own folder: `TFDS_DATA_DIR` or
    `~/tensorflow_datasets`.
    """
    own = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    named = (data_dir, os.environ.get("TFPHEN_DATA"), own)
    return list(dict.fromkeys(Path(folder).expanduser() for folder in named if folder))


def available(data_dir: str | Path | None = None) -> list[Source]:
    """Lists the embedded sources, files, well-known tfds sets, and every other set found."""
    folders = search_folders(data_dir)
    rows = [Source(name, "embedded", "built in") for name in EMBEDDED]
    for name in COPIED:
        path = _copied(name, folders)
        rows.append(Source(name, "file", None if path is None else str(path)))
    found = prepared.found_names(folders)
    for name in dict.fromkeys((*prepared.WELL_KNOWN, *found)):
        path = prepared.find(name, folders)
        rows.append(Source(name, "tfds", None if path is None else str(path)))
    return rows


def check(name: str, data_dir: str | Path | None = None) -> Source:
    """Returns the location of a source, after verifying that its files are complete.

    Raises:
        MissingData: It is not on this machine, or incomplete.
        UsageError: `name` cannot be the name of a dataset.
    """
    if name in EMBEDDED:
        return Source(name, "embedded", "built in")
    folders = search_folders(data_dir)
    if name in COPIED:
        path = _copied(name, folders)
        if path is None:
            raise MissingData(
                f"{COPIED[name].FILE} is not in {' or '.join(str(folder) for folder in folders)}, "
                f"and cannot be fetched: it is copied by hand. {COPIED[name].WHERE}"
            )
        COPIED[name].read(path)
        return Source(name, "file", str(path))
    path = prepared.find(name, folders)
    if path is None:
        known = (*EMBEDDED, *COPIED, *prepared.WELL_KNOWN)
        hint = "" if name in known else nearest(name, known)
        raise MissingData(
            f"Data set {name!r} is not in {' or '.join(str(folder) for folder in folders)}.{hint} "
            f"Get it with `tfphen data fetch {name} --data-dir DIR`, or place a prepared folder at "
            f"DIR/{prepared.full_name(name)}/VERSION and set TFPHEN_DATA=DIR."
        )
    prepared.verify(path)
    return Source(name, "tfds", str(path))


def _copied(name: str, folders: Sequence[Path]) -> Path | None:
    """Returns the first such file in the folders, or None."""
    paths = (folder / COPIED[name].FILE for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def fetch(name: str, data_dir: str | Path | None = None) -> Source:
    """Downloads and prepares a tfds set if needed. Nothing else ever downloads.

    Args:
        name: A tfds name.
        data_dir: Where to put it. Defaults to the first of `search_folders()`.

    Raises:
        UsageError: tfds does not know the set.
        MissingData: The download failed or is impossible; the message gives manual instructions.
    """
    folders = search_folders(data_dir)
    if name not in (*EMBEDDED, *COPIED) and prepared.find(name, folders) is None:
        download(name, folders[0])
    return check(name, data_dir)


def load(
    name: str,
    options: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    sources: Mapping[str, Callable[..., Dataset] | str] | None = None,
) -> Dataset:
    """Returns a dataset with its own split.

    Args:
        name: An embedded source, or the tfds name of a prepared set.
        options: Settings of the source: the keyword arguments of the embedded source's function;
            those of `image_classification.load` or `text_classification.load` for a tfds set; of
            the module's `load` for a file that is copied by hand.
        data_dir: First folder to search for a tfds set, see `search_folders`.
        sources: Additional sources by name, functions of their settings like the embedded ones. One
            with the keyword `data_dir`, which is not a setting, gets the folder and can read tfds
            sets from it.

    Raises:
        MissingData: A tfds set is not on this machine.
        UsageError: An unknown option, or a value out of range.
    """
    options = options or {}
    generators = {**EMBEDDED, **(sources or {})}
    if name in generators:
        generator = references.load(generators[name])
        settings = checked_settings(generator, options, f"Data set {name!r}", given=("data_dir",))
        folder = None if data_dir is None else str(data_dir)
        return _generate(generator, FrozenMapping(settings), folder)
    path = Path(str(check(name, data_dir).found))
    read = COPIED[name].load if name in COPIED else _READERS[tfds_sets.opened(path).kind]
    return read(path, **checked_settings(read, options, f"Data set {name!r}"))


@functools.lru_cache(maxsize=8)
def _generate(
    generator: Callable[..., Dataset], settings: FrozenMapping, data_dir: str | None
) -> Dataset:
    if "data_dir" in inspect.signature(generator).parameters:
        return generator(**settings, data_dir=data_dir)
    return generator(**settings)
