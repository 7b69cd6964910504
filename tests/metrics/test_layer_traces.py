"""Traces of the Hessian of all layers in closed form, against automatic differentiation."""

import itertools

import numpy as np
import pytest

from tfphen.metrics import hessian_trace, perceptron_hessian_traces

WIDTHS = (6, 9, 7, 5, 4)


def network(seed=0, rows=21):
    generator = np.random.default_rng(seed)
    pairs = list(itertools.pairwise(WIDTHS))
    kernels = [generator.normal(size=pair) * np.sqrt(2 / pair[0]) for pair in pairs]
    biases = [0.3 * generator.normal(size=width) for width in WIDTHS[1:]]
    return generator.normal(size=(rows, WIDTHS[0])), kernels, biases


def features_of_last(inputs, kernels, biases):
    for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
        inputs = np.maximum(inputs @ kernel + bias, 0.0)
    return inputs


@pytest.mark.parametrize("layer", range(len(WIDTHS) - 1))
def test_trace_of_the_whole_hessian(layer, tensorflow):
    tf = tensorflow
    inputs, kernels, biases = network()
    labels = np.arange(len(inputs)) % WIDTHS[-1]
    point = tf.constant(kernels[layer])
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(point)
        with tf.GradientTape() as inner:
            inner.watch(point)
            hidden = tf.constant(inputs)
            for index, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
                hidden = hidden @ (point if index == layer else kernel) + bias
                hidden = tf.nn.relu(hidden) if index + 1 < len(kernels) else hidden
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, hidden)
            loss = tf.reduce_mean(losses)
        gradient = inner.gradient(loss, point)
    hessian = outer.jacobian(gradient, point, experimental_use_pfor=False).numpy()
    expected = np.trace(hessian.reshape(point.shape.num_elements(), -1))
    found = perceptron_hessian_traces(inputs, kernels, biases)
    assert found[layer] == pytest.approx(expected, rel=1e-9)


def test_last_layer_is_that_of_the_other_closed_form():
    inputs, kernels, biases = network(1)
    features = features_of_last(inputs, kernels, biases)
    labels = np.zeros(len(inputs), int)
    expected = hessian_trace(features, kernels[-1], biases[-1], labels)
    found = perceptron_hessian_traces(inputs, kernels, biases)
    assert found.shape == (4,)
    assert found[-1] == pytest.approx(expected, rel=1e-12)
    parts = perceptron_hessian_traces(inputs, kernels, biases, rows_at_once=4)
    np.testing.assert_allclose(parts, found, rtol=1e-12)


def test_trace_times_squared_norm_stays_where_layers_are_rescaled():
    inputs, kernels, biases = network(2)
    factors = np.array([3.0, 0.5, 4.0])
    factors = np.append(factors, 1 / factors.prod())
    scaled = [f * kernel for f, kernel in zip(factors, kernels, strict=True)]
    shifted = [f * bias for f, bias in zip(np.cumprod(factors), biases, strict=True)]
    plain = perceptron_hessian_traces(inputs, kernels, biases)
    found = perceptron_hessian_traces(inputs, scaled, shifted)
    np.testing.assert_allclose(found, plain / factors**2, rtol=1e-10)
