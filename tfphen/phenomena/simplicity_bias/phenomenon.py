"""Networks rely on the simplest of several predictive features (Shah et al. 2020, 2006.07710).

Inputs consist of blocks, each of which is sufficient to predict the class. Shuffling a block among
test examples reveals whether a network uses it. Sets of networks trained for dissimilar input
gradients learn further blocks (Teney et al. 2022, arXiv 2105.05612).
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.simplicity_bias import findings, trials
from tfphen.phenomena.simplicity_bias.trials import Config
from tfphen.verdicts.findings import Signature

MEASURES = (
    "aucs",
    "accuracies",
    "test_scores",
    "test_labels",
    "block_accuracies",
    "train_accuracies",
)


class SimplicityBias(Phenomenon):
    """Slab trainings of one kind are one population, and so are all strengths of a set."""

    Config = Config
    measures = (
        error("train"),
        *(Measure(name, f"{__package__}.measures:{name}") for name in MEASURES),
    )
    models: ClassVar[Mapping] = {"network_set": f"{__package__}.network_sets:network_set"}
    objectives: ClassVar[Mapping] = {"diverse": f"{__package__}.network_sets:diverse"}
    sources: ClassVar[Mapping] = {
        "slabs": f"{__package__}.slabs:slabs",
        "collages": f"{__package__}.collages:collages",
    }
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
