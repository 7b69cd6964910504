"""What perceptrons, linear models, random features and the MNIST-1D network compute."""

import math

import keras
import numpy as np

from tfphen.models.convolutional import lenet5, mnist1d_cnn
from tfphen.models.dense_models import linear, mlp, random_fourier_features


def inputs_of(model, count=6, seed=0):
    shape = (count, *model.input_shape[1:])
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_mlp_with_skip_is_the_published_equation():
    model = mlp((40,), 10, hidden_units=(6, 6), skip=True, defaults="torch")
    x = inputs_of(model)
    w1, b1, w2, b2, w3, b3 = model.get_weights()
    hidden = np.maximum(x @ w1 + b1, 0)
    hidden = hidden + np.maximum(hidden @ w2 + b2, 0)
    np.testing.assert_allclose(np.asarray(model(x)), hidden @ w3 + b3, atol=1e-5)


def test_convolutions_start_one_step_before_the_sequence():
    model = mnist1d_cnn((40,), 10, channels=2, defaults="torch")
    x = inputs_of(model)
    kernel, bias = model.get_weights()[:2]
    padded = np.pad(x, ((0, 0), (1, 1)))
    expected = np.stack(
        [padded[:, 2 * i : 2 * i + 5] @ kernel[:, 0] + bias for i in range(19)], axis=1
    )
    found = keras.Model(model.input, model.get_layer("conv_1").output)(x)
    np.testing.assert_allclose(np.asarray(found), np.maximum(expected, 0), atol=1e-5)


def test_random_fourier_features():
    model = random_fourier_features((3,), 4, num_features=20_000, scale=0.7)
    assert [w.path for w in model.trainable_variables] == ["readout/kernel"]
    assert not np.any(np.asarray(model.trainable_variables[0]))
    x = inputs_of(model)
    kernel, bias = model.get_layer("projection").get_weights()
    features = np.asarray(keras.Model(model.input, model.get_layer("features").output)(x))
    np.testing.assert_allclose(
        features, math.sqrt(2 / 20_000) * np.cos(x @ kernel + bias), atol=1e-6
    )
    assert abs(kernel.std() - 0.7) < 0.01
    assert 0 <= bias.min() < 0.01 and 6.27 < bias.max() <= 2 * math.pi
    squares = ((x[:, None] - x[None]) ** 2).sum(-1)
    np.testing.assert_allclose(features @ features.T, np.exp(-0.49 * squares / 2), atol=0.03)


def test_linear_penalty_has_no_half():
    model = linear((5,), 3, l2=0.1)
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(float(model.losses[0]), 0.1 * (kernel**2).sum(), rtol=1e-6)
    assert not linear((5,), 3).losses


def test_lenet5_pads_small_images_and_takes_an_initializer():
    small, large = lenet5((28, 28), 3), lenet5((32, 32), 3)
    assert small.get_layer("conv_1").output.shape == large.get_layer("conv_1").output.shape
    model = lenet5((32, 32, 3), 10, kernel_initializer="glorot_normal", defaults="torch")
    kernel = np.asarray(model.get_layer("hidden_1").kernel)
    assert abs(kernel.std() / math.sqrt(2 / (400 + 120)) - 1) < 0.05
    assert np.abs(np.asarray(model.get_layer("hidden_1").bias)).max() > 0
