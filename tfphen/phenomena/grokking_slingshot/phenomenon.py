"""Networks memorize a table long before they generalize; adaptive optimizers cycle late on.

Power et al. 2022 (arXiv 2201.02177): trained on part of an operation's table, a network generalizes
to the rest long after it has memorized its training set. Thilak et al. 2022 (arXiv 2206.04817):
late in training, Adam goes through cycles. Gromov 2023 (arXiv 2301.02679): a network that groks in
seconds.
"""

from collections.abc import Iterator

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.grokking_slingshot import findings, trials
from tfphen.phenomena.grokking_slingshot.trials import Config
from tfphen.verdicts.findings import Signature


class GrokkingSlingshot(Phenomenon):
    """Two parts with trainings of their own."""

    Config = Config
    measures = (
        error("test"),
        error("train"),
        Measure("new_pair_error", f"{__package__}.measures:new_pair_error"),
    )
    curve_measures = (
        error("test"),
        error("train"),
        Measure("periodicity", f"{__package__}.measures:periodicity"),
    )
    step_hook = f"{__package__}.measures:LAST_LAYER_NORM"
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
