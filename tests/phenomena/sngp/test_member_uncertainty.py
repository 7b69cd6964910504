"""The posterior of a population against that of the layer, and the measures of it."""

import dataclasses
import math

import numpy as np
import pytest

from tfphen.measures.basic import Measure
from tfphen.phenomena.sngp.phenomenon import SNGP
from tfphen.phenomena.sngp.trials import Moons, Task


def trained_by(trials):
    """Trains one population; returns the view that its measures get, and the outcomes."""
    import tensorflow as tf

    from tfphen.experiment.training import train

    seen = []

    class Capturing(SNGP):
        def measures_of(self, trial):
            capture = Measure("seen", lambda trained: seen.append(trained) or np.zeros(2))
            return (*SNGP().measures_of(trial)[0], capture), ()

    outcomes = train(Capturing(), trials, lambda trial: {}, tf.distribute.get_strategy())
    return seen[0], outcomes


@pytest.fixture(scope="module")
def moons(tensorflow):
    """Two members, one with all examples in its precision, one with an eighth of them."""
    part = Moons(
        arms=("deterministic", "sngp"),
        options={"train_size": 96, "test_size": 40},
        model_settings={"depth": 1, "width": 16},
        gaussian_process={"num_inducing": 32, "ridge_penalty": 0.5},
        mean_field_factor=2.0,
        epochs=4.0,
        side=6,
    )
    (_, first), (_, second) = (
        list(one.trials(seed))
        for seed, one in enumerate((part, dataclasses.replace(part, covariance_share=0.125)))
    )
    return trained_by([first, second])


def test_posterior_is_that_of_the_layer_fitted_on_the_same_examples(moons):
    import keras

    from tfphen.phenomena.sngp import measures as uncertain

    trained, _ = moons
    predicted = uncertain.outputs(trained, "test")
    mask = uncertain.precision_mask(trained)
    np.testing.assert_array_equal(mask.sum(1), [96, 12])
    for member in range(2):
        model = trained.members.member(member)
        features = keras.Model(model.input, model.get_layer("features").output)
        layer = model.get_layer("logits")
        train = trained.inputs("train")[member]
        layer.fit_covariance(features(train[mask[member] > 0]))
        test = features(trained.inputs("test")[member])
        logits, variance = layer(test, return_covariance=True)
        np.testing.assert_allclose(predicted.variance[member], variance, rtol=2e-3)
        prior = np.square(layer.random_features(test)).sum(-1)
        np.testing.assert_allclose(predicted.prior[member], prior, rtol=1e-4)
        expected = np.asarray(logits) / np.sqrt(1 + 2 * np.asarray(variance)[:, None])
        np.testing.assert_allclose(predicted.logits[member], expected, atol=2e-4)
    # Fewer examples give more variance, and no example the most.
    assert predicted.variance[0].mean() < predicted.variance[1].mean()
    assert (predicted.variance < predicted.prior).all()


def test_without_resets_the_variance_falls_towards_one_over_the_epochs(moons):
    from tfphen.phenomena.sngp import measures as uncertain

    trained, outcomes = moons
    fitted = trained.once(uncertain.posterior)
    for member, precision in enumerate(fitted.precisions):
        values = np.linalg.eigvalsh(precision).clip(0)
        once, four = ((values / (n * values + 0.5)).sum() for n in (1, 4))
        ratio = outcomes[member].values["unreset_variance_ratio"]
        assert ratio == pytest.approx(four / once, rel=1e-6)
        assert 0.25 < ratio < 1


def test_measures_of_moons(moons):
    from scipy.stats import spearmanr

    from tfphen.metrics import ood_scores
    from tfphen.phenomena.sngp import measures as uncertain
    from tfphen.phenomena.sngp.two_moons import far_cluster, nearest_distances, plane_grid

    trained, outcomes = moons
    values = outcomes[1].values
    assert outcomes[1].arrays["grid_uncertainty"].shape == (36,)
    train = trained.inputs("train")[1]
    distance = nearest_distances(plane_grid(6), train)
    expected = spearmanr(outcomes[1].arrays["grid_uncertainty"], distance).statistic
    assert values["distance_correlation_variance"] == pytest.approx(expected, abs=1e-3)
    np.testing.assert_array_equal(uncertain.inputs_of(trained, "far")[1], far_cluster(500, 1))
    scores = [uncertain.uncertainty(trained, name, "variance")[1] for name in ("test", "far")]
    out, inside = (ood_scores(*scores, positive=positive) for positive in ("out", "in"))
    assert values["auroc_far_variance"] == out.auroc
    assert values["aupr_out_far_variance"] == out.aupr
    assert values["aupr_in_far_variance"] == inside.aupr
    probability = 1 - uncertain.uncertainty(trained, "far", "probability")[1].mean()
    assert values["far_confidence"] == pytest.approx(probability)


def test_a_precision_for_each_class_and_corrupted_inputs(tensorflow):
    from tfphen.phenomena.sngp import measures as uncertain

    part = Task(
        train=150,
        classes=(0, 1, 2),
        corruptions=("contrast",),
        corrupted_examples=40,
        model_settings={"depth": 1, "width": 16},
        gaussian_process={"num_inducing": 24, "likelihood": "softmax"},
        epochs=3.0,
    )
    trials = [list(part.trials(seed))[-1] for seed in (0, 1)]
    trained, outcomes = trained_by(trials)
    fitted = trained.once(uncertain.posterior)
    logits = trained.logits("train")[0].astype("float64")
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    features = trained.apply(trained.inputs("train"), uncertain.FEATURES)[0].astype("float64")
    expected = np.einsum("nk,ni,nj->kij", p * (1 - p), features, features)
    np.testing.assert_allclose(fitted.precisions[0], expected, rtol=1e-3, atol=1e-6)
    names = ("corrupted_ece", "corrupted_error", "test_nll", "auroc_other_test_evidence")
    for outcome in outcomes:
        assert all(math.isfinite(outcome.values[name]) for name in names)
    assert trained.inputs("contrast_3").shape == (2, 40, 64)
    assert uncertain.uncertainty(trained, "other_test", "variance").shape[0] == 2
