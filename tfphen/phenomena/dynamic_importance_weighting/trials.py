"""Networks under label noise, with weighted batches, and lines under covariate shift."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.trial import Data, Result, Spec, Trial

KERNELS = ("median", "quantile", "inverse_median")
ARMS = ("uniform", "random", "static_early", "static_late", "dynamic", *KERNELS)
# Weights of the lines under covariate shift.
ESTIMATES = ("true_weights", "ulsif", "kmm", "kliep", "one_step")
ERRORS = ("test_error", "fit_of_flipped")


@dataclasses.dataclass(frozen=True)
class ShiftConfig:
    """Settings of the lines under covariate shift.

    Args:
        train, test, noise: As in `covariate_shift.covariate_shift`.
        repeats: Datasets per seed.
    """

    train: int = 150
    test: int = 500
    noise: float = 0.1
    repeats: int = 4


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, test, split: As in `tfphen.core.trial.Data`.
        train: Number of training examples besides those held out.
        validation: Number of clean held-out examples, which are also trained on.
        rate: Share of the other labels that are flipped, uniformly to the wrong classes.
        noise_seed: Seed of the flips, shared by all seeds; None for each seed's own.
        arms: Of `ARMS`; `"dynamic"` uses `kernel`, names of kernels are additional dynamic arms.
        controls: Whether to train with noisy held-out examples, and without noise.
        kernel: `"median"`, `"quantile"` or `"inverse_median"` of the differences of losses, see
            `loss_matching.kernel_gamma`.
        bound: Largest weight.
        rows: Held-out examples drawn at each step.
        weight_norm: `"mean"` rescales the weights of a batch to mean 1, `"none"` does not.
        model: A builder of `tfphen.models`.
        model_settings: Its settings.
        optimizer_settings: Of SGD.
        batch_size, epochs: Of each training.
        early: Epochs of the network behind the arm `"static_early"`.
        drop_every: Epochs after which the learning rate is divided by ten, or None.
        curve_every: Epochs between points of the curves.
        record_every: Updates between records of how well weights separate labels.
        shift: Settings of the lines under covariate shift, or None.
        differs: Deviations of a paper experiment from the published one, as far as they matter.
    """

    data: str = "digits"
    train: int = 1197
    test: int | None = None
    split: str = "seeded"
    validation: int = 100
    rate: float = 0.4
    noise_seed: int | None = None
    arms: tuple[str, ...] = ARMS[:5]
    controls: bool = True
    kernel: str = "median"
    bound: float = 50.0
    rows: int = 64
    weight_norm: str = "mean"
    model: str = "mlp"
    model_settings: dict = dataclasses.field(default_factory=dict)
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 64
    epochs: int = 80
    early: int = 5
    drop_every: int | None = None
    curve_every: int = 4
    record_every: int = 7
    shift: ShiftConfig | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        needed = {"dynamic", *(ARMS[:2] if self.controls else ())}
        rule = f"are of {', '.join(ARMS)}, and hold {', '.join(sorted(needed))}"
        checks.require(needed <= {*self.arms} <= {*ARMS}, "arms", self.arms, rule)
        checks.one_of("kernel", self.kernel, KERNELS)
        checks.number("rate", self.rate, 0, 1, low_open=True, high_open=True)
        whole = f"lies between 0 and epochs={self.epochs}"
        checks.require(0 < self.early < self.epochs, "early", self.early, whole)


def trials(config: Config) -> Iterator[Trial]:
    """Yields all trainings, seed by seed."""
    for seed in config.seed_range():
        for noise in ("noisy", "noisy_validation", "clean") if config.controls else ("noisy",):
            yield from _networks(config, seed, noise)
        yield from _lines(config.shift, seed) if config.shift is not None else ()


def _networks(config: Config, seed: int, noise: str) -> Iterator[Trial]:
    """Networks of one seed; `noise` is a key of `findings.NOISE`."""
    flips = () if noise == "clean" else (Spec("label_noise", rate=config.rate, kind="wrong"),)
    every = -(-(config.train + config.validation) // config.batch_size)
    shared = {
        "model": Spec(config.model, **config.model_settings),
        "data": Data(
            config.data,
            config.train,
            config.test,
            config.split,
            flips,
            validation=config.validation,
            validation_corruptions=flips if noise == "noisy_validation" else (),
            validation_in_training=True,
        ),
        "optimizer": Spec("sgd", **config.optimizer_settings),
        "schedule": _drops(config),
        "batch_size": config.batch_size,
        "seed": seed,
        "stream_seeds": {} if config.noise_seed is None else {"label_noise": config.noise_seed},
        "record_every": config.record_every,
    }

    def trial(arm, objective, epochs=config.epochs, measures=ERRORS, **settings):
        points = range(config.curve_every, epochs, config.curve_every)
        whole = epochs == config.epochs
        return Trial(
            objective=objective,
            steps=epochs * every,
            curve=[point * every for point in points] if whole else (),
            measures=measures,
            tags={"part": "networks", "arm": arm, "noise": noise, "seed": seed},
            **shared,
            **settings,
        )

    def weighted(kernel, warm_up):
        names = ("rows", "bound", "weight_norm")
        settings = {name: getattr(config, name) for name in names}
        return Spec("dynamic_importance_weighting", kernel=kernel, warm_up=warm_up, **settings)

    norm, own = {"weight_norm": config.weight_norm}, {"stream_seed": seed}
    static = {*ARMS[2:4]} & {*config.arms}
    measures = (*ERRORS, "static_weights") if static else ERRORS
    uniform = trial("uniform", weighted(config.kernel, 1.0), measures=measures)
    early = trial("early", weighted(config.kernel, 1.0), config.early, measures)
    if "uniform" in config.arms:
        yield uniform
    if "random" in config.arms and noise != "clean":
        yield trial("random", Spec("random_weights", **norm), constants=own)
    for arm, first in (("static_early", early), ("static_late", uniform)):
        if arm in static and noise == "noisy":
            weights = {"weights": Result(first, "static_weights")}
            objective = Spec("static_importance_weighting", steps=config.epochs * every, **norm)
            yield trial(arm, objective, constants=own, inputs=weights)
    yield trial("dynamic", weighted(config.kernel, 1 / config.epochs))
    for kernel in KERNELS:
        if kernel in config.arms and noise == "noisy":
            yield trial(kernel, weighted(kernel, 1 / config.epochs))


def _drops(config: Config) -> Spec:
    """Learning-rate schedule, in shares of the training."""
    if config.drop_every is None or config.drop_every >= config.epochs:
        return Spec("constant")
    epochs = range(config.drop_every, config.epochs, config.drop_every)
    factors = [0.1**index for index in range(1, len(epochs) + 1)]
    fractions = [epoch / config.epochs for epoch in epochs]
    return Spec("piecewise", fractions=fractions, factors=factors)


def _lines(shift: ShiftConfig, seed: int) -> Iterator[Trial]:
    """Lines of one seed."""
    sizes = {"train": shift.train, "test": shift.test, "noise": shift.noise}
    for truth in ("sinc", "line"):
        for repeat in range(shift.repeats):
            options = {"truth": truth, "generator_seed": seed * shift.repeats + repeat, **sizes}
            for method in ("unweighted", *ESTIMATES):
                yield Trial(
                    model=Spec("line", method=method),
                    data=Data("covariate_shift", options=options),
                    solver=Spec("weighted_least_squares"),
                    seed=seed,
                    measures=("squared_error",),
                    tags={"part": truth, "arm": method, "repeat": repeat, "seed": seed},
                )
