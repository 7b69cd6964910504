"""Loss correction: plan, verdicts, two-stage training, and the label dependence of curvature."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data import transition_matrix
from tfphen.experiment import plan
from tfphen.phenomena.loss_correction.phenomenon import LossCorrection
from tfphen.phenomena.loss_correction.trials import COMPARED, Config
from tfphen.verdicts import findings, published

from .. import harness

EVERYTHING = Config(majority=0.6, minority=0.3, symmetric=0.2, seeds=4, seed=0)

# Test accuracies that show the phenomenon, by noise rate and arm.
SHOWN = {
    (0.6, "cross_entropy"): 0.55,
    (0.6, "forward"): 0.95,
    (0.6, "backward"): 0.92,
    (0.6, "forward_estimated"): 0.65,
    (0.6, "forward_transposed"): 0.60,
    (0.3, "forward_wrong"): 0.70,
    (0.2, "forward_wrong"): 0.60,
    (0.0, "forward_wrong"): 0.50,
}


def a_table(config, accuracies):
    """Builds the table of a plan from given accuracies, 0.96 by default."""
    import pandas as pd

    rows = []
    for trial in LossCorrection().trials(config):
        tags = trial.tags
        accuracy = accuracies.get((tags["rate"], tags["arm"]), 0.96)
        noise = 0.004 * np.sin(7.0 * tags["seed"] + len(tags["arm"]))
        estimate = transition_matrix("mnist_flips", 0.3, 10)
        rows.append(
            {**tags, "test_error": 1 - accuracy + noise, "transition_estimate_97": estimate}
        )
    # Findings must pair by seed, not by row order.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(accuracies, config=EVERYTHING):
    results = list(LossCorrection().findings(a_table(config, accuracies), config))
    return {finding.id: finding.verdict for finding in results}, findings.overall(results)


class TestFindings(harness.Findings):
    kind, config = LossCorrection, EVERYTHING
    FLIPS: ClassVar = {
        "majority_flips/forward_accuracy_gain": {(0.6, "forward"): 0.58},
        "majority_flips/backward_accuracy_gain": {(0.6, "backward"): 0.40},
        "majority_flips/estimated_matrix_accuracy_loss": {(0.6, "forward_estimated"): 0.94},
        "minority_flips/estimated_matrix_accuracy_loss": {(0.3, "forward_estimated"): 0.80},
        "symmetric_noise/forward_accuracy_change": {(0.2, "cross_entropy"): 0.85},
    }
    ANSWERS: ClassVar = {
        "majority_flips/transposed_matrix_accuracy_gain": {(0.6, "forward_transposed"): 0.95},
        "minority_flips/wrong_matrix_accuracy_loss": {(0.3, "forward_wrong"): 0.96},
        "symmetric_noise/forward_accuracy_gain": {(0.2, "cross_entropy"): 0.6},
        "clean_labels/identity_matrix_accuracy_gain": {(0.0, "cross_entropy"): 0.6},
    }

    def table(self, change):
        return a_table(self.config, SHOWN | change)


def test_the_second_stage_follows_the_network_that_estimates_its_matrix():
    trials = list(LossCorrection().trials(EVERYTHING))
    assert len({trial.id for trial in trials}) == len(trials)
    two_stage = [trial for trial in trials if trial.inputs]
    assert len(two_stage) == 2 * 3 * EVERYTHING.seeds
    for trial in two_stage:
        (result,) = trial.inputs.values()
        assert result.array == "transition_estimate_97"
        assert result.trial.objective.name == "cross_entropy"
        assert (result.trial.seed, result.trial.data) == (trial.seed, trial.data)
    seen = set()
    for group in plan.groups(trials):
        for trial in group.trials:
            assert {result.trial.id for result in trial.inputs.values()} <= seen
        seen |= {trial.id for trial in group.trials}


def test_one_population_per_loss():
    groups = plan.groups(LossCorrection().trials(EVERYTHING))
    # Cross-entropy; forward with the true, transposed, wrong, estimated matrix; backward with the
    # true and the estimated one.
    assert len(groups) == 7 + len(COMPARED)
    for group in groups:
        arms = {trial.tags["arm"] for trial in group.trials}
        noises = {(trial.tags["noise"], trial.tags["rate"]) for trial in group.trials}
        assert len(arms) == 1
        assert len(group.trials) == EVERYTHING.seeds * len(noises)


def test_each_size_has_a_signature_and_a_control():
    for size, experiment in (
        ("smoke", None),
        ("small", None),
        ("paper", "mnist_asymmetric_60"),
        ("paper", "mnist_asymmetric_20"),
        ("paper", "mnist_symmetric_20"),
    ):
        config = LossCorrection.configure(size, experiment)
        arms = {trial.tags["arm"] for trial in LossCorrection().trials(config)}
        assert {"cross_entropy", "forward_estimated", *COMPARED} <= arms
        config = dataclasses.replace(config, seeds=3)
        rates = {(rate, arm): value for (_, arm), value in SHOWN.items() for rate in (0.6,)}
        rates |= {(rate, "forward_wrong"): 0.6 for rate in (0.0, 0.2, 0.3)}
        assert verdicts(rates, config)[1] == "present"


def test_invalid_settings_are_rejected():
    with pytest.raises(UsageError, match=r"`percentile` must be one of .*Received: percentile=50"):
        Config(majority=0.6, percentile=50)
    with pytest.raises(UsageError, match="`compared` must be among bootstrap_soft"):
        Config(majority=0.6, compared=("hinge",))


def test_published_numbers_have_an_estimate():
    numbers = published.load("loss_correction")
    config = LossCorrection.configure("paper", "mnist_asymmetric_60", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN)
    mine = [number for number in numbers if number.experiment == "mnist_asymmetric_60"]
    assert {number.setting["arm"] for number in mine} >= {"cross_entropy", "forward", "savage"}
    for number in mine:
        estimate, baseline = LossCorrection().reproductions(table, config, number)
        assert estimate.n == 3
        assert 40 < estimate.value <= 100
        assert baseline.value == pytest.approx(96 if number.setting["rate"] == 0 else 55, abs=1)
    elsewhere = [number for number in numbers if number.dataset == "Clothing1M"]
    assert len(elsewhere) == 8
    assert LossCorrection().reproductions(table, config, elsewhere[0]) is None


def test_provenance_of_each_number():
    numbers = published.load("loss_correction")
    recalled = {
        (number.dataset, number.value) for number in numbers if number.provenance == "recalled"
    }
    assert recalled == {
        ("MNIST", 97.9),
        ("MNIST", 97.3),
        ("MNIST", 94.9),
        ("CIFAR-10", 87.8),
        ("CIFAR-10", 87.4),
        ("CIFAR-10", 86.3),
        ("CIFAR-10", 84.5),
    }


def test_figure():
    from matplotlib.figure import Figure

    for size, experiment in (("small", None), ("paper", "mnist_symmetric_20")):
        config = LossCorrection.configure(size, experiment, {"seeds": 2, "seed": 0})
        figure = Figure(layout="constrained")
        LossCorrection().figure(a_table(config, SHOWN), config, figure)
        assert len(figure.axes) == (5 if size == "small" else 1)
        labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert {"cross entropy", "forward, T estimated", "bootstrap soft"} <= set(labels)


# ---- through the engine ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(tensorflow, tmp_path_factory):
    """Trains three populations on a few digits: records by tags, and matrices in the loss."""
    from tfphen.experiment import runner
    from tfphen.train.loss_objectives import forward_correction

    given = []

    def recording(**settings):
        objective = forward_correction(**settings)

        def recorded(step):
            given.append(np.asarray(step.constants["transition_matrix"]))
            return objective(step)

        return recorded

    class Recording(LossCorrection):
        objectives: ClassVar = {"forward_correction": recording}

    config = Config(
        train=300,
        test=100,
        minority=0.3,
        compared=(),
        hidden_units=(32,),
        optimizer_settings={"learning_rate": 0.01},
        epochs=4.0,
        seed=0,
    )
    arms = ("cross_entropy", "forward", "forward_estimated")
    trials = [t for t in LossCorrection().trials(config) if t.tags["arm"] in arms]
    records = runner.run(Recording(), trials, tmp_path_factory.mktemp("records"))
    by_tags = {(t.tags["arm"], t.tags["rate"], t.seed): records[t.id] for t in trials}
    return by_tags, given


def test_without_noise_forward_correction_is_cross_entropy(ran):
    records, _ = ran
    for seed in (0, 1):
        plain = records["cross_entropy", 0.0, seed].values
        corrected = records["forward", 0.0, seed].values
        assert plain["test_error"] == corrected["test_error"] < 0.5
        assert plain["train_error"] == corrected["train_error"]
        assert plain["train_error"] == plain["train_error_on_clean_labels"]


def test_the_second_network_gets_the_matrix_estimated_by_the_first(ran):
    records, given = ran
    first, second = given[0], given[-1]
    true = transition_matrix("mnist_flips", 0.3, 10)
    np.testing.assert_allclose(first, [true, true, np.eye(10), np.eye(10)], atol=1e-7)
    assert second.shape == (2, 10, 10)
    for seed in (0, 1):
        record = records["cross_entropy", 0.3, seed]
        estimate = record.arrays["transition_estimate_97"]
        np.testing.assert_allclose(second[seed], estimate, atol=1e-7)
        np.testing.assert_allclose(estimate.sum(1), 1.0)
        distance = record.values["transition_distance_97"]
        assert distance == pytest.approx(abs(estimate - true).sum())
        other = record.arrays["transition_estimate_100"]
        assert abs(other - estimate).max() > 0.01
    assert abs(second[0] - second[1]).max() > 0.01


def test_a_matrix_with_equal_rows_has_a_backward_correction(tensorflow):
    from types import SimpleNamespace

    from tfphen.phenomena.loss_correction.objective import backward_estimated

    matrix = np.eye(3, dtype="float32")
    matrix[2] = matrix[1]
    matrices = tensorflow.constant(np.stack([matrix, np.eye(3, dtype="float32")]))
    logits = np.float32([[[1.0, 0.0, 2.0]], [[1.0, 0.0, 2.0]]])
    labels = np.int32([[0], [0]])
    step = SimpleNamespace(labels=labels, outputs=logits, constants={"transition_matrix": matrices})
    losses = backward_estimated()(step).numpy()
    assert np.isfinite(losses).all()
    expected = -np.log(np.exp(1.0) / np.exp([1.0, 0.0, 2.0]).sum())
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


# ---- curvature ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hessian_blocks(tensorflow):
    """Blocks of the Hessian of a loss in the two kernels of a ReLU network with 35 weights."""
    tf = tensorflow
    generator = np.random.default_rng(0)
    inputs = tf.constant(generator.normal(size=(6, 3)))
    start = tf.constant(generator.normal(size=35))

    def blocks(loss, labels):
        def total(weights):
            hidden = tf.nn.relu(inputs @ tf.reshape(weights[:15], (3, 5)))
            logits = hidden @ tf.reshape(weights[15:], (5, 4))
            return tf.reduce_mean(loss(np.asarray(labels), logits))

        with tf.GradientTape(persistent=True) as outer:
            outer.watch(start)
            with tf.GradientTape() as inner:
                inner.watch(start)
                value = total(start)
            gradient = inner.gradient(value, start)
        hessian = outer.jacobian(gradient, start, experimental_use_pfor=False).numpy()
        return hessian[:15, :15], hessian[15:, 15:], hessian[:15, 15:]

    return blocks


@pytest.mark.parametrize("name", ["cross_entropy", "backward", "forward"])
def test_curvature_of_each_layer_depends_on_labels_only_under_forward_correction(
    hessian_blocks, name
):
    from tfphen import losses

    matrix = np.array(
        [[0.7, 0.3, 0.0, 0.0], [0.0, 0.6, 0.4, 0.0], [0.1, 0.1, 0.8, 0.0], [0.2, 0.0, 0.0, 0.8]]
    )

    def loss(labels, logits):
        if name == "cross_entropy":
            return losses.forward_corrected_crossentropy(labels, logits, np.eye(4))
        if name == "backward":
            return losses.backward_corrected_crossentropy(labels, logits, matrix, clip=False)
        return losses.forward_corrected_crossentropy(labels, logits, matrix)

    one = hessian_blocks(loss, [0, 1, 2, 3, 0, 1])
    other = hessian_blocks(loss, [3, 3, 1, 0, 2, 2])
    *layers, across = [abs(a - b).max() for a, b in zip(one, other, strict=True)]
    assert min(abs(block).max() for block in one) > 0.01
    assert across > 0.01
    if name == "forward":
        assert min(layers) > 0.01
    else:
        assert max(layers) < 1e-12
