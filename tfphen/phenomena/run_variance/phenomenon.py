"""Runs that differ in their seed alone differ in test accuracy, but hardly in quality.

Keller Jordan, *On the Variance of Neural Network Training with respect to Test Sets and
Distributions*, ICLR 2024, arXiv 2304.01910.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, predictions, wrong
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import numpy as np

    from tfphen.verdicts.estimate import Estimate

_MOST_RUNS = 100_000  # Keeps the seeds of different splits apart.
_RATIO, _CONTRAST, _CORRELATION, _SPREAD = 1.5, 4.0, 0.3, 0.05
_PERMUTED = "Each test point's errors are permuted over the runs, which makes them independent."


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. A seed is a split: its runs share the data and differ in initial weights and order.

    Args:
        data, train, test, split, options: As in `tfphen.core.trial.Data`.
        model, optimizer: `name` of a builder, and of a Keras optimizer, with settings.
        schedule, batch_size: As in `tfphen.core.trial.Trial`.
        runs: Runs per split and length of training.
        epochs: Lengths of training; the shortest and the longest are compared.
        unequal_runs: Runs per split of a control with unequal training sets; 0 leaves it out.
        smallest_share: They see from this share of the training set to all of it.
        convex_runs: Runs per split of a control with a convex loss; 0 leaves it out.
        differs: Settings that differ from the paper's, for its comparison.
    """

    data: str = "digits"
    split: str = "seeded"
    train: int | None = None
    test: int | None = None
    options: dict = dataclasses.field(default_factory=dict)
    model: dict = dataclasses.field(default_factory=lambda: {"name": "mlp"})
    optimizer: dict = dataclasses.field(default_factory=lambda: {"name": "sgd"})
    schedule: str = "linear"
    batch_size: int = 64
    runs: int = 128
    epochs: tuple[float, ...] = (1.0, 40.0)
    unequal_runs: int = 64
    smallest_share: float = 0.2
    convex_runs: int = 8
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if 1 in (self.runs, self.unequal_runs, self.convex_runs) or len(set(self.epochs)) < 2:
            raise UsageError(
                "Every arm needs two runs or more, and there are two `epochs` or more. Received: "
                f"{self.runs}, {self.unequal_runs}, {self.convex_runs} runs, epochs={self.epochs}"
            )


def resnet9(input_shape: tuple[int, ...], num_classes: int):
    """The network of the paper's CIFAR-10 experiments, with PyTorch's defaults."""
    import keras
    from keras import layers

    from tfphen.models.layer_defaults import LayerDefaults, classifier

    make = LayerDefaults("torch", seed=0)

    def convolve(x, filters, name, size=3, **settings):
        settings = {"padding": 1, "use_bias": False, **settings}
        x = make.convolution(filters, size, x, name, **settings)
        return layers.ReLU(name=f"{name}_relu")(make.batch_normalization(x, f"{name}_norm"))

    def residual(x, filters, name):
        inner = convolve(convolve(x, filters, f"{name}_1"), filters, f"{name}_2")
        return layers.Add(name=name)([x, inner])

    inputs = keras.Input(input_shape, name="inputs")
    x = convolve(inputs, 64, "conv_1")
    x = residual(convolve(x, 128, "conv_2", size=5, strides=2, padding=2), 128, "residual_1")
    x = layers.MaxPooling2D(2, name="pool")(convolve(x, 256, "conv_3"))
    x = convolve(residual(x, 256, "residual_2"), 128, "conv_4", padding=0)
    x = layers.GlobalMaxPooling2D(name="global_pool")(x)
    logits = classifier(x, num_classes, make, use_bias=False)
    return keras.Model(inputs, layers.Rescaling(0.2, name="scale")(logits), name="resnet9")


class RunVariance(Phenomenon):
    title = "Variance between runs"
    claim = (
        "Runs trained to convergence that differ in their seed alone differ in test accuracy by "
        "chance: errors on different points are independent. After short training some are better."
    )
    paper = "Jordan, On the Variance of Neural Network Training, ICLR 2024, arXiv 2304.01910"
    Config = Config
    labels = Measure("test_labels", lambda trained: trained.labels("test").astype("uint16"))
    measures = (error("test"), wrong("test"), predictions("test"), labels)
    models: Mapping[str, Callable] = {"resnet9": resnet9}

    # ---- the grid ------------------------------------------------------------------------------

    def trials(self, config: Config) -> Iterator[Trial]:
        stochastic = {
            "model": Spec(**config.model),
            "optimizer": Spec(**config.optimizer),
            "schedule": Spec(config.schedule),
            "batch_size": config.batch_size,
        }
        shortest, longest = min(config.epochs), max(config.epochs)
        for epochs in sorted(config.epochs):
            arm = {shortest: "short", longest: "long"}.get(epochs, "middle")
            yield from _trials(config, arm, config.runs, epochs=epochs, **stochastic)
        unequal = {"smallest_share": config.smallest_share, "epochs": longest, **stochastic}
        yield from _trials(config, "unequal", config.unequal_runs, **unequal)
        # Without a bias every direction of the weights is penalised, so convergence is fast.
        convex = {
            "model": Spec("linear", l2=0.01, use_bias=False),
            "optimizer": Spec("sgd", learning_rate=0.1, momentum=0.9),
            "batch_size": None,
            "steps": 1000,
        }
        yield from _trials(config, "convex", config.convex_runs, **convex)

    # ---- what the records say ------------------------------------------------------------------

    def findings(self, table, config: Config) -> Iterator[Signature]:
        short, long = _wrong(table, "short"), _wrong(table, "long")
        short_permuted, long_permuted = _permuted(short, "short"), _permuted(long, "long")

        yield Signature("short_runs_differ", _ratio(short), above=_RATIO)
        estimate = _ratio(short_permuted)
        yield Control("permuted_short_runs_differ", estimate, above=_RATIO, note=_PERMUTED)
        yield Signature("long_runs_are_alike", _ratio(long), below=_RATIO)
        yield Signature("short_over_long", _ratio(short, long), above=_CONTRAST)
        estimate = _ratio(short_permuted, long_permuted)
        yield Control("permuted_short_over_long", estimate, above=_CONTRAST, note=_PERMUTED)
        yield Signature("short_halves_related", _halves(short), above=_CORRELATION)
        halves = _halves(short_permuted)
        yield Control("permuted_halves_related", halves, above=_CORRELATION, note=_PERMUTED)
        yield Signature("long_halves_unrelated", _halves(long), below=_CORRELATION)
        if config.unequal_runs:
            note = f"Runs saw {config.smallest_share:.0%} to all of the training set."
            unequal = _wrong(table, "unequal")
            yield Control("unequal_runs_are_alike", _ratio(unequal), below=_RATIO, note=note)
            halves = _halves(unequal)
            yield Control("unequal_halves_unrelated", halves, below=_CORRELATION, note=note)
        if config.convex_runs:
            yield Signature("long_runs_spread", _spread(long), above=_SPREAD)
            note, convex = "Softmax regression with a penalty, converged.", _wrong(table, "convex")
            yield Control("convex_runs_spread", _spread(convex), above=_SPREAD, note=note)

    def reproductions(self, table, config: Config, number) -> "tuple[Estimate, None] | None":
        epochs = number.setting.get("epochs", max(config.epochs))
        runs = table[table.arm.isin(("short", "middle", "long")) & (table.epochs == epochs)]
        if len(runs) and number.metric == "mean test accuracy, %":
            return _mean(100 * (1 - runs.test_error), number.metric), None
        if len(runs) and number.metric == "sd of test accuracy, %":
            return _spread(_wrong(runs, *runs.arm), number.metric), None
        return None

    # ---- figure --------------------------------------------------------------------------------

    def figure(self, table, config: Config, figure) -> None:
        first = table[table.split == table.split.min()]
        axes = figure.subplots(1, 3, width_ratios=(3, 3, 2))
        for axis, arm in zip(axes, ("long", "short"), strict=False):
            _draw_spread(axis, first[first.arm == arm])
        _draw_binary_tasks(axes[2], first[first.arm == "long"])


def _trials(config: Config, arm: str, runs: int, smallest_share=1.0, **training) -> Iterator[Trial]:
    """Yields the runs of all splits; their shares of the training set rise to 1."""
    source = (config.data, config.train, config.test, config.split)
    for split in config.seed_range():
        for run in range(runs):
            share = smallest_share + (1 - smallest_share) * run / max(runs - 1, 1)
            some = (Spec("subset", fraction=share),) if smallest_share < 1 else ()
            yield Trial(
                data=Data(*source, some, config.options),
                seed=split * _MOST_RUNS + run,
                stream_seeds={"split": split, "subset": split},
                tags={"arm": arm, "split": split, "epochs": training.get("epochs", 0.0)},
                **training,
            )


def _wrong(table, *arms: str) -> "dict[int, np.ndarray]":
    """Returns who is wrong where, bool `[runs, test points]`, by split."""
    import numpy as np

    splits = table[table.arm.isin(arms)].groupby("split")
    return {split: np.stack(list(rows.test_wrong)) for split, rows in splits}


def _permuted(runs: "Mapping[int, np.ndarray]", arm: str) -> "dict[int, np.ndarray]":
    """Permutes each test point's column over the runs of its split."""
    from tfphen.core.seeds import stream

    generators = {split: stream(split, f"permuted_{arm}_runs") for split in runs}
    return {split: generators[split].permuted(errors, axis=0) for split, errors in runs.items()}


def _each(runs: "Mapping[int, np.ndarray]", statistic: str) -> list[float]:
    """Returns a field of `tfphen.metrics.RunVariance` for each split."""
    from tfphen.metrics import run_variance

    return [getattr(run_variance(errors), statistic) for errors in runs.values()]


def _ratio(runs: Mapping, over: Mapping | None = None) -> "Estimate":
    """Geometric mean over splits of the variance ratio, or of the quotient of two."""
    name = "variance of test error over that of independent errors, geometric mean over splits"
    ratios = _each(runs, "ratio")
    if over is not None:
        name, pairs = f"short over long: {name}", zip(ratios, _each(over, "ratio"), strict=True)
        ratios = [first / second if second else math.nan for first, second in pairs]
    logs = _mean((math.log(ratio) if ratio > 0 else math.nan for ratio in ratios), name)
    ends = {end: math.exp(getattr(logs, end)) for end in ("value", "low", "high")}
    return dataclasses.replace(logs, **ends, spread=None)


def _halves(runs: Mapping) -> "Estimate":
    values = _each(runs, "half_correlation")
    return _mean(values, "correlation over runs of the errors on two halves of the test set")


def _spread(runs: Mapping, name: str = "sd of test error over runs, %") -> "Estimate":
    return _mean((100 * variance**0.5 for variance in _each(runs, "test_variance")), name)


def _mean(values: Iterable[float], name: str) -> "Estimate":
    """Mean over splits; undefined, and said so, where it is undefined on one of them."""
    from tfphen.verdicts import stats
    from tfphen.verdicts.estimate import Estimate

    values = list(values)
    if all(map(math.isfinite, values)):
        return stats.mean(values, name)
    return Estimate(name, math.nan, math.nan, math.nan, len(values))


def _draw_spread(axis, runs) -> None:
    """Draws accuracies of runs, and what they would be if errors were independent."""
    import numpy as np

    from tfphen.core.seeds import stream
    from tfphen.experiment.plots import INK, SERIES
    from tfphen.metrics import run_variance

    errors = np.stack(list(runs.test_wrong))
    found = run_variance(errors)
    chance = stream(0, "independent_errors").random((2000, errors.shape[1])) < errors.mean(0)
    seen, alone = 100 * (1 - errors.mean(1)), 100 * (1 - chance.mean(1))
    both, point = np.concatenate((seen, alone)), 100 / errors.shape[1]
    width = point * max(1, round(np.ptp(both) / point / 25))
    bins = np.arange(both.min() - point / 2, both.max() + width, width)
    axis.hist(seen, bins, density=True, color=SERIES[0], alpha=0.5)
    axis.hist(alone, bins, density=True, histtype="step", color=INK)
    axis.set(xlabel="test accuracy of a run, %", yticks=[], ylim=(0, 1.4 * axis.get_ylim()[1]))
    axis.set_title(f"Epochs: {runs.epochs.iloc[0]:g}")
    place = {"va": "top", "transform": axis.transAxes}
    text = f"{len(errors)} runs: sd {100 * found.test_variance**0.5:.2f}%"
    axis.text(0.03, 0.97, text, color=SERIES[0], **place)
    text = f"independent errors: sd {100 * found.independent_variance**0.5:.2f}%"
    axis.text(0.03, 0.91, text, **place)


def _draw_binary_tasks(axis, runs) -> None:
    """Draws the spread of the tasks that merge the classes into two against sqrt(err / 2n)."""
    import numpy as np

    from tfphen.experiment.plots import INK, SERIES
    from tfphen.metrics import binary_variance_formula, run_variance

    guesses, labels = np.stack(list(runs.test_predictions)), runs.test_labels.iloc[0]
    classes, points = 1 + max(int(labels.max()), int(guesses.max())), []
    # Every way to part ten classes in two; any more stay on one side.
    for code in range(1, 2 ** (min(classes, 10) - 1)):
        side = code >> np.minimum(np.arange(classes), 60) & 1
        found = run_variance(side[guesses] != side[labels])
        formula = binary_variance_formula(found.mean_error, found.num_examples)
        points.append((100 * formula**0.5, 100 * found.test_variance**0.5))
    predicted, observed = np.transpose(points)
    axis.scatter(predicted, observed, s=4, color=SERIES[0])
    axis.axline((0, 0), slope=1, color=INK, linewidth=0.8)
    axis.set(xlabel="predicted, √(err / 2n), %", ylabel="observed sd, %", title="Binary tasks")
    level = np.median(observed[predicted > 0] / predicted[predicted > 0])
    axis.text(0.97, 0.03, f"median ratio {level:.2f}", ha="right", transform=axis.transAxes)
