"""What would count as showing it: statistics of the table of records, one row a trial."""

import dataclasses
from collections.abc import Iterator

from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.stats import Estimate, paired_difference


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Fixed before any seed from 1000 up was seen.

    Args:
        gap: Least difference in test error between the narrow and the wide network.
    """

    gap: float = 0.2


def gap(table, config, arm: str) -> Estimate:
    """Returns the narrow network's test error minus the wide one's, paired by seed."""
    rows = table[table.arm == arm].pivot(index="seed", columns="width", values="test_error")
    narrow, wide = min(config.widths), max(config.widths)
    return paired_difference(rows[narrow], rows[wide], f"test error, width {narrow} minus {wide}")


def findings(table, config) -> Iterator[Signature]:
    """Yields the signature, and a control: the same statistic where it must not show."""
    yield Signature(
        "true/gap",
        gap(table, config, "true"),
        above=Thresholds.gap,
        description="The wide network has lower test error.",
    )
    # Through the same code, and it could come out present: if wide networks did better even on
    # labels that have nothing to do with the images, the gap would not be about what they learn.
    yield Control(
        "random/gap",
        gap(table, config, "random"),
        above=Thresholds.gap,
        description="The wide network has lower test error on random labels.",
    )
