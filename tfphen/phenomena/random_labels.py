"""Networks fit labels that say nothing about the inputs (Zhang et al. 2017, arXiv 1611.03530).

The same network, optimizer and schedule train on true labels and on randomizations of the data.
Beside them stand two exact solutions: the function of least norm of a Gaussian kernel, and the
construction of a network with 2n + d weights that fits any n labels.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen import config as configs
from tfphen.errors import UsageError
from tfphen.findings import Control, Signature
from tfphen.measures import Measure, error
from tfphen.phenomenon import Phenomenon
from tfphen.trial import Data, Spec, Trial

# What is done to the training data; one permutation shuffles the pixels of test images too.
RANDOMIZATIONS = {
    "true": (),
    "shuffled_pixels": (Spec("shuffled_pixels", test=True),),
    "gaussian": (Spec("gaussian_inputs"),),
    "random_pixels": (Spec("random_pixels"),),
    "random_labels": (Spec("random_labels"),),
}
RANDOM = RANDOMIZATIONS["random_labels"]
# Training accuracy of a network that has fitted; band around chance; advantage over chance that is
# large; gain by a regularizer that is small; ratio of times to fit; rank correlation; log10 of an
# error; share of corrupted labels under which dropout is tried.
FITTED, CHANCE, LARGE, LITTLE, SLOWER, RISING, EXACT, NOISE = (
    0.99,
    0.03,
    0.3,
    0.03,
    1.5,
    0.9,
    -6,
    0.4,
)
# A rank correlation of nothing scatters less with more points; these cost little.
NULL_RATES = tuple(rate / 10 for rate in range(1, 10))
ERRORS = ("train_error", "test_error")
KERNEL = ("iterations", "residual", "norm")


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.trial.Data`; a source of ten classes.
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
        kernel_settings: Of `tfphen.train.kernel_interpolation.interpolate`.
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
        rules = {
            "arms": not self.arms or {"true", "random_labels"} <= set(self.arms),
            "rates": all(0 < rate < 1 for rate in self.rates) and len(self.rates) != 1,
            "dropout": self.dropout is None or NOISE in self.rates,
            "decay": 0 < self.decay <= 1,
        }
        rules["arms"] &= set(self.arms) <= set(RANDOMIZATIONS)
        words = {
            "arms": f"are of {', '.join(RANDOMIZATIONS)}, and hold the first and last, or nothing",
            "rates": "lie between 0 and 1, and are two at least, or none",
            "dropout": f"is tried with corrupted labels too: `rates` must hold {NOISE}",
            "decay": "is above 0 and at most 1",
        }
        for name, holds in rules.items():
            if not holds:
                received = f"{name}={getattr(self, name)!r}, rates={self.rates}"
                raise UsageError(f"`{name}` {words[name]}. Received: {received}")


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

        from tfphen.train import noise, objectives, seeds

        rows, classes = step.outputs.shape[1:]
        key = tf.constant(seeds.key(0, "redrawn_labels")[None])
        drawn = noise.uniform(key, step.number, 0, (rows, 1))[..., 0] * classes
        labels = tf.broadcast_to(tf.cast(drawn, tf.int32), tf.shape(step.outputs)[:2])
        return objectives.cross_entropy(dataclasses.replace(step, labels=labels))

    return objective


def _interpolate(trials, examples, tick):
    from tfphen.train import kernel_interpolation

    return kernel_interpolation.solve(trials, examples, tick)


def _construct(trials, examples, tick):
    from tfphen.train import threshold_network

    return threshold_network.solve(trials, examples, tick)


def _report(name: str) -> Measure:
    return Measure(name, lambda trained: trained.members.reports[name])


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
    measures = (error("train"), error("test"), *map(_report, (*KERNEL, "misfit")))
    curve_measures = (error("train"),)
    models: ClassVar[Mapping] = {"whitened_mlp": _whitened_mlp}
    objectives: ClassVar[Mapping] = {"redrawn_labels": _redrawn_labels}
    solvers: ClassVar[Mapping] = {
        "kernel_interpolation": _interpolate,
        "threshold_construction": _construct,
    }

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from _networks(config, seed) if config.arms else ()
            yield from _exact_solutions(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        def gain(arm, rate=0.0):
            pair = (_accuracy(table, a, rate=rate) for a in (arm, "true"))
            return stats.paired_difference(*pair, f"test accuracy, {arm} minus none, noise {rate}")

        def advantage(arm):
            values = _accuracy(table, arm) - 0.1
            return stats.mean(values, f"test accuracy minus chance, {arm}")

        from tfphen import stats

        for prefix in ("", "kernel_"):
            if not len(_rows(table, f"{prefix}true")):
                continue
            arms = f"{prefix}true", f"{prefix}random_labels"
            yield Signature(f"{arms[1]}_are_fitted", _fit(table, arms[1]), above=FITTED)
            for kinds, name, limit in (
                ((Signature, Control), "generalize", {"above": LARGE}),
                ((Control, Signature), "teach_nothing", {"within": (-CHANCE, CHANCE)}),
            ):
                for kind, arm in zip(kinds, arms, strict=True):
                    yield kind(f"{arm}_{name}", advantage(arm), **limit)
            if config.rates:
                kind, name = (Control, "of_random_labels") if prefix else (Signature, "of_labels")
                rise = _rise(table, "kernel_null_noise" if prefix else "true")
                yield kind(f"error_rises_with_corruption_{name}", rise, above=RISING)
        if config.arms:
            yield from _times(table, config)
            for arm in ("linear", "redrawn") if config.controls else ():
                yield Control(f"{arm}_fits_random_labels", _fit(table, arm), above=FITTED)
        for arm in ("weight_decay", "dropout"):
            if getattr(config, arm) is not None:
                yield Signature(f"{arm}_gains_little", gain(arm), below=LITTLE)
        if config.dropout is not None:
            noisy = gain("dropout", NOISE)
            yield Control("dropout_gains_little_under_label_noise", noisy, below=LITTLE)
        if config.construction is not None:
            for kind, arm in ((Signature, "construction"), (Control, "half_construction")):
                yield kind(f"{arm}_is_exact", _misfit(table, arm), below=EXACT)

    def reproductions(self, table, config: Config, number):
        from tfphen import stats

        column = number.metric.split()[0] + "_error"
        arm = number.setting.get("arm")
        if column not in ERRORS or arm not in set(table.arm):
            return None
        accuracy = 100 * _accuracy(table, arm, column)
        ours = 100 - accuracy if "error" in number.metric else accuracy
        return stats.mean(ours, number.metric), None

    def figure(self, table, config: Config, figure) -> None:
        panels = [_draw_fitting] * bool(config.arms) + [_draw_corruption] * bool(config.rates)
        panels.append(_draw_accuracies)
        figure.set_size_inches(3.7 * len(panels), 3.9)
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, draw in zip(axes, panels, strict=True):
            draw(axis, table, config)


# ---- trials ------------------------------------------------------------------------------------


def _trial(config: Config, seed: int, arm: str, corruptions, rate=0.0, **settings) -> Trial:
    data = Data(config.data, config.train, config.test, config.split, corruptions)
    return Trial(data=data, seed=seed, tags={"arm": arm, "rate": rate, "seed": seed}, **settings)


def _noise(rate: float) -> tuple[Spec, ...]:
    return (Spec("label_noise", rate=rate, kind="all"),)


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
        noise, shape = _noise(rate) if rate else (), {"dropout": config.dropout}
        yield network("dropout", noise, rate, shape, curve=False)
    if config.controls:
        yield network("linear", RANDOM, model=Spec("linear"), curve=False)
        yield network("redrawn", RANDOM, objective=Spec("redrawn_labels"), curve=False)


def _exact_solutions(config: Config, seed: int) -> Iterator[Trial]:
    if config.gamma is not None:
        arms = [("kernel_true", (), 0.0), ("kernel_random_labels", RANDOM, 0.0)]
        arms += [("kernel_true", _noise(rate), rate) for rate in config.rates]
        null = NULL_RATES if config.rates else ()
        arms += [("kernel_null_noise", RANDOM + _noise(rate), rate) for rate in null]
        for arm, corruptions, rate in arms:
            yield _trial(
                config,
                seed,
                arm,
                corruptions,
                rate,
                model=Spec("gaussian_kernel", gamma=config.gamma),
                optimizer=Spec("kernel_interpolation", **config.kernel_settings),
                measures=(*ERRORS, *KERNEL),
            )
    if (count := config.construction) is not None:
        few, optimizer = dataclasses.replace(config, train=count), Spec("threshold_construction")
        for arm, units in (("construction", count), ("half_construction", count // 2)):
            model, measures = Spec("threshold_network", units=units), (*ERRORS, "misfit")
            settings = {"model": model, "optimizer": optimizer, "measures": measures}
            yield _trial(few, seed, arm, RANDOM, **settings)


# ---- statistics --------------------------------------------------------------------------------


def _rows(table, arm: str, rate: float = 0.0):
    return table[(table.arm == arm) & (table.rate == rate)].sort_values("seed")


def _accuracy(table, arm: str, column: str = "test_error", rate: float = 0.0):
    return 1 - _rows(table, arm, rate)[column].to_numpy()


def _mean(values, name: str):
    """Mean over seeds, undefined where it is undefined for one of them."""
    from tfphen import stats
    from tfphen.estimate import Estimate

    if all(map(math.isfinite, values)):
        return stats.mean(values, f"{name}, mean over seeds")
    return Estimate(f"{name}, undefined for some seeds", *[math.nan] * 3, len(values))


def _fit(table, arm: str):
    return _mean(_accuracy(table, arm, "train_error"), f"training accuracy, {arm}")


def _misfit(table, arm: str):
    import numpy as np

    largest = np.maximum(_rows(table, arm).misfit, 1e-300)
    return _mean(np.log10(largest), f"log10 of the largest error on an example, {arm}")


def _corruption(table, arm: str):
    """Returns shares of corrupted labels, and test accuracies `[seeds, shares]`."""
    import numpy as np

    shares = sorted(table[table.arm == arm].rate.unique())
    values = [_accuracy(table, arm, rate=rate) for rate in shares]
    if arm.endswith("true"):
        shares, random = [*shares, 1.0], arm.replace("true", "random_labels")
        values.append(_accuracy(table, random))
    return shares, np.stack(values, 1)


def _rise(table, arm: str):
    from tfphen import stats

    shares, accuracies = _corruption(table, arm)
    ranks = [stats.spearman(shares, 1 - one).value for one in accuracies]
    return _mean(ranks, f"rank correlation of test error and share of corrupted labels, {arm}")


def _epochs_to_fit(table, arm: str):
    """Returns the epoch after which training accuracy is first `FITTED`, `[seeds]`, or NaN."""
    import numpy as np

    errors = np.stack(list(_rows(table, arm).curve_train_error))
    fitted = errors <= 1 - FITTED
    return np.where(fitted.any(1), 1.0 + fitted.argmax(1), np.nan)


def _times(table, config: Config) -> Iterator[Signature]:
    """Yields findings on how long networks take to fit."""
    import numpy as np

    epochs = {arm: _epochs_to_fit(table, arm) for arm in config.arms}

    def ratio(first, second, name):
        logs = _mean(np.log(first / second), f"{name}, logarithm")
        ends = {end: math.exp(getattr(logs, end)) for end in ("value", "low", "high")}
        return dataclasses.replace(logs, **ends, spread=None)

    for kind, arm in ((Signature, "random_labels"), (Control, "shuffled_pixels")):
        if arm in epochs:
            longer = ratio(epochs[arm], epochs["true"], f"epochs to fit, {arm} over true")
            yield kind(f"{arm}_take_longer", longer, above=SLOWER)
    if set(config.arms) != set(RANDOMIZATIONS):
        return
    # Without shuffled pixels: a perceptron sees no difference between them and true labels.
    known = {arm: epochs[arm] for arm in RANDOMIZATIONS if arm != "shuffled_pixels"}
    for kind, arm in ((Signature, "true"), (Control, "random_labels")):
        others = np.min([known[other] for other in known if other != arm], 0)
        first = ratio(others, known[arm], f"epochs to fit, least of the others over {arm}")
        yield kind(f"{arm}_are_fitted_first", first, above=1.0)
    for kind, arm in ((Signature, "random_labels"), (Control, "true")):
        others = np.max([known[other] for other in known if other != arm], 0)
        last = ratio(known[arm], others, f"epochs to fit, {arm} over most of the others")
        yield kind(f"{arm}_are_fitted_last", last, above=1.0)


# ---- figure ------------------------------------------------------------------------------------


def _draw_fitting(axes, table, config: Config) -> None:
    """Training accuracy over epochs, a line a randomization."""
    import numpy as np

    from tfphen.report import plots

    for arm in config.arms:
        accuracies = 1 - np.stack(list(_rows(table, arm).curve_train_error))
        epochs = np.arange(1, accuracies.shape[1] + 1)
        plots.interval_band(axes, epochs, accuracies, arm.replace("_", " "))
    axes.set(xlabel="epochs", ylabel="training accuracy", title="Everything is fitted")
    axes.set(ylim=(0, 1.03))
    axes.legend(loc="lower right")


def _draw_corruption(axes, table, config: Config) -> None:
    """Test accuracy over the share of corrupted labels."""
    from tfphen.report import plots

    arms = ("true", "kernel_true", "kernel_null_noise")
    labels = ("network", "kernel", "kernel, labels random before")
    for arm, label in zip(arms, labels, strict=True):
        if arm in set(table.arm):
            plots.interval_band(axes, *_corruption(table, arm), label)
    axes.axhline(0.1, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="share of corrupted labels", ylabel="test accuracy", ylim=(0, 1.03))
    axes.set_title("What is fitted matters")
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12))


def _draw_accuracies(axes, table, config: Config) -> None:
    """One row an arm without label noise, train and test: each seed, and a bar at the mean."""
    import numpy as np

    from tfphen.report import plots

    arms = [
        a for a in dict.fromkeys(table.arm) if len(_rows(table, a)) and a != "kernel_null_noise"
    ]
    for index, (column, label) in enumerate(zip(ERRORS, ("training", "test"), strict=True)):
        colour, marker = plots.SERIES[1 - index], plots.MARKERS[1 - index]
        for row, arm in enumerate(arms):
            values = _accuracy(table, arm, column)
            heights = np.full(len(values), row + 0.3 * index - 0.15)
            name = label if row == 0 else None
            axes.plot(values, heights, marker, color=colour, alpha=0.45, ms=3, label=name)
            axes.plot(values.mean(), heights[0], "|", color=colour, ms=9, mew=2)
    axes.axvline(0.1, color=plots.INK, linewidth=0.8, linestyle=":")
    axes.set(yticks=range(len(arms)), yticklabels=[arm.replace("_", " ") for arm in arms])
    axes.set(xlabel="accuracy", ylim=(len(arms) - 0.5, -0.5), title="Labels as given")
    axes.grid(True, axis="x")
    axes.legend(loc="center", bbox_to_anchor=(0.5, 0.5))
