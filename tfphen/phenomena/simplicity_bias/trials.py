"""The grid: perceptrons on slab data, and sets of networks on slabs or collages."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

# Inputs that AUCs and accuracies are of: test examples as they are, with the simple block shuffled,
# or with all other blocks shuffled.
SCORES = ("standard", "simple_shuffled", "complex_shuffled")

# Offset of the stream seeds of several trainings of one seed.
_OFFSET = 10**6
_SLAB_MEASURES = ("train_error", "aucs", "accuracies")
_ENSEMBLE_MEASURES = ("test_scores", "test_labels")
_SET_MEASURES = ("block_accuracies", "train_accuracies")


def _other(seed: int, number: int) -> dict[str, int]:
    """Returns the stream seeds of the `number`-th additional training on the same data."""
    return {name: seed + number * _OFFSET for name in ("init", "order")} if number else {}


@dataclasses.dataclass(frozen=True)
class SlabTraining:
    """A perceptron with PyTorch's initialization, on slab data.

    Args:
        blocks, label_free, noisy, train, test: See `slabs.slabs`; the first block is simple.
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
        checks.wholes(train=self.train, test=self.test)
        checks.wholes(batch_size=self.batch_size, steps=self.steps)

    def untrained(self) -> "SlabTraining":
        """Returns the same with a single step at learning rate 0."""
        frozen = {**self.optimizer_settings, "learning_rate": 0.0}
        return dataclasses.replace(self, steps=1, optimizer_settings=frozen)

    def trials(self, arm: str, seed: int, networks: int = 1) -> Iterator[Trial]:
        """Yields the trainings of an ensemble on the data of one seed."""
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
    """Sets of networks trained jointly.

    Args:
        source: `"slabs"` or `"collages"`.
        options: Settings of the source.
        models, hidden_units, activation: Size of a set, and architecture of each network.
        similarity: Of two input gradients, see `network_sets`.
        strengths: Weights of the similarity penalty, including 0.
        strength: The one of them that is tested.
        claimed: Positions of the blocks that it makes networks learn.
        fitted: Minimum training accuracy of a network; those below count as guessing.
        upper_bounds: Whether to also train with a single predictive block, for an upper bound of
            its accuracy; otherwise that is 1, as on slabs.
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
        checks.one_of("source", self.source, ("slabs", "collages"))
        checks.one_of("similarity", self.similarity, ("dot", "squared_dot", "squared_cosine"))
        checks.whole("models", self.models, 2)
        checks.number("fitted", self.fitted, 0.5, 1)
        checks.wholes(batch_size=self.batch_size, steps=self.steps)
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
                f"`claimed` are positions of blocks after the first, of {blocks}. "
                f"Received: claimed={self.claimed}"
            )

    def names(self) -> tuple[str, ...]:
        """Returns the names of the blocks, the simple one first."""
        if self.source == "collages":
            return tuple(self.options.get("sources", ("mnist", "fashion_mnist")))
        pairs = self.options.get("blocks", SlabTraining.blocks)
        return tuple("linear" if slabs == 2 else f"{slabs}_slabs" for slabs, _ in pairs)

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the sets of one seed, their control, and upper bounds."""

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


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        slab_test: A training that shows the bias, or None.
        networks: Ensemble size per seed; logits of several networks are averaged.
        untrained: Whether to test untrained networks, as a control.
        label_free: As `slab_test`, with a first block that is independent of the class, or None.
        equal: As `slab_test`, with equally simple blocks, or None.
        noisy: A training with a noisy simple block, or None.
        without_simple: As `noisy`, without that block.
        diversity: Sets of networks, or None.
        differs: Known deviations of a paper experiment from the published protocol.
    """

    slab_test: SlabTraining | None = None
    networks: int = 1
    untrained: bool = False
    label_free: SlabTraining | None = None
    equal: SlabTraining | None = None
    noisy: SlabTraining | None = None
    without_simple: SlabTraining | None = None
    diversity: Diversity | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        checks.whole("networks", self.networks)
        for name, is_one, controls in (
            ("slab_test", self.slab_test, (self.untrained, self.label_free, self.equal)),
            ("noisy", self.noisy, (self.without_simple,)),
        ):
            if bool(is_one) != any(controls):
                raise UsageError(
                    f"`{name}` goes with one of its controls, see the settings. "
                    f"Received: {name}={is_one}, controls {controls}"
                )
        if self.networks > 1 and not self.equal:
            raise UsageError("`networks` need the control `equal`. Received: equal=None")
        if not (self.slab_test or self.noisy or self.diversity):
            raise UsageError(
                "`slab_test`, `noisy` or `diversity` must be given. Received: none of them"
            )

    def slab_trainings(self) -> dict[str, SlabTraining]:
        """Returns the trainings of perceptrons by arm."""
        arms = {"slab_test": self.slab_test}
        if self.untrained:
            arms["untrained"] = self.slab_test.untrained()
        for name in ("label_free", "equal", "noisy", "without_simple"):
            arms[name] = getattr(self, name)
        return {arm: training for arm, training in arms.items() if training}


def trials(config: Config) -> Iterator[Trial]:
    """Yields the grid of trials."""
    for seed in config.seed_range():
        for arm, training in config.slab_trainings().items():
            networks = config.networks if arm in ("slab_test", "equal") else 1
            yield from training.trials(arm, seed, networks)
        if config.diversity:
            yield from config.diversity.trials(seed)
