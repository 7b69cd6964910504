"""Uncertainty that grows with distance to the training data (Liu et al. 2020, arXiv 2006.10108).

Spectral normalization of each layer and a Gaussian process as the last layer, each alone and both
together (SNGP), are compared with the same network without them: on two moons, and on images or
texts with held-out classes, other datasets and corrupted inputs.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.sngp import findings, trials
from tfphen.phenomena.sngp.trials import Config
from tfphen.verdicts.findings import Signature

MEASURES = f"{__package__}.measures"


class SNGP(Phenomenon):
    """All seeds of an arm are one population."""

    Config = Config
    measures = (error("train"), error("test"))
    models: ClassVar[Mapping] = {
        name: f"{__package__}.networks:{name}"
        for name in ("sngp_residual", "sngp_wide_resnet", "sngp_transformer")
    }
    sources: ClassVar[Mapping] = {"two_moons": f"{__package__}.two_moons:two_moons"}
    statistics = findings.STATISTICS

    def measures_of(self, trial: Trial) -> tuple[tuple[Measure, ...], tuple[Measure, ...]]:
        """Returns those of the class, and those of the trial's head and evaluation sets."""
        own = moons_measures if trial.data.name == "two_moons" else task_measures
        return (*self.measures, *own(trial)), self.curve_measures

    def trials(self, config: Config) -> Iterator[Trial]:
        return trials.trials(config)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        return findings.findings(table, config)


def moons_measures(trial: Trial) -> Iterator[Measure]:
    """Yields the measures on the plane: distance correlation, confidence, OOD detection."""
    for score in trials.scores_of(trial):
        settings = {"score": score}
        name = f"distance_correlation_{score}"
        yield Measure(name, f"{MEASURES}:distance_correlation", settings)
    process = trials.has_process(trial)
    shown = {"score": "variance" if process else "probability"}
    yield Measure("far_confidence", f"{MEASURES}:far_confidence")
    yield Measure("grid_uncertainty", f"{MEASURES}:grid_uncertainty", shown)
    if process:
        yield Measure("unreset_variance_ratio", f"{MEASURES}:unreset_variance_ratio")
    yield from _detections(trial, ("far", "fresh"))


def task_measures(trial: Trial) -> Iterator[Measure]:
    """Yields the measures on images or texts: calibration and OOD detection."""
    eval_sets = trial.data.further
    corrupted = tuple(name for name, spec in eval_sets.items() if "corruption" in spec.settings)
    ood_sets = [name for name in eval_sets if name not in corrupted]
    ood_sets += ["other_test"] if trial.data.classes is not None else []
    for kind in ("ece", "nll"):
        yield _calibration("test", ("test",), kind)
    for kind in ("error", "ece", "nll") if corrupted else ():
        yield _calibration("corrupted", corrupted, kind)
    yield from _detections(trial, ood_sets)


def _detections(trial: Trial, sets: Iterable[str]) -> Iterator[Measure]:
    for name in sets:
        for score in trials.scores_of(trial):
            for statistic in trials.DETECTION_STATISTICS:
                settings = {"name": name, "score": score, "statistic": statistic}
                column = f"{statistic}_{name}_{score}"
                yield Measure(column, f"{MEASURES}:detection_statistic", settings)


def _calibration(title: str, splits: tuple[str, ...], kind: str) -> Measure:
    settings = {"splits": splits, "kind": kind}
    return Measure(f"{title}_{kind}", f"{MEASURES}:mean_calibration", settings)
