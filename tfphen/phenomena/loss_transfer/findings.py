"""Reads separation, transfer and similarity of networks that differ in their loss.

Light to import: what computes is imported when a function is called.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import numpy as np
    import pandas

# Similarities of draws.
INDICES = ("plain", "unbiased", "rbf")
# Of X and X plus as much noise, of ten independent features each, over all examples there could be.
TRUE_SIMILARITY, CLOSE = 0.5, 0.01
# The two objectives that separated most.
MOST = ("cosine_softmax", "squared_error")
# Least gain in separation; least fall of a probe's accuracy, of the mean over losses and of cosine
# softmax alone; least rank correlation, negative; least fall of similarity.
GAIN, FALL, LARGE_FALL, RANKS, LESS_SIMILAR = 0.01, 0.008, 0.02, -0.1, 0.02
WORST = "cosine_softmax"
_SHUFFLES = 100


def values(table: "pandas.DataFrame", arm: str, column: str, stage: str = "trained"):
    """Returns what was measured of an arm, `[seeds]` or `[seeds, ...]`, by seed."""
    import numpy as np

    return np.stack(list(rows_of(table, arm=arm, stage=stage)[column]))


def separation(table: "pandas.DataFrame", arm: str, when: str = "end") -> "np.ndarray":
    """Returns class separation before (`"start"`) or after (`"end"`) training, `[seeds]`."""
    return values(table, arm, "curve_separation")[:, 0 if when == "start" else -1]


def separation_gain(table: "pandas.DataFrame", arm: str, when: str = "end") -> stats.Estimate:
    """Class separation of an arm minus that of softmax, paired by seed."""
    pair = (separation(table, name, when) for name in (arm, "softmax"))
    where = " before training" if when == "start" else ""
    name = f"class separation{where}, {arm.replace('_', ' ')} minus softmax"
    return stats.mean_if_defined(_difference(*pair), name)


def lead(table: "pandas.DataFrame", arms: Sequence[str], when: str = "end") -> stats.Estimate:
    """Largest separation of `MOST` minus the largest of the other arms and of softmax."""
    import numpy as np

    others = [arm for arm in ("softmax", *arms) if arm not in MOST]
    pair = (
        np.max([separation(table, arm, when) for arm in group], 0)
        for group in ([arm for arm in arms if arm in MOST], others)
    )
    where = " before training" if when == "start" else ""
    name = f"class separation{where}, larger of cosine and squared error minus largest other"
    return stats.mean_if_defined(_difference(*pair), name)


def transfer_fall(table: "pandas.DataFrame", arm: str, layer: str = "penultimate"):
    """Returns the probe accuracy of softmax minus that of an arm, `[seeds]`."""
    return _difference(*(values(table, name, f"probe_{layer}") for name in ("softmax", arm)))


def mean_fall(
    table: "pandas.DataFrame", arms: Sequence[str], layer: str = "penultimate"
) -> stats.Estimate:
    """Probe accuracy of softmax minus that of other arms, mean over them."""
    falls = sum(transfer_fall(table, arm, layer) for arm in arms) / len(arms)
    name = f"probe of the {layer} layer, accuracy of softmax minus {_named(arms)}"
    return stats.mean_if_defined(falls, name)


def later_fall(table: "pandas.DataFrame", arms: Sequence[str]) -> stats.Estimate:
    """As `mean_fall`, at the penultimate layer minus at the first."""
    falls = [
        sum(transfer_fall(table, arm, layer) for arm in arms) / len(arms)
        for layer in ("penultimate", "first")
    ]
    name = f"accuracy of softmax minus {_named(arms)}, penultimate minus first layer"
    return stats.mean_if_defined(_difference(*falls), name)


def ranks(table: "pandas.DataFrame", arms: Sequence[str], layer: str = "penultimate"):
    """Returns rank correlations over losses of separation and probe accuracy, `[seeds]`."""
    pairs = zip(*_by_loss(table, arms, layer), strict=True)
    return [stats.spearman(x, y).value for x, y in pairs]


def rank_correlation(
    table: "pandas.DataFrame", arms: Sequence[str], layer: str = "penultimate"
) -> stats.Estimate:
    """Mean over seeds of `ranks`."""
    name = f"rank correlation over losses of separation and accuracy of a probe, {layer} layer"
    return stats.mean_if_defined(ranks(table, arms, layer), f"{name}, mean over seeds")


def shuffled_correlation(table: "pandas.DataFrame", arms: Sequence[str]) -> stats.Estimate:
    """As `rank_correlation`, with accuracies of each seed given to losses at random.

    For each seed the mean over a hundred such orders, as one alone scatters much.
    """
    import numpy as np

    from tfphen.core.seeds import stream

    generator, found = stream(0, "shuffled_losses"), []
    for x, y in zip(*_by_loss(table, arms, "penultimate"), strict=True):
        orders = [generator.permutation(y) for _ in range(_SHUFFLES)]
        found.append(np.mean([stats.spearman(x, order).value for order in orders]))
    name = "rank correlation over losses of separation and accuracy of a probe, losses shuffled"
    return stats.mean_if_defined(found, f"{name}, mean over seeds")


def similarities(table: "pandas.DataFrame", arm: str, depth: int) -> "np.ndarray":
    """Returns unbiased CKA with a softmax network that starts elsewhere, `[seeds, layers]`."""
    import numpy as np

    from tfphen.metrics import linear_cka

    def by_layer(of):
        columns = [values(table, of, f"representation_{place}") for place in range(depth)]
        return zip(*columns, strict=True)

    pairs = zip(by_layer(arm), by_layer("softmax_reference"), strict=True)
    return np.asarray(
        [
            [linear_cka(x, y, unbiased=True) for x, y in zip(one, other, strict=True)]
            for one, other in pairs
        ]
    )


def late_dissimilarity(
    table: "pandas.DataFrame", arms: Sequence[str], depth: int
) -> stats.Estimate:
    """How much less similar than softmax arms are, at the penultimate minus at the first layer.

    Similarity is that with one and the same softmax network of other seeds.
    """
    softmax = similarities(table, "softmax", depth)
    less = sum(softmax - similarities(table, arm, depth) for arm in arms) / len(arms)
    name = f"CKA between seeds minus that of {_named(arms)}, penultimate minus first layer"
    return stats.mean_if_defined(less[:, -1] - less[:, 0], name)


def transfer_accuracies(table: "pandas.DataFrame", arms: Sequence[str], stage: str):
    """Returns accuracies on other classes, of probes or of fine-tuned networks, `[arms, seeds]`.

    Args:
        table: The records.
        arms: Their names.
        stage: `"trained"` for probes of frozen networks, or `"fine_tuned"`.
    """
    import numpy as np

    if stage == "trained":
        return np.stack([values(table, arm, "probe_penultimate") for arm in arms])
    return 1 - np.stack([values(table, arm, "test_error", stage) for arm in arms])


def similarity_of_draws(table: "pandas.DataFrame", index: str, arm: str) -> stats.Estimate:
    """Mean over draws of an index of similarity. The published draw is the same for all seeds."""
    return stats.mean(values(table, arm, f"{index}_cka", "draw"), f"{index} CKA, {arm}")


# ---- findings ----------------------------------------------------------------------------------


def of_draws(table: "pandas.DataFrame") -> Iterator[Signature]:
    """Yields findings on what the indices estimate from few examples."""
    near = (TRUE_SIMILARITY - CLOSE, TRUE_SIMILARITY + CLOSE)
    for kind, index in ((Signature, "unbiased"), (Control, "plain")):
        found = similarity_of_draws(table, index, "drawn")
        yield kind(f"{index}_similarity_is_that_of_all_examples", found, within=near)


def of_losses(table: "pandas.DataFrame", config) -> Iterator[Signature]:
    """Yields findings on separation, transfer and similarity across losses."""
    arms, other = config.gated, ("softmax_again",)
    for arm in arms:
        found = separation_gain(table, arm)
        yield Signature(f"{arm}_separates_more", found, above=GAIN)
    for arm, when in (*((arm, "start") for arm in arms), (*other, "end")):
        found = separation_gain(table, arm, when)
        untrained = "_before_training" if when == "start" else ""
        yield Control(f"{arm}_separates_more{untrained}", found, above=GAIN)
    if set(MOST) & set(arms):
        for kind, when in ((Signature, "end"), (Control, "start")):
            untrained = "_before_training" if when == "start" else ""
            name = f"cosine_or_squared_error_separates_most{untrained}"
            yield kind(name, lead(table, arms, when), above=0.0)
    for kind, layer in ((Signature, "penultimate"), (Control, "first")):
        found = mean_fall(table, arms, layer)
        yield kind(f"{layer}_layer_transfers_worse", found, above=FALL)
    if WORST in arms:
        for kind, arm in ((Signature, WORST), (Control, *other)):
            found = mean_fall(table, [arm])
            yield kind(f"{arm}_transfers_worse", found, above=LARGE_FALL)
            found = later_fall(table, [arm])
            yield kind(f"{arm}_transfers_worse_late", found, above=LARGE_FALL)
    found = rank_correlation(table, arms)
    yield Signature("separation_goes_with_worse_transfer", found, below=RANKS)
    found = shuffled_correlation(table, arms)
    yield Control("shuffled_separation_goes_with_worse_transfer", found, below=RANKS)
    for kind, group, name in ((Signature, arms, ""), (Control, other, "_with_other_seeds")):
        found = late_dissimilarity(table, group, config.depth)
        yield kind(f"losses_differ_late{name}", found, above=LESS_SIMILAR)


def _by_loss(table: "pandas.DataFrame", arms: Sequence[str], layer: str):
    """Returns separations and probe accuracies of softmax and other losses, `[seeds, losses]`."""
    import numpy as np

    every = ("softmax", *arms)
    columns = (
        [separation(table, arm) for arm in every],
        [values(table, arm, f"probe_{layer}") for arm in every],
    )
    return tuple(np.stack(column, 1) for column in columns)


def _difference(first: "np.ndarray", second: "np.ndarray") -> "np.ndarray":
    return first - second


def _named(arms: Sequence[str]) -> str:
    return arms[0].replace("_", " ") if len(arms) == 1 else "the mean of other losses"
