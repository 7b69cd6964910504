"""Class separation, transfer and layer similarity of networks that differ in their loss."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.core.seeds import stream
from tfphen.metrics import linear_cka
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.loss_transfer.trials import INDICES, Config
from tfphen.verdicts import stats
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas

# Similarity of X and X plus as much noise, of ten independent features each, with infinitely many
# examples.
TRUE_SIMILARITY = 0.5
# The two objectives with the largest separation in the paper, and the one with the worst transfer.
MOST_SEPARATED = ("cosine_softmax", "squared_error")
WORST_TRANSFER = "cosine_softmax"
NUM_PERMUTATIONS = 100


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Minimum effects, unless stated otherwise.

    Attributes:
        separation_gain: Class separation of an objective minus that of softmax.
        probe_drop: Probe accuracy of softmax minus that of other objectives, in the mean.
        worst_probe_drop: The same of `WORST_TRANSFER` alone.
        rank_correlation: Largest rank correlation of separation and probe accuracy.
        late_dissimilarity: Loss of similarity in the penultimate layer beyond that in the first.
        similarity_error: Largest deviation of a similarity index from `TRUE_SIMILARITY`.
    """

    separation_gain: float = 0.01
    probe_drop: float = 0.008
    worst_probe_drop: float = 0.02
    rank_correlation: float = -0.1
    late_dissimilarity: float = 0.02
    similarity_error: float = 0.01


THRESHOLDS = Thresholds()

# ---- statistics --------------------------------------------------------------------------------


def values(table: "pandas.DataFrame", arm: str, column: str, stage: str = "trained") -> np.ndarray:
    """A measure of an arm, `[seeds]` or `[seeds, ...]`."""
    return np.stack(list(rows_of(table, arm=arm, stage=stage)[column]))


def separation(table: "pandas.DataFrame", arm: str, when: str = "end") -> np.ndarray:
    """Class separation before (`"start"`) or after (`"end"`) training, `[seeds]`."""
    return values(table, arm, "curve_separation")[:, 0 if when == "start" else -1]


def separation_gain(table: "pandas.DataFrame", arm: str, when: str = "end") -> stats.Estimate:
    """Class separation of an arm minus that of softmax, paired by seed."""
    pair = (separation(table, name, when) for name in (arm, "softmax"))
    where = " before training" if when == "start" else ""
    name = f"class separation{where}, {arm.replace('_', ' ')} minus softmax"
    return stats.mean_if_defined(_difference(*pair), name)


def separation_lead(
    table: "pandas.DataFrame", arms: Sequence[str], when: str = "end"
) -> stats.Estimate:
    """Largest separation of `MOST_SEPARATED` minus that of the other arms and of softmax."""
    others = [arm for arm in ("softmax", *arms) if arm not in MOST_SEPARATED]
    pair = (
        np.max([separation(table, arm, when) for arm in group], 0)
        for group in ([arm for arm in arms if arm in MOST_SEPARATED], others)
    )
    where = " before training" if when == "start" else ""
    name = f"class separation{where}, larger of cosine and squared error minus largest other"
    return stats.mean_if_defined(_difference(*pair), name)


def probe_drops(table: "pandas.DataFrame", arm: str, layer: str = "penultimate") -> np.ndarray:
    """Probe accuracy of softmax minus that of an arm, `[seeds]`."""
    return _difference(*(values(table, name, f"probe_{layer}") for name in ("softmax", arm)))


def mean_probe_drop(
    table: "pandas.DataFrame", arms: Sequence[str], layer: str = "penultimate"
) -> stats.Estimate:
    """Probe accuracy of softmax minus that of other arms, mean over them."""
    drops = sum(probe_drops(table, arm, layer) for arm in arms) / len(arms)
    name = f"probe of the {layer} layer, accuracy of softmax minus {_named(arms)}"
    return stats.mean_if_defined(drops, name)


def late_probe_drop(table: "pandas.DataFrame", arms: Sequence[str]) -> stats.Estimate:
    """`mean_probe_drop` at the penultimate layer minus that at the first."""
    drops = [
        sum(probe_drops(table, arm, layer) for arm in arms) / len(arms)
        for layer in ("penultimate", "first")
    ]
    name = f"accuracy of softmax minus {_named(arms)}, penultimate minus first layer"
    return stats.mean_if_defined(_difference(*drops), name)


def rank_correlations(
    table: "pandas.DataFrame", arms: Sequence[str], layer: str = "penultimate"
) -> list[float]:
    """Rank correlations over losses of separation and probe accuracy, `[seeds]`."""
    pairs = zip(*_by_loss(table, arms, layer), strict=True)
    return [stats.spearman(x, y).value for x, y in pairs]


def rank_correlation(
    table: "pandas.DataFrame", arms: Sequence[str], layer: str = "penultimate"
) -> stats.Estimate:
    """Mean over seeds of `rank_correlations`."""
    name = f"rank correlation over losses of separation and accuracy of a probe, {layer} layer"
    return stats.mean_if_defined(rank_correlations(table, arms, layer), f"{name}, mean over seeds")


def shuffled_correlation(table: "pandas.DataFrame", arms: Sequence[str]) -> stats.Estimate:
    """`rank_correlation` with the accuracies of each seed permuted over losses.

    For each seed the mean over a hundred permutations, to reduce the variance.
    """
    generator, correlations = stream(0, "shuffled_losses"), []
    for x, y in zip(*_by_loss(table, arms, "penultimate"), strict=True):
        orders = [generator.permutation(y) for _ in range(NUM_PERMUTATIONS)]
        correlations.append(np.mean([stats.spearman(x, order).value for order in orders]))
    name = "rank correlation over losses of separation and accuracy of a probe, losses shuffled"
    return stats.mean_if_defined(correlations, f"{name}, mean over seeds")


def similarities(table: "pandas.DataFrame", arm: str, depth: int) -> np.ndarray:
    """Unbiased CKA with a softmax network of other seeds, `[seeds, layers]`."""

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
    """Loss of similarity against softmax, at the penultimate minus at the first layer.

    Similarities of all arms are those with the same softmax network of other seeds.
    """
    softmax = similarities(table, "softmax", depth)
    less = sum(softmax - similarities(table, arm, depth) for arm in arms) / len(arms)
    name = f"CKA between seeds minus that of {_named(arms)}, penultimate minus first layer"
    return stats.mean_if_defined(less[:, -1] - less[:, 0], name)


def transfer_accuracies(table: "pandas.DataFrame", arms: Sequence[str], stage: str) -> np.ndarray:
    """Accuracies on other classes, of probes or of fine-tuned networks, `[arms, seeds]`.

    Args:
        table: The records.
        arms: Their names.
        stage: `"trained"` for probes of frozen networks, or `"fine_tuned"`.
    """
    if stage == "trained":
        return np.stack([values(table, arm, "probe_penultimate") for arm in arms])
    return 1 - np.stack([values(table, arm, "test_error", stage) for arm in arms])


def similarity_of_draws(table: "pandas.DataFrame", index: str, arm: str) -> stats.Estimate:
    """Mean similarity of draws. The published draw is the same for all seeds."""
    return stats.mean(values(table, arm, f"{index}_cka", "draw"), f"{index} CKA, {arm}")


def _by_loss(table: "pandas.DataFrame", arms: Sequence[str], layer: str) -> tuple[np.ndarray, ...]:
    """Separations and probe accuracies of softmax and other losses, `[seeds, losses]`."""
    losses = ("softmax", *arms)
    columns = (
        [separation(table, arm) for arm in losses],
        [values(table, arm, f"probe_{layer}") for arm in losses],
    )
    return tuple(np.stack(column, 1) for column in columns)


def _difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first - second


def _named(arms: Sequence[str]) -> str:
    return arms[0].replace("_", " ") if len(arms) == 1 else "the mean of other losses"


# ---- signatures and controls -------------------------------------------------------------------


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields signatures and negative controls."""
    if config.draws:
        yield from _draws_findings(table)
        return
    yield from _separation_findings(table, config.gated)
    yield from _transfer_findings(table, config.gated)
    yield from _similarity_findings(table, config)


def _draws_findings(table: "pandas.DataFrame") -> Iterator[Signature]:
    error = THRESHOLDS.similarity_error
    for role, index, text in (
        (Signature, "unbiased", "Unbiased CKA of few examples is"),
        (Control, "plain", "Plain CKA of few examples is not"),
    ):
        yield role(
            f"{index}_cka/similarity",
            similarity_of_draws(table, index, "drawn"),
            within=(TRUE_SIMILARITY - error, TRUE_SIMILARITY + error),
            description=f"{text} close to that of infinitely many examples.",
        )


def _separation_findings(table: "pandas.DataFrame", arms: Sequence[str]) -> Iterator[Signature]:
    for arm in arms:
        yield Signature(
            f"{arm}/separation_gain",
            separation_gain(table, arm),
            above=THRESHOLDS.separation_gain,
            description=f"{_text(arm)} separates classes more than softmax.",
        )
    for arm, when in (*((arm, "start") for arm in arms), ("softmax_again", "end")):
        before = when == "start"
        yield Control(
            f"{arm}/separation_gain{'_before_training' if before else ''}",
            separation_gain(table, arm, when),
            above=THRESHOLDS.separation_gain,
            description=f"{'Before training ' if before else ''}{_text(arm)} does not separate "
            "classes more than softmax.",
        )
    if set(MOST_SEPARATED) & set(arms):
        for role, when, suffix, text in (
            (Signature, "end", "", "Cosine softmax or squared error separates classes most."),
            (
                Control,
                "start",
                "_before_training",
                "Before training neither cosine softmax nor squared error separates classes most.",
            ),
        ):
            yield role(
                f"cosine_or_squared_error/separation_lead{suffix}",
                separation_lead(table, arms, when),
                above=0.0,
                description=text,
            )


def _transfer_findings(table: "pandas.DataFrame", arms: Sequence[str]) -> Iterator[Signature]:
    for role, layer, text in (
        (Signature, "penultimate", "transfer worse"),
        (Control, "first", "do not transfer worse"),
    ):
        yield role(
            f"other_losses/{layer}_probe_accuracy_drop",
            mean_probe_drop(table, arms, layer),
            above=THRESHOLDS.probe_drop,
            description=f"Features of the {layer} layer of networks trained with other losses "
            f"{text} than those of softmax.",
        )
    if WORST_TRANSFER in arms:
        for role, arm, verb, more in (
            (Signature, WORST_TRANSFER, "transfers", "is"),
            (Control, "softmax_again", "does not transfer", "is not"),
        ):
            yield role(
                f"{arm}/probe_accuracy_drop",
                mean_probe_drop(table, [arm]),
                above=THRESHOLDS.worst_probe_drop,
                description=f"{_text(arm)} {verb} worse than softmax.",
            )
            yield role(
                f"{arm}/late_probe_accuracy_drop",
                late_probe_drop(table, [arm]),
                above=THRESHOLDS.worst_probe_drop,
                description=f"The drop of probe accuracy from softmax to {_text(arm)} {more} "
                "larger in the penultimate than in the first layer.",
            )
    for role, name, statistic, text in (
        (Signature, "other_losses", rank_correlation, "Losses that separate classes more"),
        (
            Control,
            "shuffled_losses",
            shuffled_correlation,
            "With accuracies shuffled over losses, those that separate classes more do not",
        ),
    ):
        yield role(
            f"{name}/separation_transfer_correlation",
            statistic(table, arms),
            below=THRESHOLDS.rank_correlation,
            description=f"{text} transfer worse.",
        )


def _similarity_findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    for role, group, name, text in (
        (Signature, config.gated, "other_losses", "Other losses change"),
        (Control, ("softmax_again",), "softmax_again", "Other seeds do not change"),
    ):
        yield role(
            f"{name}/late_dissimilarity",
            late_dissimilarity(table, group, config.depth),
            above=THRESHOLDS.late_dissimilarity,
            description=f"{text} the penultimate layer more than the first.",
        )


def _text(arm: str) -> str:
    return "softmax with other seeds" if arm == "softmax_again" else arm.replace("_", " ")


# ---- published numbers -------------------------------------------------------------------------


def published_draw_cka(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> stats.Estimate | None:
    """Similarity of the published draw.

    Args:
        table: The records of one paper experiment.
        config: Its settings.
        setting: `index`, one of `INDICES`.
    """
    if not config.draws or setting.get("index") not in INDICES:
        return None
    return similarity_of_draws(table, setting["index"], "published")


STATISTICS = {"published_draw_cka": published_draw_cka}
