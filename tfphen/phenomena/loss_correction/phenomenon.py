"""A known noise matrix inside the loss undoes label noise (Patrini et al. 2017, arXiv 1609.03683).

Rows of the matrix T are clean classes: T[i, j] is the probability that an example of class i
carries label j. Forward correction compares the noisy label with T^T p, backward correction weighs
the losses of all labels by T^-1. T can be estimated from a network trained on the noisy labels,
which works while the true label of every class is also its most frequent one.
"""

import dataclasses
from collections.abc import Iterator, Mapping

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Result, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts.findings import Control, Signature

# A record holds the estimate at each of these, so that a second trial may take any of them.
PERCENTILES = (90, 97, 99, 100)

# Scores of the last three losses are bounded by a batch normalisation after the last layer.
COMPARED = ("bootstrap_soft", "bootstrap_hard", "savage", "unhinged", "sigmoid", "ramp")
BOUNDED = ("unhinged", "sigmoid", "ramp")

# Differences in test accuracy: a gain, a loss, a loss at most, and a change either way at most.
RESCUE, FAILURE, NEAR, LITTLE = 0.2, 0.1, 0.05, 0.03


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`; a source of ten classes.
        flips: Asymmetric noise, `"mnist_flips"` or `"cifar10_flips"`.
        majority, minority: Its rates above and below 1/2, each None to leave it out.
        symmetric: Rate of symmetric noise, or None.
        clean: Whether to train without noise too.
        wrong: Rate of the asymmetric matrix that controls assume where it is false.
        compared: Other losses, of `COMPARED`, under the first of `noises` only.
        percentile: One of `PERCENTILES`, see `tfphen.losses.estimate_transition_matrix`.
        hidden_units, dropout: Of the perceptron.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        epochs, batch_size: Of each training.
        differs: In what a paper experiment departs from the published one, as far as it matters.
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
            raise UsageError(f"`compared` is of {', '.join(COMPARED)}. Received: {unknown}")
        if self.percentile not in PERCENTILES:
            raise UsageError(
                f"`percentile` is one of {PERCENTILES}. Received: percentile={self.percentile}"
            )

    def noises(self) -> list[tuple[str, float]]:
        """Returns pairs (kind, rate) of the label noise to train under."""
        rates = [("asymmetric", self.majority), ("asymmetric", self.minority)]
        rates += [("symmetric", self.symmetric), ("none", 0.0 if self.clean else None)]
        return [(kind, rate) for kind, rate in rates if rate is not None]


def _normalized_mlp(input_shape, num_classes, **settings):
    """The perceptron with a batch normalisation after its last layer."""
    import keras

    from tfphen.models import mlp

    model = mlp(input_shape, num_classes, **settings)
    outputs = keras.layers.BatchNormalization(name="normalized_logits")(model.output)
    return keras.Model(model.input, outputs, name="normalized_mlp")


def _backward_estimated():
    """Backward correction by the pseudo-inverse: an estimate has equal rows where one example is
    the most typical of two classes."""

    def objective(step):
        import numpy as np
        import tensorflow as tf

        from tfphen.losses import backward_corrected_crossentropy

        matrices = tf.get_static_value(step.constants["transition_matrix"]).astype("float64")
        inverses = np.linalg.pinv(np.nan_to_num(matrices), rcond=1e-6)[:, None]
        return backward_corrected_crossentropy(step.labels, step.outputs, inverse_matrix=inverses)

    return objective


def _estimate(percentile: int) -> Measure:
    def function(trained):
        import numpy as np

        from tfphen.losses import estimate_transition_matrix

        tables = np.exp(trained.log_probabilities("train"))
        estimates = np.full_like(trained.transition_matrices, np.nan)
        for index in np.flatnonzero(np.isfinite(tables).all((1, 2))):  # those that did not diverge
            estimates[index] = estimate_transition_matrix(tables[index], percentile)
        return estimates

    return Measure(f"transition_estimate_{percentile}", function)


def _distance(percentile: int) -> Measure:
    """Sum of the absolute differences of the estimate from the true matrix."""

    def function(trained):
        estimate = _estimate(percentile)(trained)
        return abs(estimate - trained.transition_matrices).sum((1, 2))

    return Measure(f"transition_distance_{percentile}", function)


class LossCorrection(Phenomenon):
    """Arms differ in the loss and in the matrix it is given; all pairs share a seed."""

    title = "Loss correction for label noise"
    claim = (
        "With a known noise matrix, forward and backward correction of the loss learn from flipped "
        "labels nearly what clean ones teach, even where most labels of several classes are "
        "flipped. An estimated matrix does as well while the flips are a minority, and fails "
        "where they are the majority."
    )
    paper = (
        "G. Patrini, A. Rozza, A. K. Menon, R. Nock, L. Qu, Making Deep Neural Networks Robust to "
        "Label Noise: a Loss Correction Approach, CVPR 2017, arXiv 1609.03683"
    )
    Config = Config
    measures = (
        error("test"),
        error("train"),
        error("train", "clean_labels"),
        *map(_estimate, PERCENTILES),
        *map(_distance, PERCENTILES),
    )
    models: Mapping = {"normalized_mlp": _normalized_mlp}
    objectives: Mapping = {"backward_estimated": _backward_estimated}

    def trials(self, config: Config) -> Iterator[Trial]:
        for noise, rate in config.noises():
            for seed in config.seed_range():
                yield from _arms(config, noise, rate, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if (rate := config.majority) is not None:
            for arm in ("forward", "backward"):
                gain = _gap(table, "asymmetric", rate, arm, "cross_entropy")
                yield Signature(f"{arm}_rescues_majority_flips", gain, above=RESCUE)
            loss = _gap(table, "asymmetric", rate, "forward", "forward_estimated")
            yield Signature("estimated_matrix_fails_for_majority_flips", loss, above=FAILURE)
            gain = _gap(table, "asymmetric", rate, "forward_transposed", "cross_entropy")
            yield Control("transposed_matrix_rescues_majority_flips", gain, above=RESCUE)
        if (rate := config.minority) is not None:
            for kind, arm in ((Signature, "estimated"), (Control, "wrong")):
                loss = _gap(table, "asymmetric", rate, "forward", f"forward_{arm}")
                yield kind(f"{arm}_matrix_is_near_true_for_minority_flips", loss, below=NEAR)
        if (rate := config.symmetric) is not None:
            change = _gap(table, "symmetric", rate, "forward", "cross_entropy")
            name = "correction_changes_little_for_symmetric_noise"
            yield Signature(name, change, within=(-LITTLE, LITTLE))
            yield Control("forward_rescues_symmetric_noise", change, above=RESCUE)
            change = _gap(table, "symmetric", rate, "forward_wrong", "cross_entropy")
            yield Control(f"wrong_{name}", change, within=(-LITTLE, LITTLE))
        if config.clean:
            for arm, name in (("forward", "identity"), ("forward_wrong", "wrong")):
                gain = _gap(table, "none", 0.0, arm, "cross_entropy")
                yield Control(f"{name}_matrix_rescues_clean_labels", gain, above=RESCUE)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        noise, rate, arm = (number.setting.get(name) for name in ("noise", "rate", "arm"))
        ours = _accuracies(table, noise, rate, arm)
        if number.metric != "test accuracy, %" or not len(ours):
            return None
        baseline = _accuracies(table, noise, rate, "cross_entropy")
        return stats.mean(100 * ours, number.metric), stats.mean(100 * baseline, number.metric)

    def figure(self, table, config: Config, figure) -> None:
        from tfphen.data import transition_matrix

        flips = [rate for rate in (config.minority, config.majority) if rate is not None]
        widths = [2.6] + [1.0] * len(flips)
        figure.set_size_inches(5.6 + 2.1 * len(flips), 4.6)
        grid = figure.add_gridspec(2, len(widths), width_ratios=widths)
        _draw_accuracies(figure.add_subplot(grid[:, 0]), table, config)
        for column, rate in enumerate(flips, 1):
            rows = rows_of(table, arm="cross_entropy", rate=rate, noise="asymmetric")
            estimate = rows[f"transition_estimate_{config.percentile}"].iloc[0]
            true = transition_matrix(config.flips, rate, len(estimate))
            for row, (name, matrix) in enumerate((("true T", true), ("estimated", estimate))):
                axes = figure.add_subplot(grid[row, column])
                axes.imshow(matrix, vmin=0.0, vmax=1.0, cmap="Blues")
                axes.set(title=f"{name}, {rate:g}", xticks=range(10), yticks=range(10))
                axes.set(xlabel="noisy label" if row else "", ylabel="clean class")
                axes.tick_params(labelsize=6, length=0)
                axes.grid(False)


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


def _accuracies(table, noise: str, rate: float, arm: str):
    """Returns the test accuracies of an arm in the order of their seeds."""
    return 1.0 - rows_of(table, noise=noise, rate=rate, arm=arm).test_error.to_numpy()


def _gap(table, noise: str, rate: float, arm: str, other: str):
    from tfphen.verdicts import stats

    return stats.paired_difference(
        _accuracies(table, noise, rate, arm),
        _accuracies(table, noise, rate, other),
        f"test accuracy, {arm} minus {other}, {noise} noise {rate:g}",
    )


def _draw_accuracies(axes, table, config: Config) -> None:
    """One row an arm, one colour and marker a noise: each seed, and a bar at the mean."""
    import numpy as np

    from tfphen.experiment import plots

    arms, noises = list(dict.fromkeys(table.arm)), config.noises()
    names = [arm.replace("_", ", T " if "ward" in arm else " ") for arm in arms]
    for index, (noise, rate) in enumerate(noises):
        colour, marker = plots.SERIES[index], plots.MARKERS[index]
        label = "clean labels" if noise == "none" else f"{noise} noise {rate:g}"
        offset = 0.8 * ((index + 0.5) / len(noises) - 0.5)
        for row, arm in enumerate(arms):
            values = _accuracies(table, noise, rate, arm)
            if len(values):
                heights = np.full(len(values), row + offset)
                axes.plot(values, heights, marker, color=colour, alpha=0.45, ms=3, label=label)
                axes.plot(values.mean(), row + offset, "|", color=colour, ms=9, mew=2)
                label = None
    axes.set(yticks=range(len(arms)), yticklabels=names)
    axes.set(xlabel="test accuracy", ylim=(len(arms) - 0.5, -0.5))
    axes.grid(True, axis="x")
    axes.legend(loc="upper center", bbox_to_anchor=(0.35, -0.1), ncols=2, frameon=False)
