"""Class separation and transfer: verdicts, plan, probes, similarity, and the published draw."""

from types import SimpleNamespace

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.loss_transfer.findings import similarities, similarity_of_draws
from tfphen.phenomena.loss_transfer.phenomenon import LossTransfer
from tfphen.phenomena.loss_transfer.trials import LOSSES, Config
from tfphen.solvers.base import Problem
from tfphen.verdicts import comparison, findings, published

SMALL = LossTransfer.configure("small", None, {"seeds": 8, "seed": 0})
PAPER = ("fashion_mnist", "mnist_to_fashion", "fashion_to_mnist")
EXAMPLES, WIDTH = 150, 6

# By arm: class separation, probe accuracy at the penultimate and at the first layer, and how far
# penultimate outputs are from those that all softmax networks share. Others are as softmax.
SOFTMAX = (0.90, 0.950, 0.97, 0.2)
SHOWN = {
    "label_smoothing": (0.920, 0.945, 0.97, 0.5),
    "dropout": (0.930, 0.930, 0.97, 0.6),
    "final_layer_l2": (0.935, 0.910, 0.97, 0.7),
    "logit_penalty": (0.925, 0.940, 0.97, 0.6),
    "logit_normalization": (0.720, 0.940, 0.97, 0.6),
    "cosine_softmax": (0.950, 0.880, 0.97, 1.0),
    "sigmoid": (0.922, 0.942, 0.97, 0.5),
    "squared_error": (0.945, 0.900, 0.97, 0.9),
}


def a_table(config, shown):
    """Records of a plan with made-up measurements, as a table."""
    import pandas as pd

    rows = []
    for trial in LossTransfer().trials(config):
        arm, seed = trial.tags["arm"], trial.tags["seed"]
        generator = np.random.default_rng([seed, *arm.encode()])
        of_seed = np.random.default_rng(seed).normal(size=(EXAMPLES, WIDTH))
        level, probe, first, apart = shown.get(arm, SOFTMAX)
        start = shown.get(f"{arm} at the start", 0.3)

        def near(value, generator=generator):
            return value + 0.001 * generator.normal()

        row = {
            **trial.tags,
            "test_error": near(0.03),
            "curve_separation": np.array([start, near(level)]),
            "probe_penultimate": near(probe),
            "probe_first": near(first),
            "probe_inputs": 0.97,
        }
        for place in range(config.depth):
            far = apart if place == config.depth - 1 else SOFTMAX[-1]
            row[f"representation_{place}"] = of_seed + far * generator.normal(size=of_seed.shape)
        rows.append(row)
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(changes=None, config=SMALL):
    results = list(LossTransfer().findings(a_table(config, SHOWN | (changes or {})), config))
    return {finding.id: finding.verdict for finding in results}, findings.overall(results)


# ---- verdicts ----------------------------------------------------------------------------------


def test_present_with_absent_controls():
    by_id, verdict = verdicts()
    assert verdict == "present", by_id
    assert by_id["sigmoid/separation_gain"] == "present"
    assert "logit_normalization/separation_gain" not in by_id
    for arm in SMALL.gated:
        assert by_id[f"{arm}/separation_gain"] == "present"
        assert by_id[f"{arm}/separation_gain_before_training"] == "absent"
    assert by_id["shuffled_losses/separation_transfer_correlation"] == "absent"


EQUAL = {arm: (level, 0.95, 0.97, apart) for arm, (level, _, _, apart) in SHOWN.items()}


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"sigmoid": (0.90, 0.942, 0.97, 0.5)}, "sigmoid/separation_gain"),
        (
            {"label_smoothing": (0.96, 0.945, 0.97, 0.5)},
            "cosine_or_squared_error/separation_lead",
        ),
        (EQUAL, "other_losses/penultimate_probe_accuracy_drop"),
        ({"cosine_softmax": (0.95, 0.945, 0.97, 1.0)}, "cosine_softmax/probe_accuracy_drop"),
        ({"cosine_softmax": (0.95, 0.880, 0.90, 1.0)}, "cosine_softmax/late_probe_accuracy_drop"),
        (
            {arm: (level, 1.85 - probe, 0.97, 1.0) for arm, (level, probe, _, _) in SHOWN.items()}
            | {"softmax": (0.90, 0.89, 0.97, 0.2)},
            "other_losses/separation_transfer_correlation",
        ),
        ({arm: (*SHOWN[arm][:3], 0.1) for arm in SHOWN}, "other_losses/late_dissimilarity"),
    ],
)
def test_each_signature_can_be_absent(changes, finding):
    by_id, verdict = verdicts(changes)
    assert by_id[finding] == "absent", by_id
    assert verdict != "present"


@pytest.mark.parametrize(
    ("changes", "control"),
    [
        ({"softmax_again": (0.93, 0.95, 0.97, 0.2)}, "softmax_again/separation_gain"),
        ({"sigmoid at the start": 0.5}, "sigmoid/separation_gain_before_training"),
        (
            {"cosine_softmax at the start": 0.5},
            "cosine_or_squared_error/separation_lead_before_training",
        ),
        (
            {arm: (*SHOWN[arm][:2], 0.94, 1.0) for arm in SHOWN},
            "other_losses/first_probe_accuracy_drop",
        ),
        ({"softmax_again": (0.90, 0.90, 0.97, 0.2)}, "softmax_again/probe_accuracy_drop"),
        ({"softmax_again": (0.90, 0.90, 0.97, 0.2)}, "softmax_again/late_probe_accuracy_drop"),
        ({"softmax_again": (0.90, 0.95, 0.97, 0.9)}, "softmax_again/late_dissimilarity"),
    ],
)
def test_a_present_control_makes_the_verdict_inconclusive(changes, control):
    by_id, verdict = verdicts(changes)
    assert by_id[control] == "present", by_id
    assert verdict == "inconclusive"


def test_similarity_is_that_with_one_network_of_other_seeds():
    table = a_table(SMALL, SHOWN)
    by_arm = {arm: similarities(table, arm, SMALL.depth) for arm in ("softmax", *SHOWN)}
    assert by_arm["softmax"].shape == (SMALL.seeds, SMALL.depth)
    means = {arm: values.mean(0) for arm, values in by_arm.items()}
    assert means["softmax"][-1] > means["sigmoid"][-1] > means["cosine_softmax"][-1] > 0
    assert means["cosine_softmax"][0] == pytest.approx(means["softmax"][0], abs=0.05)
    itself = similarities(table, "softmax_reference", SMALL.depth)
    np.testing.assert_allclose(itself, 1.0, atol=1e-12)


def test_draws():
    from tfphen.phenomena.loss_transfer.similarity import compare, normal_pairs

    config = LossTransfer.configure("paper", "cka_demo", {"seeds": 60, "seed": 0})
    rows = []
    for trial in LossTransfer().trials(config):
        pair = normal_pairs(**trial.data.options)
        reports = compare(Problem([trial], SimpleNamespace(resolved=[pair]))).diagnostics
        rows.append({**trial.tags, **{name: values[0] for name, values in reports.items()}})
    import pandas as pd

    table = pd.DataFrame(rows)
    # The draw of the authors' notebook, to the digits that it prints.
    for index, value in (("plain", 0.5576133), ("unbiased", 0.5134565), ("rbf", 0.65483)):
        ours = similarity_of_draws(table, index, "published")
        assert ours.value == pytest.approx(value, abs=5e-6)
        assert ours.low == ours.high
    numbers = [n for n in published.load("loss_transfer") if n.experiment == "cka_demo"]
    assert len(numbers) == 3
    for number in numbers:
        ours, baseline = LossTransfer().reproductions(table, config, number)
        assert baseline is None
        assert comparison.compare(number, ours).verdict == "reproduced"
    by_id = {finding.id: finding for finding in LossTransfer().findings(table, config)}
    assert by_id["plain_cka/similarity"].verdict == "absent"
    # With infinitely many examples it is exactly one half.
    unbiased = by_id["unbiased_cka/similarity"].estimate
    assert unbiased.low < 0.5 < unbiased.high


def test_cka_with_gaussian_kernels_is_invariant_to_scale_and_rotation():
    from tfphen.phenomena.loss_transfer.similarity import rbf_cka

    generator = np.random.default_rng(0)
    x = generator.normal(size=(30, 5))
    rotation = np.linalg.qr(generator.normal(size=(5, 5)))[0]
    assert rbf_cka(x, 3.0 * x @ rotation - 1.0) == pytest.approx(1.0, abs=1e-12)
    assert rbf_cka(x, generator.normal(size=(30, 5))) < 0.9


# ---- the plan ----------------------------------------------------------------------------------


def test_one_population_for_each_loss_and_one_to_fine_tune():
    trials = list(LossTransfer().trials(SMALL))
    assert len({trial.id for trial in trials}) == len(trials)
    groups = plan.groups(trials)
    assert len(groups) == len(LOSSES) + 1
    by_arms = {tuple(sorted({t.tags["arm"] for t in g.trials})): g for g in groups}
    softmax = by_arms["softmax", "softmax_again", "softmax_reference", "untrained"]
    assert len(softmax.trials) == 4 * SMALL.seeds
    tuned = groups[-1].trials
    assert len(tuned) == (len(LOSSES) + 1) * SMALL.seeds
    for trial in tuned:
        (result,) = trial.inputs.values()
        assert "weights" in result.trial.measures
        assert (result.trial.tags["arm"], result.trial.seed) == (trial.tags["arm"], trial.seed)
        assert set(trial.data.classes) | set(result.trial.data.classes) == set(range(10))


def test_arms_of_a_seed_share_examples_start_and_order_but_for_the_named():
    for trial in LossTransfer().trials(SMALL):
        arm = trial.tags["arm"]
        streams = {name: trial.seed_of(name) for name in ("split", "probe", "init", "order")}
        assert streams["split"] == streams["probe"] == trial.seed
        others = ("softmax_again", "softmax_reference")
        assert (streams["init"] == streams["order"] == trial.seed) == (arm not in others)


def test_settings_reach_the_loss_or_the_last_layer():
    objectives = {"dropout": {"rate": 0.2}, "cosine_softmax": {"normalize_features": False}}
    config = Config(objectives=objectives, gated=tuple(objectives), seeds=1)
    by_arm = {trial.tags["arm"]: trial for trial in LossTransfer().trials(config)}
    dropout, cosine = (by_arm[name] for name in objectives)
    assert dropout.objective.name == "cross_entropy"
    assert dropout.model.settings["head"] == "dropout"
    assert dict(dropout.model.settings["head_settings"]) == {"rate": 0.2}
    assert cosine.objective.name == "cosine_softmax" and not cosine.objective.settings
    assert dict(cosine.model.settings["head_settings"]) == {"normalize_features": False}
    assert "head" not in by_arm["softmax"].model.settings


def test_paper_experiments_state_their_deviations():
    for name in PAPER:
        config = LossTransfer.configure("paper", name, {"seeds": 2, "seed": 0})
        assert config.differs
        trial = next(iter(LossTransfer().trials(config)))
        assert bool(trial.data.further) == (trial.data.classes is None) == bool(config.transfer)
        assert verdicts(config=config)[0]["sigmoid/separation_gain"] in ("present", "inconclusive")


def test_invalid_settings_are_rejected():
    fine = {"objectives": {"sigmoid": {}, "dropout": {}}, "gated": ("sigmoid", "dropout")}
    for change, message in (
        ({"objectives": {"softmx": {}}}, "`objectives` are of .*Received: softmx"),
        ({"gated": ("sigmoid",)}, "`gated` are two or more"),
        ({"gated": ("sigmoid", "squared_error")}, "`gated` are two or more of `objectives`"),
        ({"classes": ()}, "A probe learns the classes besides"),
        ({"transfer": "mnist"}, r"Received: classes=\[0, 1, 2, 3, 4\], transfer='mnist'"),
        ({"fine_tuning": 3.0, "classes": (0, 1)}, "as many other classes"),
        ({"model": {"name": "lstm"}}, "`model` has a name of mlp, lenet5"),
        ({"model": {"name": "mlp", "hidden_units": [4] * 5}}, "at most 4 hidden"),
    ):
        with pytest.raises(UsageError, match=message):
            Config(**fine | change)


def test_published_numbers_are_recalled_but_for_those_of_draws_and_of_others():
    numbers = published.load("loss_transfer")
    by_experiment = {}
    for number in numbers:
        by_experiment.setdefault(number.experiment, []).append(number)
    assert {n.provenance for n in by_experiment["imagenet_resnet50"]} == {"recalled"}
    assert {n.setting["arm"] for n in by_experiment["imagenet_resnet50"]} == set(LOSSES)
    assert len(by_experiment["imagenet_resnet50"]) == 9 * 10
    assert len(by_experiment["cosine_loss_from_scratch"]) == 12
    assert LossTransfer().reproductions(None, SMALL, by_experiment["imagenet_resnet50"][0]) is None


# ---- measures --------------------------------------------------------------------------


def test_a_probe_is_evaluated_on_held_out_examples():
    from tfphen.phenomena.loss_transfer.measures import probe_accuracy

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 300)
    features = np.eye(3)[labels] + 0.1 * generator.normal(size=(300, 3))
    assert probe_accuracy(features, labels) == 1.0
    # One scale for all features does not matter.
    noisy = np.eye(3)[labels] + generator.normal(size=(300, 3))
    assert probe_accuracy(1e3 * noisy, labels) == probe_accuracy(noisy, labels) < 0.9
    noise = generator.normal(size=(300, 40))
    assert probe_accuracy(noise, labels) == pytest.approx(1 / 3, abs=0.12)
    changed = noisy.copy()
    changed[0, 0] = np.nan
    assert np.isnan(probe_accuracy(changed, labels))


def a_view(**changes):
    generator = np.random.default_rng(0)
    features = np.maximum(generator.normal(size=(1, 12, 4)) + 0.5, 0.0)
    given = {"class_counts": np.array([[6, 4]]), "num_classes": 2, "features": features} | changes
    return SimpleNamespace(
        class_counts=given["class_counts"],
        num_classes=2,
        activations=lambda split, layer: given["features"],
        labels=lambda split: np.array([[0] * 6 + [1] * 6]),
    )


def test_separation_is_that_of_own_examples_with_nonzero_features():
    from tfphen.metrics import class_separation
    from tfphen.phenomena.loss_transfer.measures import separation

    view = a_view()
    features = view.activations("train", "features")
    labels = view.labels("train")[0][:10]
    # The last two are padding.
    expected = class_separation(features[0, :10].astype("float64"), labels)
    assert separation(view) == pytest.approx([expected])
    zeroed = features.copy()
    zeroed[0, 2] = 0.0
    expected = class_separation(np.delete(features[0, :10], 2, 0), np.delete(labels, 2))
    assert separation(a_view(features=zeroed)) == pytest.approx([expected])
    zeroed[0, :6] = 0.0
    assert np.isnan(separation(a_view(features=zeroed))).all()
    zeroed[0, 0] = np.nan
    assert np.isnan(separation(a_view(features=zeroed))).all()


def test_a_trained_body_keeps_the_new_last_layer():
    from tfphen.phenomena.loss_transfer.network import trained_body

    drawn = {"hidden_1/kernel": np.zeros((2, 3)), "logits/kernel": np.ones((3, 2))}
    weights, masks = trained_body(drawn, {"weights": np.arange(12.0)}, None)
    assert not masks and list(weights) == ["hidden_1/kernel"]
    np.testing.assert_array_equal(weights["hidden_1/kernel"], np.arange(6.0).reshape(2, 3))


def test_figure():
    from matplotlib.figure import Figure

    for config, panels in ((SMALL, 3), (LossTransfer.configure("smoke"), 2)):
        figure = Figure(layout="constrained")
        LossTransfer().figure(a_table(config, SHOWN), config, figure)
        assert len(figure.axes) == panels
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert {"softmax", "cosine softmax", "squared error", "inputs"} <= set(labels)
