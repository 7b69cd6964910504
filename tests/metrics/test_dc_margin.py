"""The margin that shift invariance leaves, against a solver; identities of the tangent kernels."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.metrics import dc_margin
from tfphen.metrics.robustness.dc_margin import circular_shifts, dc_component
from tfphen.metrics.robustness.tangent_kernels import (
    dense_tangent_kernel,
    pooled_tangent_kernel,
    relu_tangent_function,
)
from tfphen.solvers.hard_margins import plain_machine


def signals(seed, size, per_class=3, gap=0.5):
    """Random signals of two classes whose means leave a gap."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(2, per_class, size))
    values -= values.mean(-1, keepdims=True)
    offsets = gap / 2 + generator.uniform(size=(2, per_class))
    return values + np.asarray([-1, 1])[:, None, None] * offsets[..., None] / np.sqrt(size)


def machine(first, second):
    """Margin and unit normal of the hard-margin machine."""
    inputs = np.concatenate([first, second])
    signs = np.repeat([-1, 1], [len(first), len(second)])
    weights, _ = plain_machine(inputs, signs)
    return 2 / np.linalg.norm(weights), weights / np.linalg.norm(weights)


@pytest.mark.parametrize("size", [5, 8, 16])
@pytest.mark.parametrize("flip", [False, True])
def test_the_machine_of_all_shifts_has_the_gap_of_means(size, flip):
    first, second = signals(size, size)
    if flip:
        first, second = second, first
    exact = dc_margin(first, second)
    shifted = [circular_shifts(part).reshape(-1, size) for part in (first, second)]
    margin, normal = machine(*shifted)
    np.testing.assert_allclose(margin, exact.margin, rtol=1e-4)
    np.testing.assert_allclose(normal, exact.normal, atol=1e-3)
    # Control: without their shifts the signals have a larger margin, along another normal.
    margin, normal = machine(first, second)
    assert margin > 1.2 * exact.margin
    assert normal @ exact.normal < 0.9


def test_without_a_gap_of_means_no_machine_separates_all_shifts():
    first, second = signals(0, 8)
    first[0] += second.mean() - first[0].mean()
    assert dc_margin(first, second).margin <= 0
    shifted = [circular_shifts(part).reshape(-1, 8) for part in (first, second)]
    signs = np.repeat([-1, 1], [24, 24])
    assert plain_machine(np.concatenate(shifted), signs) is None
    assert plain_machine(np.concatenate([first, second]), np.repeat([-1, 1], 3)) is not None


def test_averaging_a_separating_normal_over_shifts_keeps_it_separating():
    size, generator = 8, np.random.default_rng(1)
    first, second = signals(2, size)
    shifted = [circular_shifts(part).reshape(-1, size) for part in (first, second)]
    # A normal that separates all shifts and is not constant.
    weights = np.ones(size) + 0.02 * generator.normal(size=size)
    assert (shifted[0] @ weights).max() < (shifted[1] @ weights).min()
    averaged = circular_shifts(weights[None])[0].mean(0)
    np.testing.assert_allclose(averaged, np.full(size, weights.mean()))
    assert (shifted[0] @ averaged).max() < (shifted[1] @ averaged).min()


def test_images_and_refusals():
    first, second = np.zeros((2, 3, 3, 1)), np.ones((1, 3, 3, 1))
    margin, normal = dc_margin(first, second)
    assert margin == 3.0
    np.testing.assert_allclose(normal, np.full((3, 3, 1), 1 / 3))
    np.testing.assert_allclose(dc_component(second), [3.0])
    with pytest.raises(UsageError, match="signals of one shape"):
        dc_margin(first, second[:, :2])
    with pytest.raises(UsageError, match="signals of one shape"):
        dc_margin(first[:0], second)


def test_the_tangent_function_is_odd_up_to_a_linear_part():
    cosines = np.linspace(-1, 1, 1001)
    both = relu_tangent_function(cosines) - relu_tangent_function(-cosines)
    np.testing.assert_allclose(both, 2 * cosines, atol=1e-12)
    np.testing.assert_allclose(relu_tangent_function([1.0, -1.0]), [2.0, 0.0], atol=1e-12)


def test_the_tangent_function_against_random_features():
    generator = np.random.default_rng(0)
    x, z = generator.normal(size=(2, 3))
    weights = generator.normal(size=(400_000, 3))
    first, second = weights @ x, weights @ z
    # Gradients of both layers of a wide network: kappa_1 and u kappa_0, each twice its mean.
    output = 2 * np.mean(np.maximum(first, 0) * np.maximum(second, 0))
    hidden = 2 * np.mean((first > 0) & (second > 0)) * (x @ z)
    kernel = dense_tangent_kernel(x[None], z[None]).item()
    np.testing.assert_allclose(kernel, output + hidden, rtol=0.02)


def test_an_antipodal_pair_is_fitted_by_a_linear_function():
    """Without invariance along the signal, with it along the constant: distances |x|, |sum|."""
    generator = np.random.default_rng(3)
    x, z = generator.normal(size=9), generator.normal(size=(5, 9))
    pair = np.stack([x, -x])
    dense = dense_tangent_kernel(z, pair) @ [1, -1]
    np.testing.assert_allclose(dense, 2 * z @ x, rtol=1e-10)
    pooled = pooled_tangent_kernel(z, pair) @ [1, -1]
    np.testing.assert_allclose(pooled, 2 / 9 * z.sum(1) * x.sum(), rtol=1e-10)
    dot = np.eye(9)[4]
    pooled = pooled_tangent_kernel(z, np.stack([dot, -dot])) @ [1, -1]
    np.testing.assert_allclose(pooled / z.sum(1), 0.2222, atol=1e-4)


def test_the_pooled_kernel_is_the_double_sum():
    x, z = np.random.default_rng(4).normal(size=(2, 4))
    both = dense_tangent_kernel(circular_shifts(x[None])[0], circular_shifts(z[None])[0])
    np.testing.assert_allclose(pooled_tangent_kernel(x[None], z[None]), [[both.mean()]])
