"""Corruptions of training data: label noise, subsampling, imbalance, random inputs.

Every corruption is a pure function `(examples, generator, **settings) -> Examples`, registered by
name in `CORRUPTIONS`. Its keyword-only parameters are its settings. The number of random draws does
not depend on the amount of corruption, so with one generator seed the labels that change at a rate
of 0.1 are a subset of those that change at 0.2."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError, nearest
from tfphen.core.trial import Spec
from tfphen.core.types import Array
from tfphen.data.dataset import Examples
from tfphen.data.noise_models import flip_labels, mixture, redraw, transition_matrix
from tfphen.data.settings import checked_settings
from tfphen.data.subsets import (
    bootstrap,
    class_fractions,
    long_tail,
    long_tail_counts,
    step_counts,
    step_imbalance,
    stratified_order,
    subset,
)

__all__ = [
    "CORRUPTIONS",
    "bootstrap",
    "cifar10_flips",
    "class_fractions",
    "corrupt",
    "gaussian_inputs",
    "label_noise",
    "long_tail",
    "long_tail_counts",
    "mnist_flips",
    "random_labels",
    "random_pixels",
    "shuffled_pixels",
    "step_counts",
    "step_imbalance",
    "stratified_order",
    "subset",
    "transition_matrix",
]


def label_noise(
    examples: Examples,
    generator: np.random.Generator,
    *,
    rate: float | None = None,
    kind: str = "wrong",
    transition_matrix: Sequence[Sequence[float]] | None = None,
    exact: bool = False,
) -> Examples:
    """Changes the labels of some examples.

    Args:
        examples: The examples.
        generator: Random generator.
        rate: Fraction of labels that are redrawn, in [0, 1].
        kind: `"wrong"`: uniform over the wrong classes, so `rate` of the labels change. `"all"`:
            uniform over all classes, the true one included, so `rate * (K - 1) / K` of them do.
            `"pair"`: class c becomes c + 1 modulo K. `"transition"`: by `transition_matrix`.
        transition_matrix: `[K, K]`, rows sum to 1. Only for `kind="transition"`, without `rate`.
        exact: True redraws exactly `round(rate * n_c)` labels of every class c, False each label
            independently.
    """
    probability, targets = redraw(kind, rate, examples.num_classes, transition_matrix)
    return _redraw_labels(examples, generator, probability, targets, exact)


def mnist_flips(
    examples: Examples, generator: np.random.Generator, *, rate: float, exact: bool = False
) -> Examples:
    """Confuses similar digits with probability `rate`: 7 to 1, 2 to 7, 5 and 6, 3 to 8."""
    probability, targets = redraw("mnist_flips", rate, examples.num_classes)
    return _redraw_labels(examples, generator, probability, targets, exact)


def cifar10_flips(
    examples: Examples, generator: np.random.Generator, *, rate: float, exact: bool = False
) -> Examples:
    """Confuses similar classes with probability `rate`.

    Truck to automobile, bird to airplane, deer to horse, cat and dog.
    """
    probability, targets = redraw("cifar10_flips", rate, examples.num_classes)
    return _redraw_labels(examples, generator, probability, targets, exact)


def random_labels(examples: Examples, generator: np.random.Generator) -> Examples:
    """Replaces every label by a uniform one, so that inputs carry no information about labels."""
    probability, targets = redraw("all", 1.0, examples.num_classes)
    return _redraw_labels(examples, generator, probability, targets, exact=False)


def _redraw_labels(
    examples: Examples,
    generator: np.random.Generator,
    probability: Array,
    targets: Array,
    exact: bool,
) -> Examples:
    checks.boolean("exact", exact)
    labels = flip_labels(examples.labels, probability, targets, generator, exact=exact)
    return examples.relabel(labels, mixture(probability, targets))


def shuffled_pixels(
    examples: Examples, generator: np.random.Generator, *, test: bool = False
) -> Examples:
    """Permutes the positions of all images with one shared permutation.

    All axes of an input but the last of an image or sequence `[n, ..., channels]` are positions;
    channels move together. In an input `[n, d]` every entry is a position.

    Args:
        examples: The examples.
        generator: Random generator.
        test: True permutes the test inputs too, as Zhang et al. 2017 (arXiv 1611.03530) do.
    """
    order = generator.permutation(_positions(examples.inputs).shape[1])
    inputs = _positions(examples.inputs)[:, order].reshape(examples.inputs.shape)
    test_inputs = examples.test_inputs
    if checks.boolean("test", test):
        if test_inputs is None:
            raise UsageError("`shuffled_pixels` has no test inputs. Received: test=True")
        test_inputs = _positions(test_inputs)[:, order].reshape(test_inputs.shape)
    return dataclasses.replace(examples, inputs=inputs, test_inputs=test_inputs)


def random_pixels(examples: Examples, generator: np.random.Generator) -> Examples:
    """Permutes the positions of each image with its own permutation. See `shuffled_pixels`."""
    positions = _positions(examples.inputs)
    shuffled = np.empty_like(positions)
    indices = np.arange(positions.shape[1], dtype=np.int32)
    # In blocks, which bounds the memory of the index table for large sets of images.
    for start in range(0, len(positions), 4096):
        block = positions[start : start + 4096]
        order = generator.permuted(np.tile(indices, (len(block), 1)), axis=1)
        shuffled[start : start + 4096] = np.take_along_axis(block, order[:, :, None], axis=1)
    return dataclasses.replace(examples, inputs=shuffled.reshape(examples.inputs.shape))


def gaussian_inputs(
    examples: Examples, generator: np.random.Generator, *, moments: str = "channel"
) -> Examples:
    """Replaces every input by Gaussian noise with the mean and variance of the training inputs.

    Args:
        examples: The examples.
        generator: Random generator.
        moments: `"channel"`: one mean and variance for each channel (one in all for inputs
            `[n, d]`); `"feature"`: for each entry; `"all"`: one in all.
    """
    checks.one_of("moments", moments, ("channel", "feature", "all"))
    shape = examples.inputs.shape
    values = _positions(examples.inputs)
    axes = {"channel": (0, 1), "feature": (0,), "all": (0, 1, 2)}[moments]
    mean = values.mean(axis=axes, keepdims=True, dtype=np.float64)
    deviation = values.std(axis=axes, keepdims=True, dtype=np.float64)
    drawn = generator.standard_normal(values.shape, dtype=np.float32)
    drawn = drawn * deviation.astype(np.float32) + mean.astype(np.float32)
    return dataclasses.replace(examples, inputs=drawn.reshape(shape))


def _positions(inputs: Array) -> Array:
    """Returns inputs as `[n, positions, channels]`."""
    channels = inputs.shape[-1] if inputs.ndim > 2 else 1
    return inputs.reshape(len(inputs), -1, channels)


CORRUPTIONS: dict[str, Callable[..., Examples]] = {
    function.__name__: function
    for function in (
        label_noise,
        mnist_flips,
        cifar10_flips,
        random_labels,
        subset,
        bootstrap,
        long_tail,
        step_imbalance,
        class_fractions,
        shuffled_pixels,
        random_pixels,
        gaussian_inputs,
    )
}


def corrupt(spec: Spec, examples: Examples, generator: np.random.Generator) -> Examples:
    """Applies the corruption named by `spec`.

    Raises:
        UsageError: Unknown corruption or setting.
    """
    function = CORRUPTIONS.get(spec.name)
    if function is None:
        raise UsageError(
            f"There is no corruption {spec.name!r}.{nearest(spec.name, CORRUPTIONS)} "
            f"Allowed: {', '.join(CORRUPTIONS)}."
        )
    settings = checked_settings(function, spec.settings, f"Corruption {spec.name!r}")
    return function(examples, generator, **settings)
