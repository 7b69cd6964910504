"""Networks fit patterns first and noise later, and noise in another way than real data.

D. Arpit et al., *A Closer Look at Memorization in Deep Networks*, ICML 2017, arXiv 1706.05394.
"""

from collections.abc import Iterator

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, wrong
from tfphen.phenomena.memorization import findings, trials
from tfphen.phenomena.memorization.trials import Config
from tfphen.verdicts.findings import Signature

ERRORS = (error("train"), error("test"), error("validation"))


class Memorization(Phenomenon):
    """Four parts with trainings of their own: short, long, replayed, and arithmetic."""

    Config = Config
    measures = (
        *ERRORS,
        wrong("train"),
        Measure("loss_sensitivity", f"{__package__}.measures:replayed_loss_sensitivity"),
    )
    curve_measures = (
        *ERRORS,
        Measure("clean_fit", f"{__package__}.measures:fit", {"flipped": False}),
        Measure("flipped_fit", f"{__package__}.measures:fit", {"flipped": True}),
        Measure("critical_sample_ratio", f"{__package__}.measures:critical_sample_ratio"),
    )
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
