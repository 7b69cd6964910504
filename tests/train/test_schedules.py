"""Schedules are factors on the rate, as the papers write them."""

import numpy as np
import pytest
import tensorflow as tf

from tfphen.train.schedules import SCHEDULES


def factor(name, step, total=1000.0, **settings):
    schedule = SCHEDULES[name]
    return schedule(tf.constant(float(step)), tf.constant([total, 2 * total]), **settings).numpy()


def test_inverse_square_root_of_nakkiran():
    steps = {0: 1.0, 511: 1.0, 512: 2**-0.5, 3 * 512: 0.5}
    for step, expected in steps.items():
        np.testing.assert_allclose(factor("inverse_square_root", step), expected, rtol=1e-6)
    # Logged in a re-run: 0.1 / sqrt(976) after 500,000 steps or so.
    assert 0.1 * factor("inverse_square_root", 499_300)[0] == pytest.approx(0.0032009, abs=1e-6)


def test_cosine_and_linear_end_at_zero_for_each_length():
    for name in ("cosine", "linear"):
        np.testing.assert_allclose(factor(name, 0), 1.0)
        np.testing.assert_allclose(factor(name, 1000), [0.0, 0.5], atol=1e-6)
        np.testing.assert_allclose(factor(name, 3000), 0.0, atol=1e-6)


def test_piecewise_and_constant():
    settings = {"fractions": (0.25, 0.5), "factors": (0.1, 0.01)}
    for step, expected in ((0, [1, 1]), (250, [0.1, 1]), (500, [0.01, 0.1])):
        np.testing.assert_allclose(factor("piecewise", step, **settings), expected, rtol=1e-6)
    np.testing.assert_allclose(factor("constant", 7), 1.0)
