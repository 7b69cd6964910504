"""Uncertainty of the members of a population, and how well it detects OOD inputs.

A Gaussian process as the last layer, `"logits"`, accumulates no precision while a population
trains: here it is the exact sum over the training set with the final weights, in float64. For a
network with a dense last layer only the scores that need no variance are available.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from tfphen.core.seeds import stream
from tfphen.layers import laplace_posterior as laplace
from tfphen.layers import mean_field_logits
from tfphen.metrics import expected_calibration_error, negative_log_likelihood
from tfphen.metrics.robustness.out_of_distribution import (
    dempster_shafer_uncertainty,
    maximum_probability_uncertainty,
    ood_scores,
)
from tfphen.phenomena.sngp import two_moons
from tfphen.phenomena.sngp.trials import DETECTION_STATISTICS, SIDE, has_process

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained

HEAD = "logits"
FEATURES = f"{HEAD}/features"

_FAR_EXAMPLES = 500
# Examples of all members whose features are in memory at a time.
_ROWS = 4096


class Outputs(NamedTuple):
    """Predictions of a population on some inputs, float64.

    Attributes:
        logits: Mean-field logits, or those of a dense layer, `[members, n, K]`.
        variance: Of the logits, averaged over classes where they differ, `[members, n]`, or None.
        prior: The variance before any example is in the precision, `[members, n]`, or None.
    """

    logits: np.ndarray
    variance: np.ndarray | None = None
    prior: np.ndarray | None = None


class Posterior(NamedTuple):
    """The posterior of the last layer of each member.

    Attributes:
        precisions: Sums over examples, `[D, D]` or `[K, D, D]` each.
        roots: Roots of the covariances, without the ridge as a factor.
        ridge: Added to the diagonal of a precision before its inversion.
        factor: Multiplies the variance.
    """

    precisions: list[np.ndarray]
    roots: list[np.ndarray]
    ridge: float
    factor: float


def posterior(trained: "Trained") -> Posterior:
    """Computes the posterior of each member from its share of the training examples."""
    covariance = trained.members.model.get_layer(HEAD).covariance
    inputs, mask = trained.inputs("train"), precision_mask(trained)
    precisions = [0.0] * len(mask)
    for rows in _blocks(inputs):
        features = trained.apply(inputs[:, rows], FEATURES).astype("float64")
        logits = None
        if covariance.likelihood != "gaussian":
            logits = trained.apply(inputs[:, rows]).astype("float64")
        for member, weights in enumerate(mask[:, rows]):
            if logits is not None:
                curvature = np.asarray(laplace.curvature(logits[member], covariance.likelihood))
                weights = curvature * weights.reshape(-1, *(1,) * (curvature.ndim - 1))
            precisions[member] += np.asarray(laplace.precision_of(features[member], weights))
    ridge = covariance.ridge_penalty
    roots = [_root(precision, ridge) for precision in precisions]
    factor = ridge if covariance.scale_covariance_by_ridge else 1.0
    return Posterior(precisions, roots, ridge, factor)


def outputs(trained: "Trained", name: str) -> Outputs:
    """Computes logits and variances on a set of inputs, see `inputs_of`."""
    inputs = inputs_of(trained, name)
    logits = trained.apply(inputs).astype("float64")
    if not has_process(trained.trials[0]):
        return Outputs(logits)
    fitted = trained.once(posterior)
    variances, priors = [], []
    for rows in _blocks(inputs):
        features = trained.apply(inputs[:, rows], FEATURES).astype("float64")
        priors.append(np.square(features).sum(-1))
        pairs = zip(features, fitted.roots, strict=True)
        unscaled = [np.asarray(laplace.predictive_covariance(*pair)) for pair in pairs]
        variances.append(fitted.factor * np.stack(unscaled))
    variance = np.concatenate(variances, 1)
    factors = [trial.constants["mean_field_factor"] for trial in trained.trials]
    adjusted = [
        np.asarray(mean_field_logits(*pair, factor, covariance_form="variance"))
        for *pair, factor in zip(logits, variance, factors, strict=True)
    ]
    by_example = variance if variance.ndim == 2 else variance.mean(-1)
    return Outputs(np.stack(adjusted), by_example, np.concatenate(priors, 1))


def uncertainty(trained: "Trained", name: str, score: str) -> np.ndarray:
    """Returns an uncertainty score on a set of inputs, `[members, n]`.

    NaN for the examples of a member that diverged.

    Args:
        trained: The population.
        name: Of the inputs, see `inputs_of`.
        score: One of `tfphen.phenomena.sngp.trials.SCORES`.
    """
    predicted = trained.once(outputs, name)
    if score in ("variance", "prior"):
        return getattr(predicted, score)
    finite = np.isfinite(predicted.logits).all(-1)
    logits = np.where(finite[..., None], predicted.logits, 0.0)
    function = {"probability": maximum_probability_uncertainty}.get(
        score, dempster_shafer_uncertainty
    )
    return np.where(finite, function(logits), math.nan)


def far_confidence(trained: "Trained") -> np.ndarray:
    """Returns the mean largest probability on the far cluster, `[members]`."""
    return 1 - uncertainty(trained, "far", "probability").mean(1)


def grid_uncertainty(trained: "Trained", score: str) -> np.ndarray:
    """Returns an uncertainty score at each point of the grid, float32, `[members, n]`."""
    return uncertainty(trained, "grid", score).astype("float32")


def detection_statistic(trained: "Trained", name: str, score: str, statistic: str) -> np.ndarray:
    """Returns one of `DETECTION_STATISTICS` of a score on a set of inputs, `[members]`."""
    return trained.once(detection, name, score)[statistic]


def mean_calibration(trained: "Trained", splits: tuple[str, ...], kind: str) -> np.ndarray:
    """Returns `"error"`, `"ece"` or `"nll"`, averaged over splits, `[members]`."""
    return sum(trained.once(calibration, name)[kind] for name in splits) / len(splits)


def detection(trained: "Trained", name: str, score: str) -> dict[str, np.ndarray]:
    """Returns how well a score separates some examples from the test split, `[members]` each.

    The names are those of `DETECTION_STATISTICS`.
    """
    pairs = [uncertainty(trained, one, score) for one in ("test", name)]
    rows = [_detected(*pair) for pair in zip(*pairs, strict=True)]
    return dict(zip(DETECTION_STATISTICS, np.asarray(rows, "float64").T, strict=True))


def _detected(inside: np.ndarray, outside: np.ndarray) -> tuple[float, ...]:
    if not (np.isfinite(inside).all() and np.isfinite(outside).all()):
        return (math.nan,) * len(DETECTION_STATISTICS)
    out, inlier = (ood_scores(inside, outside, positive) for positive in ("out", "in"))
    return out.auroc, out.aupr, inlier.aupr


def distance_correlation(trained: "Trained", score: str) -> np.ndarray:
    """Returns Spearman's correlation of a score with the distance to the training set, on a grid.

    0 where a score is constant.
    """
    correlations, grids = [], inputs_of(trained, "grid")
    values = uncertainty(trained, "grid", score)
    for own, examples, value in zip(grids, trained.inputs("train"), values, strict=True):
        distances = two_moons.nearest_distances(own, examples)
        correlation = 0.0 if np.ptp(value) == 0 else spearmanr(value, distances).statistic
        correlations.append(correlation)
    return np.asarray(correlations)


def unreset_variance_ratio(trained: "Trained") -> np.ndarray:
    """Returns the variance of training examples without resets over that with them, `[members]`.

    A precision that is never reset to 0 accumulates one pass per epoch. Here each of them is that
    of the final weights, so that with E epochs the ratio tends to 1 / E for many examples.
    """
    fitted, ratios = trained.once(posterior), []
    for trial, precision, root in zip(trained.trials, *fitted[:2], strict=True):
        passes = trial.epochs
        mean, stale = (
            np.sum(1.0 - fitted.ridge * np.square(one).sum((-1, -2)) / one.shape[-1])
            for one in (root, _root(passes * precision, fitted.ridge))
        )
        ratios.append(stale / passes / mean)
    return np.asarray(ratios)


def calibration(trained: "Trained", name: str) -> dict[str, np.ndarray]:
    """Returns error, expected calibration error and negative log-likelihood, `[members]` each."""
    logits, labels = trained.once(outputs, name).logits, trained.labels(name)
    rows = []
    for own, truth in zip(logits, labels, strict=True):
        if not np.isfinite(own).all():
            rows.append((math.nan,) * 3)
            continue
        error = np.mean(own.argmax(-1) != truth)
        ece = expected_calibration_error(truth, own)
        rows.append((error, ece, negative_log_likelihood(truth, own)))
    return dict(zip(("error", "ece", "nll"), np.asarray(rows, "float64").T, strict=True))


def inputs_of(trained: "Trained", name: str) -> np.ndarray:
    """Returns inputs by name, `[members, n, ...]`.

    Args:
        trained: The population.
        name: A split; of two moons also `"far"`, the cluster of another distribution, `"fresh"`, a
            second test sample, or `"grid"`.
    """
    if name not in ("far", "fresh", "grid") or trained.trials[0].data.name != "two_moons":
        return trained.inputs(name)
    made = []
    for trial in trained.trials:
        options = trial.data.options
        if name == "grid":
            made.append(two_moons.plane_grid(trial.constants[SIDE]))
        elif name == "fresh":
            made.append(two_moons.fresh_moons(**options))
        else:
            made.append(two_moons.far_cluster(_FAR_EXAMPLES, options["generator_seed"]))
    return np.stack(made)


def _blocks(inputs: np.ndarray):
    """Yields slices of the examples."""
    for first in range(0, inputs.shape[1], _ROWS):
        yield slice(first, first + _ROWS)


def precision_mask(trained: "Trained") -> np.ndarray:
    """Returns 1 for training examples in the precision of a member, else 0, `[members, n]`."""
    mask = np.zeros(trained.labels("train").shape)
    for row, trial, size in zip(mask, trained.trials, trained.class_counts.sum(1), strict=True):
        count = math.ceil(trial.constants["covariance_share"] * size)
        order = stream(trial.seed_of("covariance_share"), "covariance_share").permutation(size)
        row[order[:count]] = 1.0
    return mask


def _root(precision: np.ndarray, ridge: float) -> np.ndarray:
    added = np.full((*precision.shape[:-2], 1, 1), ridge)
    return laplace.covariance_root_on_host(precision, added)[0]
