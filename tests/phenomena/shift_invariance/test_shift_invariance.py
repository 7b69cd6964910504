"""Shift invariance: the grid, the verdicts on made-up distances, and attacks on networks."""

import dataclasses

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.shift_invariance.attack import Attack
from tfphen.phenomena.shift_invariance.images import Images
from tfphen.phenomena.shift_invariance.phenomenon import ShiftInvariance
from tfphen.phenomena.shift_invariance.trials import Config, Dots, Margins, Signals
from tfphen.verdicts import findings, published

NETS = {"fc": {"hidden_units": (8,)}, "conv": {"filters": 4}, "conv_none": {"pooling": "none"}}
SWEEP = {"fc": {"hidden_units": (8,)}} | {f"padding_{p}": {"padding": p} for p in (0, 2, 4)}
IMAGES = {"size": 0.5, "options": {"flatten": False}}
EVERYTHING = Config(
    margins=Margins(),
    dots=Dots(),
    vectors=Signals(),
    frequencies=Signals(),
    images=Images(nets=NETS, attack=Attack(l2_sizes=(0.0, 0.5)), **IMAGES),
    seeds=4,
    seed=0,
)
SWEPT = Config(
    images=Images(nets=SWEEP, attack=Attack(l2_sizes=(0.0, 0.5), shifts=2), **IMAGES), seeds=4
)


def shown(tags) -> float:
    """A distance, a margin or an accuracy at size .5 that shows the phenomenon."""
    if tags["part"] == "margins":
        return 1.0 if tags["case"] == "all_shifts" else 1.8
    if tags["part"] == "dots":
        root = tags["pixels"] ** -0.5
        known = {"convolution": root, "linear": root, "linear_zero_mean": 0.0}
        return known.get(tags["arm"], 1.0)
    if tags["part"] == "images":
        padding = tags["net"].removeprefix("padding_")
        return (
            0.8 - 0.1 * int(padding) if padding.isdigit() else 0.3 + 0.4 * (tags["net"] != "conv")
        )
    if tags["arm"] == "fully_connected":
        return 0.16
    return 0.05 if tags["part"] == "vectors" else 0.28


def a_table(config, value=shown, clean=lambda tags: 0.95, consistency=lambda tags: 0.5):
    """Records of a plan with made-up results, as a table."""
    import pandas as pd

    rows = []
    for trial in ShiftInvariance().trials(config):
        tags = dict(trial.tags)
        noise = 1 + 0.004 * np.sin(7.0 * tags["seed"] + len(tags.get("arm", "")))
        if tags["part"] == "margins":
            found = {"margin_over_dc_margin": value(tags) * (1 + (noise - 1) / 100)}
        elif tags["part"] == "images":
            shares = np.asarray([clean(tags), value(tags)]) * noise
            robust = np.linspace(0, 1, 500)[:, None] < shares
            consistent = consistency(tags)
            if tags["net"].startswith("padding_"):
                consistent = 0.4 + 0.1 * int(tags["net"].removeprefix("padding_"))
            found = {"robust_l2": robust, "consistency": consistent * noise}
        else:
            found = {"distances": value(tags) * noise * np.asarray([0.9, 1.1])}
        rows.append(tags | found)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(config=EVERYTHING, **made_up):
    found = list(ShiftInvariance().findings(a_table(config, **made_up), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


def changed(value, **where):
    """`shown`, but for trials with these tags."""

    def function(tags):
        return value if where.items() <= dict(tags).items() else shown(tags)

    return function


@pytest.mark.parametrize("config", [EVERYTHING, SWEPT], ids=["parts", "sweep"])
def test_present_with_silent_controls(config):
    by_id, verdict = verdicts(config)
    assert verdict == "present", by_id


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        (
            changed(1.0, part="dots", arm="convolution"),
            "convolution/distance_slope_sqrt",
        ),
        (changed(0.3, arm="convolution"), "fully_connected/distance_ratio_to_convolution"),
        (changed(1.1, case="all_shifts"), "all_shifts/margin_ratio"),
        (
            lambda tags: shown(tags) * (2 if tags.get("arm") == "linear" else 1),
            "linear/scaled_distance",
        ),
        (changed(0.15, part="vectors"), "convolution/distance_ratio_20_vectors"),
        (
            changed(0.1, part="frequencies", arm="convolution"),
            "convolution/distance_ratio_20_frequencies",
        ),
        (changed(0.7, net="conv"), "fc/robust_accuracy_gap_to_conv"),
    ],
)
def test_each_signature_can_be_absent(value, finding):
    by_id, verdict = verdicts(value=value)
    assert by_id[finding] == "absent"
    assert verdict == "absent"


def test_a_distance_that_decreases_for_both_is_no_effect_of_invariance():
    by_id, verdict = verdicts(value=lambda tags: tags.get("pixels", 4) ** -0.5)
    assert by_id["fully_connected/distance_slope_flat"] == "absent"
    assert by_id["fully_connected/distance_slope_sqrt"] == "present"
    assert verdict == "inconclusive"


@pytest.mark.parametrize(
    ("made_up", "control"),
    [
        ({"value": changed(1.0, case="no_shifts")}, "no_shifts/margin_ratio"),
        ({"value": changed(0.1, arm="no_pooling")}, "fully_connected/distance_ratio_to_no_pooling"),
        ({"value": changed(0.1, arm="no_pooling")}, "no_pooling/distance_ratio_dots"),
        (
            {"value": changed(1 / 13, arm="linear_zero_mean")},
            "linear_zero_mean/scaled_distance",
        ),
        (
            {"clean": lambda tags: 0.6 if tags["net"] == "conv" else 0.95},
            "fc/clean_accuracy_gap_to_conv",
        ),
    ],
)
def test_a_control_that_fires_makes_all_inconclusive(made_up, control):
    by_id, verdict = verdicts(**made_up)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_an_infinite_distance_has_no_slope():
    by_id, verdict = verdicts(value=changed(np.inf, arm="convolution", pixels=9))
    assert by_id["convolution/distance_slope_sqrt"] == "inconclusive"
    assert verdict == "inconclusive"


def test_a_population_for_each_network_and_size():
    groups = plan.groups(ShiftInvariance().trials(EVERYTHING))
    # SVMs 2; dots 4 sizes twice, 2 without pooling, 3 linear; signals 4; images 3.
    assert len(groups) == 2 + 8 + 2 + 3 + 4 + 3
    assert all(len(group.trials) == 4 for group in groups)


def test_each_paper_experiment_can_be_present():
    for name in ("dots", "two_class_17x17", "orthogonal_vectors", "orthogonal_frequencies"):
        config = ShiftInvariance.configure("paper", name, {"seeds": 3, "seed": 0})
        contrast = config.dots.contrast
        by_id, verdict = verdicts(
            config,
            value=lambda tags, contrast=contrast: (
                shown(tags) * (contrast if tags["part"] == "dots" else 1)
            ),
        )
        assert verdict == "present", (name, by_id)


def test_statistics_of_published_numbers():
    numbers = published.load("shift_invariance")
    config = ShiftInvariance.configure("paper", "dots", {"seeds": 3, "seed": 0})
    table = a_table(config)
    mine = [number for number in numbers if number.experiment == "dots"]
    assert len(mine) == 4
    for number in mine:
        ours, _ = ShiftInvariance().reproductions(table, config, number)
        assert ours.value == pytest.approx(number.value, rel=0.02)
    config = ShiftInvariance.configure("paper", "orthogonal_frequencies", {"seeds": 2, "seed": 0})
    table = a_table(config)
    found = [
        ShiftInvariance().reproductions(table, config, number)
        for number in numbers
        if number.experiment == "orthogonal_frequencies"
    ]
    # Perceptrons on all counts, the convolution on the first: means and medians.
    assert sum(one is not None for one in found) == 8
    other = next(number for number in numbers if number.experiment == "orthogonal_vectors")
    assert ShiftInvariance().reproductions(table, config, other) is None


def test_statistics_of_published_numbers_of_images():
    numbers = [n for n in published.load("shift_invariance") if n.experiment == "mnist"]
    config = ShiftInvariance.configure("paper", "mnist", {"seeds": 2, "seed": 0})
    nets = set(config.images.nets)
    table = a_table(config)
    robust = np.ones((50, 3), bool)
    table["robust_l2"] = table["robust_linf"] = [robust] * len(table)
    for number in numbers:
        ours = ShiftInvariance().reproductions(table, config, number)
        if number.setting["net"] not in nets:
            assert ours is None
        elif number.metric == "robust accuracy":
            assert ours[0].value == 1.0
        else:
            assert 40 < ours[0].value < 60


def test_largest_robust_size():
    from tfphen.phenomena.shift_invariance.findings import largest_robust_sizes

    table = a_table(Config(dots=Dots(sizes=(9,), control_sizes=(9,)), seeds=2))
    robust = np.asarray([[True, True, True], [True, False, True]])
    table["robust_linf"] = [robust] * len(table)
    largest = largest_robust_sizes(table, (0.1, 0.2, 0.3), part="dots", arm="convolution")
    assert largest.tolist() == [0.1, 0.1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Config(), "At least one of `margins`, `dots`"),
        (lambda: Config(vectors=Signals()), "need `dots` with `control_sizes`"),
        (lambda: Dots(sizes=(9,), control_sizes=(25,)), "`control_sizes` are some of `sizes`"),
        (lambda: Signals(convolution_counts=(3,)), "`convolution_counts` are some of"),
        (lambda: Attack(box=(1.0, 0.0)), "`box` holds the minimum and the maximum"),
        (lambda: Images(nets={"conv": {}}), "a perceptron with `hidden_units` first"),
        (lambda: Images(nets=NETS), "hold 0 and `size`"),
        (lambda: dataclasses.replace(EVERYTHING.images, nets=SWEEP), "needs `attack.shifts`"),
    ],
)
def test_invalid_settings(make, words):
    with pytest.raises(UsageError, match=words):
        make()


@pytest.mark.parametrize(
    ("config", "panels"), [(EVERYTHING, 3), (SWEPT, 2), (Config(margins=Margins()), 1)]
)
def test_figure(config, panels):
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    ShiftInvariance().figure(a_table(config), config, figure)
    assert len(figure.axes) == panels


# ---- trained networks ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(tensorflow, tmp_path_factory):
    """A linear pooled network on images of three by three, and the hard margins."""
    from tfphen.experiment import runner

    attack = Attack(linf_sizes=(0.0, 0.05, 0.2), ascent_steps=5, step_share=0.4, shifts=2)
    attack = dataclasses.replace(attack, random_start=True)
    dots = Dots(sizes=(3,), control_sizes=(3,), dimensions=2, units=4, attack=attack, steps=200)
    config = Config(margins=Margins(length=6, per_class=2), dots=dots, seeds=2, seed=0)
    arms = ("linear", None)
    trials = [t for t in ShiftInvariance().trials(config) if t.tags.get("arm") in arms]
    known = runner.run(ShiftInvariance(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags.get("arm") or t.tags["case"], t.seed): known[t.id] for t in trials}


def test_a_linear_pooled_net_is_attacked_through_the_sum(ran):
    """The boundary is the plane of one sum: 1 / sqrt(9) from each dot on the mean of both."""
    for seed in (0, 1):
        record = ran["linear", seed]
        assert record.values["test_error"] == 0.0
        assert record.values["consistency"] == 1.0
        distances = record.arrays["distances"]
        np.testing.assert_allclose(distances.mean(), 1 / 3, rtol=0.01)
        # In the maximum norm the sum moves by 9 times the size: 1/9 turns a dot.
        assert record.arrays["robust_linf"].tolist() == [[True, True, False]] * 2


def test_hard_margins_with_and_without_shifts(ran):
    for seed in (0, 1):
        values = ran["all_shifts", seed].values
        assert values["margin_over_dc_margin"] == pytest.approx(1.0, abs=1e-4)
        assert values["cosine_with_constant"] == pytest.approx(1.0, abs=1e-4)
        values = ran["no_shifts", seed].values
        assert values["margin_over_dc_margin"] > 1.05
        assert values["cosine_with_constant"] < 0.99
