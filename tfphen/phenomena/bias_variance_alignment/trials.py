"""Settings and the grid of trials."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

# Seeds of members are `ensemble * MEMBERS_PER_ENSEMBLE + member`, so that ensembles share none.
MEMBERS_PER_ENSEMBLE = 100_000


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. A seed is an ensemble: its members share split and test set.

    Args:
        data, train, test, split, options: As in `tfphen.core.trial.Data`.
        members: Members of an ensemble.
        bootstrap: Each member trains on a bootstrap sample of its own.
        wide, narrow: Builder's `name` and settings of the large and the small model.
        optimizer: Keras optimizer's `name` and its settings.
        schedule, batch_size: As in `tfphen.core.trial.Trial`.
        epochs, narrow_epochs: Training lengths of the large and the small model.
        control_members: Members in the trained controls; 0 omits these.
        small_optimizer: Optimizer of the small model and softmax regression.
        differs: Deviations from the paper's protocol, for the comparison with it.
    """

    data: str = "digits"
    split: str = "seeded"
    train: int | None = None
    test: int | None = None
    options: dict = dataclasses.field(default_factory=dict)
    members: int = 32
    bootstrap: bool = True
    wide: dict = dataclasses.field(default_factory=lambda: {"name": "mlp"})
    narrow: dict = dataclasses.field(default_factory=lambda: {"name": "mlp"})
    optimizer: dict = dataclasses.field(default_factory=lambda: {"name": "adam"})
    schedule: str = "constant"
    batch_size: int = 100
    epochs: float = 15.0
    narrow_epochs: float = 25.0
    control_members: int = 16
    small_optimizer: dict = dataclasses.field(default_factory=lambda: {"name": "adam"})
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.members < 4 or self.control_members == 1:
            raise UsageError(
                "Ensembles have at least 4 members, those of controls 2. Received: "
                f"members={self.members}, control_members={self.control_members}"
            )


def trials(config: Config) -> Iterator[Trial]:
    """Yields the members of the ensembles of every arm."""
    wide, narrow = Spec(**config.wide), Spec(**config.narrow)
    optimizer, small_optimizer = Spec(**config.optimizer), Spec(**config.small_optimizer)
    members, control_members = config.members, config.control_members
    shuffled = (Spec("random_labels"),)
    for arm, size, model, arm_optimizer, epochs, corruptions in (
        ("wide", members, wide, optimizer, config.epochs, ()),
        ("narrow", members, narrow, small_optimizer, config.narrow_epochs, ()),
        ("linear", control_members, Spec("linear"), small_optimizer, config.epochs, ()),
        ("one_epoch", control_members, wide, optimizer, 1.0, ()),
        ("shuffled_labels", control_members, wide, optimizer, config.epochs, shuffled),
    ):
        shared_streams = ("split", "subset", *(spec.name for spec in corruptions))
        if config.bootstrap:
            corruptions = (*corruptions, Spec("bootstrap"))
        source = (config.data, config.train, config.test, config.split)
        data = Data(*source, corruptions, config.options)
        for ensemble in config.seed_range():
            for member in range(size):
                yield Trial(
                    model=model,
                    data=data,
                    optimizer=arm_optimizer,
                    schedule=Spec(config.schedule),
                    batch_size=config.batch_size,
                    epochs=epochs,
                    seed=ensemble * MEMBERS_PER_ENSEMBLE + member,
                    stream_seeds=dict.fromkeys(shared_streams, ensemble),
                    tags={"arm": arm, "ensemble": ensemble, "member": member},
                )
