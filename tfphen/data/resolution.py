"""Resolves a trial's data: splits, held-out examples, subsets and corruptions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.core.trial import Data, Spec
from tfphen.core.types import Array
from tfphen.data.corruptions import corrupt
from tfphen.data.dataset import Dataset, Examples, Resolved
from tfphen.data.sources import load
from tfphen.data.subsets import stratified_order

Part = tuple[Array, Array]


def resolve(
    data: Data,
    seed_of: Callable[[str], int],
    data_dir: str | Path | None = None,
    sources: Mapping[str, Callable[..., Dataset] | str] | None = None,
) -> Resolved:
    """Resolves the data of a trial: loads, splits, subsamples, then corrupts it.

    Streams, each with its own seed: `"split"` draws a seeded split, `"validation"` what is held out
    of its training part, `"subset"` (fold 0 for training, 1 for test) which examples are kept, and
    each corruption has the stream of its name (folded by 2, 3, ... where the same one is applied
    again), behind `"validation_"` for those of held-out examples. Corruptions act on training data
    only, except where a setting of theirs says otherwise. Extra evaluation sets are subsampled as
    the test split is, so that the same images are kept in each corrupted version.

    Args:
        data: The data, see `tfphen.core.trial.Data`.
        seed_of: Maps a stream's name to its seed, such as `Trial.seed_of`.
        data_dir: As in `load`.
        sources: As in `load`.

    Raises:
        MissingData: A tfds set is not on this machine.
        UsageError: More examples than available, an unknown class, an unknown corruption, or a
            wrong setting.
    """
    dataset = load(data.name, data.options, data_dir, sources)
    train = dataset.train_inputs, dataset.train_labels
    test = dataset.test_inputs, dataset.test_labels
    classes = dataset.num_classes
    further: dict[str, Part] = {}
    if data.classes is not None:
        train, further["other_train"] = _of_classes(data.classes, train, classes)
        test, further["other_test"] = _of_classes(data.classes, test, classes)
        classes = len(data.classes)
    for name, spec in data.further.items():
        further[name] = _of_source(spec, data, seed_of, data_dir, sources)
    stratified = data.split == "seeded"
    if stratified:
        train, test = _redraw_split(train, test, stream(seed_of("split"), "split"))
    held = None
    if data.validation is not None:
        checks.whole("validation", data.validation, 1, len(train[1]) - 1)
        part, train = _held_out(data.validation, train, stratified, seed_of)
        held = _corrupted(
            Examples(*part, classes), data.validation_corruptions, seed_of, "validation_"
        )
        further["validation"] = held.inputs, held.labels
    train = _first("train", data.train, train, stratified, seed_of)
    test = _first("test", data.test, test, stratified, seed_of)
    examples = Examples(*train, classes, test_inputs=test[0])
    examples = _corrupted(examples, data.corruptions, seed_of)
    if data.validation_in_training and held is not None:
        examples = examples.followed_by(held)
    return Resolved(
        train_inputs=examples.inputs,
        train_labels=examples.labels,
        test_inputs=test[0] if examples.test_inputs is None else examples.test_inputs,
        test_labels=test[1],
        num_classes=classes,
        name=dataset.name,
        description=dataset.description,
        differs=dataset.differs,
        clean_labels=examples.clean_labels,
        transition_matrix=examples.transition_matrix,
        further=further,
    )


def _of_classes(chosen: Sequence[int], examples: Part, num_classes: int) -> tuple[Part, Part]:
    """Returns the examples of some classes, relabeled by position among them, and the others."""
    if not set(chosen) <= set(range(num_classes)):
        raise UsageError(
            f"`classes` are of 0 to {num_classes - 1}. Received: classes={list(chosen)}"
        )
    inputs, labels = examples
    place = np.full(num_classes, -1)
    place[list(chosen)] = np.arange(len(chosen))
    kept = place[labels] >= 0
    return (inputs[kept], place[labels][kept]), (inputs[~kept], labels[~kept])


def _of_source(
    spec: Spec,
    data: Data,
    seed_of: Callable[[str], int],
    data_dir: str | Path | None,
    sources: Mapping[str, Callable[..., Dataset] | str] | None,
) -> Part:
    """Returns the test split of a source, see `Data.further`."""
    if spec.name == data.name and data.split == "seeded":
        raise UsageError(
            "A seeded split mixes a source's training and test examples, so its test split cannot "
            'be measured on as well: set split="own". '
            f"Received: further examples of {spec.name!r}, split='seeded'"
        )
    options = dict(spec.settings)
    size = options.pop("examples", None)
    dataset = load(spec.name, options, data_dir, sources)
    part = dataset.test_inputs, dataset.test_labels
    if spec.name == data.name and data.classes is not None:
        part, _ = _of_classes(data.classes, part, dataset.num_classes)
    return _first("test", size, part, False, seed_of)


def _corrupted(
    examples: Examples, specs: Sequence[Spec], seed_of: Callable[[str], int], prefix: str = ""
) -> Examples:
    applied: list[str] = []
    for spec in specs:
        earlier = applied.count(spec.name)
        fold = (1 + earlier,) if earlier else ()
        name = prefix + spec.name
        examples = corrupt(spec, examples, stream(seed_of(name), name, *fold))
        applied.append(spec.name)
    return examples


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
    """Returns `size` random examples, and the others in their original order."""
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
    """Returns `size` random examples; a smaller size gives a subset of a larger one."""
    if size is None:
        return examples
    inputs, labels = examples
    checks.whole(part, size, 1, len(labels))
    generator = stream(seed_of("subset"), "subset", ("train", "test").index(part))
    if stratified:
        chosen = generator.permutation(stratified_order(labels, generator)[:size])
    else:
        chosen = generator.permutation(len(labels))[:size]
    return inputs[chosen], labels[chosen]
