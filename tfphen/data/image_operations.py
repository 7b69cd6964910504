"""Building blocks of image corruptions: blurs, warps, block means and fractal maps.

All work on whole stacks of images, `[n, height, width, channels]`, in float32.
"""

import numpy as np

from tfphen.core.types import Array

_IMAGES_AT_ONCE = 500  # whose transforms still fit in the cache


def blurred(images: Array, offsets: Array, weights: Array) -> Array:
    """Returns the weighted mean of the image moved by each of m offsets, with edges repeated.

    Args:
        images: `[n, height, width, channels]`.
        offsets: In pixels, rows first: `[n, m, 2]`, or `[1, m, 2]` for all images alike.
        weights: Weights of the offsets, `[m]`.
    """
    from scipy import fft

    height, width = images.shape[1:3]
    kernels = spread(offsets, weights)
    reach = kernels.shape[1] // 2
    shape = [fft.next_fast_len(side + 2 * reach, real=True) for side in (height, width)]
    edges = ((0, 0), (reach, reach), (reach, reach), (0, 0))
    result = np.empty_like(images)
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        part = slice(start, start + _IMAGES_AT_ONCE)
        kernel = kernels if len(kernels) == 1 else kernels[part]
        padded = np.pad(images[part], edges, mode="edge")
        product = fft.rfft2(padded, shape, axes=(1, 2))
        product *= fft.rfft2(kernel[..., None], shape, axes=(1, 2))
        whole = fft.irfft2(product, shape, axes=(1, 2))
        # What a kernel carries around the border falls on the first rows and columns only.
        result[part] = whole[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return result


def spread(offsets: Array, weights: Array) -> Array:
    """Spreads offsets between pixels bilinearly: `[n, m, 2]` -> float32 `[n, k, k]` of sum 1."""
    reach = int(np.abs(offsets).max()) + 1
    side = 2 * reach + 1
    low = np.floor(offsets).astype(np.int64)
    fraction = offsets - low
    first = np.arange(len(offsets))[:, None] * side**2
    total = np.zeros(len(offsets) * side**2)
    for row, column in np.ndindex(2, 2):
        share = np.abs(1 - row - fraction[..., 0]) * np.abs(1 - column - fraction[..., 1])
        place = first + (low[..., 0] + row + reach) * side + low[..., 1] + column + reach
        total += np.bincount(place.ravel(), (weights * share).ravel(), len(total))
    return (total / weights.sum()).astype(np.float32).reshape(-1, side, side)


def sampled(images: Array, matrix: Array, shift: Array) -> Array:
    """Interpolates bilinearly at `matrix @ place + shift`; all is black outside the image."""
    size = np.array(images.shape[1:3])
    pixels = np.indices(images.shape[1:3])
    center = (size[:, None, None] - 1) / 2
    place = np.tensordot(matrix, pixels - center, axes=1) + shift[:, None, None] + center
    # One black pixel around the image, and every place outside is on it.
    place = np.clip(place + 1, 0, size[:, None, None] + 1)
    low = np.minimum(np.floor(place).astype(np.int64), size[:, None, None])
    fraction = place - low
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    sampled = np.zeros_like(images)
    for row, column in np.ndindex(2, 2):
        weight = np.abs(1 - row - fraction[0]) * np.abs(1 - column - fraction[1])
        sampled += weight[..., None].astype(np.float32) * padded[:, low[0] + row, low[1] + column]
    return sampled


def block_means(side: int, blocks: int) -> Array:
    """Returns the matrix that replaces each pixel of a line by the mean of its block."""
    block = (np.arange(side) + 0.5) * blocks // side
    same = (block[:, None] == block).astype(np.float32)
    return same / same.sum(axis=1, keepdims=True)


def plasma(count: int, size: int, decay: float, generator: np.random.Generator) -> Array:
    """Returns fractal maps by the diamond-square algorithm on a torus, float32 in [0, 1].

    Args:
        count: Number of maps n.
        size: Side of a map in pixels, a power of two.
        decay: The noise is divided by its square whenever the step halves; more is smoother.
        generator: Random generator of the noise.

    Returns:
        `[n, size, size]`; each map has least value 0 and largest 1, save one of a single pixel.
    """
    heights = np.zeros((count, size, size), np.float32)
    amplitude, step = 1.0, size
    while step > 1:
        half = step // 2
        cells = (count, size // step, size // step)
        noise = np.float32(amplitude) * generator.uniform(-1, 1, (3, *cells)).astype(np.float32)
        corners = heights[:, ::step, ::step]
        below = corners + np.roll(corners, -1, axis=1)
        right = corners + np.roll(corners, -1, axis=2)
        centers = (below + np.roll(below, -1, axis=2)) / 4 + noise[0]
        heights[:, half::step, half::step] = centers
        # The middle of an edge lies between two corners and two centers.
        heights[:, ::step, half::step] = (right + centers + np.roll(centers, 1, 1)) / 4 + noise[1]
        heights[:, half::step, ::step] = (below + centers + np.roll(centers, 1, 2)) / 4 + noise[2]
        step, amplitude = half, amplitude / decay**2
    heights -= heights.min(axis=(1, 2), keepdims=True)
    largest = heights.max(axis=(1, 2), keepdims=True)
    return np.divide(heights, largest, out=heights, where=largest > 0)
