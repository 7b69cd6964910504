"""Spectral normalization: identities, the bound after training, gradients, states and errors."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers.operator_norm import convolution_norm
from tfphen.layers.spectral_normalization import SpectralNormalization


def array(value):
    return ops.convert_to_numpy(value)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def unrolled(layer, shape):
    """The matrix of a layer's linear part, by what it makes of every basis vector."""
    count = int(np.prod(shape))
    basis = np.eye(count, dtype="float32").reshape(count, *shape)
    outputs = array(layer(basis)) - array(layer(0 * basis[:1]))
    return outputs.reshape(count, -1)


def dense(kernel, **settings):
    inner = keras.layers.Dense(kernel.shape[1], use_bias=False)
    layer = SpectralNormalization(inner, **settings)
    layer.build((None, kernel.shape[0]))
    inner.kernel.assign(kernel)
    return layer


def test_power_iteration_in_training_calls_projects_a_diagonal():
    layer = dense(np.diag([3.0, 1.0]).astype("float32"))
    for _ in range(50):
        layer(normal(2, 2), training=True)
    np.testing.assert_allclose(layer.layer.kernel, np.diag([0.95, 0.95 / 3]), atol=1e-5)
    assert float(layer.spectral_norm()) == pytest.approx(0.95, abs=1e-6)


def test_a_kernel_below_the_cap_stays_to_the_bit():
    kernel = np.array([[3.0, 0.1], [0.2, 1.0]], "float32")
    for reparametrize in (False, True):
        layer = dense(kernel, norm_multiplier=6, reparametrize=reparametrize)
        for training in (True, False):
            outputs = layer(np.eye(2, dtype="float32"), training=training)
            np.testing.assert_array_equal(array(outputs), kernel)
        layer.normalize()
        np.testing.assert_array_equal(array(layer.layer.kernel), kernel)


@pytest.mark.parametrize(
    ("equation", "kernel_shape", "input_shape"),
    [
        ("abc,cd->abd", (5, 4), (3, 5)),
        ("abc,cde->abde", (5, 2, 3), (4, 5)),
        ("abcd,cde->abe", (2, 3, 4), (3, 2, 3)),
        ("abc,bcd->abd", (2, 4, 3), (2, 4)),
        ("...x,xy->...y", (6, 3), (6,)),
    ],
)
def test_einsum_dense(equation, kernel_shape, input_shape):
    rest = equation.split("->")[1].replace("...", "")[1 if "." not in equation else 0 :]
    sizes = dict(zip(equation.split(",")[1].split("->")[0], kernel_shape, strict=True))
    sizes |= dict(
        zip(
            equation.split(",")[0].replace("...", "")[-len(input_shape) :], input_shape, strict=True
        )
    )
    inner = keras.layers.EinsumDense(equation, [sizes[letter] for letter in rest])
    layer = SpectralNormalization(inner, norm_multiplier=0.5)
    layer.build((None, *input_shape))
    inner.kernel.assign(normal(*kernel_shape))
    expected = np.linalg.norm(unrolled(inner, input_shape), 2)
    assert float(layer.normalize()) == pytest.approx(expected, rel=1e-4)
    assert np.linalg.norm(unrolled(layer, input_shape), 2) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("reparametrize", [False, True])
@pytest.mark.parametrize(("stride", "padding"), [(1, "same"), (2, "same"), (1, "valid")])
def test_bound_is_true_after_fit_and_in_the_saved_model(stride, padding, reparametrize, tmp_path):
    inner = keras.layers.Conv2D(
        4,
        3,
        strides=stride,
        padding=padding,
        kernel_initializer=keras.initializers.GlorotUniform(seed=1),
    )
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            SpectralNormalization(inner, reparametrize=reparametrize),
            keras.layers.Flatten(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.GlorotUniform(seed=2)),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, jit_compile=False)
    inputs, labels = normal(64, 6, 6, 3), np.random.default_rng(1).integers(0, 3, 64)
    start = array(inner.kernel)
    # In the order given: Keras shuffles from a global generator.
    model.fit(inputs, labels, batch_size=8, epochs=4, shuffle=False, verbose=0)
    assert np.abs(start - array(inner.kernel)).max() > 0.01
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0)
    )
    for layer in (model.layers[0], loaded.layers[0]):
        norm = np.linalg.norm(unrolled(layer, (6, 6, 3)), 2)
        assert 0.95 * 0.99 < norm <= 0.95 * 1.01
        variable = np.linalg.norm(unrolled(layer.layer, (6, 6, 3)), 2)
        # The cap is active: a free variable is above it, a projected one is not.
        assert variable > 0.95 * 1.05 if reparametrize else variable <= 0.95 * 1.01


def test_gradient_of_reparametrisation_against_finite_differences(tensorflow):
    tf, kernel, inputs = tensorflow, normal(4, 3), normal(5, 4, seed=1)
    layer = dense(kernel, reparametrize=True)
    layer.normalize()
    left, _, right = np.linalg.svd(kernel.astype("float64"))
    weights = normal(5, 3, seed=2)

    def loss(values):
        # u and v are held, as in the layer.
        sigma = left[:, 0] @ values @ right[0]
        return (weights * (inputs @ (values * 0.95 / sigma))).sum()

    expected, step = np.zeros((4, 3)), 1e-5
    for place in np.ndindex(4, 3):
        change = np.zeros((4, 3))
        change[place] = step
        expected[place] = (loss(kernel + change) - loss(kernel - change)) / (2 * step)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(weights * layer(inputs, training=True))
    found = tape.gradient(value, layer.trainable_variables[0].value)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_array_equal(layer.layer.kernel, kernel)


def test_gradient_of_projection_is_that_at_the_projected_kernel(tensorflow):
    tf, inputs = tensorflow, normal(5, 4, seed=1)
    layer = dense(normal(4, 3))
    layer.normalize()
    layer.layer.kernel.assign(normal(4, 3))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(tf.square(layer(inputs, training=True)))
    found = tape.gradient(value, layer.trainable_variables[0].value)
    projected = array(layer.layer.kernel)
    assert np.linalg.norm(projected, 2) == pytest.approx(0.95, rel=1e-4)
    np.testing.assert_allclose(found, 2 * inputs.T @ (inputs @ projected), rtol=1e-4, atol=1e-4)


def test_only_training_calls_of_a_trainable_layer_change_weights():
    layer = dense(normal(4, 3))
    layer.layer.kernel.assign(3 * normal(4, 3, seed=5))
    before = layer.get_weights()
    expected = array(layer(normal(2, 4)))
    layer.trainable = False
    frozen = layer(normal(2, 4), training=True)
    np.testing.assert_array_equal(frozen, expected)
    np.testing.assert_allclose(normal(2, 4) @ array(layer.bounded_kernel()), expected, atol=1e-5)
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    layer.trainable = True
    layer(normal(2, 4), training=True)
    assert not np.array_equal(before[0], layer.get_weights()[0])


def test_a_kernel_of_zeros_and_a_constraint_of_the_layer_keep_working():
    inner = keras.layers.Dense(
        3, kernel_initializer="zeros", kernel_constraint=keras.constraints.NonNeg()
    )
    layer = SpectralNormalization(inner, reparametrize=True)
    layer(normal(2, 4), training=True)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([inner.kernel])
    optimizer.apply([ops.convert_to_tensor(-normal(4, 3))])
    kernel = np.maximum(normal(4, 3), 0)
    np.testing.assert_allclose(array(inner.kernel), kernel, atol=1e-6)
    assert float(layer.spectral_norm()) == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-3)


def test_mixed_precision_iterates_in_float32_and_losses_and_masks_pass():
    inner = keras.layers.Dense(
        3, dtype="mixed_bfloat16", activity_regularizer=keras.regularizers.L2(0.1)
    )
    layer = SpectralNormalization(inner, norm_multiplier=0.3)
    inputs = ops.ones((2, 5, 4))
    outputs = layer(inputs, training=True)
    assert {str(weight.dtype) for weight in layer.weights} == {"float32"}
    # Kernel and norm were not rounded to 16 bits, though no layer with a policy is around this one.
    rounded = array(ops.cast(ops.cast(inner.kernel, "bfloat16"), "float32"))
    assert np.abs(rounded - array(inner.kernel)).max() > 0
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert np.linalg.norm(array(inner.kernel), 2) == pytest.approx(0.3, rel=2e-5)
    assert len(layer.losses) == 1 and float(layer.losses[0]) > 0
    assert layer.supports_masking
    assert tuple(layer.compute_output_shape((2, 5, 4))) == (2, 5, 3)
    assert layer(keras.Input((5, 4))).dtype == "bfloat16"


def test_channels_first_and_a_size_given_beforehand():
    inner = keras.layers.Conv2D(4, 3, data_format="channels_first")
    layer = SpectralNormalization(inner, input_size=(7, 6))
    layer.build((None, 2, None, None))
    assert tuple(layer.right_vector.shape) == (1, 7, 6, 2)
    expected = convolution_norm(array(inner.kernel), (7, 6))
    assert float(layer.spectral_norm()) == pytest.approx(float(expected), rel=0.01)
    with pytest.raises(ValueError, match=r"smaller spatial size.*Received: inputs\.shape"):
        layer(np.zeros((1, 2, 8, 6), "float32"))
    config = json.loads(json.dumps(layer.get_config()))
    again = SpectralNormalization.from_config(config)
    assert json.loads(json.dumps(again.get_config())) == config and again.input_size == [7, 6]


def two_layers():
    """A model that is built by `fit`, with one wrapped layer called twice."""
    start = keras.initializers.GlorotUniform(seed=1)
    shared = SpectralNormalization(keras.layers.Dense(6, kernel_initializer=start), 0.5)
    model = keras.Sequential(
        [shared, keras.layers.ReLU(), shared, keras.layers.Dense(3, kernel_initializer=start)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    labels = np.random.default_rng(1).integers(0, 3, 16)
    model.fit(normal(16, 6), labels, batch_size=8, epochs=3, shuffle=False, verbose=0)
    return model


def test_replicas_agree_on_shared_layers_built_late(tensorflow, two_devices):
    reduction = tensorflow.distribute.ReductionToOneDevice()
    strategy = tensorflow.distribute.MirroredStrategy(two_devices, cross_device_ops=reduction)
    one = two_layers()
    with strategy.scope():
        two = two_layers()
    assert len(one.weights) == len(two.weights) == 6
    for left, right in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)
    for weight in two.weights:
        first, second = (array(part) for part in weight.value.values)
        np.testing.assert_array_equal(first, second)
    assert np.linalg.norm(array(one.layers[0].layer.kernel), 2) <= 0.5 * 1.001


class Squared(keras.layers.Dense):
    def call(self, inputs):
        return ops.matmul(inputs, ops.square(self.kernel))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SpectralNormalization(keras.layers.Dense(3), 0.0), "norm_multiplier"),
        (lambda: SpectralNormalization(keras.layers.Dense(3), float("nan")), "norm_multiplier"),
        (lambda: SpectralNormalization(keras.layers.Dense(3), 1, 0), "power_iterations"),
        (lambda: SpectralNormalization(keras.layers.Dense(3), seed=None), "seed"),
        (lambda: SpectralNormalization(keras.layers.Dense(3), input_size=3), "convolutions only"),
        (lambda: SpectralNormalization(keras.layers.Dense(3), dtype="float32"), "dtype"),
        (lambda: SpectralNormalization(keras.layers.Conv2D(3, 3), input_size=(3,)), "2 axes"),
        (lambda: SpectralNormalization(keras.layers.DepthwiseConv2D(3)), "Conv1D, Conv2D"),
        (lambda: SpectralNormalization(keras.layers.Conv2DTranspose(3, 3)), "Conv1D, Conv2D"),
        (lambda: SpectralNormalization(Squared(3)), "Keras's own"),
        (lambda: SpectralNormalization(keras.layers.Dense(3, lora_rank=2)), "LoRA"),
        (
            lambda: SpectralNormalization(keras.layers.Dense(3, dtype="float8_from_float32")),
            "quant",
        ),
        (
            lambda: SpectralNormalization(keras.layers.Conv2D(3, 3)).build((None, None, 4, 2)),
            "input_size",
        ),
        (lambda: dense(normal(2, 2)).normalize(0), "iterations"),
    ],
)
def test_errors_name_the_argument(make, text):
    with pytest.raises(ValueError, match=text) as raised:
        make()
    assert "Received: " in str(raised.value)
