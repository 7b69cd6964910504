"""MNIST-1D: ten one-dimensional templates, padded, scaled, shifted, sheared and noised.

The generator draws in the order of the published one, so the same seed gives the same data.

Reference:
    S. Greydanus, D. Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024,
    arXiv 2011.14439.
"""

from collections.abc import Sequence

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.types import Array
from tfphen.data.dataset import Dataset

_TEMPLATES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)


def templates() -> Array:
    """Returns the ten class templates, `[10, 12]`, each starting and ending at 0."""
    values = np.array(_TEMPLATES, dtype=np.float64)
    values = values - values.mean(axis=1, keepdims=True)
    values = values / values.std(axis=1, keepdims=True)
    return (values - values[:, :1]) / 6


def gaussian_smooth(values: Array, sigma: float = 2.0) -> Array:
    """Smooths the last axis with a Gaussian of `sigma` points, mirrored at the borders.

    The kernel ends at 4 sigma and sums to 1; the border sample itself is mirrored too.
    """
    radius = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    length = values.shape[-1]
    padding = [(0, 0)] * (values.ndim - 1) + [(radius, radius)]
    padded = np.pad(values, padding, mode="symmetric")
    return sum(weight * padded[..., start : start + length] for start, weight in enumerate(kernel))


def draw_examples(
    num_samples: int,
    random_state: np.random.RandomState,
    *,
    padding: Sequence[int] = (36, 60),
    scale_coefficient: float = 0.4,
    max_translation: int = 48,
    correlated_noise_scale: float = 0.25,
    independent_noise_scale: float = 0.02,
    shear_scale: float = 0.75,
    sequence_length: int = 40,
) -> tuple[Array, Array]:
    """Draws examples class by class, neither permuted nor standardized. See `mnist1d`.

    Returns:
        The sequences, float64 `[num_samples, sequence_length]`, and their labels.
    """
    low, high = padding
    classes = templates()
    template_length = classes.shape[1]
    length = template_length + high
    labels = np.repeat(np.arange(10), num_samples // 10)
    pads = np.empty(num_samples, dtype=np.int64)
    shifts = np.empty(num_samples, dtype=np.int64)
    scales, shears = np.empty((2, num_samples))
    background, noise = np.empty((2, num_samples, length))
    # One example after the other, in this order: it decides which draw goes where.
    for i in range(num_samples):
        pads[i] = low + int(random_state.rand() * (high - low + 1))
        scales[i] = random_state.rand() - 0.5
        shifts[i] = random_state.randint(max_translation)
        background[i] = random_state.randn(length)
        noise[i] = random_state.randn(length)
        shears[i] = random_state.rand() - 0.5

    stretched = {
        (label, pad): _stretch(classes[label], pad, length)
        for label, pad in set(zip(labels.tolist(), pads.tolist(), strict=True))
    }
    values = np.array([stretched[key] for key in zip(labels.tolist(), pads.tolist(), strict=True)])
    values *= 1 + scale_coefficient * scales[:, None]
    columns = (np.arange(length) - shifts[:, None]) % length
    values = np.take_along_axis(values, columns, axis=1)
    smooth = gaussian_smooth(correlated_noise_scale * background)
    values = np.where(values != 0, values, smooth)
    values += independent_noise_scale * noise
    values -= (shear_scale * shears)[:, None] * np.linspace(-0.5, 0.5, length)
    return _resample(values, sequence_length), labels


def mnist1d(
    *,
    num_samples: int = 5000,
    train_split: float = 0.8,
    generator_seed: int = 42,
    shuffle_sequence: bool = False,
    padding: Sequence[int] = (36, 60),
    scale_coefficient: float = 0.4,
    max_translation: int = 48,
    correlated_noise_scale: float = 0.25,
    independent_noise_scale: float = 0.02,
    shear_scale: float = 0.75,
    sequence_length: int = 40,
) -> Dataset:
    """Generates MNIST-1D: inputs `[n, sequence_length]`, ten classes.

    Inputs are standardized with one mean and one standard deviation over training and test
    examples together, so neither part alone has exactly mean 0 and variance 1.

    Args:
        num_samples: Training and test examples together, a multiple of 10.
        train_split: Fraction of them that are for training.
        generator_seed: Seed of the data; 42 is the frozen published set.
        shuffle_sequence: Permute the positions, one permutation for all sequences.
        padding: Least and largest number of zeros appended to a template's 12 points.
        scale_coefficient: Width of the range of the relative change of amplitude.
        max_translation: Sequences are rotated by 0 to `max_translation - 1` points.
        correlated_noise_scale: Standard deviation of the background before it is smoothed.
        independent_noise_scale: Standard deviation of the noise at each point.
        shear_scale: Width of the range of the slope that is added.
        sequence_length: Points to a sequence.

    Raises:
        UsageError: A setting is out of its range.
    """
    checks.whole("num_samples", num_samples, 10)
    if num_samples % 10:
        raise UsageError(
            "`num_samples` must be a multiple of 10, for ten equal classes. "
            f"Received: num_samples={num_samples}"
        )
    checks.number("train_split", train_split, 0, 1)
    train_size = int(num_samples * train_split)
    if not 0 < train_size < num_samples:
        raise UsageError(
            "`train_split` must leave at least one example on either side. "
            f"Received: train_split={train_split} of num_samples={num_samples}"
        )
    checks.whole("generator_seed", generator_seed, 0, 2**32 - 1)
    low, high = _checked_padding(padding)
    length = 12 + high
    checks.whole("max_translation", max_translation, 1, length)
    checks.whole("sequence_length", sequence_length, 2)
    for name, value in (
        ("scale_coefficient", scale_coefficient),
        ("correlated_noise_scale", correlated_noise_scale),
        ("independent_noise_scale", independent_noise_scale),
        ("shear_scale", shear_scale),
    ):
        checks.number(name, value, 0)

    # The published data come from NumPy's legacy generator. This one is local.
    random_state = np.random.RandomState(generator_seed)
    values, labels = draw_examples(
        num_samples,
        random_state,
        padding=(low, high),
        scale_coefficient=scale_coefficient,
        max_translation=max_translation,
        correlated_noise_scale=correlated_noise_scale,
        independent_noise_scale=independent_noise_scale,
        shear_scale=shear_scale,
        sequence_length=sequence_length,
    )
    order = random_state.permutation(num_samples)
    values, labels = values[order], labels[order]
    if checks.boolean("shuffle_sequence", shuffle_sequence):
        values = values[:, random_state.permutation(sequence_length)]
    values = (values - values.mean()) / values.std()
    return Dataset(
        values[:train_size],
        labels[:train_size],
        values[train_size:],
        labels[train_size:],
        num_classes=10,
        name="mnist1d (shuffled)" if shuffle_sequence else "mnist1d",
        description=f"MNIST-1D, {num_samples} sequences, generator seed {generator_seed}",
    )


def _checked_padding(padding: Sequence[int]) -> tuple[int, int]:
    if not isinstance(padding, (list, tuple)) or len(padding) != 2:
        raise UsageError(f"`padding` is a pair (low, high). Received: padding={padding!r}")
    low = checks.whole("padding", padding[0], 0)
    return low, checks.whole("padding", padding[1], low)


def _stretch(template: Array, pad: int, length: int) -> Array:
    # The tiny offset tells a template's own zeros from the padding, which the noise replaces.
    padded = np.concatenate([template + 1e-8, np.zeros(pad)])
    return np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(padded)), padded)


def _resample(values: Array, length: int) -> Array:
    """Interpolates rows linearly at `length` even positions, ends included."""
    position = np.linspace(0, values.shape[1] - 1, length)
    left = np.minimum(position.astype(np.int64), values.shape[1] - 2)
    weight = position - left
    return values[:, left] + weight * (values[:, left + 1] - values[:, left])
