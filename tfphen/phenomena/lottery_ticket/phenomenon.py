"""Sparse subnetworks train from their original initial values (Frankle & Carbin 2019).

Iterative magnitude pruning: train from theta_0, remove the smallest weights of each layer, reset
the others to theta_0, train again, and so on. What is left after a round is a ticket. Its controls
train as many weights with one thing changed: the mask, the values, their order or signs.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss, masks, weights
from tfphen.phenomena.lottery_ticket import findings, trials
from tfphen.phenomena.lottery_ticket.trials import Config
from tfphen.verdicts.findings import Signature


class LotteryTicket(Phenomenon):
    """A chain of trials for each seed, one a round; controls branch off in chosen rounds."""

    Config = Config
    measures = (
        error("test"),
        Measure("density", f"{__package__}.measures:density"),
        weights(),
        masks(),
    )
    curve_measures = (loss("validation"), error("test"))
    starts: ClassVar[Mapping] = {"ticket": f"{__package__}.pruning:ticket"}
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
