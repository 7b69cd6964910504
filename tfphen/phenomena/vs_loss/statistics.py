"""Statistics of the table, shared by findings and figure.

Rows have a `part`: `"path"`, `"mixture"`, `"deep"` or `"groups"`; a `case` of it, of which one is
imbalanced and the others are controls; and an `arm`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.vs_loss.trials import Mixture
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import pandas

DIRECTIONS = {
    "plain_machine": "hard-margin SVM",
    "sensitive_machine": "cost-sensitive SVM",
    "cross_entropy": "cross_entropy",
}


def arrays(
    table: "pandas.DataFrame", column: str, part: str, arm: str, case: str, **columns
) -> np.ndarray:
    """Column of the selected rows, sorted by seed, `[seeds, ...]`."""
    rows = rows_of(table, part=part, arm=arm, case=case, **columns)
    return np.stack([np.asarray(value) for value in rows[column]])


# ---- regularization path -------------------------------------------------------------------------


def cosines(table: "pandas.DataFrame", to: str, arm: str, case: str = "separable") -> np.ndarray:
    """Cosines of solutions along the regularization path, `[seeds, penalties]`.

    Args:
        table: The records.
        to: Reference direction: `"plain_machine"` (hard-margin SVM), `"sensitive_machine"`
            (cost-sensitive SVM) or `"cross_entropy"`.
        arm: The loss.
        case: `"separable"` or `"inseparable"`.
    """
    return arrays(table, f"cosine_to_{to}", "path", arm, case)


def cosine(table: "pandas.DataFrame", to: str, arm: str, case: str = "separable") -> stats.Estimate:
    """Mean cosine at the end of the path. See `cosines`."""
    name = f"cosine of {arm} to {DIRECTIONS[to]}, {case} classes, smallest penalty"
    return stats.mean(cosines(table, to, arm, case)[:, -1], name)


def adjustment_minus_temperatures(table: "pandas.DataFrame", at: int) -> stats.Estimate:
    """Cosine to the cost-sensitive SVM, logit adjustment minus temperatures, at one penalty."""
    pair = (
        cosines(table, "sensitive_machine", arm)[:, at]
        for arm in ("logit_adjustment", "temperatures")
    )
    where = "largest" if at == 0 else "smallest"
    name = f"cosine to cost-sensitive SVM, logit_adjustment minus temperatures, {where} penalty"
    return stats.paired_difference(*pair, name)


# ---- Gaussian mixture ----------------------------------------------------------------------------


def mixture_errors(
    table: "pandas.DataFrame", case: str, dimensions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Errors on minority and majority class, each `[seeds, deltas]`."""
    columns = ("minority_error", "majority_error")
    one, other = (
        arrays(table, column, "mixture", "machine", case, dimensions=dimensions)
        for column in columns
    )
    return one, other


def _mixture(table, case: str, dimensions: int):
    minority, majority = mixture_errors(table, case, dimensions)
    balanced = (minority + majority) / 2
    # If classes are not separable, all errors are NaN, and any index will do.
    return minority, majority, balanced, balanced.argmin(1)


def error_reduction(table: "pandas.DataFrame", case: str, dimensions: int) -> stats.Estimate:
    """Balanced error at delta 1 minus the lowest one."""
    *_, balanced, best = _mixture(table, case, dimensions)
    gains = balanced[:, 0] - balanced[range(len(best)), best]
    name = f"balanced error, delta = 1 minus best delta, {case}, {dimensions} dimensions"
    return stats.mean_if_defined(gains, name)


def best_delta(
    table: "pandas.DataFrame", case: str, dimensions: int, deltas: Sequence[float]
) -> stats.Estimate:
    """The delta of lowest balanced error."""
    *_, balanced, best = _mixture(table, case, dimensions)
    chosen = [
        deltas[place] if errors[0] == errors[0] else float("nan")
        for place, errors in zip(best, balanced, strict=True)
    ]
    return stats.mean_if_defined(chosen, f"best delta, {case}, {dimensions} dimensions")


def error_gap(
    table: "pandas.DataFrame", case: str, dimensions: int, plain: bool = False
) -> stats.Estimate:
    """Error on the minority minus that on the majority class, at the best delta or at delta 1."""
    minority, majority, _, best = _mixture(table, case, dimensions)
    places = best * 0 if plain else best
    rows = range(len(best))
    where = "delta = 1" if plain else "best delta"
    name = f"minority minus majority error, {where}, {case}, {dimensions} dimensions"
    return stats.mean_if_defined(minority[rows, places] - majority[rows, places], name)


def distance_from_limit(
    table: "pandas.DataFrame", mixture: Mixture, dimensions: int, minority: float
) -> stats.Estimate:
    """Balanced error of the hard-margin SVM minus its limit, see `limit.mixture_limit`."""
    # SciPy's optimizers are slow to import, and every command imports this module.
    from tfphen.phenomena.vs_loss.limit import mixture_limit

    errors = mixture_errors(table, "imbalanced", dimensions)
    limits = mixture_limit(dimensions / mixture.count, mixture.mean, minority, [1.0])
    distances = sum(errors)[:, 0] / 2 - sum(limits)[0] / 2
    name = f"balanced error minus its limit for a minority share of {minority:g}, delta = 1"
    return stats.mean_if_defined(distances, f"{name}, {dimensions} dimensions")


# ---- networks ------------------------------------------------------------------------------------


def balanced_errors(table: "pandas.DataFrame", arm: str, case: str = "imbalanced") -> np.ndarray:
    """Balanced test error of each training, `[seeds]`."""
    return arrays(table, "test_balanced_error", "deep", arm, case)


def gain(
    table: "pandas.DataFrame", arm: str, other: str, case: str = "imbalanced"
) -> stats.Estimate:
    """Reduction of balanced test error from one arm to another, paired by seed."""
    pair = (balanced_errors(table, one, case) for one in (other, arm))
    return stats.paired_difference(*pair, f"balanced test error, {other} minus {arm}, {case}")


def reversed_gain(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Gain of an arm with reversed class counts over cross-entropy, paired by seed."""
    errors = (balanced_errors(table, "cross_entropy"), balanced_errors(table, arm, "reversed"))
    name = f"balanced test error, cross_entropy minus {arm} with reversed counts"
    return stats.paired_difference(*errors, name)


def minority_recall(
    table: "pandas.DataFrame", arm: str, case: str = "imbalanced"
) -> tuple[np.ndarray, np.ndarray]:
    """Updates, `[points]`, and mean test recall of the rarer half, `[seeds, points]`."""
    counts = arrays(table, "class_counts", "deep", arm, case)
    recalls = arrays(table, "curve_test_class_recall", "deep", arm, case)
    steps = arrays(table, "curve_step", "deep", arm, case)[0]
    rare = np.argsort(counts, axis=1, kind="stable")[:, : counts.shape[1] // 2]
    return steps, np.take_along_axis(recalls, rare[:, None], 2).mean(2)


def recall_gain(
    table: "pandas.DataFrame", arm: str, other: str, step: int | None
) -> stats.Estimate:
    """Difference of two arms in recall of the rarer half after `step` updates, None for all."""
    steps, recalls = minority_recall(table, arm)
    step = int(steps[-1]) if step is None else step
    place = steps.tolist().index(step)
    others = minority_recall(table, other)[1]
    name = f"test recall of rare classes after {step} updates, {arm} minus {other}"
    return stats.paired_difference(recalls[:, place], others[:, place], name)


def gradient_ratio(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Ratio of an arm to cross-entropy in the initial gradient norm of rare classes."""
    pair = (
        arrays(table, "initial_rare_gradient", "deep", one, "imbalanced")
        for one in (arm, "cross_entropy")
    )
    name = f"initial gradient norm of rare classes, {arm} over cross_entropy, geometric mean"
    return stats.geometric_ratio(*pair, name)


# ---- groups --------------------------------------------------------------------------------------


def worst_errors(table: "pandas.DataFrame", case: str) -> np.ndarray:
    """Error of the worst group, `[seeds, exponents]`."""
    return arrays(table, "cell_errors", "groups", "machine", case).max(-1)


def mean_errors(table: "pandas.DataFrame", case: str) -> np.ndarray:
    """Mean error over groups, `[seeds, exponents]`."""
    return arrays(table, "cell_errors", "groups", "machine", case).mean(-1)


def odds_gaps(table: "pandas.DataFrame", case: str) -> np.ndarray:
    """Symmetric difference in equality of opportunity (DEO), `[seeds, exponents]`.

    The mean over classes y of |error of (y, a = 0) - error of (y, a = 1)|.
    """
    cells = arrays(table, "cell_errors", "groups", "machine", case)
    return abs(cells[..., 0::2] - cells[..., 1::2]).mean(-1)


def group_gain(
    table: "pandas.DataFrame", case: str, exponents: Sequence[float], exponent: float, of: str
) -> stats.Estimate:
    """Reduction of the worst group's error, or of the gap between groups, by group margins.

    Args:
        table: The records.
        case: `"spurious"`, or a control.
        exponents: Those of the records, of which the first is 0.
        exponent: The one of them that is compared with 0.
        of: `"worst"` or `"gap"`.
    """
    values = (worst_errors if of == "worst" else odds_gaps)(table, case)
    place = list(exponents).index(exponent)
    what = "error of the worst group" if of == "worst" else "symmetric DEO"
    name = f"{what}, equal margins minus exponent {exponent:g}, {case}"
    return stats.paired_difference(values[:, 0], values[:, place], name)
