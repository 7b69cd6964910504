"""Vector scaling: the verdicts, the plan, published numbers, and the initial gradient."""

from typing import ClassVar

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec
from tfphen.experiment import plan
from tfphen.phenomena.vs_loss.phenomenon import VectorScaling
from tfphen.phenomena.vs_loss.trials import ARMS, Config, Groups
from tfphen.verdicts import published

from .. import harness
from .vs_loss_tables import EVERYTHING, SHOWN, a_table, changed, verdicts


class TestFindings(harness.Findings):
    kind, config = VectorScaling, EVERYTHING
    FLIPS: ClassVar = {
        "weights/cosine_to_svm": (
            "path",
            "separable",
            "weights",
            "cosine_to_plain_machine",
            [0.95] * 4,
        ),
        "temperatures/cosine_to_cost_sensitive_svm": (
            "path",
            "separable",
            "temperatures",
            "cosine_to_sensitive_machine",
            [0.95] * 4,
        ),
        "logit_adjustment/cosine_to_cross_entropy": (
            "path",
            "separable",
            "logit_adjustment",
            "cosine_to_cross_entropy",
            [0.99] * 4,
        ),
        "logit_adjustment/lead_over_temperatures_at_largest_penalty": (
            "path",
            "separable",
            "temperatures",
            "cosine_to_sensitive_machine",
            [0.95] * 4,
        ),
        "imbalanced_150d/balanced_error_reduction": (
            "mixture",
            "imbalanced",
            "machine",
            "minority_error",
            [0.03] * 5,
        ),
        "imbalanced_150d/error_gap_at_best_margins": (
            "mixture",
            "imbalanced",
            "machine",
            "minority_error",
            [0.3, 0.1, 0.1, 0.0, 0.0],
        ),
        "group_margins_spurious/equal_opportunity_gap_reduction": (
            "groups",
            "spurious",
            "machine",
            "cell_errors",
            [[0, 0.5, 0.5, 0], [0, 0.5, 0.5, 0]],
        ),
        "vector_scaling/gain_over_logit_adjustment": (
            "deep",
            "imbalanced",
            "vector_scaling",
            "test_balanced_error",
            0.37,
        ),
        "temperatures/initial_rare_gradient_ratio": (
            "deep",
            "imbalanced",
            "temperatures",
            "initial_rare_gradient",
            0.9,
        ),
        "logit_adjustment/early_rare_recall_gain_over_temperatures": (
            "deep",
            "imbalanced",
            "logit_adjustment",
            "curve_test_class_recall",
            [[1.0, 0.0]] * 3,
        ),
        "cross_entropy/cosine_to_svm": (
            "path",
            "separable",
            "cross_entropy",
            "cosine_to_plain_machine",
            [0.95] * 4,
        ),
        "logit_adjustment/cosine_to_svm": (
            "path",
            "separable",
            "logit_adjustment",
            "cosine_to_plain_machine",
            [0.95] * 4,
        ),
        "vector_scaling/cosine_to_cost_sensitive_svm": (
            "path",
            "separable",
            "vector_scaling",
            "cosine_to_sensitive_machine",
            [0.95] * 4,
        ),
        "weights/cosine_to_cross_entropy": (
            "path",
            "separable",
            "weights",
            "cosine_to_cross_entropy",
            [0.9] * 4,
        ),
        "imbalanced_150d/best_margin_ratio": (
            "mixture",
            "imbalanced",
            "machine",
            "minority_error",
            [0.03] * 5,
        ),
        "vector_scaling/gain_over_cross_entropy": (
            "deep",
            "imbalanced",
            "vector_scaling",
            "test_balanced_error",
            0.9,
        ),
        "temperatures/gain_over_weights": (
            "deep",
            "imbalanced",
            "temperatures",
            "test_balanced_error",
            0.9,
        ),
        "logit_adjustment/gain_over_weights": (
            "deep",
            "imbalanced",
            "logit_adjustment",
            "test_balanced_error",
            0.9,
        ),
        "group_margins_spurious/worst_group_error_reduction": (
            "groups",
            "spurious",
            "machine",
            "cell_errors",
            [[0.5] * 4] * 2,
        ),
    }
    ANSWERS: ClassVar = {
        "temperatures/cosine_to_svm": (
            "path",
            "separable",
            "temperatures",
            "cosine_to_plain_machine",
            [0.998] * 4,
        ),
        "weights_inseparable/cosine_to_cross_entropy": (
            "path",
            "inseparable",
            "weights",
            "cosine_to_cross_entropy",
            [1.0] * 4,
        ),
        "balanced_150d/balanced_error_reduction": (
            "mixture",
            "balanced",
            "machine",
            "minority_error",
            [0.3, 0.1, 0.0, 0.0, 0.0],
        ),
        "group_margins_independent/worst_group_error_reduction": (
            "groups",
            "independent",
            "machine",
            "cell_errors",
            [[0.3] * 4, [0.2] * 4],
        ),
        "vector_scaling_reversed/gain_over_cross_entropy": (
            "deep",
            "reversed",
            "vector_scaling",
            "test_balanced_error",
            0.4,
        ),
        "vector_scaling_balanced/gain_over_cross_entropy": (
            "deep",
            "balanced",
            "cross_entropy",
            "test_balanced_error",
            0.3,
        ),
        "logit_adjustment/initial_rare_gradient_ratio": (
            "deep",
            "imbalanced",
            "logit_adjustment",
            "initial_rare_gradient",
            0.5,
        ),
    }

    def table(self, change):
        if not change:
            return a_table(self.config, SHOWN)
        *row, column, value = change
        return a_table(self.config, changed(*row, **{column: value}))


def test_inseparable_classes_give_no_verdict():
    nowhere = {"minority_error": [np.nan] * 5, "majority_error": [np.nan] * 5}
    by_id, _ = verdicts(changed("mixture", "imbalanced", "machine", **nowhere))
    for name, verdict in by_id.items():
        if name.startswith("imbalanced_150d/"):
            assert verdict == "inconclusive", name


def test_one_population_per_loss():
    trials = list(VectorScaling().trials(EVERYTHING))
    assert len({trial.id for trial in trials}) == len(trials)
    deep = [group for group in plan.groups(trials) if group.trials[0].tags["part"] == "deep"]
    assert len(deep) == len(ARMS) + 1
    for group in deep:
        assert len({trial.tags["arm"] for trial in group.trials}) == 1
        assert len(group.trials) in (EVERYTHING.seeds, 2 * EVERYTHING.seeds)
    (wrong,) = {trial.objective for trial in trials if trial.tags["case"] == "reversed"} - {
        Spec("cross_entropy")
    }
    assert wrong == Spec("vector_scaling", gamma=0.15, tau=1.0, counts="reversed")


def test_paper_experiments_use_the_published_classes_and_settings():
    config = VectorScaling.configure("paper", "cifar10_step100")
    trials = list(VectorScaling().trials(config))
    assert {trial.seed_of("step_imbalance") for trial in trials} == {0}
    assert {trial.seed for trial in trials} == set(config.seed_range())
    objectives = {trial.tags["arm"]: trial.objective for trial in trials[:5]}
    assert objectives["vector_scaling"] == Spec("vector_scaling", gamma=0.2, tau=1.5)
    assert objectives["logit_adjustment"] == Spec("vector_scaling", gamma=0.0, tau=2.25)
    (thinning,) = trials[0].data.corruptions
    assert thinning.settings["permute_classes"] is False
    assert trials[0].augmentation.name == "crop_and_flip"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"arms": ("focal",)}, "`arms` must be one of"),
        ({"arms": ("vector_scaling",)}, "`arms` must include 'cross_entropy'"),
        ({"arms": ("cross_entropy", "weights")}, "have a control"),
        ({"early": 3}, "`early` must be in `curve`"),
    ],
)
def test_invalid_settings_are_rejected(settings, text):
    with pytest.raises(UsageError, match=text):
        Config(**settings)


def test_exponents_must_begin_with_0():
    with pytest.raises(UsageError, match="begin with 0 and include `exponent`"):
        Groups(exponents=(0.1, 0.5))


def test_published_accuracies_have_an_estimate():
    numbers = published.load("vs_loss")
    config = VectorScaling.configure("paper", "cifar10_lt100", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN)
    estimates = {}
    for number in numbers:
        if number.experiment == "cifar10_lt100":
            ours = VectorScaling().reproductions(table, config, number)
            if ours is not None:
                estimates[number.source[:4], number.setting["arm"]] = ours
    papers = {arm for source, arm in estimates if source == "Kini"}
    assert papers == set(ARMS)  # no LDAM-DRW
    assert estimates["Kini", "vector_scaling"][0].value == pytest.approx(70, abs=0.1)
    assert estimates["Kini", "vector_scaling"][1].value == pytest.approx(54, abs=0.1)
    # Google Research's tau is 1, ours is not.
    assert ("goog", "logit_adjustment") not in estimates and ("goog", "cross_entropy") in estimates


def test_published_error_gaps_have_an_estimate():
    config = VectorScaling.configure("paper", "gaussian_mixture", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN)
    numbers = [n for n in published.load("vs_loss") if n.experiment == "gaussian_mixture"]
    assert len(numbers) == 4
    for number in numbers:
        ours, plain = VectorScaling().reproductions(table, config, number)
        assert (ours.value, plain.value) == pytest.approx((0, 0.29), abs=1e-3)


def test_figure():
    from matplotlib.figure import Figure

    experiment = VectorScaling.configure("paper", "cifar10_lt100", {"seeds": 2, "seed": 0})
    for config, panels in ((EVERYTHING, 5), (experiment, 1)):
        figure = Figure(layout="constrained")
        VectorScaling().figure(a_table(config, SHOWN), config, figure)
        assert sum(axes.axison for axes in figure.axes) == panels


# ---- through the engine ------------------------------------------------------------------------


def test_initial_gradient_is_smaller_under_temperatures_by_the_formula(tensorflow, tmp_path):
    from tfphen.experiment import runner

    config = Config(
        arms=("cross_entropy", "temperatures"),
        options={"dimensions": 10, "train_per_class": 40, "test_per_class": 5},
        imbalance="step_imbalance",
        ratio=10.0,
        max_count=40,
        balanced_count=22,
        model="linear",
        epochs=1.0,
        curve=(2,),
        early=2,
        seeds=2,
        seed=0,
    )
    trials = [t for t in VectorScaling().trials(config) if t.tags["case"] == "imbalanced"]
    records = runner.run(VectorScaling(), trials, tmp_path)
    norms = {t.tags["arm"]: records[t.id].values["initial_rare_gradient"] for t in trials[:2]}
    record = records[trials[0].id]
    assert sorted(record.arrays["class_counts"].tolist()) == [4] * 5 + [40] * 5
    assert 0.2 < norms["temperatures"] / norms["cross_entropy"] < 1.0
    assert record.arrays["curve_test_class_recall"].shape[1] == 10
