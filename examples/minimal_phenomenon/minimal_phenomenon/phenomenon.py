"""Wider networks err less on handwritten digits. A template: replace the science, keep the shape.

This module declares; it never trains and never prints. Keep it light to import: name functions that
need a backend by reference, as in `models = {"mine": f"{__package__}.model:build"}`.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from minimal_phenomenon import findings
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import error
from tfphen.verdicts.findings import Signature


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. `--set name=value` changes one; a key that is not here is an error.

    Args:
        data: Dataset, see `tfphen data list`.
        train: Number of training examples, None for all.
        split: `"seeded"` draws a new split for each seed, `"own"` keeps that of the dataset.
        options: Settings of the dataset.
        narrow: Hidden units of the narrow network.
        wide: Hidden units of the wide network.
        learning_rate: Learning rate of Adam.
        batch_size: Batch size.
        steps: Number of updates.
        differs: Deviations from the paper's protocol, shown beside its numbers.
    """

    data: str = "digits"
    train: int | None = 450
    split: str = "seeded"
    options: dict = dataclasses.field(default_factory=dict)
    narrow: int = 4
    wide: int = 64
    learning_rate: float = 0.01
    batch_size: int = 64
    steps: int = 500
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.narrow < self.wide:
            raise UsageError(
                "`narrow` must be at least 1 and less than `wide`. "
                f"Received: narrow={self.narrow}, wide={self.wide}"
            )


class MinimalPhenomenon(Phenomenon):
    """A narrow and a wide network, on true labels and on random ones."""

    # Title, claim and citation are in the config, beside this module.
    Config = Config
    # Each becomes columns of the table that findings and figure read.
    measures = (error("train"), error("test"))
    # What a published number may name in its field `statistic`.
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        """Yields the grid. Trials with the same computation graph train as one program."""
        # The control arm redraws every training label: nothing is left to generalize from.
        arms = {
            "true_labels": (),
            "random_labels": (Spec("label_noise", rate=1.0, kind="all"),),
        }
        for units in (config.narrow, config.wide):
            for arm, corruptions in arms.items():
                for seed in config.seed_range():
                    yield Trial(
                        model=Spec("mlp", hidden_units=[units]),
                        data=Data(
                            config.data,
                            train=config.train,
                            split=config.split,
                            corruptions=corruptions,
                            options=config.options,
                        ),
                        optimizer=Spec("adam", learning_rate=config.learning_rate),
                        batch_size=config.batch_size,
                        steps=config.steps,
                        seed=seed,
                        # Tags become columns too; they do not change the training.
                        tags={"arm": arm, "units": units, "seed": seed},
                    )

    def findings(self, table: Any, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
