"""SNGP: the grid, the verdicts, the published protocol and the figure."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.sngp.phenomenon import SNGP
from tfphen.phenomena.sngp.trials import ARMS, Config, Moons, Task
from tfphen.verdicts import findings, published

from .. import harness

TASK = Task(
    classes=(0, 1, 2, 3, 4),
    corruptions=("gaussian_noise",),
    claims=("auroc", "aupr_out", "test_ece", "corrupted_ece"),
)
EVERYTHING = Config(moons=Moons(side=5), task=TASK, seeds=5, seed=0)

# Values that show the phenomenon, by arm and column; the rest is 0.5.
SHOWN = {
    ("sngp", "distance_correlation_variance"): 0.9,
    ("sngp", "distance_correlation_prior"): -0.3,
    ("deterministic", "distance_correlation_probability"): -0.4,
    ("spectral_norm", "distance_correlation_probability"): -0.4,
    ("deterministic", "far_confidence"): 1.0,
    ("spectral_norm", "far_confidence"): 1.0,
    ("sngp", "far_confidence"): 0.55,
    ("sngp", "auroc_far_variance"): 1.0,
    ("sngp", "auroc_fresh_variance"): 0.5,
    ("spectral_norm", "auroc_far_probability"): 0.1,
    **{
        (arm, f"{statistic}_other_test_{score}"): value
        for statistic in ("auroc", "aupr_out", "aupr_in")
        for arm, score, value in (
            ("deterministic", "probability", 0.95),
            ("spectral_norm", "probability", 0.94),
            ("sngp", "variance", 0.99),
            ("sngp", "prior", 0.1),
        )
    },
    **{(arm, "test_ece"): 0.03 for arm in ("deterministic", "spectral_norm")},
    ("sngp", "test_ece"): 0.01,
    **{(arm, "corrupted_ece"): 0.2 for arm in ("deterministic", "spectral_norm")},
    ("sngp", "corrupted_ece"): 0.1,
}


def a_table(config, shown=SHOWN):
    """Records of a plan with made-up values, as a table."""
    import pandas as pd

    rows = []
    for trial in SNGP().trials(config):
        row = dict(trial.tags)
        for measure in SNGP().measures_of(trial)[0]:
            value = shown.get((row["arm"], measure.name), 0.5)
            row[measure.name] = value + 0.002 * np.sin(7.0 * row["seed"] + len(row["arm"]))
        if config.moons is not None and "grid_uncertainty" in row:
            row["grid_uncertainty"] = np.full(config.moons.side**2, row["grid_uncertainty"])
        rows.append(row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(shown=SHOWN, config=EVERYTHING):
    found = list(SNGP().findings(a_table(config, shown), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


class TestFindings(harness.Findings):
    kind, config = SNGP, EVERYTHING
    FLIPS: ClassVar = {
        "sngp/distance_correlation": {("sngp", "distance_correlation_variance"): 0.4},
        "sngp/distance_correlation_gain": {
            ("deterministic", "distance_correlation_probability"): 0.9
        },
        "sngp/far_confidence_drop": {("sngp", "far_confidence"): 0.99},
        "sngp/far_cluster_auroc": {("sngp", "auroc_far_variance"): 0.6},
        "sngp/auroc_gain_held_out_classes": {("sngp", "auroc_other_test_variance"): 0.94},
        "sngp/aupr_out_gain_held_out_classes": {("sngp", "aupr_out_other_test_variance"): 0.94},
        "sngp/test_ece_reduction": {("sngp", "test_ece"): 0.04},
        "sngp/corrupted_ece_reduction": {("sngp", "corrupted_ece"): 0.3},
    }
    ANSWERS: ClassVar = {
        "prior_variance/distance_correlation": {("sngp", "distance_correlation_prior"): 0.8},
        "spectral_norm/distance_correlation_gain": {
            ("spectral_norm", "distance_correlation_probability"): 0.8
        },
        "spectral_norm/far_confidence_drop": {("spectral_norm", "far_confidence"): 0.5},
        "sngp/fresh_sample_auroc": {("sngp", "auroc_fresh_variance"): 0.9},
        "spectral_norm/far_cluster_auroc": {("spectral_norm", "auroc_far_probability"): 1.0},
        "prior_variance/auroc_gain_held_out_classes": {("sngp", "auroc_other_test_prior"): 0.99},
        "spectral_norm/auroc_gain_held_out_classes": {
            ("spectral_norm", "auroc_other_test_probability"): 0.99
        },
        "spectral_norm/test_ece_reduction": {("spectral_norm", "test_ece"): 0.01},
        "spectral_norm/corrupted_ece_reduction": {("spectral_norm", "corrupted_ece"): 0.1},
    }

    def table(self, change):
        return a_table(self.config, SHOWN | change)


def test_one_population_for_each_network_of_each_part():
    groups = plan.groups(SNGP().trials(EVERYTHING))
    assert len(groups) == 2 * len(ARMS)
    for group in groups:
        (arm,) = {trial.tags["arm"] for trial in group.trials}
        assert [trial.seed for trial in group.trials] == list(range(5))
        settings = group.trials[0].model.settings
        assert ("norm_multiplier" in settings, "head" in settings) == ARMS[arm]
        assert ("covariance_share" in group.trials[0].constants) == ARMS[arm][1]


def test_ood_and_corrupted_sets_are_measured():
    config = SNGP.configure("paper", "fashion_mnist")
    trial = next(iter(SNGP().trials(config)))
    names = {measure.name for measure in SNGP().measures_of(trial)[0]}
    assert {"auroc_mnist_probability", "aupr_in_mnist_evidence", "corrupted_ece"} <= names
    assert not any("rotate" in name or "variance" in name for name in names)
    assert len(trial.data.further) == 1 + 4 * 2


def test_the_published_schedule():
    config = SNGP.configure("paper", "cifar10")
    trial = next(iter(SNGP().trials(config)))
    drops = [fraction * trial.epochs for fraction in trial.schedule.settings["fractions"]]
    assert drops == pytest.approx([75, 150, 200])
    assert trial.schedule.settings["warmup"] * trial.epochs == pytest.approx(1.0)
    fill = trial.augmentation.settings["fill"]
    assert fill == pytest.approx((-0.4914 / 0.2470, -0.4822 / 0.2435, -0.4465 / 0.2616))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Config, "`moons`, `task` or both"),
        (lambda: Moons(arms=("sngp",)), "'deterministic' and 'sngp'"),
        (lambda: Moons(covariance_share=0.0), "covariance_share"),
        (lambda: Task(claims=("auroc",)), "set `classes` or `others`"),
        (lambda: dataclasses.replace(TASK, claims=()), "one at least"),
        (lambda: dataclasses.replace(TASK, corruptions=()), "needs `corruptions`"),
        (
            lambda: Task(claims=("test_ece",), arms=("deterministic", "sngp")),
            "have a control",
        ),
        (lambda: dataclasses.replace(TASK, score="prior"), "score"),
    ],
)
def test_invalid_settings(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_statistics_of_published_numbers():
    numbers = published.load("sngp")
    config = SNGP.configure("paper", "cifar10", {"seeds": 3, "seed": 0})
    table = a_table(config, {("sngp", "test_error"): 0.04, ("deterministic", "test_error"): 0.05})
    mine = {
        (number.setting["arm"], number.metric): SNGP().reproductions(table, config, number)
        for number in numbers
        if number.experiment == "cifar10"
    }
    accuracy, baseline = mine["sngp", "accuracy, %"]
    assert accuracy.value == pytest.approx(96, abs=0.5) and accuracy.n == 3
    assert baseline.value == pytest.approx(95, abs=0.5)
    assert mine["ensemble_4", "ECE"] is None
    for metric in ("NLL", "corrupted ECE", "corrupted NLL", "corrupted accuracy, %", "AUPR"):
        assert mine["sngp", metric][0].n == 3
    recalled = {number.experiment for number in numbers if number.provenance == "recalled"}
    assert recalled == {"cifar10", "cifar100"}
    assert all(number.provenance == "recalled" for number in numbers if "table" in number.setting)


def test_figure():
    from matplotlib.figure import Figure

    for size, experiment, panels in (("small", None, 7), ("paper", "cifar10", 3)):
        config = SNGP.configure(size, experiment, {"seeds": 2, "seed": 0})
        figure = Figure(layout="constrained")
        SNGP().figure(a_table(config), config, figure)
        # Two color bars beside the panels of two moons.
        assert len(figure.axes) == panels
        labels = {t.get_text() for axes in figure.axes for t in axes.get_yticklabels()}
        assert {"SNGP, variance", "deterministic, 1 - max p", "spectral norm"} <= labels
