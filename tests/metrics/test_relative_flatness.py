"""Relative flatness in closed form: against whole Hessians, its identities, and its errors."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from tfphen.metrics.flatness_penalty import relative_flatness_penalty
from tfphen.metrics.hessian_products import hessian_vector_product, input_gradient
from tfphen.metrics.relative_flatness import (
    maximal_relative_flatness,
    relative_flatness,
    standardize_neurons,
)
from tfphen.metrics.sharpness import fisher_rao_norm, hessian_max_eigenvalue, hessian_trace

N, M, K = 23, 7, 4


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer(outputs=K, seed=0, scale=0.7):
    generator = np.random.default_rng(seed)
    features = np.maximum(generator.normal(size=(N, M)), -0.3)
    kernel = scale * generator.normal(size=(M, outputs))
    return features, kernel, generator.normal(size=outputs), generator.integers(0, outputs, N)


def mean_loss(features, kernel, bias, labels):
    z = features @ kernel + bias
    return -np.log(np.take_along_axis(softmax(z), labels[:, None], -1)).mean()


def whole_hessian(features, kernel, bias, labels, loss):
    """The Hessian in the kernel, `[m, K, m, K]`, float64, by automatic differentiation."""
    from keras import ops

    y = ops.convert_to_tensor(labels)
    target = ops.one_hot(y, kernel.shape[1], dtype="float64")

    def function(w):
        z = ops.matmul(ops.convert_to_tensor(features), w) + ops.convert_to_tensor(bias)
        if loss == "crossentropy":
            return -ops.mean(ops.sum(target * ops.log_softmax(z), axis=-1))
        if loss == "squared_error":
            return ops.mean(ops.sum((target - z) ** 2, axis=-1))
        return ops.mean(ops.softplus(z[:, 0]) - z[:, 0] * ops.cast(y, "float64"))

    units = np.eye(kernel.size).reshape(-1, *kernel.shape)
    return hessian_vector_product(function, kernel, units).reshape(kernel.shape * 2)


CASES = [("crossentropy", K), ("crossentropy", 2), ("squared_error", K), ("binary", 1)]


@pytest.mark.parametrize(("loss", "outputs"), CASES)
def test_closed_forms_are_contractions_of_the_whole_hessian(loss, outputs, tensorflow):
    features, kernel, bias, labels = layer(outputs)
    labels = labels if outputs > 1 else np.arange(N) % 2
    hessian = whole_hessian(features, kernel, bias, labels, loss)
    arguments = features, kernel, bias, labels, loss
    traces = np.einsum("jsjt->st", hessian)
    expected = ((kernel.T @ kernel) * traces).sum()
    assert relative_flatness(*arguments) == pytest.approx(expected, rel=1e-10)
    normalized = relative_flatness(*arguments, normalize=True)
    assert normalized == pytest.approx(expected / M, rel=1e-10)
    assert hessian_trace(*arguments) == pytest.approx(np.trace(traces), rel=1e-10)
    square = hessian.reshape(kernel.size, -1)
    top = np.linalg.eigvalsh(square)[-1]
    assert hessian_max_eigenvalue(*arguments) == pytest.approx(top, rel=1e-8)
    tops = [np.linalg.eigvalsh(hessian[:, s, :, s])[-1] for s in range(outputs)]
    expected = ((kernel**2).sum(0) * tops).sum()
    assert maximal_relative_flatness(*arguments) == pytest.approx(expected, rel=1e-10)


def test_invariances():
    features, kernel, bias, labels = layer()
    value = relative_flatness(features, kernel, bias, labels)
    rotation = ortho_group.rvs(M, random_state=0)
    for changed in (
        (features / 17.0, kernel * 17.0),
        (features @ rotation, rotation.T @ kernel),
        (features, kernel + np.random.default_rng(1).normal(size=(M, 1))),
    ):
        assert relative_flatness(*changed, bias, labels) == pytest.approx(value, rel=1e-10)
    scales = np.random.default_rng(2).uniform(0.2, 5.0, M)
    neurons = features / scales, kernel * scales[:, None], bias, labels
    assert abs(relative_flatness(*neurons) / value - 1) > 0.1
    for measure in (relative_flatness, maximal_relative_flatness):
        standard = measure(features, kernel, bias, labels, standardize=True)
        assert measure(*neurons, standardize=True) == pytest.approx(standard, rel=1e-10)
        assert standard != pytest.approx(measure(features, kernel, bias, labels), rel=1e-2)


def layer_with_constants():
    """A dead neuron, and one that is the same number in all examples."""
    features, kernel, bias, labels = layer()
    features[:, 2], features[:, 3] = 0.0, 0.7
    return features, kernel, bias, labels


def test_standardised_neurons_give_the_same_outputs():
    features, kernel, bias, labels = layer_with_constants()
    scaled, weights, moved = standardize_neurons(features, kernel, bias)
    np.testing.assert_allclose(scaled @ weights + moved, features @ kernel + bias, rtol=1e-12)
    np.testing.assert_allclose(np.delete(scaled, [2, 3], 1).std(0), 1.0, rtol=1e-12)
    assert not scaled[:, 2:4].any() and not weights[2:4].any()
    np.testing.assert_allclose(moved, bias + 0.7 * kernel[3], rtol=1e-12)
    pair = standardize_neurons(features, kernel)
    np.testing.assert_array_equal(pair[0], scaled)
    np.testing.assert_array_equal(pair[1], weights)
    for measure in (relative_flatness, maximal_relative_flatness):
        standard = measure(features, kernel, bias, labels, standardize=True)
        assert measure(scaled, weights, moved, labels) == pytest.approx(standard, rel=1e-12)
    # Without a bias it is that of zeros; without constants it stays as it is.
    np.testing.assert_allclose(
        standardize_neurons(features, kernel, np.zeros(K))[2], 0.7 * kernel[3], rtol=1e-12
    )
    np.testing.assert_array_equal(standardize_neurons(*layer()[:3])[2], bias)
    with pytest.raises(ValueError, match=r"`bias` must be None or have shape \(4,\).*Received"):
        standardize_neurons(features, kernel, bias[:2])


@pytest.mark.parametrize("measure", [relative_flatness, maximal_relative_flatness])
def test_constant_neurons_leave_standardised_flatness_invariant(measure):
    features, kernel, bias, labels = layer_with_constants()
    value = measure(features, kernel, bias, labels, standardize=True)
    # The same network, with constant features in its bias, has neither of them.
    alive = [0, 1, 4, 5, 6]
    fewer = features[:, alive], kernel[alive], bias + 0.7 * kernel[3], labels
    assert measure(*fewer, standardize=True) == pytest.approx(value, rel=1e-10)
    neurons = np.random.default_rng(2).uniform(0.2, 5.0, M)
    for scale in (17.0, 1e-3, neurons):
        changed = features / scale, kernel * np.broadcast_to(scale, M)[:, None]
        assert measure(*changed, bias, labels, standardize=True) == pytest.approx(value, rel=1e-10)
        *same, moved = standardize_neurons(*changed, bias)
        assert measure(*same, moved, labels) == pytest.approx(value, rel=1e-10)
    # Weights of a dead neuron do nothing, however large.
    kernel[2] *= 1e6
    assert measure(features, kernel, bias, labels, standardize=True) == pytest.approx(value, 1e-10)
    # Were they left beside the standardized ones, they would count.
    others = [0, 1, 3, 4, 5, 6]
    left, kept = features.copy(), kernel.copy()
    left[:, others], kept[others] = standardize_neurons(features[:, others], kernel[others])
    assert measure(left, kept, bias, labels) > 1e6 * value
    assert measure(0 * features + 2.0, kernel, bias, labels, standardize=True) == 0.0


def test_special_values():
    features, kernel, bias, labels = layer()
    equal = np.repeat(kernel[:, :1], K, axis=1)
    assert relative_flatness(features, equal, bias, labels) == 0.0
    sure = np.array([1e6, 0.0, 0.0, 0.0])
    for measure in (relative_flatness, hessian_trace, maximal_relative_flatness):
        assert measure(features, kernel, sure, labels) == 0.0
    assert hessian_max_eigenvalue(features, kernel, sure, labels) == 0.0
    uniform = hessian_trace(features, np.zeros((M, K)), None, labels)
    assert uniform == pytest.approx((features**2).sum(1).mean() * (1 - 1 / K), rel=1e-12)
    value, trace = (f(features, kernel, bias, labels) for f in (relative_flatness, hessian_trace))
    top = np.linalg.eigvalsh(kernel.T @ kernel)[-1]
    assert 0 < value <= top * trace <= (kernel**2).sum() * trace


def test_nearly_sure_predictions_keep_their_digits():
    # p = (1 - q, q) with q = exp(-40): 1 - p is 0 in floating point, yet nothing cancels.
    features, kernel = np.array([[1.0, 2.0]]), np.array([[3.0, 0.0], [0.0, 0.5]])
    q = np.exp(-40.0)
    arguments = features, kernel, [38.0, 0.0], [0]
    assert relative_flatness(*arguments) == pytest.approx(5 * 9.25 * q, rel=1e-9)
    assert hessian_trace(*arguments) == pytest.approx(5 * 2 * q, rel=1e-9)


def test_one_output_and_squared_errors_are_ridge_regression(tensorflow):
    features, kernel, bias, _ = layer(1)
    targets = np.random.default_rng(3).normal(size=N)

    def penalty(w):
        return relative_flatness(features, w, bias, targets, "squared_error")

    data = (features**2).sum(1).mean()
    assert penalty(kernel) == pytest.approx(2 * (kernel**2).sum() * data, rel=1e-12)
    step = 1e-5 * np.eye(M)[..., None]
    slope = [(penalty(kernel + e) - penalty(kernel - e)) / 2e-5 for e in step]
    np.testing.assert_allclose(slope, 4 * kernel[:, 0] * data, rtol=1e-7)


def test_mean_rise_of_the_loss_over_random_orthogonal_maps():
    features, kernel, bias, labels = layer()
    start, delta = mean_loss(features, kernel, bias, labels), 0.05
    rises = []
    for rotation in ortho_group.rvs(M, size=400, random_state=1):
        # A map and its opposite are equally likely; their mean has no terms of odd order.
        pair = [
            mean_loss(features, kernel + sign * delta * rotation @ kernel, bias, labels)
            for sign in (1, -1)
        ]
        rises.append(np.mean(pair) - start)
    expected = delta**2 / (2 * M) * relative_flatness(features, kernel, bias, labels)
    error = np.std(rises, ddof=1) / np.sqrt(len(rises))
    assert error < 0.03 * expected
    assert np.mean(rises) == pytest.approx(expected, abs=3 * error)


def test_rescaled_layers_change_the_trace_and_not_the_function():
    features, kernel, bias, labels = layer()
    scaled = features / 9.0, kernel * 9.0, bias, labels
    plain = features, kernel, bias, labels
    assert hessian_trace(*scaled) == pytest.approx(hessian_trace(*plain) / 81, rel=1e-10)
    z = features @ kernel + bias
    norm = fisher_rao_norm(labels, z, num_hidden_layers=5)
    assert fisher_rao_norm(labels, scaled[0] @ scaled[1] + bias, 5) == pytest.approx(norm, rel=1e-9)
    inner = (softmax(z) * z).sum(1) - z[np.arange(N), labels]
    assert norm == pytest.approx(6 * np.sqrt((inner**2).mean()), rel=1e-12)
    assert fisher_rao_norm(labels, z, 0) == pytest.approx(norm / 6, rel=1e-12)


def test_members_in_front_and_tensors_of_the_backend(tensorflow):
    from keras import ops

    many = [np.stack(parts) for parts in zip(*(layer(seed=s) for s in range(6)), strict=True)]
    many = [part.reshape(2, 3, *part.shape[1:]) for part in many]
    for measure in (
        relative_flatness,
        maximal_relative_flatness,
        hessian_trace,
        hessian_max_eigenvalue,
    ):
        found = measure(*many)
        assert found.shape == (2, 3)
        assert found[1, 2] == pytest.approx(measure(*(part[1, 2] for part in many)), rel=1e-9)
    many[0][1, 2, :, 4] = 0.3  # Constant in one member only.
    for index, part in enumerate(standardize_neurons(*many[:3])):
        own = standardize_neurons(*(one[1, 2] for one in many[:3]))[index]
        np.testing.assert_allclose(part[1, 2], own, rtol=1e-12)
    features, kernel, bias, labels = layer()
    value = relative_flatness(features, kernel, bias, labels)
    tensors = [ops.convert_to_tensor(v) for v in (features, kernel, bias, labels)]
    assert isinstance(value, float) and relative_flatness(*tensors) == value
    assert relative_flatness(features.tolist(), kernel.tolist(), bias.tolist(), labels) == value
    half = relative_flatness(ops.cast(features, "bfloat16"), kernel, bias, labels)
    assert half == pytest.approx(value, rel=0.02) and half != value
    bare = relative_flatness(features, kernel, None, labels)
    assert bare == relative_flatness(features, kernel, np.zeros(K), labels)


def test_penalty_is_the_closed_form(tensorflow):
    from keras import ops

    features, kernel, bias, labels = layer()
    value = relative_flatness(features, kernel, bias, labels)
    assert float(relative_flatness_penalty(features, kernel, bias)) == pytest.approx(value, 1e-12)
    single = [v.astype("float32") for v in (features, kernel, bias)]
    found = relative_flatness_penalty(*single)
    assert found.dtype == "float32" and float(found) == pytest.approx(value, rel=1e-5)
    half = relative_flatness_penalty(*[ops.cast(v, "bfloat16") for v in single])
    assert half.dtype == "float32" and float(half) == pytest.approx(value, rel=0.03)
    compiled = tensorflow.function(relative_flatness_penalty, jit_compile=True)
    assert float(compiled(*single)) == pytest.approx(float(found), rel=1e-6)
    many = [np.stack([v, 2 * v]) for v in (features, kernel, bias)]
    expected = relative_flatness(2 * features, 2 * kernel, 2 * bias, labels)
    stacked = ops.convert_to_numpy(relative_flatness_penalty(*many))
    np.testing.assert_allclose(stacked, [value, expected], rtol=1e-12)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradients_of_the_penalty(which, tensorflow):
    parts = list(layer())

    def at(value, function):
        return function(*parts[:which], value, *parts[which + 1 : 3])

    found = input_gradient(lambda v: at(v, relative_flatness_penalty), parts[which])
    steps = 1e-5 * np.eye(parts[which].size).reshape(-1, *parts[which].shape)

    def closed(*v):
        return relative_flatness(*v, parts[3])

    slope = [(at(parts[which] + e, closed) - at(parts[which] - e, closed)) / 2e-5 for e in steps]
    np.testing.assert_allclose(found.ravel(), slope, rtol=1e-6, atol=1e-8)


def test_penalty_at_one_batch_row_and_wrong_shapes(tensorflow):
    features, kernel, bias, labels = layer()
    one = relative_flatness_penalty(features[:1], kernel, bias)
    assert float(one) == pytest.approx(relative_flatness(features[:1], kernel, bias, labels[:1]))
    for arguments, name in (
        ((features[0], kernel), "features"),
        ((features, kernel.T), "kernel"),
        ((features, kernel[:, :1]), "kernel"),
        ((features, kernel, bias[:2]), "bias"),
    ):
        with pytest.raises(ValueError, match=rf"`{name}`(.|\n)*Received"):
            relative_flatness_penalty(*arguments)


def wrong_arguments():
    features, kernel, bias, labels = layer()
    yield (features, kernel.T, bias, labels), {}, "kernel"
    yield (features[0], kernel, bias, labels), {}, "features"
    yield (features[:0], kernel, bias, labels[:0]), {}, "features"
    yield (np.where(features > 2, np.nan, features), kernel, bias, labels), {}, "features"
    yield (features, kernel * np.inf, bias, labels), {}, "kernel"
    yield (features, kernel, bias[:2], labels), {}, "bias"
    yield (features, kernel, bias, labels[:-1]), {}, "labels"
    yield (features, kernel, bias, np.eye(K)[labels]), {}, "argmax"
    yield (features, kernel, bias, labels - 1), {}, "labels"
    yield (features, kernel, bias, labels + 0.5), {}, "labels"
    yield (features, kernel, bias, labels), {"loss": "hinge"}, "loss"
    yield (features, kernel, bias, labels), {"loss": "binary"}, "kernel"
    yield (features, kernel[:, :1], bias[:1], labels), {}, "kernel"
    yield (features, kernel[:, :1], bias[:1], labels), {"loss": "binary"}, "labels"
    targets = np.full((N, K), np.nan)
    yield (features, kernel, bias, targets), {"loss": "squared_error"}, "labels"


@pytest.mark.parametrize("case", list(wrong_arguments()), ids=lambda case: case[2])
@pytest.mark.parametrize("measure", [relative_flatness, hessian_trace, maximal_relative_flatness])
def test_errors(measure, case):
    arguments, settings, name = case
    with pytest.raises(ValueError, match=rf"{name}(.|\n)*Received"):
        measure(*arguments, **settings)


def test_errors_of_the_fisher_rao_norm():
    for arguments, name in (
        (([0], [[0.0, 1.0]], -1), "num_hidden_layers"),
        (([0], [[0.0, 1.0]], 0.5), "num_hidden_layers"),
        (([2], [[0.0, 1.0]], 1), "y"),
        (([0, 1], [[0.0, 1.0]], 1), "y"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`.*Received"):
            fisher_rao_norm(*arguments)
