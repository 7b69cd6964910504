"""Settings and the grid of trials."""

import dataclasses
from collections.abc import Iterator
from itertools import product

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data: Source of the networks' data.
        train: Training examples, None for all.
        split: As in `tfphen.core.trial.Data`.
        options: Settings of the data source.
        label_noise: Share of training labels that are resampled.
        noise_kind: As in `tfphen.data.corruptions.label_noise`.
        model: Builder whose `width_argument` takes the width.
        width_argument: `"hidden_units"` gets `hidden_layers` times the width; others the width.
        hidden_layers: Hidden layers of the width, for `hidden_units`.
        defaults: `"keras"` or `"torch"` initialization.
        widths: Model-wise sweep; empty omits it.
        control: Also train the sweeps without label noise.
        optimizer: Name of a Keras optimizer.
        learning_rate: Its learning rate.
        momentum: For `sgd`.
        schedule: Name in `tfphen.train.schedules`.
        batch_size: Global batch size.
        steps: Updates, or None where `epochs` is given.
        epochs: Passes over the data.
        epoch_width: Width of the epoch-wise runs; None omits them.
        epoch_steps: Steps after which the epoch-wise runs are measured.
        epoch_learning_rate: Constant learning rate of the epoch-wise runs.
        features: Model-wise sweep of random Fourier features; empty omits it.
        feature_examples: Training examples of that sweep.
        samples: Sample-wise sweep; empty omits it.
        sample_features: Random features of that sweep.
        ridge: Penalty of the ridge control.
        descent_steps: Steps after which gradient descent on features of two scales is measured, in
            closed form; empty omits it.
        slow_scale: Scale of the slow features; the control has 1.
        differs: Deviations from the paper's protocol, for the comparison with it.
    """

    data: str = "digits"
    train: int | None = 450
    split: str = "seeded"
    options: dict = dataclasses.field(default_factory=dict)
    label_noise: float = 0.2
    noise_kind: str = "all"
    model: str = "mlp"
    width_argument: str = "hidden_units"
    hidden_layers: int = 1
    defaults: str = "keras"
    widths: tuple[int, ...] = ()
    control: bool = True
    optimizer: str = "adam"
    learning_rate: float = 1e-2
    momentum: float = 0.0
    schedule: str = "cosine"
    batch_size: int = 128
    steps: int | None = None
    epochs: float | None = None
    epoch_width: int | None = None
    epoch_steps: tuple[int, ...] = ()
    epoch_learning_rate: float = 1e-3
    features: tuple[int, ...] = ()
    feature_examples: int = 300
    samples: tuple[int, ...] = ()
    sample_features: int = 300
    ridge: float = 0.1
    descent_steps: tuple[int, ...] = ()
    slow_scale: float = 0.05
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.seeds < 2:
            raise UsageError(f"A peak needs at least 2 seeds. Received: seeds={self.seeds}")
        for name in ("widths", "epoch_steps", "features", "samples", "descent_steps"):
            if 0 < len(getattr(self, name)) < 3:
                raise UsageError(
                    f"A peak needs at least 3 points, or none to omit the sweep. Received: "
                    f"{name}={list(getattr(self, name))}"
                )


def trials(config: Config) -> Iterator[Trial]:
    """Yields networks over width and time, and linear models over features, samples and time."""
    noises = (config.label_noise, 0.0) if config.control else (config.label_noise,)
    networks = [("width", width) for width in config.widths]
    networks += [("epoch", config.epoch_width)] if config.epoch_width is not None else []
    sizes = [("features", size) for size in config.features]
    sizes += [("samples", size) for size in config.samples]
    scales = (config.slow_scale, 1.0) if config.descent_steps else ()
    for (arm, width), noise, seed in product(networks, noises, config.seed_range()):
        yield _network(config, arm, width, noise, seed)
    for (arm, size), ridge, seed in product(sizes, (0.0, config.ridge), config.seed_range()):
        yield _random_features(config, arm, size, ridge, seed)
    for scale, seed in product(scales, config.seed_range()):
        yield _two_scales(config, scale, seed)


def _network(config: Config, arm: str, width: int, noise: float, seed: int) -> Trial:
    units = [width] * config.hidden_layers if config.width_argument == "hidden_units" else width
    settings = {config.width_argument: units, "defaults": config.defaults}
    momentum = {"momentum": config.momentum} if config.momentum else {}
    noisy = (Spec("label_noise", rate=noise, kind=config.noise_kind),) if noise else ()
    rate, length = config.learning_rate, {"steps": config.steps, "epochs": config.epochs}
    schedule = config.schedule
    if arm == "epoch":
        rate, schedule = config.epoch_learning_rate, "constant"
        length = {"steps": config.epoch_steps[-1]}
    return Trial(
        model=Spec(config.model, **settings),
        data=Data(config.data, config.train, None, config.split, noisy, options=config.options),
        optimizer=Spec(config.optimizer, learning_rate=rate, **momentum),
        schedule=Spec(schedule),
        batch_size=config.batch_size,
        seed=seed,
        curve=config.epoch_steps if arm == "epoch" else (),
        tags={"arm": arm, "size": width, "label_noise": noise, "ridge": 0.0, "seed": seed},
        **length,
    )


def _random_features(config: Config, arm: str, size: int, ridge: float, seed: int) -> Trial:
    features, examples = size, config.feature_examples
    if arm == "samples":
        features, examples = config.sample_features, size
    return Trial(
        model=Spec("random_fourier_features", num_features=features),
        data=Data(
            "gaussian_mixture",
            train=examples,
            corruptions=(Spec("label_noise", rate=0.2, kind="wrong"),),
            options={"dimensions": 20, "radius": 20**0.5, "directions": "gaussian"}
            | {"train_per_class": 100, "generator_seed": seed},
        ),
        solver=Spec("least_squares", ridge=ridge),
        seed=seed,
        tags={"arm": arm, "size": size, "label_noise": 0.2, "ridge": ridge, "seed": seed},
    )


def _two_scales(config: Config, scale: float, seed: int) -> Trial:
    return Trial(
        model=Spec("linear_readout"),
        data=Data("two_scales", options={"scale": scale, "generator_seed": seed}),
        solver=Spec("least_squares"),
        steps=config.descent_steps[-1],
        curve=config.descent_steps,
        seed=seed,
        tags={"arm": "descent", "size": 0, "label_noise": 0.0, "ridge": 0.0, "seed": seed}
        | {"scale": scale},
    )
