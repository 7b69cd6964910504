"""Manifold mixup: the grid, the verdicts, and the measures of networks."""

import dataclasses
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec
from tfphen.experiment import plan
from tfphen.phenomena.manifold_mixup.phenomenon import ManifoldMixup
from tfphen.phenomena.manifold_mixup.trials import (
    ARMS,
    ATTACK_SIZES,
    DIRECTIONS,
    TESTED,
    Config,
    Flattening,
)
from tfphen.train.loss_objectives import OBJECTIVES
from tfphen.verdicts import findings, published

from .. import harness

EVERYTHING = Config(
    tested=TESTED,
    flattened=("hidden_2",),
    least_nll=0.2,
    least_error=0.01,
    least_flattening=0.03,
    seeds=4,
    seed=0,
)

# Test loss, test error and share of energy outside the first directions that show the phenomenon.
SHOWN = {
    "none": (2.1, 0.37, 0.67),
    "input": (1.0, 0.33, 0.80),
    "manifold": (1.0, 0.34, 0.71),
    "independent_labels": (1.4, 0.39, 0.70),
    "lambda_one": (2.1, 0.37, 0.67),
    "none_other": (2.1, 0.37, 0.67),
}


def a_table(config=EVERYTHING, changes=None):
    """Records of a plan with made-up values, as a table."""
    import pandas as pd

    numbers = SHOWN | (changes or {})
    rows = []
    for trial in ManifoldMixup().trials(config):
        arm, seed = trial.tags["arm"], trial.tags["seed"]
        loss, error, share = numbers[arm]
        noise = 0.002 * np.sin(7.0 * seed + len(arm))
        row = {**trial.tags, "test_loss": loss + noise, "test_error": error + noise}
        row |= {f"curve_test_{kind}": np.full(5, row[f"test_{kind}"]) for kind in ("loss", "error")}
        row["attacked_accuracy"] = np.array([[0.6, 0.5, 0.4], [0.6, 0.4, 0.2]]) + noise
        for layer in config.flattened:
            parts = np.tile([(share + noise) / 10, 20.0, 30.0, 900.0], (10, 1))
            row[f"flattening_{layer}"] = parts
            row[f"spectrum_{layer}"] = np.tile(0.01 * 0.8 ** np.arange(20.0), (10, 1))
        rows.append(row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(changes=None, config=EVERYTHING):
    found = list(ManifoldMixup().findings(a_table(config, changes), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


class TestFindings(harness.Findings):
    kind, config = ManifoldMixup, EVERYTHING
    FLIPS: ClassVar = {
        "manifold/test_nll_reduction": {"manifold": (2.1, 0.34, 0.71)},
        "manifold/test_error_reduction": {"manifold": (1.0, 0.37, 0.71)},
        "matching_labels/test_nll_reduction": {"independent_labels": (1.0, 0.39, 0.70)},
        "matching_labels/test_error_reduction": {"independent_labels": (1.4, 0.345, 0.70)},
        "manifold/flattening_vs_input": {"manifold": (1.0, 0.34, 0.80)},
    }
    # The control whose labels do not match answers too.
    OVERALL: ClassVar = {"matching_labels/test_error_reduction": "inconclusive"}
    ANSWERS: ClassVar = {
        "none_other/test_nll_reduction": {"none_other": (1.5, 0.37, 0.67)},
        "lambda_one/test_nll_reduction": {"lambda_one": (1.5, 0.37, 0.67)},
        "lambda_one/test_error_reduction": {"lambda_one": (2.1, 0.35, 0.67)},
        "independent_labels/test_error_reduction": {"independent_labels": (1.4, 0.35, 0.70)},
        "none_other/flattening_vs_none": {"none_other": (2.1, 0.37, 0.60)},
    }

    def table(self, change):
        return a_table(self.config, change)

    def test_smoother_labels_alone_are_no_control(self):
        """They lower the loss of an overconfident network."""
        by_id, _ = self.verdicts({})
        assert "independent_labels/test_nll_reduction" not in by_id
        assert {name for name, found in by_id.items() if found == "present"} == set(self.FLIPS)


def test_only_requested_quantities_are_tested():
    config = dataclasses.replace(EVERYTHING, tested=("loss",), flattened=(), attacked=False)
    by_id, verdict = verdicts(config=config)
    assert verdict == "present"
    assert not [name for name in by_id if "error" in name or "flat" in name]
    for trial in ManifoldMixup().trials(config):
        assert set(trial.measures) == {"test_error", "test_loss", "train_error", "train_loss"}


def test_arms_differ_in_the_mixing_alone():
    trials = {t.tags["arm"]: t for t in ManifoldMixup().trials(EVERYTHING) if t.seed == 1}
    assert list(trials) == list(ARMS)
    places = (0, "hidden_1", "hidden_2")
    assert {arm: trial.mixing for arm, trial in trials.items()} == {
        "none": Spec("none"),
        "none_other": Spec("none"),
        "input": Spec("manifold", layers=(0,), alpha=1.0, parts=1),
        "manifold": Spec("manifold", layers=places, alpha=2.0, parts=1),
        "lambda_one": Spec("manifold", layers=places, alpha=0.0, parts=1),
        "independent_labels": Spec(
            "manifold", layers=places, alpha=2.0, parts=1, label_partners="independent"
        ),
    }
    plain = trials["none"]
    for arm, trial in trials.items():
        assert trial.data == plain.data
        same = dataclasses.replace(
            trial, mixing=plain.mixing, stream_seeds={}, measures=plain.measures
        )
        assert same.id == plain.id
        assert (trial.seed_of("init") == plain.seed_of("init")) == (arm != "none_other")
    # Arms without mixing train together; each other arm has a graph of its own.
    groups = plan.groups(ManifoldMixup().trials(EVERYTHING))
    assert sorted(len(group.trials) for group in groups) == [4, 4, 4, 4, 8]


def test_the_published_protocol():
    config = ManifoldMixup.configure("paper", "svhn_preact18")
    trial = next(iter(ManifoldMixup().trials(config)))
    assert trial.objective == Spec("softmax_binary_crossentropy")
    assert trial.optimizer.settings["coupled"]
    assert trial.augmentation.settings["fill"] == (-1.0, -1.0, -1.0)
    assert trial.augmentation.settings["padding"] == 2
    assert not trial.augmentation.settings["flip"]
    falls = trial.schedule.settings
    assert [round(1200 * share) for share in falls["fractions"]] == [400, 800]
    assert falls["factors"] == (0.1, 0.01)


@pytest.mark.parametrize("experiment", ["cifar10_preact18", "cifar10_wrn28_10", "fashion_mnist"])
def test_mixing_layers_of_the_paper_experiments_exist(experiment):
    from tfphen import models
    from tfphen.layers import mixing_points

    config = ManifoldMixup.configure("paper", experiment)
    settings = {**config.model_settings, "width": 1}
    model = models.get(config.model)((28, 28, 1), 10, **settings)
    places = [0 if name == "inputs" else name for name in config.layers]
    assert mixing_points.checked_points(model, places) == places


def test_invalid_settings():
    for settings, message in (
        ({"arms": ("none", "manifold", "cutmix")}, "`arms` are of none, input"),
        ({"arms": ("none", "manifold", "input")}, "none_other"),
        ({"loss": "hinge"}, "loss"),
        ({"alpha": 0.0}, "alpha"),
        ({"flattened": ("logits",)}, "flattened"),
        ({"flatter_than": ("lambda_one",)}, "flatter_than"),
        ({"drops": (0.5,)}, "`drops` and `drop_factors`"),
        ({"tested": ()}, "`tested` is of"),
        ({"tested": ("flattening",)}, "last layer of `flattened`"),
        ({"tested": ("loss",), "arms": ("none", "manifold", "independent_labels")}, "lambda_one"),
    ):
        with pytest.raises(UsageError, match=message):
            Config(**settings)


def test_statistics_of_published_numbers():
    numbers = published.load("manifold_mixup")
    assert {number.provenance for number in numbers} == {"read"}
    compared = {}
    for experiment in ("cifar10_preact18", "cifar100_preact18", "cifar10_wrn28_10"):
        config = ManifoldMixup.configure("paper", experiment, {"seeds": 3, "seed": 0})
        table = a_table(config)
        for number in numbers:
            if number.experiment == experiment and number.n == 5:
                ours, plain = ManifoldMixup().reproductions(table, config, number)
                compared[experiment, number.metric, number.setting["arm"]] = number.value
                loss, error, _ = SHOWN[number.setting["arm"]]
                expected = 100 * error if number.metric == "test error, %" else loss
                assert ours.value == pytest.approx(expected, rel=0.01)
                assert ours.n == plain.n == 3
    assert len(compared) == 18
    assert compared["cifar10_wrn28_10", "test NLL", "input"] == 0.173
    config = ManifoldMixup.configure("paper", "mnist_flattening", {"seeds": 3, "seed": 0})
    number = next(n for n in numbers if n.experiment == "mnist_flattening")
    ours, _ = ManifoldMixup().reproductions(a_table(config), config, number)
    assert ours.value == pytest.approx(30.0)
    config = dataclasses.replace(EVERYTHING, flattened=(), tested=("loss",))
    assert ManifoldMixup().reproductions(a_table(config), config, number) is None


@pytest.mark.parametrize("panels", [2, 3, 4])
def test_figure(panels):
    from matplotlib.figure import Figure

    config = dataclasses.replace(EVERYTHING, curve=(10, 20) if panels == 2 else ())
    if panels < 4:
        config = dataclasses.replace(config, attacked=False)
    if panels < 3:
        config = dataclasses.replace(config, flattened=(), tested=("loss", "error"))
    figure = Figure(layout="constrained")
    ManifoldMixup().figure(a_table(config), config, figure)
    assert len(figure.axes) == panels
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(names) == len(set(names)) == 6


# ---- measures ----------------------------------------------------------------------------------


def test_spectrum_and_flattening_agree(tensorflow):
    from tfphen.phenomena.manifold_mixup import measures

    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 50)
    states = generator.normal(size=(150, 6)) * [3, 1, 1, 1, 0.5, 0] + 5 * labels[:, None]
    rows = measures.class_spectra(states.astype("float32"), labels)
    assert rows.shape == (3, DIRECTIONS)
    assert (np.diff(rows) <= 0).all()
    assert (rows[:, 6:] == 0).all()
    flat = measures.class_flattening_rows(states, labels)
    np.testing.assert_allclose(
        rows[:, 1:].sum(1), flat[:, Flattening.SHARE_OUTSIDE_FIRST], rtol=1e-5
    )
    total = ((states - states.mean(0)) ** 2).sum()
    largest = flat[:, Flattening.LARGEST_SINGULAR_VALUE]
    np.testing.assert_allclose(rows[:, 0] * total, largest**2)


class _Linear:
    """Two members that compare a weighted sum of two inputs with zero, as a `Trained` view."""

    def __init__(self, inputs, labels, kernels):
        self._inputs, self._labels, self._kernels = inputs, labels, kernels

    def inputs(self, split):
        return self._inputs

    def labels(self, split):
        return self._labels

    def with_model(self, function, inputs, labels):
        import tensorflow as tf

        def apply(x):
            sums = tf.einsum("mni,mi->mn", x, self._kernels)
            return tf.stack([-sums, sums], -1)

        return function(apply, tf.constant(inputs), tf.constant(labels)).numpy()


def test_attacks_flip_a_linear_network_at_its_margin(tensorflow):
    from tfphen.phenomena.manifold_mixup import measures

    generator = np.random.default_rng(0)
    kernels = np.float32([[1.0, -2.0], [0.5, 0.5]])
    inputs = generator.normal(size=(2, 400, 2)).astype("float32") * 3
    sums = np.einsum("mni,mi->mn", inputs, kernels)
    labels = (sums > 0).astype("int32")
    labels[:, :40] = 1 - labels[:, :40]
    accuracy = measures.attacked_accuracy(_Linear(inputs, labels, kernels))
    assert accuracy.shape == (2, 2, 3)
    # A change of each input by at most e moves the sum by at most e |w|_1: one step is enough.
    margins = abs(sums) / abs(kernels).sum(1)[:, None]
    for place, size in enumerate((0.0, *ATTACK_SIZES)):
        stands = (margins > size * inputs.std()) & (labels == (sums > 0))
        np.testing.assert_allclose(accuracy[:, 0, place], stands.mean(1), atol=1e-6)
        np.testing.assert_allclose(accuracy[:, 1, place], stands.mean(1), atol=1e-6)
    assert accuracy[0, 0, 2] < accuracy[0, 0, 1] < 0.9


def test_the_published_loss_keeps_the_member_axis(tensorflow):
    objective = OBJECTIVES["softmax_binary_crossentropy"]()
    step = SimpleNamespace(labels=np.int32([[3], [4]]), outputs=np.zeros((2, 1, 10), "float32"))
    np.testing.assert_allclose(objective(step), [[0.32508], [0.32508]], atol=1e-5)
