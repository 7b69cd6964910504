"""Corruptions of images at five severities, in the style of the C sets: noise, blurs, fog, warps.

These are not the files that were published as CIFAR-10-C and MNIST-C. They are drawn here, on any
images, by functions of our own that follow those sets' definitions and, where a line in `LEVELS`
does not say otherwise, their severity levels: MNIST-C's on images of one channel, CIFAR-10-C's (far
milder, made for photographs) on all others. Numbers are comparable between models measured with
this module, not with tables of the published sets.

Reference:
    D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations", ICLR 2019, arXiv 1903.12261; N. Mu, J. Gilmer, "MNIST-C: A Robustness Benchmark
    for Computer Vision", 2019, arXiv 1906.02337.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Array
from tfphen.data.image_operations import block_means, blurred, plasma, sampled


def _of(side: int, *pixels: float) -> tuple[float, ...]:
    return tuple(number / side for number in pixels)


def _pairs(*columns: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    return tuple(zip(*columns, strict=True))


SEVERITIES = 5

# Levels of severity 1 to 5: for images of one channel, then for all others. Lengths are fractions
# of the side: published in pixels of 28 by 28 (MNIST-C) and of 32 by 32 (CIFAR-10-C).
LEVELS: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    # Standard deviation.
    "gaussian_noise": ((0.08, 0.12, 0.18, 0.26, 0.38), (0.04, 0.06, 0.08, 0.09, 0.1)),
    # Photons at full brightness.
    "shot_noise": ((60, 25, 12, 5, 3), (500, 250, 100, 75, 50)),
    # Fraction of values that turn black or white, with equal chance.
    "impulse_noise": ((0.03, 0.06, 0.09, 0.17, 0.27), (0.01, 0.02, 0.03, 0.05, 0.07)),
    # Radius of the disc, a fraction. The second row is our own: the published one has discs of
    # less than a pixel under a smoothing of its own.
    "defocus_blur": (_of(28, 3, 4, 6, 8, 10), _of(32, 0.5, 0.75, 1, 1.25, 1.5)),
    # Length of the track and the standard deviation at which it fades, fractions.
    "motion_blur": (
        _pairs(_of(28, 10, 15, 15, 15, 20), _of(28, 3, 5, 8, 12, 15)),
        _pairs(_of(32, 6, 6, 6, 8, 9), _of(32, 1, 1.5, 2, 2, 2.5)),
    ),
    # Brightness of the thickest fog, and how smooth it is (see `plasma`). The map is as large as
    # the image; MNIST-C crops a larger one, whose fog is more even.
    "fog": (
        _pairs((1.5, 2, 2.5, 2.5, 3), (2, 2, 1.7, 1.5, 1.4)),
        _pairs((0.2, 0.5, 0.75, 1, 1.5), (3, 3, 2.5, 2, 1.75)),
    ),
    # What is added to the largest channel.
    "brightness": ((0.1, 0.2, 0.3, 0.4, 0.5), (0.05, 0.1, 0.15, 0.2, 0.3)),
    # What remains of the distance from the image's mean.
    "contrast": ((0.4, 0.3, 0.2, 0.1, 0.05), (0.75, 0.5, 0.4, 0.3, 0.15)),
    # Blocks a side, as a fraction of the pixels a side.
    "pixelate": ((0.6, 0.5, 0.4, 0.3, 0.25), (0.95, 0.9, 0.85, 0.75, 0.65)),
    # Of the next four, MNIST-C has levels and CIFAR-10-C has none: they are the same for both.
    # Shift along both axes, a fraction.
    "translate": (_of(28, 1, 2, 3, 4, 5),) * 2,
    # Angle in radians.
    "rotate": ((0.2, 0.4, 0.6, 0.8, 1.0),) * 2,
    # Slope; the published map also stretches the rows a little, ours does not.
    "shear": ((0.2, 0.4, 0.6, 0.8, 1.0),) * 2,
    # Size of what the image shrinks to.
    "scale": ((0.9, 0.8, 0.7, 0.6, 0.5),) * 2,
}


def corrupt_images(
    images: Array, corruption: str, severity: int, generator: np.random.Generator
) -> Array:
    """Returns images with one corruption, each image with a draw of its own.

        x' = clip(corruption(x; level[severity]), 0, 1)

    Lengths (of blurs, shifts and blocks) are fractions of the image's size, so 8 by 8 pixels suffer
    like 28 by 28.

    Args:
        images: Floats in [0, 1], `[n, height, width, channels]`.
        corruption: `"gaussian_noise"`, `"shot_noise"`, `"impulse_noise"`, `"defocus_blur"`,
            `"motion_blur"`, `"fog"`, `"brightness"`, `"contrast"`, `"pixelate"`, `"translate"`,
            `"rotate"`, `"shear"` or `"scale"`.
        severity: From 1 to 5, the column of `LEVELS`.
        generator: Random generator; the same state gives the same images.

    Returns:
        float32 in [0, 1], of the shape of `images`.

    Raises:
        UsageError: An unknown corruption or severity, no generator, or images that are not floats
            in [0, 1] with four axes.

    Example:

    >>> images = np.full((1, 4, 4, 1), 0.25)
    >>> corrupt_images(images, "brightness", 2, np.random.default_rng(0))[0, 0, 0]
    array([0.45], dtype=float32)

    When not to use:
        To compare with published results on CIFAR-10-C or MNIST-C: take their files. As
        augmentation that is meant to help on the same corruptions: what is trained on is no longer
        a shift. On images of very few pixels neighboring severities can coincide: 8 by 8 pixels
        are pixelated to 4, 4, 3, 2 and 2 a side.

    Reference:
        D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions
        and Perturbations", ICLR 2019, arXiv 1903.12261; N. Mu, J. Gilmer, "MNIST-C: A Robustness
        Benchmark for Computer Vision", 2019, arXiv 1906.02337.
    """
    checks.one_of("corruption", corruption, tuple(CORRUPTIONS))
    severity = checks.whole("severity", severity, 1, SEVERITIES)
    if not isinstance(generator, np.random.Generator):
        raise UsageError(f"`generator` is a NumPy Generator. Received: generator={generator!r}")
    checked = _checked(images)
    gray, color = LEVELS[corruption]
    level = (gray if checked.shape[-1] == 1 else color)[severity - 1]
    corrupted = CORRUPTIONS[corruption](checked, level, generator)
    return np.clip(corrupted, 0, 1).astype(np.float32, copy=False)


def _checked(images: Array) -> Array:
    array = np.asarray(images)
    four_axes = array.ndim == 4 and np.issubdtype(array.dtype, np.floating) and array.size > 0
    if not (four_axes and array.min() >= 0 and array.max() <= 1):
        raise UsageError(
            "`images` must be floats in [0, 1] of shape [n, height, width, channels]. "
            f"Received: shape {array.shape}, {array.dtype}"
        )
    return array.astype(np.float32, copy=False)


# ---- noise -------------------------------------------------------------------------------------


def _gaussian_noise(images: Array, level: float, generator: np.random.Generator) -> Array:
    return images + level * generator.standard_normal(images.shape, dtype=np.float32)


def _shot_noise(images: Array, level: float, generator: np.random.Generator) -> Array:
    return generator.poisson(images * level) / np.float32(level)


def _impulse_noise(images: Array, level: float, generator: np.random.Generator) -> Array:
    chance = generator.random(images.shape, dtype=np.float32)
    return np.where(chance < level, (chance < level / 2).astype(np.float32), images)


# ---- light -------------------------------------------------------------------------------------


def _brightness(images: Array, level: float, generator: np.random.Generator) -> Array:
    # The value of HSV, the largest channel, grows by a constant: hue and saturation stay.
    value = images.max(axis=-1, keepdims=True)
    brighter = np.minimum(value + np.float32(level), 1)
    factor = np.divide(brighter, value, out=np.zeros_like(value), where=value > 0)
    return np.where(value > 0, images * factor, brighter)


def _contrast(images: Array, level: float, generator: np.random.Generator) -> Array:
    mean = images.mean(axis=(1, 2), keepdims=True)
    return mean + np.float32(level) * (images - mean)


def _fog(images: Array, level: tuple[float, float], generator: np.random.Generator) -> Array:
    amount, decay = level
    count, height, width, _ = images.shape
    size = 1 << (max(height, width) - 1).bit_length()
    layer = plasma(count, size, decay, generator)[:, :height, :width, None]
    largest = images.max(axis=(1, 2, 3), keepdims=True)
    return (images + np.float32(amount) * layer) * (largest / (largest + np.float32(amount)))


# ---- blurs -------------------------------------------------------------------------------------


def _defocus_blur(images: Array, level: float, generator: np.random.Generator) -> Array:
    # Whole numbers: rounding takes no point of the rim from one side only.
    grid = np.indices((41, 41)).reshape(2, -1).T - 20
    disc = level * _side(images) / 20 * grid[(grid**2).sum(axis=1) <= 20**2]
    return blurred(images, disc[None], np.ones(len(disc)))


def _motion_blur(
    images: Array, level: tuple[float, float], generator: np.random.Generator
) -> Array:
    length, deviation = (part * _side(images) for part in level)
    distance = np.linspace(0, length, 2 * int(np.ceil(length)) + 1)
    angle = generator.uniform(-np.pi / 4, np.pi / 4, len(images))
    direction = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    weights = np.exp(-0.5 * (distance / deviation) ** 2)
    return blurred(images, direction[:, None] * distance[:, None], weights)


def _side(images: Array) -> int:
    return min(images.shape[1:3])


# ---- blocks and maps of the plane --------------------------------------------------------------


def _pixelate(images: Array, level: float, generator: np.random.Generator) -> Array:
    rows, columns = (block_means(side, max(1, int(side * level))) for side in images.shape[1:3])
    return np.einsum("ij,njkc,lk->nilc", rows, images, columns, optimize=True)


def _translate(images: Array, level: float, generator: np.random.Generator) -> Array:
    distance = level * np.array(images.shape[1:3])
    return _warped(images, generator, lambda sign: (np.eye(2), sign * distance))


def _rotate(images: Array, level: float, generator: np.random.Generator) -> Array:
    cos, sin = np.cos(level), np.sin(level)
    return _warped(
        images,
        generator,
        lambda sign: (np.array([[cos, -sign[0] * sin], [sign[0] * sin, cos]]), np.zeros(2)),
    )


def _shear(images: Array, level: float, generator: np.random.Generator) -> Array:
    return _warped(
        images,
        generator,
        lambda sign: (np.array([[1, 0], [sign[0] * level, 1]]), np.zeros(2)),
    )


def _scale(images: Array, level: float, generator: np.random.Generator) -> Array:
    return _warped(images, generator, lambda sign: (np.eye(2) / level, np.zeros(2)))


def _warped(
    images: Array,
    generator: np.random.Generator,
    source: Callable[[Array], tuple[Array, Array]],
) -> Array:
    """Samples images at `matrix @ place + shift` about their centers, in random directions.

    Args:
        images: `[n, height, width, channels]`.
        generator: Random generator of the two signs of each image.
        source: From two signs, `[2]`, to the matrix, `[2, 2]`, and the shift in pixels, `[2]`.
    """
    signs = 2 * generator.integers(0, 2, (len(images), 2)) - 1
    warped = np.empty_like(images)
    for sign in np.unique(signs, axis=0):
        chosen = (signs == sign).all(axis=1)
        warped[chosen] = sampled(images[chosen], *source(sign))
    return warped


CORRUPTIONS: dict[str, Callable[[Array, Any, np.random.Generator], Array]] = {
    "gaussian_noise": _gaussian_noise,
    "shot_noise": _shot_noise,
    "impulse_noise": _impulse_noise,
    "defocus_blur": _defocus_blur,
    "motion_blur": _motion_blur,
    "fog": _fog,
    "brightness": _brightness,
    "contrast": _contrast,
    "pixelate": _pixelate,
    "translate": _translate,
    "rotate": _rotate,
    "shear": _shear,
    "scale": _scale,
}
