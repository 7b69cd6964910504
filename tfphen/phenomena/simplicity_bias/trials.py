"""Trainings on slabs, and of sets of networks on slabs or collages: settings and trials. Light."""

import dataclasses
from collections.abc import Iterator

from tfphen.core.checks import number, one_of, whole, wholes
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

# Distance of the seeds of streams by which trainings of one seed differ.
_FAR = 10**6
_SLAB_MEASURES = ("train_error", "aucs", "accuracies")
_ENSEMBLE_MEASURES = ("test_scores", "test_labels")
_SET_MEASURES = ("block_accuracies", "train_accuracies")


def _other(seed: int, number: int) -> dict[str, int]:
    """Returns the seeds of streams of the training of this number on the same data."""
    return {name: seed + number * _FAR for name in ("init", "order")} if number else {}


@dataclasses.dataclass(frozen=True)
class SlabTraining:
    """A perceptron with PyTorch's initial weights, on slab data.

    Args:
        blocks, label_free, noisy, train, test: See `slabs.slabs`. The first block is
            the simple one.
        hidden_units, optimizer, optimizer_settings, batch_size, steps: Of the training.
    """

    blocks: tuple[tuple[int, ...], ...] = ((2, 1), (5, 19))
    label_free: tuple[int, ...] = ()
    noisy: float = 0.0
    train: int = 50_000
    test: int = 10_000
    hidden_units: tuple[int, ...] = (100, 100)
    optimizer: str = "sgd"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 256
    steps: int = 2000

    def __post_init__(self):
        wholes(train=self.train, test=self.test, batch_size=self.batch_size, steps=self.steps)

    def untrained(self) -> "SlabTraining":
        """Returns the same with one step, that changes nothing."""
        still = {**self.optimizer_settings, "learning_rate": 0.0}
        return dataclasses.replace(self, steps=1, optimizer_settings=still)

    def trials(self, arm: str, seed: int, networks: int = 1) -> Iterator[Trial]:
        """Yields so many trainings on the data of one seed."""
        options = {
            "blocks": self.blocks,
            "label_free": self.label_free,
            "noisy": self.noisy,
            "train": self.train,
            "test": self.test,
            "generator_seed": seed,
        }
        for network in range(networks):
            yield Trial(
                model=Spec("mlp", hidden_units=self.hidden_units, defaults="torch"),
                data=Data("slabs", options=options),
                optimizer=Spec(self.optimizer, **self.optimizer_settings),
                batch_size=self.batch_size,
                steps=self.steps,
                seed=seed,
                stream_seeds=_other(seed, network),
                measures=_SLAB_MEASURES + (_ENSEMBLE_MEASURES if networks > 1 else ()),
                tags={"arm": arm, "seed": seed, "network": network},
            )


@dataclasses.dataclass(frozen=True)
class Diversity:
    """Sets of networks that are trained together.

    Args:
        source: `"slabs"` or `"collages"`.
        options: Of the source, see `tfphen.data`.
        models, hidden_units, activation: How many networks a set has, and of what kind.
        similarity: Of two input gradients, see `network_sets`.
        strengths: Factors on the similarity; 0 is among them.
        strength: The one of them that findings are about.
        claimed: Places of the blocks that it finds.
        fitted: Training accuracy of a network from which on it counts; others count as guessing.
        upper_bounds: Train where only one block is predictive too, to see what it allows at most;
            otherwise that is certainty, as on slabs.
        optimizer, optimizer_settings, batch_size, steps: Of the training.
    """

    source: str = "slabs"
    options: dict = dataclasses.field(default_factory=dict)
    models: int = 8
    hidden_units: tuple[int, ...] = (32, 32)
    activation: str = "tanh"
    similarity: str = "squared_cosine"
    strengths: tuple[float, ...] = (0.0, 1.0)
    strength: float = 1.0
    claimed: tuple[int, ...] = (1,)
    fitted: float = 0.9
    upper_bounds: bool = False
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 256
    steps: int = 2000

    def __post_init__(self):
        one_of("source", self.source, ("slabs", "collages"))
        one_of("similarity", self.similarity, ("dot", "squared_dot", "squared_cosine"))
        whole("models", self.models, 2)
        number("fitted", self.fitted, 0.5, 1)
        wholes(batch_size=self.batch_size, steps=self.steps)
        if not {0.0, self.strength} <= set(self.strengths) or self.strength <= 0:
            raise UsageError(
                "`strengths` hold 0 and `strength`, which is above 0. "
                f"Received: strengths={self.strengths}, strength={self.strength}"
            )
        if self.upper_bounds != (self.source == "collages"):
            raise UsageError(
                "`upper_bounds` are trained for collages; slabs allow certainty. "
                f"Received: upper_bounds={self.upper_bounds}, source={self.source!r}"
            )
        blocks = len(self.names())
        if not self.claimed or not set(self.claimed) <= set(range(1, blocks)):
            raise UsageError(
                f"`claimed` are places of blocks after the first, of {blocks}. "
                f"Received: claimed={self.claimed}"
            )

    def names(self) -> tuple[str, ...]:
        """Returns a name of each block, the simple one first."""
        if self.source == "collages":
            return tuple(self.options.get("sources", ("mnist", "fashion_mnist")))
        pairs = self.options.get("blocks", SlabTraining.blocks)
        return tuple("linear" if slabs == 2 else f"{slabs}_slabs" for slabs, _ in pairs)

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the sets of one seed, their control, and their upper bounds."""

        def one(arm, strength=0.0, predictive=None, training=0):
            options = {**self.options, "generator_seed": seed}
            if predictive is not None:
                options["predictive"] = predictive
            shape = {"hidden_units": self.hidden_units, "activation": self.activation}
            return Trial(
                model=Spec("network_set", models=self.models, **shape),
                data=Data(self.source, options=options),
                objective=Spec("diverse", similarity=self.similarity),
                optimizer=Spec(self.optimizer, **self.optimizer_settings),
                batch_size=self.batch_size,
                steps=self.steps,
                seed=seed,
                stream_seeds=_other(seed, training),
                measures=_SET_MEASURES,
                constants={"strength": float(strength)},
                tags={"arm": arm, "seed": seed, "strength": strength, "block": predictive},
            )

        for strength in self.strengths:
            yield one("set", strength)
        yield one("other_seeds", training=1)
        for block in range(len(self.names())) if self.upper_bounds else ():
            yield one("upper_bound", predictive=block)
