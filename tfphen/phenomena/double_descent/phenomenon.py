"""Test error peaks where the model just fits its training set, and falls again beyond.

Preetum Nakkiran, Gal Kaplun, Yamini Bansal, Tristan Yang, Boaz Barak, Ilya Sutskever, *Deep Double
Descent: Where Bigger Models and More Data Hurt*, ICLR 2020, arXiv 1912.02292.
"""

import dataclasses
from collections.abc import Iterator
from itertools import product
from typing import ClassVar

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import error, loss
from tfphen.verdicts.findings import Control, Signature


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data: Source of the networks' data.
        train: Training examples, None for all.
        split: As in `tfphen.core.trial.Data`.
        options: Settings of the data source.
        label_noise: Share of training labels redrawn.
        noise_kind: As in `tfphen.data.corruptions.label_noise`.
        model: Builder whose `width_argument` takes the width.
        width_argument: `"hidden_units"` gets `hidden_layers` times the width; others the width.
        hidden_layers: Hidden layers of the width, for `hidden_units`.
        defaults: `"keras"` or `"torch"` initialisation.
        widths: Model-wise sweep; empty leaves it out.
        control: Also train the sweeps without label noise.
        optimizer: Name of a Keras optimizer.
        learning_rate: Its rate.
        momentum: For `sgd`.
        schedule: Name in `tfphen.train.schedules`.
        batch_size: Global batch size.
        steps: Updates, or None where `epochs` is given.
        epochs: Passes over the data.
        epoch_width: Width of the epoch-wise runs; None leaves them out.
        epoch_steps: Steps after which the epoch-wise runs are measured.
        epoch_learning_rate: Constant rate of the epoch-wise runs.
        features: Model-wise sweep of random Fourier features; empty leaves it out.
        feature_examples: Training examples of that sweep.
        samples: Sample-wise sweep; empty leaves it out.
        sample_features: Random features of that sweep.
        ridge: Penalty of the ridge control.
        descent_steps: Steps after which gradient descent on features of two scales is measured, in
            closed form; empty leaves it out.
        slow_scale: Scale of the slow features; the control has 1.
        rise: Threshold for rise and drop of the test loss, nats.
        error_rise: Threshold for rise and drop of the test error.
        differs: Settings that differ from the paper's, for its comparison.
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
    rise: float = 0.3
    error_rise: float = 0.02
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.seeds < 2:
            raise UsageError(f"A peak needs at least 2 seeds. Received: seeds={self.seeds}")
        for name in ("widths", "epoch_steps", "features", "samples", "descent_steps"):
            if 0 < len(getattr(self, name)) < 3:
                raise UsageError(
                    f"A peak needs at least 3 points, or none to leave it out. Received: "
                    f"{name}={list(getattr(self, name))}"
                )


def _linear_readout(input_shape, num_classes):
    """Logits that are linear in the inputs, without a bias, for the exact solver."""
    import keras

    inputs = keras.Input(input_shape)
    features = keras.layers.Flatten(name="features")(inputs)
    readout = keras.layers.Dense(num_classes, use_bias=False, name="readout")
    return keras.Model(inputs, readout(features))


class DoubleDescent(Phenomenon):
    title = "Deep double descent"
    claim = (
        "Test error first falls, then rises to a peak where the training just reaches zero "
        "training error, then falls again: over model size, training time and number of samples. "
        "Label noise raises the peak; enough ridge penalty removes it."
    )
    paper = "Nakkiran et al., Deep Double Descent, ICLR 2020, arXiv 1912.02292"
    Config = Config
    models: ClassVar = {"linear_readout": _linear_readout}
    measures = (error("train"), error("test"), loss("train"), loss("test"))
    curve_measures = (error("train"), error("test"), loss("test"))

    # ---- the grid ------------------------------------------------------------------------------

    def trials(self, config: Config) -> Iterator[Trial]:
        noises = (config.label_noise, 0.0) if config.control else (config.label_noise,)
        networks = [("width", width) for width in config.widths]
        networks += [("epoch", config.epoch_width)] if config.epoch_width is not None else []
        sizes = [("features", size) for size in config.features]
        sizes += [("samples", size) for size in config.samples]
        scales = (config.slow_scale, 1.0) if config.descent_steps else ()
        for (arm, width), noise, seed in product(networks, noises, config.seed_range()):
            yield self._network(config, arm, width, noise, seed)
        for (arm, size), ridge, seed in product(sizes, (0.0, config.ridge), config.seed_range()):
            yield self._random_features(config, arm, size, ridge, seed)
        for scale, seed in product(scales, config.seed_range()):
            yield self._two_scales(config, scale, seed)

    def _network(self, config: Config, arm: str, width: int, noise: float, seed: int) -> Trial:
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

    def _random_features(self, config, arm: str, size: int, ridge: float, seed: int) -> Trial:
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
            optimizer=Spec("least_squares", ridge=ridge),
            seed=seed,
            tags={"arm": arm, "size": size, "label_noise": 0.2, "ridge": ridge, "seed": seed},
        )

    def _two_scales(self, config: Config, scale: float, seed: int) -> Trial:
        return Trial(
            model=Spec("linear_readout"),
            data=Data("two_scales", options={"scale": scale, "generator_seed": seed}),
            optimizer=Spec("least_squares"),
            steps=config.descent_steps[-1],
            curve=config.descent_steps,
            seed=seed,
            tags={"arm": "descent", "size": 0, "label_noise": 0.0, "ridge": 0.0, "seed": seed}
            | {"scale": scale},
        )

    # ---- what it shows -------------------------------------------------------------------------

    def findings(self, table, config: Config) -> Iterator[Signature]:
        networks = table[table.arm == "width"]
        noisy = networks[networks.label_noise > 0]
        clean = networks[networks.label_noise == 0]
        if config.widths:
            yield from _peak(Signature, "model_wise_loss", noisy, "test_loss", config.rise)
            yield _peak_error(Signature, "model_wise_error_drop", noisy, config.error_rise)
            yield _location(noisy)
            if len(clean):
                yield from _peak(
                    Control, "no_label_noise_model_wise_loss", clean, "test_loss", config.rise
                )
        if config.epoch_width is not None:
            runs = table[table.arm == "epoch"]
            for kind, name, rows in (
                (Signature, "epoch_wise_error", runs[runs.label_noise > 0]),
                (Control, "no_label_noise_epoch_wise_error", runs[runs.label_noise == 0]),
            ):
                if len(rows):
                    curves = rows.sort_values("seed").curve_test_error.tolist()
                    yield from _rise_and_drop(kind, name, curves, config.error_rise)
        for arm in ("features", "samples"):
            rows = table[table.arm == arm]
            if len(rows):
                for kind, name, part in (
                    (Signature, f"random_{arm}_error", rows[rows.ridge == 0]),
                    (Control, f"ridge_random_{arm}_error", rows[rows.ridge > 0]),
                ):
                    yield from _peak(kind, name, part, "test_error", 5 * config.error_rise)

        rows = table[table.arm == "descent"].sort_values("seed") if config.descent_steps else ()
        if len(rows):
            slow, equal = rows[rows.scale < 1], rows[rows.scale == 1]
            name, limit = "two_scales_epoch_wise_error", config.error_rise
            yield from _rise_and_drop(Signature, name, slow.curve_test_error.tolist(), limit)
            # With one scale the error falls and then rises for good: there is no drop.
            _, drop = _rise_and_drop(
                Control, f"one_scale_{name}", equal.curve_test_error.tolist(), limit
            )
            yield drop

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        size = number.setting.get("width")
        noise = number.setting.get("label_noise")
        column = {"test error, %": "test_error", "train error, %": "train_error"}.get(number.metric)
        rows = table[(table.arm == "width") & (table["size"] == size)]
        rows = rows[(rows.label_noise - noise).abs() < 1e-9] if noise is not None else rows
        if column is None or not len(rows):
            return None
        ours = stats.mean(100 * rows[column], number.metric)
        against = number.setting.get("against_width")
        if against is None:
            return ours, None
        others = table[(table.arm == "width") & (table["size"] == against)]
        others = others[(others.label_noise - noise).abs() < 1e-9]
        return ours, stats.mean(100 * others[column], number.metric)


def grid_of(rows, column: str):
    """One row a seed, one column a size."""
    return rows.pivot(index="seed", columns="size", values=column)


def _rise_and_drop(kind, name: str, curves, threshold: float) -> Iterator[Signature]:
    from tfphen.phenomena._shared.interior_peak import interior_peak
    from tfphen.verdicts import stats

    found = interior_peak(curves)
    yield kind(f"{name}_rise", stats.mean(found.rise, "rise to the peak"), above=threshold)
    yield kind(f"{name}_drop", stats.mean(found.drop, "drop behind the peak"), above=threshold)


def _peak(kind, name: str, rows, column: str, threshold: float) -> Iterator[Signature]:
    rise, drop = _rise_and_drop(kind, name, grid_of(rows, column).to_numpy(), threshold)
    # A curve that only falls has no rise, whatever it drops: the rise alone is the control.
    yield from (rise,) if kind is Control else (rise, drop)


def _peak_error(kind, name: str, rows, threshold: float) -> Signature:
    _, drop = _rise_and_drop(kind, name, grid_of(rows, "test_error").to_numpy(), threshold)
    return kind(name, drop.estimate, above=threshold)


def _location(rows) -> Signature:
    """Peak of the test loss against the first width that fits 90 % of its training labels."""
    import numpy as np

    from tfphen.phenomena._shared.interior_peak import interior_peak
    from tfphen.verdicts import stats

    loss, error = grid_of(rows, "test_loss"), grid_of(rows, "train_error")
    widths = np.asarray(loss.columns, "float64")
    fits = (error.to_numpy() <= 0.1).argmax(1)
    distance = np.log2(widths[interior_peak(loss.to_numpy()).position] / widths[fits])
    estimate = stats.mean(distance, "log2 of peak width over interpolation width")
    return Signature("peak_at_interpolation", estimate, within=(-1.0, 1.0))
