"""Beyond interpolation, wrongly labelled examples lie among clean ones of their true class.

Yufei Gu, Xiaoqing Zheng, Tomaso Aste, ICLR 2024, arXiv 2310.13572; Yufei Gu 2024, arXiv 2405.07679.
The same vote in the untrained network, measured at step 0, and in the inputs stand beside it.
"""

import dataclasses
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss
from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.stats import mean

# Mean training error of the first width that is said to interpolate, and of one that fits all.
INTERPOLATES, FITS_ALL = 0.02, 0.01
# Rise and drop of the test loss in nats; rise of the clean vote; rank correlation; a high vote.
PEAK, RISE, RANK, HIGH = 0.3, 0.05, 0.5, 0.8
# Shuffles of the feature rows: a statistic of shuffled rows is its mean over them.
SHUFFLES = 10

# Column of each published metric, and whether it is an error that was published as an accuracy.
PUBLISHED = {
    "test loss": ("test_loss", False),
    "test accuracy": ("test_error", True),
    "training accuracy": ("train_error", True),
    "P_clean, 5 neighbours": ("clean_vote", False),
    "cosine of class activations, inputs and features": ("input_cosine", False),
    "cosine of class activations, features and logits": ("output_cosine", False),
    "complexity estimate": ("complexity", False),
}


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, split: As in `tfphen.core.trial.Data`.
        label_noise: Share of training labels of each class that are redrawn over all classes.
        widths: Of the hidden layer, increasing, to both sides of the interpolation threshold.
        defaults: `"keras"` or `"torch"` initialisation.
        optimizer, learning_rate: Name of a Keras optimizer and its rate.
        schedule, schedule_settings: Name in `tfphen.train.schedules` and its settings.
        batch_size: Of each training.
        steps, epochs: Length in updates, or in passes over the training data: one of the two.
    """

    data: str = "digits"
    train: int | None = 450
    split: str = "seeded"
    label_noise: float = 0.2
    widths: tuple[int, ...] = (5, 10, 14, 24, 48, 128, 256)
    defaults: str = "keras"
    optimizer: str = "adam"
    learning_rate: float = 0.01
    schedule: str = "cosine"
    schedule_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 128
    steps: int | None = None
    epochs: float | None = None

    def __post_init__(self):
        super().__post_init__()
        ordered = list(self.widths) == sorted(set(self.widths))
        for name, right, rule in (
            ("seeds", self.seeds >= 2, "must be at least 2: a verdict rests on an interval"),
            ("widths", ordered and len(self.widths) >= 3, "are three or more, increasing"),
            ("label_noise", 0 < self.label_noise <= 1, "is above 0 and at most 1"),
        ):
            checks.require(right, name, getattr(self, name), rule)


# ---- measures ------------------------------------------------------------------------------------


def _each(arrays, function):
    """Returns `function` of each member's part of `arrays`, NaN where the member diverged."""
    import numpy as np

    def one(parts):
        return function(*parts) if all(np.isfinite(part).all() for part in parts) else np.nan

    return np.asarray([one(parts) for parts in zip(*arrays, strict=True)], "float64")


def _vote(name: str, of_inputs: bool = False, field: str = "clean_vote", shuffles: int = 0):
    """A vote on wrongly labelled examples, `[members]`; with shuffles of the rows one for each."""

    def function(trained):
        import numpy as np

        from tfphen.metrics import noisy_neighbours

        rows = trained.inputs("train") if of_inputs else trained.activations("train", "features")
        rows = rows.reshape(*rows.shape[:2], -1)
        labels = trained.labels("train"), trained.labels("train", "clean_labels")

        def votes(rows):
            return _each((rows, *labels), lambda *parts: getattr(noisy_neighbours(*parts), field))

        # One order for all members: a vote does not depend on who trains beside it.
        orders = [np.random.default_rng(n).permutation(rows.shape[1]) for n in range(shuffles)]
        return np.stack([votes(rows[:, o]) for o in orders], 1) if shuffles else votes(rows)

    return Measure(name, function)


def _of_classes(name: str, compute) -> Measure:
    """`compute(metrics, inputs, features, logits, predictions)` on the test examples."""

    def function(trained):
        from tfphen.metrics.representation import class_activations

        inputs, logits = trained.inputs("test"), trained.logits("test")
        features = trained.activations("test", "features")
        arrays = inputs.reshape(*inputs.shape[:2], -1), features, logits, logits.argmax(-1)
        return _each(arrays, lambda *parts: compute(class_activations, *parts))

    return Measure(name, function)


def _cosine(metrics, lower, upper, logits, predictions) -> float:
    classes = logits.shape[-1]
    return metrics.class_activation_cosine(lower, upper, predictions, classes).mean_cosine


CLEAN_VOTE, NOISY_VOTE = _vote("clean_vote"), _vote("noisy_vote", field="noisy_vote")


class DoubleDescentMechanism(Phenomenon):
    """Widths across the interpolation threshold, with and without label noise."""

    title = "Double descent and noisy labels in feature space"
    claim = (
        "With label noise, test loss peaks where a network just fits its training labels. Wider "
        "networks still fit every wrong label, but in their last hidden layer wrongly labelled "
        "examples lie more and more among correctly labelled ones of their true class, and test "
        "accuracy recovers with it."
    )
    paper = (
        "Y. Gu, X. Zheng, T. Aste, Unraveling the Enigma of Double Descent: An In-depth Analysis "
        "through the Lens of Learned Feature Space, ICLR 2024, arXiv 2310.13572; Y. Gu, Class-wise "
        "Activation Unravelling the Engima of Deep Double Descent, 2024, arXiv 2405.07679"
    )
    Config = Config
    measures = (
        error("train"),
        error("test"),
        loss("test"),
        CLEAN_VOTE,
        NOISY_VOTE,
        _vote("input_clean_vote", of_inputs=True),
        _vote("shuffled_clean_votes", shuffles=SHUFFLES),
        _of_classes("input_cosine", lambda m, x, h, z, c: _cosine(m, x, h, z, c)),
        _of_classes("output_cosine", lambda m, x, h, z, c: _cosine(m, h, z, z, c)),
        _of_classes("predicted_classes", lambda m, x, h, z, c: len(set(c.tolist()))),
        _of_classes("complexity", lambda m, x, h, z, c: m.activation_complexity(h, c)),
    )
    # At step 0 these are the votes in the untrained network.
    curve_measures = (CLEAN_VOTE, NOISY_VOTE)

    def trials(self, config: Config) -> Iterator[Trial]:
        for width in config.widths:
            for noise in (config.label_noise, 0.0):
                changed = Spec("label_noise", rate=noise, kind="all", exact=True)
                corruptions = (changed,) if noise else ()
                for seed in config.seed_range():
                    yield Trial(
                        model=Spec("mlp", hidden_units=(width,), defaults=config.defaults),
                        data=Data(config.data, config.train, None, config.split, corruptions),
                        optimizer=Spec(config.optimizer, learning_rate=config.learning_rate),
                        schedule=Spec(config.schedule, **config.schedule_settings),
                        batch_size=config.batch_size,
                        steps=config.steps,
                        epochs=config.epochs,
                        seed=seed,
                        curve=(0,),
                        tags={"width": width, "label_noise": noise, "seed": seed},
                    )

    def findings(self, table, config: Config) -> Iterator[Signature]:
        from tfphen.phenomena._shared.interior_peak import interior_peak

        noisy, clean = by_noise(table)
        train, accuracy = grid_of(noisy, "train_error"), 1.0 - grid_of(noisy, "test_error")
        for kind, which, place in ((Signature, "widest", -1), (Control, "narrowest", 0)):
            fit = mean(train.iloc[:, place], f"training error of the {which} network")
            yield kind(f"{which}_network_fits_every_label", fit, below=FITS_ALL)
        for kind, name, rows in (
            (Signature, "test_loss", noisy),
            (Control, "no_label_noise_test_loss", clean),
        ):
            found = interior_peak(grid_of(rows, "test_loss").to_numpy())
            yield kind(f"{name}_rise", mean(found.rise, "rise to the peak, nats"), above=PEAK)
            # A curve that only falls has no rise, whatever it drops: the rise alone is the control.
            if kind is Signature:
                yield kind(f"{name}_drop", mean(found.drop, "drop behind it, nats"), above=PEAK)
        beyond = interpolating(noisy)
        votes, learned = [grid_of(noisy, "clean_vote")], _against_untrained(noisy, beyond)
        shuffled = [grid_of(noisy, "shuffled_clean_votes", number) for number in range(SHUFFLES)]
        for kind, name, grids, note in (
            (Signature, "clean_vote", votes, learned),
            (Control, "shuffled_clean_vote", shuffled, ""),
        ):
            rise, rank = _rise_and_rank(grids, accuracy, beyond)
            high = mean(sum(grids)[max(train)] / len(grids), "P_clean of the widest network")
            yield kind(f"{name}_rises_beyond_threshold", rise, above=RISE, note=note)
            yield kind(f"{name}_follows_accuracy", rank, above=RANK)
            yield kind(f"{name}_is_high", high, above=HIGH)

    def reproductions(self, table, config: Config, number):
        noise, width = (number.setting.get(name) for name in ("label_noise", "width"))
        rows = table[table.label_noise == noise]
        if number.metric not in PUBLISHED or width not in set(rows.width):
            return None
        column, is_accuracy = PUBLISHED[number.metric]
        values = 1.0 - grid_of(rows, column) if is_accuracy else grid_of(rows, column)
        against = number.setting.get("against_width")
        baseline = mean(values[against], number.metric) if against in values else None
        return mean(values[width], number.metric), baseline


# ---- statistics ----------------------------------------------------------------------------------


def grid_of(rows, column: str, place: int | None = None):
    """One row a seed, one column a width; of a column of arrays the entry at `place`."""
    if place is not None:
        rows = rows.assign(**{column: [array[place] for array in rows[column]]})
    return rows.pivot(index="seed", columns="width", values=column)


def by_noise(table):
    """The rows with label noise, and those without."""
    return table[table.label_noise > 0], table[table.label_noise == 0]


def interpolating(noisy) -> list[int]:
    """The widths from the first on whose mean training error is at most `INTERPOLATES`."""
    errors = grid_of(noisy, "train_error").mean()
    fits = errors.index[errors <= INTERPOLATES]
    return [int(width) for width in errors.index if len(fits) and width >= fits[0]]


def _rise_and_rank(grids, accuracy, beyond: list[int]):
    """Estimates of P_clean's rise over the interpolating widths, and of its rank correlation with
    test accuracy there; that of a seed is its mean over `grids`. None for fewer than three widths.
    """
    import numpy as np

    from tfphen.verdicts import stats

    names = "rise of P_clean beyond the threshold", "Spearman, P_clean and test accuracy"
    if len(beyond) < 3:
        return [stats.Estimate(name, np.nan, np.nan, np.nan, len(accuracy)) for name in names]
    rises, ranks = [], []
    for grid in grids:
        rises.append(grid[beyond[-1]] - grid[beyond[0]])
        pairs = zip(grid[beyond].to_numpy(), accuracy[beyond].to_numpy(), strict=True)
        # Votes that are all equal follow nothing: 0.
        ranks.append([np.nan_to_num(stats.spearman(*pair).value) for pair in pairs])
    pairs = zip((rises, ranks), names, strict=True)
    return [mean(np.mean(values, axis=0), name) for values, name in pairs]


def _against_untrained(noisy, beyond: list[int]) -> str:
    """Says in words whether training adds to the clean vote, or the inputs' geometry gives it."""
    from tfphen.verdicts import stats

    if not beyond:
        return "No width interpolates."
    trained, untrained = grid_of(noisy, "clean_vote"), grid_of(noisy, "curve_clean_vote", 0)
    level = 1 - 0.05 / len(beyond)  # The intervals hold together for all widths.
    gains = {
        width: stats.paired_difference(trained[width], untrained[width], confidence=level)
        for width in beyond
    }
    learned = ", ".join(str(width) for width, gain in gains.items() if gain.low > 0)
    parts = [f"{width}: {g.value:+.3f} [{g.low:+.3f}, {g.high:+.3f}]" for width, g in gains.items()]
    rise = (untrained[beyond[-1]] - untrained[beyond[0]]).mean()
    return (
        (f"Partly learned (width {learned})" if learned else "Inherited from input geometry")
        + ": P_clean minus that of the untrained network, by width, intervals of 95% in all, "
        f"{'; '.join(parts)}. Untrained networks rise by {rise:.3f} over the same widths, and raw "
        f"inputs have {noisy.input_clean_vote.mean():.3f}."
    )
