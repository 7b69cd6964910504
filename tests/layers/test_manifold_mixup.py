"""Manifold mixup: the identities of its definition, plain `fit`, seeds, saving and replicas."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from tfphen.layers.manifold_mixup import ManifoldMixup
from tfphen.layers.mixing import mix, symmetric_beta
from tfphen.losses.softmax_binary_crossentropy import (
    SoftmaxBinaryCrossentropy,
    softmax_binary_crossentropy,
)

PERMUTATION = np.array([2, 0, 3, 1, 5, 4, 7, 6])


def build(activation="relu", normalize=False, units=8):
    """A model of dense layers `hidden_1`, `hidden_2`, and logits of three classes."""
    x = inputs = keras.Input((4,), name="inputs")
    for number in (1, 2):
        start = keras.initializers.GlorotUniform(seed=number)
        x = keras.layers.Dense(
            units, activation, kernel_initializer=start, name=f"hidden_{number}"
        )(x)
        if normalize:
            x = keras.layers.BatchNormalization(name=f"norm_{number}")(x)
    start = keras.initializers.GlorotUniform(seed=3)
    return keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=start, name="logits")(x))


def examples(count=8, seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(count, 4)).astype("float32")
    return inputs, generator.integers(0, 3, count)


def compiled(model, loss=None, **settings):
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, **{"jit_compile": False, **settings})
    return model


def fixed(monkeypatch, model, coefficient, place):
    """Makes every draw of the model the same."""
    drawn = ops.array(coefficient, "float32"), place, ops.array(PERMUTATION, "int32")
    monkeypatch.setattr(model, "_draw", lambda batch_size: drawn)
    return model


def numpy_outputs(model, x, coefficient, place):
    """An independent forward pass of `build()` with mixing at one place."""
    for number, name in enumerate(("hidden_1", "hidden_2", "logits")):
        if number == place:
            x = coefficient * x + (1 - coefficient) * x[PERMUTATION]
        kernel, bias = (np.asarray(w, "float64") for w in model.get_layer(name).get_weights())
        x = x @ kernel + bias
        x = np.maximum(x, 0) if name != "logits" else x
    return x


def crossentropy(z, target):
    log_p = z - z.max(-1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(-1, keepdims=True))
    return -(target * log_p).sum(-1)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("coefficient", [0.3, 1.0])
def test_outputs_and_loss_are_those_of_mixed_states_and_labels(monkeypatch, place, coefficient):
    x, y = examples()
    plain = build()
    model = fixed(monkeypatch, compiled(ManifoldMixup(plain, seed=0)), coefficient, place)
    assert model.mixing_layers == [0, "hidden_1", "hidden_2"]
    found = model(x, training=True)
    expected = numpy_outputs(plain, x.astype("float64"), coefficient, place)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if coefficient == 1.0:
        np.testing.assert_array_equal(found, plain(x))
    else:
        assert np.abs(np.asarray(found) - np.asarray(plain(x))).max() > 0.1
    soft = coefficient * np.eye(3)[y] + (1 - coefficient) * np.eye(3)[y][PERMUTATION]
    loss = model.compute_loss(x, y, found, training=True)
    assert float(loss) == pytest.approx(crossentropy(expected, soft).mean(), rel=1e-5)


def test_gradient_is_that_of_the_mixture(monkeypatch, tensorflow):
    x, y = examples()
    plain = build("tanh")
    model = fixed(monkeypatch, compiled(ManifoldMixup(plain, seed=0)), 0.35, 1)
    kernel = plain.get_layer("hidden_1").kernel
    with tensorflow.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), training=True)
    found = np.asarray(tape.gradient(loss, kernel))
    weights = [np.asarray(w, "float64") for w in plain.get_weights()]
    soft = 0.35 * np.eye(3)[y] + 0.65 * np.eye(3)[y][PERMUTATION]

    def value(first):
        h = np.tanh(x @ first + weights[1])
        h = 0.35 * h + 0.65 * h[PERMUTATION]
        z = np.tanh(h @ weights[2] + weights[3]) @ weights[4] + weights[5]
        return crossentropy(z, soft).mean()

    for index in ((0, 0), (3, 5), (1, 7)):
        step = np.zeros_like(weights[0])
        step[index] = 1e-5
        slope = (value(weights[0] + step) - value(weights[0] - step)) / 2e-5
        assert found[index] == pytest.approx(slope, abs=1e-6)
        assert abs(slope) > 1e-4


def test_coefficient_zero_is_the_permuted_batch(monkeypatch):
    x, y = examples()
    plain = build(normalize=True)
    for place in range(3):
        model = fixed(monkeypatch, compiled(ManifoldMixup(plain, seed=0)), 0.0, place)
        found = model(x, training=True)
        np.testing.assert_allclose(
            found, np.asarray(plain(x, training=True))[PERMUTATION], atol=1e-5
        )
        loss = float(model.compute_loss(x, y, found, training=True))
        unmixed = crossentropy(np.asarray(plain(x, training=True)), np.eye(3)[y]).mean()
        assert loss == pytest.approx(unmixed, rel=1e-5)


def test_a_linear_model_is_mixed_alike_at_every_place(monkeypatch):
    x, _ = examples()
    plain = build(activation=None)
    at = [np.asarray(fixed(monkeypatch, ManifoldMixup(plain), 0.2, k)(x, training=True))
          for k in range(3)]  # fmt: skip
    np.testing.assert_allclose(at[1], at[0], atol=1e-6)
    np.testing.assert_allclose(at[2], at[0], atol=1e-6)
    np.testing.assert_allclose(at[0], plain(mix(x, 0.2, PERMUTATION)), atol=1e-6)


def test_the_other_loss_is_linear_too(monkeypatch):
    x, y = examples()
    loss = SoftmaxBinaryCrossentropy()
    model = fixed(monkeypatch, compiled(ManifoldMixup(build()), loss), 0.3, 0)
    z = np.asarray(model(x, training=True), "float64")
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    soft = 0.3 * np.eye(3)[y] + 0.7 * np.eye(3)[y][PERMUTATION]
    expected = -(soft * np.log(p) + (1 - soft) * np.log(1 - p)).mean()
    found = model.compute_loss(x, y, ops.array(z, "float32"), training=True)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert float(ops.mean(softmax_binary_crossentropy(y, z))) != pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "sum"])
def test_weights_go_with_their_labels(monkeypatch, reduction):
    x, y = examples()
    weight = np.arange(1.0, 9.0, dtype="float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    plain = build()
    plain.get_layer("hidden_1").kernel_regularizer = keras.regularizers.L2(0.01)
    plain.get_layer("hidden_1").kernel.regularizer = keras.regularizers.L2(0.01)
    model = fixed(monkeypatch, compiled(ManifoldMixup(plain), loss), 0.3, 2)
    z = model(x, training=True)
    one_hot, values = np.eye(3)[y], np.asarray(z, "float64")
    own = weight * crossentropy(values, one_hot)
    other = weight[PERMUTATION] * crossentropy(values, one_hot[PERMUTATION])
    divisor = {"sum": 1, "sum_over_batch_size": 8, "mean_with_sample_weight": weight.sum()}
    penalty = 0.01 * (np.asarray(plain.get_layer("hidden_1").kernel) ** 2).sum()
    expected = (0.3 * own + 0.7 * other).sum() / divisor[reduction] + penalty
    found = model.compute_loss(x, y, z, weight, training=True)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("coefficient", [0.3, 0.8])
def test_metrics_see_the_label_of_the_larger_share(monkeypatch, coefficient):
    x, y = examples()
    weight = np.arange(1.0, 9.0, dtype="float32")
    model = compiled(ManifoldMixup(build()), metrics=["accuracy"], weighted_metrics=["accuracy"])
    model.evaluate(x, y, verbose=0)
    fixed(monkeypatch, model, coefficient, 0)
    hit = np.asarray(model(x, training=True)).argmax(-1)
    logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    order = PERMUTATION if coefficient < 0.5 else np.arange(8)
    right = hit == y[order]
    assert 0 < right.sum() < 8 and np.any((hit == y) != (hit == y[PERMUTATION]))
    assert logs["accuracy"] == pytest.approx(right.mean())
    share = (right * weight[order]).sum() / weight.sum()
    assert logs["weighted_accuracy"] == pytest.approx(share)
    # And in evaluation the true ones, whatever was drawn before.
    accuracy = model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx((np.asarray(model(x)).argmax(-1) == y).mean())


def test_draws_follow_their_distributions():
    model = ManifoldMixup(build(), alpha=2.0, seed=0)
    drawn = [model._draw(5) for _ in range(300)]
    coefficients = np.array([float(c) for c, _, _ in drawn])
    places = np.bincount([int(k) for _, k, _ in drawn], minlength=3)
    assert len(places) == 3 and stats.chisquare(places).pvalue > 1e-3
    assert stats.kstest(coefficients, "beta", (2, 2)).pvalue > 1e-3
    assert abs(np.corrcoef(coefficients, [int(k) for _, k, _ in drawn])[0, 1]) < 0.2
    orders = np.array([np.asarray(p) for _, _, p in drawn])
    assert (np.sort(orders) == np.arange(5)).all()
    assert stats.chisquare(np.bincount(orders[:, 0])).pvalue > 1e-3
    assert len(set(coefficients)) > 295


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 2.0, 30.0])
def test_coefficients_are_beta_distributed(alpha):
    drawn = np.asarray(symmetric_beta(alpha, seed=1, shape=(20_000,)), "float64")
    assert np.isfinite(drawn).all() and drawn.min() >= 0 and drawn.max() <= 1
    # Not at the very ends, where float32 has no numbers between 0 and 3e-8.
    grid = np.linspace(0.001, 0.999, 400)
    shares = np.searchsorted(np.sort(drawn), grid) / len(drawn)
    assert np.abs(shares - stats.beta.cdf(grid, alpha, alpha)).max() < 0.012
    assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)
    assert float(symmetric_beta(alpha, seed=1)) == float(symmetric_beta(alpha, seed=1))


def test_mixed_labels_stay_probabilities_with_the_same_mean():
    labels = np.eye(3, dtype="float32")[examples()[1]]
    mixed = np.asarray(mix(labels, 0.3, PERMUTATION))
    np.testing.assert_allclose(mixed.sum(-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(mixed.mean(0), labels.mean(0), atol=1e-6)
    np.testing.assert_array_equal(mix(labels, 1.0, PERMUTATION), labels)
    low = mix(ops.cast(labels, "bfloat16"), 0.3, PERMUTATION)
    assert keras.backend.standardize_dtype(low.dtype) == "bfloat16"
    np.testing.assert_allclose(np.asarray(ops.cast(low, "float32")), mixed, atol=0.01)
    with pytest.raises(ValueError, match=r"`values` must be floats.*Received"):
        mix([1, 2], 0.3, [1, 0])
    with pytest.raises(ValueError, match=r"`coefficient` must be a scalar.*Received"):
        mix([1.0, 2.0], [0.3, 0.2], [1, 0])
