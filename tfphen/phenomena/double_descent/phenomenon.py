"""Test error peaks where the model just fits its training set, and falls again beyond.

Preetum Nakkiran, Gal Kaplun, Yamini Bansal, Tristan Yang, Boaz Barak, Ilya Sutskever, *Deep Double
Descent: Where Bigger Models and More Data Hurt*, ICLR 2020, arXiv 1912.02292.
"""

from collections.abc import Iterator
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import error, loss
from tfphen.phenomena.double_descent import findings, trials
from tfphen.phenomena.double_descent.trials import Config
from tfphen.verdicts.findings import Signature


class DoubleDescent(Phenomenon):
    """Model-wise, sample-wise and epoch-wise sweeps through the interpolation threshold."""

    Config = Config
    models: ClassVar = {"linear_readout": f"{__package__}.model:linear_readout"}
    measures = (error("train"), error("test"), loss("train"), loss("test"))
    curve_measures = (error("train"), error("test"), loss("test"))
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
