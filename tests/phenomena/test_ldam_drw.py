"""LDAM-DRW: the plan, the verdicts, the published protocol, and what records hold of each class."""

from types import SimpleNamespace

import numpy as np
import pytest

from tfphen import data, findings, plan, published
from tfphen.data import corrupt, long_tail_counts
from tfphen.data.dataset import Examples
from tfphen.errors import UsageError
from tfphen.phenomena import ldam_drw
from tfphen.phenomena.ldam_drw import ARMS, Config, LdamDrw
from tfphen.readings import ldam_drw as readings
from tfphen.train.seeds import stream

COUNTS = np.array([400, 258, 167, 108, 70, 45, 29, 19, 12, 8])
EVERYTHING = Config(balanced_count=112, max_count=400, seeds=4, seed=0)

# Recall of the rare half, recall of the frequent half, and slope of the margins over the ranks.
SHOWN = {
    "ce": (0.40, 0.90, 0.00),
    "ce_cosine": (0.38, 0.90, -0.01),
    "cb_rw": (0.48, 0.88, 0.00),
    "ce_drw": (0.44, 0.89, 0.00),
    "ldam": (0.45, 0.89, 0.03),
    "ldam_drw": (0.46, 0.89, 0.03),
    "ldam_drw_reversed": (0.34, 0.90, -0.03),
    "ce_other": (0.40, 0.90, 0.00),
    "ce_balanced": (0.80, 0.80, 0.00),
    "ldam_drw_balanced": (0.78, 0.78, 0.00),
}


def a_table(config, shown):
    """Records of a plan with made-up recalls and margins, as a table."""
    import pandas as pd

    rows = []
    for trial in LdamDrw().trials(config):
        seed, arm = trial.tags["seed"], trial.tags["arm"]
        rare, frequent, slope = shown[arm]
        noise = 0.004 * np.sin(7.0 * seed + len(arm))
        order = np.random.default_rng(seed).permutation(10)
        recalls = np.repeat([frequent, rare], 5) + noise
        # Not quite in order, so that no correlation is perfect.
        margins = 0.4 + slope * np.arange(10) + 0.01 * np.cos(np.arange(10) + seed)
        per_class = {
            "class_counts": COUNTS,
            "test_class_recall": recalls,
            "train_class_margin": margins,
            "class_margin": np.linspace(0.2, 0.5, 10),
        }
        per_class = {name: values[order] for name, values in per_class.items()}
        error = 1 - recalls.mean()
        curve = np.array([error + 0.1, error - 0.01, error])
        rows.append(
            {
                **trial.tags,
                **per_class,
                "test_balanced_error": error,
                "curve_test_balanced_error": curve,
            }
        )
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(shown, config=EVERYTHING):
    found = list(LdamDrw().findings(a_table(config, shown), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


# ---- verdicts ----------------------------------------------------------------------------------


def test_shown_and_with_silent_controls():
    by_id, verdict = verdicts(SHOWN)
    assert verdict == "present"
    assert list(by_id.values()).count("absent") == 5


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"ldam_drw": (0.40, 0.89, 0.03)}, "ldam_drw_beats_ce"),
        ({"ce_cosine": (0.47, 0.90, -0.01)}, "ldam_drw_beats_ce_cosine"),
        ({"ldam": (0.39, 0.90, 0.03)}, "ldam_beats_ce"),
        ({"ldam_drw": (0.39, 0.97, 0.03)}, "rare_classes_gain"),
        ({"ldam": (0.45, 0.89, -0.03)}, "ldam_margins_rise_with_rarity"),
    ],
)
def test_each_signature_can_be_absent(change, finding):
    by_id, _ = verdicts(SHOWN | change)
    assert by_id[finding] == "absent"


@pytest.mark.parametrize(
    ("change", "control"),
    [
        ({"ldam_drw_reversed": (0.46, 0.89, -0.03)}, "ldam_drw_reversed_beats_ce"),
        ({"ldam_drw_reversed": (0.34, 0.90, 0.03)}, "ldam_drw_reversed_margins_rise_with_rarity"),
        ({"ce_other": (0.45, 0.90, 0.0)}, "ce_other_beats_ce"),
        ({"ldam_drw_balanced": (0.85, 0.85, 0.0)}, "ldam_drw_balanced_beats_ce_balanced"),
        ({"ldam_drw": (0.46, 0.95, 0.03)}, "frequent_classes_gain"),
    ],
)
def test_a_control_that_answers_makes_all_inconclusive(change, control):
    by_id, verdict = verdicts(SHOWN | change)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_a_training_that_diverged_has_no_order_of_margins():
    config = EVERYTHING
    table = a_table(config, SHOWN)
    table["train_class_margin"] = [
        np.full(10, np.nan) if (arm, seed) == ("ldam", 0) else margins
        for arm, seed, margins in zip(table.arm, table.seed, table.train_class_margin, strict=True)
    ]
    found = {finding.id: finding for finding in LdamDrw().findings(table, config)}
    assert np.isnan(found["ldam_margins_rise_with_rarity"].estimate.value)
    assert found["ldam_margins_rise_with_rarity"].verdict == "inconclusive"


def test_classes_are_read_in_the_order_of_their_counts():
    import pandas as pd

    counts = [[3, 9, 5], [9, 9, 2]]
    values = [[30.0, 90.0, 50.0], [1.0, 2.0, 3.0]]
    columns = {"arm": "ce", "seed": [0, 1], "class_counts": counts, "margin": values}
    table = pd.DataFrame(columns)
    np.testing.assert_array_equal(
        readings.by_rank(table, "ce", "margin"), [[90, 50, 30], [1, 2, 3]]
    )


# ---- the plan ----------------------------------------------------------------------------------


def test_one_population_for_each_loss():
    groups = plan.groups(LdamDrw().trials(EVERYTHING))
    assert len(groups) == 7
    together = [{trial.tags["arm"] for trial in group.trials} for group in groups]
    assert {"ce", "ce_other", "ce_balanced"} in together
    assert {"ldam_drw", "ldam_drw_balanced"} in together
    assert sum(len(group.trials) for group in groups) == len(ARMS) * EVERYTHING.seeds


def test_what_arms_minimise():
    config = Config(balanced_count=112, max_margin=0.4, scale=20.0, beta=0.99, deferral=0.7)
    objectives = {t.tags["arm"]: t.objective for t in LdamDrw().trials(config)}
    heads = {t.tags["arm"]: t.model.settings.get("head") for t in LdamDrw().trials(config)}
    assert [arm for arm, head in heads.items() if head == "cosine"] == [
        arm for arm, objective in objectives.items() if objective.name == "ldam"
    ]
    assert objectives["ce"] == objectives["ce_other"] == objectives["ce_balanced"]
    assert not objectives["ce"].settings
    assert objectives["ce_cosine"].settings["max_margin"] == 0.0
    assert objectives["ldam"].settings["max_margin"] == 0.4
    assert {objectives[arm].settings["scale"] for arm in ("ce_cosine", "ldam_drw")} == {20.0}
    for arm, start in (("cb_rw", 0.0), ("ce_drw", 0.7), ("ldam_drw", 0.7)):
        weighting = objectives[arm].settings["weighting"]
        assert (weighting["start"], weighting["beta"]) == (start, 0.99)
        # The weighted mean of PyTorch: the step does not shrink with the weights.
        assert weighting["divide_by"] == "weights"
    reversed_ = objectives["ldam_drw_reversed"].settings
    assert reversed_["counts"] == reversed_["weighting"]["counts"] == "reversed"


def examples(trial):
    return data.resolve(trial.data, trial.seed_of)


def of_arm(config, arm):
    return [trial for trial in LdamDrw().trials(config) if trial.tags["arm"] == arm]


REVERSED = ("ce", "ldam_drw", "ldam_drw_reversed")
SMALL_DATA = {
    "arms": ("ce", "ldam_drw", "ce_other"),
    "options": {"train_per_class": 40, "test_per_class": 5},
    "max_count": 40,
    "ratio": 10.0,
    "seeds": 2,
    "seed": 3,
}


def test_initial_weights_vary_while_the_subset_stays():
    config = Config(**SMALL_DATA, redraw=False, subset_seed=7)
    first, second = of_arm(config, "ce")
    assert first.seed_of("init") != second.seed_of("init")
    np.testing.assert_array_equal(examples(first).train_inputs, examples(second).train_inputs)


def test_the_subset_varies_with_the_seed_where_it_has_none_of_its_own():
    config = Config(**SMALL_DATA, redraw=False)
    first, second = map(examples, of_arm(config, "ce"))
    assert first.train_inputs.shape == second.train_inputs.shape
    assert not np.array_equal(first.train_inputs, second.train_inputs)
    np.testing.assert_array_equal(first.test_inputs, second.test_inputs)


def test_the_control_with_other_weights_sees_the_same_examples():
    config = Config(**SMALL_DATA)
    for one, other in zip(of_arm(config, "ce"), of_arm(config, "ce_other"), strict=True):
        assert one.seed_of("init") != other.seed_of("init")
        assert one.seed_of("order") != other.seed_of("order")
        np.testing.assert_array_equal(examples(one).train_inputs, examples(other).train_inputs)
        np.testing.assert_array_equal(examples(one).train_labels, examples(other).train_labels)


def test_settings_that_do_not_exist():
    with pytest.raises(UsageError, match="`arms` are of ce, ce_cosine"):
        Config(arms=("ce", "ldam_drw", "focal"))
    with pytest.raises(UsageError, match="ce and ldam_drw among them"):
        Config(arms=("ce", "ldam"))
    with pytest.raises(UsageError, match="holds both ce_balanced and ldam_drw_balanced"):
        Config(arms=("ce", "ldam_drw", "ce_balanced"))
    for deferral in (0.0, 1.0):
        with pytest.raises(UsageError, match=r"`deferral`.*Received: deferral="):
            Config(deferral=deferral)
    with pytest.raises(UsageError, match=r"`fractions` are shares.*Received"):
        Config(imbalance="class_fractions", fractions=(0.0, 1.0))


# ---- the published protocol --------------------------------------------------------------------

TOTALS = {
    "cifar10_lt100": 12406,
    "cifar10_lt10": 20431,
    "cifar10_step100": 25250,
    "cifar10_step10": 27500,
    "cifar100_lt100": 10847,
    "cifar100_lt10": 19573,
    "cifar100_step100": 25250,
    "cifar100_step10": 27500,
}


@pytest.mark.parametrize("experiment", TOTALS)
def test_counts_are_those_of_the_published_code(experiment):
    config = LdamDrw.configure("paper", experiment)
    classes, largest = (10, 5000) if "cifar10_" in experiment else (100, 500)
    assert (config.data, config.max_count) == (f"cifar{classes}", largest)
    factor = 1 / config.ratio
    if "_lt" in experiment:
        expected = [int(largest * factor ** (i / (classes - 1.0))) for i in range(classes)]
    else:
        expected = [largest] * (classes // 2) + [int(largest * factor)] * (classes // 2)
    assert sum(expected) == TOTALS[experiment]
    # As many images as CIFAR has, of one pixel each.
    labels = np.repeat(np.arange(classes, dtype="int32"), largest)
    whole = Examples(np.zeros((len(labels), 1), "float32"), labels, classes)
    (imbalance,) = next(LdamDrw().trials(config)).data.corruptions
    kept = corrupt(imbalance, whole, stream(0, imbalance.name))
    assert np.bincount(kept.labels).tolist() == expected


def test_rate_and_weights_by_epoch(tensorflow):
    from tfphen.train.schedules import SCHEDULES

    config = LdamDrw.configure("paper", "cifar10_lt100")
    per_epoch = -(-12406 // config.batch_size)
    total = tensorflow.constant(float(config.epochs * per_epoch))
    trial = next(LdamDrw().trials(config))

    def factor(epoch, step):
        """Of an update of an epoch, counted from 1 as in the published code."""
        number = tensorflow.constant(float((epoch - 1) * per_epoch + step))
        schedule = SCHEDULES[trial.schedule.name]
        return float(schedule(number, total, **trial.schedule.settings))

    expected = {1: 0.2, 2: 0.4, 3: 0.6, 4: 0.8, 5: 1.0, 6: 1.0, 160: 1.0}
    expected |= {161: 0.01, 180: 0.01, 181: 1e-4, 200: 1e-4}
    for epoch, value in expected.items():
        for step in (0, per_epoch - 1):
            assert factor(epoch, step) == pytest.approx(value, rel=1e-5), (epoch, step)
    assert config.deferral * config.epochs == 160
    assert config.optimizer_settings == {
        "learning_rate": 0.1,
        "momentum": 0.9,
        "weight_decay": 2e-4,
        "coupled": True,
    }
    assert set(config.curve) == {per_epoch * epoch for epoch in range(160, 200, 5)}


def test_published_numbers_find_ours():
    config = LdamDrw.configure("paper", "cifar10_lt100", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN)
    numbers = {
        (number.setting["arm"], number.metric): number
        for number in published.load("ldam_drw")
        if number.experiment == "cifar10_lt100"
    }
    phenomenon = LdamDrw()
    ours, baseline = phenomenon.reproductions(table, config, numbers["ldam_drw", "test error, %"])
    assert ours.value == pytest.approx(32.5, abs=1) and ours.n == 3
    assert baseline.value == pytest.approx(35, abs=1)
    ours, _ = phenomenon.reproductions(table, config, numbers["ldam_drw", "test accuracy, %"])
    assert ours.value == pytest.approx(67.5, abs=1)
    assert phenomenon.reproductions(table, config, numbers["focal", "test error, %"]) is None


def test_errors_of_the_reviews():
    import pandas as pd

    config = LdamDrw.configure("paper", "imdb", {"seeds": 2, "seed": 0})
    rows = []
    for trial in LdamDrw().trials(config):
        (kept,) = trial.data.corruptions
        assert kept.name == "class_fractions" and tuple(kept.settings["fractions"]) == (0.1, 1.0)
        assert trial.seed_of("class_fractions") == 0
        recalls = np.array([0.3, 0.97])
        rows.append(
            {
                **trial.tags,
                "class_counts": np.array([1250, 12500]),
                "test_class_recall": recalls,
                "test_balanced_error": 1 - recalls.mean(),
            }
        )
    table = pd.DataFrame(rows)
    found = {}
    for number in published.load("ldam_drw"):
        if number.experiment == "imdb" and number.setting["arm"] == "ce":
            ours, _ = LdamDrw().reproductions(table, config, number)
            found[number.setting.get("reviews")] = ours.value
    assert found == pytest.approx({"positive": 3.0, "negative": 70.0, None: 36.5})
    # Two classes have no order, and the others of the findings are there.
    ids = {finding.id for finding in LdamDrw().findings(table, config)}
    assert ids == {
        "ldam_drw_beats_ce",
        "ldam_drw_beats_ce_cosine",
        "ldam_beats_ce",
        "rare_classes_gain",
        "frequent_classes_gain",
        "ldam_drw_reversed_beats_ce",
    }


def test_published_numbers_are_whole():
    numbers = published.load("ldam_drw")
    of_paper = [n for n in numbers if n.experiment in TOTALS and "1906.07413v2" in n.source]
    table_2 = [n for n in of_paper if n.source.endswith("Table 2")]
    assert len(table_2) == 8 * 8 + 2 * 4
    assert {n.provenance for n in numbers} == {"read"}
    error = {(n.experiment, n.setting["arm"]): n.value for n in of_paper}
    assert error["cifar10_step100", "ldam_drw"] == 23.08
    assert error["cifar100_step100", "cb_rw"] == 78.69
    assert error["cifar10_lt100", "ce_drw"] == 25.14
    rerun = {n.experiment: n for n in numbers if n.id.startswith("ddc_ldam_drw")}
    assert (rerun["cifar10_step100"].value, rerun["cifar10_step100"].spread) == (78.27, 0.44)
    assert rerun["cifar10_step100"].baseline == 64.81


def test_figure():
    from matplotlib.figure import Figure

    for config in (EVERYTHING, LdamDrw.configure("paper", "cifar10_lt100", {"seeds": 2})):
        figure = Figure(layout="constrained")
        LdamDrw().figure(a_table(config, SHOWN), config, figure)
        assert len(figure.axes) == 3
        labels = [text.get_text() for text in figure.axes[2].get_yticklabels()]
        assert len(labels) == len(config.arms) and "LDAM-DRW" in labels
        crosses = [line for line in figure.axes[2].lines if line.get_marker() == "x"]
        assert len(crosses) == (len(config.arms) if config.curve else 0)


# ---- measures ----------------------------------------------------------------------------------


def test_training_margins_of_classes():
    logits = np.array([[[3.0, 1.0, 0.5], [0.0, 1.0, 2.0], [0.2, 0.0, 0.1], [9.0, 0.0, 0.0]]])
    # The last row is padding.
    trained = SimpleNamespace(
        logits=lambda split: logits,
        labels=lambda split: np.array([[0, 1, 0, 0]]),
        class_counts=np.array([[2, 1, 0]]),
    )
    with np.errstate(invalid="ignore"):
        found = ldam_drw._train_margins(trained)
    np.testing.assert_allclose(found, [[(2.0 + 0.1) / 2, -1.0, np.nan]])
    assert logits[0, 0, 0] == 3.0


def test_reversed_counts_reverse_margins_and_weights():
    from tfphen.losses import effective_number_weights
    from tfphen.losses.margins import ldam_margins

    counts = np.array([5, 400, 20, 70])
    (trial,) = of_arm(Config(**SMALL_DATA | {"seeds": 1, "arms": tuple(REVERSED)}), REVERSED[2])
    found = {
        measure.name: measure.function(SimpleNamespace(trials=(trial,), class_counts=counts[None]))
        for measure in LdamDrw.measures
        if measure.name in ("class_margin", "class_weight")
    }
    other = np.array([400, 5, 70, 20])
    np.testing.assert_allclose(found["class_margin"], [ldam_margins(other)])
    np.testing.assert_allclose(found["class_weight"], [effective_number_weights(other)])


# ---- through the engine ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(tensorflow, tmp_path_factory):
    """Three populations on a small mixture, 25 updates each: records by arm and seed."""
    from tfphen import runner

    config = Config(
        arms=("ce", "ce_drw", "ldam_drw"),
        options={"train_per_class": 20, "test_per_class": 10},
        ratio=10.0,
        max_count=20,
        model_settings={"hidden_units": (16,)},
        optimizer_settings={"learning_rate": 0.05, "momentum": 0.9},
        batch_size=16,
        epochs=5,
        deferral=0.6,
        curve=(15,),
        seed=0,
    )
    trials = list(LdamDrw().trials(config))
    known = runner.run(LdamDrw(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags["arm"], t.seed): known[t.id] for t in trials}


def test_records_hold_what_the_loss_asks_of_each_class(ran):
    from tfphen.losses import effective_number_weights
    from tfphen.losses.margins import ldam_margins

    for (arm, _), record in ran.items():
        counts = record.arrays["class_counts"]
        assert sorted(counts, reverse=True) == long_tail_counts(20, 10, 10).tolist()
        margins, weights = np.zeros(10), np.ones(10)
        if arm == "ldam_drw":
            margins = ldam_margins(counts)
            assert (abs(record.arrays["train_class_margin"]) <= 2).all()
        if arm != "ce":
            weights = effective_number_weights(counts, 0.9999)
        np.testing.assert_allclose(record.arrays["class_margin"], margins)
        np.testing.assert_allclose(record.arrays["class_weight"], weights)
        recalls = record.arrays["test_class_recall"]
        assert record.values["test_balanced_error"] == pytest.approx(1 - recalls.mean())
        wrong = counts @ (1 - record.arrays["train_class_recall"]) / counts.sum()
        assert record.values["train_error"] == pytest.approx(wrong)


def test_deferred_weights_change_nothing_before_their_time(ran):
    from tfphen.losses import effective_number_weights

    for seed in (0, 1):
        plain, deferred = ran["ce", seed].arrays, ran["ce_drw", seed].arrays
        assert plain["curve_step"].tolist() == [15, 25]
        errors = [arrays["curve_test_balanced_error"][0] for arrays in (plain, deferred)]
        assert errors[0] == errors[1]
        moved = deferred["train_class_margin"] - plain["train_class_margin"]
        # Afterwards rare classes move away from the others.
        rarity = effective_number_weights(plain["class_counts"], 0.9999)
        assert np.corrcoef(rarity, moved)[0, 1] > 0.5
