"""How measures rank networks, as trained and rescaled: statistics, signatures and controls."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import kendalltau

from tfphen.core.seeds import stream
from tfphen.phenomena.relative_flatness.measures import MEASURES
from tfphen.phenomena.relative_flatness.trials import Config
from tfphen.verdicts import stats
from tfphen.verdicts.estimate import Estimate
from tfphen.verdicts.findings import Control, Signature

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Thresholds of the findings.

    Attributes:
        tau: Kendall's tau of a measure with test error.
        tau_loss: How much of that tau rescaling the layers takes away.
        log10_change: log10 of the largest relative change of an invariant.
    """

    tau: float = 0.15
    tau_loss: float = 0.15
    log10_change: float = -5.0


THRESHOLDS = Thresholds()
_PERMUTATIONS = 20


def findings(table: "pandas.DataFrame", config: Config) -> Iterator[Signature]:
    """Yields the findings on the ranking of networks, and on its invariance under rescaling."""
    trained, untrained = table[table.arm == "trained"], table[table.arm == "untrained"]
    nets = stopped(trained)
    note = f"{len(nets)} of {len(trained)} networks reached the training loss."
    yield from _ranking(nets, untrained, note)
    yield from _invariance(nets)
    for role, column, name in (
        (Signature, "trace", "the Hessian trace"),
        (Control, "flatness", "relative flatness"),
    ):
        yield role(
            f"rescaled_layers/{column}_tau_loss",
            tau(nets, column, minus=f"rescaled_{column}"),
            above=THRESHOLDS.tau_loss,
            description=f"Rescaling layers destroys the ranking of networks by {name}.",
        )


def _ranking(
    nets: "pandas.DataFrame", untrained: "pandas.DataFrame", note: str
) -> Iterator[Signature]:
    yield Signature(
        "trained/flatness_tau",
        tau(nets, "flatness"),
        above=THRESHOLDS.tau,
        description="Networks that are flatter in the relative sense have lower test error.",
        note=note,
    )
    yield Control(
        "permuted_test_errors/flatness_tau",
        tau(nets, "flatness", permutations=_PERMUTATIONS),
        above=THRESHOLDS.tau,
        description="Relative flatness ranks networks by permuted test errors.",
        note=f"Mean over {_PERMUTATIONS} permutations of the test errors within each seed.",
    )
    if len(untrained):
        yield Control(
            "untrained/flatness_tau",
            tau(untrained, "flatness"),
            above=THRESHOLDS.tau,
            description="Relative flatness ranks untrained networks by test error.",
        )


def _invariance(nets: "pandas.DataFrame") -> Iterator[Signature]:
    limit = THRESHOLDS.log10_change
    yield Signature(
        "rescaled_layers/logit_change",
        largest_change(nets, nets.logit_change, "logits under rescaling"),
        below=limit,
        description="Rescaling layers and neurons leaves the logits unchanged.",
    )
    for role, column, name in (
        (Signature, "flatness", "relative flatness"),
        (Control, "trace", "the Hessian trace"),
    ):
        change = nets[f"rescaled_{column}"] / nets[column] - 1
        yield role(
            f"rescaled_layers/{column}_change",
            largest_change(nets, change, column),
            below=limit,
            description=f"Rescaling layers leaves {name} unchanged.",
        )
    change = nets.rescaled_trace * nets.factor**2 / nets["trace"] - 1
    yield Signature(
        "rescaled_layers/scaled_trace_change",
        largest_change(nets, change, "trace times squared factor"),
        below=limit,
        description="Multiplying the last layer by a factor divides the Hessian trace by its "
        "square.",
    )
    for role, column, name in (
        (Signature, "flatness", "relative flatness of standardized neurons"),
        (Control, "raw_flatness", "relative flatness of neurons as they are"),
    ):
        change = nets[f"neuronwise_{column}"] / nets[column] - 1
        yield role(
            f"rescaled_neurons/{column}_change",
            largest_change(nets, change, column),
            below=limit,
            description=f"Rescaling single neurons leaves {name} unchanged.",
        )


# ---- statistics ----------------------------------------------------------------------------------


def stopped(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """Drops networks that did not reach the training loss, and adds the gap of the losses."""
    rows = rows[rows.stopped_at >= 0]
    return rows.assign(gap=rows.test_loss - rows.train_loss)


def kendall(first: Sequence[float], second: Sequence[float]) -> float:
    """Returns tau_b, or NaN of fewer than three networks."""
    return float(kendalltau(first, second).statistic) if len(first) > 2 else math.nan


def tau(
    rows: "pandas.DataFrame",
    measure: str,
    outcome: str = "test_error",
    minus: str | None = None,
    given: str | None = None,
    permutations: int = 0,
) -> Estimate:
    """Mean over seeds of Kendall's tau_b of a measure and an outcome within the seed.

    Args:
        rows: Networks.
        measure, outcome: Columns.
        minus: A second measure, whose tau is subtracted.
        given: A column to condition on: partial tau.
        permutations: Permute the outcome within each seed this many times.
    """
    values = []
    for seed, part in rows.groupby("seed"):
        x, y = part[measure].to_numpy(), part[outcome].to_numpy()
        value = kendall(x, y)
        if permutations:
            generator = stream(seed, "permuted_test_errors")
            value = np.mean([kendall(x, generator.permutation(y)) for _ in range(permutations)])
        if minus:
            value -= kendall(part[minus].to_numpy(), y)
        if given:
            with_x, with_y = (kendall(part[given].to_numpy(), other) for other in (x, y))
            value = (value - with_x * with_y) / math.sqrt((1 - with_x**2) * (1 - with_y**2))
        values.append(value)
    words = f" less that of {minus}" if minus else f" given {given}" if given else ""
    permuted = "permuted " if permutations else ""
    return _over_seeds(
        values, f"tau of {measure} and {permuted}{outcome} within a seed{words}, mean"
    )


def largest_change(nets: "pandas.DataFrame", change: "pandas.Series", name: str) -> Estimate:
    """Mean over seeds of the log10 of the largest relative change, at least that of rounding."""
    largest = change.abs().groupby(nets.seed).max()
    logs = [math.log10(max(value, 2.0**-52)) for value in largest]
    return _over_seeds(logs, f"log10 of the largest relative change of {name}, mean over seeds")


def _over_seeds(values: Sequence[float], name: str) -> Estimate:
    """Mean over seeds; undefined if there is none, or one without a value."""
    if not values:
        return Estimate(name, math.nan, math.nan, math.nan, 0)
    return stats.mean_if_defined(values, name)


# ---- published numbers ---------------------------------------------------------------------------

_NAMES = MEASURES | {"gap": "gap of the losses, test less training"}
# The authors counted five hidden layers of LeNet-5, which has four: the norm contains a factor of
# that number plus one.
_PUBLISHED_SCALES = {"fisher_rao": 6 / 5}


def gap_correlation(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> Estimate | None:
    """Pearson's r of a measure with the gap of the losses, with a bootstrap over networks.

    Args:
        table: The records.
        config: Their settings.
        setting: `measure`; with `layer` its entry for that layer, counted from 1; with `other`, r
            of that measure is subtracted.
    """
    nets = _nets_to_compare(table)
    if nets is None:
        return None
    measure = nets[setting["measure"]]
    columns = [nets.gap, measure.str[setting["layer"] - 1] if "layer" in setting else measure]
    if "other" in setting:
        columns.append(nets[setting["other"]])
    values = np.column_stack([np.asarray(column, "float64") for column in columns])

    def statistic(rows):
        first, *rest = np.corrcoef(rows.T)[0, 1:]
        return first - sum(rest)

    name = "Pearson r with the gap" + (", difference" if "other" in setting else "")
    return stats.bootstrap(values, statistic, stream(config.seed, "bootstrap"), name)


def mean_over_networks(
    table: "pandas.DataFrame", config: Config, setting: Mapping[str, Any]
) -> Estimate | None:
    """Mean over networks of a measure, or of the gap of the losses, in the scale of the source."""
    nets = _nets_to_compare(table)
    if nets is None:
        return None
    measure = setting["measure"]
    scale = _PUBLISHED_SCALES.get(measure, 1.0)
    return stats.mean(scale * nets[measure], f"mean {_NAMES[measure]}")


def _nets_to_compare(table: "pandas.DataFrame") -> "pandas.DataFrame | None":
    nets = stopped(table[table.arm == "trained"])
    return nets if len(nets) >= 4 else None


STATISTICS = {"gap_correlation": gap_correlation, "mean_over_networks": mean_over_networks}
