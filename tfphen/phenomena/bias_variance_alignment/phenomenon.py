"""Point by point, the variance of an ensemble of deep networks is about its squared bias.

Lin Chen, Michal Lukasik, Wittawat Jitkrittum, Chong You, Sanjiv Kumar, *On Bias-Variance Alignment
in Deep Models*, ICLR 2024, arXiv 2310.09250.
"""

from collections.abc import Iterator
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, log_probabilities
from tfphen.phenomena._shared.measures import labels
from tfphen.phenomena.bias_variance_alignment import findings, trials
from tfphen.phenomena.bias_variance_alignment.trials import Config
from tfphen.verdicts.findings import Signature


class BiasVarianceAlignment(Phenomenon):
    """Each seed of the config is an ensemble, whose members share split and test set."""

    Config = Config
    models: ClassVar = {"cifar_resnet": f"{__package__}.model:cifar_resnet"}
    measures = (
        error("train"),
        error("test"),
        log_probabilities("test"),
        Measure("test_labels", labels, {"split": "test"}),
    )
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
