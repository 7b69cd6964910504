"""Point by point, the variance of an ensemble of deep networks is about its squared bias.

Lin Chen, Michal Lukasik, Wittawat Jitkrittum, Chong You, Sanjiv Kumar, *On Bias-Variance Alignment
in Deep Models*, ICLR 2024, arXiv 2310.09250.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, log_probabilities
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    from tfphen.metrics import Alignment, BiasVariance
    from tfphen.verdicts.estimate import Estimate

_MOST_MEMBERS = 100_000  # Keeps the seeds of different ensembles apart.
_SLOPE, _R_SQUARED, _SHARE, _GAIN = (0.8, 1.2), 0.8, 0.95, 0.02
_EQUAL = (-math.log(2.0), math.log(2.0))
_SWAPPED = "The variances are permuted over the points."
_AROUND = "Members are the large model's mean and noise that has one size at all points."
_NAMES = {
    "slope": "slope of log variance on log squared bias",
    "r_squared": "R² of log variance on log squared bias",
    "median_log_ratio": "median over points of log(variance / squared bias)",
    "share_bounded": "share of points with variance at most 3 times squared bias",
}


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
        epochs, narrow_epochs: Lengths of training of the large and the small model.
        control_members: Members in the trained controls; 0 leaves these out.
        small_optimizer: Optimizer of the small model and softmax regression.
        differs: Settings that differ from the paper's, for its comparison.
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


def cifar_resnet(input_shape: tuple[int, ...], num_classes: int, *, depth: int = 56):
    """ResNet-8, 14, 20 ... of He et al. 2016, arXiv 1512.03385, with shortcuts of zeros."""
    import keras
    from keras import layers

    from tfphen.models.layer_defaults import LayerDefaults, classifier

    make = LayerDefaults("torch", 0, "he_normal")

    def convolve(x, filters, name, strides=1):
        x = make.convolution(filters, 3, x, name, strides=strides, padding=1, use_bias=False)
        return make.batch_normalization(x, f"{name}_norm")

    inputs = keras.Input(input_shape, name="inputs")
    x = layers.ReLU(name="stem_relu")(convolve(inputs, 16, "stem"))
    for number in range((depth - 2) // 2):
        stage, block = divmod(number, (depth - 2) // 6)
        name, strides = f"block_{number + 1}", 2 if stage > 0 and block == 0 else 1
        inner = convolve(x, 16 * 2**stage, f"{name}_conv_1", strides)
        inner = layers.ReLU(name=f"{name}_relu_1")(inner)
        inner = convolve(inner, 16 * 2**stage, f"{name}_conv_2")
        if strides > 1:
            x = layers.AveragePooling2D(1, 2, name=f"{name}_shortcut")(x)
            x = layers.Concatenate(name=f"{name}_zeros")([x, keras.ops.zeros_like(x)])
        x = layers.ReLU(name=f"{name}_relu_2")(layers.Add(name=f"{name}_add")([inner, x]))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, classifier(x, num_classes, make), name=f"resnet{depth}")


class BiasVarianceAlignment(Phenomenon):
    title = "Bias-variance alignment"
    claim = (
        "In ensembles of over-parameterised classifiers the variance of predicted probabilities at "
        "a test point is about the squared bias, over orders of magnitude. Small ones deviate."
    )
    paper = "Chen et al., On Bias-Variance Alignment in Deep Models, ICLR 2024, arXiv 2310.09250"
    Config = Config
    measures = (
        error("train"),
        error("test"),
        log_probabilities("test"),
        Measure("test_labels", lambda trained: trained.labels("test").astype("uint16")),
    )
    models: Mapping[str, Callable] = {"cifar_resnet": cifar_resnet}

    # ---- the grid ------------------------------------------------------------------------------

    def trials(self, config: Config) -> Iterator[Trial]:
        wide, narrow = Spec(**config.wide), Spec(**config.narrow)
        optimizer, small = Spec(**config.optimizer), Spec(**config.small_optimizer)
        many, few = config.members, config.control_members
        shuffled = (Spec("random_labels"),)
        for arm, members, model, rule, epochs, corruptions in (
            ("wide", many, wide, optimizer, config.epochs, ()),
            ("narrow", many, narrow, small, config.narrow_epochs, ()),
            ("linear", few, Spec("linear"), small, config.epochs, ()),
            ("one_epoch", few, wide, optimizer, 1.0, ()),
            ("shuffled_labels", few, wide, optimizer, config.epochs, shuffled),
        ):
            shared = ("split", "subset", *(spec.name for spec in corruptions))
            if config.bootstrap:
                corruptions = (*corruptions, Spec("bootstrap"))
            source = (config.data, config.train, config.test, config.split)
            data = Data(*source, corruptions, config.options)
            for ensemble in config.seed_range():
                for member in range(members):
                    yield Trial(
                        model=model,
                        data=data,
                        optimizer=rule,
                        schedule=Spec(config.schedule),
                        batch_size=config.batch_size,
                        epochs=epochs,
                        seed=ensemble * _MOST_MEMBERS + member,
                        stream_seeds=dict.fromkeys(shared, ensemble),
                        tags={"arm": arm, "ensemble": ensemble, "member": member},
                    )

    # ---- what the records say ------------------------------------------------------------------

    def findings(self, table, config: Config) -> Iterator[Signature]:
        points = _points(table, "wide")
        fits, permuted = _fits(points), _fits(points, permuted=True)
        noise = _fits(_constant_noise(table))

        yield Signature("slope", _mean(fits, "slope"), within=_SLOPE)
        yield Control("permuted_slope", _mean(permuted, "slope"), within=_SLOPE, note=_SWAPPED)
        yield Control("constant_noise_slope", _mean(noise, "slope"), within=_SLOPE, note=_AROUND)
        for arm in ("one_epoch", "shuffled_labels") if config.control_members else ():
            estimate = _mean(_fits(_points(table, arm)), "slope")
            yield Control(f"{arm}_slope", estimate, within=_SLOPE)

        yield Signature("r_squared", _mean(fits, "r_squared"), above=_R_SQUARED)
        estimate = _mean(permuted, "r_squared")
        yield Control("permuted_r_squared", estimate, above=_R_SQUARED, note=_SWAPPED)

        estimate = _mean(fits, "median_log_ratio")
        yield Signature("equal", estimate, within=_EQUAL, note=_terms(points))
        if config.control_members:
            linear = _fits(_points(table, "linear"))
            slope, r_squared = (_mean(linear, name).value for name in ("slope", "r_squared"))
            note = f"Softmax regression, of slope {slope:.2f} and R² {r_squared:.2f}."
            estimate = _mean(linear, "median_log_ratio")
            yield Control("linear_equal", estimate, within=_EQUAL, note=note)

        yield Signature("bounded", _mean(fits, "share_bounded"), above=_SHARE)
        estimate = _mean(permuted, "share_bounded")
        yield Control("permuted_bounded", estimate, above=_SHARE, note=_SWAPPED)

        estimate = _gain(fits, _fits(_points(table, "narrow")), "the large model", "the small one")
        yield Signature("size", estimate, above=_GAIN)
        halves = [_fits(_points(table[table.member % 2 == half], "wide")) for half in (0, 1)]
        estimate = _gain(*halves, "half an ensemble", "the other half")
        yield Control("same_size", estimate, above=_GAIN)

    def reproductions(self, table, config: Config, number) -> "tuple[Estimate, None] | None":
        if number.metric != _NAMES["slope"]:
            return None
        return _mean(_fits(_points(table, "wide")), "slope"), None

    # ---- figure --------------------------------------------------------------------------------

    def figure(self, table, config: Config, figure) -> None:
        from tfphen.experiment.plots import INK, SERIES

        first = table[table.ensemble == table.ensemble.min()]
        axes = figure.subplots(1, 2, sharex=True, sharey=True)
        arms = {"wide": config.wide, "narrow": config.narrow}
        for axis, (arm, model) in zip(axes, arms.items(), strict=True):
            ((ensemble, one),) = _points(first, arm).items()
            (fit,) = _fits({ensemble: one})
            correct = f"correct: slope {fit.slope:.2f}, R² {fit.r_squared:.2f}"
            kinds = ((one.correct, correct, SERIES[0]), (~one.correct, "wrong", SERIES[1]))
            for line, (chosen, label, color) in enumerate(kinds):
                chosen = chosen & (one.unbiased_squared_bias > 1e-10)
                xy = one.unbiased_squared_bias[chosen], one.unbiased_variance[chosen]
                axis.scatter(*xy, s=8, color=color, alpha=0.6, linewidth=0)
                height = 0.97 - 0.06 * line
                axis.text(0.03, height, label, color=color, va="top", transform=axis.transAxes)
            settings = " ".join(str(value) for key, value in model.items() if key != "name")
            axis.set(xscale="log", yscale="log", xlabel="squared bias at a test point")
            axis.set_title(f"{model['name']} {settings}")
        axes[0].set_ylabel("variance at a test point")
        for axis in axes:
            axis.axline((1e-4, 1e-4), (1e-2, 1e-2), color=INK, linewidth=0.8, zorder=0)


def _points(table, arm: str) -> "dict[int, BiasVariance]":
    """Returns an arm's ensembles, point by point."""
    from tfphen.metrics import bias_variance

    ensembles = _log_probabilities(table, arm)
    return {ensemble: bias_variance(labels, members) for ensemble, labels, members in ensembles}


def _log_probabilities(table, arm: str):
    """Yields ensemble, labels `[n]` and log-probabilities `[members, n, classes]`."""
    import numpy as np

    for ensemble, rows in table[table.arm == arm].groupby("ensemble"):
        yield ensemble, rows.test_labels.iloc[0], np.stack(list(rows.test_log_probabilities))


def _constant_noise(table) -> "dict[int, BiasVariance]":
    """Returns ensembles around the means of the large model's, with one variance at all points."""
    import numpy as np

    from tfphen.core.seeds import stream
    from tfphen.metrics import bias_variance

    found = {}
    for ensemble, labels, members in _log_probabilities(table, "wide"):
        classes = members.shape[-1]
        # A Dirichlet draw is uniform over the simplex: mixed in, it leaves members inside.
        noise = stream(ensemble, "constant_noise").dirichlet(np.ones(classes), members.shape[:-1])
        made = 0.9 * np.exp(members).mean(0) + 0.1 * noise
        found[ensemble] = bias_variance(labels, made, from_logits=False)
    return found


def _fits(points: "Mapping[int, BiasVariance]", permuted: bool = False) -> "list[Alignment]":
    """Fits each ensemble's variance to its squared bias, over correctly classified points."""
    from tfphen.core.seeds import stream
    from tfphen.metrics import bias_variance_alignment

    found = []
    for ensemble, one in points.items():
        variance = one.unbiased_variance
        if permuted:
            variance = stream(ensemble, "permuted_variance").permutation(variance)
        found.append(bias_variance_alignment(one.unbiased_squared_bias, variance, one.correct))
    return found


def _gain(fits: "list[Alignment]", others: "list[Alignment]", one: str, other: str) -> "Estimate":
    name = f"R² of {one} minus that of {other}"
    return _mean(fits, "r_squared", name, [fit.r_squared for fit in others])


def _mean(fits: "list[Alignment]", statistic: str, name: str = "", less=()) -> "Estimate":
    """Mean over ensembles, or of differences; undefined where it is so for one of them."""
    from tfphen.verdicts import stats
    from tfphen.verdicts.estimate import Estimate

    name, less = name or _NAMES[statistic], less or [0.0] * len(fits)
    values = [getattr(fit, statistic) - other for fit, other in zip(fits, less, strict=True)]
    if all(map(math.isfinite, values)):
        return stats.mean(values, name)
    return Estimate(name, math.nan, math.nan, math.nan, len(values))


def _terms(points: "Mapping[int, BiasVariance]") -> str:
    """Says which terms of the exact identity make squared bias differ from variance."""
    impurity = sum(one.impurity.mean() for one in points.values()) / len(points)
    gap = sum(one.calibration_gap.mean() for one in points.values()) / len(points)
    return (
        f"Over all points squared bias minus variance is {impurity + gap:.4f}: {impurity:.4f} from "
        f"members that are unsure, {gap:.4f} from an ensemble that is not calibrated."
    )
