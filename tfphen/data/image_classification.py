"""Image classification sets of TensorFlow Datasets, read whole into memory.

TensorFlow is imported by the functions here, not with the module.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.types import Array
from tfphen.data.dataset import Dataset
from tfphen.data.image_corruptions import corrupt_images
from tfphen.data.prepared import WELL_KNOWN
from tfphen.data.tfds_sets import Opened, batches, opened


def load(
    folder: Path,
    *,
    flatten: bool = False,
    mean: Sequence[float] | None = None,
    deviation: Sequence[float] | None = None,
    corruption: str | None = None,
    severity: int = 1,
) -> Dataset:
    """Reads a prepared set: images `[n, height, width, channels]`.

    Pixels x are in [0, 1], and become `(x - mean) / deviation` of their channel.

    Args:
        folder: The version folder, as from `prepared.find`.
        flatten: True gives inputs `[n, height * width * channels]`.
        mean: One number per channel; None for 0.
        deviation: One number per channel, above 0; None for 1.
        corruption: Corruption of the pixels of the test images, one of
            `image_corruptions.CORRUPTIONS`, or None.
        severity: Severity of the corruption, from 1 to 5.

    Raises:
        UsageError: Not a set of images of one size with one class label each, or no test split;
            more or fewer means or deviations than channels, or a deviation that is not positive.
        MissingData: The files are damaged.
    """
    checks.boolean("flatten", flatten)
    scale = _numbers("mean", mean), _numbers("deviation", deviation)
    dataset = _read(folder, *scale)
    if corruption is None and not flatten:
        return dataset
    train, test = dataset.train_inputs, dataset.test_inputs
    if corruption is not None:
        test = _corrupted_test(folder, *scale, corruption, severity)
    if flatten:
        train, test = (part.reshape(len(part), -1) for part in (train, test))
    return dataclasses.replace(dataset, train_inputs=train, test_inputs=test)


def _numbers(name: str, values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    if not isinstance(values, (list, tuple)):
        raise UsageError(f"`{name}` is a list, one number a channel. Received: {name}={values!r}")
    numbers = tuple(checks.number(name, value) for value in values)
    if name == "deviation" and min(numbers, default=1.0) <= 0:
        raise UsageError(f"Each `deviation` must be above 0. Received: deviation={numbers}")
    return numbers


@functools.lru_cache(maxsize=16)
def _corrupted_test(
    folder: Path,
    mean: tuple[float, ...] | None,
    deviation: tuple[float, ...] | None,
    corruption: str,
    severity: int,
) -> Array:
    """Returns the test images with corrupted pixels, standardized afterwards as the others are."""
    shift = np.asarray(mean or 0.0, np.float32)
    scale = np.asarray(deviation or 1.0, np.float32)
    pixels = np.clip(_read(folder, mean, deviation).test_inputs * scale + shift, 0.0, 1.0)
    generator = stream(0, "image_corruption")
    return (corrupt_images(pixels, corruption, severity, generator) - shift) / scale


@functools.lru_cache(maxsize=2)
def _read(
    folder: Path, mean: tuple[float, ...] | None, deviation: tuple[float, ...] | None
) -> Dataset:
    import tensorflow_datasets as tfds

    found = opened(folder)
    info, (image, label) = found.builder.info, found.features
    if None in image.shape:
        raise UsageError(
            f"The images of data set {info.name!r} differ in size, and only images of one "
            f"size can be read whole. Received: shape {image.shape}"
        )
    for name, values in (("mean", mean), ("deviation", deviation)):
        if values is not None and len(values) != image.shape[-1]:
            raise UsageError(
                f"`{name}` needs one number for each of the {image.shape[-1]} channels of "
                f"{info.name!r}. Received: {name}={values}"
            )
    jpeg = _holds_jpeg(found, tfds)
    reencoded = jpeg and (image.encoding_format != "jpeg" or info.name in WELL_KNOWN)
    decoders = {found.keys[0]: _accurate_jpeg_decoder(tfds)} if jpeg else None
    return Dataset(
        *_arrays(found, "train", decoders, mean, deviation),
        *_arrays(found, found.test_split, decoders, mean, deviation),
        num_classes=label.num_classes,
        name=f"{info.name} (jpeg)" if reencoded else info.name,
        description=found.description,
        differs=("images re-encoded as JPEG",) if reencoded else (),
    )


def _holds_jpeg(found: Opened, tfds: Any) -> bool:
    decoders = {found.keys[0]: tfds.decode.SkipDecoding()}
    examples = found.builder.as_dataset(split="train", decoders=decoders)
    first = next(examples.take(1).as_numpy_iterator())
    return first[found.keys[0]].startswith(b"\xff\xd8\xff")


def _accurate_jpeg_decoder(tfds: Any) -> Any:
    import tensorflow as tf

    # TensorFlow's default is the fast transform, which moves pixels by about one gray level each
    # and the mean color of CIFAR-10 by 0.005. The accurate one gives what other libraries give.
    @tfds.decode.make_decoder()
    def decode(serialized: Any, feature: Any) -> Any:
        image = tf.io.decode_jpeg(
            serialized, channels=feature.shape[-1], dct_method="INTEGER_ACCURATE"
        )
        image.set_shape(feature.shape)
        return image

    return decode()


def _arrays(
    found: Opened,
    split: str,
    decoders: dict[str, Any] | None,
    mean: tuple[float, ...] | None,
    deviation: tuple[float, ...] | None,
) -> tuple[Array, Array]:
    size = found.builder.info.splits[split].num_examples
    image, _ = found.features
    largest = np.iinfo(image.np_dtype).max if np.issubdtype(image.np_dtype, np.integer) else 1
    inputs = np.empty((size, *image.shape), dtype=np.float32)
    labels = np.empty(size, dtype=np.int32)
    start = 0
    for images, classes in batches(found.builder, split, decoders):
        stop = start + len(classes)
        part = inputs[start:stop]
        np.divide(images, np.float32(largest), out=part)
        if mean is not None:
            part -= np.asarray(mean, np.float32)
        if deviation is not None:
            part /= np.asarray(deviation, np.float32)
        labels[start:stop] = classes
        start = stop
    return inputs, labels
