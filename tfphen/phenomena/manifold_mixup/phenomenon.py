"""Mixup of hidden states and labels regularizes (Verma et al. 2019, arXiv 1806.05236).

Each step mixes the hidden states of two examples at a random layer, or their inputs, and their
labels with the same coefficient. Arms that mix nothing, the inputs only, or the labels of other
examples than the hidden states train from the same initial weights on the same data order.
"""

from collections.abc import Iterator

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss
from tfphen.phenomena.manifold_mixup import findings, trials
from tfphen.phenomena.manifold_mixup.trials import LAYERS, Config
from tfphen.verdicts.findings import Signature


def _of_layers(name: str) -> tuple[Measure, ...]:
    function = f"{__package__}.measures:{name}"
    return tuple(Measure(f"{name}_{layer}", function, {"layer": layer}) for layer in LAYERS)


class ManifoldMixup(Phenomenon):
    """Arms differ in what is mixed; all comparisons are paired by seed."""

    Config = Config
    measures = (
        error("test"),
        loss("test"),
        error("train"),
        loss("train"),
        Measure("attacked_accuracy", f"{__package__}.measures:attacked_accuracy"),
        *_of_layers("flattening"),
        *_of_layers("spectrum"),
    )
    curve_measures = (error("test"), loss("test"))
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
