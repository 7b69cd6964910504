"""Times to memorize and to generalize, and counts of slingshots: signatures and controls."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tfphen.metrics import GrokkingTimes, Slingshots, grokking_times, slingshots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.grokking_slingshot.trials import GROWTH_LAG, Config, Grokking, Slingshot
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.stats import geometric_ratio, mean_if_defined, paired_difference

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class GrokkingThresholds:
    """Thresholds of the findings on grokking.

    Attributes:
        generalization: Final test accuracy of a network that generalizes.
        near_chance: Test accuracy when the training set is memorized, of one that does not yet.
        slower: Ratio of two times in updates.
        periodicity_rise: Rise of the inverse participation ratio of the rows of U.
    """

    generalization: float = 0.95
    near_chance: float = 0.1
    slower: float = 1.5
    periodicity_rise: float = 0.3


@dataclasses.dataclass(frozen=True)
class SlingshotThresholds:
    """Thresholds of the findings on slingshots.

    Attributes:
        repeated: Slingshots a run with a small epsilon, and how many fewer there are without one.
        none: Slingshots a run in a control.
    """

    repeated: float = 1.5
    none: float = 0.5


GROKKING = GrokkingThresholds()
SLINGSHOT = SlingshotThresholds()
# The control arms in which each statistic is tested too.
CONTROLS = {
    "final_test_accuracy": ("sparse", "random_labels"),
    "test_accuracy_when_memorized": ("most",),
    "generalization_delay": ("most",),
    "periodicity_rise": ("random_labels",),
}
CONTROL_WORDS = {
    "most": "With most of the table in the training set",
    "sparse": "With too little of the table in the training set",
    "random_labels": "With random labels",
}
# Of the slingshot detector, in updates: window, growth before a spike, wait at the beginning.
DETECTOR = {"window": 200, "growth_lag": GROWTH_LAG, "settle": 300}


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on the parts that are trained."""
    if config.grokking is not None:
        yield from _grokking(table, config.grokking)
        if "larger" in config.grokking.others:
            yield from _fewer_pairs(table, config.grokking)
    if config.slingshot is not None:
        yield from _slingshots(table, config.slingshot)


def _grokking(table: "pandas.DataFrame", part: Grokking) -> Iterator[Signature]:
    by_arm = {arm: _statistics(rows_of(table, arm=arm)) for arm in part.arms()}
    for name, (estimate, threshold, description) in by_arm["main"].items():
        yield Signature(f"main/{name}", estimate, **threshold, description=description)
        for arm in CONTROLS[name]:
            if arm in part.others:
                yield Control(
                    f"{arm}/{name}",
                    by_arm[arm][name][0],
                    **threshold,
                    description=f"{CONTROL_WORDS[arm]}, {description[0].lower()}{description[1:]}",
                )


def _statistics(rows: "pandas.DataFrame") -> dict[str, tuple[Estimate, dict[str, float], str]]:
    """Returns the statistics of one arm by name, each with its threshold and what it claims."""
    times = times_of(rows)
    statistics = {
        "final_test_accuracy": (
            mean_if_defined(
                1 - rows.new_pair_error, "final test accuracy on pairs whose mirror is new too"
            ),
            {"above": GROKKING.generalization},
            "The network finally generalizes to pairs whose mirror was not trained on either.",
        ),
        "test_accuracy_when_memorized": (
            mean_if_defined(
                times.test_accuracy, "test accuracy when 99% of the training pairs are memorized"
            ),
            {"below": GROKKING.near_chance},
            "Test accuracy is near chance when the network has memorized its training set.",
        ),
        "generalization_delay": (
            geometric_ratio(
                times.generalised,
                times.memorised,
                "steps to 99%, test over training pairs, geom. mean",
            ),
            {"above": GROKKING.slower},
            "The network generalizes long after it has memorized its training set.",
        ),
    }
    if "curve_periodicity" in rows:
        rises = [curve[-1] - curve[0] for curve in rows.curve_periodicity]
        statistics["periodicity_rise"] = (
            mean_if_defined(rises, "rise of the inverse participation ratio of U"),
            {"above": GROKKING.periodicity_rise},
            "The rows of the first layer become periodic.",
        )
    return statistics


def _fewer_pairs(table: "pandas.DataFrame", part: Grokking) -> Iterator[Signature]:
    main, larger = (times_of(rows_of(table, arm=arm)) for arm in ("main", "larger"))
    ratio = f"{part.fraction:g} over {part.others['larger']:g} of the table, geom. mean"
    yield Signature(
        "main_vs_larger/generalization_time_ratio",
        geometric_ratio(main.generalised, larger.generalised, f"steps to generalize, {ratio}"),
        above=GROKKING.slower,
        description="The smaller the training set, the later the network generalizes.",
    )
    yield Control(
        "main_vs_larger/memorization_time_ratio",
        geometric_ratio(main.memorised, larger.memorised, f"steps to memorize, {ratio}"),
        above=GROKKING.slower,
        description="The smaller the training set, the later the network memorizes it.",
    )


def _slingshots(table: "pandas.DataFrame", part: Slingshot) -> Iterator[Signature]:
    counts = {
        arm: [each.cycles for each in slingshots_of(rows_of(table, arm=arm), part.record_every)]
        for arm in part.arms()
    }
    means = {arm: mean_if_defined(n, f"slingshots a run, {arm}") for arm, n in counts.items()}
    yield Signature(
        "small_epsilon/num_slingshots",
        means["small_epsilon"],
        above=SLINGSHOT.repeated,
        description="Adam with a small epsilon goes through repeated slingshots.",
    )
    for arm, words in (("large_epsilon", "a large epsilon"), ("float64_loss", "a float64 loss")):
        name = f"slingshots a run, small_epsilon minus {arm}"
        yield Signature(
            f"{arm}/slingshot_reduction",
            paired_difference(counts["small_epsilon"], counts[arm], name),
            above=SLINGSHOT.repeated,
            description=f"Adam goes through fewer slingshots with {words}.",
        )
    for arm, words in (
        ("large_epsilon", "Adam with a large epsilon"),
        ("float64_loss", "Adam with a small epsilon and a float64 loss"),
        ("sgd", "Gradient descent"),
    ):
        yield Control(
            f"{arm}/num_slingshots",
            means[arm],
            above=SLINGSHOT.none,
            description=f"{words} goes through slingshots.",
        )


# ---- statistics ----------------------------------------------------------------------------------


def times_of(rows: "pandas.DataFrame") -> GrokkingTimes:
    """Returns when the networks of an arm memorize and generalize, one entry a training."""
    errors = (rows[f"curve_{split}_error"] for split in ("train", "test"))
    accuracies = ([1 - curve for curve in curves] for curves in errors)
    return grokking_times(rows.curve_step.iloc[0], *accuracies)


def slingshots_of(rows: "pandas.DataFrame", record_every: int) -> list[Slingshots]:
    """Returns the slingshots of each training of an arm.

    Args:
        rows: The trainings.
        record_every: Updates between two records.
    """
    settings = {name: updates // record_every for name, updates in DETECTOR.items()}
    pairs = zip(rows.step_loss, rows.step_last_layer_norm, strict=True)
    return [slingshots(losses, norms, **settings) for losses, norms in pairs]


# ---- published numbers ---------------------------------------------------------------------------


def accuracy_at_step(
    table: "pandas.DataFrame",
    config: Config,
    setting: Mapping[str, Any],
    *,
    split: str,
    step: int,
) -> Estimate | None:
    """Mean accuracy after an update, in percent.

    Args:
        table: The records.
        config: Their settings.
        setting: `arm` of the number, `"main"` by default.
        split: `"train"` or `"test"`.
        step: An update after which errors are measured.
    """
    rows = rows_of(table, arm=setting.get("arm", "main"))
    if not len(rows) or step not in (steps := list(rows.curve_step.iloc[0])):
        return None
    place = steps.index(step)
    accuracies = [100 - 100 * curve[place] for curve in rows[f"curve_{split}_error"]]
    return mean_if_defined(accuracies, f"{split} accuracy, % after step {step}")


def final_test_accuracy(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> Estimate | None:
    """Mean test accuracy of the `arm` of the number at the end of training, in percent."""
    rows = rows_of(table, arm=setting.get("arm", "main"))
    if not len(rows):
        return None
    return mean_if_defined(100 - 100 * rows.test_error, "final test accuracy, %")


def steps_to_memorize(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> Estimate | None:
    """Mean number of updates to 99% training accuracy of the `arm` of the number."""
    rows = rows_of(table, arm=setting.get("arm", "main"))
    if not len(rows):
        return None
    return mean_if_defined(times_of(rows).memorised, "steps to 99% training accuracy")


STATISTICS = {
    "accuracy_at_step": accuracy_at_step,
    "final_test_accuracy": final_test_accuracy,
    "steps_to_memorize": steps_to_memorize,
}
