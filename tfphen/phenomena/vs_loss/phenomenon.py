"""Vector scaling of logits for imbalanced classes and groups (Kini et al. 2021, arXiv 2103.01550).

Multiplicative logit adjustment changes the classifier that training converges to, additive logit
adjustment does not. Four parts: the regularization path of linear classifiers to SVMs, the SVM of
two Gaussian classes in closed form, networks on imbalanced classes, and SVMs with margins by group.
"""

from collections.abc import Iterator
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import (
    Measure,
    balanced_error,
    class_counts,
    class_recall,
    diagnostic,
    error,
)
from tfphen.phenomena.vs_loss import findings, trials
from tfphen.phenomena.vs_loss.trials import CELL_ERRORS, COSINES, ERRORS, Config
from tfphen.verdicts.findings import Signature


class VectorScaling(Phenomenon):
    """Each part has its own trials; none of them depends on another's results."""

    Config = Config
    measures = (
        error("train"),
        balanced_error("test"),
        class_recall("test"),
        class_counts(),
        Measure("initial_rare_gradient", f"{__package__}.measures:initial_rare_gradient"),
        *map(diagnostic, (*COSINES, *ERRORS, *CELL_ERRORS)),
    )
    curve_measures = (class_recall("test"),)
    sources: ClassVar = {
        "opposite_gaussians": f"{__package__}.data:opposite_gaussians",
        "spurious_attribute": f"{__package__}.data:spurious_attribute",
    }
    solvers: ClassVar = {
        "ridge_path": "tfphen.phenomena.vs_loss.solver:solve_ridge_path",
        "cost_sensitive": "tfphen.phenomena.vs_loss.solver:solve_cost_sensitive",
        "group_sensitive": "tfphen.phenomena.vs_loss.solver:solve_group_sensitive",
    }
    statistics = findings.STATISTICS

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)
