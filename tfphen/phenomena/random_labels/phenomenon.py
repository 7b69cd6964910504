"""Networks fit labels that say nothing about the inputs (Zhang et al. 2017, arXiv 1611.03530).

The same network, optimizer and schedule train on true labels and on randomizations of the data.
Beside them stand two exact solutions: the function of least norm of a Gaussian kernel, and the
construction of a network with 2n + d weights that fits any n labels.
"""

import dataclasses
import functools
import importlib
from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import error, report
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.random_labels import findings as statistics
from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.stats import mean

# What is done to the training data; one permutation shuffles the pixels of test images too.
RANDOMIZATIONS = {
    "true": (),
    "shuffled_pixels": (Spec("shuffled_pixels", test=True),),
    "gaussian": (Spec("gaussian_inputs"),),
    "random_pixels": (Spec("random_pixels"),),
    "random_labels": (Spec("random_labels"),),
}
RANDOM = RANDOMIZATIONS["random_labels"]
# Band around chance; advantage over chance that is large; gain by a regularizer that is small;
# ratio of times to fit; rank correlation; log10 of an error; share of corrupted labels under
# which dropout is tried.
CHANCE, LARGE, LITTLE, SLOWER, RISING, EXACT, NOISE = 0.03, 0.3, 0.03, 1.5, 0.9, -6, 0.4
# A rank correlation of nothing scatters less with more points; these cost little.
NULL_RATES = tuple(rate / 10 for rate in range(1, 10))
ERRORS = ("train_error", "test_error")
KERNEL = ("iterations", "residual", "norm")


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`; a source of ten classes.
        arms: What networks train on, of `RANDOMIZATIONS`.
        rates: Shares of corrupted labels, between 0 and 1, under which models train too.
        weight_decay: Decay of a further network on true labels, or None. It is decoupled with
            `"adam"`, and a penalty with `"sgd"`.
        dropout: Rate of further networks, on true labels and with 40% of them corrupted, or None.
        controls: Whether to train softmax regression on random labels, and a network on labels
            that are drawn anew at every step.
        model: `"mlp"`, or `"whitened_mlp"`, which sees centre crops, whitened one by one.
        hidden_units: Widths of the network.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        decay: Factor on the learning rate after every epoch.
        batch_size, epochs: Of each training.
        gamma: Of a Gaussian kernel, exp(-gamma |x - x'|²), or None.
        kernel_settings: Of `kernel_solver.interpolate`.
        construction: How many examples the constructed network fits, or None.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    data: str = "digits"
    train: int = 1437
    test: int | None = None
    split: str = "seeded"
    arms: tuple[str, ...] = tuple(RANDOMIZATIONS)
    rates: tuple[float, ...] = ()
    weight_decay: float | None = None
    dropout: float | None = None
    controls: bool = True
    model: str = "mlp"
    hidden_units: tuple[int, ...] = (256, 256)
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    decay: float = 1.0
    batch_size: int = 64
    epochs: int = 60
    gamma: float | None = None
    kernel_settings: dict = dataclasses.field(default_factory=dict)
    construction: int | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        arms, ends = set(self.arms), {"true", "random_labels"}
        if arms and not ends <= arms <= set(RANDOMIZATIONS):
            names = ", ".join(RANDOMIZATIONS)
            self._refuse("arms", f"are of {names}, and hold the first and last, or nothing")
        if len(self.rates) == 1 or not all(0 < rate < 1 for rate in self.rates):
            self._refuse("rates", "lie between 0 and 1, and are two at least, or none")
        if self.dropout is not None and NOISE not in self.rates:
            rule = f"is tried with corrupted labels too: `rates` must hold {NOISE}"
            self._refuse("dropout", rule)
        if not 0 < self.decay <= 1:
            self._refuse("decay", "is above 0 and at most 1")

    def _refuse(self, name: str, rule: str) -> None:
        received = f"{name}={getattr(self, name)!r}, rates={self.rates}"
        raise UsageError(f"`{name}` {rule}. Received: {received}")


def _whitened_mlp(input_shape, num_classes, *, crop=2, **settings):
    """A perceptron on images without their margin, each of mean 0 and variance 1."""
    import keras

    from tfphen.models import mlp

    inputs = keras.Input(input_shape)
    flat = keras.layers.Flatten()(keras.layers.Cropping2D(crop)(inputs))
    deviation = keras.ops.std(flat, axis=-1, keepdims=True)
    deviation = keras.ops.maximum(deviation, flat.shape[-1] ** -0.5)
    flat = (flat - keras.ops.mean(flat, axis=-1, keepdims=True)) / deviation
    outputs = mlp(flat.shape[1:], num_classes, **settings)(flat)
    return keras.Model(inputs, outputs, name="whitened_mlp")


def _redrawn_labels():
    """Cross-entropy with labels that are drawn anew at every step, whatever the inputs."""

    def objective(step):
        import tensorflow as tf

        from tfphen.core import seeds
        from tfphen.population import counter_rng
        from tfphen.train import objectives

        rows, classes = step.outputs.shape[1:]
        key = tf.constant(seeds.key(0, "redrawn_labels")[None])
        drawn = counter_rng.uniform(key, step.number, 0, (rows, 1))[..., 0] * classes
        labels = tf.broadcast_to(tf.cast(drawn, tf.int32), tf.shape(step.outputs)[:2])
        return objectives.cross_entropy(dataclasses.replace(step, labels=labels))

    return objective


def _solve(module: str, trials, examples, tick):
    """Calls the solver of a module of `tfphen.train`, which is heavy to import."""
    return importlib.import_module(f"{__package__}.{module}").solve(trials, examples, tick)


class RandomLabels(Phenomenon):
    """All networks of one shape are one population: randomizations change no graph."""

    title = "Fitting random labels"
    claim = (
        "The network and settings that generalize from true labels reach zero training error on "
        "random ones, in a small multiple of the time, and then predict at chance. Test error "
        "rises steadily with the share of corrupted labels. Without any regularizer test accuracy "
        "is nearly what it is with one, and a kernel that interpolates any labels generalizes too."
    )
    paper = (
        "C. Zhang, S. Bengio, M. Hardt, B. Recht, O. Vinyals, Understanding deep learning requires "
        "rethinking generalization, ICLR 2017, arXiv 1611.03530"
    )
    Config = Config
    measures = (error("train"), error("test"), *map(report, (*KERNEL, "misfit")))
    curve_measures = (error("train"),)
    models: ClassVar[Mapping] = {"whitened_mlp": _whitened_mlp}
    objectives: ClassVar[Mapping] = {"redrawn_labels": _redrawn_labels}
    solvers: ClassVar[Mapping] = {
        "kernel_interpolation": functools.partial(_solve, "kernel_interpolation"),
        "threshold_construction": functools.partial(_solve, "threshold_network"),
    }

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from _networks(config, seed) if config.arms else ()
            yield from _exact_solutions(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        for prefix in ("", "kernel_"):
            if not len(rows_of(table, arm=f"{prefix}true", rate=0.0)):
                continue
            arms = f"{prefix}true", f"{prefix}random_labels"
            fit = statistics.fit(table, arms[1])
            yield Signature(f"{arms[1]}_are_fitted", fit, above=statistics.FITTED)
            true, random = (statistics.advantage(table, arm) for arm in arms)
            yield Signature(f"{arms[0]}_generalize", true, above=LARGE)
            yield Control(f"{arms[1]}_generalize", random, above=LARGE)
            yield Control(f"{arms[0]}_teach_nothing", true, within=(-CHANCE, CHANCE))
            yield Signature(f"{arms[1]}_teach_nothing", random, within=(-CHANCE, CHANCE))
            if config.rates:
                kind, name = (Control, "of_random_labels") if prefix else (Signature, "of_labels")
                rise = statistics.rise(table, "kernel_null_noise" if prefix else "true")
                yield kind(f"error_rises_with_corruption_{name}", rise, above=RISING)
        if config.arms:
            yield from _times(table, config)
            for arm in ("linear", "redrawn") if config.controls else ():
                fit = statistics.fit(table, arm)
                yield Control(f"{arm}_fits_random_labels", fit, above=statistics.FITTED)
        for arm in ("weight_decay", "dropout"):
            if getattr(config, arm) is not None:
                yield Signature(f"{arm}_gains_little", statistics.gain(table, arm), below=LITTLE)
        if config.dropout is not None:
            noisy = statistics.gain(table, "dropout", NOISE)
            yield Control("dropout_gains_little_under_label_noise", noisy, below=LITTLE)
        if config.construction is not None:
            for kind, arm in ((Signature, "construction"), (Control, "half_construction")):
                yield kind(f"{arm}_is_exact", statistics.misfit(table, arm), below=EXACT)

    def reproductions(self, table, config: Config, number):
        column, arm = number.metric.split()[0] + "_error", number.setting.get("arm")
        if column not in ERRORS or arm not in set(table.arm):
            return None
        accuracy = 100 * statistics.accuracy(table, arm, column)
        ours = 100 - accuracy if "error" in number.metric else accuracy
        return mean(ours, number.metric), None


# ---- trials ------------------------------------------------------------------------------------


def _trial(config: Config, seed: int, arm: str, corruptions, rate=0.0, **settings) -> Trial:
    data = Data(config.data, config.train, config.test, config.split, corruptions)
    return Trial(data=data, seed=seed, tags={"arm": arm, "rate": rate, "seed": seed}, **settings)


def _noise(rate: float) -> tuple[Spec, ...]:
    return (Spec("label_noise", rate=rate, kind="all"),) if rate else ()


def _networks(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the trainings of one seed by gradient descent."""
    later, every = range(1, config.epochs), -(-config.train // config.batch_size)
    schedule = Spec("constant")
    if config.decay < 1:
        factors = [config.decay**epoch for epoch in later]
        fractions = [epoch / config.epochs for epoch in later]
        schedule = Spec("piecewise", fractions=fractions, factors=factors)

    def network(arm, corruptions=(), rate=0.0, shape=(), decay=(), curve=True, **settings):
        model = Spec(config.model, hidden_units=config.hidden_units, **dict(shape))
        own = dict(decay) | ({"coupled": True} if config.optimizer == "sgd" else {})
        settings = {"model": model, "schedule": schedule, "measures": ERRORS} | settings
        settings |= {"batch_size": config.batch_size, "steps": every * config.epochs}
        settings["optimizer"] = Spec(config.optimizer, **config.optimizer_settings, **own)
        settings["curve"] = [epoch * every for epoch in later] if curve else ()
        return _trial(config, seed, arm, corruptions, rate, **settings)

    for arm in config.arms:
        yield network(arm, RANDOMIZATIONS[arm])
    for rate in config.rates:
        yield network("true", _noise(rate), rate)
    if config.weight_decay is not None:
        yield network("weight_decay", decay={"weight_decay": config.weight_decay})
    for rate in (0.0, NOISE) if config.dropout is not None else ():
        yield network("dropout", _noise(rate), rate, {"dropout": config.dropout}, curve=False)
    if config.controls:
        yield network("linear", RANDOM, model=Spec("linear"), curve=False)
        yield network("redrawn", RANDOM, objective=Spec("redrawn_labels"), curve=False)


def _exact_solutions(config: Config, seed: int) -> Iterator[Trial]:
    if config.gamma is not None:
        arms = [("kernel_true", (), 0.0), ("kernel_random_labels", RANDOM, 0.0)]
        arms += [("kernel_true", _noise(rate), rate) for rate in config.rates]
        if config.rates:
            arms += [("kernel_null_noise", RANDOM + _noise(rate), rate) for rate in NULL_RATES]
        settings = {
            "model": Spec("gaussian_kernel", gamma=config.gamma),
            "optimizer": Spec("kernel_interpolation", **config.kernel_settings),
            "measures": (*ERRORS, *KERNEL),
        }
        for arm, corruptions, rate in arms:
            yield _trial(config, seed, arm, corruptions, rate, **settings)
    if (count := config.construction) is not None:
        few = dataclasses.replace(config, train=count)
        settings = {"optimizer": Spec("threshold_construction"), "measures": (*ERRORS, "misfit")}
        for arm, units in (("construction", count), ("half_construction", count // 2)):
            settings["model"] = Spec("threshold_network", units=units)
            yield _trial(few, seed, arm, RANDOM, **settings)


# ---- findings ----------------------------------------------------------------------------------


def _times(table, config: Config) -> Iterator[Signature]:
    """Yields findings on how long networks take to fit."""
    for kind, arm in ((Signature, "random_labels"), (Control, "shuffled_pixels")):
        if arm in config.arms:
            yield kind(f"{arm}_take_longer", statistics.longer(table, arm), above=SLOWER)
    if set(config.arms) != set(RANDOMIZATIONS):
        return
    # Without shuffled pixels: a perceptron sees no difference between them and true labels.
    arms = [arm for arm in RANDOMIZATIONS if arm != "shuffled_pixels"]
    for kind, arm in ((Signature, "true"), (Control, "random_labels")):
        yield kind(f"{arm}_are_fitted_first", statistics.first(table, arm, arms), above=1.0)
    for kind, arm in ((Signature, "random_labels"), (Control, "true")):
        yield kind(f"{arm}_are_fitted_last", statistics.last(table, arm, arms), above=1.0)
