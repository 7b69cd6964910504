"""Made-up domains with one mechanism: its inverse, the noise-free test set, and shifts."""

import numpy as np
import pytest

from tfphen.phenomena.causal_mechanism_transfer import shared_mechanism as source


@pytest.mark.parametrize("kind", ["linear", "nonlinear"])
def test_a_mechanism_is_undone(kind):
    mechanism = source.MECHANISMS[kind]
    components = np.random.default_rng(0).normal(size=(50, 2))
    points = mechanism.points(components)
    np.testing.assert_allclose(mechanism.components(points), components, atol=1e-12)


def test_the_test_set_is_the_mean_without_noise():
    data = source.shared_mechanism(generator_seed=3, points=4000)
    target = data.train_inputs[data.train_labels == 10].astype("float64")
    assert len(data.train_labels) == 10 * 200 + 4000
    # A smooth fit to thousands of the target's points finds the same curve.
    fitted = np.polynomial.Polynomial.fit(target[:, 0], target[:, 1], 7)
    np.testing.assert_allclose(fitted(data.test_inputs[:, 0]), data.test_inputs[:, 1], atol=0.1)
    ends = np.quantile(target[:, 0], [0.05, 0.95])
    np.testing.assert_allclose(data.test_inputs[[0, -1], 0], ends, atol=0.05)


def test_without_shift_all_domains_have_the_same_laws():
    kinds = [source.shared_mechanism(generator_seed=1, shift=shift) for shift in (0.0, 1.0)]
    spreads = [
        np.std([d.train_inputs[d.train_labels == u, 0].mean() for u in range(10)]) for d in kinds
    ]
    assert spreads[0] < 0.1 < 0.5 < spreads[1]
