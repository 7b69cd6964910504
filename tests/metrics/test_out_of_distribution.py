"""Detection scores against loops over pairs and thresholds, and the scores of a classifier."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tfphen.metrics import dempster_shafer_uncertainty, maximum_probability_uncertainty, ood_scores


def scores(seed=0, ties=False):
    generator = np.random.default_rng(seed)
    inside, outside = generator.normal(size=60), generator.normal(1.0, 1.5, size=40)
    return (np.round(inside), np.round(outside)) if ties else (inside, outside)


def slow(positives, negatives):
    """AUROC, average precision and FPR at 95 % TPR of scores that are high for positives."""
    pairs = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    area, recall, rate = 0.0, 0.0, None
    for threshold in sorted({*positives, *negatives}, reverse=True):
        found, false = (positives >= threshold).sum(), (negatives >= threshold).sum()
        area += (found / len(positives) - recall) * found / (found + false)
        recall = found / len(positives)
        if rate is None and recall >= 0.95:
            rate = false / len(negatives)
    return pairs.mean(), area, rate


@pytest.mark.parametrize("ties", [False, True])
def test_against_loops(ties):
    inside, outside = scores(ties=ties)
    for positive, expected in (("out", slow(outside, inside)), ("in", slow(-inside, -outside))):
        found = ood_scores(inside, outside, positive=positive)
        assert found.positive == positive
        assert found[1:4] == pytest.approx(expected, abs=1e-12)
        # Scores that are high in distribution are the same detector upside down.
        turned = ood_scores(-inside, -outside, positive=positive, higher="in")
        assert turned == found
    assert (found.num_in, found.num_out, found.prevalence) == (60, 40, 0.6)
    assert ood_scores(inside, outside).prevalence == 0.4


def test_the_positive_class_decides_on_precision_only():
    inside, outside = scores()
    as_out, as_in = ood_scores(inside, outside), ood_scores(inside, outside, positive="in")
    assert as_out.auroc == pytest.approx(as_in.auroc, abs=1e-12)
    assert abs(as_out.aupr - as_in.aupr) > 0.02
    assert as_out.false_positive_rate != as_in.false_positive_rate
    truth = np.repeat([0, 1], [60, 40])
    joined = np.concatenate([inside, outside])
    assert as_out.auroc == pytest.approx(roc_auc_score(truth, joined), abs=1e-12)
    assert as_out.aupr == pytest.approx(average_precision_score(truth, joined), abs=1e-12)
    assert as_in.aupr == pytest.approx(average_precision_score(1 - truth, -joined), abs=1e-12)


def test_extremes_and_monotone_maps():
    perfect = ood_scores([0.0, 1.0], [2.0, np.inf])
    assert perfect[1:4] == (1.0, 1.0, 0.0)
    useless = ood_scores([0.0] * 3, [0.0])
    assert useless[1:4] == (0.5, 0.25, 1.0) and useless.prevalence == 0.25
    worst = ood_scores([2.0, 3.0], [-np.inf, 1.0])
    assert (worst.auroc, worst.false_positive_rate) == (0.0, 1.0)
    inside, outside = scores()
    assert ood_scores(np.exp(inside), np.exp(outside)) == ood_scores(inside, outside)
    # 19 of 20 positives are 95 %, and the twentieth need not be found.
    outside = np.arange(20.0)
    assert ood_scores([0.5], outside).false_positive_rate == 0.0
    assert ood_scores([1.5], outside).false_positive_rate == 1.0


def test_average_precision_depends_on_prevalence():
    generator = np.random.default_rng(0)
    outside, inside = generator.normal(1.0, size=500), generator.normal(size=50_000)
    rare, common = ood_scores(inside, outside), ood_scores(inside[:500], outside)
    assert rare.auroc == pytest.approx(common.auroc, abs=0.03)
    assert common.aupr - rare.aupr > 0.5


def test_wrong_inputs():
    for arguments, name in (
        (([np.nan], [1.0]), "in_distribution_scores"),
        (([1.0], [np.nan]), "out_of_distribution_scores"),
        (([], [1.0]), "in_distribution_scores"),
        (([1.0], [[1.0]]), "out_of_distribution_scores"),
    ):
        with pytest.raises(ValueError, match=f"`{name}` must.*Received"):
            ood_scores(*arguments)
    for setting in ("positive", "higher"):
        with pytest.raises(ValueError, match=f'`{setting}` must be "out" or "in".*Received: '):
            ood_scores([1.0], [1.0], **{setting: "ood"})
    for function in (maximum_probability_uncertainty, dempster_shafer_uncertainty):
        for wrong in (1.0, [[1.0]], [[np.nan, 1.0]], [[np.inf, 1.0]]):
            with pytest.raises(ValueError, match=r"`logits` must.*Received"):
                function(wrong)
    with pytest.raises(ValueError, match=r"`logits` must have a finite entry.*Received"):
        maximum_probability_uncertainty([[-np.inf, -np.inf]])


def test_uncertainties_of_a_classifier():
    logits = np.random.default_rng(0).normal(size=(2, 50, 4)) * 3
    e = np.exp(logits)
    p = e / e.sum(-1, keepdims=True)
    np.testing.assert_allclose(maximum_probability_uncertainty(logits), 1 - p.max(-1), atol=1e-14)
    found = dempster_shafer_uncertainty(logits)
    np.testing.assert_allclose(found, 4 / (4 + e.sum(-1)), rtol=1e-12)
    np.testing.assert_allclose(dempster_shafer_uncertainty(np.zeros((3, 7))), 0.5, rtol=1e-14)
    huge = dempster_shafer_uncertainty([[800.0, 0.0], [-800.0, -800.0], [-np.inf, 0.0]])
    np.testing.assert_allclose(huge, [2 * np.exp(-800.0), 1.0, 2 / 3], rtol=1e-12)
    assert maximum_probability_uncertainty([[60.0, 0.0]]) == pytest.approx(np.exp(-60.0))
