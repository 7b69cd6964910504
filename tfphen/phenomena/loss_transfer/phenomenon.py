"""Losses that separate classes more yield features that transfer less (Kornblith et al. 2021).

S. Kornblith, T. Chen, H. Lee, M. Norouzi, *Why Do Better Loss Functions Lead to Less Transferable
Features?*, NeurIPS 2021, arXiv 2010.16402. Networks that differ only in their loss are trained on
some classes; linear probes of their frozen layers are trained on others.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, diagnostic, error, weights
from tfphen.phenomena.loss_transfer import findings, trials
from tfphen.phenomena.loss_transfer.trials import INDICES, MAX_LAYERS, Config
from tfphen.verdicts.findings import Signature


class LossTransfer(Phenomenon):
    """All comparisons are paired by seed: same initialization, examples, order and probe."""

    Config = Config
    measures = (
        error("train"),
        error("test"),
        Measure("probe_inputs", f"{__package__}.measures:probe", {"place": None}),
        Measure("probe_first", f"{__package__}.measures:probe", {"place": 0}),
        Measure("probe_penultimate", f"{__package__}.measures:probe", {"place": -1}),
        *(
            Measure(
                f"representation_{place}",
                f"{__package__}.measures:representation",
                {"place": place},
            )
            for place in range(MAX_LAYERS)
        ),
        weights(),
        *(diagnostic(f"{index}_cka") for index in INDICES),
    )
    curve_measures = (Measure("separation", f"{__package__}.measures:separation"),)
    models: ClassVar[Mapping] = {"network_for_objective": f"{__package__}.network:network"}
    sources: ClassVar[Mapping] = {"normal_pairs": f"{__package__}.similarity:normal_pairs"}
    starts: ClassVar[Mapping] = {"trained_body": f"{__package__}.network:trained_body"}
    solvers: ClassVar[Mapping] = {"compare": f"{__package__}.similarity:compare"}
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
