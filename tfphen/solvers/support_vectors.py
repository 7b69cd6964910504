"""Solvers of trials: hard-margin machines, and linear classifiers that losses lead to.

The mathematics is in `tfphen.solvers.hard_margins`. Inputs have two classes, the rare one is 1.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from scipy import special

from tfphen.core import references
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.losses import (
    class_weighted_crossentropy,
    group_vs_loss,
    inverse_frequency_weights,
)
from tfphen.solvers.hard_margins import (
    cosines,
    cost_sensitive,
    max_margin,
    plain_machine,
    ridge_path,
)


class LinearClassifiers:
    """Classifiers of two classes by the sign of `⟨w, x⟩ + b`, as a predictor of all members.

    Args:
        weights: w, `[members, d]`.
        intercepts: b, `[members]`.
        how: How they were found.
        reports: What the solver tells of each member, `[members, ...]` by name.
    """

    def __init__(self, weights, intercepts, how: str, reports: dict[str, np.ndarray]):
        self._weights, self._intercepts = np.asarray(weights), np.asarray(intercepts)
        self.how, self.reports = how, reports
        self.parameters = self._weights.shape[1] + 1

    def __call__(self, inputs: np.ndarray, rows: np.ndarray, layers: Sequence[str] = ()):
        """Returns logits that differ by the score, `[members, n, 2]`, float32.

        Raises:
            UsageError: Outputs of layers are asked for.
        """
        if layers:
            raise UsageError(f"A linear classifier has no layers. Received: {list(layers)}")
        pairs = zip(rows, self._weights, self._intercepts, strict=True)
        scores = np.stack([inputs[mine] @ w + b for mine, w, b in pairs])
        return np.stack([-0.5 * scores, 0.5 * scores], -1).astype("float32")


def _each(trials, examples, tick, solve: Callable, how: str) -> LinearClassifiers:
    """Calls `solve(trial, inputs, labels) -> (w, b, reports)` for each member."""
    pool, rows, labels = examples.splits["train"]
    found = []
    for index, trial in enumerate(trials):
        mine = slice(0, examples.sizes[index])
        inputs = pool[rows[index, mine]].astype("float64")
        call = functools.partial(solve, trial, inputs, labels["labels"][index, mine])
        found.append(references.call("optimizer", call, trial.optimizer))
        tick(1.0)
    weights, intercepts, reports = zip(*found, strict=True)
    reports = {name: np.stack([one[name] for one in reports]) for name in reports[0]}
    return LinearClassifiers(np.stack(weights), intercepts, how, reports)


def _with_constant(inputs: np.ndarray) -> np.ndarray:
    return np.concatenate([inputs, np.ones((len(inputs), 1))], 1)


def _binary_vector_scaling(labels, *, gamma: float = 0.0, tau: float = 0.0) -> Callable:
    """log(1 + exp(ι_y - Δ_y y f)), see `tfphen.losses.group_vs_loss` with one group."""
    counts = np.bincount(labels, minlength=2)[:, None]
    pairs = np.stack([labels, np.zeros_like(labels)], -1)
    return lambda scores: group_vs_loss(pairs, _logits(scores), counts, gamma, tau)


def _inversely_weighted(labels) -> Callable:
    """Cross-entropy with weights that are inverse to the frequencies of the classes."""
    weights = inverse_frequency_weights(np.bincount(labels, minlength=2), "examples")
    return lambda scores: class_weighted_crossentropy(labels, _logits(scores), weights)


def _logits(scores):
    return tf.stack([-0.5 * scores, 0.5 * scores], -1)


BINARY_LOSSES = {
    "binary_vector_scaling": _binary_vector_scaling,
    "inversely_weighted": _inversely_weighted,
}
_PLAIN = Spec("binary_vector_scaling")


def solve_ridge_path(trials: Sequence[Trial], examples, tick: Callable[[float], None]):
    """Follows `ridge_path` of an objective of `BINARY_LOSSES`, the intercept penalized too.

    Settings of the optimizer: `factor`, the margin of class 1 in the cost-sensitive machine, and
    `decades`: λ goes from 1e-1 to ten to the minus that.

    Reports: cosines with the plain machine, the cost-sensitive one (NaN where the examples are not
    separable) and the end of the path of cross-entropy, each `[members, decades]`.
    """

    known: dict[tuple[Spec, bytes], Callable] = {}  # so that members share what is compiled

    def loss_of(spec, labels):
        key = spec, labels.tobytes()
        if key not in known:
            make = references.look_up("objective", BINARY_LOSSES, spec)
            known[key] = references.call("objective", make, spec, labels)
        return known[key]

    def solve(trial, inputs, labels, *, factor: float, decades: int):
        inputs, penalties = _with_constant(inputs), 10.0 ** -np.arange(1, decades + 1)
        path = ridge_path(loss_of(trial.objective, labels), inputs, penalties)
        plain = path
        if trial.objective != _PLAIN:
            plain = ridge_path(loss_of(_PLAIN, labels), inputs, penalties)
        reports = {"cosine_to_cross_entropy": cosines(path, plain[-1])}
        signs = np.where(labels == 1, 1.0, -1.0)
        for name, margin in (("plain", 1.0), ("sensitive", factor)):
            try:
                machine = max_margin(inputs * signs[:, None], np.where(labels == 1, margin, 1.0))
            except UsageError:
                machine = np.full(inputs.shape[1], np.nan)
            reports[f"cosine_to_{name}_machine"] = cosines(path, machine)
        return path[-1, :-1], path[-1, -1], reports

    return _each(trials, examples, tick, solve, "Newton's method")


def solve_cost_sensitive(trials: Sequence[Trial], examples, tick: Callable[[float], None]):
    """Finds the plain machine of two Gaussian classes, and moves its threshold.

    The means are plus and minus `mean` on the first coordinate, noise has variance 1. Settings of
    the optimizer: `deltas`, margins of class 1.

    Reports: exact errors `minority_error`, on class 1, and `majority_error`, each
    `[members, deltas]`, NaN where the examples are not separable.
    """

    def solve(trial, inputs, labels, *, deltas: Sequence[float]):
        machine = plain_machine(inputs, np.where(labels == 1, 1, -1))
        weights, intercept = machine or (np.full(inputs.shape[1], np.nan), np.nan)
        mean = trial.data.options["mean"]
        moved = [cost_sensitive(weights, intercept, delta) for delta in deltas]
        lengths = np.array([np.linalg.norm(w) for w, _ in moved])
        reports = {
            "minority_error": special.ndtr([-mean * w[0] - b for w, b in moved] / lengths),
            "majority_error": special.ndtr([-mean * w[0] + b for w, b in moved] / lengths),
        }
        return weights, intercept, reports

    return _each(trials, examples, tick, solve, "sequential minimal optimization")


def solve_group_sensitive(trials: Sequence[Trial], examples, tick: Callable[[float], None]):
    """Finds machines whose margins are (n_max / n_cell)^γ, the intercept penalized too.

    Label 2 y + a is the cell of class y and attribute a. Their signs times `core` and `spurious`
    are the means of the first two coordinates, noise has variance 1. Settings of the optimizer:
    `exponents`, values of γ; the last is that of the classifier which predicts.

    Reports: exact `cell_errors`, `[members, exponents, 4]`.
    """

    def solve(trial, inputs, labels, *, exponents: Sequence[float]):
        counts, options = np.bincount(labels, minlength=4), trial.data.options
        signs, attributes = np.array([-1.0, -1.0, 1.0, 1.0]), np.array([-1.0, 1.0, -1.0, 1.0])
        means = np.stack([options["core"] * signs, options["spurious"] * attributes], 1)
        signed, errors = _with_constant(inputs) * signs[labels][:, None], []
        for exponent in exponents:
            machine = max_margin(signed, ((counts.max() / counts) ** exponent)[labels])
            weights, intercept = machine[:-1], machine[-1]
            scores = signs * (means @ weights[:2] + intercept)
            errors.append(special.ndtr(-scores / np.linalg.norm(weights)))
        return weights, intercept, {"cell_errors": np.stack(errors)}

    return _each(trials, examples, tick, solve, "non-negative least squares")
