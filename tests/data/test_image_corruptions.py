"""Image corruptions: shapes and ranges, order of severities, and cases that are known exactly."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import convolve, zoom
from sklearn.datasets import load_digits

from tfphen.core.errors import UsageError
from tfphen.data.image_corruptions import CORRUPTIONS, LEVELS, SEVERITIES, corrupt_images
from tfphen.data.image_operations import blurred, plasma, sampled, spread

RANDOM = ("gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "fog", "translate",
          "rotate", "shear")  # fmt: skip


def small_digits(count=40):
    return (load_digits().images[:count, ..., None] / 16).astype(np.float32)


def large_digits(count=40):
    """28 by 28 pixels, as the levels of one channel are meant for."""
    enlarged = zoom(small_digits(count)[..., 0], (1, 3.5, 3.5), order=1)
    return np.clip(enlarged, 0, 1)[..., None]


def photographs(count=20):
    """32 by 32 pixels in three channels, neither black nor white."""
    enlarged = zoom(small_digits(3 * count)[..., 0], (1, 4, 4), order=1)
    return 0.2 + 0.6 * np.clip(enlarged, 0, 1).reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)


def random_images(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def corrupted(images, name, severity, seed=0):
    return corrupt_images(images, name, severity, np.random.default_rng(seed))


def changes(images, name):
    """Returns the mean squared change of each severity."""
    levels = range(1, SEVERITIES + 1)
    return np.array([np.mean((corrupted(images, name, level) - images) ** 2) for level in levels])


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption(name):
    assert [len(levels) for levels in LEVELS[name]] == [SEVERITIES, SEVERITIES]
    for images in (large_digits(), small_digits(), photographs(), random_images((3, 12, 9, 2))):
        before = images.copy()
        for severity in range(1, SEVERITIES + 1):
            found = corrupted(images, name, severity)
            assert found.shape == images.shape and found.dtype == np.float32
            assert found.min() >= 0 and found.max() <= 1
            np.testing.assert_array_equal(found, corrupted(images, name, severity))
        np.testing.assert_array_equal(images, before)
        other = corrupted(images, name, 3, seed=1)
        assert np.array_equal(other, corrupted(images, name, 3)) == (name not in RANDOM)
    assert (np.diff(changes(large_digits(), name)) > 0).all()
    assert (np.diff(changes(photographs(), name)) > 0).all()
    # So few pixels leave pixelate four block sizes to choose from.
    smallest = changes(small_digits(), name)
    assert (np.diff(smallest) >= 0).all() and smallest[-1] > 1.5 * smallest[0] > 0


def test_constant_images_stay_under_blurs_and_blocks():
    images = np.full((2, 28, 28, 1), 0.3, np.float32)
    for name in ("defocus_blur", "motion_blur", "pixelate", "contrast"):
        np.testing.assert_allclose(corrupted(images, name, 5), images, atol=1e-6)


def test_noise():
    images = np.full((20, 32, 32, 1), 0.5, np.float32)
    noise = corrupted(images, "gaussian_noise", 2) - images
    assert noise.std() == pytest.approx(0.12, rel=0.03) and abs(noise.mean()) < 0.003
    photons = 25 * corrupted(images, "shot_noise", 2)
    np.testing.assert_allclose(photons, photons.round(), atol=1e-4)
    assert photons.mean() == pytest.approx(12.5, rel=0.03)
    black = np.zeros_like(images)
    np.testing.assert_array_equal(corrupted(black, "shot_noise", 5), black)
    impulses = corrupted(images, "impulse_noise", 5)
    assert set(np.unique(impulses)) == {0, 0.5, 1}
    for value in (0, 1):
        assert np.mean(impulses == value) == pytest.approx(0.27 / 2, rel=0.05)


def test_brightness_adds_a_constant_and_keeps_hue_and_saturation():
    images = large_digits()
    expected = np.minimum(images + np.float32(0.3), 1)
    np.testing.assert_allclose(corrupted(images, "brightness", 3), expected, atol=1e-6)
    pixel = np.array([0.6, 0.3, 0.0], np.float32).reshape(1, 1, 1, 3)
    brighter = corrupted(pixel, "brightness", 5).ravel()
    np.testing.assert_allclose(brighter, [0.9, 0.45, 0.0], atol=1e-6)
    np.testing.assert_allclose(corrupted(0 * pixel, "brightness", 5), 0.3, atol=1e-6)


def test_contrast_keeps_the_mean_of_every_channel():
    images = photographs()
    found = corrupted(images, "contrast", 2)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(
        found.std(axis=(1, 2)), 0.5 * images.std(axis=(1, 2)), rtol=1e-4, atol=1e-6
    )


def test_pixelate_gives_block_means():
    images = random_images((4, 28, 28, 1))
    half = corrupted(images, "pixelate", 2)
    means = images.reshape(4, 14, 2, 14, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(half, means.repeat(2, axis=1).repeat(2, axis=2), atol=1e-6)
    # Three blocks of a line of 8 hold the pixels 0-2, 3-4 and 5-7.
    line = random_images((1, 8, 8, 1))
    edges = (0, 3, 5, 8)
    expected = np.empty_like(line)
    for top, bottom in itertools.pairwise(edges):
        for left, right in itertools.pairwise(edges):
            expected[:, top:bottom, left:right] = line[:, top:bottom, left:right].mean()
    np.testing.assert_allclose(corrupted(line, "pixelate", 3), expected, atol=1e-6)


def test_translate_moves_by_whole_pixels_in_four_directions():
    images = random_images((40, 28, 28, 1))
    found = corrupted(images, "translate", 3)
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3), (0, 0)))
    moved = {
        (row, column): padded[:, row : row + 28, column : column + 28]
        for row in (0, 6)
        for column in (0, 6)
    }
    hits = np.array([np.abs(found - part).max(axis=(1, 2, 3)) < 1e-5 for part in moved.values()])
    assert (hits.sum(axis=0) == 1).all() and hits.any(axis=1).all()
    # Off the grid: half a pixel is the mean of two neighbors.
    half = sampled(images, np.eye(2), np.array([0.0, 0.5]))
    np.testing.assert_allclose(
        half[:, :, :-1], (images[:, :, :-1] + images[:, :, 1:]) / 2, atol=1e-6
    )


def test_maps_of_the_plane():
    images = random_images((2, 9, 9, 2))
    quarter = sampled(images, np.array([[0.0, 1.0], [-1.0, 0.0]]), np.zeros(2))
    np.testing.assert_allclose(quarter, np.rot90(images, 1, axes=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(sampled(images, np.eye(2), np.full(2, 20.0)), 0)
    # The center stays, and halving takes every other pixel into a black frame.
    for name in ("rotate", "shear", "scale"):
        np.testing.assert_allclose(corrupted(images, name, 5)[:, 4, 4], images[:, 4, 4], atol=1e-6)
    halved = corrupted(images, "scale", 5)
    np.testing.assert_allclose(halved[:, 2:7, 2:7], images[:, ::2, ::2], atol=1e-6)
    assert not halved[:, :2].any() and not halved[:, 7:].any()
    # A slope of 1 moves each row by its distance from the middle one, one way or the other.
    sheared = corrupted(images[:, :, :, :1], "shear", 5)
    middle = images[:, :, 4, 0]
    for row in (3, 5):
        near = np.stack([sheared[:, row, 3, 0], sheared[:, row, 5, 0]])
        assert (np.abs(near - middle[:, row]).min(axis=0) < 1e-6).all()


def test_blurs_are_weighted_means_with_repeated_edges():
    images = random_images((3, 11, 13, 2))
    offsets = np.random.default_rng(1).uniform(-2.5, 2.5, (3, 6, 2))
    weights = np.arange(1.0, 7.0)
    found = blurred(images, offsets, weights)
    kernels = spread(offsets, weights)
    np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1, atol=1e-6)
    for image, kernel, result in zip(images, kernels, found, strict=True):
        expected = convolve(image, kernel[..., None], mode="nearest")
        np.testing.assert_allclose(result, expected, atol=1e-5)
    # One offset of a whole pixel is a shift; between two pixels it is their mean.
    shift = spread(np.array([[[1.0, -1.0]], [[0.0, 0.5]]]), np.ones(1))
    assert shift[0, 3, 1] == 1 and shift[1, 2, 2] == shift[1, 2, 3] == 0.5


def test_motion_blur_runs_sideways_and_defocus_blur_is_round():
    dot = np.zeros((200, 28, 28, 1), np.float32)
    dot[:, 14, 14] = 1
    streaks = corrupted(dot, "motion_blur", 1)[..., 0]
    np.testing.assert_allclose(streaks.sum(axis=(1, 2)), 1, atol=1e-5)
    assert streaks[:, :, :13].max() < 1e-5
    spot = corrupted(dot[:1], "defocus_blur", 1)[0, ..., 0]
    np.testing.assert_allclose(spot[1:, 1:], spot[1:, 1:].T, atol=1e-6)
    np.testing.assert_allclose(spot[1:], spot[:0:-1], atol=1e-6)
    far = np.hypot(*(np.indices((28, 28)) - 14)) > 3 + np.sqrt(2)
    assert spot[far].max() < 1e-6 < spot[14, 11]


def test_fog():
    maps = plasma(200, 16, 2.0, np.random.default_rng(0))
    assert maps.shape == (200, 16, 16) and maps.dtype == np.float32
    np.testing.assert_array_equal(maps.min(axis=(1, 2)), 0)
    np.testing.assert_array_equal(maps.max(axis=(1, 2)), 1)
    # Neighbors are alike, around the border too, and more so where the noise decays faster.
    rough = plasma(200, 16, 1.2, np.random.default_rng(0))
    steps = [np.abs(np.diff(x, axis=1, append=x[:, :1])).mean() for x in (maps, rough)]
    assert 2 * steps[0] < steps[1]
    foggy = corrupted(np.full((1, 28, 28, 1), 0.5, np.float32), "fog", 1)
    # (x + 1.5 plasma) x / (x + 1.5) for an even image x.
    assert foggy.min() >= 0.5 * 0.5 / 2 - 1e-6 and foggy.max() <= 0.5 + 1e-6
    black = np.zeros((1, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(corrupted(black, "fog", 5), black)


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()
    for name in CORRUPTIONS:
        corrupted(small_digits(3), name, 3)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_importing_the_module_brings_no_scipy():
    code = "import sys, tfphen.data.image_corruptions; print('scipy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize(
    "change, text",
    [
        ({"corruption": "gausian_noise"}, "Did you mean 'gaussian_noise'"),
        ({"corruption": "snow"}, "corruption='snow'"),
        ({"severity": 0}, "severity=0"),
        ({"severity": 6}, "from 1 to 5"),
        ({"severity": 2.0}, "severity=2.0"),
        ({"generator": 0}, "generator=0"),
        ({"images": np.zeros((8, 8, 1))}, r"shape \(8, 8, 1\)"),
        ({"images": np.zeros((1, 8, 8, 1), int)}, "int64"),
        ({"images": np.full((1, 8, 8, 1), 1.5)}, "floats in"),
        ({"images": np.full((1, 8, 8, 1), np.nan)}, "floats in"),
        ({"images": np.zeros((0, 8, 8, 1))}, r"shape \(0, 8, 8, 1\)"),
    ],
)
def test_wrong_arguments(change, text):
    arguments = {
        "images": np.zeros((1, 8, 8, 1)),
        "corruption": "gaussian_noise",
        "severity": 1,
        "generator": np.random.default_rng(0),
    }
    with pytest.raises(UsageError, match=text):
        corrupt_images(**(arguments | change))
