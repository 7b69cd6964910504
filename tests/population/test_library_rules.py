"""Populations of the toolkit's own layers equal the layers themselves, member by member."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.layers import RandomFeatureGaussianProcess, SpectralNormalization
from tfphen.population import execution
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor
from tfphen.train import batches, objectives, strategy
from tfphen.train.loop import Trainer

layers = keras.layers


def dense_net(cap=0.9, **settings):
    inputs = keras.Input((6,))
    values = SpectralNormalization(layers.Dense(8, "relu", name="dense"), cap, name="capped")(
        inputs
    )
    settings = {"num_inducing": 16, "name": "process"} | settings
    return keras.Model(inputs, RandomFeatureGaussianProcess(3, **settings)(values))


def convolutional_net(cap=0.5):
    inputs = keras.Input((6, 6, 2))
    layer = layers.Conv2D(4, 3, strides=2, padding="same", name="convolution")
    values = SpectralNormalization(layer, cap, name="capped")(inputs)
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(values)))


NETS = {"dense": (dense_net, (6,)), "convolutional": (convolutional_net, (6, 6, 2))}


def examples(shape, size=24):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(size, *shape)).astype("float32")
    return inputs, generator.integers(0, 3, size).astype("int32")


def train(name, steps, found=None, members=(3, 4), how=None, rate=0.5):
    build, shape = NETS[name]
    inputs, labels = examples(shape)
    found = found or tf.distribute.get_strategy()
    with found.scope():
        population = Population(build(), list(members))
        optimizer = MemberOptimizer(keras.optimizers.SGD(rate), population)
    trainer = Trainer(
        population,
        batches.DeviceBatches(
            batches.DeviceDataset(inputs, np.stack([labels] * len(members))),
            24,
            batches.Streams(members),
            replicas=found.num_replicas_in_sync,
        ),
        objectives.cross_entropy,
        optimizer,
        steps,
        strategy=found,
        execution=how,
    )
    trainer.advance(steps)
    return trainer


def value(trainer_or_population, ending, member=0):
    members = getattr(trainer_or_population, "members", trainer_or_population)
    (path,) = [v.path for v in members.model.weights if v.path.endswith(ending)]
    return members.value_of(path)[member]


@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("unrolled", [False, True])
def test_inference_equals_the_keras_model(name, unrolled):
    build, shape = NETS[name]
    population = Population(build(), [3, 4])
    inputs, _ = examples(shape)
    predict = Predictor(population, execution.Execution(not unrolled, unrolled, "test")).predict
    found = predict(inputs)
    for member in (0, 1):
        expected = population.member(member)(inputs, training=False)
        np.testing.assert_allclose(found[member], expected, atol=2e-5)
    assert np.abs(found[0] - found[1]).max() > 0.01


@pytest.mark.parametrize("name", list(NETS))
@pytest.mark.parametrize("unrolled", [False, True])
def test_a_training_step_is_the_layer_s_then_the_optimizer_s(name, unrolled):
    build, shape = NETS[name]
    how = execution.Execution(False, unrolled, "test")
    trainer = train(name, 1, how=how)
    inputs, labels = examples(shape)
    for member in (0, 1):
        model = Population(build(), [3, 4]).member(member)
        capped = model.get_layer("capped")
        before = keras.ops.convert_to_numpy(capped.layer.kernel)
        with tf.GradientTape() as tape:
            losses = keras.ops.sparse_categorical_crossentropy(
                labels, model(inputs, training=True), from_logits=True
            )
            loss = tf.reduce_mean(losses)
        projected = keras.ops.convert_to_numpy(capped.layer.kernel)
        assert np.abs(projected - before).max() > 1e-3, "the cap must act for this to tell anything"
        gradient = tape.gradient(loss, capped.layer.kernel.value)
        expected = projected - 0.5 * gradient.numpy()
        kernel = next(v.path for v in capped.layer.trainable_variables if v.name == "kernel")
        np.testing.assert_allclose(value(trainer, kernel, member), expected, atol=2e-5)
        for vector in ("left_vector", "right_vector"):
            mine = keras.ops.convert_to_numpy(getattr(capped, vector))
            np.testing.assert_allclose(value(trainer, vector, member), mine, atol=2e-5)


def test_members_start_at_the_leading_singular_vectors_of_their_own_kernels():
    population = Population(dense_net(), [3, 4])
    for member in (0, 1):
        kernel = value(population, "dense/kernel", member)
        left, right = (value(population, f"{side}_vector", member) for side in ("left", "right"))
        norm = np.linalg.norm(kernel, 2)
        np.testing.assert_allclose(right @ kernel, norm * left, atol=1e-5)
    convolution = Population(convolutional_net(), [3])
    kernel = tf.constant(value(convolution, "convolution/kernel"))
    linear_map = convolution.model.get_layer("capped")._linear_map
    identity = np.eye(np.prod(linear_map.right_shape), dtype="float32")
    columns = [
        linear_map.apply(kernel, row.reshape(linear_map.right_shape)).numpy().ravel()
        for row in identity
    ]
    largest = np.linalg.norm(np.stack(columns), 2)
    right = value(convolution, "right_vector")
    np.testing.assert_allclose(np.linalg.norm(linear_map.apply(kernel, right)), largest, rtol=1e-3)


def test_what_inference_computes_with_is_capped_after_training():
    trainer = train("dense", 30)
    for member in (0, 1):
        kernel = value(trainer, "dense/kernel", member)
        model = trainer.members.member(member)
        bounded = keras.ops.convert_to_numpy(model.get_layer("capped").bounded_kernel())
        assert np.linalg.norm(bounded, 2) < 0.9 * 1.02
        assert np.linalg.norm(kernel, 2) < 1.5, "the kernel was projected on the way"


def test_features_are_activations_and_differ_between_members():
    population = Population(dense_net(normalize_input=True), [3, 4])
    inputs, _ = examples((6,))
    _, hidden = Predictor(population).predict(inputs, None, ("capped", "process/features"))
    for member in (0, 1):
        process = population.member(member).get_layer("process")
        expected = process.random_features(hidden["capped"][member])
        np.testing.assert_allclose(hidden["process/features"][member], expected, atol=1e-5)
    assert np.abs(np.diff(hidden["process/features"], axis=0)).max() > 0.1


def test_members_draw_the_frequencies_of_their_own_seed():
    one, same, other = (
        value(Population(dense_net(), [seed]), "process/frequencies") for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1
    wide = value(Population(dense_net(feature_stddev=4.0), [3]), "process/frequencies")
    np.testing.assert_allclose(wide, 4.0 * one, rtol=1e-6)


def test_a_population_trains_without_touching_the_precision():
    trainer = train("dense", 3)
    assert not value(trainer, "covariance/precision").any()
    start = value(Population(dense_net(), [3, 4]), "process/frequencies")
    np.testing.assert_array_equal(value(trainer, "process/frequencies"), start)


def test_a_covariance_in_the_forward_pass_is_refused():
    inputs = keras.Input((6,))
    process = RandomFeatureGaussianProcess(3, num_inducing=8, return_covariance=True)
    model = keras.Model(inputs, process(inputs)[0])
    with pytest.raises(NotImplementedError, match="return_covariance=False"):
        Predictor(Population(model, [0])).predict(examples((6,))[0])


@pytest.mark.parametrize("name, unrolled", [("dense", False), ("convolutional", True)])
def test_two_replicas_equal_one(tensorflow, name, unrolled):
    how = execution.Execution(False, unrolled, "test")
    one, two = train(name, 4), train(name, 4, strategy.get("mirrored"), how=how)
    assert two.replicas == 2
    for ours, theirs in zip(one.members.values(), two.members.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
