"""Few-shot domain adaptation by a shared causal mechanism (Teshima, Sato, Sugiyama 2020).

Where domains share the mechanism that generates variables from independent components, and differ
in the distributions of these, all combinations of the components of a few target points are as
good as points of the target. The mechanism is given, estimated by linear independent component
analysis, or learned by a flow with generalized contrastive learning. arXiv 2002.03497.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, diagnostic
from tfphen.phenomena.causal_mechanism_transfer import findings, trials
from tfphen.phenomena.causal_mechanism_transfer.trials import Config
from tfphen.verdicts.findings import Signature


class CausalMechanismTransfer(Phenomenon):
    """Fits share a population per arm and case, flows one per shape."""

    Config = Config
    measures = (
        Measure("error", f"{__package__}.measures:error"),
        *map(diagnostic, ("score", "kept", "points")),
        Measure("sources", f"{__package__}.measures:sources"),
        Measure("predicted", f"{__package__}.measures:predicted"),
    )
    curve_measures = tuple(
        Measure(f"learned_{name}", f"{__package__}.measures:learned", {"name": name})
        for name in trials.MEASURES
    )
    models: ClassVar[Mapping] = {"contrastive_flow": f"{__package__}.contrastive_flow:model"}
    objectives: ClassVar[Mapping] = {
        "generalized_contrastive": f"{__package__}.contrastive_flow:generalized_contrastive"
    }
    sources: ClassVar[Mapping] = {
        "shared_mechanism": f"{__package__}.shared_mechanism:shared_mechanism"
    }
    solvers: ClassVar[Mapping] = {
        "component_combinations": f"{__package__}.mechanism_transfer:solve"
    }
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
