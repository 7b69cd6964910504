"""Simplicity bias: the grid, the verdicts, and measures with shuffled blocks."""

import dataclasses

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment import plan
from tfphen.phenomena.simplicity_bias import findings as summary
from tfphen.phenomena.simplicity_bias import measures
from tfphen.phenomena.simplicity_bias.auc import auc
from tfphen.phenomena.simplicity_bias.phenomenon import SimplicityBias
from tfphen.phenomena.simplicity_bias.slabs import slab_blocks, slabs
from tfphen.phenomena.simplicity_bias.trials import SCORES, Config, Diversity, SlabTraining
from tfphen.verdicts import findings, published

COLLAGES = Diversity("collages", models=4, upper_bounds=True)
EVERYTHING = Config(
    slab_test=SlabTraining(),
    networks=3,
    untrained=True,
    label_free=SlabTraining(label_free=(0,)),
    equal=SlabTraining(blocks=((2, 1), (2, 9))),
    noisy=SlabTraining(noisy=0.1),
    without_simple=SlabTraining(blocks=((5, 9),)),
    diversity=Diversity(options={"blocks": ((2, 1), (3, 2), (5, 2))}, models=4),
    seeds=4,
    seed=0,
)
# AUCs, of all test examples and with the first block and the others shuffled, that show the bias;
# accuracies for the noisy block.
SHOWN = {
    "slab_test": (1.0, 0.5, 1.0),
    "untrained": (0.5, 0.5, 0.5),
    "label_free": (1.0, 1.0, 0.5),
    "equal": (1.0, 1.0, 0.65),
    "noisy": (0.95, 0.5, 0.95),
    "without_simple": (1.0, 0.5, 1.0),
}
# Accuracies of the best network of a set where one block is predictive.
BEST = {("set", 0.0): (1.0, 0.5, 0.5), ("set", 1.0): (1.0, 0.8, 0.5)}
BEST["other_seeds", 0.0] = BEST["set", 0.0]
LABELS = np.tile([0, 1], 4000)


def a_row(config, trial, shown, best, train, worst):
    tags = dict(trial.tags)
    noise = 0.002 * np.sin(7.0 * tags["seed"] + len(tags["arm"]))
    if "network" in tags:
        values = np.asarray(shown[tags["arm"]]) - abs(noise)
        # A network's scores separate the classes only if its AUC is high.
        generator = np.random.default_rng([tags["seed"], tags["network"]])
        noises = generator.normal(size=(3, len(LABELS)))
        right = np.asarray(shown[tags["arm"]])[:, None] > 0.9
        scores = np.where(right, 9.0 * LABELS, 0.0) + noises
        return tags | {
            "aucs": values,
            "accuracies": values,
            "test_scores": scores,
            "test_labels": LABELS,
            "train_error": 0.0,
        }
    key = tags["arm"], tags["strength"]
    values = np.full((config.diversity.models, len(best["set", 0.0])), 0.5)
    # Without the similarity, all networks of a set are alike.
    values[1 if tags["strength"] else slice(None)] = best.get(key, 0.9)
    values[2] = values[2] if worst is None else worst
    trains = np.full(config.diversity.models, 1.0)
    trains[1] = train
    return tags | {"block_accuracies": values + noise, "train_accuracies": trains}


def a_table(config, shown=SHOWN, best=BEST, train=1.0, worst=None):
    """Records of a plan with made-up values, as a table."""
    import pandas as pd

    trials = SimplicityBias().trials(config)
    rows = [a_row(config, trial, shown, best, train, worst) for trial in trials]
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(config=EVERYTHING, **values):
    found = list(SimplicityBias().findings(a_table(config, **values), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


def test_present_with_silent_controls():
    by_id, verdict = verdicts()
    assert verdict == "present"
    assert by_id["diverse_set/accuracy_gain_3_slabs"] == "present"
    assert by_id["label_free/auc_simple_shuffled"] == "absent"


@pytest.mark.parametrize(
    ("arm", "aucs", "finding"),
    [
        ("slab_test", (0.9, 0.5, 0.9), "slab_test/auc"),
        ("slab_test", (1.0, 0.8, 1.0), "slab_test/auc_simple_shuffled"),
        ("slab_test", (1.0, 0.5, 0.8), "slab_test/auc_complex_shuffled"),
        (
            "slab_test",
            (1.0, 0.95, 1.0),
            "slab_test/ensemble_auc_simple_shuffled",
        ),
        ("noisy", (0.99, 0.5, 1.0), "noisy/test_accuracy"),
    ],
)
def test_each_signature_of_slabs_can_be_absent(arm, aucs, finding):
    by_id, verdict = verdicts(shown=SHOWN | {arm: aucs})
    assert by_id[finding] == verdict == "absent"


@pytest.mark.parametrize(
    ("arm", "aucs", "control"),
    [
        ("untrained", (1.0, 0.5, 1.0), "untrained/auc"),
        ("label_free", (1.0, 0.5, 0.5), "label_free/auc_simple_shuffled"),
        ("label_free", (1.0, 1.0, 1.0), "label_free/auc_complex_shuffled"),
        ("equal", (1.0, 0.5, 0.6), "equal/auc_simple_shuffled"),
        ("without_simple", (0.95, 0.5, 1.0), "without_simple/test_accuracy"),
    ],
)
def test_a_control_that_fires_makes_all_inconclusive(arm, aucs, control):
    by_id, verdict = verdicts(shown=SHOWN | {arm: aucs})
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_a_control_that_has_not_learned_is_inconclusive():
    by_id, verdict = verdicts(shown=SHOWN | {"label_free": (0.6, 0.6, 0.5)})
    assert by_id["label_free/auc_simple_shuffled"] == "inconclusive"
    assert verdict == "inconclusive"


def test_diverse_sets_must_exceed_sets_without_the_penalty():
    by_id, verdict = verdicts(best=BEST | {("set", 1.0): (1.0, 0.55, 0.9)})
    assert by_id["diverse_set/accuracy_gain_3_slabs"] == verdict == "absent"
    by_id, verdict = verdicts(best=BEST | {("other_seeds", 0.0): (1.0, 0.8, 0.5)})
    assert by_id["other_seeds/accuracy_gain_3_slabs"] == "present"
    assert verdict == "inconclusive"
    # A network may be as far above chance as another is below: by chance.
    assert verdicts(worst=0.25)[0]["worst_network/mirrored_gain_3_slabs"] == "present"


def test_networks_that_do_not_fit_their_training_set_do_not_count():
    assert verdicts(train=0.85)[0]["diverse_set/accuracy_gain_3_slabs"] == "absent"
    # The upper bound of the second of two blocks is .7: a gain of .06 is .3 of the maximum.
    config = Config(diversity=COLLAGES, seeds=3, seed=0)
    best = {("set", 0.0): (1.0, 0.5), ("set", 1.0): (1.0, 0.56), ("other_seeds", 0.0): (1.0, 0.5)}
    table = a_table(config, best=best | {("upper_bound", 0.0): (0.7, 0.7)}, train=1.0)
    gain = summary.gain(table, COLLAGES, 1, "set")
    assert gain.value == pytest.approx(0.3, abs=0.01)
    # Trainings for an upper bound need no minimum training accuracy.
    table = a_table(config, best=best | {("upper_bound", 0.0): (0.7, 0.7)}, train=0.7)
    assert summary.upper_bounds(table, COLLAGES, 1).mean() == pytest.approx(0.7, abs=0.01)


def test_one_population_of_all_strengths_and_of_all_networks():
    trials = list(SimplicityBias().trials(EVERYTHING))
    sizes = {group.trials[0].tags["arm"]: len(group.trials) for group in plan.groups(trials)}
    assert sizes == {
        "slab_test": 12,
        "untrained": 4,
        "label_free": 4,
        "equal": 12,
        "noisy": 4,
        "without_simple": 4,
        "set": 12,
    }
    networks = [t for t in trials if t.tags["arm"] == "slab_test" and t.tags["seed"] == 2]
    assert len({t.data for t in networks}) == 1
    for stream in ("init", "order"):
        assert len({t.seed_of(stream) for t in networks}) == 3
    for set_, other in zip(
        [t for t in trials if t.tags["arm"] == "set" and t.tags["strength"] == 0],
        [t for t in trials if t.tags["arm"] == "other_seeds"],
        strict=True,
    ):
        assert set_.data == other.data
        assert set_.constants == other.constants
        assert set_.seed_of("init") != other.seed_of("init")


class Stub:
    """Trained members that predict by a function of unrotated coordinates."""

    def __init__(self, predict, seeds=(0, 1), **options):
        options = {"blocks": ((2, 1), (3, 2), (5, 1)), "train": 10, "test": 4000} | options
        self._data = [slabs(**options, generator_seed=seed) for seed in seeds]
        self._blocks = [slab_blocks(**options, generator_seed=seed) for seed in seeds]
        self.predict = predict
        every = [Data("slabs", options=options | {"generator_seed": seed}) for seed in seeds]
        self.trials = [Trial(Spec("mlp"), data, steps=1) for data in every]

    def inputs(self, split):
        return np.stack([data.test_inputs for data in self._data])

    def labels(self, split):
        return np.stack([data.test_labels for data in self._data])

    def apply(self, inputs):
        pairs = zip(inputs, self._blocks, strict=True)
        return np.stack([self.predict(x.astype("float64") @ b.rotation.T) for x, b in pairs])

    def once(self, function):
        return function(self)


def of_first(coordinates):
    return np.stack([-coordinates[:, 0], coordinates[:, 0]], axis=-1)


def of_others(coordinates):
    return np.stack([-abs(coordinates[:, 1]), abs(coordinates[:, 2])], axis=-1)


def test_shuffled_blocks_reveal_what_a_network_uses():
    for predict, expected in ((of_first, (1, 0.5, 1)), (of_others, (1, 1, 0.5))):
        aucs = measures.aucs(Stub(predict))
        np.testing.assert_allclose(aucs, [expected] * 2, atol=0.05)
    accuracies = measures.accuracies(Stub(of_first))
    np.testing.assert_allclose(accuracies, [(1, 0.5, 1)] * 2, atol=0.05)
    # With a single block, shuffling all columns leaves chance.
    aucs = measures.aucs(Stub(of_first, blocks=((2, 3),)))
    np.testing.assert_allclose(aucs[:, 1], 0.5, atol=0.05)


def test_accuracy_with_one_predictive_block():
    def set_of_two(coordinates):
        # The second network has the distance from 0 of a coordinate of three slabs.
        return np.stack([coordinates[:, 0], abs(coordinates[:, 1]) - 0.36], axis=-1)

    accuracies = measures.block_accuracies(Stub(set_of_two))
    expected = [[1, 0.5, 0.5], [0.5, 1, 0.5]]
    np.testing.assert_allclose(accuracies, [expected] * 2, atol=0.05)


def test_auc_with_ties_and_mean_logits():
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(0)
    labels, scores = generator.integers(2, size=300), generator.integers(9, size=300)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    table = a_table(EVERYTHING)
    rows = table[(table.arm == "slab_test") & (table.seed == 2)]
    mean = np.mean([scores[1] for scores in rows.test_scores], axis=0)
    aucs = summary.ensemble_aucs(table, "slab_test", "simple_shuffled")
    assert aucs[2] == pytest.approx(roc_auc_score(LABELS, mean))


@pytest.mark.parametrize("size", ["smoke", "small", "noisy_lms7", "mnist_fashion_collage"])
def test_each_size_can_show_the_phenomenon(size):
    where = (size, None) if size in ("smoke", "small") else ("paper", size)
    config = SimplicityBias.configure(*where, {"seeds": 3})
    blocks = len(config.diversity.names()) if config.diversity else 3
    best = {key: values[:blocks] for key, values in BEST.items()}
    if config.diversity:
        best["set", config.diversity.strength] = best["set", 1.0]
    assert verdicts(config, best=best)[1] == "present"


def test_statistics_of_published_numbers():
    numbers = published.load("simplicity_bias")
    config = dataclasses.replace(EVERYTHING, networks=1)
    table = a_table(config)
    found = [
        number
        for number in numbers
        if SimplicityBias().reproductions(table, config, number) is not None
    ]
    assert {number.setting["score"] for number in found} == {*SCORES, "train"}
    table = a_table(EVERYTHING)
    three = [n for n in numbers if n.setting.get("ensemble") == 3]
    estimates = {
        number.setting["score"]: SimplicityBias().reproductions(table, EVERYTHING, number)[0].value
        for number in three
    }
    expected = {"standard": 1.0, "simple_shuffled": 0.5, "complex_shuffled": 1.0}
    assert estimates == pytest.approx(expected, abs=0.07)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Config, {}, "must be given"),
        (Config, {"slab_test": SlabTraining()}, "goes with one of its controls"),
        (Config, {"untrained": True, "diversity": Diversity()}, "goes with one of its controls"),
        (Config, {"noisy": SlabTraining(noisy=0.1)}, "goes with one of its controls"),
        (Config, {"slab_test": SlabTraining(), "untrained": True, "networks": 3}, "need the"),
        (Diversity, {"source": "digits"}, "`source` must be one of"),
        (Diversity, {"similarity": "cosine"}, "`similarity` must be one of"),
        (Diversity, {"models": 1}, "at least 2"),
        (Diversity, {"strengths": (1.0,)}, "`strengths` hold 0"),
        (Diversity, {"strength": 0.5}, "`strengths` hold 0"),
        (Diversity, {"upper_bounds": True}, "slabs allow certainty"),
        (Diversity, {"claimed": (2,)}, "`claimed` are positions"),
        (Diversity, {"claimed": (0,)}, "`claimed` are positions"),
    ],
)
def test_invalid_settings(kind, settings, message):
    with pytest.raises(UsageError, match=rf"{message}.*Received: "):
        kind(**settings)
