"""Feature deviation and CDT: the verdicts, the plan, published numbers, and the figure."""

from typing import ClassVar

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.feature_deviation_cdt.phenomenon import FeatureDeviationCDT
from tfphen.phenomena.feature_deviation_cdt.trials import Config, arm_of
from tfphen.verdicts import published

from .. import harness
from .feature_deviation_cdt_tables import SHOWN, SMALL, a_table

PAPER = ("cifar10_lt100", "cifar10_step100", "cifar100_lt100")


# ---- verdicts ----------------------------------------------------------------------------------


class TestFindings(harness.Findings):
    kind, config = FeatureDeviationCDT, SMALL
    FLIPS: ClassVar = {
        "cross_entropy/min_train_recall": {("cross_entropy", "train_class_recall"): 0.3},
        "linear/train_recall_gap": {("linear", "train_class_recall"): 0.15},
        "cross_entropy/test_recall_correlation": {("cross_entropy", "test_class_recall"): -0.2},
        "cross_entropy/squared_deviation_correlation": {("cross_entropy", "deviation"): -1.0},
        "cross_entropy/feature_distance_correlation": {("cross_entropy", "deviation"): 0.0},
        "cross_entropy/decision_gap_correlation": {("cross_entropy", "decision_value_test"): 0.0},
        "cdt/balanced_accuracy_gain": {("cdt_0.3", "test_class_recall"): 0.7},
        "cdt/rare_recall_gain": {("cdt_0.3", "test_class_recall"): 0.58},
        "cdt/rare_decision_value_gain": {("cdt_0.3", "decision_value_test"): 1.2},
    }
    ANSWERS: ClassVar = {
        "linear/min_train_recall": {("linear", "train_class_recall"): 0.0},
        "network_beside_linear/train_recall_gap": {
            ("network_beside_linear", "train_class_recall"): 0.5
        },
        "balanced/test_recall_correlation": {("balanced", "test_class_recall"): 0.6},
        "balanced/feature_distance_correlation": {("balanced", "deviation"): 2.0},
        "balanced/squared_deviation_correlation": {("balanced", "deviation"): 2.0},
        "balanced/decision_gap_correlation": {("balanced", "decision_value_test"): 1.0},
        "reversed/balanced_accuracy_gain": {("reversed", "test_class_recall"): 0.3},
        "reversed/rare_decision_value_gain": {("reversed", "decision_value_test"): 0.3},
        "cdt_at_prediction/rare_recall_gain": {
            ("cdt_0.3", "test_class_recall_with_temperatures"): 0.3
        },
    }

    def table(self, change):
        return a_table(self.config, SHOWN | change)


def test_a_diverged_network_gives_no_verdict():
    table = a_table(SMALL, SHOWN)
    rows = table.index[table.arm == "cross_entropy"]
    table.at[rows[0], "curve_deviation_over_8"] = np.full((2, 3, 10), np.nan)
    by_id = {finding.id: finding for finding in FeatureDeviationCDT().findings(table, SMALL)}
    assert by_id["cross_entropy/feature_distance_correlation"].verdict == "inconclusive"
    assert by_id["cross_entropy/test_recall_correlation"].verdict == "present"


# ---- plan and settings -------------------------------------------------------------------------


def test_one_population_per_loss_and_model():
    groups = plan.groups(FeatureDeviationCDT().trials(SMALL))
    arms = [{trial.tags["arm"] for trial in group.trials} for group in groups]
    gammas = [{f"cdt_{gamma:g}"} for gamma in SMALL.gammas]
    beside = [{"reversed"}, {"network_beside_linear"}, {"linear"}]
    assert sorted(map(sorted, arms)) == sorted(
        map(sorted, [{"cross_entropy", "balanced"}, *gammas, *beside])
    )
    assert sum(len(group.trials) for group in groups) == SMALL.seeds * 9


def test_arms_differ_only_in_what_they_compare():
    trials = {t.tags["arm"]: t for t in FeatureDeviationCDT().trials(SMALL) if t.seed == 3}
    plain = trials["cross_entropy"]
    for gamma in SMALL.gammas:
        objective = trials[f"cdt_{gamma:g}"].objective
        assert dict(objective.settings) == {"gamma": gamma, "tau": 0.0, "counts": "own"}
    assert trials["reversed"].objective.settings["counts"] == "reversed"
    for arm in ("cdt_0.3", "reversed"):
        for field in ("data", "model", "optimizer", "epochs", "seed", "stream_seeds", "curve"):
            assert getattr(trials[arm], field) == getattr(plain, field)
    (own,), (balanced,) = plain.data.corruptions, trials["balanced"].data.corruptions
    assert (own.settings["ratio"], balanced.settings["ratio"]) == (25.0, 1.0)
    assert trials["linear"].data == trials["network_beside_linear"].data != plain.data
    assert trials["network_beside_linear"].model == plain.model


@pytest.mark.parametrize("experiment", PAPER)
def test_paper_experiments(experiment):
    config = FeatureDeviationCDT.configure("paper", experiment)
    trials = list(FeatureDeviationCDT().trials(config))
    assert {t.tags["arm"] for t in trials} >= {"cross_entropy", "balanced", "reversed"}
    assert {arm_of(gamma) for gamma in config.gammas} <= {t.tags["arm"] for t in trials}
    assert not {"linear", "network_beside_linear"} & {t.tags["arm"] for t in trials}
    for trial in trials:
        assert f"deviation_over_{config.subset_size}" in trial.measures
        assert (trial.epochs, trial.batch_size, trial.model.name) == (200, 128, "resnet_cifar")
    # As many examples in balanced training, to within one a class.
    from tfphen.data import long_tail_counts, step_counts

    rule = step_counts if config.imbalance == "step_imbalance" else long_tail_counts
    classes = 100 if "cifar100" in experiment else 10
    counts = rule(config.max_count, config.ratio, classes)
    assert counts.min() == config.subset_size
    assert abs(config.balanced_count - counts.mean()) < 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gammas": (0.1,)}, r"`gammas` must be .* include `gamma`.*Received: gammas=\[0.1\]"),
        ({"gammas": (0.0, 0.3)}, "`gammas` must be above 0"),
        ({"max_count": None}, "`max_count` and `balanced_count`.*Received: max_count=None"),
        ({"subset_size": 7}, "`subset_size` must be one of.*Received: subset_size=7"),
        ({"subset_size": 16}, "size of the smallest class, 8.*Received: subset_size=16"),
    ],
)
def test_invalid_settings_are_rejected(settings, message):
    good = {"max_count": 200, "balanced_count": 64, "ratio": 25.0}
    Config(**good)
    with pytest.raises(UsageError, match=message):
        Config(**{**good, **settings})


def test_published_numbers_have_an_estimate():
    numbers = published.load("feature_deviation_cdt")
    config = FeatureDeviationCDT.configure("paper", "cifar10_lt100", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN)
    mine = [number for number in numbers if number.experiment == "cifar10_lt100"]
    seen = set()
    for number in mine:
        estimate, baseline = FeatureDeviationCDT().reproductions(table, config, number)
        plain = 60.0 if "accuracy" in number.metric else 40.0
        assert estimate.n == baseline.n == 3
        assert baseline.value == pytest.approx(plain, abs=2)
        gamma = number.setting.get("gamma")
        seen.add(gamma)
        # The synthetic arms at 0.1, 0.2 and 0.4 have .9 throughout, that at 0.3 less.
        expected = plain if gamma is None else 90.0 if "accuracy" in number.metric else 10.0
        assert estimate.value == pytest.approx(expected, abs=2)
    assert seen == {None, 0.2, "tuned"}
    (pets,) = [n for n in numbers if n.value == 60.17]
    assert FeatureDeviationCDT().reproductions(table, config, pets) is None
    assert {n.provenance for n in numbers if n.value in (79.4, 89.4, 44.3, 58.9)} == {"recalled"}
    assert {n.provenance for n in numbers if n.value in (22.9, 79.55, 20.73)} == {"read"}


def test_figure():
    from matplotlib.figure import Figure

    for size, experiment in (("small", None), ("paper", "cifar10_lt100")):
        config = FeatureDeviationCDT.configure(size, experiment, {"seeds": 3, "seed": 0})
        figure = Figure(layout="constrained")
        FeatureDeviationCDT().figure(a_table(config, SHOWN), config, figure)
        assert len(figure.axes) == 6
        labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        assert ("linear model, train" in labels) == (size == "small")
