"""What to train and what to measure. Nothing here trains, and nothing heavy is imported."""

import dataclasses
from collections.abc import Iterator

from my_phenomenon import findings
from tfphen.core import config
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import error
from tfphen.verdicts.findings import Signature


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """Settings, each of which a size in the TOML file or `--set` can replace.

    Args:
        widths: Hidden units of the narrow and the wide network.
        epochs: Passes over the training set.
    """

    widths: tuple[int, ...] = (2, 64)
    epochs: float = 10.0


class MyPhenomenon(Phenomenon):
    """Title, claim and citation are in the TOML file beside this module."""

    Config = Config
    # Columns of the table that `findings` and the figure see. Measures of your own are functions
    # of a `tfphen.measures.trained.Trained`: Measure("name", f"{__package__}.measures:function").
    measures = (error("train"), error("test"))

    def trials(self, config: Config) -> Iterator[Trial]:
        """Yields one trial for each arm, width and seed."""
        for seed in config.seed_range():
            for arm, corruptions in (("true", ()), ("random", (Spec("random_labels"),))):
                for width in config.widths:
                    yield Trial(
                        model=Spec("mlp", hidden_units=(width,)),
                        data=Data("digits", corruptions=corruptions),
                        optimizer=Spec("adam", learning_rate=0.01),
                        epochs=config.epochs,
                        seed=seed,
                        # Tags become columns of the table, beside the measures.
                        tags={"arm": arm, "width": width, "seed": seed},
                    )

    def findings(self, table, config: Config) -> Iterator[Signature]:
        """Yields the signature and its negative control."""
        return findings.findings(table, config)
