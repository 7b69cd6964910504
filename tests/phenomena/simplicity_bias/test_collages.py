"""Collages: how images become blocks, how blocks are put together, and which follow the label."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data.dataset import Dataset
from tfphen.phenomena.simplicity_bias.collages import (
    as_block,
    collage_blocks,
    collages,
    image_pools,
    tile,
)
from tfphen.phenomena.simplicity_bias.slabs import randomize_block

DIGITS = {"sources": ("digits", "digits"), "classes": ((0, 1), (3, 8))}


@pytest.fixture
def fake_sets(monkeypatch):
    """Sets of constant images: the gray level in 8 bits is 10 times the class, plus the set's."""
    levels = {"mnist": 1, "fashion_mnist": 2, "cifar10": 3, "svhn_cropped": 4}
    asked = []

    def load(name, options, data_dir):
        asked.append((name, dict(options), data_dir))
        side, channels = (32, 3) if name in ("cifar10", "svhn_cropped") else (28, 1)
        labels = np.tile(np.arange(10), 6)
        gray = (10 * labels + levels[name]) / 255
        images = np.broadcast_to(gray[:, None, None, None], (60, side, side, channels))
        return Dataset(images, labels, images[:50], labels[:50], 10, name)

    monkeypatch.setattr("tfphen.data.sources.load", load)
    image_pools.cache_clear()
    yield asked
    image_pools.cache_clear()


def level(inputs, columns):
    """Greatest 8-bit level of a block of each collage: its border may be black."""
    return np.rint(255 * inputs[:, columns].max(1)).astype(int)


def test_images_become_gray_blocks_with_a_border():
    images = np.random.default_rng(0).uniform(size=(3, 28, 28, 3))
    blocks = as_block(images)
    assert blocks.shape == (3, 32, 32)
    for border in (blocks[:, :2], blocks[:, -2:], blocks[:, :, :2], blocks[:, :, -2:]):
        assert not border.any()
    np.testing.assert_allclose(blocks[:, 2:-2, 2:-2], images.mean(-1), atol=0.5 / 255 + 1e-12)
    np.testing.assert_allclose(255 * blocks, np.rint(255 * blocks), atol=1e-9)
    small = as_block(images[:, :8, :8])
    np.testing.assert_allclose(
        small[:, ::4, ::4], images[:, :8, :8].mean(-1), atol=0.5 / 255 + 1e-9
    )
    with pytest.raises(UsageError, match=r"square images.*Received: "):
        as_block(np.zeros((2, 33, 33, 1)))


def test_subsampling_a_tiling_is_tiling_what_was_subsampled():
    blocks = np.random.default_rng(1).uniform(size=(2, 4, 32, 32))
    whole = np.concatenate(
        [
            np.concatenate([blocks[:, 0], blocks[:, 1]], axis=1),
            np.concatenate([blocks[:, 2], blocks[:, 3]], axis=1),
        ],
        axis=2,
    )
    np.testing.assert_array_equal(tile(blocks), whole)
    np.testing.assert_array_equal(tile(blocks[:, :, ::4, ::4]), whole[:, ::4, ::4])


def test_published_classes_agree_with_the_label_in_every_block(fake_sets):
    names = ("mnist", "cifar10", "fashion_mnist", "svhn_cropped")
    data = collages(sources=names, train=40, test=20, data_dir="somewhere")
    columns = collage_blocks(sources=names, train=40, test=20).columns
    assert data.train_inputs.shape == (40, 256)
    expected = {"mnist": (1, 11), "cifar10": (13, 93), "fashion_mnist": (22, 42)}
    expected["svhn_cropped"] = (4, 14)
    for part in ("train", "test"):
        inputs, labels = getattr(data, f"{part}_inputs"), getattr(data, f"{part}_labels")
        assert labels.sum() == len(labels) // 2
        for name, own in zip(names, columns, strict=True):
            np.testing.assert_array_equal(level(inputs, own), np.asarray(expected[name])[labels])
    assert fake_sets == [(name, {"flatten": False}, "somewhere") for name in names]


def test_columns_are_those_of_the_layout(fake_sets):
    names = ("mnist", "cifar10", "fashion_mnist", "svhn_cropped")
    image = collages(sources=names, train=2, test=2, flatten=False).train_inputs[..., 0]
    assert image.shape == (2, 16, 16)
    flat = image.reshape(2, -1)
    corners = image[:, :8, :8], image[:, 8:, :8], image[:, :8, 8:], image[:, 8:, 8:]
    for own, corner in zip(collage_blocks(sources=names).columns, corners, strict=True):
        np.testing.assert_array_equal(flat[:, own], corner.reshape(2, -1))


def test_where_one_block_is_predictive_the_others_are_independent(fake_sets):
    settings = {"sources": ("mnist", "fashion_mnist"), "train": 2000, "test": 2000}
    data = collages(**settings, predictive=1)
    first, second = collage_blocks(**settings, predictive=1).columns
    for part in ("train", "test"):
        inputs, labels = getattr(data, f"{part}_inputs"), getattr(data, f"{part}_labels")
        np.testing.assert_array_equal(level(inputs, second) == 42, labels)
        shown = level(inputs, first) == 11
        assert shown.sum() == len(shown) // 2
        counts = np.histogram2d(shown, labels, 2)[0]
        # Pearson's statistic of a 2 by 2 table; 15.1 is exceeded once in 10,000 times.
        assert ((counts - 500) ** 2 / 500).sum() < 15.1


def test_shuffling_the_other_block_is_the_same_as_drawing_it_independently(fake_sets):
    data = collages(train=40, test=400)
    first, second = collage_blocks().columns
    order = np.random.default_rng(2).permutation(400)
    moved = randomize_block(data.test_inputs, first, order)
    np.testing.assert_array_equal(level(moved, second) == 42, data.test_labels)
    np.testing.assert_array_equal(level(moved, first) == 11, data.test_labels[order])


def test_shuffled_blocks_change_places_in_each_collage(fake_sets):
    data = collages(order="shuffled", train=400, test=10)
    top, bottom = (
        half.max((1, 2)) for half in np.split(data.train_inputs.reshape(-1, 16, 8), 2, 1)
    )
    kinds = np.rint(255 * np.stack([top, bottom], 1)).astype(int) % 10
    np.testing.assert_array_equal(np.sort(kinds, axis=1), np.tile([1, 2], (400, 1)))
    assert 120 < (kinds[:, 0] == 1).sum() < 280
    with pytest.raises(UsageError, match="columns where"):
        collage_blocks(order="shuffled")


def test_images_are_used_once_where_there_are_enough():
    data = collages(**DIGITS, train=200, test=10)
    first, second = collage_blocks(**DIGITS).columns
    for own in (first, second):
        assert len(np.unique(data.train_inputs[:, own], axis=0)) == 200
    many = collages(**DIGITS, train=1000, test=10)
    assert len(np.unique(many.train_inputs[:, first], axis=0)) < 300


def test_seeds_and_parts_of_the_data():
    one, again, other = (collages(**DIGITS, train=20, test=8, generator_seed=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.train_inputs, again.train_inputs)
    assert (one.train_inputs != other.train_inputs).any()
    # A test image is no training image.
    known = {x.tobytes() for x in collages(**DIGITS, train=280, test=8).train_inputs[:, :64]}
    assert not known & {x.tobytes() for x in one.test_inputs[:, :64]}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sources": ("mnist",)}, "even number"),
        ({"sources": "mnist"}, "even number"),
        ({"sources": ("digits", "mnist")}, "must be given for 'digits'"),
        ({"classes": ((0, 1),)}, "two different classes"),
        ({"classes": ((0, 1), (2, 2))}, "two different classes"),
        ({"predictive": 2}, "from 0 to 1"),
        ({"order": "sorted"}, "must be one of"),
        ({"stride": 5}, "divides 32"),
        ({"train": 7}, "must be even"),
        ({**DIGITS, "classes": ((0, 1), (3, 12)), "train": 4}, "lacks a class"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(UsageError, match=rf"{message}.*Received: "):
        collages(**settings)
