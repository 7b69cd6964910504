"""LDAM-DRW: the plan, the published protocol, and per-class measures."""

from types import SimpleNamespace

import numpy as np
import pytest

from tfphen import data
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.data import corrupt, long_tail_counts
from tfphen.data.dataset import Examples
from tfphen.experiment import plan
from tfphen.phenomena.ldam_drw.phenomenon import LdamDrw
from tfphen.phenomena.ldam_drw.trials import ARMS, Config

from .ldam_drw_tables import EVERYTHING, TOTALS

# ---- the plan ----------------------------------------------------------------------------------


def test_one_population_per_loss():
    groups = plan.groups(LdamDrw().trials(EVERYTHING))
    assert len(groups) == 7
    together = [{trial.tags["arm"] for trial in group.trials} for group in groups]
    assert {"ce", "ce_other", "ce_balanced"} in together
    assert {"ldam_drw", "ldam_drw_balanced"} in together
    assert sum(len(group.trials) for group in groups) == len(ARMS) * EVERYTHING.seeds


def test_objectives_of_arms():
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


def test_invalid_settings_are_rejected():
    with pytest.raises(UsageError, match="`arms` must be among ce, ce_cosine"):
        Config(arms=("ce", "ldam_drw", "focal"))
    with pytest.raises(UsageError, match="include ce and ldam_drw"):
        Config(arms=("ce", "ldam"))
    with pytest.raises(UsageError, match="include both ce_balanced and ldam_drw_balanced"):
        Config(arms=("ce", "ldam_drw", "ce_balanced"))
    for deferral in (0.0, 1.0):
        with pytest.raises(UsageError, match=r"`deferral`.*Received: deferral="):
            Config(deferral=deferral)
    with pytest.raises(UsageError, match=r"`fractions` are shares.*Received"):
        Config(imbalance="class_fractions", fractions=(0.0, 1.0))


# ---- the published protocol --------------------------------------------------------------------


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


# ---- measures ----------------------------------------------------------------------------------


def test_training_margins_of_classes():
    from tfphen.phenomena.ldam_drw.measures import train_margins

    logits = np.array([[[3.0, 1.0, 0.5], [0.0, 1.0, 2.0], [0.2, 0.0, 0.1], [9.0, 0.0, 0.0]]])
    # The last row is padding.
    trained = SimpleNamespace(
        logits=lambda split: logits,
        labels=lambda split: np.array([[0, 1, 0, 0]]),
        class_counts=np.array([[2, 1, 0]]),
    )
    with np.errstate(invalid="ignore"):
        measured = train_margins(trained)
    np.testing.assert_allclose(measured, [[(2.0 + 0.1) / 2, -1.0, np.nan]])
    assert logits[0, 0, 0] == 3.0


def test_reversed_counts_reverse_margins_and_weights():
    from tfphen.losses import effective_number_weights
    from tfphen.losses.margins import ldam_margins

    counts = np.array([5, 400, 20, 70])
    (trial,) = of_arm(Config(**SMALL_DATA | {"seeds": 1, "arms": tuple(REVERSED)}), REVERSED[2])
    measured = {
        measure.name: measure(SimpleNamespace(trials=(trial,), class_counts=counts[None]))
        for measure in LdamDrw.measures
        if measure.name in ("class_margin", "class_weight")
    }
    other = np.array([400, 5, 70, 20])
    np.testing.assert_allclose(measured["class_margin"], [ldam_margins(other)])
    np.testing.assert_allclose(measured["class_weight"], [effective_number_weights(other)])


# ---- through the engine ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(tensorflow, tmp_path_factory):
    """Three populations on a small mixture, 25 updates each: records by arm and seed."""
    from tfphen.experiment import runner

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
    records = runner.run(LdamDrw(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags["arm"], t.seed): records[t.id] for t in trials}


def test_records_hold_margins_and_weights_of_the_loss(ran):
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


def test_deferred_weights_change_nothing_before_they_start(ran):
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
