"""Mean-field logits, the layer that applies them in inference, and the Dempster-Shafer score."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers.mean_field import (
    MEAN_FIELD_LOGISTIC,
    MEAN_FIELD_PROBIT,
    MeanFieldLogits,
    mean_field_logits,
)

LOGITS = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
VARIANCE = np.random.default_rng(1).uniform(0.1, 5, 6).astype("float32")


def array(value):
    return ops.convert_to_numpy(value)


def adjusted(*arguments, **settings):
    return array(mean_field_logits(LOGITS, *arguments, **settings))


def test_factors():
    assert pytest.approx(0.3926991) == MEAN_FIELD_PROBIT
    assert pytest.approx(0.3039636) == MEAN_FIELD_LOGISTIC
    np.testing.assert_allclose(adjusted(np.full(6, 8 / math.pi)), LOGITS / 2**0.5, rtol=1e-6)
    third = np.full(6, math.pi**2 / 3)
    found = adjusted(third, mean_field_factor=MEAN_FIELD_LOGISTIC)
    np.testing.assert_allclose(found, LOGITS / 2**0.5, rtol=1e-6)
    np.testing.assert_allclose(adjusted(), LOGITS / (1 + math.pi / 8) ** 0.5, rtol=1e-6)


@pytest.mark.parametrize("factor", [-1, -0.5, None])
def test_no_adjustment(factor):
    np.testing.assert_array_equal(adjusted(VARIANCE, mean_field_factor=factor), LOGITS)


def test_every_form_of_covariance():
    expected = LOGITS / np.sqrt(1 + 3 * VARIANCE[:, None])
    settings = {"mean_field_factor": 3}
    np.testing.assert_allclose(adjusted(VARIANCE, **settings), expected, rtol=1e-6)
    np.testing.assert_allclose(adjusted(VARIANCE[:, None], **settings), expected, rtol=1e-6)
    matrix = np.diag(VARIANCE) + 0.1
    np.testing.assert_allclose(adjusted(matrix - 0.1, **settings), expected, rtol=1e-6)
    each = np.random.default_rng(2).uniform(0.1, 5, (6, 4)).astype("float32")
    expected = LOGITS / np.sqrt(1 + 3 * each)
    np.testing.assert_allclose(adjusted(each, **settings), expected, rtol=1e-6)
    stack = np.stack([np.diag(column) for column in each.T])
    np.testing.assert_allclose(adjusted(stack, **settings), expected, rtol=1e-6)
    assert (adjusted(VARIANCE).argmax(-1) == LOGITS.argmax(-1)).all()


def test_as_many_examples_as_classes():
    square = np.random.default_rng(2).uniform(0.1, 5, (4, 4)).astype("float32")
    logits = LOGITS[:4]
    with pytest.raises(ValueError, match=r'covariance_form="variance".*Received: covariance.shape'):
        mean_field_logits(logits, square)
    found = array(mean_field_logits(logits, square, 1.0, covariance_form="variance"))
    np.testing.assert_allclose(found, logits / np.sqrt(1 + square), rtol=1e-6)
    found = array(mean_field_logits(logits, square, 1.0, covariance_form="matrix"))
    expected = logits / np.sqrt(1 + np.diag(square)[:, None])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_poisson_multiplies():
    found = adjusted(VARIANCE, mean_field_factor=0.5, likelihood="poisson")
    np.testing.assert_allclose(found, LOGITS * np.exp(VARIANCE / 4)[:, None], rtol=1e-6)
    same = adjusted(VARIANCE, likelihood="binary_logistic")
    np.testing.assert_array_equal(same, adjusted(VARIANCE))


def test_mean_field_is_near_the_mean_over_the_posterior():
    generator = np.random.default_rng(5)
    for mean, variance in ((1.5, 2.0), (-0.5, 4.0), (3.0, 1.0)):
        draws = mean + variance**0.5 * generator.normal(size=200_000)
        expected = np.mean(1 / (1 + np.exp(-draws)))
        for factor in (MEAN_FIELD_PROBIT, MEAN_FIELD_LOGISTIC):
            logit = float(mean_field_logits([[mean]], [variance], factor)[0, 0])
            assert 1 / (1 + math.exp(-logit)) == pytest.approx(expected, abs=0.02)


def test_16_bits_are_computed_in_32():
    logits = ops.cast(LOGITS, "bfloat16")
    variance = ops.cast(VARIANCE, "bfloat16")
    found = mean_field_logits(logits, variance)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    exact = mean_field_logits(ops.cast(logits, "float32"), ops.cast(variance, "float32"))
    np.testing.assert_allclose(array(found), array(exact), atol=1e-6)
    layer = MeanFieldLogits(dtype="mixed_bfloat16")
    outputs = array(layer([ops.cast(LOGITS, "float32"), ops.cast(VARIANCE, "float32")]))
    np.testing.assert_allclose(outputs, adjusted(VARIANCE), atol=1e-6)


def test_gradients(tensorflow):
    tf = tensorflow
    logits, variance = (tf.constant(a.astype("float64")) for a in (LOGITS, VARIANCE))
    weights = np.random.default_rng(3).normal(size=LOGITS.shape)

    def value(pair):
        return tf.reduce_sum(mean_field_logits(*pair) * weights)

    with tf.GradientTape() as tape:
        tape.watch([logits, variance])
        result = value([logits, variance])
    gradients = tape.gradient(result, [logits, variance])
    for which, gradient in enumerate(gradients):
        for index in np.ndindex(*gradient.shape):
            shift = np.zeros(gradient.shape)
            shift[index] = 1e-6
            ends = []
            for sign in (1, -1):
                pair = [logits, variance]
                pair[which] = pair[which] + sign * shift
                ends.append(float(value(pair)))
            slope = (ends[0] - ends[1]) / 2e-6
            assert float(gradient[index]) == pytest.approx(slope, abs=1e-7)


def test_the_layer_adjusts_in_inference_only():
    layer = MeanFieldLogits(mean_field_factor=2.0)
    pair = [ops.convert_to_tensor(LOGITS), ops.convert_to_tensor(VARIANCE)]
    np.testing.assert_array_equal(array(layer(pair, training=True)), LOGITS)
    np.testing.assert_allclose(array(layer(pair)), adjusted(VARIANCE, mean_field_factor=2.0))
    again = MeanFieldLogits.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.mean_field_factor == 2.0
    alone = array(layer(pair[0]))
    np.testing.assert_allclose(alone, adjusted(mean_field_factor=2.0), rtol=1e-6)
    symbolic = layer([keras.Input((4,)), keras.Input(())])
    assert symbolic.shape == (None, 4) and symbolic.dtype == "float32"


@pytest.mark.parametrize(
    "covariance, settings, message",
    [
        (np.ones((6, 3)), {}, "`covariance` holds one variance an example"),
        (np.ones((2, 3, 4, 4)), {}, r"Received: covariance.shape=\(2, 3, 4, 4\)"),
        (VARIANCE, {"covariance_form": "matrix"}, "a matrix over the batch"),
        (VARIANCE, {"covariance_form": "diagonal"}, "`covariance_form` is None or one of"),
        (VARIANCE, {"likelihood": "softmax"}, "`likelihood` must be one of 'logistic'"),
        (VARIANCE, {"mean_field_factor": math.inf}, "`mean_field_factor` must be a finite number"),
        (VARIANCE, {"mean_field_factor": "probit"}, "Received: mean_field_factor='probit'"),
    ],
)
def test_wrong_arguments_are_refused(covariance, settings, message):
    with pytest.raises(ValueError, match=message):
        mean_field_logits(LOGITS, covariance, **settings)
    if "covariance_form" not in settings and settings:
        with pytest.raises(ValueError, match=message):
            MeanFieldLogits(**settings)
