"""The Gaussian process head: its posterior, its conventions, and life in Keras."""

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def array(value):
    return ops.convert_to_numpy(ops.convert_to_tensor(value))


def layer_of(units=3, size=4, num_inducing=32, **settings):
    layer = RandomFeatureGaussianProcess(units, num_inducing, **settings)
    layer.build((None, size))
    return layer


def gather(layer, *batches, **settings):
    for batch in batches:
        layer(batch, training=True, **settings)
    return layer


def features_of(layer, x):
    return array(layer.random_features(x))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="JAX has no float64 by default, and Keras's matmul gives float32 under PyTorch",
)
def test_woodbury_in_float64():
    train, test = numbers(20, 4), numbers(6, 4, seed=1)
    layer = gather(layer_of(dtype="float64", ridge_penalty=0.3), train)
    phi, star = features_of(layer, train), features_of(layer, test)
    assert phi.dtype == "float64"
    cross, gram = star @ phi.T, phi @ phi.T
    expected = star @ star.T - cross @ np.linalg.solve(gram + 0.3 * np.eye(20), cross.T)
    _, covariance = layer(test, return_covariance="matrix")
    np.testing.assert_allclose(array(covariance), expected, atol=1e-12)
    layer.update_covariance()
    np.testing.assert_allclose(
        array(layer(test, return_covariance=True)[1]), np.diag(expected), atol=1e-12
    )


def test_sum_ignores_the_partition_and_doubles_without_a_reset():
    train = numbers(60, 4)
    whole = array(gather(layer_of(), train).precision)
    layer = layer_of()
    phi = features_of(layer, train)
    np.testing.assert_allclose(whole, phi.T @ phi, atol=1e-4)
    gather(layer, train[:7], train[7:40], train[40:])
    np.testing.assert_allclose(array(layer.precision), whole, atol=1e-5)
    gather(layer, train)
    np.testing.assert_allclose(array(layer.precision), 2 * whole, atol=2e-5)
    layer.reset_covariance()
    assert not array(layer.precision).any()
    layer(train)
    assert not array(layer.precision).any(), "inference must not gather"
    layer.fit_covariance(train, batch_size=13)
    np.testing.assert_allclose(array(layer.precision), whole, atol=1e-5)


def test_prior_variance():
    x = numbers(40, 4)
    layer = layer_of(num_inducing=4096)
    assert np.mean(np.sum(features_of(layer, x) ** 2, -1)) == pytest.approx(1.0, abs=0.01)
    for ridge in (0.1, 7.0):
        for scaled in (True, False):
            layer = layer_of(ridge_penalty=ridge, scale_random_features=scaled)
            squares = np.sum(features_of(layer, x) ** 2, -1)
            found = array(layer(x, return_covariance=True)[1])
            np.testing.assert_allclose(found, squares, rtol=1e-5)


def test_kernel_scale_and_normalization_act_on_the_inputs():
    x = numbers(6, 4)
    np.testing.assert_allclose(
        features_of(layer_of(kernel_scale=4.0), x), features_of(layer_of(), x / 2), atol=1e-5
    )
    normalized = layer_of(normalize_input=True)
    mean, deviation = x.mean(-1, keepdims=True), x.std(-1, keepdims=True)
    expected = features_of(layer_of(), (x - mean) / np.sqrt(deviation**2 + 1e-3))
    np.testing.assert_allclose(features_of(normalized, x), expected, atol=1e-5)
    np.testing.assert_allclose(features_of(normalized, 9 * x + 2), expected, atol=1e-2)


def test_momentum_is_an_average_over_batches():
    first, second = numbers(10, 4), numbers(6, 4, seed=1)
    layer = gather(layer_of(covariance_momentum=0.8), first, second)
    one, two = features_of(layer, first), features_of(layer, second)
    expected = 0.8 * 0.2 * one.T @ one / 10 + 0.2 * two.T @ two / 6
    np.testing.assert_allclose(array(layer.precision), expected, atol=1e-6)


def test_ridge_conventions_agree_in_a_sum_and_part_under_momentum():
    train, test = numbers(30, 4), numbers(5, 4, seed=1)

    def variance(**settings):
        layer = gather(layer_of(ridge_penalty=0.5, **settings), *[train] * 3)
        return array(layer(test, return_covariance=True)[1])

    np.testing.assert_allclose(variance(ridge_in="start"), variance(), rtol=1e-4)
    # The second ridge has decayed to 0.5 * 0.125, so less holds the variance down.
    later = variance(ridge_in="start", covariance_momentum=0.5)
    assert (later > 1.5 * variance(covariance_momentum=0.5)).all()
    plain = variance(scale_covariance_by_ridge=False)
    np.testing.assert_allclose(variance(), 0.5 * plain, rtol=1e-5)
    np.testing.assert_allclose(
        variance(scale_covariance_by_ridge=False, ridge_in="start"), plain, rtol=1e-4
    )


def test_likelihoods_weigh_examples():
    x = numbers(20, 4)
    plain = array(gather(layer_of(1, kernel_initializer="zeros"), x).precision)
    quarter = layer_of(1, kernel_initializer="zeros", likelihood="binary_logistic")
    np.testing.assert_allclose(array(gather(quarter, x).precision), plain / 4, atol=1e-5)
    layer = gather(layer_of(1, likelihood="poisson", output_bias=0.7), x)
    phi, logits = features_of(layer, x), array(layer(x))
    expected = (phi * np.exp(logits)).T @ phi
    np.testing.assert_allclose(array(layer.precision), expected, atol=1e-4)


def test_softmax_has_a_precision_for_each_class():
    x, test = numbers(20, 4), numbers(5, 4, seed=1)
    layer = gather(layer_of(likelihood="softmax", ridge_penalty=0.5), x)
    phi, star, logits = features_of(layer, x), features_of(layer, test), array(layer(x))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    found = array(layer(test, return_covariance="matrix")[1])
    assert found.shape == (3, 5, 5)
    for k in range(3):
        precision = (phi * (p[:, k] * (1 - p[:, k]))[:, None]).T @ phi
        np.testing.assert_allclose(array(layer.precision)[k], precision, atol=1e-5)
        expected = 0.5 * star @ np.linalg.inv(precision + 0.5 * np.eye(32)) @ star.T
        np.testing.assert_allclose(found[k], expected, atol=1e-5)
    variance = array(layer(test, return_covariance="variance")[1])
    np.testing.assert_allclose(variance, np.diagonal(found, axis1=1, axis2=2).T, atol=1e-6)
    # The weights of real examples, half of them left out.
    weight = np.arange(20) % 2
    weighed = gather(layer_of(likelihood="softmax"), x, sample_weight=weight)
    only = gather(layer_of(likelihood="softmax"), x[weight == 1])
    np.testing.assert_allclose(array(weighed.precision), array(only.precision), atol=1e-5)


@pytest.mark.parametrize("momentum", [None, 0.9])
def test_rows_of_weight_zero_leave_no_trace(momentum):
    x = numbers(12, 4)
    weight = np.array([1.0] * 8 + [0.0] * 4)
    settings = {"covariance_momentum": momentum}
    padded = gather(layer_of(**settings), x, sample_weight=weight)
    cut = gather(layer_of(**settings), x[:8])
    np.testing.assert_allclose(array(padded.precision), array(cut.precision), atol=1e-6)
    gather(padded, x, sample_weight=0 * weight)
    np.testing.assert_allclose(array(padded.precision), array(cut.precision), atol=1e-6)


def test_training_gives_the_identity_in_every_form():
    x = numbers(5, 4)
    one, many = layer_of(), layer_of(likelihood="softmax")

    def placeholder(layer, form):
        return array(layer(x, training=True, return_covariance=form)[1])

    np.testing.assert_array_equal(placeholder(one, True), np.ones(5))
    np.testing.assert_array_equal(placeholder(one, "matrix"), np.eye(5))
    np.testing.assert_array_equal(placeholder(many, "variance"), np.ones((5, 3)))
    np.testing.assert_array_equal(placeholder(many, "matrix"), np.stack([np.eye(5)] * 3))


def test_the_stored_root_is_used_only_while_it_is_true():
    x, test = numbers(30, 4), numbers(5, 4, seed=1)
    layer = gather(layer_of(), x)
    fresh = array(layer(test, return_covariance=True)[1])
    layer.update_covariance()
    stored = array(layer(test, return_covariance=True)[1])
    np.testing.assert_allclose(stored, fresh, rtol=1e-4)
    layer.covariance.root.assign(2 * layer.covariance.root)
    doubled = array(layer(test, return_covariance=True)[1])
    np.testing.assert_allclose(doubled, 4 * stored, rtol=1e-5)
    # Any change of the precision, by a step or by hand, puts the stored root aside.
    gather(layer, x)
    after = array(layer(test, return_covariance=True)[1])
    assert (after < stored).all()
    layer.precision.assign(np.diag(np.diagonal(array(layer.precision))))
    assert not np.allclose(array(layer(test, return_covariance=True)[1]), after)
    layer.precision.assign(np.full((32, 32), np.nan))
    with pytest.raises(ValueError, match=r"not finite.*Received: a precision with 1024"):
        layer.update_covariance()


@pytest.mark.parametrize("ridge_in, momentum", [("inversion", None), ("start", 0.5)])
def test_a_ridge_below_rounding_gives_no_nan(ridge_in, momentum):
    # Nearly equal rows: all but a few eigenvalues of the precision are rounding errors.
    batches = [1e-3 * numbers(500, 4, seed=seed) for seed in range(40)]
    layer = layer_of(
        num_inducing=256, ridge_penalty=1e-9, ridge_in=ridge_in, covariance_momentum=momentum
    )
    gather(layer, *batches)
    for _ in range(2):
        found = array(layer(batches[0][:9], return_covariance=True)[1])
        assert np.isfinite(found).all() and (found >= 0).all()
        layer.update_covariance()


def test_inputs_of_another_rank_are_refused():
    with pytest.raises(ValueError, match=r"\[batch, size\].*Received: input_shape=\(None, 3, 4\)"):
        layer_of().build((None, 3, 4))
    for likelihood in ("binary_logistic", "poisson"):
        with pytest.raises(ValueError, match=r"one unit.*Received: logits="):
            layer_of(2, likelihood=likelihood)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"units": 0}, "`units` must be an integer of at least 1. Received: units=0"),
        ({"num_inducing": 1.5}, "`num_inducing` must be an integer"),
        ({"kernel_type": "linear"}, "`kernel_type` must be one of"),
        ({"feature_type": "orf"}, "`feature_type` must be one of"),
        ({"kernel_scale": -1.0}, "`kernel_scale` must be a finite number above 0"),
        ({"kernel_scale": 2.0, "normalize_input": True}, "`feature_stddev` instead"),
        ({"feature_stddev": float("nan")}, "`feature_stddev` must be a finite number"),
        ({"output_bias": float("inf")}, "`output_bias` must be a finite number"),
        ({"likelihood": "probit"}, "`likelihood` must be one of"),
        ({"covariance_momentum": 0.0}, "`covariance_momentum` is None or negative"),
        ({"covariance_momentum": 1.0}, "Received: covariance_momentum=1.0"),
        ({"ridge_penalty": 0.0}, "`ridge_penalty` must be a finite number above 0"),
        ({"ridge_in": "end"}, "`ridge_in` must be one of 'inversion', 'start'"),
        ({"covariance_replicas": 1}, "`covariance_replicas` must be one of 'all', 'first'"),
        ({"return_covariance": "diagonal"}, "`return_covariance` is False, True"),
        ({"seed": None}, "`seed` must be an integer of at least 0. Received: seed=None"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        RandomFeatureGaussianProcess(**{"units": 3, **settings})


def test_configuration():
    settings = {"covariance_momentum": -1, "kernel_regularizer": keras.regularizers.L2(0.1)}
    layer = layer_of(3, likelihood="softmax", **settings)
    config = layer.get_config()
    again = RandomFeatureGaussianProcess.from_config(config)
    assert again.get_config() == config
    assert config["covariance_momentum"] is None and config["return_covariance"] is False
    again.build((None, 4))
    np.testing.assert_array_equal(array(again.kernel), array(layer.kernel))
    np.testing.assert_array_equal(array(again.frequencies), array(layer.frequencies))
    penalty = 0.1 * np.sum(array(layer.kernel) ** 2)
    assert float(array(layer.losses[0])) == pytest.approx(penalty, rel=1e-5)
    assert len(layer.trainable_weights) == 1
    assert len(layer_of(trainable_output_bias=True).trainable_weights) == 2
