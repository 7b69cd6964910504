"""The scale of weight noise that costs a layer accuracy, and the measure that is made of it."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from tfphen.metrics import pac_bayes_orig, pac_bayes_sigma

N, M, K = 400, 12, 5
FINE = {"tolerance": 0.0, "max_iterations": 30}


def layer(seed=0, members=()):
    """Returns a layer, with labels that it predicts for nine of ten examples."""
    generator = np.random.default_rng(seed)
    features = np.maximum(generator.normal(size=(*members, N, M)), -0.3)
    kernel, bias = generator.normal(size=(*members, M, K)), generator.normal(size=(*members, K))
    labels = (features @ kernel + bias[..., None, :]).argmax(-1)
    labels[..., ::10] = (labels[..., ::10] + 1) % K
    return features, kernel, bias, labels


def drop(sigma, features, kernel, bias, labels, draws=10, seed=0):
    """The mean loss of accuracy, from its definition."""
    generator, right = np.random.default_rng(seed), []
    for noise in generator.standard_normal((draws, *kernel.shape)):
        logits = features @ (kernel + sigma * noise) + bias
        right.append((logits.argmax(-1) == labels).mean())
    return ((features @ kernel + bias).argmax(-1) == labels).mean() - np.mean(right)


def test_noise_of_that_scale_costs_that_accuracy():
    given = layer()
    for wanted in (0.05, 0.1, 0.3):
        sigma = pac_bayes_sigma(*given, accuracy_drop=wanted)
        assert drop(sigma, *given) == pytest.approx(wanted, abs=0.01)
        fine = pac_bayes_sigma(*given, accuracy_drop=wanted, **FINE)
        assert drop(fine, *given) == pytest.approx(wanted, abs=0.003)
        assert drop(1.5 * fine, *given) > wanted > drop(fine / 1.5, *given)


def test_two_classes_against_the_normal_distribution():
    # One feature, 1 for all examples: the difference of the logits is w_0 - w_1 plus noise of
    # standard deviation sigma sqrt(2), so a tenth of the draws are wrong at w / sigma = 1.2816...
    kernel, features = np.array([[3.0, 0.0]]), np.ones((1, 1))
    found = pac_bayes_sigma(features, kernel, None, [0], num_draws=200_000, **FINE)
    assert found == pytest.approx(3.0 / (math.sqrt(2.0) * -ndtri(0.1)), rel=0.02)


@pytest.mark.parametrize("factor", [1e-3, 0.04, 25.0])
def test_scales_with_the_layer_though_the_network_stays_the_same(factor):
    features, kernel, bias, labels = layer()
    plain = pac_bayes_sigma(features, kernel, bias, labels)
    scaled = pac_bayes_sigma(features / factor, kernel * factor, bias, labels)
    assert scaled == pytest.approx(factor * plain, rel=1e-9)
    # Between fixed ends it does not, which is how published values depend on the range.
    capped = pac_bayes_sigma(features / 25, kernel * 25, bias, labels, upper=2.0)
    assert capped == pytest.approx(2.0, rel=1e-4)
    assert 25 * plain > 2.0


def test_published_code_has_the_square_for_the_deviation():
    given = layer()
    plain = pac_bayes_sigma(*given, upper=4.0, **FINE)
    squared = pac_bayes_sigma(*given, noise="sigma_squared", upper=2.0, **FINE)
    assert squared == pytest.approx(math.sqrt(plain), rel=1e-4)
    unbounded = pac_bayes_sigma(*given, noise="sigma_squared", **FINE)
    assert unbounded == pytest.approx(squared, rel=1e-3)
    assert abs(plain - squared) > 0.05


def test_members_are_measured_as_if_alone():
    given = layer(members=(2, 3))
    together = pac_bayes_sigma(*given)
    assert together.shape == (2, 3)
    for member in np.ndindex(2, 3):
        alone = pac_bayes_sigma(*(part[member] for part in given))
        assert together[member] == alone
    shared = pac_bayes_sigma(*given[:3], given[3][0, 0])
    assert shared[0, 0] == together[0, 0]
    orig = pac_bayes_orig(given[1], together, N)
    assert orig.shape == (2, 3)
    assert orig[1, 2] == pac_bayes_orig(given[1][1, 2], together[1, 2], N)


def test_seeds_draw_other_noise_and_leave_the_global_generator_alone():
    given = layer()
    before = np.random.get_state()[1].copy()
    found = {pac_bayes_sigma(*given, seed=seed, num_draws=2, **FINE) for seed in range(3)}
    assert len(found) == 3
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert pac_bayes_sigma(*given, seed=4) == pac_bayes_sigma(*given, seed=4)


def test_a_network_that_guesses_has_nothing_to_lose():
    features, kernel, bias, labels = layer()
    wrong = (labels + np.arange(N)) % K
    assert pac_bayes_sigma(features, kernel, bias, wrong, accuracy_drop=0.5) == math.inf
    assert pac_bayes_orig(kernel, math.inf, N) == -math.inf
    assert pac_bayes_sigma(features, 0 * kernel, 0 * bias, labels, accuracy_drop=0.9) == math.inf


def test_the_measure_is_what_published_code_computes():
    kernel, sigma = np.random.default_rng(0).normal(size=(84, 10)), 0.37
    expected = np.linalg.norm(kernel) ** 2 / (4 * sigma**2) + math.log(50_000 / sigma) + 10
    assert pac_bayes_orig(kernel, sigma, 50_000) == pytest.approx(expected, rel=1e-12)
