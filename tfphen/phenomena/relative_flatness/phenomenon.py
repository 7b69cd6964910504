"""Networks that are flat relative to their weights generalize better.

Henning Petzka, Michael Kamp, Linara Adilova, Cristian Sminchisescu, Mario Boley, *Relative Flatness
and Generalization*, NeurIPS 2021, arXiv 2001.00939.

Relative flatness weighs the Hessian of a layer by the products of its weight vectors. Networks of
one architecture, trained by different optimizers to the same training loss, are ranked by it, and
by measures that change when layers are rescaled though the network stays the same.
"""

from collections.abc import Iterator
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss
from tfphen.phenomena.relative_flatness import findings, trials
from tfphen.phenomena.relative_flatness.measures import COLUMNS
from tfphen.phenomena.relative_flatness.trials import Config
from tfphen.verdicts.findings import Signature

LAST_LAYER = f"{__package__}.measures:last_layer"


class RelativeFlatness(Phenomenon):
    """Within a seed, all networks share the training set, initial weights and order of the data."""

    Config = Config
    measures = (
        *(measure(split) for split in ("train", "test") for measure in (error, loss)),
        *(Measure(column, LAST_LAYER, {"column": column}) for column in COLUMNS),
        Measure("layer_bounds", f"{__package__}.measures:layer_bounds"),
    )
    starts: ClassVar = {"scaled": f"{__package__}.initialization:scaled"}
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
