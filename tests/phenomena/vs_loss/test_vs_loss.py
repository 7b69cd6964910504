"""Vector scaling: the verdicts, the plan, published numbers, and the initial gradient."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec
from tfphen.experiment import plan
from tfphen.phenomena.vs_loss.phenomenon import ARMS, Config, VectorScaling
from tfphen.phenomena.vs_loss.trials import Groups
from tfphen.verdicts import published

from .vs_loss_tables import EVERYTHING, SHOWN, a_table, changed, verdicts


def test_shown_and_with_silent_controls():
    by_id, verdict = verdicts(SHOWN)
    assert verdict == "present", by_id
    assert by_id["limit_of_vector_scaling_is_sensitive_machine"] == "present"
    assert by_id["gain_of_vector_scaling_over_logit_adjustment"] == "present"
    assert len(by_id) == 38


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (("path", "separable", "weights", "cosine_to_plain_machine", [0.95] * 4), "limit_of_weig"),
        (
            ("path", "separable", "temperatures", "cosine_to_sensitive_machine", [0.95] * 4),
            "limit_of_temperatures_is_sens",
        ),
        (
            ("path", "separable", "logit_adjustment", "cosine_to_cross_entropy", [0.99] * 4),
            "logit_adjustment_forgotten_on_sep",
        ),
        (
            ("path", "separable", "temperatures", "cosine_to_sensitive_machine", [0.95] * 4),
            "shifts_lead_factors_at_first",
        ),
        (
            ("mixture", "imbalanced", "machine", "minority_error", [0.03] * 5),
            "larger_margin_lowers_error_of_imb",
        ),
        (
            ("mixture", "imbalanced", "machine", "minority_error", [0.3, 0.1, 0.1, 0.0, 0.0]),
            "errors_are_equal_at_best",
        ),
        (
            ("groups", "spurious", "machine", "cell_errors", [[0, 0.5, 0.5, 0], [0, 0.5, 0.5, 0]]),
            "margins_by_group_lower_gap_between_groups_spurious",
        ),
        (("deep", "imbalanced", "vector_scaling", "test_balanced_error", 0.37), "gain_of_vector"),
        (("deep", "imbalanced", "temperatures", "initial_rare_gradient", 0.9), "rare_gradient"),
        (
            ("deep", "imbalanced", "logit_adjustment", "curve_test_class_recall", [[1.0, 0.0]] * 3),
            "shifts_lead_factors_in_networks_early",
        ),
    ],
)
def test_each_signature_can_be_absent(change, finding):
    *row, column, value = change
    by_id, verdict = verdicts(changed(*row, **{column: value}))
    assert "absent" in [v for name, v in by_id.items() if name.startswith(finding)]
    assert verdict == "absent"


@pytest.mark.parametrize(
    ("change", "control"),
    [
        (
            ("path", "separable", "temperatures", "cosine_to_plain_machine", [0.998] * 4),
            "limit_of_temperatures_is_plain_machine",
        ),
        (
            ("path", "inseparable", "weights", "cosine_to_cross_entropy", [1.0] * 4),
            "weights_forgotten_on_inseparable_classes",
        ),
        (
            ("mixture", "balanced", "machine", "minority_error", [0.3, 0.1, 0.0, 0.0, 0.0]),
            "larger_margin_lowers_error_of_balanced_classes_in_150_dimensions",
        ),
        (
            ("groups", "independent", "machine", "cell_errors", [[0.3] * 4, [0.2] * 4]),
            "margins_by_group_lower_error_of_worst_group_independent",
        ),
        (
            ("deep", "reversed", "vector_scaling", "test_balanced_error", 0.4),
            "gain_of_reversed_vector_scaling_over_cross_entropy",
        ),
        (
            ("deep", "balanced", "cross_entropy", "test_balanced_error", 0.3),
            "gain_of_vector_scaling_over_cross_entropy_on_balanced_classes",
        ),
        (
            ("deep", "imbalanced", "logit_adjustment", "initial_rare_gradient", 0.5),
            "rare_gradient_is_small_under_logit_adjustment",
        ),
    ],
)
def test_a_control_that_answers_makes_all_inconclusive(change, control):
    *row, column, value = change
    by_id, verdict = verdicts(changed(*row, **{column: value}))
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_classes_that_are_not_separable_give_no_verdict():
    nowhere = {"minority_error": [np.nan] * 5, "majority_error": [np.nan] * 5}
    by_id, _ = verdicts(changed("mixture", "imbalanced", "machine", **nowhere))
    for name, verdict in by_id.items():
        if "imbalanced_classes_in" in name or name.startswith("errors_are_equal"):
            assert verdict == "inconclusive", name


def test_one_population_for_each_loss():
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


def test_paper_experiments_keep_the_published_classes_and_settings():
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
        ({"arms": ("vector_scaling",)}, "`arms` hold 'cross_entropy'"),
        ({"arms": ("cross_entropy", "weights")}, "have a control"),
        ({"early": 3}, "`early` is of `curve`"),
    ],
)
def test_settings_that_do_not_go_together(settings, text):
    with pytest.raises(UsageError, match=text):
        Config(**settings)


def test_exponents_begin_with_0():
    with pytest.raises(UsageError, match="begin with 0 and hold `exponent`"):
        Groups(exponents=(0.1, 0.5))


def test_published_numbers_find_ours():
    numbers = published.load("vs_loss")
    config = VectorScaling.configure("paper", "cifar10_lt100", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN)
    found = {}
    for number in numbers:
        if number.experiment == "cifar10_lt100":
            ours = VectorScaling().reproductions(table, config, number)
            if ours is not None:
                found[number.source[:4], number.setting["arm"]] = ours
    papers = {arm for source, arm in found if source == "Kini"}
    assert papers == set(ARMS)  # no LDAM-DRW
    assert found["Kini", "vector_scaling"][0].value == pytest.approx(70, abs=0.1)
    assert found["Kini", "vector_scaling"][1].value == pytest.approx(54, abs=0.1)
    # Google Research's tau is 1, ours is not.
    assert ("goog", "logit_adjustment") not in found and ("goog", "cross_entropy") in found


def test_published_equality_of_errors_finds_ours():
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
