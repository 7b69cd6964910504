"""Locates prepared TensorFlow Datasets folders and verifies their files.

Nothing here imports TensorFlow.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from tfphen.core.errors import MissingData, UsageError

# The images are all published without loss: JPEG files of these are a re-encoding, whatever is
# declared.
WELL_KNOWN = (
    "mnist",
    "fashion_mnist",
    "kmnist",
    "emnist",
    "cifar10",
    "cifar100",
    "svhn_cropped",
    "imdb_reviews",
)
# What tfds takes for the name alone, of sets that it prepares in several forms.
DEFAULT_CONFIGURATIONS = {"emnist": "byclass", "imdb_reviews": "plain_text"}

_NAME = re.compile(r"(?P<set>[A-Za-z]\w*(/\w[\w.\-]*)?)(:(?P<version>\d+\.\d+\.\d+))?")
_TFRECORD_OVERHEAD = 16  # bytes around each record: its length and two checksums


def find(name: str, folders: Iterable[Path]) -> Path | None:
    """Returns the prepared folder of tfds set `name` with the highest version, or None.

    Args:
        name: A tfds name, with `/config` and `:version` if wanted.
        folders: Where to look for `NAME/VERSION` and `tfds/NAME/VERSION`, in this order. Of a set
            in `DEFAULT_CONFIGURATIONS`, the name alone is also that configuration.

    Raises:
        UsageError: `name` cannot be the name of a dataset.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(
            f"A data set is named by letters, digits and underscores. Received: name={name!r}"
        )
    places = dict.fromkeys((match["set"], full_name(match["set"])))
    for folder in folders:
        for base in (folder, folder / "tfds"):
            found = [
                info.parent
                for place in places
                for info in (base / place).glob("*/dataset_info.json")
                if re.fullmatch(r"\d+\.\d+\.\d+", info.parent.name)
                and match["version"] in (None, info.parent.name)
            ]
            if found:
                return max(found, key=lambda path: [int(n) for n in path.name.split(".")])
    return None


def full_name(name: str) -> str:
    """Returns a tfds name, without a version, with the configuration that it stands for."""
    base = name.split(":")[0]
    default = DEFAULT_CONFIGURATIONS.get(base)
    return base if default is None else f"{base}/{default}"


def found_names(folders: Iterable[Path]) -> list[str]:
    """Returns the names of all prepared sets below `folders`, sorted, the shorter where two fit."""
    names = set()
    shorter = {full_name(name): name for name in DEFAULT_CONFIGURATIONS}
    for folder in folders:
        for base in (folder, folder / "tfds"):
            for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json"):
                for info in base.glob(pattern):
                    name = info.parent.parent.relative_to(base).as_posix()
                    # `tfds` is the subfolder that is looked into, not a set with a configuration.
                    if _NAME.fullmatch(name) and not name.startswith("tfds/"):
                        names.add(shorter.get(name, name))
    return sorted(names)


def verify(folder: Path) -> None:
    """Verifies by name and size that a prepared set is complete.

    Raises:
        MissingData: A file is missing, cut short or unreadable.
    """
    again = "Delete that folder and fetch or copy it again."
    try:
        info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
        splits = [
            (
                split["name"],
                split.get("filepathTemplate", ""),
                [int(length) for length in split["shardLengths"]],
                int(split["numBytes"]),
            )
            for split in info["splits"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingData(
            f"{folder / 'dataset_info.json'} cannot be read ({error!r}). {again}"
        ) from error
    if not (folder / "features.json").is_file():
        raise MissingData(f"{folder / 'features.json'} is missing. {again}")
    if info.get("fileFormat") != "tfrecord":
        return  # The size rule below is the one of this format.
    for split, template, lengths, num_bytes in splits:
        size = 0
        for shard in range(len(lengths)):
            path = folder / (
                (template or "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}")
                .replace("{DATASET}", info["name"])
                .replace("{SPLIT}", split)
                .replace("{FILEFORMAT}", "tfrecord")
                .replace("{SHARD_X_OF_Y}", f"{shard:05d}-of-{len(lengths):05d}")
            )
            if not path.is_file():
                raise MissingData(f"{path} is missing. {again}")
            size += path.stat().st_size
        expected = num_bytes + _TFRECORD_OVERHEAD * sum(lengths)
        if size != expected:
            raise MissingData(
                f"Split {split!r} in {folder} has {size} bytes instead of {expected}. {again}"
            )
