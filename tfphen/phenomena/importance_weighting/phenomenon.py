"""Class weights lose their effect once a network separates its training set (Byrd, Lipton 2019).

Two parts: linear models on points in the plane, where theory explains why the effect of weights
fades, and networks on images of two classes. The effect is measured on inputs of neither class,
as the share that is classified as class 1.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.importance_weighting import findings, trials
from tfphen.phenomena.importance_weighting.blobs import blobs
from tfphen.phenomena.importance_weighting.trials import Config
from tfphen.verdicts.findings import Signature


class ImportanceWeighting(Phenomenon):
    """All weight ratios of an arm share a population, and so do most arms of networks."""

    Config = Config
    measures = (error("train"), error("test"))
    curve_measures = (
        Measure("ambiguous_share", f"{__package__}.measures:ambiguous_share"),
        Measure("test_share", f"{__package__}.measures:test_share"),
        Measure("noise_share", f"{__package__}.measures:noise_share"),
        error("train"),
        Measure("margin", f"{__package__}.measures:margin"),
        Measure("logit_norm", f"{__package__}.measures:logit_norm"),
    )
    sources: ClassVar[Mapping] = {"blobs": blobs}
    models: ClassVar[Mapping] = {"cat_dog_cnn": f"{__package__}.cat_dog_cnn:cat_dog_cnn"}
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
