"""Larger margins for rarer classes, re-weighted late (Cao et al. 2019, arXiv 1906.07413).

A class of n examples gets a margin proportional to n^(-1/4) (LDAM), and examples are weighted by
class only in the last part of training (deferred re-weighting, DRW). LDAM needs logits that are
cosines, so a control trains that head without margins. All comparisons are paired by seed.
"""

from collections.abc import Iterator

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, balanced_error, class_counts, class_recall, error
from tfphen.phenomena.ldam_drw import findings, trials
from tfphen.phenomena.ldam_drw.trials import Config
from tfphen.verdicts.findings import Signature

BALANCED_ERROR = balanced_error("test")


class LdamDrw(Phenomenon):
    """Arms differ in head, loss and class weights."""

    Config = Config
    measures = (
        BALANCED_ERROR,
        error("train"),
        class_counts(),
        class_recall("train"),
        class_recall("test"),
        Measure("class_margin", f"{__package__}.measures:loss_margins"),
        Measure("class_weight", f"{__package__}.measures:loss_weights"),
        Measure("train_class_margin", f"{__package__}.measures:train_margins"),
    )
    curve_measures = (BALANCED_ERROR,)
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
