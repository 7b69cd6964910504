"""Dynamic importance weighting: plan, verdicts, training, and lines under covariate shift."""

import dataclasses

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec
from tfphen.experiment import plan
from tfphen.phenomena.dynamic_importance_weighting.phenomenon import DynamicImportanceWeighting
from tfphen.phenomena.dynamic_importance_weighting.trials import (
    ARMS,
    ESTIMATES,
    Config,
    ShiftConfig,
)
from tfphen.verdicts import findings, published

EVERYTHING = Config(arms=ARMS, shift=ShiftConfig(repeats=2), epochs=20, seeds=4, seed=0)

# Accuracies, areas under the curve and squared errors that show the phenomenon.
SHOWN = {
    ("uniform", "noisy"): 0.70,
    ("uniform", "noisy_validation"): 0.66,
    ("random", "noisy"): 0.79,
    ("random", "noisy_validation"): 0.75,
    ("static_early", "noisy"): 0.71,
    ("static_late", "noisy"): 0.71,
    ("dynamic", "noisy_validation"): 0.68,
    ("auc", "dynamic", "noisy_validation"): 0.63,
    ("auc", "random", "noisy"): 0.5,
    ("unweighted", "sinc"): 0.2,
    ("unweighted", "line"): 0.001,
    **{(method, "line"): 0.004 for method in ESTIMATES},
}


def a_table(config, shown):
    """Records of a plan with made-up values, as a table."""
    import pandas as pd

    rows = []
    for trial in DynamicImportanceWeighting().trials(config):
        arm, part = trial.tags["arm"], trial.tags["part"]
        jitter = 0.002 * np.sin(5.0 * trial.seed + len(arm) + trial.tags.get("repeat", 0))
        row = {"trial": trial.id, **trial.tags}
        if part == "networks":
            noise = trial.tags["noise"]
            accuracy = shown.get((arm, noise), 0.96) + jitter
            auc = shown.get(("auc", arm, noise), 0.98) + jitter
            number = np.arange(0, trial.steps, 7)
            after = number >= trial.steps / config.epochs
            row |= {
                "test_error": 1 - accuracy,
                "fit_of_flipped": 0.5,
                "steps": trial.steps,
                "step_number": number,
                "step_auc": np.where(after, auc, 0.5) + np.where(number % 35 == 0, np.nan, 0.0),
                "step_clean_weight": np.where(after, 1.6, 1.0),
                "step_flipped_weight": np.where(after, 0.1, 1.0),
                "curve_step": np.array([*trial.curve, trial.steps]),
                "curve_test_error": 1 - accuracy - 0.01 * np.arange(len(trial.curve), -1, -1),
            }
        else:
            row["squared_error"] = shown.get((arm, part), 0.02) + 0.1 * abs(jitter)
        rows.append(row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(shown, config=EVERYTHING):
    results = list(DynamicImportanceWeighting().findings(a_table(config, shown), config))
    return {finding.id: finding.verdict for finding in results}, findings.overall(results)


def test_present_with_absent_controls():
    by_id, verdict = verdicts(SHOWN)
    assert verdict == "present", by_id
    for method in ESTIMATES:
        assert by_id[f"{method}_sinc/error_reduction"] == "present"
        assert by_id[f"{method}_line/error_reduction"] == "absent"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({("uniform", "noisy"): 0.99, ("random", "noisy"): 0.7}, "dynamic/gain_over_uniform"),
        ({("random", "noisy"): 0.99}, "dynamic/gain_over_random"),
        ({("static_early", "noisy"): 0.99}, "dynamic/gain_over_static_early"),
        ({("static_late", "noisy"): 0.99}, "dynamic/gain_over_static_late"),
        ({("auc", "dynamic", "noisy"): 0.7}, "dynamic/weight_auc"),
        ({("dynamic", "clean"): 0.9}, "dynamic_clean/equivalence_to_uniform"),
        ({("kmm", "sinc"): 0.3}, "kmm_sinc/error_reduction"),
    ],
)
def test_each_signature_can_be_absent(change, finding):
    by_id, _ = verdicts(SHOWN | change)
    assert by_id[finding] == "absent"


@pytest.mark.parametrize(
    ("change", "control"),
    [
        ({("auc", "random", "noisy"): 0.9}, "random/weight_auc"),
        (
            {("auc", "dynamic", "noisy_validation"): 0.9},
            "dynamic_noisy_validation/weight_auc",
        ),
        ({("dynamic", "noisy_validation"): 0.9}, "dynamic_noisy_validation/gain_over_random"),
        ({("uniform", "clean"): 0.8}, "dynamic_clean/gain_over_uniform"),
        ({("unweighted", "line"): 0.2}, "ulsif_line/error_reduction"),
    ],
)
def test_a_present_control_makes_the_verdict_inconclusive(change, control):
    by_id, verdict = verdicts(SHOWN | change)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_a_paper_experiment_has_a_control_of_its_own():
    config = DynamicImportanceWeighting.configure("paper", "fashion_mnist_symmetric_40")
    short = {"epochs": 20, "train": 590, "validation": 10, "batch_size": 20, "seeds": 3, "seed": 0}
    config = dataclasses.replace(config, **short)
    by_id, verdict = verdicts(SHOWN, config)
    assert by_id["dynamic/warm_up_weight_auc"] == "absent"
    assert verdict == "present"
    alone = dataclasses.replace(config, arms=("dynamic",))
    assert verdicts(SHOWN, alone)[1] == "present"


def test_few_populations():
    trials = list(DynamicImportanceWeighting().trials(EVERYTHING))
    groups = plan.groups(t for t in trials if t.tags["part"] == "networks")
    sizes = {group.trials[0].tags["arm"]: len(group.trials) for group in groups}
    seeds = EVERYTHING.seeds
    assert sizes == {
        "uniform": 3 * seeds,
        "random": 2 * seeds,
        "early": seeds,
        "static_early": 2 * seeds,
        # The arm of the same kernel is the same training.
        "dynamic": 3 * seeds,
        "quantile": seeds,
        "inverse_median": seeds,
    }
    static = [t for t in trials if t.tags["arm"].startswith("static")]
    lengths = {t.tags["arm"]: t.inputs["weights"].trial.steps / t.steps for t in static}
    assert lengths == {"static_early": 0.25, "static_late": 1.0}
    for trial in static:
        (result,) = trial.inputs.values()
        assert (result.trial.seed, result.trial.data) == (trial.seed, trial.data)
        assert result.trial.objective.settings["warm_up"] == 1.0


def test_a_shorter_run_keeps_the_published_steps():
    for epochs, fractions in ((400, (0.25, 0.5, 0.75)), (250, (0.4, 0.8))):
        config = DynamicImportanceWeighting.configure(
            "paper", "fashion_mnist_symmetric_40", {"epochs": epochs, "seeds": 1, "seed": 0}
        )
        (trial, *_) = DynamicImportanceWeighting().trials(config)
        assert trial.steps == 235 * epochs
        assert trial.schedule.settings["fractions"] == pytest.approx(fractions)
        assert trial.schedule.settings["factors"] == pytest.approx(
            [0.1, 0.01, 0.001][: len(fractions)]
        )
        assert trial.stream_seeds == {"label_noise": 100}
    config = dataclasses.replace(config, epochs=80)
    assert next(DynamicImportanceWeighting().trials(config)).schedule == Spec("constant")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"arms": ("uniform", "random")}, "`arms` are of"),
        ({"arms": ("dynamic", "uniform")}, "hold dynamic, random, uniform"),
        ({"kernel": "mean"}, "`kernel` must be one of"),
        ({"rate": 0.0}, "`rate` must be"),
        ({"early": 80}, "`early` lies between 0 and epochs=80"),
    ],
)
def test_invalid_settings_are_rejected(settings, message):
    with pytest.raises(UsageError, match=message):
        Config(**settings)


def test_published_numbers_have_an_estimate():
    numbers = published.load("dynamic_importance_weighting")
    config = Config(arms=ARMS, controls=False, seeds=3, seed=0)
    table = a_table(config, SHOWN)
    mine = [n for n in numbers if n.experiment == "fashion_mnist_symmetric_40"]
    assert {n.provenance for n in mine} == {"read", "recalled"}
    for number in mine:
        estimate, baseline = DynamicImportanceWeighting().reproductions(table, config, number)
        assert estimate.n == 3
        expected = {"uniform": 70, "random": 79, "dynamic": 96}[number.setting["arm"]]
        # The made-up curves fall by a point from one point to the next.
        best = len(table.curve_step[table.arm == "dynamic"].iloc[0]) - 1
        expected += best if number.setting["when"] == "best" else 0
        assert estimate.value == pytest.approx(expected, abs=0.3)
        if number.baseline is not None:
            assert baseline.value == pytest.approx(70, abs=0.3)
    elsewhere = [n for n in numbers if n.setting["rate"] != 0.4]
    assert DynamicImportanceWeighting().reproductions(table, config, elsewhere[0]) is None


def test_figure():
    from matplotlib.figure import Figure

    for changes, count in (({}, 3), ({"shift": None, "controls": False}, 2)):
        config = dataclasses.replace(EVERYTHING, **changes)
        figure = Figure(layout="constrained")
        DynamicImportanceWeighting().figure(a_table(config, SHOWN), config, figure)
        assert len(figure.axes) == count
        labels = {line.get_label() for line in figure.axes[0].lines}
        assert {"uniform", "dynamic"} <= labels


# ---- in training ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tensorflow, tmp_path_factory):
    """A few networks on a few digits: records by arm and seed, and those of two baselines."""
    from tfphen.experiment import runner

    config = Config(
        train=60,
        test=50,
        validation=30,
        rows=16,
        arms=("uniform", "static_early", "dynamic"),
        controls=False,
        model_settings={"hidden_units": (16,)},
        optimizer_settings={"learning_rate": 0.1},
        batch_size=32,
        epochs=4,
        early=2,
        curve_every=2,
        record_every=1,
        seed=0,
    )
    phenomenon = DynamicImportanceWeighting()
    trials = list(phenomenon.trials(config))
    uniform, dynamic = (
        next(t for t in trials if t.tags["arm"] == arm) for arm in ("uniform", "dynamic")
    )
    settings = {"record_every": None, "measures": ("test_error",)}
    plain = dataclasses.replace(uniform, objective=Spec("cross_entropy"), **settings)
    waiting = dataclasses.replace(
        dynamic, objective=Spec(**{"name": dynamic.objective.name, "warm_up": 0.999, "rows": 16})
    )
    by_id = runner.run(phenomenon, [*trials, plain, waiting], tmp_path_factory.mktemp("records"))
    records = {(t.tags["arm"], t.seed): by_id[t.id] for t in plan.with_parents(trials)}
    return records, by_id[plain.id], by_id[waiting.id]


def test_weights_of_one_are_plain_cross_entropy(trained):
    records, plain, waiting = trained
    uniform = records["uniform", 0]
    assert uniform.values["test_error"] == plain.values["test_error"]
    np.testing.assert_array_equal(
        uniform.arrays["curve_test_error"], plain.arrays["curve_test_error"]
    )
    # Weights that wait for the end of their warm-up change no step.
    np.testing.assert_allclose(
        waiting.arrays["step_loss"][:-1], uniform.arrays["step_loss"][:-1], rtol=1e-5
    )
    np.testing.assert_array_equal(uniform.arrays["step_mean_weight"], 1.0)
    assert (records["dynamic", 0].arrays["step_loss"] != uniform.arrays["step_loss"]).any()


def test_weights_start_after_the_first_epoch(trained):
    records, _, _ = trained
    for seed in (0, 1):
        arrays = records["dynamic", seed].arrays
        assert len(arrays["step_auc"]) == 12
        np.testing.assert_array_equal(arrays["step_clean_weight"][:3], 1.0)
        assert (arrays["step_clean_weight"][3:] != 1.0).all()
        np.testing.assert_allclose(arrays["step_mean_weight"], 1.0, rtol=1e-5)


def test_the_static_weights_are_those_of_the_early_network(trained):
    records, _, _ = trained
    early, static = records["early", 0], records["static_early", 0]
    weights = early.arrays["static_weights"]
    assert weights.shape == (90,)
    assert weights.mean() == pytest.approx(1.0, abs=1e-5)
    # Each epoch sees each weight once: batches of 32, 32 and 26 rows, each rescaled to mean 1.
    assert static.arrays["step_clean_weight"].min() > 0
    assert early.values["steps"] == 6
    assert early.values["test_error"] == pytest.approx(
        records["uniform", 0].arrays["curve_test_error"][0]
    )


# ---- lines under covariate shift ---------------------------------------------------------------


@pytest.mark.parametrize("method", ["unweighted", "true_weights", "one_step"])
def test_lines_are_fitted_to_the_members_own_data(tensorflow, tmp_path, method):
    from tfphen.experiment import runner
    from tfphen.phenomena.dynamic_importance_weighting import covariate_shift

    config = dataclasses.replace(EVERYTHING, seeds=1, shift=ShiftConfig(repeats=2))
    trials = [
        t
        for t in DynamicImportanceWeighting().trials(config)
        if t.tags["part"] == "sinc" and t.tags["arm"] == method
    ]
    by_id = runner.run(DynamicImportanceWeighting(), trials, tmp_path)
    for repeat, trial in enumerate(trials):
        data = covariate_shift.covariate_shift(generator_seed=repeat)
        (x, y), (tested, targets) = (
            part.astype("float64").T for part in (data.train_inputs, data.test_inputs)
        )
        line = covariate_shift.METHODS[method](x, y, tested)
        expected = np.mean((line[0] + line[1] * tested - targets) ** 2)
        assert by_id[trial.id].values["squared_error"] == pytest.approx(expected, rel=1e-4)


def test_the_true_ratio_turns_one_mean_into_the_other():
    from tfphen.phenomena.dynamic_importance_weighting import covariate_shift

    x = np.random.default_rng(0).normal(1.0, 0.5, 400_000)
    weights = covariate_shift.true_weights(x)
    assert weights.mean() == pytest.approx(1.0, abs=0.02)
    assert (weights * x).mean() == pytest.approx(2.0, abs=0.04)
    with pytest.raises(UsageError, match="`truth` must be one of"):
        covariate_shift.covariate_shift(truth="cubic")
