"""Uncertainties of the members of a population, and what they tell from the training data.

A Gaussian process as the last layer, `"logits"`, gathers no precision while a population trains:
here it is the exact sum over the training set with the final weights, in float64. A network that
ends in a dense layer has the scores that need no variance.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfphen.core.seeds import stream
from tfphen.core.trial import Trial
from tfphen.metrics import (
    dempster_shafer_uncertainty,
    expected_calibration_error,
    maximum_probability_uncertainty,
    negative_log_likelihood,
    ood_scores,
)
from tfphen.phenomena.sngp.trials import SIDE

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained

HEAD = "logits"
FEATURES = f"{HEAD}/features"
# Scores of uncertainty: the posterior variance of the logits, that before any example was seen,
# one minus the largest probability, and the uncertainty mass of Dempster and Shafer. The last two
# are of the mean-field logits, and all that a dense layer has.
SCORES = ("variance", "prior", "probability", "evidence")
STATISTICS = ("auroc", "aupr_out", "aupr_in")

_FAR_EXAMPLES = 500
# Examples of all members whose features are held at a time.
_ROWS = 4096


class Outputs(NamedTuple):
    """What a population says of some inputs, float64.

    Attributes:
        logits: Mean-field logits, or plain ones of a dense layer, `[members, n, K]`.
        variance: Of the logits, a mean over them where they differ, `[members, n]`, or None.
        prior: The variance without any example in the precision, `[members, n]`, or None.
    """

    logits: np.ndarray
    variance: np.ndarray | None = None
    prior: np.ndarray | None = None


class Posterior(NamedTuple):
    """The posterior of the last layer of each member.

    Attributes:
        precisions: Sums over examples, `[D, D]` or `[K, D, D]` each.
        roots: Roots of the covariances, without the ridge as a factor.
        ridge: What is added to a precision before its inversion.
        factor: What the variance is multiplied with.
    """

    precisions: list[np.ndarray]
    roots: list[np.ndarray]
    ridge: float
    factor: float


def has_process(trial: Trial) -> bool:
    """Whether the last layer of a trial's model is a Gaussian process."""
    return trial.model.settings.get("head") == "gaussian_process"


def scores_of(trial: Trial) -> tuple[str, ...]:
    """Returns the scores of uncertainty that a trial's model has."""
    return SCORES if has_process(trial) else SCORES[2:]


def posterior(trained: "Trained") -> Posterior:
    """Computes the posterior of each member from its share of the training examples."""
    from tfphen.layers import laplace_posterior as laplace

    covariance = trained.members.model.get_layer(HEAD).covariance
    inputs, kept = trained.inputs("train"), _kept(trained)
    precisions = [0.0] * len(kept)
    for rows in _blocks(inputs):
        features = trained.apply(inputs[:, rows], FEATURES).astype("float64")
        logits = None
        if covariance.likelihood != "gaussian":
            logits = trained.apply(inputs[:, rows]).astype("float64")
        for member, weights in enumerate(kept[:, rows]):
            if logits is not None:
                curvature = np.asarray(laplace.curvature(logits[member], covariance.likelihood))
                weights = curvature * weights.reshape(-1, *(1,) * (curvature.ndim - 1))
            precisions[member] += np.asarray(laplace.precision_of(features[member], weights))
    ridge = covariance.ridge_penalty
    roots = [_root(precision, ridge) for precision in precisions]
    factor = ridge if covariance.scale_covariance_by_ridge else 1.0
    return Posterior(precisions, roots, ridge, factor)


def outputs(trained: "Trained", name: str) -> Outputs:
    """Computes logits and variances on a split, or on `"far"`, `"fresh"` or `"grid"` of moons."""
    from tfphen.layers import laplace_posterior as laplace
    from tfphen.layers import mean_field_logits

    inputs = _inputs(trained, name)
    logits = trained.apply(inputs).astype("float64")
    if not has_process(trained.trials[0]):
        return Outputs(logits)
    known = trained.once(posterior)
    variances, priors = [], []
    for rows in _blocks(inputs):
        features = trained.apply(inputs[:, rows], FEATURES).astype("float64")
        priors.append(np.square(features).sum(-1))
        pairs = zip(features, known.roots, strict=True)
        found = [np.asarray(laplace.predictive_covariance(*pair)) for pair in pairs]
        variances.append(known.factor * np.stack(found))
    variance = np.concatenate(variances, 1)
    factors = [trial.constants["mean_field_factor"] for trial in trained.trials]
    adjusted = [
        np.asarray(mean_field_logits(*pair, factor, covariance_form="variance"))
        for *pair, factor in zip(logits, variance, factors, strict=True)
    ]
    by_example = variance if variance.ndim == 2 else variance.mean(-1)
    return Outputs(np.stack(adjusted), by_example, np.concatenate(priors, 1))


def uncertainty(trained: "Trained", name: str, score: str) -> np.ndarray:
    """Returns a score of uncertainty, one of `SCORES`, on what `outputs` knows, `[members, n]`.

    NaN for the examples of a member that diverged.
    """
    found = trained.once(outputs, name)
    if score in ("variance", "prior"):
        return getattr(found, score)
    finite = np.isfinite(found.logits).all(-1)
    logits = np.where(finite[..., None], found.logits, 0.0)
    function = {"probability": maximum_probability_uncertainty}.get(
        score, dempster_shafer_uncertainty
    )
    return np.where(finite, function(logits), math.nan)


def detection(trained: "Trained", name: str, score: str) -> dict[str, np.ndarray]:
    """Returns how well a score tells some examples from the test split, `[members]` each.

    The names are those of `STATISTICS`; those of `"aupr"` end in the class that is to be found.
    """
    pairs = [uncertainty(trained, one, score) for one in ("test", name)]
    rows = [_detected(*pair) for pair in zip(*pairs, strict=True)]
    return dict(zip(STATISTICS, np.asarray(rows, "float64").T, strict=True))


def _detected(inside: np.ndarray, outside: np.ndarray) -> tuple[float, ...]:
    if not (np.isfinite(inside).all() and np.isfinite(outside).all()):
        return (math.nan,) * len(STATISTICS)
    found, other = (ood_scores(inside, outside, positive) for positive in ("out", "in"))
    return found.auroc, found.aupr, other.aupr


def distance_correlation(trained: "Trained", score: str) -> np.ndarray:
    """Returns Spearman's correlation of a score with the distance to the training set, on a grid.

    0 where a score is the same everywhere, which follows nothing.
    """
    from scipy.stats import spearmanr

    from tfphen.phenomena.sngp.two_moons import nearest_distances

    found, places = [], _inputs(trained, "grid")
    values = uncertainty(trained, "grid", score)
    for own, examples, value in zip(places, trained.inputs("train"), values, strict=True):
        flat = np.ptp(value) == 0
        correlation = 0.0 if flat else spearmanr(value, nearest_distances(own, examples)).statistic
        found.append(correlation)
    return np.asarray(found)


def unreset_ratio(trained: "Trained") -> np.ndarray:
    """Returns the variance of training examples without resets over that with them, `[members]`.

    A precision that is never set to 0 holds one pass an epoch. Here each of them is that of the
    final weights, so that with E epochs the ratio tends to 1 / E where data are plenty.
    """
    known, ratios = trained.once(posterior), []
    for trial, precision, root in zip(trained.trials, *known[:2], strict=True):
        passes = trial.epochs
        mean, stale = (
            np.sum(1.0 - known.ridge * np.square(one).sum((-1, -2)) / one.shape[-1])
            for one in (root, _root(passes * precision, known.ridge))
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


def _inputs(trained: "Trained", name: str) -> np.ndarray:
    if name not in ("far", "fresh", "grid") or trained.trials[0].data.name != "two_moons":
        return trained.inputs(name)
    from tfphen.phenomena.sngp import two_moons

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


def _kept(trained: "Trained") -> np.ndarray:
    """Which of its training examples each member has in its precision, `[members, n]`."""
    kept = np.zeros(trained.labels("train").shape)
    for row, trial, size in zip(kept, trained.trials, trained.class_counts.sum(1), strict=True):
        count = math.ceil(trial.constants["covariance_share"] * size)
        order = stream(trial.seed_of("covariance_share"), "covariance_share").permutation(size)
        row[order[:count]] = 1.0
    return kept


def _root(precision: np.ndarray, ridge: float) -> np.ndarray:
    from tfphen.layers.laplace_posterior import covariance_root_on_host

    added = np.full((*precision.shape[:-2], 1, 1), ridge)
    return covariance_root_on_host(precision, added)[0]
