"""Beyond interpolation, mislabeled examples lie among clean ones of their true class.

Yufei Gu, Xiaoqing Zheng, Tomaso Aste, ICLR 2024, arXiv 2310.13572; Yufei Gu 2024, arXiv 2405.07679.
The same vote is taken in the untrained network, at step 0, and in the inputs.
"""

from collections.abc import Iterator

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss
from tfphen.phenomena.double_descent_mechanism import findings, trials
from tfphen.phenomena.double_descent_mechanism.trials import Config
from tfphen.verdicts.findings import Signature

CLEAN_VOTE = Measure("clean_vote", f"{__package__}.measures:vote")
NOISY_VOTE = Measure("noisy_vote", f"{__package__}.measures:vote", {"field": "noisy_vote"})


class DoubleDescentMechanism(Phenomenon):
    """Widths across the interpolation threshold, with and without label noise."""

    Config = Config
    measures = (
        error("train"),
        error("test"),
        loss("test"),
        CLEAN_VOTE,
        NOISY_VOTE,
        Measure("input_clean_vote", f"{__package__}.measures:input_vote"),
        Measure("shuffled_clean_votes", f"{__package__}.measures:shuffled_votes"),
        Measure("input_cosine", f"{__package__}.measures:input_cosine"),
        Measure("output_cosine", f"{__package__}.measures:output_cosine"),
        Measure("predicted_classes", f"{__package__}.measures:predicted_classes"),
        Measure("complexity", f"{__package__}.measures:complexity"),
    )
    # At step 0 these are the votes in the untrained network.
    curve_measures = (CLEAN_VOTE, NOISY_VOTE)
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
