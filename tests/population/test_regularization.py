"""Weight penalties of all members are those of each, by Keras' own regularizer."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.population import regularization


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("L2", {"l2": 0.3}),
        ("L1", {"l1": 0.2}),
        ("L1L2", {"l1": 0.1, "l2": 0.4}),
        ("OrthogonalRegularizer", {"factor": 0.5}),
    ],
)
def test_the_penalty_of_each_member(name, settings):
    regularizer = getattr(keras.regularizers, name)(**settings)
    value = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    pairs = [(SimpleNamespace(regularizer=regularizer), tf.constant(value))] * 2
    pairs.append((SimpleNamespace(regularizer=None), tf.constant(value)))
    expected = [2 * float(regularizer(keras.ops.convert_to_tensor(one))) for one in value]
    np.testing.assert_allclose(regularization.total(pairs), expected, rtol=1e-5)


def test_weights_without_a_penalty():
    assert regularization.total([(SimpleNamespace(regularizer=None), tf.ones((2, 3)))]) == 0.0
