"""Random crops and mirror images: which there are, how often, and that they depend on nothing."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.core import seeds
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment import training
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.population import execution
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches, objectives, strategy
from tfphen.train.augmentation import AUGMENTATIONS, crop_and_flip
from tfphen.train.loop import Trainer

ROWS, COLUMNS, CHANNELS = 3, 4, 2
IMAGE = np.arange(1, 1 + ROWS * COLUMNS * CHANNELS).reshape(ROWS, COLUMNS, CHANNELS)


def keys(*members):
    return np.stack([seeds.key(seed, "augmentation") for seed in members])


def augmented(members=(0,), count=8, step=0, first_row=0, dtype="float32", image=IMAGE, **settings):
    """The same image for every member and row, augmented."""
    inputs = np.broadcast_to(image, (len(members), count, *image.shape)).astype(dtype)
    outputs = crop_and_flip(
        tf.constant(inputs), keys(*members), tf.constant(step), tf.constant(first_row), **settings
    )
    assert outputs.dtype == dtype and outputs.shape == inputs.shape
    return outputs.numpy()


def possible_images(padding, fill):
    """Every crop of the padded image and its mirror image, in plain NumPy."""
    padded = np.empty((ROWS + 2 * padding, COLUMNS + 2 * padding, CHANNELS))
    padded[:] = fill
    padded[padding : padding + ROWS, padding : padding + COLUMNS] = IMAGE
    places = itertools.product(range(2 * padding + 1), repeat=2)
    crops = [padded[row : row + ROWS, column : column + COLUMNS] for row, column in places]
    return crops, [crop[:, ::-1] for crop in crops]


@pytest.mark.parametrize("flip", [True, False])
def test_every_crop_and_mirror_image_is_as_frequent(flip):
    crops, mirrored = possible_images(2, (-1.0, 0.5))
    expected = [*crops, *mirrored] if flip else crops
    names = {image.astype("float32").tobytes(): i for i, image in enumerate(expected)}
    count = 10_000
    found = augmented(count=count, padding=2, fill=(-1.0, 0.5), flip=flip)[0]
    times = np.bincount([names[image.tobytes()] for image in found], minlength=len(expected))
    mean = count / len(expected)
    # The largest of 50 deviations: beyond 4.5 in one of some 3000 such tests.
    assert np.abs(times - mean).max() < 4.5 * np.sqrt(mean)


def test_without_padding_half_of_the_images_are_mirrored():
    found = augmented(count=2000, padding=0)[0]
    mirrored = (found == IMAGE[:, ::-1]).all((1, 2, 3))
    assert (mirrored | (found == IMAGE).all((1, 2, 3))).all()
    assert abs(mirrored.mean() - 0.5) < 4 * np.sqrt(0.25 / 2000)
    assert (augmented(padding=0, flip=False) == IMAGE).all()


def test_steps_members_and_rows_draw_for_themselves():
    first = augmented((0, 1), count=50, padding=2)
    other = augmented((0, 1), count=50, padding=2, step=1)
    for a, b in ((first, other), (first[0], first[1]), (first[:, :25], first[:, 25:])):
        # One of 50 falls together by chance.
        assert np.mean((a == b).all((-3, -2, -1))) < 0.2
    np.testing.assert_array_equal(first, augmented((0, 1), count=50, padding=2))


def test_a_member_sees_the_same_in_any_population():
    three = augmented((4, 5, 6), step=7)
    for index, seed in enumerate((4, 5, 6)):
        np.testing.assert_array_equal(augmented((seed,), step=7)[0], three[index])


def test_the_rows_of_a_replica_follow_its_first_row():
    whole = augmented((0, 1), count=12, step=3)
    parts = [augmented((0, 1), count=4, step=3, first_row=row) for row in (0, 4, 8)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_xla_draws_the_same():
    inputs = tf.random.stateless_normal((2, 9, *IMAGE.shape), (0, 1))
    arguments = (inputs, tf.constant(keys(0, 1)), tf.constant(5), tf.constant(0))
    compiled = tf.function(crop_and_flip, jit_compile=True)
    np.testing.assert_array_equal(compiled(*arguments), crop_and_flip(*arguments))


def test_the_border_has_the_fill_of_its_channel_and_the_image_is_not_rounded():
    image = np.random.default_rng(0).normal(3, 1e-3, IMAGE.shape).astype("float32")
    fill = np.float32((-1.9892, 2.0123))
    found = augmented(count=200, padding=6, fill=tuple(map(float, fill)), image=image)[0]
    for channel in range(CHANNELS):
        values = set(found[..., channel].ravel())
        assert values == {fill[channel], *image[..., channel].ravel()}
    plain = augmented(count=200, padding=6, fill=0.25, image=image)[0]
    np.testing.assert_array_equal(plain == np.float32(0.25), np.isin(found, fill))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "uint8"])
def test_the_type_of_the_inputs_is_kept(dtype):
    dtype = tf.as_dtype(dtype).as_numpy_dtype
    expected = augmented(padding=1).astype(dtype)
    np.testing.assert_array_equal(augmented(padding=1, dtype=dtype, fill=0), expected)


@pytest.mark.parametrize(
    ("shape", "settings", "text"),
    [
        ((6,), {}, r"takes images.*shape \(6,\)"),
        ((6, 5), {}, r"takes images.*shape \(6, 5\)"),
        ((6, 5, 3), {"padding": -1}, "padding=-1"),
        ((6, 5, 3), {"padding": 1.5}, "padding=1.5"),
        ((6, 5, 3), {"fill": (0.1, 0.2)}, r"the 3 channels.*fill=\(0.1, 0.2\)"),
    ],
)
def test_wrong_inputs_and_settings(shape, settings, text):
    with pytest.raises(UsageError, match=text):
        crop_and_flip(tf.zeros((1, 2, *shape)), keys(0), tf.constant(0), tf.constant(0), **settings)


def test_trials_augment_nothing_by_default():
    assert Trial(Spec("mlp"), steps=1).augmentation == Spec("none")
    assert {"none": None, "crop_and_flip": crop_and_flip} == AUGMENTATIONS


# ---- in the loop ---------------------------------------------------------------------------------


def net():
    layers = keras.layers
    return keras.Sequential([keras.Input((6, 5, 1)), layers.Flatten(), layers.Dense(3)])


def train(members=(0, 1), augment=crop_and_flip, found=None, batch=16, augmentation_seeds=None):
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(50, 6, 5, 1)).astype("float32")
    labels = np.stack([generator.integers(0, 3, 50).astype("int32")] * len(members))
    found = found or strategy.get("one")
    with found.scope():
        population = Population(net(), members)
        rule = MemberOptimizer(keras.optimizers.SGD(0.1), population)
    trainer = Trainer(
        population,
        batches.DeviceBatches(
            batches.DeviceDataset(inputs, labels),
            batch,
            batches.Streams(members, augmentation_seeds and {"augmentation": augmentation_seeds}),
            augment,
            found.num_replicas_in_sync,
        ),
        objectives.cross_entropy,
        rule,
        10,
        strategy=found,
        execution=execution.Execution(False, False, "test"),
    )
    trainer.advance(10)
    return trainer


def weights(trainer, member=0):
    return np.concatenate([value[member].ravel() for value in trainer.members.values()])


def test_the_loop_augments_each_member_from_its_own_stream():
    plain, both = train(augment=None), train()
    assert np.abs(weights(both) - weights(plain)).max() > 1e-3
    np.testing.assert_allclose(weights(train((1,))), weights(both, 1), atol=1e-6)
    other = train((0,), augmentation_seeds=(9,))
    assert np.abs(weights(other) - weights(both)).max() > 1e-3


def test_crops_without_padding_or_mirror_change_nothing():
    def still(*arguments):
        return crop_and_flip(*arguments, padding=0, flip=False)

    np.testing.assert_array_equal(weights(train(augment=still)), weights(train(augment=None)))


@pytest.mark.parametrize("batch", [16, 15])
def test_two_replicas_equal_one(tensorflow, batch):
    one, two = train(batch=batch), train(batch=batch, found=strategy.get("mirrored"))
    assert two.replicas == 2
    np.testing.assert_allclose(weights(one), weights(two), atol=1e-5)
    np.testing.assert_allclose(one.losses, two.losses, atol=1e-5)


class Plain(Phenomenon):
    title = claim = paper = "a test"

    def trials(self, config):
        return ()


def test_a_trial_names_its_augmentation():
    def losses(one):
        (outcome,) = training.train(Plain(), [one], lambda one: {}, tf.distribute.get_strategy())
        return outcome.arrays["step_loss"]

    plain = Trial(
        Spec("linear"),
        Data("digits", train=100, test=10, options={"flatten": False}),
        steps=10,
        batch_size=20,
        record_every=1,
        optimizer=Spec("sgd", learning_rate=0.1),
    )
    cropped = dataclasses.replace(plain, augmentation=Spec("crop_and_flip", padding=2))
    assert np.abs(losses(cropped) - losses(plain)).max() > 1e-2
    moved = dataclasses.replace(cropped, stream_seeds={"augmentation": 8})
    assert np.abs(losses(moved) - losses(cropped)).max() > 1e-3
    assert plain.id != cropped.id and "augmentation" not in plain.to_json()
    with pytest.raises(UsageError, match="Did you mean 'crop_and_flip'"):
        losses(dataclasses.replace(plain, augmentation=Spec("crop_and_flipp")))
    flat = dataclasses.replace(cropped, data=Data("digits", train=100, test=10))
    with pytest.raises(UsageError, match="takes images"):
        losses(flat)
