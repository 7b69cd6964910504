"""Loss correction by the noise matrix undoes label noise (Patrini et al. 2017, arXiv 1609.03683).

Rows of the matrix T are clean classes: T[i, j] is the probability that an example of class i
carries label j. Forward correction compares the noisy label with T^T p; backward correction weights
the losses of all labels by T^-1. T can be estimated from a network trained on the noisy labels,
which works as long as the true label of every class is also its most frequent one.
"""

from collections.abc import Iterator
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.loss_correction import findings, trials
from tfphen.phenomena.loss_correction.trials import PERCENTILES, Config
from tfphen.verdicts.findings import Signature

_MEASURES = f"{__package__}.measures"


class LossCorrection(Phenomenon):
    """Arms differ in the loss and in the matrix it is given; all pairs share a seed."""

    Config = Config
    measures = (
        error("test"),
        error("train"),
        error("train", "clean_labels"),
        *(
            Measure(f"{name}_{percentile}", f"{_MEASURES}:{name}", {"percentile": percentile})
            for name in ("transition_estimate", "transition_distance")
            for percentile in PERCENTILES
        ),
    )
    models: ClassVar = {"normalized_mlp": f"{__package__}.model:normalized_mlp"}
    objectives: ClassVar = {"backward_estimated": f"{__package__}.objective:backward_estimated"}
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
