"""Text classification sets of TensorFlow Datasets, read whole into memory as token numbers.

TensorFlow is imported on reading, not with the module."""

import functools
import re
from pathlib import Path

import numpy as np

from tfphen.core import checks
from tfphen.core.types import Array
from tfphen.data.dataset import Dataset
from tfphen.data.tfds_sets import Opened, batches, opened

PADDING, UNKNOWN = 0, 1

_BREAK = re.compile(r"<br\s*/?>")
_WORD = re.compile(r"[^\W_]+")


def load(folder: Path, *, vocabulary_size: int = 10_000, length: int = 250) -> Dataset:
    """Reads a prepared set as token ids `[n, length]`, as the sequence models expect.

    The vocabulary is that of the whole training split, whatever part of it a trial keeps: of
    `vocabulary_size` tokens 0 is padding, 1 any word that has no number, and the numbers from 2 on
    are the most frequent words, by falling count, then in the order of their characters. The last
    `length` words of a text are kept; a shorter one is padded in front.

    Token numbers are float32, as all inputs of a `Dataset`, and exact.

    Args:
        folder: The version folder, as from `prepared.find`.
        vocabulary_size: Number of different tokens, padding and unknown words included.
        length: Tokens of each text.

    Raises:
        UsageError: Not a set of texts with one class label each, or no test split.
        MissingData: The files are damaged.
    """
    # Whole numbers up to 2**24 are exact in float32.
    checks.whole("vocabulary_size", vocabulary_size, 3, 2**24)
    checks.whole("length", length, 1)
    return _read(folder, vocabulary_size, length)


def words(text: str) -> list[str]:
    """Returns the words of a text, in order.

    The text is put into lower case and its HTML line breaks (`<br>`, `<br/>`, `<br />`) are taken
    for spaces. A word is then a longest run of letters and digits of any script: all other
    characters, apostrophes and underscores included, only separate.

    >>> words("It doesn't work.<br />10/10!")
    ['it', 'doesn', 't', 'work', '10', '10']
    """
    return _WORD.findall(_BREAK.sub(" ", text.lower()))


@functools.lru_cache(maxsize=2)
def _read(folder: Path, vocabulary_size: int, length: int) -> Dataset:
    found = opened(folder)
    known: dict[str, int] = {}
    train, train_labels = _texts(found, "train", known, grow=True)
    test, test_labels = _texts(found, found.test_split, known, grow=False)
    tokens = _tokens(known, train, vocabulary_size)
    return Dataset(
        _padded(train, tokens, length),
        train_labels,
        _padded(test, tokens, length),
        test_labels,
        num_classes=found.features[1].num_classes,
        name=found.builder.info.name,
        description=found.description,
    )


def _texts(
    found: Opened, split: str, known: dict[str, int], grow: bool
) -> tuple[list[Array], Array]:
    """Returns each text as places of its words in `known`, -1 for a word that is not there.

    Args:
        found: The set.
        split: Which texts.
        known: Words and their places; words that are new are added when `grow`.
        grow: Whether to add words.
    """
    texts, labels = [], []
    for inputs, classes in batches(found.builder, split):
        for text in inputs:
            split_up = words(text.decode("utf-8", "replace"))
            if grow:
                places = [known.setdefault(word, len(known)) for word in split_up]
            else:
                places = [known.get(word, -1) for word in split_up]
            texts.append(np.asarray(places, dtype=np.int32))
        labels.append(classes)
    return texts, np.concatenate(labels)


def _tokens(known: dict[str, int], texts: list[Array], vocabulary_size: int) -> Array:
    """Returns the token number of each place of `known`, and behind them that of a new word."""
    counts = np.bincount(np.concatenate(texts), minlength=len(known))
    ranked = sorted(known, key=lambda word: (-counts[known[word]], word))
    tokens = np.full(len(known) + 1, UNKNOWN, dtype=np.int32)
    for number, word in enumerate(ranked[: vocabulary_size - 2], start=2):
        tokens[known[word]] = number
    return tokens


def _padded(texts: list[Array], tokens: Array, length: int) -> Array:
    padded = np.full((len(texts), length), PADDING, dtype=np.float32)
    for row, places in zip(padded, texts, strict=True):
        kept = places[-length:]
        row[length - len(kept) :] = tokens[kept]
    return padded
