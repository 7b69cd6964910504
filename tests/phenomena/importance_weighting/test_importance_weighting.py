"""Importance weighting: verdicts, plan, data, measures, and mirrored points in training."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.importance_weighting.blobs import blobs
from tfphen.phenomena.importance_weighting.findings import spread as spread_of
from tfphen.phenomena.importance_weighting.phenomenon import ImportanceWeighting
from tfphen.phenomena.importance_weighting.trials import Config, Networks, Points
from tfphen.verdicts import findings, published

EVERYTHING = Config(
    seeds=4,
    seed=0,
    points=Points(overlapping={"distance": 2.0, "radius": 100.0}, epochs=1000, l2=0.1, alpha=1.0),
    networks=Networks(model={"name": "mlp", "hidden_units": [8]}, epochs=50, ratios=(4.0, 16.0)),
)

# Spread at the start, at a tenth and at the end, and training error at the end.
SHOWN = {
    "points": (0.5, 0.2, 0.1, 0.0),
    "points_l2": (0.5, 0.2, 0.3, 0.0),
    "points_poly_tailed": (0.5, 0.2, 0.2, 0.0),
    "points_overlapping": (0.8, 0.2, 0.2, 0.3),
    "networks": (1.0, 0.5, 0.1, 0.0),
    "networks_l2": (1.0, 0.6, 0.3, 0.01),
    "networks_half_l2": (1.0, 0.6, 0.25, 0.01),
    "networks_dropout": (1.0, 0.7, 0.12, 0.0),
    "noisy_linear": (1.0, 0.9, 0.8, 0.4),
}
EQUAL, SUB_SAMPLED = 0.6, 0.4


def a_table(config, spreads, equal=EQUAL, sub_sampled=SUB_SAMPLED, l2_alone=0.0):
    """Records of a plan with made-up curves, as a table."""
    import pandas as pd

    rows = []
    for trial in ImportanceWeighting().trials(config):
        arm, ratio, seed = (trial.tags[name] for name in ("arm", "ratio", "seed"))
        noise = 0.004 * np.sin(7.0 * seed + len(arm))
        at = np.array([*trial.curve, trial.steps])
        start, tenth, end, train_error = spreads.get(arm, (0.0, 0.0, 0.0, 0.0))
        log_steps = np.log10([1, trial.steps / 10, trial.steps])
        spread = np.interp(np.log10(at), log_steps, [start, tenth, end]) + noise
        share = equal + np.sign(np.log(ratio)) * spread / 2
        if arm == "networks_sub_sampled":
            share = np.full(len(at), sub_sampled + noise)
        elif arm == "points_l2" and ratio == 1.0:
            share = share + l2_alone
        rows.append(
            {
                **trial.tags,
                "curve_step": at,
                "curve_ambiguous_share": share,
                "curve_test_share": share,
                "curve_train_error": np.full(len(at), train_error + abs(noise) / 10),
                "curve_margin": at**0.3 + 1,
            }
        )
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(spreads=SHOWN, config=EVERYTHING, **settings):
    results = list(ImportanceWeighting().findings(a_table(config, spreads, **settings), config))
    return {finding.id: finding.verdict for finding in results}, findings.overall(results)


def changed(arm, place, value):
    numbers = list(SHOWN[arm])
    numbers[place] = value
    return SHOWN | {arm: tuple(numbers)}


# ---- verdicts ----------------------------------------------------------------------------------


def test_present_with_absent_controls():
    by_id, verdict = verdicts()
    assert verdict == "present"
    assert list(by_id.values()).count("present") == 7
    assert list(by_id.values()).count("absent") == 8


@pytest.mark.parametrize(
    ("spreads", "finding"),
    [
        (changed("points", 2, 0.2), "points/late_decline"),
        (changed("points_l2", 2, 0.12), "points_l2/restored_spread"),
        (changed("networks", 3, 0.05), "networks/train_accuracy"),
        (changed("networks", 2, 0.9), "networks/remaining_spread"),
        (changed("networks_l2", 2, 0.12), "networks_l2/restored_spread"),
        (changed("networks_dropout", 2, 0.2), "networks_dropout/restored_beyond_a_third_of_l2"),
    ],
)
def test_each_signature_can_be_absent(spreads, finding):
    by_id, verdict = verdicts(spreads)
    assert by_id[finding] == "absent"
    assert verdict != "present"


def test_sub_sampling_can_fail_to_act():
    by_id, verdict = verdicts(sub_sampled=0.58)
    assert (by_id["networks_sub_sampled/final_shift"], verdict) == ("absent", "absent")
    # A shift towards the class that was sub-sampled does not count.
    assert verdicts(sub_sampled=0.8)[0]["networks_sub_sampled/final_shift"] == "absent"


@pytest.mark.parametrize(
    ("settings", "control"),
    [
        ({"spreads": changed("points_overlapping", 2, 0.1)}, "points_overlapping/late_decline"),
        ({"spreads": changed("points_poly_tailed", 2, 0.1)}, "points_poly_tailed/late_decline"),
        ({"l2_alone": -0.2}, "points_l2/shift_without_weights"),
        ({"spreads": changed("noisy_linear", 3, 0.0)}, "noisy_linear/train_accuracy"),
        ({"spreads": changed("noisy_linear", 2, 0.1)}, "noisy_linear/remaining_spread"),
        ({"spreads": changed("networks_dropout", 2, 0.3)}, "networks_dropout/restored_spread"),
        (
            {"spreads": changed("networks_half_l2", 2, 0.1)},
            "networks_half_l2/restored_beyond_a_third_of_l2",
        ),
        ({"spreads": changed("networks", 2, 0.3)}, "networks/final_shift"),
    ],
)
def test_a_present_control_makes_the_verdict_inconclusive(settings, control):
    by_id, verdict = verdicts(**settings)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_without_a_spread_nothing_fades():
    by_id, verdict = verdicts(SHOWN | {"points": (0.0, -0.1, -0.1, 0.0)})
    assert by_id["points/late_decline"] == "inconclusive"
    assert verdict != "present"


# ---- the plan ----------------------------------------------------------------------------------


def test_weights_and_penalties_of_an_arm_share_a_population():
    groups = plan.groups(ImportanceWeighting().trials(EVERYTHING))
    arms = [{trial.tags["arm"] for trial in group.trials} for group in groups]
    images = {"networks", "networks_l2", "networks_half_l2", "networks_sub_sampled"}
    assert images in arms
    # Points: plain, with L2, poly-tailed, overlapping. Images: those above, dropout, linear.
    assert len(groups) == 7


def test_class_weights_have_mean_one_and_the_ratio_asked_for():
    trials = list(ImportanceWeighting().trials(EVERYTHING))
    for trial in trials:
        low, high = trial.constants["class_weights"]
        assert low + high == pytest.approx(2.0)
        expected = 1.0 if trial.tags["arm"] == "networks_sub_sampled" else trial.tags["ratio"]
        assert high / low == pytest.approx(expected)
    sub_sampled = [t for t in trials if t.tags["arm"] == "networks_sub_sampled"]
    for trial in sub_sampled:
        (corruption,) = trial.data.corruptions
        assert 1 / corruption.settings["ratio"] == pytest.approx(trial.tags["ratio"])
        # As many updates as the others, though epochs are shorter.
        assert trial.steps == trials[-1].steps


def test_curves_include_a_tenth_of_the_training():
    for epochs in (10, 200, 1000, 10000):
        curve = Points(epochs=epochs).curve()
        assert epochs // 10 in curve
        assert list(curve) == sorted(set(curve))
        assert curve[-1] < epochs
    curve = Networks(epochs=300, early=5).curve()
    assert curve[:5] == (1, 2, 3, 4, 5)
    assert 100 in curve


def test_each_size_has_signatures_and_controls_and_can_show():
    for size, experiment in (
        ("smoke", None),
        ("small", None),
        ("paper", "blobs_linear"),
        ("paper", "blobs_mlp"),
        ("paper", "cifar10_cat_dog"),
    ):
        config = ImportanceWeighting.configure(size, experiment)
        config = dataclasses.replace(config, seeds=3, seed=0)
        assert verdicts(config=config)[1] == "present"


def test_rate_over_the_largest_singular_value():
    config = ImportanceWeighting.configure("paper", "blobs_linear", {"seeds": 2, "seed": 0})
    trials = list(ImportanceWeighting().trials(config))
    for trial in trials:
        inputs = blobs(**trial.data.options).train_inputs
        value = np.linalg.svd(inputs, compute_uv=False)[0]
        assert trial.optimizer.settings["learning_rate"] == pytest.approx(0.01 / value, rel=1e-3)
    assert trials[0].steps == 10000 * 2 * 1000 // 8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Config(), "One of `points` and `networks` is needed. Received: neither"),
        (lambda: Points(ratio=1.0), r"Weight ratios are above 1, at least one. Received: \[1.0\]"),
        (lambda: Points(epochs=25), "`epochs` is a multiple of 10. Received: epochs=25"),
        (lambda: Points(model={"name": "mlp"}, l2=0.1), "`l2` is for the linear model"),
        (lambda: Points(divide_by="batch"), "`divide_by`"),
        (lambda: Networks(ratios=()), "Weight ratios are above 1"),
        (lambda: Networks(classes=(1, 2, 3)), r"`classes` are two. Received: classes=\[1, 2, 3\]"),
        (lambda: Networks(early=300), "Received: early=300, epochs=300"),
        (lambda: Networks(noise=0.5), "`noise`"),
    ],
)
def test_invalid_settings_are_rejected(make, message):
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert isinstance(raised.value, (UsageError, ValueError))


# ---- data, model and measures ------------------------------------------------------------------


def test_blobs_are_where_they_should_be():
    data = blobs(count=500, generator_seed=3)
    for label, center in ((0, (0.0, 5.0)), (1, (5.0, 0.0))):
        points = data.train_inputs[data.train_labels == label]
        assert len(points) == 500
        np.testing.assert_allclose(points.mean(0), center, atol=0.15)
        assert np.linalg.norm(points - center, axis=1).max() <= 2.0 + 1e-5
    far = blobs(count=500, distance=2.0, radius=100.0, generator_seed=3)
    centers = [far.train_inputs[far.train_labels == label].mean(0) for label in (0, 1)]
    assert np.linalg.norm(centers[0] - centers[1]) == pytest.approx(2.0, abs=0.2)
    np.testing.assert_allclose(np.mean(centers, 0), 2.5, atol=0.15)
    assert far.train_inputs.std(0).min() > 1.0
    other = blobs(count=500, generator_seed=4)
    assert abs(other.train_inputs - data.train_inputs).max() > 0.1
    # More test points leave the training points as they are.
    more = blobs(count=500, test_count=7, generator_seed=3)
    np.testing.assert_array_equal(more.train_inputs, data.train_inputs)


def test_mirrored_blobs_are_mirror_images():
    data = blobs(mirrored=True, generator_seed=1)
    first, second = (data.train_inputs[data.train_labels == label] for label in (0, 1))
    np.testing.assert_allclose(first[:, ::-1], second, atol=1e-6)


def test_the_network_of_the_paper(tensorflow):
    from tfphen.phenomena.importance_weighting.cat_dog_cnn import cat_dog_cnn

    model = cat_dog_cnn((32, 32, 3), 2, dropout=0.5)
    assert model.get_layer("flatten").output.shape == (None, 128 * 4 * 4)
    # 3x3 kernels of 3-64-64-128-128-128 channels, then dense 2048-512-128-2, all with biases.
    kernels = 9 * (3 * 64 + 64 * 64 + 64 * 128 + 2 * 128 * 128)
    dense = 2048 * 512 + 512 * 128 + 128 * 2
    assert model.count_params() == kernels + dense + 2 * 64 + 3 * 128 + 512 + 128 + 2
    assert [layer.rate for layer in model.layers if "dropout" in layer.name] == [0.5, 0.5]


def test_measures_of_two_logits():
    logits = np.array([[[0.0, 2.0], [1.0, -2.0], [3.0, 4.0]], [[0.0, -1.0], [0.0, -1.0], [5, 4]]])
    seen = []

    def apply(inputs):
        seen.append(inputs)
        return np.broadcast_to(logits[:, :1], (2, len(inputs), 2))

    trained = SimpleNamespace(
        logits=lambda split: logits,
        apply=apply,
        inputs=lambda split: np.zeros((2, 3, 4, 4, 1)),
        mean=lambda split, values: values.mean(1),
        trials=[SimpleNamespace(data=SimpleNamespace(classes=None))],
    )
    measures = {m.name: m for m in ImportanceWeighting.curve_measures}
    np.testing.assert_allclose(measures["test_share"](trained), [2 / 3, 0.0])
    np.testing.assert_allclose(measures["margin"](trained), [(2 + 3 + 1) / 3, 1.0])
    norms = np.array([[2.0, 5**0.5, 5.0], [1.0, 1.0, 41**0.5]]).mean(1)
    np.testing.assert_allclose(measures["logit_norm"](trained), norms)
    np.testing.assert_allclose(measures["ambiguous_share"](trained), [1.0, 0.0])
    np.testing.assert_allclose(measures["noise_share"](trained), [1.0, 0.0])
    grid, noise = seen
    # The grid is its own mirror image about the midpoint of the clouds.
    np.testing.assert_allclose(grid.mean(0), 2.5)
    assert {tuple(point) for point in grid} == {tuple(point) for point in grid[:, ::-1]}
    assert (grid.min(), grid.max(), len(grid)) == (-4.0, 9.0, 1600)
    assert noise.shape == (500, 4, 4, 1)
    assert noise.min() >= 0
    assert noise.max() <= 1


# ---- in training ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records(tensorflow, tmp_path_factory):
    """A linear model on mirrored points, by arm, ratio and seed."""
    from tfphen.experiment import runner

    points = Points(
        options={"mirrored": True},
        overlapping={"distance": 2.0, "radius": 100.0},
        model={"name": "linear", "kernel_initializer": "zeros"},
        epochs=1000,
    )
    config = Config(points=points, seeds=2, seed=0)
    trials = [t for t in ImportanceWeighting().trials(config) if t.tags["arm"] == "points"]
    by_id = runner.run(ImportanceWeighting(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags["ratio"], t.seed): by_id[t.id] for t in trials}


def test_opposite_weights_are_mirror_images_at_every_step(records):
    # Where weights are equal, points of the grid on the mirror axis fall to either side.
    on_axis = 40 / 1600
    for seed in (0, 1):
        shares = {r: records[r, seed].arrays["curve_ambiguous_share"] for r in (10.0, 1.0, 0.1)}
        np.testing.assert_allclose(shares[10.0] + shares[0.1], 1.0, atol=2 / 1600)
        np.testing.assert_allclose(shares[1.0], 0.5, atol=on_axis / 2 + 1e-6)
        for name in ("margin", "logit_norm"):
            up, down = (records[r, seed].arrays[f"curve_{name}"] for r in (10.0, 0.1))
            np.testing.assert_allclose(up, down, rtol=1e-3)


def test_weights_fade_while_margins_grow(records):
    for seed in (0, 1):
        arrays = records[10.0, seed].arrays
        assert arrays["curve_train_error"][-1] == 0.0
        assert (np.diff(arrays["curve_margin"]) > 0).all()
        spread = 2 * (arrays["curve_ambiguous_share"] - 0.5)
        tenth = np.flatnonzero(arrays["curve_step"] == 100)[0]
        assert spread[-1] < 0.9 * spread[tenth] < 0.6 * spread[0]


# ---- published numbers and figure --------------------------------------------------------------


def test_published_numbers_have_an_estimate():
    numbers = published.load("importance_weighting")
    config = ImportanceWeighting.configure("paper", "blobs_linear", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN, equal=0.5)
    mine = {
        (number.setting["weight"], number.setting["epoch"]): number
        for number in numbers
        if number.experiment == "blobs_linear"
    }
    assert len(mine) == 9
    pairs = {
        place: ImportanceWeighting().reproductions(table, config, number)
        for place, number in mine.items()
    }
    ours = {place: estimate for place, (estimate, _) in pairs.items()}
    assert pairs["up", 1][1] == pairs["down", 1][1] == ours["equal", 1]
    assert pairs["equal", 1][1] is None
    assert {estimate.n for estimate in ours.values()} == {3}
    assert ours["up", 1].value > ours["equal", 1].value > ours["down", 1].value
    assert ours["equal", 10].value == pytest.approx(0.5, abs=0.02)
    # Interpolated in the logarithm of the step, between 0.5 at step 1 and 0.2 at a tenth.
    at = config.points.curve().index(100)
    spread = spread_of(table, "points", "test_share")[:, at].mean()
    assert ours["up", 100].value - ours["down", 100].value == pytest.approx(spread)
    elsewhere = [number for number in numbers if number.experiment.startswith("wang")]
    assert len(elsewhere) == 12
    assert ImportanceWeighting().reproductions(table, config, elsewhere[0]) is None


def test_the_fraction_called_dog_is_a_mean_over_ratios():
    config = dataclasses.replace(EVERYTHING, points=None)
    table = a_table(config, SHOWN)
    (number,) = (
        n for n in published.load("importance_weighting") if n.experiment == "cifar10_cat_dog"
    )
    estimate, baseline = ImportanceWeighting().reproductions(table, config, number)
    assert (estimate.n, baseline) == (4, None)
    assert estimate.value == pytest.approx(EQUAL)


def test_figure():
    from matplotlib.figure import Figure

    for config, rows in ((EVERYTHING, 2), (dataclasses.replace(EVERYTHING, networks=None), 1)):
        figure = Figure(layout="constrained")
        ImportanceWeighting().figure(a_table(config, SHOWN), config, figure)
        assert len(figure.axes) == 3 * rows
        assert len(figure.axes[1].lines) == 5
        assert figure.axes[0].get_legend() is not None
    labels = [text.get_text() for text in figure.axes[2].get_legend().get_texts()]
    assert labels[0].startswith("separable: 1.00")
