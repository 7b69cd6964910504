"""Grid on images: fully connected networks, and networks of one circular convolution."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena.shift_invariance.attack import Attack


@dataclasses.dataclass(frozen=True)
class Images:
    """Networks on images, attacked with the same radii.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`.
        options: Of the data source, whose images have a channel axis.
        nets: Settings of each network by its name: those of `tfphen.models.mlp` with
            `hidden_units`, else those of `circular_convnet`. A perceptron comes first; the others
            are compared with it.
        optimizer, optimizer_settings, schedule, batch_size, epochs: Of each training.
        norm: `"l2"` or `"linf"`.
        size: Radius at which networks are compared, one of the attack's.
        attack: See `Attack`.
    """

    data: str = "digits"
    train: int | None = None
    test: int | None = None
    split: str = "own"
    options: dict = dataclasses.field(default_factory=dict)
    nets: dict = dataclasses.field(default_factory=dict)
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    schedule: dict = dataclasses.field(default_factory=lambda: {"name": "constant"})
    batch_size: int = 128
    epochs: float = 20.0
    norm: str = "l2"
    size: float = 0.5
    attack: Attack = dataclasses.field(default_factory=Attack)

    def __post_init__(self):
        checks.one_of("norm", self.norm, ("l2", "linf"))
        if not self.nets or "hidden_units" not in next(iter(self.nets.values())):
            raise UsageError(
                "`nets` are tables of settings, a perceptron with `hidden_units` first. "
                f"Received: nets={self.nets}"
            )
        if not {0.0, self.size} <= set(self.sizes):
            raise UsageError(
                f"Sizes of the attack in the norm {self.norm} hold 0 and `size`. Received: "
                f"size={self.size}, sizes={self.sizes}"
            )
        if self.paddings and not self.attack.shifts:
            raise UsageError("A sweep of paddings needs `attack.shifts`. Received: shifts=0")

    @property
    def sizes(self) -> tuple[float, ...]:
        """Radii of PGD in the norm in which networks are compared."""
        return getattr(self.attack, f"{self.norm}_sizes")

    @property
    def reference(self) -> str:
        """Name of the first network."""
        return next(iter(self.nets))

    @property
    def invariant(self) -> list[str]:
        """Names of the networks that are invariant to circular shifts."""
        return [
            name
            for name, settings in self.nets.items()
            if not {"hidden_units", "padding"} & set(settings)
            and settings.get("pooling", "average") in ("average", "max")
        ]

    @property
    def paddings(self) -> dict[str, int]:
        """Networks of a sweep, and their circular padding."""
        return {name: one["padding"] for name, one in self.nets.items() if "padding" in one}

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the training of each network."""
        schedule = dict(self.schedule)
        schedule = Spec(schedule.pop("name"), **schedule)
        data = Data(self.data, self.train, self.test, self.split, options=self.options)
        for name, shape in self.nets.items():
            kind = "mlp" if "hidden_units" in shape else "circular_convnet"
            yield Trial(
                model=Spec(kind, **{"defaults": "torch", **shape}),
                data=data,
                optimizer=Spec(self.optimizer, **self.optimizer_settings),
                schedule=schedule,
                batch_size=self.batch_size,
                epochs=self.epochs,
                seed=seed,
                measures=self.attack.measures(),
                constants=self.attack.constants(),
                tags={"part": "images", "net": name, "seed": seed},
            )
