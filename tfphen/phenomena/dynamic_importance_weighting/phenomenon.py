"""Weights and network help each other on (Fang, Lu, Niu, Sugiyama 2020, arXiv 2006.04662).

Importance weights for a deep network need its own features, which need the weights. Dynamic
importance weighting finds the weights of every batch anew, by matching the batch's losses to those
of a few clean examples; static weights are found once. A second part holds what weights do for a
line under covariate shift, where they can be estimated from the inputs.
"""

import dataclasses
import importlib
from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.trial import Data, Result, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.dynamic_importance_weighting import findings as statistics
from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.stats import mean

DYNAMIC = "dynamic_importance_weighting"
OBJECTIVES = (DYNAMIC, "random_weights", "static_importance_weighting")
KERNELS = ("median", "quantile", "inverse_median")
ARMS = ("uniform", "random", "static_early", "static_late", "dynamic", *KERNELS)
ESTIMATES = ("true_weights", "ulsif", "kmm", "kliep", "one_step")
# Area under the ROC curve that weights reach, and that those of noisy examples do not; gain in
# accuracy over random weights; change without label noise; fall of a line's squared error.
SEPARATED, BLURRED, GAIN, LITTLE, HELP = 0.8, 0.75, 0.08, 0.01, 0.05
ERRORS = ("test_error", "fit_of_flipped")


@dataclasses.dataclass(frozen=True)
class ShiftConfig:
    """Settings of the lines under covariate shift.

    Args:
        train, test, noise: As in `covariate_shift.covariate_shift`.
        repeats: Data sets for each seed.
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
        train: Number of training examples beside those held out.
        validation: How many clean examples are held out, and put back into the training set.
        rate: Share of the other labels that are flipped, uniformly to the wrong classes.
        noise_seed: Where the flips start from, whatever the seed; None for the seed.
        arms: Of `ARMS`; `"dynamic"` uses `kernel`, the names of kernels are further dynamic arms.
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
        early: Epochs of the network that gives the first static weights.
        drop_every: Epochs after which the learning rate is divided by ten, or None.
        curve_every: Epochs between two points of the curves.
        record_every: Updates between two records of how weights separate labels.
        shift: Settings of the lines under covariate shift, or None.
        differs: In what a paper experiment departs from the published one, as far as it matters.
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


def _later(module: str, name: str):
    """Returns a function of a module of `tfphen.train` that is imported when it is called."""

    def call(*arguments, **settings):
        found = importlib.import_module(f"{__package__}.{module}")
        return getattr(found, name)(*arguments, **settings)

    return call


def _covariate_shift(*, truth="sinc", train=150, test=500, noise=0.1, generator_seed=0):
    settings = {"truth": truth, "train": train, "test": test, "noise": noise}
    draw = _later("covariate_shift", "covariate_shift")
    return draw(**settings, generator_seed=generator_seed)


class DynamicImportanceWeighting(Phenomenon):
    """All dynamic trainings are one population: what is noisy changes no graph."""

    title = "Dynamic importance weighting"
    claim = (
        "Under label noise, weights that match the losses of every training batch to those of a "
        "few clean examples tell clean from flipped labels, and the network so trained does not "
        "memorise them: it gains much over uniform, random and static weights, which are found "
        "once. For a misspecified line under covariate shift static weights suffice."
    )
    paper = (
        "T. Fang, N. Lu, G. Niu, M. Sugiyama, Rethinking Importance Weighting for Deep Learning "
        "under Distribution Shift, NeurIPS 2020, arXiv 2006.04662"
    )
    Config = Config
    measures = (
        error("test"),
        Measure("fit_of_flipped", _later("loss_matching", "fit_of_flipped")),
        Measure("static_weights", _later("loss_matching", "static_weights")),
        Measure("squared_error", _later("covariate_shift", "squared_error")),
    )
    curve_measures = (error("test"),)
    objectives: ClassVar[Mapping] = {name: _later("loss_matching", name) for name in OBJECTIVES}
    sources: ClassVar[Mapping] = {"covariate_shift": _covariate_shift}
    solvers: ClassVar[Mapping] = {"weighted_least_squares": _later("covariate_shift", "solve")}

    step_hook = f"{__package__}.loss_matching:WEIGHT_SEPARATION"

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for noise in ("noisy", "noisy_validation", "clean") if config.controls else ("noisy",):
                yield from _networks(config, seed, noise)
            yield from _lines(config.shift, seed) if config.shift is not None else ()

    def findings(self, table, config: Config) -> Iterator[Signature]:
        for other in [arm for arm in config.arms if arm in ARMS[:4]]:
            gain = statistics.gain(table, "dynamic", other)
            limit = GAIN if other == "random" else 0.0
            yield Signature(f"dynamic_beats_{other}", gain, above=limit)
        auc = statistics.separation(table, "dynamic")
        yield Signature("weights_separate_flipped_labels", auc, above=SEPARATED)
        if "random" in config.arms:
            gain = statistics.separation(table, "random")
            yield Control("random_weights_separate_flipped_labels", gain, above=SEPARATED)
        else:
            auc = statistics.separation(table, "dynamic", when="warm_up", epochs=config.epochs)
            yield Control("weights_of_the_warm_up_separate", auc, above=SEPARATED)
        if config.controls:
            yield from _controls(table)
        if config.shift is not None:
            for kind, truth in ((Signature, "sinc"), (Control, "line")):
                for method in ESTIMATES:
                    gain = statistics.shift_gain(table, truth, method)
                    yield kind(f"{method}_helps_a_line_to_fit_a_{truth}", gain, above=HELP)

    def reproductions(self, table, config: Config, number):
        arm, when = (number.setting.get(name) for name in ("arm", "when"))
        if arm not in config.arms or number.setting.get("rate") != config.rate:
            return None
        baseline = None
        if "uniform" in config.arms and number.baseline is not None:
            baseline = mean(statistics.reached(table, "uniform", when), number.metric)
        return mean(statistics.reached(table, arm, when), number.metric), baseline


def _controls(table) -> Iterator[Signature]:
    """Yields findings on noisy held-out examples, and on training without noise."""
    auc = statistics.separation(table, "dynamic", "noisy_validation")
    yield Control("noisy_examples_separate_flipped_labels", auc, above=BLURRED)
    gain = statistics.gain(table, "dynamic", "random", "noisy_validation")
    yield Control("dynamic_beats_random_with_noisy_examples", gain, above=GAIN)
    gain = statistics.gain(table, "dynamic", "uniform", "clean")
    yield Control("dynamic_beats_uniform_without_noise", gain, above=LITTLE)
    yield Signature("dynamic_costs_little_without_noise", gain, within=(-LITTLE, LITTLE))


# ---- trials ------------------------------------------------------------------------------------


def _networks(config: Config, seed: int, noise: str) -> Iterator[Trial]:
    """Yields the trainings of one seed; `noise` says what is noisy."""
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
        return Spec(DYNAMIC, kernel=kernel, warm_up=warm_up, **settings)

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
    """The learning rate's schedule, in shares of the training."""
    if config.drop_every is None or config.drop_every >= config.epochs:
        return Spec("constant")
    epochs = range(config.drop_every, config.epochs, config.drop_every)
    factors = [0.1**index for index in range(1, len(epochs) + 1)]
    fractions = [epoch / config.epochs for epoch in epochs]
    return Spec("piecewise", fractions=fractions, factors=factors)


def _lines(shift: ShiftConfig, seed: int) -> Iterator[Trial]:
    """Yields the lines of one seed."""
    sizes = {"train": shift.train, "test": shift.test, "noise": shift.noise}
    for truth in ("sinc", "line"):
        for repeat in range(shift.repeats):
            options = {"truth": truth, "generator_seed": seed * shift.repeats + repeat, **sizes}
            for method in ("unweighted", *ESTIMATES):
                yield Trial(
                    model=Spec("line", method=method),
                    data=Data("covariate_shift", options=options),
                    optimizer=Spec("weighted_least_squares"),
                    seed=seed,
                    measures=("squared_error",),
                    tags={"part": truth, "arm": method, "repeat": repeat, "seed": seed},
                )
