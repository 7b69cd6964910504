"""Vector scaling: the plan, the verdicts, the machines, their limit, and the initial gradient."""

import doctest
from types import SimpleNamespace

import numpy as np
import pytest

from tfphen import findings, plan, published
from tfphen.errors import UsageError
from tfphen.phenomena.vs_loss import ARMS, Config, VectorScaling
from tfphen.protocols.hard_margins import Groups, Mixture, Path, spurious_attribute
from tfphen.readings import vs_loss as readings
from tfphen.trial import Data, Spec, Trial

EVERYTHING = Config(
    path=Path(decades=4),
    mixture=Mixture(points=5),
    groups=Groups(exponents=(0.0, 0.5)),
    arms=ARMS,
    options={"train_per_class": 200},
    imbalance="step_imbalance",
    ratio=25.0,
    max_count=200,
    balanced_count=104,
    curve=(17, 51),
    early=51,
    seeds=4,
    seed=0,
)

# What a table holds that shows the phenomenon: by part, case, arm, and column.
SENSITIVE, PLAIN = [0.80, 0.9, 0.99, 0.998], [0.90, 0.93, 0.92, 0.91]
TO_PLAIN = {"cosine_to_plain_machine": [0.95, 0.98, 0.99, 0.998]}
TO_PLAIN |= {"cosine_to_sensitive_machine": PLAIN, "cosine_to_cross_entropy": [0.97, 0.99, 1, 1]}
TO_SENSITIVE = {"cosine_to_plain_machine": PLAIN, "cosine_to_sensitive_machine": SENSITIVE}
SHOWN = {
    **{("path", "separable", arm): TO_PLAIN for arm in ARMS[:3]},
    **{("path", "separable", arm): TO_SENSITIVE for arm in ARMS[3:]},
    **{("path", "inseparable", arm): {"cosine_to_cross_entropy": [0.9] * 4} for arm in ARMS},
    ("mixture", "imbalanced", "machine"): {
        "minority_error": [0.30, 0.05, 0.02, 0.01, 0.005],
        "majority_error": [0.01, 0.05, 0.10, 0.20, 0.25],
    },
    ("mixture", "balanced", "machine"): {
        "minority_error": [0.05, 0.04, 0.03, 0.01, 0.005],
        "majority_error": [0.05, 0.10, 0.15, 0.20, 0.25],
    },
    # Cells (0, 0), (0, 1), (1, 0), (1, 1), under equal margins and others.
    ("groups", "spurious", "machine"): {
        "cell_errors": [[0.01, 0.5, 0.4, 0.02], [0.1, 0.3, 0.3, 0.1]]
    },
    ("groups", "independent", "machine"): {"cell_errors": [[0.2] * 4, [0.2] * 4]},
    ("groups", "reversed", "machine"): {
        "cell_errors": [[0.01, 0.5, 0.4, 0.02], [0.01, 0.6, 0.5, 0.01]]
    },
    **{
        ("deep", "imbalanced", arm): {
            "test_balanced_error": error,
            "initial_rare_gradient": gradient,
            "curve_test_class_recall": [[1.0, 0.0], [1.0, early], [1.0, late]],
        }
        for arm, error, gradient, early, late in (
            ("cross_entropy", 0.46, 1.0, 0.0, 0.2),
            ("weights", 0.41, 1.0, 0.4, 0.3),
            ("logit_adjustment", 0.36, 1.4, 0.2, 0.4),
            ("temperatures", 0.35, 0.7, 0.0, 0.4),
            ("vector_scaling", 0.30, 1.0, 0.2, 0.6),
        )
    },
    **{("deep", "balanced", arm): {"test_balanced_error": 0.18} for arm in ARMS},
    ("deep", "reversed", "vector_scaling"): {"test_balanced_error": 0.55},
}


def a_table(config, values):
    """Records of a plan with made-up values, which scatter with the seed, as a table."""
    import pandas as pd

    rows = []
    for trial in VectorScaling().trials(config):
        tags = dict(trial.tags)
        columns = values[tags["part"], tags["case"], tags["arm"]]
        jitter = 1 + 1e-4 * np.sin(7.0 * tags["seed"] + len(tags["arm"]))
        row = {name: np.asarray(value) * jitter for name, value in columns.items()}
        # Class 1 is the rare one in half of the seeds.
        counts = [200, 8] if tags["seed"] % 2 else [8, 200]
        if "curve_test_class_recall" in row and counts[0] < counts[1]:
            row["curve_test_class_recall"] = row["curve_test_class_recall"][:, ::-1]
        rows.append(tags | {"class_counts": counts, "curve_step": [17, 51, 3400]} | row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(values, config=EVERYTHING):
    found = list(VectorScaling().findings(a_table(config, values), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


def changed(part, case, arm, **columns):
    return SHOWN | {(part, case, arm): SHOWN[part, case, arm] | columns}


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


# ---- machines ----------------------------------------------------------------------------------


def examples_of(dataset):
    """What a solver sees of the training data of one member."""
    labels = dataset.train_labels[None]
    return SimpleNamespace(
        splits={
            "train": (dataset.train_inputs, np.arange(labels.shape[1])[None], {"labels": labels})
        },
        sizes=[labels.shape[1]],
    )


def solved(name, dataset, optimizer, options=(), objective=None):
    from tfphen.train import support_vectors

    data = Data(dataset.name, options=dict(options))
    extra = {} if objective is None else {"objective": objective}
    trial = Trial(model=Spec("linear"), data=data, optimizer=optimizer, **extra)
    solve = getattr(support_vectors, f"solve_{name}")
    return solve([trial], examples_of(dataset), lambda share: None)


def gaussians(**settings):
    from tfphen.protocols.hard_margins import opposite_gaussians

    return opposite_gaussians(**settings)


def test_docstring_examples(tensorflow):
    from tfphen.train import hard_margins

    for module in (hard_margins, readings):
        results = doctest.testmod(module)
        assert results.attempted > 0 and results.failed == 0


def test_margins_are_met_exactly_and_the_dual_agrees(tensorflow):
    from scipy import optimize

    from tfphen.train.hard_margins import max_margin

    generator = np.random.default_rng(0)
    signed, margins = generator.normal(size=(15, 20)), generator.uniform(0.5, 4.0, 15)
    found = max_margin(signed, margins)
    assert (signed @ found - margins).min() > -1e-9
    gram = signed @ signed.T
    dual = optimize.minimize(
        lambda a: (0.5 * a @ gram @ a - margins @ a, gram @ a - margins),
        np.zeros(15),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * 15,
        options={"gtol": 1e-12, "ftol": 0, "maxiter": 10000},
    )
    np.testing.assert_allclose(found, signed.T @ dual.x, atol=1e-5)
    with pytest.raises(UsageError, match="no hard margins"):
        max_margin(np.concatenate([signed, -signed]), np.ones(30))


def test_moved_threshold_is_the_machine_with_that_margin(tensorflow):
    from tfphen.train.hard_margins import cost_sensitive, max_margin, plain_machine

    data = gaussians(counts=(20, 6), dimensions=40, mean=1.5)
    inputs, signs = data.train_inputs.astype("float64"), 2 * data.train_labels - 1
    weights, intercept = cost_sensitive(*plain_machine(inputs, signs), 3.0)
    # A constant feature of 1000 leaves the intercept all but unpenalised.
    large = np.concatenate([inputs, np.full((26, 1), 1e3)], 1)
    direct = max_margin(large * signs[:, None], np.where(signs > 0, 3.0, 1.0))
    np.testing.assert_allclose(direct[:-1], weights, atol=1e-5)
    assert 1e3 * direct[-1] == pytest.approx(intercept, abs=1e-5)


def test_classes_without_a_margin_have_no_plain_machine(tensorflow):
    from tfphen.train.hard_margins import plain_machine

    assert plain_machine([[0.0], [1.0], [2.0]], [1, -1, 1]) is None


def test_exact_errors_are_those_on_test_data(tensorflow):
    data = gaussians(counts=(45, 15), dimensions=80, mean=1.2, generator_seed=1)
    optimizer = Spec("cost_sensitive", deltas=[1.0, 4.0])
    found = solved("cost_sensitive", data, optimizer, {"mean": 1.2})
    labels, rows = data.test_labels, np.arange(1000)[None]
    wrong = found(data.test_inputs, rows)[0].argmax(-1) != labels
    for name, label in (("minority_error", 1), ("majority_error", 0)):
        exact = found.reports[name][0]
        assert wrong[labels == label].mean() == pytest.approx(exact[0], abs=0.06)
        assert 0.02 < exact[0] < 0.5
    assert found.reports["minority_error"][0, 1] < found.reports["minority_error"][0, 0]


def test_exact_errors_of_cells_are_those_on_test_data(tensorflow):
    options = {"core": 1.0, "spurious": 2.0}
    data = spurious_attribute(count=120, dimensions=150, agreement=0.9, generator_seed=2, **options)
    found = solved("group_sensitive", data, Spec("group_sensitive", exponents=[0.0, 0.4]), options)
    cells = data.test_labels
    wrong = found(data.test_inputs, np.arange(2000)[None])[0].argmax(-1) != cells // 2
    for cell, exact in enumerate(found.reports["cell_errors"][0, 1]):
        assert wrong[cells == cell].mean() == pytest.approx(exact, abs=0.06)
    assert np.ptp(found.reports["cell_errors"][0, 0]) > 0.2


def test_every_cell_has_an_example_and_its_mean():
    data = spurious_attribute(count=40, dimensions=3, core=3.0, spurious=5.0, agreement=0.99)
    assert set(data.train_labels) == {0, 1, 2, 3}
    for cell in range(4):
        mean = data.test_inputs[data.test_labels == cell].mean(0)
        expected = [3.0 * (2 * (cell // 2) - 1), 5.0 * (2 * (cell % 2) - 1), 0.0]
        np.testing.assert_allclose(mean, expected, atol=0.25)


def test_path_of_a_loss_satisfies_the_condition_of_a_minimum(tensorflow):
    from tfphen.train.hard_margins import ridge_path

    data = gaussians(counts=(12, 4), dimensions=6, mean=0.5, generator_seed=3)
    inputs, signs = data.train_inputs.astype("float64"), 2.0 * data.train_labels - 1
    # l = log(1 + exp(2 - Δ y f)) with Δ of the class, as the paper writes it.
    factors = np.where(signs > 0, 0.5, 1.0) * signs

    def loss(scores):
        return tensorflow.nn.softplus(2.0 - factors * scores)

    for penalty, w in zip((0.1, 1e-3), ridge_path(loss, inputs, [0.1, 1e-3]), strict=True):
        slopes = -factors / (1 + np.exp(factors * (inputs @ w) - 2.0)) / len(signs)
        np.testing.assert_allclose(inputs.T @ slopes, -penalty * w, rtol=0, atol=2e-4 * penalty)


def test_objectives_of_a_path_are_the_binary_formulas(tensorflow):
    from tfphen.train.support_vectors import BINARY_LOSSES

    labels, scores = np.array([0, 0, 0, 1]), np.array([-1.0, 0.5, 2.0, 0.3])
    signs, share = 2 * labels - 1, np.where(labels == 1, 0.25, 0.75)
    found = BINARY_LOSSES["binary_vector_scaling"](labels, gamma=0.5, tau=1.5)
    delta, iota = (share / 0.75) ** 0.5, -1.5 * np.log(share)
    expected = np.logaddexp(0, iota - delta * signs * scores)
    np.testing.assert_allclose(found(tensorflow.constant(scores)), expected, rtol=1e-12)
    weighted = BINARY_LOSSES["inversely_weighted"](labels)(tensorflow.constant(scores))
    expected = np.logaddexp(0, -signs * scores) / (2 * share)
    np.testing.assert_allclose(weighted, expected, rtol=1e-12)


def test_path_goes_from_one_machine_to_the_other_by_factors_alone(tensorflow):
    path, ends = Path(decades=7), {}
    data = gaussians(counts=path.counts, dimensions=path.dimensions, mean=path.mean)
    for arm in ("logit_adjustment", "vector_scaling"):
        optimizer = Spec("ridge_path", factor=path.factor, decades=path.decades)
        found = solved("ridge_path", data, optimizer, objective=path.losses()[arm])
        ends[arm] = [
            found.reports[f"cosine_to_{name}_machine"][0] for name in ("plain", "sensitive")
        ]
    assert ends["logit_adjustment"][0][-1] > 0.99 > 0.97 > ends["logit_adjustment"][1][-1]
    assert ends["vector_scaling"][1][-1] > 0.99 > 0.97 > ends["vector_scaling"][0][-1]


def test_large_machines_are_at_the_limit():
    settings = {"count": 400, "mean": 2.0, "minority": 0.2}
    data = [
        gaussians(counts=(320, 80), dimensions=480, mean=2.0, generator_seed=seed)
        for seed in range(4)
    ]
    deltas = [1.0, 2.0, 4.0]
    optimizer = Spec("cost_sensitive", deltas=deltas)
    found = [solved("cost_sensitive", one, optimizer, {"mean": 2.0}).reports for one in data]
    limits = readings.mixture_limit(480 / settings["count"], 2.0, settings["minority"], deltas)
    for name, limit in zip(("minority_error", "majority_error"), limits, strict=True):
        mean = np.mean([reports[name][0] for reports in found], 0)
        np.testing.assert_allclose(mean, limit, atol=0.025)
    assert limits[0][0] > limits[1][0] + 0.1
    with pytest.raises(ValueError, match="sign"):
        readings.mixture_limit(0.05, 0.5, 0.2, deltas)


# ---- through the engine ------------------------------------------------------------------------


def test_initial_gradient_is_smaller_under_temperatures_by_the_formula(tensorflow, tmp_path):
    from tfphen import runner

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
