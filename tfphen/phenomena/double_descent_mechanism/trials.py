"""Settings and the grid of trials."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.trial import Data, Spec, Trial

# Shuffles of the feature rows: a statistic of shuffled rows is its mean over them.
SHUFFLES = 10


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, split: As in `tfphen.core.trial.Data`.
        label_noise: Share of training labels of each class that are resampled over all classes.
        widths: Of the hidden layer, increasing, on both sides of the interpolation threshold.
        defaults: `"keras"` or `"torch"` initialization.
        optimizer, learning_rate: Name of a Keras optimizer and its learning rate.
        schedule, schedule_settings: Name in `tfphen.train.schedules` and its settings.
        batch_size: Of each training.
        steps, epochs: Length in updates, or in passes over the training data: one of the two.
    """

    data: str = "digits"
    train: int | None = 450
    split: str = "seeded"
    label_noise: float = 0.2
    widths: tuple[int, ...] = (5, 10, 14, 24, 48, 128, 256)
    defaults: str = "keras"
    optimizer: str = "adam"
    learning_rate: float = 0.01
    schedule: str = "cosine"
    schedule_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 128
    steps: int | None = None
    epochs: float | None = None

    def __post_init__(self):
        super().__post_init__()
        ordered = list(self.widths) == sorted(set(self.widths))
        for name, valid, rule in (
            ("seeds", self.seeds >= 2, "must be at least 2: a verdict rests on an interval"),
            ("widths", ordered and len(self.widths) >= 3, "must be three or more, increasing"),
            ("label_noise", 0 < self.label_noise <= 1, "must be above 0 and at most 1"),
        ):
            checks.require(valid, name, getattr(self, name), rule)


def trials(config: Config) -> Iterator[Trial]:
    """Yields networks of every width, with and without label noise."""
    for width in config.widths:
        for noise in (config.label_noise, 0.0):
            resampled = Spec("label_noise", rate=noise, kind="all", exact=True)
            corruptions = (resampled,) if noise else ()
            for seed in config.seed_range():
                yield Trial(
                    model=Spec("mlp", hidden_units=(width,), defaults=config.defaults),
                    data=Data(config.data, config.train, None, config.split, corruptions),
                    optimizer=Spec(config.optimizer, learning_rate=config.learning_rate),
                    schedule=Spec(config.schedule, **config.schedule_settings),
                    batch_size=config.batch_size,
                    steps=config.steps,
                    epochs=config.epochs,
                    seed=seed,
                    curve=(0,),
                    tags={"width": width, "label_noise": noise, "seed": seed},
                )
