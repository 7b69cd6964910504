"""Pruning masks by magnitude and at random, and initial values of tickets and controls.

Weights and masks are dictionaries of arrays by path, such as `"hidden_1/kernel"`, in
the order of the layers. Masks are bool arrays, True where a weight is left. Only kernels are ever
pruned, never biases.

Reference:
    J. Frankle, M. Carbin, "The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural
    Networks", ICLR 2019, arXiv 1803.03635.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfphen.core import checks
from tfphen.train.initialization import unflatten

Arrays = Mapping[str, np.ndarray]


def prunable(weights: Arrays) -> list[str]:
    """Returns the paths of the weights that may be pruned: those that end in `kernel`."""
    return [path for path in weights if path.endswith("kernel")]


def layer_rates(
    weights: Arrays,
    rate: float,
    output_rate: float | None = None,
    convolution_rate: float | None = None,
) -> dict[str, float]:
    """Returns the fraction of its remaining weights that each kernel loses in a round, by path.

    Args:
        weights: Arrays by path; the last kernel is that of the output layer.
        rate: Of dense layers, in [0, 1).
        output_rate: Of the output layer; None for half of `rate`, as published.
        convolution_rate: Of kernels of three or more axes; None for `rate`.

    Raises:
        UsageError: A rate outside [0, 1), or weights without a kernel.
    """
    rates = {"rate": rate, "output_rate": output_rate, "convolution_rate": convolution_rate}
    for name, value in rates.items():
        if value is not None:
            checks.number(name, value, 0, 1, high_open=True)
    paths = prunable(weights)
    checks.require(bool(paths), "weights", list(weights), "must have a path that ends in 'kernel'")
    dense, convolution = rate, rate if convolution_rate is None else convolution_rate
    rate_by_path = {path: convolution if weights[path].ndim > 2 else dense for path in paths}
    rate_by_path[paths[-1]] = rate / 2 if output_rate is None else output_rate
    return rate_by_path


def all_ones(weights: Arrays) -> dict[str, np.ndarray]:
    """Returns the masks of an unpruned network: every kernel, all True."""
    return {path: np.ones(weights[path].shape, bool) for path in prunable(weights)}


def prune_by_layer(
    weights: Arrays, masks: Arrays, rates: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Removes the smallest remaining weights of each layer.

    A layer with n weights left loses exactly round(rate n) of them, those of smallest magnitude;
    of equal ones the first.

    Args:
        weights: Trained weights by path.
        masks: Masks before this round, bool, for each path of `rates`.
        rates: Fraction of the remaining weights to remove, by path, see `layer_rates`.

    Returns:
        The new masks, nested in the old ones.

    Raises:
        UsageError: Weights that are not finite, or a mask of another shape.
    """
    pruned = {}
    for path, rate in rates.items():
        magnitudes, mask = _magnitudes(weights, masks, path)
        kept = _without_smallest(magnitudes, mask.ravel(), rate)
        pruned[path] = kept.reshape(mask.shape)
    return pruned


def prune_globally(weights: Arrays, masks: Arrays, rate: float) -> dict[str, np.ndarray]:
    """Removes the smallest remaining weights of all layers together.

    Of n weights left in all layers, exactly round(rate n) go. Layers whose weights are small lose
    more than others, and may lose all.

    Args:
        weights: Trained weights by path.
        masks: Masks before this round, bool, by path.
        rate: Fraction of the remaining weights to remove, in [0, 1).

    Returns:
        The new masks, nested in the old ones.

    Raises:
        UsageError: Weights that are not finite, a mask of another shape, or an invalid `rate`.
    """
    checks.number("rate", rate, 0, 1, high_open=True)
    pairs = [_magnitudes(weights, masks, path) for path in masks]
    magnitudes = np.concatenate([magnitude for magnitude, _ in pairs])
    kept = _without_smallest(magnitudes, np.concatenate([m.ravel() for _, m in pairs]), rate)
    ends = np.cumsum([mask.size for _, mask in pairs])[:-1]
    return {
        path: part.reshape(mask.shape)
        for path, part, (_, mask) in zip(masks, np.split(kept, ends), pairs, strict=True)
    }


def random_masks(masks: Arrays, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Returns masks with as many weights left in each layer, at random places.

    Smaller ones from a generator in the same state are nested in larger ones.
    """
    drawn = {}
    for path, mask in masks.items():
        kept = np.zeros(mask.size, bool)
        kept[generator.permutation(mask.size)[: np.count_nonzero(mask)]] = True
        drawn[path] = kept.reshape(mask.shape)
    return drawn


def density(masks: Arrays) -> float:
    """Returns the fraction of the prunable weights that is left, in [0, 1]."""
    return sum(np.count_nonzero(m) for m in masks.values()) / sum(m.size for m in masks.values())


def densities(masks: Arrays, variables: Sequence, members: int) -> np.ndarray:
    """Returns the fraction of the prunable weights that is left in each member.

    Args:
        masks: Arrays `[members, ...]` by path; a kernel without one is unpruned.
        variables: The model's weights.
        members: Number of members.
    """
    kernels = {v.path: np.broadcast_to(True, (members, *v.shape)) for v in variables}
    kernels = {path: masks.get(path, kernels[path]) for path in prunable(kernels)}
    return np.asarray([density({p: m[i] for p, m in kernels.items()}) for i in range(members)])


# ---- initial values of tickets and their controls ----------------------------------------------


def ticket(
    drawn: Arrays,
    inputs: Arrays,
    generator: np.random.Generator,
    *,
    rate: float,
    output_rate: float | None = None,
    convolution_rate: float | None = None,
    scope: str = "layer",
    mask: str = "magnitude",
    values: str = "original",
    rewound: bool = False,
) -> tuple[Arrays, dict[str, np.ndarray]]:
    """Returns the weights and masks from which the network of one round is trained.

    Args:
        drawn: All initial weights by path, as sampled from the seed: those of the first round, or,
            for a control, a fresh draw.
        inputs: Flat arrays of all weights, as `initialization.flatten` returns them: those at the
            end of the round before, `"weights"`, and its `"masks"`; `"rewound"`, see there.
        generator: For all that is random.
        rate, output_rate, convolution_rate: As in `layer_rates`.
        scope: `"layer"` prunes layer by layer, `"global"` all layers together at `rate`.
        mask: `"magnitude"`, or `"random"` for as many weights of each layer at random places.
        values: `"original"`; `"permuted"` among the survivors of each layer; `"kept_signs"`, where
            only their magnitudes are permuted; or `"redrawn_signs"`.
        rewound: Start from the input of this name instead of `drawn`.

    Raises:
        UsageError: An unknown `scope`, `mask` or `values`, or an invalid rate.
    """
    changes = {
        "permuted": permute_values,
        "kept_signs": permute_magnitudes,
        "redrawn_signs": redraw_signs,
    }
    checks.one_of("scope", scope, ("layer", "global"))
    checks.one_of("mask", mask, ("magnitude", "random"))
    checks.one_of("values", values, ("original", *changes))
    trained, before = (unflatten(inputs[name], drawn) for name in ("weights", "masks"))
    before = {path: before[path] for path in prunable(drawn)}
    if scope == "global":
        left = prune_globally(trained, before, rate)
    else:
        rates = layer_rates(drawn, rate, output_rate, convolution_rate)
        left = prune_by_layer(trained, before, rates)
    if mask == "random":
        left = random_masks(left, generator)
    start = unflatten(inputs["rewound"], drawn) if rewound else drawn
    if values != "original":
        start = changes[values](start, left, generator)
    return start, left


def permute_values(weights: Arrays, masks: Arrays, generator: np.random.Generator) -> dict:
    """Permutes the surviving values within each layer."""
    return _of_survivors(weights, masks, generator.permutation)


def permute_magnitudes(weights: Arrays, masks: Arrays, generator: np.random.Generator) -> dict:
    """Permutes the surviving magnitudes within each layer. The sign at each place stays."""
    return _of_survivors(
        weights, masks, lambda values: np.copysign(generator.permutation(np.abs(values)), values)
    )


def redraw_signs(weights: Arrays, masks: Arrays, generator: np.random.Generator) -> dict:
    """Keeps the surviving magnitude at each place and samples its sign."""

    def redraw(values):
        return np.where(generator.random(values.shape) < 0.5, -values, values)

    return _of_survivors(weights, masks, redraw)


def _of_survivors(weights: Arrays, masks: Arrays, change: Callable) -> dict[str, np.ndarray]:
    changed = {}
    for path, value in weights.items():
        changed[path] = value
        if path in masks:
            changed[path] = np.array(value)
            changed[path][masks[path]] = change(value[masks[path]])
    return changed


def _magnitudes(weights: Arrays, masks: Arrays, path: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the flat magnitudes of a kernel, and its mask."""
    values, mask = np.asarray(weights[path]), np.asarray(masks[path], bool)
    checks.require(
        values.shape == mask.shape, f"masks[{path!r}]", mask.shape, f"has shape {values.shape}"
    )
    finite = bool(np.isfinite(values).all())
    checks.require(finite, f"weights[{path!r}]", "NaN or infinity", "must be finite")
    return np.abs(values).ravel(), mask


def _without_smallest(magnitudes: np.ndarray, mask: np.ndarray, rate: float) -> np.ndarray:
    left = np.flatnonzero(mask)
    order = left[np.argsort(magnitudes[left], kind="stable")]
    kept = mask.copy()
    kept[order[: round(rate * len(left))]] = False
    return kept
