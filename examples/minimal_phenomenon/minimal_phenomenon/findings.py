"""What is tested, from the table alone: one row a trial, its tags and measures as columns."""

from collections.abc import Iterator, Mapping
from typing import Any

from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

# Fixed before the confirmatory seeds (from 1000 up) are run, and never after.
ERROR_DROP = 0.05


def findings(table: Any, config: Any) -> Iterator[Signature]:
    """Yields the signature and its negative control. Ids are `"<arm>/<statistic>"`."""
    yield Signature(
        "true_labels/error_drop",
        error_drop(table, config, "true_labels"),
        above=ERROR_DROP,
        description="The wide network errs less than the narrow one.",
    )
    # The same statistic through the same code, where the claim must not hold. It could come out
    # present, say if the wide network were evaluated on other examples than the narrow one.
    yield Control(
        "random_labels/error_drop",
        error_drop(table, config, "random_labels"),
        above=ERROR_DROP,
        description="The wide network errs less although its labels say nothing.",
    )


def error_drop(table: Any, config: Any, arm: str) -> Estimate:
    """Returns the test error of the narrow network minus that of the wide one, over seeds."""
    errors = table[table.arm == arm].pivot(index="seed", columns="units", values="test_error")
    return stats.paired_difference(
        errors[config.narrow], errors[config.wide], "test error, narrow minus wide"
    )


def mean_test_error(table: Any, config: Any, setting: Mapping[str, Any]) -> Estimate | None:
    """Returns the mean test error in percent of networks with `setting["units"]` hidden units."""
    rows = table[(table.arm == "true_labels") & (table.units == setting["units"])]
    return stats.mean(100 * rows.test_error, "test error, %") if len(rows) else None


STATISTICS = {"mean_test_error": mean_test_error}
