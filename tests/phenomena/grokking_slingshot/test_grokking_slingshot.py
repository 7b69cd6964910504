"""Grokking and slingshots: grid, verdicts, measures, and identities of the mechanism."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data.modular_arithmetic import modular_arithmetic
from tfphen.experiment import plan
from tfphen.phenomena.grokking_slingshot.phenomenon import GrokkingSlingshot
from tfphen.phenomena.grokking_slingshot.trials import Config, Grokking, Slingshot
from tfphen.verdicts import findings, published

ADAM = {"name": "adam", "epsilon": 1e-8}
MLP = {"name": "mlp", "hidden_units": (4,), "defaults": "torch"}
OTHERS = {"larger": 0.5, "most": 0.9, "sparse": 0.15, "random_labels": 0.3}
EVERYTHING = Config(
    grokking=Grokking(fraction=0.3, others=OTHERS, steps=200),
    slingshot=Slingshot(
        operation="division", modulus=23, model=MLP, optimizer=ADAM, steps=9000, record_every=10
    ),
    seeds=4,
    seed=0,
)

# Step at which training pairs are memorized, step at which test pairs are learned, rise of the
# periodicity.
PRESENT = {
    "main": (16, 120, 0.6),
    "larger": (20, 50, 0.6),
    "most": (24, 30, 0.6),
    "sparse": (8, None, 0.1),
    "random_labels": (20, None, 0.0),
}
CYCLES = {"small_epsilon": 5, "large_epsilon": 0, "float64_loss": 0, "sgd": 0}


def a_curve(steps, learned):
    """Accuracy that rises from 0 by 2% a step until it is 1."""
    if learned is None:
        return np.full(len(steps), 0.02)
    return np.clip(1 + 0.02 * (steps - learned), 0, 1)


def a_long_training(points, cycles, every):
    """Loss and norm of a training with so many slingshots, 1,500 updates each."""
    number = np.arange(0, points, every)
    phase = number % 1500
    last = number // 1500
    loss = np.where(phase < 1000, -5 - phase / 1000, -5.0)
    loss[(phase == 1000) & (last < cycles)] = -1.0
    return number, 10.0**loss, 10 + last + np.minimum(phase, 1000) / 1000


def a_table(config, learned=PRESENT, cycles=CYCLES):
    """Records of a plan with made-up curves, as a table."""
    import pandas as pd

    rows = []
    for trial in GrokkingSlingshot().trials(config):
        tags, steps = trial.tags, np.array([*trial.curve, trial.steps])
        row = {**tags, "curve_step": steps}
        jitter = 2 * (tags["seed"] % 2)
        if trial.record_every is None:
            memorized, generalized, rise = learned[tags["arm"]]
            generalized = None if generalized is None else generalized + jitter
            row["curve_train_error"] = 1 - a_curve(steps, memorized + jitter)
            row["curve_test_error"] = 1 - a_curve(steps, generalized)
            row["test_error"] = row["curve_test_error"][-1]
            row["new_pair_error"] = row["test_error"] + 0.001 * (tags["seed"] % 2)
            if "periodicity" in trial.measures:
                row["curve_periodicity"] = np.linspace(0.06, 0.06 + rise, len(steps))
        else:
            found = a_long_training(trial.steps, cycles[tags["arm"]], trial.record_every)
            names = ("step_number", "step_loss", "step_last_layer_norm")
            row |= dict(zip(names, found, strict=True)) | {"test_error": 0.97}
        rows.append(row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(learned=PRESENT, cycles=CYCLES, config=EVERYTHING):
    table = a_table(config, PRESENT | learned, CYCLES | cycles)
    found = list(GrokkingSlingshot().findings(table, config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


def test_present_with_absent_controls():
    by_id, verdict = verdicts()
    assert verdict == "present"
    assert by_id["main/generalization_delay"] == "present"
    assert by_id["most/generalization_delay"] == by_id["sgd/num_slingshots"] == "absent"


@pytest.mark.parametrize(
    ("learned", "cycles", "finding"),
    [
        ({"main": (16, None, 0.6)}, {}, "main/final_test_accuracy"),
        ({"main": (110, 120, 0.6)}, {}, "main/test_accuracy_when_memorized"),
        ({"main": (100, 120, 0.6)}, {}, "main/generalization_delay"),
        ({"main": (16, 120, 0.01)}, {}, "main/periodicity_rise"),
        ({"larger": (20, 110, 0.6)}, {}, "main_vs_larger/generalization_time_ratio"),
        ({}, {"small_epsilon": 1}, "small_epsilon/num_slingshots"),
        ({}, {"large_epsilon": 5}, "large_epsilon/slingshot_reduction"),
        ({}, {"float64_loss": 5}, "float64_loss/slingshot_reduction"),
    ],
)
def test_each_signature_can_be_absent(learned, cycles, finding):
    by_id, _ = verdicts(learned, cycles)
    assert by_id[finding] == "absent"


@pytest.mark.parametrize(
    ("learned", "cycles", "control"),
    [
        ({"sparse": (8, 150, 0.6)}, {}, "sparse/final_test_accuracy"),
        ({"random_labels": (20, 150, 0.0)}, {}, "random_labels/final_test_accuracy"),
        ({"random_labels": (20, None, 0.6)}, {}, "random_labels/periodicity_rise"),
        ({"most": (20, 90, 0.6)}, {}, "most/test_accuracy_when_memorized"),
        ({"most": (20, 90, 0.6)}, {}, "most/generalization_delay"),
        ({"larger": (8, 50, 0.6)}, {}, "main_vs_larger/memorization_time_ratio"),
        ({}, {"large_epsilon": 2}, "large_epsilon/num_slingshots"),
        ({}, {"float64_loss": 1}, "float64_loss/num_slingshots"),
        ({}, {"sgd": 1}, "sgd/num_slingshots"),
    ],
)
def test_a_present_control_makes_all_inconclusive(learned, cycles, control):
    by_id, verdict = verdicts(learned, cycles)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_a_training_that_never_learns_leaves_its_times_open():
    by_id, verdict = verdicts({"main": (16, None, 0.6)})
    assert (
        by_id["main/generalization_delay"]
        == by_id["main_vs_larger/generalization_time_ratio"]
        == "inconclusive"
    )
    assert verdict == "absent"


def test_more_records_find_the_same_cycles():
    part = dataclasses.replace(EVERYTHING.slingshot, record_every=1)
    config = dataclasses.replace(EVERYTHING, grokking=None, slingshot=part)
    by_id, verdict = verdicts(config=config)
    assert verdict == "present"
    assert (
        "main/final_test_accuracy" not in by_id
        and by_id["small_epsilon/num_slingshots"] == "present"
    )


def test_plan():
    trials = list(GrokkingSlingshot().trials(EVERYTHING))
    groups = plan.groups(trials)
    # Random labels train beside true ones; each other share of the table, optimizer and loss alone.
    assert sorted(len(group.trials) for group in groups) == [4] * 7 + [8]
    by_arm = {trial.tags["arm"]: trial for trial in trials if trial.tags["seed"] == 2}
    assert len(by_arm) == 9
    main, random = by_arm["main"], by_arm["random_labels"]
    assert main.data.options == random.data.options and random.data.corruptions
    assert main.data.options["generator_seed"] == main.seed == 2
    assert main.curve[:2] == (0, 2) and main.record_every is None
    assert "periodicity" in main.measures and "periodicity" not in by_arm["sgd"].measures
    small, large = by_arm["small_epsilon"].optimizer, by_arm["large_epsilon"].optimizer
    assert dict(small.settings) | {"epsilon": 1e-5} == dict(large.settings)
    exact = by_arm["float64_loss"]
    assert exact.optimizer == small and exact.objective.settings["dtype"] == "float64"
    assert by_arm["sgd"].record_every == 10


def test_the_transformer_reads_tokens():
    part = Grokking(modulus=7, model={"name": "transformer", "defaults": "torch"})
    (main, _) = GrokkingSlingshot().trials(Config(grokking=part, seeds=1))
    assert main.model.settings["vocabulary_size"] == 10
    options = dict(main.data.options)
    inputs = modular_arithmetic(**options).train_inputs
    assert inputs.shape[1] == 5 and inputs.max() == 9
    assert "periodicity" not in main.measures


def test_every_size_has_a_signature_and_a_control():
    for size, experiment in (
        ("smoke", None),
        ("small", None),
        ("paper", "addition_square_mlp"),
        ("paper", "power_transformer"),
        ("paper", "slingshot_division"),
    ):
        config = GrokkingSlingshot.configure(size, experiment, {"seeds": 2, "seed": 0})
        if experiment == "slingshot_division":
            long = dataclasses.replace(config.slingshot, steps=9000)
            config = dataclasses.replace(config, slingshot=long)
        found = list(GrokkingSlingshot().findings(a_table(config), config))
        assert {finding.role for finding in found} == {"signature", "control"}


def test_settings_that_do_not_exist():
    with pytest.raises(UsageError, match="nothing to train"):
        Config()
    with pytest.raises(UsageError, match=r"Received: others=\{'larger': 0.5\}"):
        Grokking(others={"larger": 0.5})
    with pytest.raises(UsageError, match="`others` are of larger, most, sparse, random_labels"):
        Grokking(others={"random": 0.5, "sparse": 0.1})
    with pytest.raises(UsageError, match=r"`record_every` divides 10\. Received: record_every=3"):
        Slingshot(optimizer=ADAM, record_every=3)
    with pytest.raises(UsageError, match="an `epsilon` below `large_epsilon`"):
        Slingshot(optimizer={"name": "adam", "epsilon": 1e-4})


def test_published_numbers_have_estimates():
    numbers = published.load("grokking_slingshot")
    config = GrokkingSlingshot.configure("paper", "addition_square_mlp", {"seeds": 3, "seed": 0})
    table = a_table(config)
    mine = [number for number in numbers if number.experiment == "addition_square_mlp"]
    assert len(mine) == 12
    for number in mine:
        estimate, baseline = GrokkingSlingshot().reproductions(table, config, number)
        assert estimate.n == 3 and baseline is None
        step = int(number.metric.rpartition(" ")[2])
        learned = 16 if number.metric.startswith("train") else 120
        low, high = (100 * a_curve(step, learned + jitter) for jitter in (2, 0))
        assert low - 1e-9 <= estimate.value <= high + 1e-9
    other = next(number for number in numbers if number.experiment == "power_transformer")
    estimate, _ = GrokkingSlingshot().reproductions(table, config, other)
    assert other.metric == "steps to 99% training accuracy"
    assert 16 <= estimate.value <= 18
    other = next(n for n in numbers if n.metric == "steps to 95% test accuracy")
    assert GrokkingSlingshot().reproductions(table, config, other) is None


def test_figure():
    from matplotlib.figure import Figure

    for size, experiment, panels in (
        ("small", None, 4),
        ("paper", "addition_square_mlp", 2),
        ("paper", "power_transformer", 2),
    ):
        config = GrokkingSlingshot.configure(size, experiment, {"seeds": 2, "seed": 0})
        figure = Figure(layout="constrained")
        GrokkingSlingshot().figure(a_table(config), config, figure)
        assert len(figure.axes) == panels
        labels = [line.get_label() for line in figure.axes[0].lines]
        assert labels[0].startswith("training, ")


# ---- measures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["one_hot_pair", "tokens"])
def test_error_on_pairs_whose_mirror_is_new(form, tensorflow):
    from tfphen.phenomena.grokking_slingshot.measures import new_pair_error

    p = 11
    data = [modular_arithmetic(modulus=p, form=form, generator_seed=seed) for seed in (0, 1)]
    pairs = [modular_arithmetic(modulus=p, form="pair", generator_seed=seed) for seed in (0, 1)]
    inputs = np.stack([one.test_inputs for one in data])
    labels = np.stack([one.test_labels for one in data])
    # Correct where a <= b only.
    correct = np.stack([one.test_inputs[:, 0] <= one.test_inputs[:, 1] for one in pairs])
    logits = np.eye(p)[np.where(correct, labels, (labels + 1) % p)]
    trained = SimpleNamespace(
        num_classes=p,
        inputs=lambda split: inputs,
        labels=lambda split: labels,
        logits=lambda split: logits,
    )
    errors = new_pair_error(trained)
    for error, one in zip(errors, pairs, strict=True):
        train_pairs = {tuple(pair) for pair in one.train_inputs}
        new = [(a, b) for a, b in one.test_inputs if (b, a) not in train_pairs]
        assert 0 < len(new) < len(one.test_inputs)
        assert error == pytest.approx(np.mean([a > b for a, b in new]))


def test_periodicity_is_of_the_rows_of_u(tensorflow):
    from tfphen.phenomena.grokking_slingshot.measures import periodicity

    p, units = 7, 5
    kernels = np.random.default_rng(0).normal(size=(2, 2 * p, units))
    kernels[0, :p] = np.cos(2 * np.pi * 2 * np.arange(p) / p + 0.4)[:, None]
    members = SimpleNamespace(value_of={"hidden/kernel": kernels}.get)
    ratios = periodicity(SimpleNamespace(members=members, num_classes=p))
    assert ratios[0] == pytest.approx(1.0)
    assert ratios[1] < 0.9


# ---- through the engine ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(tensorflow, tmp_path_factory):
    """Records of a small plan by arm and seed."""
    from tfphen.experiment import runner

    adamw = {"name": "adamw", "learning_rate": 0.01, "weight_decay": 5.0, "beta_2": 0.98}
    config = Config(
        grokking=Grokking(
            modulus=13,
            fraction=0.5,
            model={"name": "square_mlp", "units": 16},
            optimizer=adamw,
            steps=6,
            every=3,
        ),
        slingshot=Slingshot(
            operation="division",
            modulus=5,
            model=MLP,
            optimizer=ADAM,
            steps=4,
            every=4,
        ),
        seeds=2,
        seed=0,
    )
    arms = ("main", "small_epsilon")
    trials = [t for t in GrokkingSlingshot().trials(config) if t.tags["arm"] in arms]
    known = runner.run(GrokkingSlingshot(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags["arm"], t.seed): known[t.id] for t in trials}


def test_records_of_both_parts(ran):
    for seed in (0, 1):
        main = ran["main", seed]
        assert main.arrays["curve_step"].tolist() == [0, 3, 6]
        assert main.arrays["curve_test_error"][-1] == main.values["test_error"]
        assert main.arrays["curve_periodicity"].shape == (3,)
        assert 0 <= main.values["new_pair_error"] <= 1
        record = ran["small_epsilon", seed]
        assert record.arrays["step_number"].tolist() == [0, 1, 2, 3]
        assert record.arrays["step_loss"].shape == (4,)
        assert (np.diff(record.arrays["step_last_layer_norm"]) != 0).all()


def test_the_recorded_norm_is_that_of_the_last_kernel(ran):
    from tfphen.models import mlp
    from tfphen.population.initial_weights import initial_weights

    model = mlp((10,), 5, hidden_units=(4,), defaults="torch")
    for seed in (0, 1):
        drawn = dict(
            zip((w.path for w in model.weights), initial_weights(model, seed), strict=True)
        )
        first = ran["small_epsilon", seed].arrays["step_last_layer_norm"][0]
        assert first == pytest.approx(np.linalg.norm(drawn["logits/kernel"]), rel=1e-6)


# ---- the mechanism -----------------------------------------------------------------------------


def gradient_of_the_loss(tf, margin, classes, **settings):
    """Returns the gradient of the cross-entropy in the logits of one example with a margin."""
    from tfphen.train.loss_objectives import OBJECTIVES

    logits = tf.Variable(np.float32([[[margin] + [0.0] * (classes - 1)]]))
    labels = tf.constant([[0]])
    with tf.GradientTape() as tape:
        step = SimpleNamespace(outputs=tf.convert_to_tensor(logits), labels=labels)
        loss = OBJECTIVES["cross_entropy"](**settings)(step)
    return tape.gradient(loss, logits).numpy()[0, 0].astype("float64")


def test_class_gradients_sum_to_zero_in_float64_alone(tensorflow):
    single = gradient_of_the_loss(tensorflow, 25.0, 97)
    assert single[0] == 0.0 and 1e-10 < single.sum() < 1e-8
    double = gradient_of_the_loss(tensorflow, 25.0, 97, dtype="float64")
    assert double[0] < 0 and abs(double.sum()) < 1e-15


def test_weight_decay_without_gradient_is_geometric(tensorflow):
    import keras

    from tfphen.models import square_mlp
    from tfphen.population.optimizers import MemberOptimizer
    from tfphen.population.population import Population

    members = Population(square_mlp((6,), 3, units=4), [0, 1])
    before = members.values()
    optimizer = MemberOptimizer(
        keras.optimizers.AdamW(1.0, weight_decay=0.0), members, [0.01, 0.01], [5.0, 0.0]
    )
    zeros = [tensorflow.zeros_like(variable.value) for _, variable in members.trainable]
    for step in range(10):
        optimizer.apply(zeros, step, tensorflow.constant([True, True]))
    for old, new in zip(before, members.values(), strict=True):
        np.testing.assert_allclose(new[0], old[0] * 0.95**10, rtol=1e-5)
        np.testing.assert_array_equal(new[1], old[1])


def test_a_small_epsilon_needs_a_flat_loss():
    def errors(curvature, rate, epsilon):
        x = [0.5 * epsilon / curvature]
        for _ in range(200):
            gradient = curvature * x[-1]
            x.append(x[-1] - rate * gradient / (abs(gradient) + epsilon))
        return np.abs(x)

    # Below 2 epsilon / rate normalized gradient descent contracts, above it does not settle.
    assert errors(1.9e-2, 1e-3, 1e-5)[-1] < 1e-9
    assert errors(2.1e-2, 1e-3, 1e-5)[-1] > 1e-6
    assert errors(1.9e-2, 1e-3, 1e-8)[-1] > 1e-6
