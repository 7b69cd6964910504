"""Networks with and without class-dependent temperatures, and linear models on the side."""

import dataclasses
from collections.abc import Iterator

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.phenomena._shared.long_tail import LongTailConfig, long_tail_trial

# Deviations are measured over equal subsets of one of these sizes.
SUBSET_SIZES = (4, 5, 8, 16, 50)
# Deviations in a record, in this order.
DEVIATIONS = ("feature_distance", "squared_deviation", "feature_distance_of_all")

TEST_RECALL = "test_class_recall"
# Appended to the name of a recall: of predictions from logits that are divided as in training.
WITH_TEMPERATURES = "_with_temperatures"
_DECISION_VALUES = ("decision_value_train", "decision_value_test")
_MEASURES = ("class_counts", "train_class_recall", TEST_RECALL, *_DECISION_VALUES)


@dataclasses.dataclass(frozen=True)
class Config(LongTailConfig):
    """Settings, beside those of imbalanced classes.

    Args:
        gammas: Exponents of the temperatures, one arm each.
        gamma: The one of them that decides the verdicts.
        subset_size: One of `SUBSET_SIZES`, at most the size of the smallest class.
        linear_options: In place of `options` for a linear classifier and a network trained on the
            same data; empty leaves both out. Few dimensions, so that the classes are not linearly
            separable.
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
                "`gammas` must be above 0 and at most 1, and include `gamma`. "
                f"Received: gammas={list(self.gammas)}, gamma={self.gamma}"
            )
        if self.max_count is None or self.balanced_count is None:
            raise UsageError(
                "`max_count` and `balanced_count` set the number of examples per class. "
                f"Received: max_count={self.max_count}, balanced_count={self.balanced_count}"
            )
        smallest = min(int(self.max_count / self.ratio + 1e-9), self.balanced_count)
        if self.subset_size not in SUBSET_SIZES or self.subset_size > smallest:
            raise UsageError(
                f"`subset_size` must be one of {SUBSET_SIZES}, and at most the size of the "
                f"smallest class, {smallest}. Received: subset_size={self.subset_size}"
            )


def arm_of(gamma: float) -> str:
    """Returns the name of the arm whose temperatures have this exponent."""
    return f"cdt_{gamma:g}"


def trials(config: Config) -> Iterator[Trial]:
    """Yields the trainings of all arms, seed by seed."""
    for seed in config.seed_range():
        yield from _arms(config, seed)


def _arms(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the trainings of one seed."""
    deviation = f"deviation_over_{config.subset_size}"

    def trial(arm, objective=Spec("cross_entropy"), settings=config, measures=(), **fields):
        return long_tail_trial(
            settings,
            seed,
            objective,
            curve=(0,),
            measures=(*_MEASURES, *measures),
            tags={"arm": arm, "seed": seed},
            **fields,
        )

    def tempered(gamma, counts):
        return Spec("vector_scaling", gamma=gamma, tau=0.0, counts=counts)

    yield trial("cross_entropy", measures=[deviation])
    yield trial("balanced", measures=[deviation], balanced=True)
    for gamma in config.gammas:
        measures = [deviation, TEST_RECALL + WITH_TEMPERATURES]
        yield trial(arm_of(gamma), tempered(gamma, "own"), measures=measures)
    yield trial("reversed", tempered(config.gamma, "reversed"), measures=[deviation])
    if config.linear_options:
        beside = dataclasses.replace(config, options=config.linear_options)
        yield trial("network_beside_linear", settings=beside)
        linear = dataclasses.replace(
            beside, model="linear", model_settings={}, optimizer_settings=config.linear_settings
        )
        yield trial("linear", settings=linear)
