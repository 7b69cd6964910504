"""Trials: training runs as plain data, with model, data, length and seed.

Nothing here runs anything. A trial's identity is a hash of its non-default settings, so a field
added later with a no-op default leaves old records valid.
"""

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from tfphen.core.errors import UsageError


def freeze(value: Any) -> Any:
    """Returns `value` as hashable plain data: tuples for lists, sorted pairs for mappings."""
    if isinstance(value, (Spec, Result, str, bool, int, type(None))):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"A setting must be a finite number. Received: {value}")
        return value
    if isinstance(value, Mapping):
        return FrozenMapping(value)
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return freeze(value.item())
    raise UsageError(
        "A setting must be plain data (numbers, strings, lists, mappings of them). "
        f"Received: {value!r} of type {type(value).__name__}"
    )


class FrozenMapping(Mapping[str, Any]):
    """An immutable mapping of plain data. Equality and hash ignore the order of keys."""

    def __init__(self, items: Mapping[str, Any] | None = None):
        self._items = {str(key): freeze(value) for key, value in sorted((items or {}).items())}

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


class Spec:
    """A function or class by name, with its settings, as plain data.

    Args:
        name: Name in a registry, such as `"mlp"`, `"sgd"` or `"forward_correction"`.
        **settings: Its keyword arguments, plain data.

    Example:

    >>> Spec("sgd", learning_rate=0.1)
    sgd(learning_rate=0.1)
    """

    __slots__ = ("name", "settings")

    name: str
    settings: FrozenMapping

    def __init__(self, name: str, **settings: Any):
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "settings", FrozenMapping(settings))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"A Spec is immutable. Received: {name}={value!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and (self.name, self.settings) == (
            other.name,
            other.settings,
        )

    def __hash__(self) -> int:
        return hash((self.name, self.settings))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.settings.items())})"


# Names of the splits that a data source and `Data` produce.
SPLITS = ("train", "test", "validation", "other_train", "other_test")


@dataclasses.dataclass(frozen=True)
class Data:
    """The data of a trial.

    Args:
        name: A data source, see `tfphen data list`.
        train: Number of training examples, or None for all.
        test: Number of test examples, or None for all.
        split: `"own"` keeps the source's split; `"seeded"` pools it and draws a new stratified one.
        corruptions: Applied in order to the training data only, see `tfphen.data.corruptions`.
        options: Settings of the source, such as `{"flatten": True}`.
        validation: Number of training examples held out as the split `"validation"`: before
            `train` of the others are drawn, and before any corruption.
        validation_corruptions: Applied in order to the held-out examples.
        validation_in_training: Whether the held-out examples, with their corruptions, are added to
            the training set after its own corruption.
        classes: Classes to keep, relabeled by their position in the list; None for all. Examples of
            the others form the splits `"other_train"` and `"other_test"`, with their own labels.
        further: Extra evaluation sets by split name: the test split of a source with
            its options, such as `{"mnist": Spec("mnist", flatten=True)}`, with its own labels;
            the option `examples` keeps a random subset of that size. Of the trial's own source only
            `classes` are kept.
    """

    name: str = "digits"
    train: int | None = None
    test: int | None = None
    split: str = "own"
    corruptions: tuple[Spec, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=FrozenMapping)
    validation: int | None = None
    validation_corruptions: tuple[Spec, ...] = ()
    validation_in_training: bool = False
    classes: tuple[int, ...] | None = None
    further: Mapping[str, Spec] = dataclasses.field(default_factory=FrozenMapping)

    def __post_init__(self) -> None:
        object.__setattr__(self, "corruptions", tuple(self.corruptions))
        object.__setattr__(self, "validation_corruptions", tuple(self.validation_corruptions))
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(self.classes))
            if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
                raise UsageError(
                    "`classes` names at least two different classes. "
                    f"Received: classes={list(self.classes)}"
                )
        needs_some = self.validation_corruptions or self.validation_in_training
        if needs_some and self.validation is None:
            raise UsageError(
                "`validation_corruptions` and `validation_in_training` need `validation`, the "
                "number of held-out examples. Received: validation=None"
            )
        object.__setattr__(self, "options", FrozenMapping(self.options))
        object.__setattr__(self, "further", FrozenMapping(self.further))
        taken = sorted(set(self.further) & set(SPLITS))
        if taken or not all(isinstance(spec, Spec) for spec in self.further.values()):
            raise UsageError(
                "`further` holds a `Spec` of a source by the name of each split, which is none of "
                f"{', '.join(SPLITS)}. Received: further={self.further!r}"
            )
        if self.split not in ("own", "seeded"):
            raise UsageError(f'`split` is "own" or "seeded". Received: split={self.split!r}')


@dataclasses.dataclass(frozen=True)
class Result:
    """An array from another trial's record, used as an input: a noise matrix, weights, a mask.

    Args:
        trial: The trial to run first.
        array: The name of an array in its record.
    """

    trial: "Trial"
    array: str


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training run as plain data.

    Args:
        model: Model builder of `tfphen.models`, or of the phenomenon.
        data: The examples.
        objective: The training objective, see `tfphen.train.objectives`.
        optimizer: A stock Keras optimizer by name with its settings.
        schedule: Learning-rate schedule, relative to the optimizer's own rate.
        batch_size: Global batch size; None trains on the full batch.
        epochs: Length in passes over the trial's own training set; or give `steps`.
        steps: Length in updates.
        seed: Seed of all random streams.
        stream_seeds: Seeds of single streams that differ from it, such as `{"split": 3}`.
        curve: Steps after which the curve measures are taken, besides the end.
        stop_at_loss: Mean training loss at or below which the weights are frozen.
        inputs: Arrays from other trials' records, by their names in the objective or `start`.
        start: Initial weights: `drawn` from the seed, or one of the phenomenon's `starts`.
        measures: Names of the measures to take, of the phenomenon's `measures` and
            `curve_measures`; None takes all.
        record_every: Records the loss, and the inputs of the phenomenon's step hook, every
            `record_every` updates.
        augmentation: Random transformation of a batch's inputs, see `tfphen.train.augmentation`.
        mixing: Mixing of the examples of a batch, see `tfphen.population.mixup`.
        constants: Numbers, or lists of them, that the objective reads by name. Trials that differ
            only in these train in one population.
        solver: A solver to use instead of gradient descent: `least_squares`, or one of the
            phenomenon's `solvers`. It needs neither `epochs` nor `steps`.
        tags: Columns of the findings table; not part of the identity.
    """

    model: Spec
    data: Data = Data()
    objective: Spec = Spec("cross_entropy")
    optimizer: Spec = Spec("adam")
    schedule: Spec = Spec("constant")
    batch_size: int | None = 128
    epochs: float | None = None
    steps: int | None = None
    seed: int = 0
    stream_seeds: Mapping[str, int] = dataclasses.field(default_factory=FrozenMapping)
    curve: tuple[int, ...] = ()
    stop_at_loss: float | None = None
    inputs: Mapping[str, Result] = dataclasses.field(default_factory=FrozenMapping)
    start: Spec = Spec("drawn")
    measures: tuple[str, ...] | None = None
    record_every: int | None = None
    augmentation: Spec = Spec("none")
    mixing: Spec = Spec("none")
    constants: Mapping[str, Any] = dataclasses.field(default_factory=FrozenMapping)
    solver: Spec | None = None
    tags: Mapping[str, Any] = dataclasses.field(default_factory=FrozenMapping, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stream_seeds", FrozenMapping(self.stream_seeds))
        object.__setattr__(self, "inputs", FrozenMapping(self.inputs))
        object.__setattr__(self, "constants", FrozenMapping(self.constants))
        object.__setattr__(self, "tags", FrozenMapping(self.tags))
        object.__setattr__(self, "curve", tuple(self.curve))
        if self.measures is not None:
            object.__setattr__(self, "measures", tuple(self.measures))
        lengths = (self.epochs is not None) + (self.steps is not None)
        if lengths == 2 or (lengths == 0 and self.solver is None):
            raise UsageError(
                "A trial has either `epochs` or `steps`. "
                f"Received: epochs={self.epochs}, steps={self.steps}"
            )
        for name in ("batch_size", "epochs", "steps", "record_every"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"`{name}` must be positive. Received: {name}={value}")
        if self.seed < 0:
            raise UsageError(f"`seed` must not be negative. Received: seed={self.seed}")

    # By the cached identity: a comparison of fields would walk a chain of trials many times.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trial) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def seed_of(self, stream: str) -> int:
        """Returns the seed of a named random stream."""
        return self.stream_seeds.get(stream, self.seed)

    # Cached: trials at the end of a long chain hold all others several times over.
    @functools.cached_property
    def id(self) -> str:
        """The trial's identity: 16 hexadecimal digits, a hash of its non-default settings."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @functools.cached_property
    def level(self) -> int:
        """Depth in the graph of dependencies: 0 for a trial that needs no other trial."""
        return 1 + max((result.trial.level for result in self.inputs.values()), default=-1)

    @functools.cached_property
    def former_id(self) -> str:
        """The id of this trial in records before 0.2, in which solvers were optimizers."""
        text = json.dumps(_former(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Returns the settings that differ from their defaults as JSON data, without the tags."""
        return _non_default(self)


def _former(trial: Trial) -> dict[str, Any]:
    settings = trial.to_json()
    if (solver := settings.pop("solver", None)) is not None:
        settings["optimizer"] = solver
    if trial.inputs:
        settings["inputs"] = {
            name: {"trial": result.trial.former_id, "array": result.array}
            for name, result in sorted(trial.inputs.items())
        }
    return settings


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return {"name": value.name, **{k: _plain(v) for k, v in value.settings.items()}}
    if isinstance(value, Result):
        return {"trial": value.trial.id, "array": value.array}
    if dataclasses.is_dataclass(value):
        return _non_default(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in sorted(value.items())}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _non_default(value: Any) -> dict[str, Any]:
    settings = {}
    for field in dataclasses.fields(value):
        if not field.compare:
            continue
        item = getattr(value, field.name)
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        else:
            default = field.default
        if default is dataclasses.MISSING or item != default:
            settings[field.name] = _plain(item)
    return settings
