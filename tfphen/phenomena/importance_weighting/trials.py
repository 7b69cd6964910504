"""Trainings with class weights, on points in the plane and on images of two classes."""

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena.importance_weighting.blobs import blobs

# Measures along each training.
CURVE = ("ambiguous_share", "test_share", "noise_share", "train_error", "margin", "logit_norm")


@dataclasses.dataclass(frozen=True)
class Points:
    """Settings of the models of points in the plane.

    Args:
        options: Of the source `"blobs"`, for classes that a line separates.
        overlapping: Of the source, for a control with classes that no line separates.
        model: Name and settings of a model.
        ratio: Weight of one class over that of the other, above 1.
        divide_by: As in `tfphen.train.class_objectives.Weighting`.
        batch_size: Of each update; None for the whole training set.
        learning_rate: Of gradient descent.
        relative: Whether the rate is divided by the largest singular value of the training inputs.
        epochs: Length of a training, a multiple of 10.
        l2: Penalty on the kernel, not on the bias, of an additional arm; None leaves it out.
        alpha: Exponent of the poly-tailed loss of an additional arm; None leaves it out.
    """

    options: dict = dataclasses.field(default_factory=dict)
    overlapping: dict = dataclasses.field(default_factory=dict)
    model: dict = dataclasses.field(default_factory=lambda: {"name": "linear"})
    ratio: float = 10.0
    divide_by: str = "examples"
    batch_size: int | None = None
    learning_rate: float = 0.15
    relative: bool = False
    epochs: int = 10000
    l2: float | None = None
    alpha: float | None = None

    def __post_init__(self):
        _check_weights((self.ratio,), self.divide_by)
        if self.epochs < 10 or self.epochs % 10:
            raise UsageError(f"`epochs` is a multiple of 10. Received: epochs={self.epochs}")
        if self.l2 is not None and self.model.get("name") != "linear":
            raise UsageError(f"`l2` is for the linear model. Received: model={self.model}")

    def curve(self) -> tuple[int, ...]:
        """Epochs at which measures are taken: four per power of ten."""
        points = {round(10 ** (k / 4)) for k in range(math.ceil(4 * math.log10(self.epochs)))}
        return tuple(sorted({p for p in points if p < self.epochs} | {self.epochs // 10}))


@dataclasses.dataclass(frozen=True)
class Networks:
    """Settings of the networks on images of two classes.

    Args:
        data, train, split, options: As in `tfphen.core.trial.Data`.
        classes: The two classes, class 0 first.
        model: Name and settings of a model that takes `dropout`.
        ratios: Weights of one class over those of the other, above 1.
        divide_by: As in `tfphen.train.class_objectives.Weighting`.
        learning_rate: Of stochastic gradient descent.
        dropout_learning_rate: That of the arm with dropout; None for the same.
        batch_size: Of each update.
        epochs: Length of a training.
        early: Number of first epochs whose mean effect is the reference.
        weight_decay: Of the arm with an L2 penalty; another arm has half of it.
        dropout: Rate of the arm with dropout.
        noise: Share of flipped training labels under which a linear model is a control.
    """

    data: str = "digits"
    train: int = 288
    split: str = "seeded"
    options: dict = dataclasses.field(default_factory=dict)
    classes: tuple[int, ...] = (3, 8)
    model: dict = dataclasses.field(default_factory=lambda: {"name": "mlp"})
    ratios: tuple[float, ...] = (16.0,)
    divide_by: str = "examples"
    learning_rate: float = 0.05
    dropout_learning_rate: float | None = None
    batch_size: int = 16
    epochs: int = 300
    early: int = 5
    weight_decay: float = 0.01
    dropout: float = 0.5
    noise: float = 0.2

    def __post_init__(self):
        _check_weights(self.ratios, self.divide_by)
        if len(self.classes) != 2:
            raise UsageError(f"`classes` are two. Received: classes={list(self.classes)}")
        if not 1 <= self.early < self.epochs:
            raise UsageError(
                "`early` epochs are at least 1 and fewer than all. "
                f"Received: early={self.early}, epochs={self.epochs}"
            )
        checks.number("weight_decay", self.weight_decay, 0, low_open=True)
        checks.number("dropout", self.dropout, 0, 1, low_open=True, high_open=True)
        checks.number("noise", self.noise, 0, 0.5, low_open=True, high_open=True)

    def curve(self) -> tuple[int, ...]:
        """Epochs at which measures are taken: the early ones, then four per power of ten."""
        later = (round(10 ** (k / 4)) for k in range(math.ceil(4 * math.log10(self.epochs))))
        later = {epoch for epoch in later if self.early < epoch < self.epochs}
        return (*range(1, self.early + 1), *sorted(later))


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        points: Settings of the models of points in the plane, or None to leave them out.
        networks: Settings of the networks on images, or None to leave them out.
        differs: Deviations of a paper experiment from the published one, as far as they matter.
    """

    points: Points | None = None
    networks: Networks | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.points is None and self.networks is None:
            raise UsageError("One of `points` and `networks` is needed. Received: neither")


def _check_weights(ratios: tuple[float, ...], divide_by: str) -> None:
    if not ratios or min(ratios) <= 1:
        raise UsageError(f"Weight ratios are above 1, at least one. Received: {list(ratios)}")
    checks.one_of("divide_by", divide_by, ("examples", "weights"))


def _constants(ratio: float) -> dict[str, tuple[float, float]]:
    """Class weights, `ratio` : 1 for class 1, with mean 1 over two classes of equal size."""
    return {"class_weights": (2 / (1 + ratio), 2 * ratio / (1 + ratio))}


def _objective(name: str, divide_by: str, **settings) -> Spec:
    return Spec(name, weighting={"kind": "given", "divide_by": divide_by}, **settings)


@functools.lru_cache(maxsize=256)
def _largest_singular_value(options: tuple, seed: int) -> float:
    """Of the training inputs, to four digits, on which linear algebra libraries agree."""
    inputs = blobs(**dict(options), generator_seed=seed).train_inputs.astype("float64")
    return float(f"{np.linalg.norm(inputs, 2):.4g}")


def trials(config: Config) -> Iterator[Trial]:
    """Yields all trainings, seed by seed."""
    for seed in config.seed_range():
        yield from points_trials(config.points, seed) if config.points else ()
        yield from networks_trials(config.networks, seed) if config.networks else ()


def points_trials(points: Points, seed: int) -> Iterator[Trial]:
    """Trainings of one seed on points in the plane."""
    plain = _objective("cross_entropy", points.divide_by)
    arms = [("points", points.options, points.model, plain)]
    if points.l2 is not None:
        arms.append(("points_l2", points.options, points.model | {"l2": points.l2}, plain))
    if points.alpha is not None:
        poly = _objective("poly_tailed", points.divide_by, alpha=points.alpha)
        arms.append(("points_poly_tailed", points.options, points.model, poly))
    arms.append(("points_overlapping", points.overlapping, points.model, plain))
    for arm, options, model, objective in arms:
        count = 2 * options.get("count", blobs.__kwdefaults__["count"])
        steps = 1 if points.batch_size is None else -(-count // points.batch_size)
        rate = points.learning_rate
        if points.relative:
            rate /= _largest_singular_value(tuple(options.items()), seed)
        for ratio in (points.ratio, 1.0, 1 / points.ratio):
            yield Trial(
                model=Spec(**model),
                data=Data("blobs", options={**options, "generator_seed": seed}),
                objective=objective,
                optimizer=Spec("sgd", learning_rate=rate),
                batch_size=points.batch_size,
                steps=steps * points.epochs,
                curve=[steps * epoch for epoch in points.curve()],
                constants=_constants(ratio),
                measures=[m for m in ("test_error", *CURVE) if m != "noise_share"],
                seed=seed,
                tags={"arm": arm, "ratio": ratio, "seed": seed},
            )


def networks_trials(networks: Networks, seed: int) -> Iterator[Trial]:
    """Trainings of one seed on images of two classes."""
    steps, model = -(-networks.train // networks.batch_size), networks.model

    def trial(arm, ratio, weighting=1.0, corruptions=(), model=model, rate=None, decay=0.0):
        settings = {"learning_rate": rate or networks.learning_rate, "coupled": True}
        return Trial(
            model=Spec(**model),
            data=Data(
                networks.data,
                networks.train,
                split=networks.split,
                corruptions=corruptions,
                options=networks.options,
                classes=networks.classes,
            ),
            objective=_objective("cross_entropy", networks.divide_by),
            optimizer=Spec("sgd", weight_decay=decay, **settings),
            batch_size=networks.batch_size,
            steps=steps * networks.epochs,
            curve=[steps * epoch for epoch in networks.curve()],
            constants=_constants(weighting),
            measures=("test_error", *CURVE),
            seed=seed,
            tags={"arm": arm, "ratio": ratio, "seed": seed},
        )

    decay, noise = networks.weight_decay, (Spec("label_noise", rate=networks.noise),)
    dropout = {"model": model | {"dropout": networks.dropout}}
    yield trial("networks", 1.0)
    for weight in networks.ratios:
        for ratio in (weight, 1 / weight):
            yield trial("networks", ratio, ratio)
            yield trial("networks_l2", ratio, ratio, decay=decay)
            yield trial("networks_half_l2", ratio, ratio, decay=decay / 2)
            rate = networks.dropout_learning_rate
            yield trial("networks_dropout", ratio, ratio, rate=rate, **dropout)
            yield trial("noisy_linear", ratio, ratio, noise, {"name": "linear"})
        # Class 1 loses as many examples as weight 1 / ratio would take from it.
        yield trial("networks_sub_sampled", ratio, 1.0, (Spec("step_imbalance", ratio=weight),))
