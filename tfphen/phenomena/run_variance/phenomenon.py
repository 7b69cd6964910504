"""Networks that differ only in their seed vary in test accuracy, but hardly in quality.

Keller Jordan, *On the Variance of Neural Network Training with respect to Test Sets and
Distributions*, ICLR 2024, arXiv 2304.01910.
"""

from collections.abc import Iterator
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, predictions, wrong
from tfphen.phenomena._shared.measures import labels
from tfphen.phenomena.run_variance import findings, trials
from tfphen.phenomena.run_variance.trials import Config
from tfphen.verdicts.findings import Signature


class RunVariance(Phenomenon):
    """Each seed of the config is a data split; its runs differ in initialization and order."""

    Config = Config
    models: ClassVar = {"resnet9": f"{__package__}.model:resnet9"}
    measures = (
        error("test"),
        wrong("test"),
        predictions("test"),
        Measure("test_labels", labels, {"split": "test"}),
    )
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
