"""Reads the four parts of the table on vector scaling, for verdicts and figure.

Rows have a `part`: `"path"`, `"mixture"`, `"deep"` or `"groups"`; a `case` of it, of which one is
imbalanced and the others are controls; and an `arm`. Light to import: what computes is imported
when a function is called.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of
from tfphen.verdicts import stats

if TYPE_CHECKING:
    import numpy as np
    import pandas

    from tfphen.phenomena.vs_loss.trials import Mixture


def arrays(
    table: "pandas.DataFrame", column: str, part: str, arm: str, case: str, **columns
) -> "np.ndarray":
    """Returns a column of some rows, `[seeds, ...]`, in the order of their seeds."""
    import numpy as np

    rows = rows_of(table, part=part, arm=arm, case=case, **columns)
    return np.stack([np.asarray(value) for value in rows[column]])


# ---- the path to machines ----------------------------------------------------------------------


def cosines(table: "pandas.DataFrame", to: str, arm: str, case: str = "separable") -> "np.ndarray":
    """Returns cosines along the path, `[seeds, penalties]`.

    Args:
        table: The records.
        to: `"plain_machine"`, `"sensitive_machine"` or `"cross_entropy"`.
        arm: The loss.
        case: `"separable"` or `"inseparable"`.
    """
    return arrays(table, f"cosine_to_{to}", "path", arm, case)


def cosine(table: "pandas.DataFrame", to: str, arm: str, case: str = "separable") -> stats.Estimate:
    """Mean cosine at the end of the path. See `cosines`."""
    name = f"cosine of {arm} to {to}, {case} classes, least penalty"
    return stats.mean(cosines(table, to, arm, case)[:, -1], name)


def shift_minus_factor(table: "pandas.DataFrame", at: int) -> stats.Estimate:
    """How much nearer shifts are to the cost-sensitive machine than factors, at one penalty."""
    pair = (
        cosines(table, "sensitive_machine", arm)[:, at]
        for arm in ("logit_adjustment", "temperatures")
    )
    where = "largest" if at == 0 else "least"
    name = f"cosine to sensitive machine, logit_adjustment minus temperatures, {where} penalty"
    return stats.paired_difference(*pair, name)


# ---- the machine of two Gaussian classes -------------------------------------------------------


def mixture_errors(
    table: "pandas.DataFrame", case: str, dimensions: int
) -> tuple["np.ndarray", "np.ndarray"]:
    """Returns errors on minority and majority, each `[seeds, deltas]`."""
    columns = ("minority_error", "majority_error")
    one, other = (
        arrays(table, column, "mixture", "machine", case, dimensions=dimensions)
        for column in columns
    )
    return one, other


def _mixture(table, case: str, dimensions: int):
    minority, majority = mixture_errors(table, case, dimensions)
    balanced = (minority + majority) / 2
    # Where classes are not separable, all errors are NaN, and 0 is as good as any place.
    return minority, majority, balanced, balanced.argmin(1)


def least_over_plain(table: "pandas.DataFrame", case: str, dimensions: int) -> stats.Estimate:
    """Balanced error at delta 1 minus the least one."""
    *_, balanced, best = _mixture(table, case, dimensions)
    gains = balanced[:, 0] - balanced[range(len(best)), best]
    name = f"balanced error, delta = 1 minus best delta, {case}, {dimensions} dimensions"
    return stats.mean_if_defined(gains, name)


def best_delta(
    table: "pandas.DataFrame", case: str, dimensions: int, deltas: Sequence[float]
) -> stats.Estimate:
    """The delta of least balanced error."""
    *_, balanced, best = _mixture(table, case, dimensions)
    found = [
        deltas[place] if errors[0] == errors[0] else float("nan")
        for place, errors in zip(best, balanced, strict=True)
    ]
    return stats.mean_if_defined(found, f"best delta, {case}, {dimensions} dimensions")


def inequality(
    table: "pandas.DataFrame", case: str, dimensions: int, plain: bool = False
) -> stats.Estimate:
    """Error on the minority minus that on the majority, at the best delta or the plain machine."""
    minority, majority, _, best = _mixture(table, case, dimensions)
    places = best * 0 if plain else best
    rows = range(len(best))
    where = "delta = 1" if plain else "best delta"
    name = f"minority minus majority error, {where}, {case}, {dimensions} dimensions"
    return stats.mean_if_defined(minority[rows, places] - majority[rows, places], name)


def mixture_limit(
    ratio: float, mean: float, minority: float, deltas: Sequence[float]
) -> tuple["np.ndarray", "np.ndarray"]:
    """Errors on both classes that many examples and dimensions go to, by Gordon's comparison.

    With G standard normal, Y = 1 with probability π and -1 otherwise, cosine ρ of w with the axis
    of the means, β = b / ‖w‖ and q = ‖w‖, the plain machine has the least q at which

        min over ρ, β of  E (G + 1 / q - mean ρ - Y β)₊²  -  ratio (1 - ρ²)  =  0

    and δ adds (δ - 1) / ((δ + 1) q) to β. The errors are Φ(-mean ρ - β) and Φ(-mean ρ + β).

    Args:
        ratio: Dimensions of an example, over the number of examples.
        mean: Distance of each class's mean from 0, in standard deviations of the noise.
        minority: π, the share of the class with the margin δ.
        deltas: Values of δ.

    Returns:
        Errors on minority and majority, each `[deltas]`.

    Raises:
        ValueError: There are too few dimensions for the classes to be separable.

    Example:

    >>> [error.round(3).tolist() for error in mixture_limit(1.5, 2.5, 0.1, [1.0, 3.0])]
    [[0.306, 0.036], [0.001, 0.045]]

    When not to use:
        For some tens of examples, whose errors scatter about other means.
    """
    import numpy as np
    from scipy import optimize, special

    def excess(point, length):
        cosine, offset = point
        total = -ratio * (1 - cosine**2)
        for share, sign in ((minority, 1), (1 - minority, -1)):
            least = 1 / length - mean * cosine - sign * offset
            density = np.exp(-(least**2) / 2) / np.sqrt(2 * np.pi)
            total += share * ((1 + least**2) * special.ndtr(least) + least * density)
        return total

    def best(length):
        return optimize.minimize(excess, (0.5, 0.0), (length,), options={"gtol": 1e-9})

    length = optimize.brentq(lambda length: best(length).fun, 1e-3, 1e3)
    cosine, offset = best(length).x
    deltas = np.asarray(deltas)
    moved = offset + (deltas - 1) / ((deltas + 1) * length)
    return special.ndtr(-mean * cosine - moved), special.ndtr(-mean * cosine + moved)


def distance_from_limit(
    table: "pandas.DataFrame", mixture: "Mixture", dimensions: int, minority: float
) -> stats.Estimate:
    """Balanced error of the plain machine minus its limit, see `mixture_limit`."""
    errors = mixture_errors(table, "imbalanced", dimensions)
    limits = mixture_limit(dimensions / mixture.count, mixture.mean, minority, [1.0])
    distances = sum(errors)[:, 0] / 2 - sum(limits)[0] / 2
    name = f"balanced error minus its limit for a rare class of {minority:g}, delta = 1"
    return stats.mean_if_defined(distances, f"{name}, {dimensions} dimensions")


# ---- networks ----------------------------------------------------------------------------------


def balanced_errors(table: "pandas.DataFrame", arm: str, case: str = "imbalanced") -> "np.ndarray":
    """Returns balanced test errors, `[seeds]`."""
    return arrays(table, "test_balanced_error", "deep", arm, case)


def gain(
    table: "pandas.DataFrame", arm: str, other: str, case: str = "imbalanced"
) -> stats.Estimate:
    """By how much an arm is below another in balanced test error, paired by seed."""
    pair = (balanced_errors(table, one, case) for one in (other, arm))
    return stats.paired_difference(*pair, f"balanced test error, {other} minus {arm}, {case}")


def reversed_gain(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """The same of an arm with the counts of the wrong classes, against cross-entropy."""
    errors = (balanced_errors(table, "cross_entropy"), balanced_errors(table, arm, "reversed"))
    name = f"balanced test error, cross_entropy minus {arm} with reversed counts"
    return stats.paired_difference(*errors, name)


def minority_recall(
    table: "pandas.DataFrame", arm: str, case: str = "imbalanced"
) -> tuple["np.ndarray", "np.ndarray"]:
    """Returns updates `[points]`, and mean test recalls of the rarer half `[seeds, points]`."""
    import numpy as np

    counts = arrays(table, "class_counts", "deep", arm, case)
    recalls = arrays(table, "curve_test_class_recall", "deep", arm, case)
    steps = arrays(table, "curve_step", "deep", arm, case)[0]
    rare = np.argsort(counts, axis=1, kind="stable")[:, : counts.shape[1] // 2]
    return steps, np.take_along_axis(recalls, rare[:, None], 2).mean(2)


def early_gain(table: "pandas.DataFrame", arm: str, other: str, step: int | None) -> stats.Estimate:
    """Difference of two arms in the recall of the rarer half, after some updates or (None) all."""
    steps, recalls = minority_recall(table, arm)
    step = int(steps[-1]) if step is None else step
    place = steps.tolist().index(step)
    others = minority_recall(table, other)[1]
    name = f"test recall of rare classes after {step} updates, {arm} minus {other}"
    return stats.paired_difference(recalls[:, place], others[:, place], name)


def gradient_ratio(table: "pandas.DataFrame", arm: str) -> stats.Estimate:
    """Ratio of an arm to cross-entropy in the gradient of rare classes at the initial weights."""
    pair = (
        arrays(table, "initial_rare_gradient", "deep", one, "imbalanced")
        for one in (arm, "cross_entropy")
    )
    name = f"initial gradient norm of rare classes, {arm} over cross_entropy, geometric mean"
    return stats.geometric_ratio(*pair, name)


# ---- groups ------------------------------------------------------------------------------------


def worst_errors(table: "pandas.DataFrame", case: str) -> "np.ndarray":
    """Returns the error on the worst cell, `[seeds, exponents]`."""
    return arrays(table, "cell_errors", "groups", "machine", case).max(-1)


def mean_errors(table: "pandas.DataFrame", case: str) -> "np.ndarray":
    """Returns the mean error over cells, `[seeds, exponents]`."""
    return arrays(table, "cell_errors", "groups", "machine", case).mean(-1)


def odds_gaps(table: "pandas.DataFrame", case: str) -> "np.ndarray":
    """Returns symmetric differences in equality of opportunity (DEO), `[seeds, exponents]`.

    The mean over classes y of |error of (y, a = 0) - error of (y, a = 1)|.
    """
    cells = arrays(table, "cell_errors", "groups", "machine", case)
    return abs(cells[..., 0::2] - cells[..., 1::2]).mean(-1)


def group_gain(
    table: "pandas.DataFrame", case: str, exponents: Sequence[float], exponent: float, of: str
) -> stats.Estimate:
    """By how much margins by group lower the worst cell's error, or the gap between cells.

    Args:
        table: The records.
        case: `"spurious"`, or a control.
        exponents: Those of the records, of which the first is 0.
        exponent: The one of them that is compared with 0.
        of: `"worst"` or `"gap"`.
    """
    values = (worst_errors if of == "worst" else odds_gaps)(table, case)
    place = list(exponents).index(exponent)
    what = "error of the worst cell" if of == "worst" else "symmetric DEO"
    name = f"{what}, equal margins minus exponent {exponent:g}, {case}"
    return stats.paired_difference(values[:, 0], values[:, place], name)
