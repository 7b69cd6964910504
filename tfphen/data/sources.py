"""Where data come from: embedded sources that need no download, and prepared tfds sets.

Only `fetch` ever uses the network. Only reading or fetching a tfds set imports TensorFlow.
"""

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfphen.data import image_classification, prepared
from tfphen.data.corruptions import corrupt
from tfphen.data.dataset import Dataset, Examples, Resolved
from tfphen.data.digits import digits
from tfphen.data.mixtures import gaussian_mixture
from tfphen.data.mnist1d import mnist1d
from tfphen.data.modular_arithmetic import modular_arithmetic
from tfphen.data.settings import checked_settings, whole_number
from tfphen.data.subsets import stratified_order
from tfphen.data.two_scales import two_scales
from tfphen.errors import MissingData, nearest
from tfphen.train.seeds import stream
from tfphen.trial import Data, FrozenMapping

EMBEDDED: dict[str, Callable[..., Dataset]] = {
    "digits": digits,
    "mnist1d": mnist1d,
    "gaussian_mixture": gaussian_mixture,
    "two_scales": two_scales,
    "modular_arithmetic": modular_arithmetic,
}


class Source(NamedTuple):
    """One line of `tfphen data list`.

    Args:
        name: What a trial calls the data.
        kind: `"embedded"` or `"tfds"`.
        found: `"built in"`, the folder of a prepared set, or None if it is not on this machine.
    """

    name: str
    kind: str
    found: str | None


def search_folders(data_dir: str | Path | None = None) -> list[Path]:
    """Returns where prepared tfds sets are looked for, in this order.

    `data_dir`, the environment variable `TFPHEN_DATA`, then tfds' own folder: `TFDS_DATA_DIR` or
    `~/tensorflow_datasets`.
    """
    own = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    named = (data_dir, os.environ.get("TFPHEN_DATA"), own)
    return list(dict.fromkeys(Path(folder).expanduser() for folder in named if folder))


def available(data_dir: str | Path | None = None) -> list[Source]:
    """Returns the embedded sources, the usual tfds sets, and every other prepared set found."""
    folders = search_folders(data_dir)
    rows = [Source(name, "embedded", "built in") for name in EMBEDDED]
    found = prepared.found_names(folders)
    for name in dict.fromkeys((*prepared.WELL_KNOWN, *found)):
        path = prepared.find(name, folders)
        rows.append(Source(name, "tfds", None if path is None else str(path)))
    return rows


def check(name: str, data_dir: str | Path | None = None) -> Source:
    """Returns where the data are, after checking that the files of a tfds set are whole.

    Raises:
        MissingData: They are not on this machine, or not whole.
        UsageError: `name` cannot be the name of a data set.
    """
    if name in EMBEDDED:
        return Source(name, "embedded", "built in")
    folders = search_folders(data_dir)
    path = prepared.find(name, folders)
    if path is None:
        known = (*EMBEDDED, *prepared.WELL_KNOWN)
        hint = "" if name in known else nearest(name, known)
        raise MissingData(
            f"Data set {name!r} is not in {' or '.join(str(folder) for folder in folders)}.{hint} "
            f"Get it with `tfphen data fetch {name} --data-dir DIR`, or place a prepared folder at "
            f"DIR/{name.split(':')[0]}/VERSION and set TFPHEN_DATA=DIR."
        )
    prepared.verify(path)
    return Source(name, "tfds", str(path))


def fetch(name: str, data_dir: str | Path | None = None) -> Source:
    """Downloads and prepares a tfds set, unless it is there. Nothing else ever downloads.

    Args:
        name: A tfds name.
        data_dir: Where to put it. Defaults to the first of `search_folders()`.

    Raises:
        UsageError: tfds does not know the set.
        MissingData: It could not be downloaded, with what to do by hand.
    """
    folders = search_folders(data_dir)
    if name not in EMBEDDED and prepared.find(name, folders) is None:
        image_classification.download(name, folders[0])
    return check(name, data_dir)


def load(
    name: str, options: Mapping[str, Any] | None = None, data_dir: str | Path | None = None
) -> Dataset:
    """Returns a data set with its own split.

    Args:
        name: An embedded source, or the tfds name of a prepared set.
        options: Settings of the source: the keyword arguments of the embedded source's function;
            `flatten` for a tfds set.
        data_dir: First folder in which a tfds set is looked for, see `search_folders`.

    Raises:
        MissingData: A tfds set that is not on this machine.
        UsageError: An option that the source does not have, or a value out of its range.
    """
    options = options or {}
    if name in EMBEDDED:
        settings = checked_settings(EMBEDDED[name], options, f"Data set {name!r}")
        return _generate(name, FrozenMapping(settings))
    folder = Path(check(name, data_dir).found)
    settings = checked_settings(image_classification.load, options, f"Data set {name!r}")
    return image_classification.load(folder, **settings)


@functools.lru_cache(maxsize=8)
def _generate(name: str, settings: FrozenMapping) -> Dataset:
    return EMBEDDED[name](**settings)


def resolve(
    data: Data, seed_of: Callable[[str], int], data_dir: str | Path | None = None
) -> Resolved:
    """Returns the data that a trial sees: loaded, split, cut to size, then corrupted.

    Streams, each with its own seed: `"split"` draws a seeded split, `"validation"` what is held out
    of its training part, `"subset"` (fold 0 for training, 1 for test) which examples are kept, and
    each corruption has the stream of its name (folded by 2, 3, ... where the same one is applied
    again). Corruptions act on training data only, except where a setting of theirs says otherwise.

    Args:
        data: Which data, see `tfphen.trial.Data`.
        seed_of: Gives the seed of a named stream, such as `Trial.seed_of`.
        data_dir: As in `load`.

    Raises:
        MissingData: A tfds set that is not on this machine.
        UsageError: More examples than there are, an unknown corruption, or a wrong setting.
    """
    dataset = load(data.name, data.options, data_dir)
    train = dataset.train_inputs, dataset.train_labels
    test = dataset.test_inputs, dataset.test_labels
    stratified = data.split == "seeded"
    if stratified:
        train, test = _redraw_split(train, test, stream(seed_of("split"), "split"))
    validation = None, None
    if data.validation is not None:
        whole_number("validation", data.validation, 1, len(train[1]) - 1)
        validation, train = _held_out(data.validation, train, stratified, seed_of)
    train = _first("train", data.train, train, stratified, seed_of)
    test = _first("test", data.test, test, stratified, seed_of)
    examples = Examples(*train, dataset.num_classes, test_inputs=test[0])
    applied: list[str] = []
    for spec in data.corruptions:
        earlier = applied.count(spec.name)
        fold = (1 + earlier,) if earlier else ()
        examples = corrupt(spec, examples, stream(seed_of(spec.name), spec.name, *fold))
        applied.append(spec.name)
    return Resolved(
        train_inputs=examples.inputs,
        train_labels=examples.labels,
        test_inputs=examples.test_inputs,
        test_labels=test[1],
        num_classes=dataset.num_classes,
        name=dataset.name,
        description=dataset.description,
        differs=dataset.differs,
        clean_labels=examples.clean_labels,
        transition_matrix=examples.transition_matrix,
        validation_inputs=validation[0],
        validation_labels=validation[1],
    )


Part = tuple[np.ndarray, np.ndarray]


def _redraw_split(train: Part, test: Part, generator: np.random.Generator) -> tuple[Part, Part]:
    """Pools both parts and draws a stratified split of the same sizes, in random order."""
    inputs, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    order = stratified_order(labels, generator)
    size = len(train[1])
    chosen, rest = generator.permutation(order[:size]), generator.permutation(order[size:])
    return (inputs[chosen], labels[chosen]), (inputs[rest], labels[rest])


def _held_out(
    size: int, examples: Part, stratified: bool, seed_of: Callable[[str], int]
) -> tuple[Part, Part]:
    """Returns `size` random examples, and the others in their own order."""
    inputs, labels = examples
    generator = stream(seed_of("validation"), "validation")
    if stratified:
        order = stratified_order(labels, generator)
    else:
        order = generator.permutation(len(labels))
    held, rest = order[:size], np.sort(order[size:])
    return (inputs[held], labels[held]), (inputs[rest], labels[rest])


def _first(
    part: str, size: int | None, examples: Part, stratified: bool, seed_of: Callable[[str], int]
) -> Part:
    """Returns `size` random examples; those of a smaller size are among those of a larger one."""
    if size is None:
        return examples
    inputs, labels = examples
    whole_number(part, size, 1, len(labels))
    generator = stream(seed_of("subset"), "subset", ("train", "test").index(part))
    if stratified:
        chosen = generator.permutation(stratified_order(labels, generator)[:size])
    else:
        chosen = generator.permutation(len(labels))[:size]
    return inputs[chosen], labels[chosen]
