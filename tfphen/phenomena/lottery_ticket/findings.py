"""Accuracy and early validation loss of tickets and their controls: signatures and controls.

The thresholds `match`, `gain` and `faster` are settings, since they depend on data and model.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tfphen.core import checks
from tfphen.phenomena.lottery_ticket.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas

# Arms in words.
WORDS = {
    "dense": "the dense network",
    "dense_reinit": "the dense network from a fresh draw",
    "ticket": "the ticket",
    "reinit": "the mask of the ticket on a fresh draw",
    "permuted": "the ticket with permuted values",
    "kept_signs": "the ticket with permuted magnitudes",
    "redrawn_signs": "the ticket with random signs",
    "random_mask": "a random mask on the original initial values",
    "random_mask_reinit": "a random mask on a fresh draw",
}
COLUMNS = {
    "accuracy": "test accuracy at early stopping",
    "early_loss": "early validation loss",
}


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on the arms that were trained."""
    runs, rounds = read_curves(table, config), config.control_rounds
    for number in config.matching_rounds:
        yield _matches(Signature, f"ticket_round_{number}", runs, config, "ticket", number)
    for kind, compare, arm, other in (
        (Signature, _learns_faster, "ticket", "reinit"),
        (Signature, _learns_faster, "ticket", "permuted"),
        # Signs compared with magnitudes: each in place while the other is not.
        (Signature, _learns_faster, "kept_signs", "permuted"),
        (Control, _learns_faster, "redrawn_signs", "permuted"),
        (Control, _learns_faster, "random_mask", "random_mask_reinit"),
        (Signature, _ends_above, "ticket", "reinit"),
        (Signature, _ends_above, "ticket", "permuted"),
        (Signature, _ends_above, "ticket", "random_mask"),
    ):
        if rounds and {arm, other} <= {"ticket", *config.controls}:
            yield compare(kind, runs, config, arm, other, rounds)
    for compare in (_learns_faster, _ends_above):
        yield compare(Control, runs, config, "dense", "dense_reinit", (0,))
    if rounds and "random_mask" in config.controls:
        yield _matches(Control, "random_mask", runs, config, "random_mask", max(rounds))


def _matches(
    kind: type[Signature],
    name: str,
    runs: "pandas.DataFrame",
    config: Config,
    arm: str,
    number: int,
) -> Signature:
    return kind(
        f"{name}/accuracy_minus_dense",
        difference(runs, "accuracy", arm, "dense", (number,)),
        above=-config.match,
        description=f"After {number} {'round' if number == 1 else 'rounds'} of pruning, "
        f"{WORDS[arm]} matches the accuracy of {WORDS['dense']}.",
    )


def _learns_faster(
    kind: type[Signature],
    runs: "pandas.DataFrame",
    config: Config,
    arm: str,
    other: str,
    numbers: tuple[int, ...],
) -> Signature:
    return kind(
        f"{arm}/early_loss_minus_{other}",
        difference(runs, "early_loss", arm, other, numbers),
        below=-config.faster,
        description=f"{_capitalized(WORDS[arm])} learns faster than {WORDS[other]}.",
    )


def _ends_above(
    kind: type[Signature],
    runs: "pandas.DataFrame",
    config: Config,
    arm: str,
    other: str,
    numbers: tuple[int, ...],
) -> Signature:
    return kind(
        f"{arm}/accuracy_minus_{other}",
        difference(runs, "accuracy", arm, other, numbers),
        above=config.gain,
        description=f"{_capitalized(WORDS[arm])} is more accurate than {WORDS[other]}.",
    )


def _capitalized(words: str) -> str:
    return words[0].upper() + words[1:]


# ---- statistics ----------------------------------------------------------------------------------


def read_curves(table: "pandas.DataFrame", config: Config) -> "pandas.DataFrame":
    """Returns the records with statistics of their curves.

    These are `stopped_step`, where validation loss is lowest, `accuracy` there, `final_accuracy`,
    and `early_loss`, the validation loss at `early_step`.
    """
    runs = table.copy()
    curves = list(zip(table.curve_step, table.curve_validation_loss, strict=True))
    lowest = [losses.argmin() for _, losses in curves]
    runs["stopped_step"] = [float(curves[i][0][at]) for i, at in enumerate(lowest)]
    runs["accuracy"] = [1 - e[at] for e, at in zip(table.curve_test_error, lowest, strict=True)]
    runs["early_loss"] = [losses[steps == config.early_step].item() for steps, losses in curves]
    runs["final_accuracy"] = 1 - table.test_error
    return runs


def by_seed(runs: "pandas.DataFrame", column: str, arm: str, number: int) -> "pandas.Series":
    """Returns a column of an arm after a round, by seed, as the mean over its draws."""
    rows = runs[(runs.arm == arm) & (runs["round"] == (0 if "dense" in arm else number))]
    return rows.groupby("seed")[column].mean()


def difference(
    runs: "pandas.DataFrame", column: str, arm: str, other: str, numbers: tuple[int, ...]
) -> Estimate:
    """Difference of two arms, averaged over rounds and paired by seed."""
    gaps = [by_seed(runs, column, arm, n) - by_seed(runs, column, other, n) for n in numbers]
    left = [f"{100 * by_seed(runs, 'density', arm, n).mean():.3g}%" for n in numbers]
    name = f"{COLUMNS[column]}, {arm} minus {other}, {' and '.join(left)} of weights left"
    return stats.mean(sum(gaps).to_numpy() / len(gaps), name.replace("_", " "))


# ---- published numbers ---------------------------------------------------------------------------


def _compared(
    table: "pandas.DataFrame",
    config: Config,
    setting: Mapping[str, Any],
    column: str,
    compare: Callable,
    name: str,
    no_difference: float,
) -> tuple[Estimate, Estimate] | None:
    """Returns how `arm` compares with `against` after `round`, and the value of no difference."""
    runs = read_curves(table, config)
    a, b = (by_seed(runs, column, setting[key], setting["round"]) for key in ("arm", "against"))
    if not len(a) or not len(b):
        return None
    ours = compare(a, b).to_numpy()
    return stats.mean(ours, name), stats.mean(0 * ours + no_difference, "no difference")


def accuracy_gain(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], *, when: str
) -> tuple[Estimate, Estimate] | None:
    """Difference in test accuracy of two arms after a round, in percentage points.

    Args:
        table: The records.
        config: Their settings.
        setting: `arm`, `against` and `round` of the number.
        when: `"early_stopping"` or `"end"`.
    """
    checks.one_of("when", when, ("early_stopping", "end"))
    column, name = {
        "early_stopping": ("accuracy", "test accuracy at early stopping, pp above"),
        "end": ("final_accuracy", "final test accuracy, pp above"),
    }[when]
    return _compared(table, config, setting, column, lambda a, b: 100 * (a - b), name, 0.0)


def early_stopping_reduction(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> tuple[Estimate, Estimate] | None:
    """Percentage by which `arm` reaches its lowest validation loss earlier than `against`."""
    name = "early-stopping iteration, % earlier"
    return _compared(
        table, config, setting, "stopped_step", lambda a, b: 100 * (1 - a / b), name, 0.0
    )


def early_stopping_speedup(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> tuple[Estimate, Estimate] | None:
    """Factor by which `arm` reaches its lowest validation loss earlier than `against`."""
    name = "early-stopping iteration, times earlier"
    return _compared(table, config, setting, "stopped_step", lambda a, b: b / a, name, 1.0)


STATISTICS = {
    "accuracy_gain": accuracy_gain,
    "early_stopping_reduction": early_stopping_reduction,
    "early_stopping_speedup": early_stopping_speedup,
}
