"""Downloads from TensorFlow Datasets, with manual instructions where they fail.

TensorFlow Datasets is imported by the functions here, not with the module.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tfphen.core.errors import MissingData, UsageError, nearest
from tfphen.data.prepared import DEFAULT_CONFIGURATIONS
from tfphen.data.tfds_sets import first_line


def download(name: str, folder: Path) -> None:
    """Downloads and prepares tfds set `name` below `folder`.

    Files that are already in `folder/manual/NAME`, under their published names, are used instead
    of a download.

    Raises:
        UsageError: tfds does not know the set.
        MissingData: No network, a file with a wrong checksum, or files that tfds may not download.
    """
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import download_manager

    base = re.split("[:/]", name)[0]
    known = tfds.list_builders(with_community_datasets=False)
    if base not in known:
        raise UsageError(f"tfds has no data set {base!r}.{nearest(base, known)}")
    try:
        builder = tfds.builder(name, data_dir=folder)
    except (ValueError, AssertionError) as error:
        raise UsageError(f"tfds cannot build {name!r}: {first_line(error)}") from error
    if builder.builder_config and "/" not in name and base not in DEFAULT_CONFIGURATIONS:
        configurations = [f"{base}/{key}" for key in builder.builder_configs]
        raise UsageError(
            f"{base!r} comes in several forms: name one of {', '.join(configurations)}. "
            f"Received: {name!r}"
        )
    manual = folder / "manual" / base
    instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if instructions and not manual.is_dir():
        raise MissingData(
            f"{name!r} must be placed by hand in {manual}: {' '.join(instructions.split())}"
        )
    absent = {
        url: info.filename or url
        for url, info in (builder.url_infos or {}).items()
        if not _at_hand(url, info, manual, folder / "downloads")
    }
    # tfds retries a dead network for minutes and then does not say which files it wanted.
    if absent and not _reachable(absent):
        files = "; ".join(
            f"{filename} (sha256 {builder.url_infos[url].checksum})"
            for url, filename in absent.items()
        )
        raise MissingData(
            f"{name!r} cannot be downloaded: none of its servers answers. Try again with a "
            f"network, or place these files in {manual} and try again:\n{files}"
        )
    config = tfds.download.DownloadConfig(manual_dir=manual)
    try:
        builder.download_and_prepare(download_config=config)
    except download_manager.NonMatchingChecksumError as error:
        raise MissingData(
            f"A file of {name!r} is not the published one: {first_line(error)}"
        ) from error
    except (requests.RequestException, tfds.download.DownloadError, OSError) as error:
        raise MissingData(f"{name!r} could not be fetched: {first_line(error)}") from error


def _at_hand(url: str, info: Any, manual: Path, downloads: Path) -> bool:
    from tensorflow_datasets.core.download import resource

    if info.filename and (manual / info.filename).is_file():
        return True
    return any(downloads.rglob(resource.get_dl_fname(url, info.checksum)))


def _reachable(urls: Iterable[str]) -> bool:
    """Whether one of the first few servers responds, with any status."""
    import requests

    hosts = {url.split("/")[2]: url for url in urls if url.startswith("http")}
    for url in list(hosts.values())[:3]:
        try:
            requests.head(url, timeout=10)
        except requests.RequestException:
            continue
        return True
    return False
