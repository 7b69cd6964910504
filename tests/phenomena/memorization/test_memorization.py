"""Memorization: grid, verdicts, and what the measures see of the trainings they are about."""

import dataclasses
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec
from tfphen.experiment import plan
from tfphen.measures.basic import Measure
from tfphen.phenomena.memorization.phenomenon import Memorization
from tfphen.phenomena.memorization.trials import DATA, Config
from tfphen.verdicts import findings, published

EVERYTHING = Config(
    runs=30,
    epochs=20,
    curve_epochs=(2, 5, 10),
    replayed_steps=12,
    decays=(0.0, 5.0, 15.0, 20.0),
    decay_steps=(1000, 500, 500, 500),
    decay_curve=(40, 200),
    seeds=4,
    seed=0,
)

# Measurements that make every signature present, by name; tests change one of them.
PRESENT = {
    "spread of real": 0.45,
    "spread of randX_again": 0.02,
    "end of noisy": 0.70,
    "end of real": 0.96,
    "end of real_dropout": 0.962,
    "first fit of flipped": 0.02,
    "last fit of flipped": 0.99,
    "critical real": 0.05,
    "critical real_again": 0.06,
    "critical randY": 0.95,
    "critical randX": 0.60,
    "misfit of randY_dropout": 0.25,
    "misfit of randY_again": 0.0,
    "power of real": 4.0,
    "power of randX_again": 1.0,
    "fit of flipped 0": 0.95,
    "fit of flipped 15": 0.01,
    "test 15": 0.99,
    "early fit 15": 0.96,
    "early test 15": 0.005,
}


def a_row(trial, values, generator):
    """The record of a trial with made-up measurements, as a row."""
    tags, noise = trial.tags, 0.004 * generator.standard_normal(8)
    arm, row = tags["arm"], dict(tags)
    if tags["study"] == "short":
        spread = values.get(f"spread of {arm}", 0.02)
        chances = 0.5 + spread * np.sign(np.arange(400) - 199.5)
        row["train_wrong"] = generator.random(400) > chances
    elif tags["study"] == "long":
        row["train_error"] = values.get(f"misfit of {arm}", 0.0) + noise[0]
        row["validation_error"] = 1 - values.get(f"end of {arm}", 0.5) + noise[1]
        row["curve_step"] = np.asarray(trial.curve)
        row["curve_validation_error"] = np.r_[0.3, 0.05, 0.1, row["validation_error"]] + noise[:4]
        row["curve_train_error"] = np.r_[0.6, 0.4, 0.2, row["train_error"]]
        row["curve_clean_fit"] = np.r_[0.8, 0.97, 0.99, 1.0] + noise[4:]
        ends = values["first fit of flipped"], values["last fit of flipped"]
        row["curve_flipped_fit"] = np.r_[0.1, ends[0], 0.4, ends[1]]
        critical = values.get(f"critical {arm}", 0.5) + noise[5]
        row["curve_critical_sample_ratio"] = np.r_[critical / 2, np.nan, np.nan, critical]
    elif tags["study"] == "replayed":
        power = values.get(f"power of {arm}", 1.0) + noise[0]
        row["loss_sensitivity"] = np.linspace(0.02, 1, 50) ** power
    else:
        test, fit = values.get(f"test {arm}", 0.9), values.get(f"fit of flipped {arm}", 0.5)
        row["curve_step"] = np.asarray(trial.curve)
        last = len(trial.curve) - 1
        early = values.get(f"early test {arm}", 0.005), values.get(f"early fit {arm}", 1.0)
        row["curve_test_error"] = np.r_[np.full(last, 1 - early[0]), 1 - test + noise[0]]
        row["curve_train_error"] = np.r_[np.zeros(last), 0.34 * (1 - fit)]
        row["curve_flipped_fit"] = np.r_[np.full(last, early[1]), fit] + noise[1]
    return row


def a_table(values, config=EVERYTHING):
    import pandas as pd

    generator = np.random.default_rng(5)
    rows = [a_row(trial, values, generator) for trial in Memorization().trials(config)]
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(values, config=EVERYTHING):
    found = list(Memorization().findings(a_table(values, config), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


def test_present_with_absent_controls():
    by_id, verdict = verdicts(PRESENT)
    assert verdict == "present", by_id


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"spread of real": 0.05}, "real/success_rate_dispersion_ratio"),
        ({"end of noisy": 0.935}, "label_noise/validation_accuracy_drop"),
        ({"first fit of flipped": 0.9}, "label_noise/fit_gap_at_peak"),
        ({"critical randY": 0.05}, "random_labels/critical_sample_ratio_increase"),
        ({"critical randX": 0.10}, "random_inputs/critical_sample_ratio_increase"),
        ({"misfit of randY_dropout": 0.05}, "random_labels_dropout/train_error_increase"),
        ({"end of real_dropout": 0.90}, "real_dropout/validation_error_change"),
        ({"power of real": 0.5}, "real/loss_sensitivity_gini_increase"),
        ({"fit of flipped 15": 0.9}, "weight_decay/mislabeled_fit_reduction_at_the_end"),
        ({"test 15": 0.3}, "weight_decay/test_accuracy_at_the_end"),
    ],
)
def test_each_signature_can_be_absent(change, finding):
    by_id, verdict = verdicts(PRESENT | change)
    assert by_id[finding] == "absent"
    assert verdict == "absent"


@pytest.mark.parametrize(
    ("change", "control"),
    [
        ({"spread of randX_again": 0.45}, "random_inputs_resampled/success_rate_dispersion_ratio"),
        ({"end of real": 0.80, "end of real_dropout": 0.80}, "real/validation_accuracy_drop"),
        ({"last fit of flipped": 0.1}, "label_noise/fit_gap_at_end"),
        ({"critical real_again": 0.5}, "real_reinitialized/critical_sample_ratio_increase"),
        ({"misfit of randY_again": 0.3}, "random_labels_resampled/train_error_increase"),
        ({"end of noisy": 0.96}, "label_noise/validation_error_change"),
        ({"power of randX_again": 4.0}, "random_inputs_resampled/loss_sensitivity_gini_increase"),
        ({"early fit 15": 0.1}, "weight_decay/mislabeled_fit_reduction_early"),
        ({"early test 15": 0.99}, "weight_decay/test_accuracy_early"),
    ],
)
def test_a_present_control_makes_all_inconclusive(change, control):
    by_id, verdict = verdicts(PRESENT | change)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_runs_that_all_agree_have_no_dispersion():
    table = a_table(PRESENT)
    agree = [np.zeros(400, bool)] * (table.study == "short").sum()
    table.loc[table.study == "short", "train_wrong"] = np.array([*agree, None], object)[:-1]
    found = {finding.id: finding for finding in Memorization().findings(table, EVERYTHING)}
    assert found["real/success_rate_dispersion_ratio"].verdict == "inconclusive"


# ---- the grid ----------------------------------------------------------------------------------


def by_arm(study, config=EVERYTHING):
    arms = {}
    for trial in Memorization().trials(config):
        if trial.tags["study"] == study:
            arms.setdefault((trial.tags["arm"], trial.tags["seed"]), []).append(trial)
    return arms


def seeds_of(trials, stream):
    return {trial.seed_of(stream) for trial in trials}


def test_runs_of_one_epoch_share_their_data_and_nothing_else():
    arms = by_arm("short")
    assert {arm for arm, _ in arms} == {"real", "randX", "randY", "randX_again"}
    for (arm, seed), trials in arms.items():
        assert len(trials) == 30 and {trial.epochs for trial in trials} == {1}
        assert seeds_of(trials, "split") == seeds_of(trials, "validation") == {seed}
        assert len(seeds_of(trials, "init")) == len(seeds_of(trials, "order")) == 30
        if arm.startswith("randX"):
            (noise,) = seeds_of(trials, "gaussian_inputs")
            assert (noise == seed) == (arm == "randX")


def test_arms_of_a_seed_differ_in_one_thing():
    arms = by_arm("long")
    assert len(arms) == 10 * EVERYTHING.seeds
    for (arm, seed), (trial,) in arms.items():
        kind = arm.partition("_")[0]
        assert trial.data.corruptions == {
            "noisy": (Spec("label_noise", rate=0.4, kind="all"),)
        }.get(kind, DATA.get(kind))
        assert trial.seed_of("split") == seed and trial.data.validation == 300
        assert (trial.seed_of("init") == seed) != arm.endswith("again")
        assert trial.model.settings["dropout"] == (0.5 if arm.endswith("dropout") else 0.0)
        decay = trial.optimizer.settings["weight_decay"]
        assert decay == (1.0 if arm.endswith("decay") else 0.0)
        assert trial.curve == (38, 95, 190, 380) and trial.steps == 380
    for (arm, seed), (trial,) in by_arm("replayed").items():
        assert trial.batch_size is None and trial.seed_of("init") == seed
        if arm != "real":
            assert (trial.seed_of("gaussian_inputs") == seed) == (arm == "randX")


def test_few_populations():
    for group in plan.groups(Memorization().trials(EVERYTHING)):
        assert len({trial.tags["study"] for trial in group.trials}) == 1
    config = Memorization.configure("small")
    groups = plan.groups(Memorization().trials(config))
    # Runs of one epoch come in portions; long ones with and without dropout; the replayed ones.
    short = [group for group in groups if group.trials[0].tags["study"] == "short"]
    assert len(groups) == len(short) + 3


def test_wrong_settings():
    with pytest.raises(UsageError, match=r"`runs` is 0, or 2 .*Received: runs=1"):
        Config(runs=1)
    with pytest.raises(UsageError, match="A peak needs 2 seeds"):
        Config(epochs=5, curve_epochs=(1, 2), seeds=1)
    with pytest.raises(UsageError, match="A peak needs"):
        Config(epochs=5, curve_epochs=(1,))
    good = {"decays": (0.0, 15.0), "decay_steps": (9, 9), "decay_curve": (3,)}
    Config(**good)
    for change in (
        {"decays": (0.0, 5.0)},
        {"decays": (15.0, 0.0)},
        {"decay_steps": (9,)},
        {"decay_steps": ()},
        {"decay_curve": ()},
    ):
        with pytest.raises(UsageError, match=r"`decays` are 0 and others(.|\n)*Received"):
            Config(**{**good, **change})


# ---- published numbers and figure --------------------------------------------------------------


def test_published_numbers_have_estimates():
    config = Memorization.configure("paper", "modular_random_labels", {"seeds": 2, "seed": 0})
    table = a_table(PRESENT, config)
    numbers = published.load("memorization")
    assert {number.provenance for number in numbers} == {"read"}
    found = {}
    for number in numbers:
        ours, baseline = Memorization().reproductions(table, config, number)
        assert ours.n == 2 and baseline is None
        setting = number.setting
        key = setting["weight_decay"], setting.get("step"), number.metric.split()[0]
        found[key] = ours.value
    assert len(found) == 11
    assert found[0.0, 200, "test"] == pytest.approx(0.005)
    assert found[0.0, 200, "train"] == 1.0
    assert found[0.0, 1000, "train"] == pytest.approx(1 - 0.34 * 0.05)
    assert found[15.0, None, "test"] == pytest.approx(0.99, abs=0.01)
    unmeasured = dataclasses.replace(numbers[0], setting={"weight_decay": 0.0, "step": 7})
    assert unmeasured.metric == "train accuracy"
    assert Memorization().reproductions(table, config, unmeasured) is None


def test_figure():
    from matplotlib.figure import Figure

    for size, experiment, panels in (("small", None, 5), ("paper", "modular_random_labels", 1)):
        config = Memorization.configure(size, experiment, {"seeds": 2, "seed": 0})
        config = dataclasses.replace(config, runs=min(config.runs, 5))
        if config.epochs:
            config = dataclasses.replace(config, epochs=20, curve_epochs=(2, 5, 10))
        figure = Figure(layout="constrained")
        Memorization().figure(a_table(PRESENT, config), config, figure)
        drawn = [axes for axes in figure.axes if axes.axison]
        assert len(drawn) == panels
        assert all(axes.get_title(loc="center") and len(axes.lines) >= 3 for axes in drawn)


# ---- measures ----------------------------------------------------------------------------------


def test_fit_of_clean_and_of_flipped_labels(tensorflow):
    from tfphen.phenomena.memorization.measures import fit

    labels = np.array([[0, 1, 1, 2], [0, 1, 2, 0]])
    clean = np.array([[0, 1, 2, 2], [0, 1, 2, 0]])
    guesses = np.array([[0, 0, 1, 2], [0, 1, 0, 0]])
    trained = SimpleNamespace(
        labels=lambda split, kind="labels": labels if kind == "labels" else clean,
        logits=lambda split: np.eye(3)[guesses],
    )
    fits = [fit(trained, flipped=flipped) for flipped in (False, True)]
    np.testing.assert_allclose(fits[0], [2 / 3, 3 / 4])
    np.testing.assert_array_equal(fits[1], [1.0, np.nan])


class Watched(Memorization):
    """Keeps what the costly measures see."""

    seen: ClassVar[dict] = {}
    measures: ClassVar = (
        Measure("train_error", lambda trained: np.zeros(len(trained.trials))),
        Measure("loss_sensitivity", lambda trained: Watched.keep("replayed", trained)),
    )
    curve_measures: ClassVar = (
        Measure("critical_sample_ratio", lambda trained: Watched.keep("long", trained)),
    )

    @classmethod
    def keep(cls, study, trained):
        cls.seen[study] = trained, trained.weights()
        return np.zeros(len(trained.trials))


@pytest.fixture(scope="module")
def watched(tensorflow, tmp_path_factory):
    """The populations whose measures are costly, on a few digits."""
    from tfphen.experiment import runner

    config = Config(
        train=60,
        validation=20,
        epochs=2,
        curve_epochs=(1, 2),
        hidden_units=(8,),
        replayed_steps=20,
        replayed_train=40,
        seed=0,
    )
    wanted = {("replayed", "real"), ("replayed", "randX"), ("long", "real"), ("long", "noisy")}
    costly = {"replayed": ("loss_sensitivity",), "long": ("critical_sample_ratio",)}
    trials = [
        dataclasses.replace(trial, measures=costly[trial.tags["study"]])
        for trial in Memorization().trials(config)
        if (trial.tags["study"], trial.tags["arm"]) in wanted
    ]
    runner.run(Watched(), trials, tmp_path_factory.mktemp("records"))
    return Watched.seen


def test_the_replay_ends_where_the_training_did(watched, monkeypatch):
    from tfphen.phenomena.memorization import measures

    kept = []

    def recorded(*arguments, **settings):
        kept.append(function(*arguments, **settings))
        return kept[-1]

    function = measures.loss_sensitivity
    monkeypatch.setattr(measures, "loss_sensitivity", recorded)
    trained, weights = watched["replayed"]
    sensitivity = measures.replayed_loss_sensitivity(trained)
    assert sensitivity.shape == (4, 40) and sensitivity.min() > 0
    replayed = np.concatenate([value.reshape(4, -1) for value in kept[0].weights], axis=1)
    np.testing.assert_allclose(replayed, weights, rtol=1e-3, atol=1e-5)
    start = np.concatenate([value.reshape(4, -1) for value in trained.initial_weights()], axis=1)
    assert abs(weights - start).max() > 0.05
    assert kept[0].losses.shape == (4, 6)
    assert (kept[0].losses[:, 0] > kept[0].losses[:, -1]).all()


def test_each_member_is_searched_around_its_own_validation_examples(watched, monkeypatch):
    from tfphen.phenomena.memorization import critical_samples, measures

    seen = []

    def recorded(function, inputs, radius, **settings):
        near, far = (np.asarray(function(np.zeros((4, 20, 64)) + d)) for d in (0.0, 0.1))
        seen.append((near, far, radius, settings))
        return search(function, inputs, radius, **settings)

    search = critical_samples.critical_sample_ratio
    monkeypatch.setattr(critical_samples, "critical_sample_ratio", recorded)
    trained, _ = watched["long"]
    ratios = measures.critical_sample_ratio(trained)
    assert ratios.shape == (4,) and ((ratios >= 0) & (ratios <= 1)).all()
    ((near, far, radius, settings),) = seen
    np.testing.assert_allclose(near, trained.logits("validation"), rtol=1e-4, atol=1e-5)
    assert abs(near - far).max() > 0.01
    assert not np.allclose(trained.inputs("validation")[0], trained.inputs("validation")[-1])
    assert radius == 0.02 and settings["members"] == 4


def test_critical_samples_are_searched_at_every_third_point_from_the_last(tensorflow, monkeypatch):
    from tfphen.phenomena.memorization import measures

    monkeypatch.setattr(measures, "member_critical_sample_ratios", lambda *given: np.zeros(2))
    taken = []
    for step in (10, 20, 30, 40, 50):
        trained = SimpleNamespace(
            members=SimpleNamespace(size=2, model=None, values=list),
            step=step,
            trials=[SimpleNamespace(curve=(10, 20, 30, 40, 50))],
            inputs=lambda split: np.zeros((2, 3, 4)),
        )
        if np.isfinite(measures.critical_sample_ratio(trained)).all():
            taken.append(step)
    assert taken == [20, 50]
