"""Networks overfit rare classes, whose features deviate between training and test data.

H.-J. Ye, H.-Y. Chen, D.-C. Zhan, W.-L. Chao, *Identifying and Compensating for Feature Deviation
in Imbalanced Deep Learning*, arXiv 2001.01385. CDT divides the logit of class c by the temperature
(n_max / n_c)^gamma in training, and predicts from logits as they are.
"""

from collections.abc import Iterator

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, class_counts, class_recall
from tfphen.phenomena.feature_deviation_cdt import findings, trials
from tfphen.phenomena.feature_deviation_cdt.trials import (
    SUBSET_SIZES,
    TEST_RECALL,
    WITH_TEMPERATURES,
    Config,
)
from tfphen.verdicts.findings import Signature

_MEASURES = f"{__package__}.measures"


class FeatureDeviationCDT(Phenomenon):
    """Arms differ in loss, in model or in class counts; all comparisons are paired by seed."""

    Config = Config
    measures = (
        class_counts(),
        class_recall("train"),
        class_recall("test"),
        Measure(TEST_RECALL + WITH_TEMPERATURES, f"{_MEASURES}:recall_with_temperatures"),
    )
    curve_measures = (
        *(
            Measure(f"decision_value_{split}", f"{_MEASURES}:decision_values", {"split": split})
            for split in ("train", "test")
        ),
        *(
            Measure(f"deviation_over_{n}", f"{_MEASURES}:feature_deviations", {"subset_size": n})
            for n in SUBSET_SIZES
        ),
    )
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
