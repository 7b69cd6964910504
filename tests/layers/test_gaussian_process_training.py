"""The Gaussian process head in training: gradients, 16 bits, files, replicas."""

import keras
import numpy as np
import pytest
from keras import ops

from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def array(value):
    return ops.convert_to_numpy(ops.convert_to_tensor(value))


def model_of(**settings):
    inputs = keras.Input((4,))
    outputs = RandomFeatureGaussianProcess(3, 32, **settings)(inputs)
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    return model


@pytest.fixture
def two_replicas(two_devices, tensorflow):
    reduction = tensorflow.distribute.ReductionToOneDevice()
    return tensorflow.distribute.MirroredStrategy(two_devices, cross_device_ops=reduction)


def test_gradients_of_logits_and_variance(tensorflow):
    tf = tensorflow
    layer = RandomFeatureGaussianProcess(3, 16, dtype="float64")
    layer.fit_covariance(numbers(30, 4))
    x, weights = numbers(5, 4, seed=1), numbers(5, 3, seed=2)

    def value(inputs):
        logits, variance = layer(inputs, return_covariance=True)
        return tf.reduce_sum(logits * weights) + tf.reduce_sum(variance * weights[:, 0])

    inputs = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = value(inputs)
    found = tape.gradient(result, inputs).numpy()
    step = 1e-6
    for index in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[index] = step
        slope = (value(tf.constant(x + shift)) - value(tf.constant(x - shift))) / (2 * step)
        assert found[index] == pytest.approx(float(slope), abs=1e-7)


def test_gathering_has_no_part_in_gradients(tensorflow):
    tf = tensorflow
    layer = RandomFeatureGaussianProcess(3, 16, likelihood="softmax", dtype="float64")
    x = tf.constant(numbers(5, 4))
    gradients = []
    for training in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = tf.reduce_sum(layer(x, training=training) ** 2)
        gradients.append(tape.gradient(result, [x, layer.kernel.value]))
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-12)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "bfloat16"])
def test_16_bits_leave_features_and_precision_alone(policy):
    x = numbers(40, 4).astype("float32")
    layers = [RandomFeatureGaussianProcess(3, 32, dtype=dtype) for dtype in ("float32", policy)]
    results = []
    for layer in layers:
        layer(x, training=True)
        results.append((array(layer.precision), *map(array, layer(x, return_covariance=True))))
        assert {str(weight.dtype) for weight in layer.weights} == {"float32"}
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype == "float32"
        np.testing.assert_array_equal(one, other)
    # Features that come in as 16 bits are rounded once, by whatever made them.
    rounded = ops.cast(x, "bfloat16")
    variance = array(layers[1](rounded, return_covariance=True)[1])
    exact = array(layers[0](ops.cast(rounded, "float32"), return_covariance=True)[1])
    np.testing.assert_array_equal(variance, exact)
    np.testing.assert_allclose(variance, results[0][2], atol=0.02)


@pytest.mark.parametrize("updated", [True, False])
def test_a_saved_model_keeps_its_variances(tmp_path, updated):
    model = model_of(return_covariance=False, feature_type="orthogonal", seed=2)
    x = numbers(64, 4).astype("float32")
    model.fit(x, np.arange(64) % 3, epochs=1, batch_size=16, verbose=0)
    if updated:
        model.layers[-1].update_covariance()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    pairs = [one.layers[-1](x, return_covariance=True) for one in (model, loaded)]
    for one, other in zip(*pairs, strict=True):
        np.testing.assert_array_equal(array(one), array(other))
    assert array(loaded.layers[-1].precision).any()


def test_fit_with_and_without_the_compiler_and_a_short_last_batch():
    x, y = numbers(50, 4).astype("float32"), np.arange(50) % 3
    found = []
    for compiled in (False, True):
        model = model_of()
        model.compile(keras.optimizers.SGD(0.1), model.loss, jit_compile=compiled)
        model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
        found.append([array(weight) for weight in model.weights])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("momentum", [None, 0.9])
@pytest.mark.parametrize("likelihood", ["gaussian", "softmax"])
def test_two_replicas_pool_what_one_device_gathers(tensorflow, two_replicas, momentum, likelihood):
    tf = tensorflow
    settings = {"covariance_momentum": momentum, "likelihood": likelihood}
    x, y = numbers(96, 4).astype("float32"), np.arange(96) % 3
    found = []
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        with strategy.scope():
            model = model_of(**settings)
            model.compile(keras.optimizers.SGD(0.1), model.loss, jit_compile=False)
        model.fit(x, y, batch_size=32, epochs=1, shuffle=False, verbose=0)
        layer = model.layers[-1]
        copies = getattr(layer.precision.value, "values", (layer.precision.value,))
        for copy in copies:
            np.testing.assert_allclose(copy.numpy(), array(layer.precision), atol=1e-6)
        layer.update_covariance()
        variance = layer(x, return_covariance=True)[1]
        found.append([array(layer.precision), array(layer.kernel), array(variance)])
        with strategy.scope():
            layer.fit_covariance(x)
        found[-1].append(array(layer.precision))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("momentum", [None, 0.5])
def test_the_first_replica_alone_as_published(tensorflow, two_replicas, momentum):
    tf = tensorflow
    strategy = two_replicas
    settings = {"covariance_replicas": "first", "covariance_momentum": momentum}
    with strategy.scope():
        layer = RandomFeatureGaussianProcess(3, 32, **settings)
        layer.build((None, 4))
    alone = RandomFeatureGaussianProcess(3, 32, **settings)
    shares = [tf.constant(numbers(8, 4, seed=seed), tf.float32) for seed in range(2)]

    @tf.function
    def step():
        values = strategy.experimental_distribute_values_from_function(
            lambda context: shares[context.replica_id_in_sync_group]
        )
        strategy.run(lambda x: layer(x, training=True), (values,))

    for _ in range(2):
        step()
        alone(shares[0], training=True)
    for copy in layer.precision.value.values:
        np.testing.assert_allclose(copy.numpy(), array(alone.precision), atol=1e-6)
