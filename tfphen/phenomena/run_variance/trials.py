"""Settings and the grid of trials."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

# Seeds of runs are `split * RUNS_PER_SPLIT + run`, so that splits share none.
RUNS_PER_SPLIT = 100_000


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. A seed is a split: its runs share the data and differ in initial weights and order.

    Args:
        data, train, test, split, options: As in `tfphen.core.trial.Data`.
        model, optimizer: `name` of a builder, and of a Keras optimizer, with settings.
        schedule, batch_size: As in `tfphen.core.trial.Trial`.
        runs: Runs per split and training length.
        epochs: Training lengths; the shortest and the longest are compared.
        unequal_runs: Runs per split of a control with unequal training sets; 0 omits it.
        smallest_share: Their training sets grow from this share of the full one to all of it.
        convex_runs: Runs per split of a control with a convex loss; 0 omits it.
        differs: Deviations from the paper's protocol, for the comparison with it.
    """

    data: str = "digits"
    split: str = "seeded"
    train: int | None = None
    test: int | None = None
    options: dict = dataclasses.field(default_factory=dict)
    model: dict = dataclasses.field(default_factory=lambda: {"name": "mlp"})
    optimizer: dict = dataclasses.field(default_factory=lambda: {"name": "sgd"})
    schedule: str = "linear"
    batch_size: int = 64
    runs: int = 128
    epochs: tuple[float, ...] = (1.0, 40.0)
    unequal_runs: int = 64
    smallest_share: float = 0.2
    convex_runs: int = 8
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if 1 in (self.runs, self.unequal_runs, self.convex_runs) or len(set(self.epochs)) < 2:
            raise UsageError(
                "Every arm needs two runs or more, and there must be two `epochs` or more. "
                f"Received: {self.runs}, {self.unequal_runs}, {self.convex_runs} runs, "
                f"epochs={self.epochs}"
            )


def trials(config: Config) -> Iterator[Trial]:
    """Yields the runs of every training length, and of the two trained controls."""
    stochastic = {
        "model": Spec(**config.model),
        "optimizer": Spec(**config.optimizer),
        "schedule": Spec(config.schedule),
        "batch_size": config.batch_size,
    }
    shortest, longest = min(config.epochs), max(config.epochs)
    for epochs in sorted(config.epochs):
        arm = {shortest: "short", longest: "long"}.get(epochs, "middle")
        yield from _runs(config, arm, config.runs, epochs=epochs, **stochastic)
    unequal = {"smallest_share": config.smallest_share, "epochs": longest, **stochastic}
    yield from _runs(config, "unequal", config.unequal_runs, **unequal)
    # Without a bias, weight decay acts in every direction of the weights, so convergence is fast.
    convex = {
        "model": Spec("linear", l2=0.01, use_bias=False),
        "optimizer": Spec("sgd", learning_rate=0.1, momentum=0.9),
        "batch_size": None,
        "steps": 1000,
    }
    yield from _runs(config, "convex", config.convex_runs, **convex)


def _runs(
    config: Config, arm: str, runs: int, smallest_share: float = 1.0, **training: Any
) -> Iterator[Trial]:
    """Yields the runs of all splits; their shares of the training set rise to 1."""
    source = (config.data, config.train, config.test, config.split)
    for split in config.seed_range():
        for run in range(runs):
            share = smallest_share + (1 - smallest_share) * run / max(runs - 1, 1)
            subset = (Spec("subset", fraction=share),) if smallest_share < 1 else ()
            yield Trial(
                data=Data(*source, subset, config.options),
                seed=split * RUNS_PER_SPLIT + run,
                stream_seeds={"split": split, "subset": split},
                tags={"arm": arm, "split": split, "epochs": training.get("epochs", 0.0)},
                **training,
            )
