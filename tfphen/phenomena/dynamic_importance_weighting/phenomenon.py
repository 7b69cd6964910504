"""Importance weights of each batch, from its losses (Fang, Lu, Niu, Sugiyama 2020).

Importance weights of a deep network need its features, and its training needs the weights. Dynamic
importance weighting computes the weights of every batch by matching its losses to those of a few
clean examples; static weights are computed once. A second part fits lines under covariate shift,
where weights can be estimated from the inputs. arXiv 2006.04662.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.dynamic_importance_weighting import findings, trials
from tfphen.phenomena.dynamic_importance_weighting.trials import Config
from tfphen.verdicts.findings import Signature


class DynamicImportanceWeighting(Phenomenon):
    """All dynamic trainings share a population: label noise does not change the graph."""

    Config = Config
    measures = (
        error("test"),
        Measure("fit_of_flipped", f"{__package__}.measures:fit_of_flipped"),
        Measure("static_weights", f"{__package__}.measures:static_weights"),
        Measure("squared_error", f"{__package__}.measures:squared_error"),
    )
    curve_measures = (error("test"),)
    objectives: ClassVar[Mapping] = {
        "dynamic_importance_weighting": f"{__package__}.objectives:dynamic_importance_weighting",
        "random_weights": f"{__package__}.objectives:random_weights",
        "static_importance_weighting": f"{__package__}.objectives:static_importance_weighting",
    }
    sources: ClassVar[Mapping] = {
        "covariate_shift": f"{__package__}.covariate_shift:covariate_shift"
    }
    solvers: ClassVar[Mapping] = {"weighted_least_squares": f"{__package__}.covariate_shift:solve"}
    step_hook = f"{__package__}.objectives:WEIGHT_SEPARATION"
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
