"""Feature deviation and CDT: the plan, the verdicts, their null, and what is measured."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

from tfphen import findings, plan, published
from tfphen.errors import UsageError
from tfphen.phenomena.feature_deviation_cdt import Config, FeatureDeviationCDT
from tfphen.readings import feature_deviation_cdt as readings

SMALL = FeatureDeviationCDT.configure("small", None, {"seeds": 16, "seed": 0})
PAPER = ("cifar10_lt100", "cifar10_step100", "cifar100_lt100")
COUNTS = np.array([200, 139, 97, 68, 47, 33, 23, 16, 11, 8])
RARITY = np.linspace(0.0, 1.0, 10)

# What falls (recall, training recall) or grows (deviation) from the most frequent class to the
# rarest, by arm. Whatever is not listed is the same for all classes but for noise.
SHOWN = {
    ("cross_entropy", "test_class_recall"): 0.6,
    ("cdt_0.3", "test_class_recall"): 0.2,
    ("cdt_0.3", "test_class_recall_with_temperatures"): 0.6,
    ("reversed", "test_class_recall"): 0.8,
    ("linear", "train_class_recall"): 0.5,
    ("cross_entropy", "deviation"): 2.0,
    ("cross_entropy", "decision_value_test"): 1.0,
    ("cdt_0.3", "decision_value_test"): 0.5,
    ("reversed", "decision_value_test"): 1.5,
}
EXACT = ("train_class_recall",)


def a_table(config, shown):
    """Records of a plan with made-up measurements, as a table."""
    import pandas as pd

    rows = []
    for trial in FeatureDeviationCDT().trials(config):
        arm, seed = trial.tags["arm"], trial.tags["seed"]
        generator = np.random.default_rng([seed, len(arm)])
        rank = np.random.default_rng(seed).permutation(10)

        def measured(column, sign, level, arm=arm, generator=generator, rank=rank):
            noise = 0.0 if column in EXACT else 0.02 * generator.normal(size=10)
            return level + sign * shown.get((arm, column), 0.0) * RARITY[rank] + noise

        def before_and_after(start, end):
            return np.stack([start, end])

        counts = COUNTS[rank] if arm != "balanced" else np.full(10, 64)
        start = measured("nothing", 1, 1.0)
        deviation = [measured("deviation", 1, 1.0) for _ in range(3)]
        row = {
            **trial.tags,
            "class_counts": counts,
            "train_class_recall": measured("train_class_recall", -1, 1.0),
            "test_class_recall": measured("test_class_recall", -1, 0.9),
            "curve_decision_value_train": before_and_after(start, measured("nothing", 1, 2.0)),
            "curve_decision_value_test": before_and_after(
                measured("nothing", 1, 1.0), measured("decision_value_test", -1, 2.0)
            ),
            f"curve_deviation_over_{config.subset_size}": before_and_after(
                np.stack([generator.normal(size=10) for _ in range(3)]), np.stack(deviation)
            ),
        }
        if arm.startswith("cdt"):
            name = "test_class_recall_with_temperatures"
            row[name] = measured(name, -1, 0.9)
        rows.append(row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(shown, config=SMALL):
    found = list(FeatureDeviationCDT().findings(a_table(config, shown), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


# ---- verdicts ----------------------------------------------------------------------------------


def test_shown_and_with_silent_controls():
    by_id, verdict = verdicts(SHOWN)
    assert verdict == "present", by_id
    assert by_id["feature_distance_grows_with_rarity_trained"] == "present"
    assert by_id["feature_distance_grows_with_rarity_untrained"] == "absent"
    assert by_id["rare_recall_gained_with_temperatures"] == "absent"
    assert len(by_id) == 21


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({("cross_entropy", "train_class_recall"): 0.3}, "network_fits_every_class"),
        ({("linear", "train_class_recall"): 0.15}, "rare_classes_under_fitted_linear"),
        (
            {("cross_entropy", "test_class_recall"): -0.2},
            "recall_falls_with_rarity_cross_entropy",
        ),
        ({("cross_entropy", "deviation"): -1.0}, "squared_deviation_grows_with_rarity_trained"),
        ({("cross_entropy", "deviation"): 0.0}, "feature_distance_grows_with_rarity_trained"),
        (
            {("cross_entropy", "decision_value_test"): 0.0},
            "test_decision_values_fall_with_rarity_trained",
        ),
        ({("cdt_0.3", "test_class_recall"): 0.7}, "balanced_accuracy_gained_by_cdt"),
        ({("cdt_0.3", "test_class_recall"): 0.58}, "rare_recall_gained"),
        ({("cdt_0.3", "decision_value_test"): 1.2}, "rare_decision_values_raised_by_cdt"),
    ],
)
def test_each_signature_can_be_absent(change, finding):
    by_id, verdict = verdicts(SHOWN | change)
    assert by_id[finding] == "absent"
    assert verdict == "absent"


@pytest.mark.parametrize(
    ("change", "control"),
    [
        ({("linear", "train_class_recall"): 0.0}, "linear_model_fits_every_class"),
        (
            {("network_beside_linear", "train_class_recall"): 0.5},
            "rare_classes_under_fitted_network_beside_linear",
        ),
        ({("balanced", "test_class_recall"): 0.6}, "recall_falls_with_rarity_balanced"),
        ({("balanced", "deviation"): 2.0}, "feature_distance_grows_with_rarity_balanced"),
        ({("balanced", "deviation"): 2.0}, "squared_deviation_grows_with_rarity_balanced"),
        (
            {("balanced", "decision_value_test"): 1.0},
            "test_decision_values_fall_with_rarity_balanced",
        ),
        (
            {("reversed", "test_class_recall"): 0.3},
            "balanced_accuracy_gained_with_counts_reversed",
        ),
        (
            {("reversed", "decision_value_test"): 0.3},
            "rare_decision_values_raised_with_counts_reversed",
        ),
        (
            {("cdt_0.3", "test_class_recall_with_temperatures"): 0.3},
            "rare_recall_gained_with_temperatures",
        ),
    ],
)
def test_a_control_that_answers_makes_all_inconclusive(change, control):
    by_id, verdict = verdicts(SHOWN | change)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_a_network_that_diverged_gives_no_verdict():
    table = a_table(SMALL, SHOWN)
    rows = table.index[table.arm == "cross_entropy"]
    table.at[rows[0], "curve_deviation_over_8"] = np.full((2, 3, 10), np.nan)
    found = {finding.id: finding for finding in FeatureDeviationCDT().findings(table, SMALL)}
    assert found["feature_distance_grows_with_rarity_trained"].verdict == "inconclusive"
    assert found["recall_falls_with_rarity_cross_entropy"].verdict == "present"


# ---- the null ----------------------------------------------------------------------------------


def test_the_null_has_each_order_as_often():
    counts, values = np.array([[9, 5, 2]]), np.array([[0.1, 0.5, 0.3]])
    orders = [spearmanr(order, values[0])[0] for order in itertools.permutations(counts[0])]
    null = readings.permutation_null(counts, values, 6000)
    for value in set(np.round(orders, 9)):
        share = np.isclose(orders, value).mean()
        error = np.sqrt(share * (1 - share) / 6000)
        assert np.isclose(null, value).mean() == pytest.approx(share, abs=4 * error)


def test_p_value_of_a_perfect_order():
    """Of one order of four classes, two of 24 are as extreme; of three such, 2 of 24 cubed."""
    import pandas as pd

    row = {"class_counts": COUNTS[:4], "test_class_recall": np.array([0.9, 0.7, 0.6, 0.2])}
    table = pd.DataFrame([{"arm": "cross_entropy", "seed": s, **row} for s in range(3)])
    found = readings.correlation(table[:1], "cross_entropy", "test_class_recall")
    assert found.estimate.value == pytest.approx(1.0)
    assert found.p_value == pytest.approx(2 / 24, abs=0.012)
    assert "p = 0.08" in found.note and "9999" in found.note
    found = readings.correlation(table, "cross_entropy", "test_class_recall")
    assert found.p_value < 0.001


def test_correlations_are_spearmans_with_shared_ranks_for_steps():
    counts = np.array([[50, 5, 50, 5], [50, 50, 5, 5]])
    values = np.array([[0.1, 0.3, 0.2, 0.4], [0.2, 0.1, 0.2, 0.7]])
    found = (readings.normalised_ranks(counts) * readings.normalised_ranks(values)).sum(1)
    expected = [spearmanr(*pair)[0] for pair in zip(counts, values, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.isnan(readings.normalised_ranks(np.ones((1, 4)))).all()


def test_the_rarer_half():
    rare = readings.rarer_half(np.array([[8, 200, 16, 70, 33], [5, 50, 50, 50, 5]]))
    assert rare.tolist() == [
        [True, False, True, False, False],
        [True, False, False, False, True],
    ]


# ---- plan and settings -------------------------------------------------------------------------


def test_one_population_for_each_loss_and_model():
    groups = plan.groups(FeatureDeviationCDT().trials(SMALL))
    arms = [{trial.tags["arm"] for trial in group.trials} for group in groups]
    gammas = [{f"cdt_{gamma:g}"} for gamma in SMALL.gammas]
    beside = [{"reversed"}, {"network_beside_linear"}, {"linear"}]
    assert sorted(map(sorted, arms)) == sorted(
        map(sorted, [{"cross_entropy", "balanced"}, *gammas, *beside])
    )
    assert sum(len(group.trials) for group in groups) == SMALL.seeds * 9


def test_arms_differ_in_nothing_but_what_they_compare():
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
    assert {readings.arm_of(gamma) for gamma in config.gammas} <= {t.tags["arm"] for t in trials}
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
        ({"gammas": (0.1,)}, r"`gammas` are .* with `gamma` among them.*Received: gammas=\[0.1\]"),
        ({"gammas": (0.0, 0.3)}, "`gammas` are above 0"),
        ({"max_count": None}, "`max_count` and `balanced_count`.*Received: max_count=None"),
        ({"subset_size": 7}, "`subset_size` is one of.*Received: subset_size=7"),
        ({"subset_size": 16}, "size of the smallest class, 8.*Received: subset_size=16"),
    ],
)
def test_settings_that_do_not_exist(settings, message):
    good = {"max_count": 200, "balanced_count": 64, "ratio": 25.0}
    Config(**good)
    with pytest.raises(UsageError, match=message):
        Config(**{**good, **settings})


def test_published_numbers_find_ours():
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
        # The arms at 0.1, 0.2 and 0.4 are made up to have .9 throughout, that at 0.3 less.
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


# ---- measures ----------------------------------------------------------------------------------


def a_view(seed=0):
    """Two members, of which the second has padding behind its own training examples."""
    from tfphen.train.trained import Trained

    generator = np.random.default_rng(seed)
    labels = np.array([[0] * 6 + [1] * 4 + [2] * 2, [2] * 5 + [0] * 3 + [1] * 2 + [1] * 2])
    test_labels = np.tile(np.repeat([0, 1, 2], 5), (2, 1))
    logits = {split: generator.normal(size=(2, n, 3)) for split, n in (("train", 12), ("test", 15))}
    features = {
        split: generator.normal(size=(2, n, 4)) for split, n in (("train", 12), ("test", 15))
    }
    splits = {
        "train": (features["train"], None, {"labels": labels}),
        "test": (features["test"], None, {"labels": test_labels}),
    }
    trials = [SimpleNamespace(objective=SimpleNamespace(settings={"gamma": 0.5}))] * 2

    def predictor(pool, rows, layers=()):
        outputs = logits["train" if pool is features["train"] else "test"]
        return (outputs, {"features": pool}) if layers else outputs

    counts = np.array([[6, 4, 2], [3, 2, 5]])
    view = Trained(predictor, splits, 3, [12, 10], None, class_counts=counts, trials=trials)
    return view, logits, features, labels, test_labels


def measure(name, view):
    kind = FeatureDeviationCDT
    (found,) = [m for m in (*kind.measures, *kind.curve_measures) if m.name == name]
    return found.function(view)


def test_decision_values():
    view, logits, _, labels, test_labels = a_view()
    for split, wanted in (("train", labels), ("test", test_labels)):
        found = measure(f"decision_value_{split}", view)
        for member, size in enumerate((12, 10)):
            size = size if split == "train" else 15
            centred = logits[split][member] - logits[split][member].mean(-1, keepdims=True)
            test = logits["test"][member]
            scale = (test - test.mean(-1, keepdims=True)).std()
            for c in range(3):
                rows = [i for i in range(size) if wanted[member, i] == c]
                expected = centred[rows, c].mean() / scale
                assert found[member, c] == pytest.approx(expected, rel=1e-9)


def test_deviations_leave_out_padding_and_have_no_scale():
    from tfphen.metrics import feature_deviation

    small = FeatureDeviationCDT.curve_measures
    assert "deviation_over_4" in [m.name for m in small]
    view, _, features, labels, test_labels = a_view()
    from tfphen.phenomena import feature_deviation_cdt

    function = feature_deviation_cdt._deviation(2).function
    found = function(view)
    assert found.shape == (2, 3, 3)
    own = features["train"][1][:10], labels[1][:10]
    test = features["test"][1], test_labels[1]
    expected = feature_deviation(*own, *test, 2)
    np.testing.assert_allclose(found[1, 0], expected.distance / np.sqrt(expected.scale), rtol=1e-9)
    np.testing.assert_allclose(found[1, 1], expected.squared_deviation / expected.scale, rtol=1e-9)
    for c in range(3):
        gap = own[0][own[1] == c].mean(0) - test[0][test[1] == c].mean(0)
        of_all = np.linalg.norm(gap) / np.sqrt(expected.scale)
        assert found[1, 2, c] == pytest.approx(of_all, rel=1e-9)
    for split in features:
        features[split] *= -7.0
    np.testing.assert_allclose(function(a_view()[0]), found, rtol=1e-9)
    features["train"][0, 0] = np.nan
    again = function(view)
    assert np.isnan(again[0]).all() and np.isfinite(again[1]).all()


def test_temperatures_at_prediction():
    view, logits, _, _, test_labels = a_view()
    found = measure("test_class_recall_with_temperatures", view)
    for member, counts in enumerate(([6, 4, 2], [3, 2, 5])):
        divided = logits["test"][member] * (np.array(counts) / max(counts)) ** 0.5
        right = divided.argmax(-1) == test_labels[member]
        expected = [right[test_labels[member] == c].mean() for c in range(3)]
        np.testing.assert_allclose(found[member], expected)
        assert (divided.argmax(-1) != logits["test"][member].argmax(-1)).any()


@pytest.fixture(scope="module")
def ran(tensorflow, tmp_path_factory):
    """Two populations on a few examples: records by arm and seed."""
    from tfphen import runner

    overrides = {"gammas": [0.3], "linear_options": {}, "seed": 0, "epochs": 8.0}
    config = FeatureDeviationCDT.configure("smoke", None, overrides)
    arms = ("cross_entropy", "balanced", "cdt_0.3")
    trials = [t for t in FeatureDeviationCDT().trials(config) if t.tags["arm"] in arms]
    known = runner.run(FeatureDeviationCDT(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags["arm"], t.seed): known[t.id].arrays for t in trials}


def test_arms_start_alike_and_differ_in_the_loss(ran):
    for seed in (0, 1):
        plain, cdt = ran["cross_entropy", seed], ran["cdt_0.3", seed]
        np.testing.assert_array_equal(plain["class_counts"], cdt["class_counts"])
        assert sorted(plain["class_counts"])[::9] == [8, 60]
        assert (ran["balanced", seed]["class_counts"] == 20).all()
        for name in ("deviation_over_8", "decision_value_test"):
            start, end = zip(plain[f"curve_{name}"], cdt[f"curve_{name}"], strict=True)
            np.testing.assert_allclose(*start, rtol=1e-4, atol=1e-5)
            assert abs(end[0] - end[1]).max() > 1e-3
    assert (
        ran["cross_entropy", 0]["class_counts"] != ran["cross_entropy", 1]["class_counts"]
    ).any()
