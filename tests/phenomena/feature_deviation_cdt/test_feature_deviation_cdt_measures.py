"""Feature deviation and CDT: the null distribution of correlations, and the measures."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

from tfphen.phenomena.feature_deviation_cdt import findings
from tfphen.phenomena.feature_deviation_cdt.phenomenon import FeatureDeviationCDT

from .feature_deviation_cdt_tables import COUNTS

# ---- the null ----------------------------------------------------------------------------------


def test_the_null_draws_all_orders_equally_often():
    counts, values = np.array([[9, 5, 2]]), np.array([[0.1, 0.5, 0.3]])
    orders = [spearmanr(order, values[0])[0] for order in itertools.permutations(counts[0])]
    null = findings.permutation_null(counts, values, 6000)
    for value in set(np.round(orders, 9)):
        share = np.isclose(orders, value).mean()
        error = np.sqrt(share * (1 - share) / 6000)
        assert np.isclose(null, value).mean() == pytest.approx(share, abs=4 * error)


def test_p_value_of_a_perfect_order():
    """Of one order of four classes, two of 24 are as extreme; of three such, 2 of 24 cubed."""
    import pandas as pd

    row = {"class_counts": COUNTS[:4], "test_class_recall": np.array([0.9, 0.7, 0.6, 0.2])}
    table = pd.DataFrame([{"arm": "cross_entropy", "seed": s, **row} for s in range(3)])
    correlation = findings.correlation(table[:1], "cross_entropy", "test_class_recall")
    assert correlation.estimate.value == pytest.approx(1.0)
    assert correlation.p_value == pytest.approx(2 / 24, abs=0.012)
    assert "p = 0.08" in correlation.note and "9999" in correlation.note
    correlation = findings.correlation(table, "cross_entropy", "test_class_recall")
    assert correlation.p_value < 0.001


def test_correlations_are_spearmans_with_shared_ranks_for_steps():
    counts = np.array([[50, 5, 50, 5], [50, 50, 5, 5]])
    values = np.array([[0.1, 0.3, 0.2, 0.4], [0.2, 0.1, 0.2, 0.7]])
    correlations = (findings.normalized_ranks(counts) * findings.normalized_ranks(values)).sum(1)
    expected = [spearmanr(*pair)[0] for pair in zip(counts, values, strict=True)]
    np.testing.assert_allclose(correlations, expected, rtol=1e-12)
    assert np.isnan(findings.normalized_ranks(np.ones((1, 4)))).all()


def test_the_rarer_half():
    rare = findings.rarer_half(np.array([[8, 200, 16, 70, 33], [5, 50, 50, 50, 5]]))
    assert rare.tolist() == [
        [True, False, True, False, False],
        [True, False, False, False, True],
    ]


# ---- measures ----------------------------------------------------------------------------------


def a_view(seed=0):
    """Two members, of which the second has padding behind its own training examples."""
    from tfphen.measures.trained import Trained

    generator = np.random.default_rng(seed)
    labels = np.array([[0] * 6 + [1] * 4 + [2] * 2, [2] * 5 + [0] * 3 + [1] * 2 + [1] * 2])
    test_labels = np.tile(np.repeat([0, 1, 2], 5), (2, 1))
    logits = {split: generator.normal(size=(2, n, 3)) for split, n in (("train", 12), ("test", 15))}
    features = {
        split: generator.normal(size=(2, n, 4)) for split, n in (("train", 12), ("test", 15))
    }
    splits = {
        "train": (features["train"], None, {"labels": labels}),
        "test": (features["test"], None, {"labels": test_labels}),
    }
    trials = [SimpleNamespace(objective=SimpleNamespace(settings={"gamma": 0.5}))] * 2

    def predict(pool, rows, layers=()):
        outputs = logits["train" if pool is features["train"] else "test"]
        return (outputs, {"features": pool}) if layers else outputs

    counts = np.array([[6, 4, 2], [3, 2, 5]])
    fitted = SimpleNamespace(predict=predict)
    view = Trained(fitted, splits, 3, [12, 10], None, class_counts=counts, trials=trials)
    return view, logits, features, labels, test_labels


def measure(name, view):
    declared = (*FeatureDeviationCDT.measures, *FeatureDeviationCDT.curve_measures)
    (chosen,) = [m for m in declared if m.name == name]
    return chosen(view)


def test_decision_values():
    view, logits, _, labels, test_labels = a_view()
    for split, wanted in (("train", labels), ("test", test_labels)):
        measured = measure(f"decision_value_{split}", view)
        for member, size in enumerate((12, 10)):
            size = size if split == "train" else 15
            centered = logits[split][member] - logits[split][member].mean(-1, keepdims=True)
            test = logits["test"][member]
            scale = (test - test.mean(-1, keepdims=True)).std()
            for c in range(3):
                rows = [i for i in range(size) if wanted[member, i] == c]
                expected = centered[rows, c].mean() / scale
                assert measured[member, c] == pytest.approx(expected, rel=1e-9)


def test_deviations_leave_out_padding_and_have_no_scale():
    from tfphen.metrics import feature_deviation

    small = FeatureDeviationCDT.curve_measures
    assert "deviation_over_4" in [m.name for m in small]
    view, _, features, labels, test_labels = a_view()
    from tfphen.phenomena.feature_deviation_cdt.measures import feature_deviations

    measured = feature_deviations(view, subset_size=2)
    assert measured.shape == (2, 3, 3)
    own = features["train"][1][:10], labels[1][:10]
    test = features["test"][1], test_labels[1]
    expected = feature_deviation(*own, *test, 2)
    np.testing.assert_allclose(
        measured[1, 0], expected.distance / np.sqrt(expected.scale), rtol=1e-9
    )
    np.testing.assert_allclose(
        measured[1, 1], expected.squared_deviation / expected.scale, rtol=1e-9
    )
    for c in range(3):
        gap = own[0][own[1] == c].mean(0) - test[0][test[1] == c].mean(0)
        of_all = np.linalg.norm(gap) / np.sqrt(expected.scale)
        assert measured[1, 2, c] == pytest.approx(of_all, rel=1e-9)
    for split in features:
        features[split] *= -7.0
    np.testing.assert_allclose(feature_deviations(a_view()[0], subset_size=2), measured, rtol=1e-9)
    features["train"][0, 0] = np.nan
    again = feature_deviations(view, subset_size=2)
    assert np.isnan(again[0]).all() and np.isfinite(again[1]).all()


def test_temperatures_at_prediction():
    view, logits, _, _, test_labels = a_view()
    measured = measure("test_class_recall_with_temperatures", view)
    for member, counts in enumerate(([6, 4, 2], [3, 2, 5])):
        divided = logits["test"][member] * (np.array(counts) / max(counts)) ** 0.5
        right = divided.argmax(-1) == test_labels[member]
        expected = [right[test_labels[member] == c].mean() for c in range(3)]
        np.testing.assert_allclose(measured[member], expected)
        assert (divided.argmax(-1) != logits["test"][member].argmax(-1)).any()


@pytest.fixture(scope="module")
def ran(tensorflow, tmp_path_factory):
    """Two populations on a few examples: records by arm and seed."""
    from tfphen.experiment import runner

    overrides = {"gammas": [0.3], "linear_options": {}, "seed": 0, "epochs": 8.0}
    config = FeatureDeviationCDT.configure("smoke", None, overrides)
    arms = ("cross_entropy", "balanced", "cdt_0.3")
    trials = [t for t in FeatureDeviationCDT().trials(config) if t.tags["arm"] in arms]
    records = runner.run(FeatureDeviationCDT(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags["arm"], t.seed): records[t.id].arrays for t in trials}


def test_arms_start_alike_and_differ_in_the_loss(ran):
    for seed in (0, 1):
        plain, cdt = ran["cross_entropy", seed], ran["cdt_0.3", seed]
        np.testing.assert_array_equal(plain["class_counts"], cdt["class_counts"])
        assert sorted(plain["class_counts"])[::9] == [8, 60]
        assert (ran["balanced", seed]["class_counts"] == 20).all()
        for name in ("deviation_over_8", "decision_value_test"):
            start, end = zip(plain[f"curve_{name}"], cdt[f"curve_{name}"], strict=True)
            np.testing.assert_allclose(*start, rtol=1e-4, atol=1e-5)
            assert abs(end[0] - end[1]).max() > 1e-3
    assert (
        ran["cross_entropy", 0]["class_counts"] != ran["cross_entropy", 1]["class_counts"]
    ).any()
