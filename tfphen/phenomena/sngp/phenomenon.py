"""Uncertainty that follows the distance to the training data (Liu et al. 2020, arXiv 2006.10108).

A bound on the norm of each layer and a Gaussian process as the last layer, each alone and both
together (SNGP), against the same network without them: on two moons, and on images or texts where
other classes, other data and corrupted inputs are to be told from those of the training.
"""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.sngp import findings as readings
from tfphen.phenomena.sngp.trials import DETECTION, Moons, Task
from tfphen.verdicts.findings import Control, Signature

# On two moons: least rank correlation, gain in it, fall of a confidence, AUROC.
FOLLOWS, GAIN, FALLS, DETECTED = 0.6, 0.3, 0.1, 0.75
# Least gains of SNGP over the deterministic network, by the claim of `Task`.
LEAST = {"auroc": 0.01, "aupr_out": 0.01, "test_ece": 0.005, "corrupted_ece": 0.02}
# Columns of published metrics.
METRICS = {
    "accuracy, %": "test_error",
    "NLL": "test_nll",
    "ECE": "test_ece",
    "corrupted accuracy, %": "corrupted_error",
    "corrupted NLL": "corrupted_nll",
    "corrupted ECE": "corrupted_ece",
}


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        moons: Those of two moons, or None to leave them out.
        task: Those of images or texts, or None.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    moons: Moons | None = None
    task: Task | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.moons is None and self.task is None:
            raise UsageError("There is `moons`, `task` or both. Received: neither")


def _network(builder: str, *arguments, **settings):
    """Calls a builder of a module that is heavy to import."""
    from tfphen.phenomena.sngp import networks

    return getattr(networks, builder)(*arguments, **settings)


def _two_moons(
    *,
    train_size: int = 1000,
    test_size: int = 1000,
    noise: float = 0.1,
    horizontal: float = 0.1,
    vertical: float = 0.2,
    generator_seed: int = 0,
):
    """The source `two_moons.two_moons`, which is heavy to import."""
    from tfphen.phenomena.sngp.two_moons import two_moons

    return two_moons(
        train_size=train_size,
        test_size=test_size,
        noise=noise,
        horizontal=horizontal,
        vertical=vertical,
        generator_seed=generator_seed,
    )


class SNGP(Phenomenon):
    """All seeds of an arm are one population."""

    title = "Distance-aware uncertainty (SNGP)"
    claim = (
        "A network is sure of itself far away from all training data. With bounded layers and a "
        "Gaussian process as the last one its uncertainty follows the distance to the data, so "
        "that inputs from elsewhere are told from those it was trained on, at no cost in accuracy."
    )
    paper = (
        "J. Z. Liu, Z. Lin, S. Padhy, D. Tran, T. Bedrax-Weiss, B. Lakshminarayanan, Simple and "
        "Principled Uncertainty Estimation with Deterministic Deep Learning via Distance "
        "Awareness, NeurIPS 2020, arXiv 2006.10108"
    )
    Config = Config
    measures = (error("train"), error("test"))
    models: ClassVar[Mapping] = {
        name: functools.partial(_network, name)
        for name in ("sngp_residual", "sngp_wide_resnet", "sngp_transformer")
    }
    sources: ClassVar[Mapping] = {"two_moons": _two_moons}

    def measures_of(self, trial: Trial) -> tuple[tuple[Measure, ...], tuple[Measure, ...]]:
        """Returns those of the class, and those of what a trial has beside its test split."""
        own = _moons_measures if trial.data.name == "two_moons" else _task_measures
        return (*self.measures, *own(trial)), self.curve_measures

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for part in (config.moons, config.task):
                yield from part.trials(seed) if part is not None else ()

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if config.moons is not None:
            yield from _moons_findings(table, config.moons)
        if config.task is not None:
            yield from _task_findings(table, config.task)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        arm, metric = number.setting.get("arm"), number.metric
        if config.task is None or arm not in config.task.arms:
            return None
        if column := METRICS.get(metric):
            found = [readings.values(table, "task", one, column) for one in (arm, "deterministic")]
            found = [100 * (1 - one) if "accuracy" in metric else one for one in found]
        elif metric in ("AUROC", "AUPR"):
            # Published with the score of Dempster and Shafer where there is a Gaussian process.
            name = "auroc" if metric == "AUROC" else "aupr_out"
            name = f"{name}_{number.setting.get('outside')}"
            scores = {"sngp": "evidence", "gaussian_process": "evidence"}
            found = [
                readings.values(table, "task", one, f"{name}_{scores.get(one, 'probability')}")
                for one in (arm, "deterministic")
            ]
        else:
            return None
        if not all(map(len, found)):
            return None
        return tuple(stats.mean_if_defined(one, metric) for one in found)


# ---- measures ----------------------------------------------------------------------------------


def _moons_measures(trial: Trial) -> Iterator[Measure]:
    from tfphen.phenomena.sngp import measures as uncertain

    scores = uncertain.scores_of(trial)
    for score in scores:
        follows = functools.partial(uncertain.distance_correlation, score=score)
        yield Measure(f"distance_correlation_{score}", follows)

    def far_confidence(trained):
        return 1 - uncertain.uncertainty(trained, "far", "probability").mean(1)

    def grid_uncertainty(trained):
        shown = "variance" if uncertain.has_process(trial) else "probability"
        return uncertain.uncertainty(trained, "grid", shown).astype("float32")

    yield Measure("far_confidence", far_confidence)
    yield Measure("grid_uncertainty", grid_uncertainty)
    if uncertain.has_process(trial):
        yield Measure("unreset_variance_ratio", uncertain.unreset_ratio)
    yield from _detections(trial, ("far", "fresh"))


def _task_measures(trial: Trial) -> Iterator[Measure]:
    further = trial.data.further
    corrupted = tuple(name for name, spec in further.items() if "corruption" in spec.settings)
    outside = [name for name in further if name not in corrupted]
    outside += ["other_test"] if trial.data.classes is not None else []
    for kind in ("ece", "nll"):
        yield _calibration("test", ("test",), kind)
    for kind in ("error", "ece", "nll") if corrupted else ():
        yield _calibration("corrupted", corrupted, kind)
    yield from _detections(trial, outside)


def _detections(trial: Trial, names: Iterable[str]) -> Iterator[Measure]:
    """Yields how well each score tells sets from the test split, in each way of saying it."""
    from tfphen.phenomena.sngp import measures as uncertain

    def measure(name, score, statistic):
        def function(trained):
            return trained.once(uncertain.detection, name, score)[statistic]

        return Measure(f"{statistic}_{name}_{score}", function)

    for name in names:
        for score in uncertain.scores_of(trial):
            yield from (measure(name, score, one) for one in uncertain.STATISTICS)


def _calibration(title: str, splits: tuple[str, ...], kind: str) -> Measure:
    """A mean over splits."""

    def function(trained):
        from tfphen.phenomena.sngp import measures as uncertain

        return sum(trained.once(uncertain.calibration, one)[kind] for one in splits) / len(splits)

    return Measure(f"{title}_{kind}", function)


# ---- findings ----------------------------------------------------------------------------------


def _moons_findings(table, part: Moons) -> Iterator[Signature]:
    """Yields findings on the plane. A bound alone, which is the control, may have been left out."""

    def level(arm, column):
        return readings.level(table, "moons", arm, column)

    def gain(arm, column, **settings):
        return readings.gain(table, "moons", arm, column, **settings)

    alone = "spectral_norm" in part.arms
    name = "variance_follows_distance"
    yield Signature(name, level("sngp", "distance_correlation_variance"), above=FOLLOWS)
    prior = level("sngp", "distance_correlation_prior")
    yield Control("variance_without_data_follows_distance", prior, above=FOLLOWS)
    plain = "distance_correlation_probability"
    change = gain("sngp", "distance_correlation_variance", baseline=plain)
    yield Signature("variance_follows_distance_more_than_probability", change, above=GAIN)
    if alone:
        change = gain("spectral_norm", plain)
        yield Control("spectral_norm_alone_follows_distance_more", change, above=GAIN)
    for kind, arm in ((Signature, "sngp"), (Control, "spectral_norm")):
        if arm in part.arms:
            fall = gain(arm, "far_confidence", lower=True)
            yield kind(f"confidence_falls_far_away_with_{arm}", fall, above=FALLS)
    for kind, name in ((Signature, "far"), (Control, "fresh")):
        found = level("sngp", f"auroc_{name}_variance")
        yield kind(f"variance_detects_{name}_points", found, above=DETECTED)
    if alone:
        found = level("spectral_norm", "auroc_far_probability")
        yield Control("spectral_norm_alone_detects_far_points", found, above=DETECTED)


def _task_findings(table, part: Task) -> Iterator[Signature]:
    """Yields findings on detection and calibration."""

    def gain(arm, column, **settings):
        return readings.gain(table, "task", arm, column, **settings)

    for claim in part.claims:
        least = LEAST[claim]
        if claim not in DETECTION:
            for kind, arm in ((Signature, "sngp"), (Control, "spectral_norm")):
                if arm in part.arms:
                    change = gain(arm, claim, lower=True)
                    yield kind(f"{arm}_lowers_{claim}", change, above=least)
            continue
        for name in part.outside():
            column, plain = (f"{claim}_{name}_{score}" for score in (part.score, "probability"))
            change = gain("sngp", column, baseline=plain)
            yield Signature(f"sngp_raises_{claim}_of_{name}", change, above=least)
            change = gain("sngp", f"{claim}_{name}_prior", baseline=plain)
            yield Control(f"variance_without_data_raises_{claim}_of_{name}", change, above=least)
            if part.bound_is_control and "spectral_norm" in part.arms:
                change = gain("spectral_norm", plain)
                yield Control(f"spectral_norm_alone_raises_{claim}_of_{name}", change, above=least)
