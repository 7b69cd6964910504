"""Which max-margin classifier a loss leads to on separable data, as its penalty vanishes.

Factors on the margin lead to the cost-sensitive support vector machine, shifts and weights to the
plain one (Kini et al. 2021, arXiv 2103.01550, theorem 1). The machines are solved by themselves.
"""

import functools
import math

import keras
import numpy as np
import pytest
from scipy import optimize
from sklearn import svm

from tfphen.losses import class_weighted_crossentropy, group_vs_loss
from tfphen.metrics.flatness.hessian_products import compiled_gradient

COUNTS = [[24], [6]]  # classes by groups: one group
FACTOR = 3.0  # of the rare class's margin
GAMMA = math.log(FACTOR) / math.log(24 / 6)


@functools.cache
def separable(seed):
    """24 and 6 examples in 40 dimensions and a constant one, and labels, the rare class 1."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [24, 6])
    inputs = generator.normal(size=(30, 40))
    inputs[:, 0] += np.where(labels == 1, 1.5, -1.5)
    return np.concatenate([inputs, np.ones((30, 1))], 1), labels


def machine(inputs, labels, factor, free_intercept=False):
    """min ‖w‖ with margins of at least `factor` for class 1 and 1 for class 0, by its dual."""
    signed = inputs * np.where(labels == 1, 1.0, -1.0)[:, None]
    wanted = np.where(labels == 1, factor, 1.0)
    penalized = np.ones(inputs.shape[1])
    if free_intercept:
        penalized[-1] = 0.0
    found = optimize.minimize(
        lambda w: (0.5 * w @ (penalized * w), penalized * w),
        np.linalg.lstsq(signed, wanted, rcond=None)[0],
        jac=True,
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda w: signed @ w - wanted, "jac": lambda w: signed},
        options={"maxiter": 500, "ftol": 1e-14},
    )
    assert found.success, found.message
    return found.x


def limit(loss, inputs, labels, penalty=1e-7):
    """The minimiser of the mean loss with a penalty that goes to `penalty` in steps."""

    def function(w):
        scores = keras.ops.matmul(inputs, w[:, None])
        value = keras.ops.mean(loss(keras.ops.concatenate([-0.5 * scores, 0.5 * scores], -1)))
        return value, value

    compiled = compiled_gradient(function)

    def penalized(w, size):
        gradient, value = compiled(w)
        return float(value) + 0.5 * size * w @ w, gradient + size * w

    w = np.zeros(inputs.shape[1])
    for size in 10.0 ** np.arange(-1, math.log10(penalty) - 0.5, -1):
        w = optimize.minimize(
            penalized, w, (size,), jac=True, method="L-BFGS-B", options={"maxiter": 2000}
        ).x
    return w


def cosine(one, other):
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


@pytest.mark.parametrize("seed", [0, 1])
def test_factors_move_the_limit_and_shifts_and_weights_do_not(seed, tensorflow):
    inputs, labels = separable(seed)
    plain, sensitive = (machine(inputs, labels, factor) for factor in (1.0, FACTOR))
    assert cosine(plain, sensitive) < 0.97
    pairs = np.stack([labels, np.zeros_like(labels)], -1)
    losses = {
        "cross-entropy": lambda z: group_vs_loss(pairs, z, COUNTS, 0.0, 0.0),
        "shift": lambda z: group_vs_loss(pairs, z, COUNTS, 0.0, 1.0),
        "weights": lambda z: class_weighted_crossentropy(labels, z, [0.25, 4.0]),
        "factor": lambda z: group_vs_loss(pairs, z, COUNTS, GAMMA, 0.0),
        "both": lambda z: group_vs_loss(pairs, z, COUNTS, GAMMA, 1.0),
    }
    for name, loss in losses.items():
        found = limit(loss, inputs, labels)
        near, far = (sensitive, plain) if name in ("factor", "both") else (plain, sensitive)
        assert cosine(found, near) > 0.98, name
        assert cosine(found, near) > cosine(found, far) + 0.02, name


def test_margins_of_the_machine_and_its_plain_case():
    inputs, labels = separable(0)
    signs = np.where(labels == 1, 1.0, -1.0)
    margins = signs * (inputs @ machine(inputs, labels, FACTOR))
    assert margins[labels == 1].min() == pytest.approx(FACTOR, abs=1e-6)
    assert margins[labels == 0].min() == pytest.approx(1.0, abs=1e-6)
    plain = machine(inputs[:, :-1], labels, 1.0)
    assert (signs * (inputs[:, :-1] @ plain)).min() == pytest.approx(1.0, abs=1e-6)


def test_with_a_free_intercept_the_machine_is_the_plain_one_with_a_shifted_threshold():
    inputs, labels = separable(0)
    plain = svm.SVC(kernel="linear", C=1e6, tol=1e-9).fit(inputs[:, :-1], labels)
    weights, intercept = plain.coef_[0], plain.intercept_[0]
    direct = machine(inputs, labels, FACTOR, free_intercept=True)
    half = (FACTOR + 1) / 2
    np.testing.assert_allclose(direct[:-1], half * weights, atol=1e-6)
    assert direct[-1] == pytest.approx(half * intercept + (FACTOR - 1) / 2, abs=1e-6)
