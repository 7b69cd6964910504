"""Shift invariance can reduce adversarial robustness (Singla et al. 2021, arXiv 2103.02695).

Four parts: hard margins of signals with all their shifts, a bright against a dark dot, orthogonal
signals, and images.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, diagnostic, error
from tfphen.phenomena.shift_invariance import findings, trials
from tfphen.phenomena.shift_invariance.trials import Config
from tfphen.verdicts.findings import Signature

MEASURES = f"{__package__}.measures"


class ShiftInvariance(Phenomenon):
    """Parts are independent of each other; arms of a part share their seeds."""

    Config = Config
    measures = (
        error("test"),
        Measure("distances", f"{MEASURES}:distances"),
        Measure("robust_l2", f"{MEASURES}:robust", {"norm": "l2"}),
        Measure("robust_linf", f"{MEASURES}:robust", {"norm": "linf"}),
        Measure("consistency", f"{MEASURES}:consistency"),
        diagnostic("margin_over_dc_margin"),
        diagnostic("cosine_with_constant"),
    )
    models: ClassVar[Mapping] = {
        "circular_convnet": f"{__package__}.models:circular_convnet",
        "normalized_mlp": f"{__package__}.models:normalized_mlp",
    }
    sources: ClassVar[Mapping] = {
        "dots": f"{__package__}.dots:dots",
        "orthogonal_vectors": f"{__package__}.dots:orthogonal_vectors",
        "orthogonal_frequencies": f"{__package__}.dots:orthogonal_frequencies",
        "offset_signals": f"{__package__}.dots:offset_signals",
    }
    solvers: ClassVar[Mapping] = {"hard_margin": f"{__package__}.hard_margin:solve_hard_margin"}
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
