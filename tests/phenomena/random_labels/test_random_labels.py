"""Random labels: grid, verdicts, randomizations, and the networks of the paper."""

import dataclasses

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec
from tfphen.data import resolve
from tfphen.experiment import plan
from tfphen.phenomena.random_labels.phenomenon import RandomLabels
from tfphen.phenomena.random_labels.trials import NULL_RATES, RANDOM, RANDOMIZATIONS, Config
from tfphen.verdicts import findings, published

EVERYTHING = Config(
    rates=(0.2, 0.4, 0.8),
    weight_decay=0.5,
    dropout=0.3,
    gamma=0.3,
    construction=40,
    train=100,
    seeds=4,
    seed=0,
    epochs=40,
    batch_size=50,
    optimizer_settings={"learning_rate": 0.004},
)
# Of the synthetic networks: epochs to fit, and training accuracy.
EPOCHS = {
    "true": 8,
    "shuffled_pixels": 8,
    "gaussian": 15,
    "random_pixels": 16,
    "random_labels": 30,
    "weight_decay": 9,
}
FITS = {"linear": 0.2, "redrawn": 0.1, "half_construction": 0.55}
CHANCE = ("gaussian", "random_pixels", "random_labels", "linear", "redrawn", "kernel_null_noise")


def a_table(config, epochs=EPOCHS, fits=FITS, tests=(), misfits=(("half_construction", 900.0),)):
    """Records of a grid with synthetic numbers, as a table."""
    import pandas as pd

    tests, misfits, rows = dict(tests), dict(misfits), []
    for trial in RandomLabels().trials(config):
        arm, rate, seed = (trial.tags[name] for name in ("arm", "rate", "seed"))
        chance = arm.endswith(("random_labels", "construction")) or arm in CHANCE
        expected = 0.1 if chance else 0.95 - 0.8 * rate
        if arm == "dropout" and rate:
            expected += 0.15
        # Ranks among random labels are in a different order for each seed.
        wiggle = 0.01 * np.sin(7.0 * seed + 40 * rate * (seed + 1) * (arm in CHANCE) + len(arm))
        row = {
            **trial.tags,
            "train_error": 1 - fits.get(arm, 1.0),
            "test_error": 1 - tests.get((arm, rate), expected) - wiggle,
        }
        if trial.curve:
            fitted = np.arange(1, config.epochs + 1) >= epochs.get(arm, 30) + seed % 2
            row["curve_train_error"] = np.where(fitted, 0.0, 0.5)
        if "misfit" in trial.measures:
            row["misfit"] = misfits.get(arm, 1e-9) * (1 + seed)
        rows.append(row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(config=EVERYTHING, **changes):
    found = list(RandomLabels().findings(a_table(config, **changes), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


def test_present_with_absent_controls():
    by_id, verdict = verdicts()
    assert verdict == "present", by_id


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"fits": FITS | {"random_labels": 0.7}}, "random_labels/train_accuracy"),
        ({"tests": {("random_labels", 0.0): 0.3}}, "random_labels/at_chance"),
        ({"tests": {("true", 0.0): 0.3}}, "true_labels/generalizes"),
        ({"epochs": EPOCHS | {"random_labels": 8}}, "random_labels/time_to_fit_ratio"),
        ({"epochs": EPOCHS | {"true": 20}}, "true_labels/fitted_first"),
        ({"epochs": EPOCHS | {"gaussian": 38}}, "random_labels/fitted_last"),
        ({"tests": {("true", 0.2): 0.3}}, "true_labels/error_corruption_correlation"),
        ({"tests": {("weight_decay", 0.0): 1.0}}, "weight_decay/test_accuracy_gain"),
        ({"tests": {("dropout", 0.0): 1.0}}, "dropout/test_accuracy_gain"),
        ({"misfits": {"construction": 1e-3}}, "construction/log10_max_error"),
        ({"fits": FITS | {"kernel_random_labels": 0.7}}, "kernel_random_labels/train_accuracy"),
        ({"tests": {("kernel_true", 0.0): 0.3}}, "kernel_true_labels/generalizes"),
        ({"tests": {("kernel_random_labels", 0.0): 0.3}}, "kernel_random_labels/at_chance"),
    ],
)
def test_each_signature_can_be_absent(changes, finding):
    by_id, verdict = verdicts(**changes)
    assert by_id[finding] == "absent"
    assert verdict != "present"


@pytest.mark.parametrize(
    ("changes", "control"),
    [
        ({"fits": FITS | {"linear": 1.0}}, "linear/train_accuracy"),
        ({"fits": FITS | {"redrawn": 1.0}}, "resampled_labels/train_accuracy"),
        ({"tests": {("true", 0.0): 0.1}}, "true_labels/at_chance"),
        ({"tests": {("random_labels", 0.0): 0.9}}, "random_labels/generalizes"),
        ({"epochs": EPOCHS | {"shuffled_pixels": 30}}, "shuffled_pixels/time_to_fit_ratio"),
        ({"epochs": EPOCHS | {"random_labels": 3}}, "random_labels/fitted_first"),
        ({"epochs": EPOCHS | {"true": 38}}, "true_labels/fitted_last"),
        ({"tests": {("dropout", 0.4): 0.6}}, "dropout_label_noise/test_accuracy_gain"),
        ({"misfits": {"half_construction": 1e-9}}, "half_construction/log10_max_error"),
        (
            {"tests": {("kernel_null_noise", rate): 0.9 - rate for rate in NULL_RATES}},
            "kernel_random_labels/error_corruption_correlation",
        ),
    ],
)
def test_a_present_control_makes_all_inconclusive(changes, control):
    by_id, verdict = verdicts(**changes)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_a_network_that_never_fits_has_no_time_to_fit():
    by_id, verdict = verdicts(epochs=EPOCHS | {"random_labels": 99})
    assert by_id["random_labels/time_to_fit_ratio"] == "inconclusive"
    assert by_id["random_labels/fitted_last"] == "inconclusive"
    assert verdict != "present"


def test_all_randomizations_are_one_population():
    trials = list(RandomLabels().trials(EVERYTHING))
    assert len({trial.id for trial in trials}) == len(trials)
    together = next(g for g in plan.groups(trials) if g.trials[0].tags["arm"] == "true")
    arms = {trial.tags["arm"] for trial in together.trials}
    assert arms == {*RANDOMIZATIONS, "weight_decay"}
    assert len(together.trials) == 4 * (5 + 3 + 1)
    assert len(plan.groups(trials)) == 7


def test_the_learning_rate_decays_after_every_epoch():
    config = dataclasses.replace(EVERYTHING, decay=0.9, epochs=4)
    schedule = next(iter(RandomLabels().trials(config))).schedule
    assert schedule.settings["fractions"] == (0.25, 0.5, 0.75)
    assert schedule.settings["factors"] == pytest.approx((0.9, 0.81, 0.729))


def test_settings_that_do_not_exist():
    for change, message in (
        ({"arms": ("true",)}, "`arms` are of true"),
        ({"arms": ("true", "random_labels", "blurred")}, r"`arms` .*Received: .*blurred"),
        ({"rates": (0.4, 1.0)}, r"`rates` lie between 0 and 1.*\(0\.4, 1\.0\)"),
        ({"rates": (0.4,)}, "two at least"),
        ({"dropout": 0.3}, r"`dropout` .*`rates` must hold 0\.4"),
        ({"decay": 0.0}, "`decay` is above 0"),
    ):
        with pytest.raises(UsageError, match=message):
            Config(**change)


# ---- the randomizations as requested here ------------------------------------------------------


def data_of(arm, seed=0):
    data = Data("digits", 1437, None, "seeded", RANDOMIZATIONS[arm])
    return resolve(data, lambda name: seed)


def test_random_labels_are_sampled_once():
    true, random, again = data_of("true"), data_of("random_labels"), data_of("random_labels")
    np.testing.assert_array_equal(random.train_labels, again.train_labels)
    np.testing.assert_array_equal(random.clean_labels, true.train_labels)
    np.testing.assert_array_equal(random.test_labels, true.test_labels)
    changed = (random.train_labels != true.train_labels).mean()
    assert changed == pytest.approx(0.9, abs=3 * (0.09 / 1437) ** 0.5)
    assert (data_of("random_labels", 1).train_labels != random.train_labels).mean() > 0.8


def test_fractions_of_corrupted_labels_include_the_true_class():
    trials = RandomLabels().trials(dataclasses.replace(EVERYTHING, train=1437, seeds=1))
    noisy = [t for t in trials if t.tags["arm"] == "true" and t.tags["rate"]]
    for trial in noisy:
        seen, share = resolve(trial.data, trial.seed_of), 0.9 * trial.tags["rate"]
        changed = (seen.train_labels != seen.clean_labels).mean()
        assert changed == pytest.approx(share, abs=3 * (share * (1 - share) / 1437) ** 0.5)
    assert len(noisy) == 3


def test_shuffled_pixels_share_one_permutation_with_the_test_images():
    true, shuffled = data_of("true"), data_of("shuffled_pixels")
    columns = {column.tobytes(): i for i, column in enumerate(true.train_inputs.T)}
    order = [columns[column.tobytes()] for column in shuffled.train_inputs.T]
    np.testing.assert_array_equal(true.train_inputs[:, order], shuffled.train_inputs)
    np.testing.assert_array_equal(true.test_inputs[:, order], shuffled.test_inputs)
    assert (np.asarray(order) != np.arange(64)).sum() > 50


def test_random_pixels_are_permuted_image_by_image_in_training_only():
    true, random = data_of("true"), data_of("random_pixels")
    np.testing.assert_array_equal(np.sort(true.train_inputs), np.sort(random.train_inputs))
    np.testing.assert_array_equal(true.test_inputs, random.test_inputs)
    mean = true.train_inputs.mean(0), random.train_inputs.mean(0)
    assert mean[1].std() < 0.1 * mean[0].std(), "every place has the same distribution"


def test_gaussian_inputs_keep_mean_and_variance():
    true, drawn = data_of("true").train_inputs, data_of("gaussian").train_inputs
    assert drawn.mean() == pytest.approx(true.mean(), abs=0.01)
    assert drawn.std() == pytest.approx(true.std(), abs=0.01)


# ---- models and objectives ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "count"), [("cifar10_mlp_1x512", 1_209_866), ("cifar10_mlp_3x512", 1_735_178)]
)
def test_networks_of_the_paper_have_as_many_weights_as_printed(tensorflow, experiment, count):
    from tfphen.phenomena.random_labels.whitened_mlp import whitened_mlp

    config = RandomLabels.configure("paper", experiment)
    spec = next(iter(RandomLabels().trials(config))).model
    model = whitened_mlp((32, 32, 3), 10, **spec.settings)
    assert model.count_params() == count


def test_images_are_cropped_and_whitened(tensorflow):
    import keras

    from tfphen.phenomena.random_labels.whitened_mlp import whitened_mlp

    model = whitened_mlp((8, 8, 3), 10, hidden_units=(4,))
    images = np.random.default_rng(0).random((3, 8, 8, 3), dtype="float32")
    images[2] = 0.5  # a constant image is divided by 1 / sqrt(N), not by 0
    assert model.operations[-1].name == "mlp"
    seen = keras.Model(model.input, model.operations[-2].output)
    values = keras.ops.convert_to_numpy(seen(images))
    flat = images[:, 2:6, 2:6].reshape(3, -1).astype("float64")
    deviation = np.maximum(flat.std(1, keepdims=True), 48**-0.5)
    np.testing.assert_allclose(values, (flat - flat.mean(1, keepdims=True)) / deviation, atol=1e-5)


def test_redrawn_labels_ignore_the_given_ones_and_change_from_step_to_step(tensorflow):
    from tfphen.phenomena.random_labels.redrawn_labels import redrawn_labels
    from tfphen.train.objectives import Step

    tf, objective = tensorflow, redrawn_labels()
    logits = np.random.default_rng(0).normal(size=(2, 500, 10)).astype("float32")

    def losses(number, given):
        labels = np.full((2, 500), given, "int32")
        step = Step(None, labels, tf.constant(logits), {}, {}, {}, tf.constant(number), None)
        return objective(step).numpy()

    first, again, later = losses(3, 0), losses(3, 7), losses(4, 0)
    np.testing.assert_array_equal(first, again)
    assert (abs(first - later) > 1e-6).mean() > 0.8
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    drawn = abs(first[..., None] + log_probabilities).argmin(-1)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    counts = np.bincount(drawn[0], minlength=10)
    assert counts.min() > 25
    assert counts.max() < 80


# ---- linear results of the paper ---------------------------------------------------------------


@pytest.fixture(scope="module")
def wide():
    """Fewer examples than features, and the interpolating weights of least norm."""
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(6, 15)), generator.normal(size=6)
    return inputs, targets, inputs.T @ np.linalg.solve(inputs @ inputs.T, targets)


def test_gradient_descent_from_zero_finds_the_interpolation_of_least_norm(wide):
    inputs, targets, least = wide
    weights = np.zeros(15)
    for _ in range(4000):
        weights -= 0.03 * inputs.T @ (inputs @ weights - targets)
    np.testing.assert_allclose(weights, least, atol=1e-8)
    null = np.linalg.svd(inputs)[2][6:]
    np.testing.assert_allclose(null @ least, 0, atol=1e-12)
    other = least + null[0] + 2 * null[3]
    np.testing.assert_allclose(inputs @ other, targets)
    assert other @ other == pytest.approx(least @ least + 5)


def test_curvature_is_the_same_at_every_interpolation(tensorflow, wide):
    tf = tensorflow
    inputs, targets, least = wide
    null = np.linalg.svd(inputs)[2][6:]
    hessians = []
    for start in (least, least + 3 * null[1]):
        weights = tf.constant(start)
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(weights)
                errors = tf.linalg.matvec(tf.constant(inputs), weights) - targets
                loss = tf.reduce_mean(errors**2) / 2
            gradient = inner.gradient(loss, weights)
        hessians.append(outer.jacobian(gradient, weights, experimental_use_pfor=False).numpy())
    np.testing.assert_allclose(hessians[0], inputs.T @ inputs / 6, atol=1e-12)
    np.testing.assert_allclose(hessians[1], hessians[0], atol=1e-12)


# ---- published numbers and figure --------------------------------------------------------------


@pytest.mark.parametrize("experiment", ["mnist_kernel", "cifar10_mlp_1x512"])
def test_published_numbers_have_estimates(experiment):
    config = RandomLabels.configure("paper", experiment, {"seed": 0})
    small = dataclasses.replace(config, epochs=40)
    table = a_table(small)
    mine = [n for n in published.load("random_labels") if n.experiment == experiment]
    assert len(mine) == (3 if experiment == "mnist_kernel" else 6)
    for number in mine:
        estimate, _ = RandomLabels().reproductions(table, small, number)
        random = number.setting["arm"] == "random_labels"
        expected = 100 if "train" in number.metric else 10 if random else 95
        assert estimate.value == pytest.approx(5 if "error" in number.metric else expected, abs=1)
    absent = dataclasses.replace(mine[0], setting={"arm": "augmentation"})
    assert RandomLabels().reproductions(table, small, absent) is None


def test_every_number_was_read():
    numbers = published.load("random_labels")
    assert {number.provenance for number in numbers} == {"read"}
    exact = [n for n in numbers if n.dataset == "MNIST" and n.value is None]
    assert all(0 < n.upper - n.lower < 0.11 for n in exact)


@pytest.mark.parametrize("experiment", [None, "mnist_kernel", "cifar10_mlp_1x512"])
def test_figure(experiment):
    from matplotlib.figure import Figure

    config = EVERYTHING
    if experiment:
        config = RandomLabels.configure("paper", experiment, {"seed": 0})
        config = dataclasses.replace(config, epochs=40)
    figure = Figure(layout="constrained")
    RandomLabels().figure(a_table(config), config, figure)
    panels = {None: 3, "mnist_kernel": 1, "cifar10_mlp_1x512": 2}
    assert len(figure.axes) == panels[experiment]
    labels = [text.get_text() for text in figure.axes[-1].get_yticklabels()]
    assert ("kernel true" if experiment == "mnist_kernel" else "random labels") in labels


def test_solvers_are_those_that_the_grid_names():
    solvers = {trial.solver for trial in RandomLabels().trials(EVERYTHING)}
    assert {spec.name for spec in solvers if spec is not None} == set(RandomLabels.solvers)
    assert None in solvers
    assert Spec("random_labels") in RANDOM
