"""Networks fit labels that are independent of the inputs (Zhang et al. 2017, arXiv 1611.03530).

The same network, optimizer and schedule train on true labels and on randomizations of the data.
They are compared with two exact solutions: the minimum-norm interpolation of a Gaussian kernel, and
the construction of a network with 2n + d weights that fits any n labels.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import diagnostic, error
from tfphen.phenomena.random_labels import findings, trials
from tfphen.phenomena.random_labels.trials import KERNEL, Config
from tfphen.verdicts.findings import Signature


class RandomLabels(Phenomenon):
    """All networks of one shape are one population: randomizations change no graph."""

    Config = Config
    measures = (error("train"), error("test"), *map(diagnostic, (*KERNEL, "misfit")))
    curve_measures = (error("train"),)
    models: ClassVar[Mapping] = {"whitened_mlp": f"{__package__}.whitened_mlp:whitened_mlp"}
    objectives: ClassVar[Mapping] = {
        "redrawn_labels": f"{__package__}.redrawn_labels:redrawn_labels"
    }
    solvers: ClassVar[Mapping] = {
        "kernel_interpolation": f"{__package__}.kernel_interpolation:solve",
        "threshold_construction": f"{__package__}.threshold_network:solve",
    }
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
