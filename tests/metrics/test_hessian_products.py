"""Hessian-vector products, and relative flatness of any layer, against Hessians in full."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.special import logsumexp

from tfphen.metrics import (
    hessian_vector_product,
    input_gradient,
    relative_flatness,
    relative_flatness_of_layer,
)

pytestmark = pytest.mark.usefixtures("tensorflow")


def initial(seed):
    return {
        "kernel_initializer": keras.initializers.GlorotUniform(seed),
        "bias_initializer": keras.initializers.RandomNormal(seed=seed),
    }


def dense_model(dtype="float64"):
    inputs = keras.Input((5,), dtype=dtype)
    x = layers.Dense(6, activation="tanh", name="first", dtype=dtype, **initial(1))(inputs)
    x = layers.Dropout(0.5, seed=1, dtype=dtype)(x)
    x = layers.Dense(4, activation="softplus", name="second", dtype=dtype, **initial(2))(x)
    return keras.Model(inputs, layers.Dense(3, name="logits", dtype=dtype, **initial(3))(x))


def image_model():
    def convolution(name, seed, **settings):
        return layers.Conv2D(3, 3, name=name, dtype="float64", **initial(seed), **settings)

    inputs = keras.Input((6, 6, 2), dtype="float64")
    x = convolution("first", 1, activation="tanh", padding="same")(inputs)
    x = layers.MaxPooling2D(2, dtype="float64")(x)
    x = layers.BatchNormalization(name="norm", dtype="float64")(x)
    x = convolution("second", 2, activation="relu", strides=2, padding="same")(x)
    x = layers.GlobalAveragePooling2D(dtype="float64")(x)
    return keras.Model(inputs, layers.Dense(3, dtype="float64", **initial(3))(x))


def examples(shape, count=21, classes=3, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, *shape)), generator.integers(0, classes, count)


def contraction(model, layer, inputs, labels, tensorflow):
    """The definition: the whole Hessian by nested tapes, and the sum over its blocks."""
    kernel = model.get_layer(layer).kernel.value
    outputs = kernel.shape[-1]
    with tensorflow.GradientTape(persistent=True) as outer:
        with tensorflow.GradientTape() as inner:
            logits = model(inputs, training=False)
            losses = tensorflow.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tensorflow.reduce_mean(losses)
        gradient = inner.gradient(loss, kernel)
    hessian = outer.jacobian(gradient, kernel, experimental_use_pfor=False).numpy()
    matrix = kernel.numpy().reshape(-1, outputs)
    hessian = hessian.reshape(matrix.shape * 2)
    return ((matrix.T @ matrix) * np.einsum("jsjt->st", hessian)).sum()


def differences(model, layer, inputs, labels):
    """The same for a matrix, with second differences of the loss in place of the Hessian."""
    kernel = model.get_layer(layer).kernel
    matrix, step = ops.convert_to_numpy(kernel), 1e-3

    def loss(change):
        kernel.assign(matrix + step * change)
        values = ops.convert_to_numpy(model(inputs, training=False))
        return (logsumexp(values, -1) - values[np.arange(len(labels)), labels]).mean()

    left, singular, _ = np.linalg.svd(matrix.T, full_matrices=False)
    total = 0.0
    for r, j in np.ndindex(len(singular), len(matrix)):
        change = np.zeros_like(matrix)
        change[j] = left[:, r] * singular[r]
        total += (loss(change) + loss(-change) - 2 * loss(0 * change)) / step**2
    kernel.assign(matrix)
    return total


def test_products_of_known_functions():
    generator = np.random.default_rng(0)
    half = generator.normal(size=(6, 6))
    symmetric = half + half.T
    point = generator.normal(size=(2, 3))

    def quadratic(x):
        flat = ops.reshape(x, (-1,))
        return 0.5 * ops.sum(flat * ops.matmul(ops.convert_to_tensor(symmetric), flat))

    vectors = generator.normal(size=(4, 2, 3))
    found = hessian_vector_product(quadratic, point, vectors)
    assert found.shape == (4, 2, 3) and found.dtype == "float64"
    np.testing.assert_allclose(found.reshape(4, 6), vectors.reshape(4, 6) @ symmetric, rtol=1e-12)
    np.testing.assert_array_equal(hessian_vector_product(quadratic, point, vectors[1]), found[1])
    gradient = input_gradient(quadratic, point)
    np.testing.assert_allclose(gradient.ravel(), symmetric @ point.ravel(), rtol=1e-12)


@pytest.mark.parametrize("function", [lambda x: ops.sum(3 * x), lambda x: ops.ones(())])
def test_functions_without_second_or_any_derivative(function):
    assert not hessian_vector_product(function, np.ones(3), np.eye(3)).any()
    expected = ops.convert_to_numpy(function(np.ones(3))).item()
    assert input_gradient(function, np.ones(3)).tolist() == [3.0 if expected == 9 else 0.0] * 3


def test_last_layer_equals_the_closed_form():
    model, (inputs, labels) = dense_model(), examples((5,))
    features = keras.Model(model.inputs[0], model.get_layer("logits").input)(inputs)
    kernel, bias = model.get_layer("logits").get_weights()
    expected = relative_flatness(features, kernel, bias, labels)
    found = relative_flatness_of_layer(model, "logits", inputs, labels)
    assert found.value == pytest.approx(expected, rel=1e-7)  # weights of batches are float32
    assert found[1:] == (0.0, 4 * 3)
    single = dense_model("float32")
    single.set_weights(model.get_weights())
    found = relative_flatness_of_layer(single, single.get_layer("logits"), inputs, labels)
    assert found.value == pytest.approx(expected, rel=1e-5)
    squares = relative_flatness_of_layer(
        model, "logits", inputs, np.eye(3)[labels], "mean_squared_error"
    )
    ridge = relative_flatness(features, kernel, bias, labels, "squared_error")
    assert squares.value == pytest.approx(ridge / 3, rel=1e-6)


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize("make", [dense_model, image_model])
def test_other_layers_equal_the_definition(make, layer, tensorflow):
    model = make()
    inputs, labels = examples(model.input_shape[1:], count=9)
    if make is image_model:
        model.get_layer("norm").moving_variance.assign([0.5, 0.1, 2.0])
    found = relative_flatness_of_layer(model, layer, inputs, labels)
    expected = contraction(model, layer, inputs, labels, tensorflow)
    assert found.value == pytest.approx(expected, rel=1e-5)
    assert abs(expected) > 1e-3
    if make is dense_model:
        expected = differences(model, layer, inputs, labels)
        assert found.value == pytest.approx(expected, rel=1e-3)


def test_monte_carlo_agrees_within_its_error():
    model = dense_model()
    inputs, labels = examples((5,))
    exact = relative_flatness_of_layer(model, "first", inputs, labels)
    assert exact.num_products == 5 * 5  # a 6 × 5 matrix has rank 5
    few, many = (
        relative_flatness_of_layer(
            model, "first", inputs, labels, method="monte_carlo", num_draws=draws, seed=3
        )
        for draws in (64, 1024)
    )
    assert many.value == pytest.approx(exact.value, abs=3 * many.standard_error)
    assert 0.15 < many.standard_error / few.standard_error < 0.4
    assert (few.num_products, many.num_products) == (64, 1024)
    assert many.standard_error < 0.15 * abs(exact.value)
    single = relative_flatness_of_layer(
        model, "first", inputs, labels, method="monte_carlo", num_draws=1
    )
    assert np.isnan(single.standard_error)


@pytest.mark.parametrize("method", ["exact", "monte_carlo"])
def test_batches_and_stacks_change_nothing(method):
    model = dense_model()
    inputs, labels = examples((5,))
    settings = {"method": method, "num_draws": 10, "seed": 1}
    one = relative_flatness_of_layer(model, "second", inputs, labels, **settings)
    other = relative_flatness_of_layer(
        model, "second", inputs, labels, batch_size=8, products_at_once=7, **settings
    )
    assert other.value == pytest.approx(one.value, rel=1e-6)
    normal = relative_flatness_of_layer(model, "second", inputs, labels, normalize=True, **settings)
    assert normal.value == pytest.approx(one.value / 6, rel=1e-12)
    if method == "monte_carlo":
        again = relative_flatness_of_layer(
            model, "second", inputs, labels, **settings | {"seed": 2}
        )
        assert again.value != one.value


def test_rescaled_layers_and_frozen_layers():
    inputs = keras.Input((5,), dtype="float64")
    x = layers.Dense(6, activation="relu", use_bias=False, dtype="float64", name="first")(inputs)
    outputs = layers.Dense(3, dtype="float64", name="logits")(x)
    model = keras.Model(inputs, outputs)
    x, y = examples((5,))
    before = [relative_flatness_of_layer(model, n, x, y).value for n in ("first", "logits")]
    first, last = model.get_layer("first"), model.get_layer("logits")
    first.kernel.assign(first.kernel * 8.0)
    last.kernel.assign(last.kernel / 8.0)
    first.trainable = False
    after = [relative_flatness_of_layer(model, n, x, y).value for n in ("first", "logits")]
    np.testing.assert_allclose(after, before, rtol=1e-6)
    assert min(before) > 1e-3
    first.kernel.assign(0.0 * first.kernel)
    assert relative_flatness_of_layer(model, "first", x, y) == (0.0, 0.0, 0)


def test_losses_of_every_kind_and_several_inputs():
    one, two = keras.Input((4,), name="one"), keras.Input((3,), name="two")
    joined = layers.Concatenate()([one, two])
    model = keras.Model({"one": one, "two": two}, layers.Dense(3, name="logits")(joined))
    x, y = examples((7,))
    inputs = {"one": x[:, :4], "two": x[:, 4:]}
    kernel, bias = model.get_layer("logits").get_weights()
    expected = relative_flatness(x, kernel, bias, y)

    def function(y_true, y_pred):
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

    summed = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    for loss in (None, function, summed):
        found = relative_flatness_of_layer(model, "logits", inputs, y, loss)
        assert found.value == pytest.approx(expected, rel=1e-5)
    variable = model.get_layer("logits").kernel
    found = relative_flatness_of_layer(model, variable, inputs, y)
    assert found.value == pytest.approx(expected, rel=1e-5)


def test_errors(monkeypatch):
    model, (x, y) = dense_model(), examples((5,))

    def call(layer="first", inputs=x, labels=y, **settings):
        return lambda: relative_flatness_of_layer(model, layer, inputs, labels, **settings)

    depthwise, grouped = layers.DepthwiseConv1D(2), layers.Conv1D(4, 2, groups=2)
    for layer in (depthwise, grouped):
        layer.build((None, 5, 2))
    for wrong, name in (
        (call(method="fast"), "method"),
        (call(num_draws=0), "num_draws"),
        (call(batch_size=0), "batch_size"),
        (call(products_at_once=0), "products_at_once"),
        (call(layer=model.layers[2]), "layer"),
        (call(layer=model.get_layer("first").bias), "layer"),
        (call(layer=dense_model().get_layer("first")), "model"),
        (call(layer=depthwise), "layer"),
        (call(layer=grouped), "layer"),
        (call(labels=y[:-1]), "labels"),
        (call(inputs=x[:0], labels=y[:0]), "labels"),
        (call(loss=lambda y_true, y_pred: ops.mean(y_pred)), "loss"),
        (lambda: hessian_vector_product(ops.sum, np.ones(3), np.ones((2, 4))), "vectors"),
    ):
        with pytest.raises(ValueError, match=rf"`{name}`(.|\n)*Received"):
            wrong()
    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")
    with pytest.raises(ValueError, match=r"KERAS_BACKEND(.|\n)*Received.*'numpy'"):
        input_gradient(ops.sum, np.ones(3))
