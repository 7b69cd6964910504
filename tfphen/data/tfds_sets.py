"""Common parts of the readers of prepared TensorFlow Datasets.

TensorFlow is imported by the functions here, not with the module.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tfphen.core.errors import MissingData, UsageError
from tfphen.core.types import Array


class Opened(NamedTuple):
    """A prepared set of inputs with one class label each.

    Args:
        builder: Its tfds builder.
        kind: `"image"` or `"text"`.
        keys: Names of the input and of the label.
        test_split: Name of the test split: `"test"`, else `"validation"`.
        description: One sentence.
    """

    builder: Any
    kind: str
    keys: tuple[str, str]
    test_split: str
    description: str

    @property
    def features(self) -> tuple[Any, Any]:
        """The tfds features of the input and of the label."""
        return tuple(self.builder.info.features[key] for key in self.keys)


@functools.lru_cache(maxsize=8)
def opened(folder: Path) -> Opened:
    """Inspects the features and splits of a prepared set, without reading its examples.

    Raises:
        UsageError: Neither images nor texts with one class label each, or no split to train or to
            test on.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    info = builder.info
    kind = _kind(info, tfds)
    test_split = next((split for split in ("test", "validation") if split in info.splits), None)
    if "train" not in info.splits or test_split is None:
        raise UsageError(
            f"Data set {info.name!r} needs a train split and a test or validation split. "
            f"Received: splits {sorted(info.splits)}"
        )
    sentence = (info.description or "").strip().split("\n", 1)[0]
    if test_split != "test":
        sentence = f"{sentence} Tested on its {test_split}."
    return Opened(builder, kind, info.supervised_keys, test_split, sentence)


def _kind(info: Any, tfds: Any) -> str:
    keys = info.supervised_keys
    if isinstance(keys, tuple) and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        given, label = (info.features[key] for key in keys)
        if isinstance(label, tfds.features.ClassLabel):
            if isinstance(given, tfds.features.Image):
                return "image"
            # Sets of the time before plain text hold numbers of an encoder of their own.
            if isinstance(given, tfds.features.Text) and given.shape == ():
                return "text"
    raise UsageError(
        f"Data set {info.name!r} is neither one of images nor one of texts with one class label "
        f"each. Received: supervised_keys={keys}, features {', '.join(info.features)}"
    )


def batches(
    builder: Any, split: str, decoders: dict[str, Any] | None = None
) -> Iterator[tuple[Array, Array]]:
    """Yields inputs and labels of a split in the order of its files, a thousand at a time.

    Raises:
        MissingData: The files are damaged.
        UsageError: An example without a label.
    """
    import tensorflow as tf

    examples = builder.as_dataset(
        split=split, shuffle_files=False, as_supervised=True, decoders=decoders
    )
    try:
        for inputs, labels in examples.batch(1000).as_numpy_iterator():
            if labels.min() < 0:
                raise UsageError(
                    f"Every example needs a label. Received: label {labels.min()} in split "
                    f"{split!r} of data set {builder.info.name!r}"
                )
            yield inputs, labels
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        raise MissingData(
            f"Split {split!r} in {builder.data_dir} is damaged ({first_line(error)}). "
            "Delete that folder and fetch or copy it again."
        ) from error


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, or its class name if it has none."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
