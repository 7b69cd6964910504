"""The transition matrix as read off noisy posteriors."""

import numpy as np
import pytest

from tfphen.data import transition_matrix
from tfphen.losses import estimate_transition_matrix

CLEAN = np.repeat(np.eye(10), 20, axis=0)


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("kind", ["mnist_flips", "wrong"])
def test_exact_posteriors_give_the_exact_matrix(kind, rate):
    matrix = transition_matrix(kind, rate, 10)
    found = estimate_transition_matrix(CLEAN @ matrix, percentile=None)
    np.testing.assert_allclose(found, matrix, atol=1e-15)


def test_a_flipped_majority_swaps_rows():
    matrix = transition_matrix("mnist_flips", 0.6, 10)
    found = estimate_transition_matrix(CLEAN @ matrix, percentile=None)
    np.testing.assert_allclose(found[5], matrix[6], atol=1e-15)
    np.testing.assert_allclose(found[6], matrix[5], atol=1e-15)
    np.testing.assert_allclose(found[7], matrix[2], atol=1e-15)
    others = [0, 1, 2, 3, 4, 8, 9]
    np.testing.assert_allclose(found[others], matrix[others], atol=1e-15)
    assert np.linalg.matrix_rank(found) < 10


def test_percentile_takes_the_largest_below_it_and_leaves_the_input_alone():
    generator = np.random.default_rng(0)
    table = generator.dirichlet(np.ones(4), 500)
    kept = table.copy()
    found = estimate_transition_matrix(table, percentile=90.0)
    np.testing.assert_array_equal(table, kept)
    for i in range(4):
        limit = np.percentile(table[:, i], 90.0, method="higher")
        below = table[table[:, i] < limit]
        np.testing.assert_allclose(found[i], below[below[:, i].argmax()], atol=1e-12)
    # A column that was zeroed in place would leave zeros below the diagonal.
    assert (found > 0).all()


def test_mixing_and_normalisation():
    matrix = transition_matrix("pair", 0.4, 10)
    found = estimate_transition_matrix(3.0 * CLEAN @ matrix, percentile=None, mixing=0.25)
    np.testing.assert_allclose(found, 0.25 * np.eye(10) + 0.75 * matrix, atol=1e-15)


def test_one_probability_for_all_inputs():
    found = estimate_transition_matrix(np.full((5, 2), 0.5))
    np.testing.assert_array_equal(found, np.full((2, 2), 0.5))


@pytest.mark.parametrize(
    ("table", "settings"),
    [
        (np.ones(3), {}),
        (np.ones((0, 3)), {}),
        (-np.ones((2, 3)), {}),
        (np.full((2, 2), np.nan), {}),
        (np.zeros((2, 2)), {}),
        (np.ones((2, 2)), {"percentile": 0}),
        (np.ones((2, 2)), {"mixing": 1.0}),
    ],
)
def test_errors(table, settings):
    with pytest.raises(ValueError, match="Received"):
        estimate_transition_matrix(table, **settings)
