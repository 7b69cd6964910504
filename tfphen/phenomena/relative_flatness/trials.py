"""Settings and the grid of trials."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

from tfphen.core import config as configs
from tfphen.core.checks import is_number
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena.relative_flatness.measures import COLUMNS

# Initialization seeds of untrained networks are `MAX_UNTRAINED * (seed + 1)` plus their index.
MAX_UNTRAINED = 1000


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`; `train` is a number.
        model: Builder and its settings; its layers `"features"` and `"logits"` are measured.
        optimizers: Learning rates by the name of a Keras optimizer.
        batch_sizes: Each with every optimizer and learning rate.
        weight_decays: Added to the gradient, each with all of the above.
        stop_at_loss: Training ends with the first epoch after which the mean training loss is at
            most this. Networks that do not reach it are dropped.
        epochs: Maximum number of epochs.
        untrained: Number of untrained networks per seed, a control; 0 omits it.
        layerwise: Measure the hidden layers of an `mlp` too.
        differs: Deviations from the paper's protocol, for the comparison with it.
    """

    data: str = "mnist1d"
    train: int = 1000
    test: int | None = None
    split: str = "own"
    model: dict = dataclasses.field(
        default_factory=lambda: {"name": "mlp", "hidden_units": [64, 32]}
    )
    optimizers: dict = dataclasses.field(default_factory=lambda: {"sgd": [0.1, 0.05]})
    batch_sizes: tuple[int, ...] = (16, 64)
    weight_decays: tuple[float, ...] = (0.0, 0.001)
    stop_at_loss: float = 0.1
    epochs: int = 300
    untrained: int = 0
    layerwise: bool = False
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        for name, rates in self.optimizers.items():
            if not isinstance(rates, (list, tuple)) or not all(is_number(r, 0.0) for r in rates):
                raise UsageError(
                    f"`optimizers` has lists of positive learning rates. Received: {name}={rates!r}"
                )
        if not self.stop_at_loss > 0:
            raise UsageError(
                f"`stop_at_loss` must be positive. Received: stop_at_loss={self.stop_at_loss}"
            )
        if not 0 <= self.untrained <= MAX_UNTRAINED:
            raise UsageError(
                f"`untrained` lies in 0 ... {MAX_UNTRAINED}. Received: untrained={self.untrained}"
            )
        plain = self.model["name"] == "mlp" and not {"skip", "activation"} & set(self.model)
        if self.layerwise and not plain:
            raise UsageError(
                "`layerwise` is for an `mlp` without `skip` and `activation`. "
                f"Received: model={self.model}"
            )


def trials(config: Config) -> Iterator[Trial]:
    """Yields the trained networks of each seed, and the untrained ones."""
    for seed in config.seed_range():
        yield from _trained(config, seed)
        yield from _untrained(config, seed)


def _trained(config: Config, seed: int) -> Iterator[Trial]:
    basic = ("train_error", "train_loss", "test_error", "test_loss")
    measures = None if config.layerwise else (*basic, *COLUMNS)
    rates = [(name, rate) for name, rates in config.optimizers.items() for rate in rates]
    grid = itertools.product(rates, config.batch_sizes, config.weight_decays)
    for (optimizer, rate), batch, decay in grid:
        epoch = -(-config.train // batch)
        tags = {"optimizer": optimizer, "rate": rate, "batch": batch, "decay": decay}
        yield Trial(
            **_shared(config, seed),
            optimizer=Spec(optimizer, learning_rate=rate, weight_decay=decay, coupled=True),
            batch_size=batch,
            epochs=config.epochs,
            # The stopping criterion is checked after each epoch.
            curve=tuple(range(epoch, epoch * config.epochs + 1, epoch)),
            stop_at_loss=config.stop_at_loss,
            measures=measures,
            tags={"arm": "trained", "seed": seed, **tags},
        )


def _untrained(config: Config, seed: int) -> Iterator[Trial]:
    """Yields networks with initial weights 0.3 to 3 times as large, at learning rate 0."""
    for index in range(config.untrained):
        scale = 0.3 * 10 ** (index / max(config.untrained - 1, 1))
        yield Trial(
            **_shared(config, seed),
            optimizer=Spec("sgd", learning_rate=0.0),
            steps=1,
            start=Spec("scaled", factor=scale),
            stream_seeds={"init": MAX_UNTRAINED * (seed + 1) + index},
            measures=("flatness", "test_error", "test_loss", "train_loss"),
            tags={"arm": "untrained", "seed": seed, "scale": scale},
        )


def _shared(config: Config, seed: int) -> dict[str, Any]:
    data = Data(config.data, config.train, config.test, config.split)
    return {"model": Spec(**config.model), "data": data, "seed": seed}
