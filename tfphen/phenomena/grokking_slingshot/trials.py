"""Settings and the grid: grokking on part of a table, and slingshots in long training."""

import dataclasses
import math
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

# Controls of grokking. `most` of the table leaves no delay, a `sparse` part is too little to
# generalize from, and `random_labels` have nothing to generalize.
CONTROL_ARMS = ("most", "sparse", "random_labels")
EXTRA_ARMS = ("larger", *CONTROL_ARMS)
# Updates before a spike at which the slingshot detector takes the norm to have grown.
GROWTH_LAG = 10


@dataclasses.dataclass(frozen=True)
class Part:
    """Settings of both parts.

    Args:
        operation, modulus: As in `tfphen.data.modular_arithmetic`.
        fraction: Fraction of the table in the training set.
        model, optimizer: `name` of a builder, and of a Keras optimizer, with settings.
        batch_size, steps: As in `tfphen.core.trial.Trial`.
        every: Updates between two measurements of the errors.
    """

    operation: str = "addition"
    modulus: int = 59
    fraction: float = 0.5
    model: dict = dataclasses.field(default_factory=lambda: {"name": "square_mlp"})
    optimizer: dict = dataclasses.field(default_factory=lambda: {"name": "adamw"})
    batch_size: int | None = None
    steps: int = 300
    every: int = 2


@dataclasses.dataclass(frozen=True)
class Grokking(Part):
    """Training on part of a table.

    Args:
        others: Fractions of the table for the other arms: `larger`, which generalizes sooner, and
            the controls `most`, without a delay, `sparse`, too little, and `random_labels`.
        objective, schedule: As in `tfphen.core.trial.Trial`, by `name` and with settings.
    """

    others: dict = dataclasses.field(default_factory=lambda: {"random_labels": 0.5})
    objective: dict = dataclasses.field(default_factory=lambda: {"name": "squared_error"})
    schedule: dict = dataclasses.field(default_factory=lambda: {"name": "constant"})

    def __post_init__(self):
        if self.others.keys() - set(EXTRA_ARMS) or not self.others.keys() & set(CONTROL_ARMS):
            raise UsageError(
                f"`others` are of {', '.join(EXTRA_ARMS)}, with a control: one of the last three. "
                f"Received: others={self.others}"
            )

    def arms(self) -> dict[str, float]:
        """Returns the fraction of the table in the training set, by arm."""
        return {"main": self.fraction, **self.others}


@dataclasses.dataclass(frozen=True)
class Slingshot(Part):
    """Long training without weight decay, with recorded loss and last-layer norm.

    Args:
        large_epsilon: An epsilon of the optimizer that prevents slingshots.
        sgd_rate: Learning rate of a control with gradient descent.
        record_every: Updates between two records, a divisor of 10.
    """

    large_epsilon: float = 1e-5
    sgd_rate: float = 0.5
    record_every: int = 1

    def __post_init__(self):
        if self.record_every < 1 or GROWTH_LAG % self.record_every:
            raise UsageError(
                f"`record_every` divides {GROWTH_LAG}. Received: record_every={self.record_every}"
            )
        if not self.optimizer.get("epsilon", math.inf) < self.large_epsilon:
            raise UsageError(
                "`optimizer` has an `epsilon` below `large_epsilon`. "
                f"Received: optimizer={self.optimizer}, large_epsilon={self.large_epsilon}"
            )

    def arms(self) -> dict[str, tuple[Spec, Spec]]:
        """Returns the optimizer and the objective of each arm."""
        adaptive, plain = Spec(**self.optimizer), Spec("cross_entropy")
        return {
            "small_epsilon": (adaptive, plain),
            "large_epsilon": (Spec(**self.optimizer | {"epsilon": self.large_epsilon}), plain),
            "float64_loss": (adaptive, Spec("cross_entropy", dtype="float64")),
            "sgd": (Spec("sgd", learning_rate=self.sgd_rate), plain),
        }


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. A seed draws the split of the table, the initial weights and the order.

    Args:
        grokking, slingshot: The two parts, each None to leave it out.
        differs: Deviations of a paper experiment from the published protocol that could matter.
    """

    grokking: Grokking | None = None
    slingshot: Slingshot | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.grokking is None and self.slingshot is None:
            raise UsageError("There is nothing to train. Received: grokking=None, slingshot=None")


def trials(config: Config) -> Iterator[Trial]:
    """Yields every arm of both parts, for each seed."""
    for seed in config.seed_range():
        for part in filter(None, (config.grokking, config.slingshot)):
            for arm in part.arms():
                yield _trial(part, arm, seed)


def _trial(part: Part, arm: str, seed: int) -> Trial:
    model, own = part.model, {}
    measures = ["test_error", "train_error", "new_pair_error"]
    if isinstance(part, Grokking):
        fraction, own["optimizer"] = part.arms()[arm], Spec(**part.optimizer)
        own |= {"objective": Spec(**part.objective), "schedule": Spec(**part.schedule)}
    else:
        fraction, own["record_every"] = part.fraction, part.record_every
        own["optimizer"], own["objective"] = part.arms()[arm]
    form = "one_hot_pair"
    if model["name"] == "transformer":
        # Tokens are the numbers, the operation, the equals sign and EOS.
        form, model = "tokens", {"vocabulary_size": part.modulus + 3, **model}
    elif model["name"] == "square_mlp":
        measures.append("periodicity")
    table = {"operation": part.operation, "modulus": part.modulus, "train_fraction": fraction}
    table |= {"form": form, "generator_seed": seed}
    noise = (Spec("random_labels"),) if arm == "random_labels" else ()
    return Trial(
        model=Spec(**model),
        data=Data("modular_arithmetic", corruptions=noise, options=table),
        batch_size=part.batch_size,
        steps=part.steps,
        seed=seed,
        curve=tuple(range(0, part.steps, part.every)),
        measures=tuple(measures),
        tags={"arm": arm, "fraction": fraction, "seed": seed},
        **own,
    )
