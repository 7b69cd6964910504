"""Objectives that depend on the class counts of each member's training set.

Class counts are the constant `"class_counts"`, `[members, K]`, which every training has. With
`counts="reversed"` the rarest class has the count of the most frequent one, the second rarest that
of the second most frequent, and so on: a negative control.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfphen import losses
from tfphen.core import checks
from tfphen.core.errors import UsageError, nearest
from tfphen.losses.class_counts import reversed_class_counts, value_of_label
from tfphen.train.objectives import Objective, Step, Weighted

COUNTS = ("own", "reversed")


def class_counts(step: Step, counts: str) -> np.ndarray:
    """Returns the number of training examples of each class, `[members, 1, K]`.

    Raises:
        UsageError: They are not among the step's constants.
    """
    if "class_counts" not in step.constants:
        raise UsageError(
            "This objective needs the number of training examples of each class: "
            "`np.bincount` of each member's labels, in the trainer's constants under "
            f"'class_counts'. Received: constants {sorted(step.constants)}"
        )
    # Constants are known while the step is traced.
    values = np.asarray(tf.get_static_value(step.constants["class_counts"]), "float64")
    if counts == "reversed":
        values = reversed_class_counts(values)
    return values[:, None]


@dataclasses.dataclass(frozen=True)
class Weighting:
    """Class weights of a loss, from an objective's setting `weighting`.

    Args:
        kind: `"effective_number"`, see `tfphen.losses.effective_number_weights`;
            `"inverse_frequency"`; or `"given"`, the constant `"class_weights"` of each trial.
        beta: Setting of `"effective_number"`.
        start: Fraction of the training before which all weights are 1, for deferred re-weighting.
        divide_by: `"weights"` divides the loss of a batch by the sum of its weights, `"examples"`
            by the number of examples. Weights from counts have mean 1 over the training set.
        counts: `"own"` or `"reversed"`.
    """

    kind: str
    beta: float = 0.9999
    start: float = 0.0
    divide_by: str = "weights"
    counts: str = "own"

    def __post_init__(self) -> None:
        checks.one_of("kind", self.kind, ("effective_number", "inverse_frequency", "given"))
        checks.one_of("divide_by", self.divide_by, ("weights", "examples"))
        checks.one_of("counts", self.counts, COUNTS)
        checks.number("start", self.start, 0, 1)

    def of(self, step: Step) -> tf.Tensor:
        """Returns the weight of each example of a batch, `[members, batch]`."""
        if self.kind == "given":
            if "class_weights" not in step.constants:
                raise UsageError(
                    'A weighting of kind "given" reads the trial\'s constant "class_weights". '
                    f"Received: constants {sorted(step.constants)}"
                )
            weights = step.constants["class_weights"][:, None]
        else:
            counts = class_counts(step, self.counts)
            if self.kind == "effective_number":
                weights = losses.effective_number_weights(counts, self.beta, "examples")
            else:
                weights = losses.inverse_frequency_weights(counts, "examples")
        weights = value_of_label(tf.cast(weights, tf.float32), step.labels)
        started = tf.cast(tf.greater_equal(step.progress, self.start), tf.float32)[:, None]
        return 1.0 + started * (weights - 1.0)


def weighted(weighting: Mapping[str, Any] | None, objective: Objective) -> Objective:
    """Returns an objective of per-example losses with class weights; itself for None.

    Raises:
        UsageError: An unknown or wrong setting of `Weighting`.
    """
    if weighting is None:
        return objective
    allowed = [field.name for field in dataclasses.fields(Weighting)]
    for name in weighting:
        if name not in allowed:
            raise UsageError(
                f"Unknown setting {name!r} of `weighting`.{nearest(name, allowed)} "
                f"Allowed: {', '.join(allowed)}"
            )
    if "kind" not in weighting:
        raise UsageError(f"`weighting` needs a `kind`. Received: weighting={weighting!r}")
    chosen = Weighting(**weighting)
    return lambda step: Weighted(objective(step), chosen.of(step), chosen.divide_by)


def ldam(
    max_margin: float = 0.5,
    scale: float = 30.0,
    counts: str = "own",
    weighting: Mapping[str, Any] | None = None,
) -> Objective:
    """See `tfphen.losses.ldam_loss`; the model's head returns cosines.

    Args:
        max_margin: Margin of the rarest class; 0 is cross-entropy of scaled cosines.
        scale: Factor of the cosines.
        counts: `"own"` or `"reversed"`.
        weighting: Settings of a `Weighting`, or None.
    """
    checks.one_of("counts", counts, COUNTS)

    def objective(step: Step) -> tf.Tensor:
        return losses.ldam_loss(
            step.labels, step.outputs, class_counts(step, counts), max_margin, scale
        )

    return weighted(weighting, objective)


def vector_scaling(
    gamma: float = 0.3,
    tau: float = 1.0,
    counts: str = "own",
    weighting: Mapping[str, Any] | None = None,
) -> Objective:
    """See `tfphen.losses.vs_loss`: CDT with `tau` 0, logit adjustment with `gamma` 0.

    Args:
        gamma: Exponent of the multiplicative adjustment.
        tau: Factor of the additive adjustment.
        counts: `"own"` or `"reversed"`.
        weighting: Settings of a `Weighting`, or None.
    """
    checks.one_of("counts", counts, COUNTS)

    def objective(step: Step) -> tf.Tensor:
        return losses.vs_loss(step.labels, step.outputs, class_counts(step, counts), gamma, tau)

    return weighted(weighting, objective)


def poly_tailed(alpha: float = 1.0, weighting: Mapping[str, Any] | None = None) -> Objective:
    """See `tfphen.losses.poly_tailed_loss`, for two classes.

    Args:
        alpha: Exponent of the tail.
        weighting: Settings of a `Weighting`, or None.
    """
    return weighted(
        weighting, lambda step: losses.poly_tailed_loss(step.labels, step.outputs, alpha)
    )


CLASS_OBJECTIVES: dict[str, Callable[..., Objective]] = {
    "ldam": ldam,
    "vector_scaling": vector_scaling,
    "poly_tailed": poly_tailed,
}
