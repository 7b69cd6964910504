"""Test loss and the clean vote over width: statistics, signatures and controls.

P_clean, the clean vote, is the share of mislabeled training examples whose nearest neighbors in
feature space vote for their true class.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfphen.phenomena._shared.interior_peak import interior_peak
from tfphen.phenomena.double_descent_mechanism.trials import SHUFFLES, Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Thresholds of the findings.

    Attributes:
        train_error: Training error of a network that fits every label, also the incorrect ones.
        loss: Rise and drop of the test loss, nats.
        vote_rise: Rise of P_clean over the interpolating widths.
        correlation: Spearman's correlation of P_clean with test accuracy over these widths.
        vote: P_clean of the widest network.
    """

    train_error: float = 0.01
    loss: float = 0.3
    vote_rise: float = 0.05
    correlation: float = 0.5
    vote: float = 0.8


THRESHOLDS = Thresholds()
# The first width whose training error, mean over seeds, is at most this is the threshold of
# interpolation.
INTERPOLATION_ERROR = 0.02


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on networks of all widths, with label noise and without."""
    noisy, clean = by_noise(table)
    yield from _fit(noisy)
    yield from _loss_peak(noisy, clean)
    yield from _clean_vote(noisy)


def _fit(noisy: "pandas.DataFrame") -> Iterator[Signature]:
    train_error = grid_of(noisy, "train_error")
    for role, which, column in ((Signature, "widest", -1), (Control, "narrowest", 0)):
        yield role(
            f"{which}/train_error",
            stats.mean(train_error.iloc[:, column], f"training error of the {which} network"),
            below=THRESHOLDS.train_error,
            description=f"The {which} network fits every training label, incorrect ones included.",
        )


def _loss_peak(noisy: "pandas.DataFrame", clean: "pandas.DataFrame") -> Iterator[Signature]:
    peak = interior_peak(grid_of(noisy, "test_loss").to_numpy())
    yield Signature(
        "label_noise/test_loss_rise",
        stats.mean(peak.rise, "rise to the peak, nats"),
        above=THRESHOLDS.loss,
        description="With label noise, test loss rises to a peak over width.",
    )
    yield Signature(
        "label_noise/test_loss_drop",
        stats.mean(peak.drop, "drop behind it, nats"),
        above=THRESHOLDS.loss,
        description="With label noise, test loss drops beyond its peak over width.",
    )
    # A curve that only falls has no rise, however far it drops: the rise alone is the control.
    peak = interior_peak(grid_of(clean, "test_loss").to_numpy())
    yield Control(
        "no_label_noise/test_loss_rise",
        stats.mean(peak.rise, "rise to the peak, nats"),
        above=THRESHOLDS.loss,
        description="Without label noise, test loss rises to a peak over width.",
    )


def _clean_vote(noisy: "pandas.DataFrame") -> Iterator[Signature]:
    widths, accuracy = interpolating(noisy), 1.0 - grid_of(noisy, "test_error")
    votes = [grid_of(noisy, "clean_vote")]
    shuffled = [grid_of(noisy, "shuffled_clean_votes", number) for number in range(SHUFFLES)]
    for role, arm, words, grids, note in (
        (Signature, "label_noise", "P_clean", votes, _compared_with_untrained(noisy, widths)),
        (Control, "shuffled_features", "P_clean of shuffled feature rows", shuffled, ""),
    ):
        rise, correlation = _rise_and_correlation(grids, accuracy, widths)
        widest = sum(grids)[max(accuracy)] / len(grids)
        yield role(
            f"{arm}/clean_vote_rise",
            rise,
            above=THRESHOLDS.vote_rise,
            description=f"{words} rises over the widths that interpolate.",
            note=note,
        )
        yield role(
            f"{arm}/clean_vote_accuracy_correlation",
            correlation,
            above=THRESHOLDS.correlation,
            description=f"{words} is correlated with test accuracy over the widths that "
            "interpolate.",
        )
        yield role(
            f"{arm}/clean_vote_of_widest",
            stats.mean(widest, "P_clean of the widest network"),
            above=THRESHOLDS.vote,
            description=f"{words} is high in the widest network.",
        )


# ---- statistics ----------------------------------------------------------------------------------


def grid_of(rows: "pandas.DataFrame", column: str, entry: int | None = None) -> "pandas.DataFrame":
    """Returns one row a seed, one column a width; of a column of arrays the given entry."""
    if entry is not None:
        rows = rows.assign(**{column: [array[entry] for array in rows[column]]})
    return rows.pivot(index="seed", columns="width", values=column)


def by_noise(table: "pandas.DataFrame") -> "tuple[pandas.DataFrame, pandas.DataFrame]":
    """Returns the rows with label noise, and those without."""
    return table[table.label_noise > 0], table[table.label_noise == 0]


def interpolating(noisy: "pandas.DataFrame") -> list[int]:
    """Returns the widths from the threshold of interpolation on."""
    errors = grid_of(noisy, "train_error").mean()
    fits = errors.index[errors <= INTERPOLATION_ERROR]
    return [int(width) for width in errors.index if len(fits) and width >= fits[0]]


def _rise_and_correlation(
    grids: "Sequence[pandas.DataFrame]", accuracy: "pandas.DataFrame", widths: list[int]
) -> list[Estimate]:
    """Rise of P_clean over the interpolating widths, and its rank correlation with test accuracy.

    That of a seed is its mean over `grids`. Undefined for fewer than three widths.
    """
    names = "rise of P_clean beyond the threshold", "Spearman, P_clean and test accuracy"
    if len(widths) < 3:
        return [Estimate(name, np.nan, np.nan, np.nan, len(accuracy)) for name in names]
    rises, correlations = [], []
    for grid in grids:
        rises.append(grid[widths[-1]] - grid[widths[0]])
        pairs = zip(grid[widths].to_numpy(), accuracy[widths].to_numpy(), strict=True)
        # A constant vote has no correlation with anything: 0.
        correlations.append([np.nan_to_num(stats.spearman(*pair).value) for pair in pairs])
    pairs = zip((rises, correlations), names, strict=True)
    return [stats.mean(np.mean(values, axis=0), name) for values, name in pairs]


def _compared_with_untrained(noisy: "pandas.DataFrame", widths: list[int]) -> str:
    """States whether training adds to the clean vote, or the geometry of the inputs gives it."""
    if not widths:
        return "No width interpolates."
    trained, untrained = grid_of(noisy, "clean_vote"), grid_of(noisy, "curve_clean_vote", 0)
    level = 1 - 0.05 / len(widths)  # The intervals hold simultaneously for all widths.
    gains = {
        width: stats.paired_difference(trained[width], untrained[width], confidence=level)
        for width in widths
    }
    learned = ", ".join(str(width) for width, gain in gains.items() if gain.low > 0)
    parts = [f"{width}: {g.value:+.3f} [{g.low:+.3f}, {g.high:+.3f}]" for width, g in gains.items()]
    rise = (untrained[widths[-1]] - untrained[widths[0]]).mean()
    return (
        (f"Partly learned (width {learned})" if learned else "Inherited from input geometry")
        + ": P_clean minus that of the untrained network, by width, intervals of 95% in all, "
        f"{'; '.join(parts)}. Untrained networks rise by {rise:.3f} over the same widths, and raw "
        f"inputs have {noisy.input_clean_vote.mean():.3f}."
    )


# ---- published numbers ---------------------------------------------------------------------------

# Published measures by name, and the columns of those that we have as errors.
PUBLISHED = {
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "train_accuracy": "training accuracy",
    "clean_vote": "P_clean, 5 neighbors",
    "input_cosine": "cosine of class activations, inputs and features",
    "output_cosine": "cosine of class activations, features and logits",
    "complexity": "complexity estimate",
}
ACCURACIES = {"test_accuracy": "test_error", "train_accuracy": "train_error"}


def mean_at_width(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any], *, measure: str
) -> tuple[Estimate, Estimate | None] | None:
    """Mean over seeds of a measure at a width and noise rate, and at the baseline's width.

    Args:
        table: The records.
        config: Their settings.
        setting: `width`, `label_noise` and, for the baseline, `against_width` of the number.
        measure: One of `PUBLISHED`.
    """
    rows, width = table[table.label_noise == setting["label_noise"]], setting["width"]
    if width not in set(rows.width):
        return None
    error = ACCURACIES.get(measure)
    values = 1.0 - grid_of(rows, error) if error else grid_of(rows, measure)
    against = setting.get("against_width")
    baseline = stats.mean(values[against], PUBLISHED[measure]) if against in values else None
    return stats.mean(values[width], PUBLISHED[measure]), baseline


STATISTICS = {"mean_at_width": mean_at_width}
