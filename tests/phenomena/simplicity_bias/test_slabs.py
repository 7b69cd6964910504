"""Slab data: the geometry of the slabs, correlations with the class, noise and rotations."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.phenomena.simplicity_bias import slabs as source
from tfphen.phenomena.simplicity_bias.slabs import randomize_block, slab_blocks, slab_width, slabs

# Distances from 0 between which the slabs of class 0 and of class 1 lie, for a margin of .1.
SUPPORTS = {
    3: ([(0, 0.2667)], [(0.4667, 1)]),
    5: ([(0, 0.12), (0.76, 1)], [(0.32, 0.56)]),
    7: ([(0, 0.0571), (0.5714, 0.6857)], [(0.2571, 0.3714), (0.8857, 1)]),
}
# Shares of each class in them.
SHARES = {3: ([1], [1]), 5: ([0.75, 0.25], [1]), 7: ([0.5, 0.5], [0.875, 0.125])}


def one_coordinate(number, **settings):
    data = slabs(blocks=((number, 1),), rotate=False, train=40_000, test=10, **settings)
    return data.train_inputs[:, 0].astype("float64"), data.train_labels


@pytest.mark.parametrize("number", SUPPORTS)
def test_slabs_are_where_they_should_be(number):
    values, labels = one_coordinate(number)
    for label, (supports, shares) in enumerate(zip(SUPPORTS[number], SHARES[number], strict=True)):
        distances = abs(values[labels == label])
        inside = [(low - 1e-4 <= distances) & (distances <= high + 1e-4) for low, high in supports]
        assert np.any(inside, axis=0).all()
        np.testing.assert_allclose(np.mean(inside, axis=1), shares, atol=0.02)
        for within, (low, high) in zip(inside, supports, strict=True):
            ends = distances[within].min(), distances[within].max()
            np.testing.assert_allclose(ends, (low, high), atol=1e-3)
            assert abs(distances[within].mean() - (low + high) / 2) < 5e-3, "uniform in each slab"


@pytest.mark.parametrize("number", SUPPORTS)
def test_slabs_are_two_margins_apart(number):
    values, _ = one_coordinate(number, margin=0.06)
    steps = np.diff(np.sort(values))
    gaps = steps[steps > 0.05]
    assert len(gaps) == number - 1
    np.testing.assert_allclose(gaps, 0.12, atol=2e-3)
    assert slab_width(number, 0.06) * number + 0.12 * (number - 1) == pytest.approx(2)


def test_only_linear_coordinates_are_correlated_with_the_class():
    data = slabs(blocks=((2, 1), (3, 1), (5, 1), (7, 1)), rotate=False, train=60_000, test=10)
    sign = 2 * data.train_labels - 1
    means = (data.train_inputs * sign[:, None]).mean(0)
    np.testing.assert_allclose(means, [0.55, 0, 0, 0], atol=0.01)
    linear = data.train_inputs[:, 0] * sign
    np.testing.assert_allclose((linear.min(), linear.max()), (0.1, 1), atol=1e-3)


@pytest.mark.parametrize("number", SUPPORTS)
def test_the_distance_from_zero_alone_tells_the_class(number):
    values, labels = one_coordinate(number)
    slab = np.rint(abs(values) / (slab_width(number, 0.1) + 0.2)).astype(int)
    np.testing.assert_array_equal(slab % 2, labels)


def test_one_threshold_on_five_slabs_is_right_in_eleven_of_sixteen_cases_at_most():
    values, labels = one_coordinate(5)
    thresholds = np.linspace(-1.1, 1.1, 200)[:, None]
    accuracies = ((values > thresholds) == labels).mean(1)
    best = max(accuracies.max(), 1 - accuracies.min())
    assert best == pytest.approx(11 / 16, abs=0.01)


def test_a_rotation_is_undone_and_moves_no_distance():
    settings = {"blocks": ((2, 1), (5, 6)), "train": 500, "test": 10, "generator_seed": 4}
    rotated = slabs(**settings).train_inputs.astype("float64")
    plain = slabs(**settings, rotate=False).train_inputs
    found = slab_blocks(**settings)
    np.testing.assert_allclose(rotated @ found.rotation.T, plain, atol=1e-6)
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(7), atol=1e-12)
    assert abs(rotated - plain).max() > 0.5
    assert [columns.tolist() for columns in found.columns] == [[0], [1, 2, 3, 4, 5, 6]]


def test_randomizing_moves_one_block_together_and_nothing_else():
    settings = {"blocks": ((2, 1), (5, 3)), "train": 400, "test": 10}
    inputs, found = slabs(**settings).train_inputs, slab_blocks(**settings)
    same = randomize_block(inputs, found.columns[1], np.arange(400), found.rotation)
    np.testing.assert_allclose(same, inputs, atol=1e-6)
    order = np.random.default_rng(0).permutation(400)
    moved = randomize_block(inputs, found.columns[1], order, found.rotation)
    assert moved.dtype == inputs.dtype
    before, after = (x.astype("float64") @ found.rotation.T for x in (inputs, moved))
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-6)
    np.testing.assert_allclose(after[:, 1:], before[order][:, 1:], atol=1e-6)


def test_a_share_of_exactly_so_many_examples_has_noise_for_a_linear_coordinate():
    blocks = ((2, 1), (7, 2))
    data = slabs(blocks=blocks, noisy=0.13, rotate=False, train=1003, test=1503)
    clean = slabs(blocks=blocks, rotate=False, train=1003, test=1503)
    for part in ("train", "test"):
        inputs = getattr(data, f"{part}_inputs")
        unclear = abs(inputs[:, 0]) < 0.1
        assert unclear.sum() == round(0.13 * len(inputs))
        labels = getattr(data, f"{part}_labels")[unclear]
        assert abs(((inputs[unclear, 0] > 0) == labels).mean() - 0.5) < 0.2
    slab = np.rint(abs(data.train_inputs[:, 1]) / (slab_width(7, 0.1) + 0.2)).astype(int)
    np.testing.assert_array_equal(slab % 2, data.train_labels)
    assert (abs(clean.train_inputs[:, 0]) > 0.0999).all()


def test_a_label_free_block_follows_a_class_of_its_own():
    data = slabs(blocks=((2, 2), (5, 1)), label_free=(0,), rotate=False, train=8000, test=10)
    own = data.train_inputs[:, 0] > 0
    assert abs((own == data.train_labels).mean() - 0.5) < 0.03
    np.testing.assert_array_equal(own, data.train_inputs[:, 1] > 0)


def test_seeds_and_sizes():
    first, again = slabs(train=100, test=50), slabs(train=100, test=50)
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
    other = slabs(train=100, test=50, generator_seed=1)
    assert abs(first.train_inputs - other.train_inputs).max() > 0.1
    assert first.train_inputs.shape == (100, 20) and first.test_inputs.shape == (50, 20)
    longer = slabs(train=100, test=60)
    np.testing.assert_array_equal(longer.train_inputs, first.train_inputs)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blocks": ()}, "are pairs"),
        ({"blocks": ((2, 1, 1),)}, "are pairs"),
        ({"blocks": (5, 3)}, "are pairs"),
        ({"blocks": ((4, 1),)}, "is one of"),
        ({"blocks": ((2, 0),)}, "at least 1"),
        ({"margin": 0.3}, "below 0.25"),
        ({"blocks": ((3, 1),), "noisy": 0.1}, "needs a linear"),
        ({"label_free": (2,)}, "from 0 to 1"),
        ({"train": 0}, "`train`"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(UsageError, match=rf"{message}.*Received: "):
        source.slabs(**settings)
