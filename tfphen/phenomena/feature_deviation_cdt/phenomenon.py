"""Networks over-fit rare classes, whose features move between training and test data.

H.-J. Ye, H.-Y. Chen, D.-C. Zhan, W.-L. Chao, *Identifying and Compensating for Feature Deviation
in Imbalanced Deep Learning*, arXiv 2001.01385. CDT divides the logit of class c by the temperature
(n_max / n_c)^gamma in training, and predicts from logits as they are.
"""

import dataclasses
from collections.abc import Iterator

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, class_counts, class_recall
from tfphen.phenomena._shared.long_tail import LongTailConfig, long_tail_trial
from tfphen.phenomena.feature_deviation_cdt import findings as readings
from tfphen.verdicts.findings import Control, Signature

# Deviations are measured over equal subsets of one of these sizes.
SUBSET_SIZES = (4, 5, 8, 16, 50)
# Least correlation that counts, either way; training recall of a class that is fitted, and how much
# the rarer half lacks if it is under-fitted; least gain in test recall of the rarer half.
_BAR, _FITTED, _UNDER_FITTED, _LIFT = 0.3, 0.99, 0.1, 0.05
_VALUES = ("decision_value_train", "decision_value_test")
_OF_ALL = ("class_counts", "train_class_recall", "test_class_recall", *_VALUES)


@dataclasses.dataclass(frozen=True)
class Config(LongTailConfig):
    """Settings, beside those of imbalanced classes.

    Args:
        gammas: Exponents of the temperatures, an arm each.
        gamma: The one of them on which verdicts rest.
        subset_size: One of `SUBSET_SIZES`, at most the size of the smallest class.
        linear_options: In place of `options` for a linear classifier, and a network beside it;
            empty leaves both out. Few dimensions, so that no hyperplanes separate the classes.
        linear_settings: Settings of the optimizer of the linear classifier.
    """

    gammas: tuple[float, ...] = (0.3,)
    gamma: float = 0.3
    subset_size: int = 8
    linear_options: dict = dataclasses.field(default_factory=dict)
    linear_settings: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        if self.gamma not in self.gammas or not all(0 < gamma <= 1 for gamma in self.gammas):
            raise UsageError(
                "`gammas` are above 0 and at most 1, with `gamma` among them. "
                f"Received: gammas={list(self.gammas)}, gamma={self.gamma}"
            )
        if self.max_count is None or self.balanced_count is None:
            raise UsageError(
                "`max_count` and `balanced_count` say how many examples classes have. "
                f"Received: max_count={self.max_count}, balanced_count={self.balanced_count}"
            )
        smallest = min(int(self.max_count / self.ratio + 1e-9), self.balanced_count)
        if self.subset_size not in SUBSET_SIZES or self.subset_size > smallest:
            raise UsageError(
                f"`subset_size` is one of {SUBSET_SIZES}, and at most the size of the smallest "
                f"class, {smallest}. Received: subset_size={self.subset_size}"
            )


# ---- measures ----------------------------------------------------------------------------------


def _deviation(subset_size: int) -> Measure:
    """Deviations of mean features, `[members, 3, classes]`, in the order of `readings.DEVIATIONS`.

    In units of the spread of test features, since features have no scale of their own.
    """

    def function(trained):
        import numpy as np

        classes, sizes = trained.num_classes, trained.class_counts.sum(-1)
        values = np.full((len(sizes), 3, classes), np.nan)
        for index, size in enumerate(sizes):
            # Behind a member's own training examples there may be padding.
            data = [
                (trained.activations(split, "features")[index][:end].astype("float64"), labels)
                for split, end in (("train", size), ("test", None))
                for labels in (trained.labels(split)[index][:end],)
            ]
            if all(np.isfinite(features).all() for features, _ in data):
                values[index] = _deviations_of(data, subset_size, classes)
        return values

    return Measure(f"deviation_over_{subset_size}", function)


def _deviations_of(data, subset_size: int, classes: int):
    """Returns the deviations `[3, classes]` of one network.

    Args:
        data: Features and labels in training, and in test.
        subset_size: Size of the equal subsets.
        classes: Number of classes.
    """
    import numpy as np

    from tfphen.metrics import feature_deviation
    from tfphen.metrics.representation.class_features import class_means

    found = feature_deviation(*data[0], *data[1], subset_size)
    means, test_means = (class_means(*part, classes) for part in data)
    of_all = np.linalg.norm(means - test_means, axis=1)
    unit = np.sqrt(found.scale)
    return np.stack([found.distance / unit, found.squared_deviation / unit**2, of_all / unit])


def _centred_logits(trained, split: str):
    logits = trained.logits(split).astype("float64")
    return logits - logits.mean(-1, keepdims=True)


def _decision_value(split: str) -> Measure:
    """Mean over each class of the true logit above the mean logit, in units of typical test logits.

    These are the root mean square, over test examples and classes, of logits above their mean.
    """

    def function(trained):
        import numpy as np

        labels, logits = trained.labels(split)[..., None], _centred_logits(trained, split)
        is_class = labels == np.arange(trained.num_classes)
        true = np.take_along_axis(logits, labels, -1)
        sums = trained.mean_of_classes(split, is_class * true)
        scale = np.sqrt((_centred_logits(trained, "test") ** 2).mean((1, 2)))
        return sums / trained.mean_of_classes(split, is_class) / scale[:, None]

    return Measure(f"decision_value_{split}", function)


def _recall_with_temperatures(trained):
    """Test recall where logits are divided at prediction too, as in training."""
    import numpy as np

    from tfphen.losses import class_temperatures
    from tfphen.metrics import class_accuracies

    gamma = trained.trials[0].objective.settings["gamma"]
    members = zip(trained.labels("test"), trained.logits("test"), trained.class_counts, strict=True)
    return np.stack(
        [
            class_accuracies(labels, logits / class_temperatures(counts, gamma))
            for labels, logits, counts in members
        ]
    )


class FeatureDeviationCDT(Phenomenon):
    """Arms differ in loss, in model or in class counts; all comparisons are paired by seed."""

    title = "Feature deviation and class-dependent temperatures"
    claim = (
        "Networks over-fit rare classes: they fit all training examples, but the fewer a class "
        "has, the farther its mean feature lies from that of its test examples, and the lower "
        "its recall. Class-dependent temperatures, which divide logits in training only, raise "
        "the decision values of rare classes and with them balanced accuracy."
    )
    paper = (
        "H.-J. Ye, H.-Y. Chen, D.-C. Zhan, W.-L. Chao, Identifying and Compensating for Feature "
        "Deviation in Imbalanced Deep Learning, arXiv 2001.01385"
    )
    Config = Config
    measures = (
        class_counts(),
        class_recall("train"),
        class_recall("test"),
        Measure("test_class_recall" + readings.TEMPERED, _recall_with_temperatures),
    )
    curve_measures = (
        *map(_decision_value, ("train", "test")),
        *map(_deviation, SUBSET_SIZES),
    )

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from _arms(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        yield from _of_over_fitting(table, config)
        yield from _of_deviation(table)
        cdt = readings.arm_of(config.gamma)
        for kind, arm in ((Signature, cdt), (Control, "reversed")):
            found = readings.gain(table, arm)
            yield kind(f"balanced_accuracy_gained_{_short(arm)}", found, above=0.0)
            found = readings.gain(table, arm, "decision_value_test", rare=True)
            yield kind(f"rare_decision_values_raised_{_short(arm)}", found, above=0.0)
        for kind, suffix in ((Signature, ""), (Control, readings.TEMPERED)):
            found = readings.gain(table, cdt, readings.TEST_RECALL + suffix, rare=True)
            yield kind(f"rare_recall_gained{suffix}", found, above=_LIFT)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        arm, gamma = (number.setting.get(name) for name in ("arm", "gamma"))
        known = {"cross_entropy": [arm], "cdt": [readings.arm_of(g) for g in config.gammas]}
        if gamma not in (None, "tuned"):
            known["cdt"] = [readings.arm_of(gamma)]
        arms = [name for name in known.get(arm, ()) if name in set(table.arm)]
        if not arms or number.metric not in ("balanced accuracy, %", "balanced error, %"):
            return None
        accuracies = [readings.balanced_accuracies(table, name) for name in arms]
        values = max(accuracies, key=lambda values: values.mean())
        pair = values, readings.balanced_accuracies(table, "cross_entropy")
        if number.metric == "balanced error, %":
            pair = [1.0 - values for values in pair]
        return tuple(stats.mean(100.0 * values, number.metric) for values in pair)


def _arms(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the trainings of one seed."""
    deviation = f"deviation_over_{config.subset_size}"

    def trial(arm, objective=Spec("cross_entropy"), settings=config, measures=(), **further):
        return long_tail_trial(
            settings,
            seed,
            objective,
            curve=(0,),
            measures=(*_OF_ALL, *measures),
            tags={"arm": arm, "seed": seed},
            **further,
        )

    def scaled(gamma, counts):
        return Spec("vector_scaling", gamma=gamma, tau=0.0, counts=counts)

    yield trial("cross_entropy", measures=[deviation])
    yield trial("balanced", measures=[deviation], balanced=True)
    for gamma in config.gammas:
        taken = [deviation, readings.TEST_RECALL + readings.TEMPERED]
        yield trial(readings.arm_of(gamma), scaled(gamma, "own"), measures=taken)
    yield trial("reversed", scaled(config.gamma, "reversed"), measures=[deviation])
    if config.linear_options:
        beside = dataclasses.replace(config, options=config.linear_options)
        yield trial("network_beside_linear", settings=beside)
        linear = dataclasses.replace(
            beside, model="linear", model_settings={}, optimizer_settings=config.linear_settings
        )
        yield trial("linear", settings=linear)


def _of_over_fitting(table, config: Config) -> Iterator[Signature]:
    found = readings.least_training_recall(table, "cross_entropy")
    yield Signature("network_fits_every_class", found, above=_FITTED)
    if config.linear_options:
        found = readings.least_training_recall(table, "linear")
        yield Control("linear_model_fits_every_class", found, above=_FITTED)
        for kind, arm in ((Signature, "linear"), (Control, "network_beside_linear")):
            found = readings.training_recall_gap(table, arm)
            yield kind(f"rare_classes_under_fitted_{arm}", found, above=_UNDER_FITTED)
    for kind, arm in ((Signature, "cross_entropy"), (Control, "balanced")):
        found = readings.correlation(table, arm, readings.TEST_RECALL)
        name = f"recall_falls_with_rarity_{arm}"
        yield kind(name, found.estimate, above=_BAR, note=found.note)


def _of_deviation(table) -> Iterator[Signature]:
    cases = (
        (Signature, "trained", "cross_entropy", "end"),
        (Control, "balanced", "balanced", "end"),
        (Control, "untrained", "cross_entropy", "start"),
    )
    for column in ("feature_distance", "squared_deviation"):
        for kind, name, arm, when in cases:
            found = readings.correlation(table, arm, column, when)
            name = f"{column}_grows_with_rarity_{name}"
            yield kind(name, found.estimate, below=-_BAR, note=found.note)
    for kind, name, arm, when in cases:
        found = readings.correlation(table, arm, "decision_gap", when)
        name = f"test_decision_values_fall_with_rarity_{name}"
        yield kind(name, found.estimate, above=_BAR, note=found.note)


def _short(arm: str) -> str:
    return "by_cdt" if arm.startswith("cdt") else f"with_counts_{arm}"
