"""Image classification sets of TensorFlow Datasets: read whole into memory, or downloaded.

TensorFlow is imported by the functions here, not with the module.
"""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tfphen.data.dataset import Dataset
from tfphen.data.prepared import WELL_KNOWN
from tfphen.data.settings import boolean
from tfphen.errors import MissingData, UsageError, nearest


def load(folder: Path, *, flatten: bool = False) -> Dataset:
    """Reads a prepared set: pixels in [0, 1], images `(n, height, width, channels)`.

    Args:
        folder: The version folder, as from `prepared.find`.
        flatten: True gives inputs `(n, height * width * channels)`.

    Raises:
        UsageError: Not a set of images of one size with one class label each, or no test split.
        MissingData: The files are damaged.
    """
    boolean("flatten", flatten)
    dataset = _read(folder)
    if not flatten:
        return dataset
    return Dataset(
        dataset.train_inputs.reshape(len(dataset.train_inputs), -1),
        dataset.train_labels,
        dataset.test_inputs.reshape(len(dataset.test_inputs), -1),
        dataset.test_labels,
        num_classes=dataset.num_classes,
        name=dataset.name,
        description=dataset.description,
        differs=dataset.differs,
    )


@functools.lru_cache(maxsize=2)
def _read(folder: Path) -> Dataset:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    info = builder.info
    image_key, label_key = _keys(info, tfds)
    test_split = next((split for split in ("test", "validation") if split in info.splits), None)
    if "train" not in info.splits or test_split is None:
        raise UsageError(
            f"Data set {info.name!r} needs a train split and a test or validation split. "
            f"Received: splits {sorted(info.splits)}"
        )
    jpeg = _holds_jpeg(builder, image_key, tfds)
    declared = info.features[image_key].encoding_format == "jpeg"
    reencoded = jpeg and (not declared or info.name in WELL_KNOWN)
    sentence = (info.description or "").strip().split("\n", 1)[0]
    decoders = {image_key: _accurate_jpeg_decoder(tfds)} if jpeg else None
    return Dataset(
        *_arrays(builder, "train", image_key, decoders),
        *_arrays(builder, test_split, image_key, decoders),
        num_classes=info.features[label_key].num_classes,
        name=f"{info.name} (jpeg)" if reencoded else info.name,
        description=sentence if test_split == "test" else f"{sentence} Tested on its {test_split}.",
        differs=("images re-encoded as JPEG",) if reencoded else (),
    )


def _keys(info: Any, tfds: Any) -> tuple[str, str]:
    keys = info.supervised_keys
    if isinstance(keys, tuple) and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = (info.features[key] for key in keys)
        if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
            if None in image.shape:
                raise UsageError(
                    f"The images of data set {info.name!r} differ in size, and only images of one "
                    f"size can be read whole. Received: shape {image.shape}"
                )
            return keys
    raise UsageError(
        f"Data set {info.name!r} is not one of images with one class label each. "
        f"Received: supervised_keys={keys}"
    )


def _holds_jpeg(builder: Any, image_key: str, tfds: Any) -> bool:
    decoders = {image_key: tfds.decode.SkipDecoding()}
    first = builder.as_dataset(split="train", decoders=decoders).take(1).as_numpy_iterator()
    return next(first)[image_key].startswith(b"\xff\xd8\xff")


def _accurate_jpeg_decoder(tfds: Any) -> Any:
    import tensorflow as tf

    # TensorFlow's default is the fast transform, which moves pixels by about one grey level each
    # and the mean colour of CIFAR-10 by 0.005. The accurate one gives what other libraries give.
    @tfds.decode.make_decoder()
    def decode(serialized, feature):
        image = tf.io.decode_jpeg(
            serialized, channels=feature.shape[-1], dct_method="INTEGER_ACCURATE"
        )
        image.set_shape(feature.shape)
        return image

    return decode()


def _arrays(
    builder: Any, split: str, image_key: str, decoders: dict[str, Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf

    size = builder.info.splits[split].num_examples
    image = builder.info.features[image_key]
    largest = np.iinfo(image.np_dtype).max if np.issubdtype(image.np_dtype, np.integer) else 1
    inputs = np.empty((size, *image.shape), dtype=np.float32)
    labels = np.empty(size, dtype=np.int32)
    examples = builder.as_dataset(
        split=split, shuffle_files=False, as_supervised=True, decoders=decoders
    )
    start = 0
    try:
        for images, classes in examples.batch(1000).as_numpy_iterator():
            stop = start + len(classes)
            np.divide(images, np.float32(largest), out=inputs[start:stop])
            labels[start:stop] = classes
            start = stop
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise MissingData(
            f"Split {split!r} in {builder.data_dir} is damaged ({_first_line(error)}). "
            "Delete that folder and fetch or copy it again."
        ) from error
    return inputs, labels


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
        raise UsageError(f"tfds cannot build {name!r}: {_first_line(error)}") from error
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
            f"A file of {name!r} is not the published one: {_first_line(error)}"
        ) from error
    except (requests.RequestException, tfds.download.DownloadError, OSError) as error:
        raise MissingData(f"{name!r} could not be fetched: {_first_line(error)}") from error


def _at_hand(url: str, info: Any, manual: Path, downloads: Path) -> bool:
    from tensorflow_datasets.core.download import resource

    if info.filename and (manual / info.filename).is_file():
        return True
    return any(downloads.rglob(resource.get_dl_fname(url, info.checksum)))


def _reachable(urls: Iterable[str]) -> bool:
    """Says whether one of the first few servers answers at all, with whatever status."""
    import requests

    hosts = {url.split("/")[2]: url for url in urls if url.startswith("http")}
    for url in list(hosts.values())[:3]:
        try:
            requests.head(url, timeout=10)
        except requests.RequestException:
            continue
        return True
    return False


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
