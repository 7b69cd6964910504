"""Label noises and the losses trained under each: settings and trials."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Result, Spec, Trial

# Percentiles of the transition estimates in a record; a second-stage trial may use any of them.
PERCENTILES = (90, 97, 99, 100)

# Robust losses to compare with. Those in BOUNDED have batch normalization after the last layer,
# which bounds their scores.
COMPARED = ("bootstrap_soft", "bootstrap_hard", "savage", "unhinged", "sigmoid", "ramp")
BOUNDED = ("unhinged", "sigmoid", "ramp")


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`; a source of ten classes.
        flips: Asymmetric noise, `"mnist_flips"` or `"cifar10_flips"`.
        majority, minority: Its rates above and below 1/2, each None to leave it out.
        symmetric: Rate of symmetric noise, or None.
        clean: Whether to also train without noise.
        wrong: Rate of the asymmetric matrix that controls assume where it is not the true one.
        compared: Other losses, of `COMPARED`, under the first of `noises` only.
        percentile: One of `PERCENTILES`, see `tfphen.losses.estimate_transition_matrix`.
        hidden_units, dropout: Of the multilayer perceptron.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        epochs, batch_size: Of each training.
        differs: Deviations of a paper experiment from the published protocol, as far as they
            matter.
    """

    data: str = "digits"
    train: int | None = None
    test: int | None = None
    split: str = "seeded"
    flips: str = "mnist_flips"
    majority: float | None = None
    minority: float | None = None
    symmetric: float | None = None
    clean: bool = True
    wrong: float = 0.6
    compared: tuple[str, ...] = COMPARED
    percentile: int = 97
    hidden_units: tuple[int, ...] = (128, 128)
    dropout: float = 0.2
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    epochs: float = 20.0
    batch_size: int = 64
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if unknown := sorted(set(self.compared) - set(COMPARED)):
            raise UsageError(f"`compared` must be among {', '.join(COMPARED)}. Received: {unknown}")
        if self.percentile not in PERCENTILES:
            raise UsageError(
                f"`percentile` must be one of {PERCENTILES}. Received: percentile={self.percentile}"
            )

    def noises(self) -> list[tuple[str, float]]:
        """Returns pairs (kind, rate) of the label noise to train under."""
        rates = [("asymmetric", self.majority), ("asymmetric", self.minority)]
        rates += [("symmetric", self.symmetric), ("none", 0.0 if self.clean else None)]
        return [(kind, rate) for kind, rate in rates if rate is not None]


def trials(config: Config) -> Iterator[Trial]:
    """Yields the trainings of all losses under each noise, seed by seed."""
    for noise, rate in config.noises():
        for seed in config.seed_range():
            yield from _arms(config, noise, rate, seed)


def _arms(config: Config, noise: str, rate: float, seed: int) -> Iterator[Trial]:
    """Yields the trainings of one seed under one noise."""
    flips = config.flips if noise == "asymmetric" else "label_noise"
    corruptions = () if noise == "none" else (Spec(flips, rate=rate),)
    shape = {"hidden_units": config.hidden_units, "dropout": config.dropout}

    def trial(arm, objective, inputs=(), model="mlp"):
        return Trial(
            model=Spec(model, kernel_initializer="he_normal", **shape),
            data=Data(config.data, config.train, config.test, config.split, corruptions),
            objective=objective,
            optimizer=Spec(config.optimizer, **config.optimizer_settings),
            batch_size=config.batch_size,
            epochs=config.epochs,
            seed=seed,
            inputs=dict(inputs),
            tags={"arm": arm, "noise": noise, "rate": rate, "seed": seed},
        )

    first = trial("cross_entropy", Spec("cross_entropy"))
    yield first
    estimate = {"transition_matrix": Result(first, f"transition_estimate_{config.percentile}")}
    yield trial("forward", Spec("forward_correction"))
    yield trial("backward", Spec("backward_correction"))
    if noise != "none":
        yield trial("forward_estimated", Spec("forward_correction"), estimate)
        yield trial("backward_estimated", Spec("backward_estimated"), estimate)
    if (noise, rate) == ("asymmetric", config.majority):
        yield trial("forward_transposed", Spec("forward_correction", transpose=True))
    else:
        wrong = {"kind": config.flips, "rate": config.wrong}
        yield trial("forward_wrong", Spec("forward_correction", transition=wrong))
    for loss in config.compared if (noise, rate) == config.noises()[0] else ():
        yield trial(loss, Spec(loss), model="normalized_mlp" if loss in BOUNDED else "mlp")
