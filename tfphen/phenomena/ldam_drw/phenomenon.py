"""Larger margins for rarer classes, re-weighted late (Cao et al. 2019, arXiv 1906.07413).

A class of n examples gets a margin in proportion to n^(-1/4) (LDAM), and only the last part of the
training weighs examples by their class (deferred re-weighting, DRW). LDAM needs logits that are
cosines, so a control trains that head without margins.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, balanced_error, class_counts, class_recall, error
from tfphen.phenomena._shared.long_tail import LongTailConfig, long_tail_trial
from tfphen.phenomena.ldam_drw import findings as readings
from tfphen.verdicts.findings import Control, Signature

# Gain of half of the classes in test recall; rise of the rank correlation of rarity and margin.
TAIL, RISE = 0.01, 0.5

BALANCED_ERROR = balanced_error("test")


class Arm(NamedTuple):
    """What tells an arm from plain cross-entropy.

    Args:
        head: `"linear"` or `"cosine"`.
        margins: Whether the loss has them.
        weights: None, `"early"` or `"deferred"`.
        counts: `"own"`, or `"reversed"` where loss and weights take rare classes for frequent ones.
        balanced: Whether all classes are equally frequent.
        other: Whether weights and order start from another seed than the data.
    """

    head: str = "linear"
    margins: bool = False
    weights: str | None = None
    counts: str = "own"
    balanced: bool = False
    other: bool = False


ARMS = {
    "ce": Arm(),
    "ce_cosine": Arm("cosine"),
    "cb_rw": Arm(weights="early"),
    "ce_drw": Arm(weights="deferred"),
    "ldam": Arm("cosine", margins=True),
    "ldam_drw": Arm("cosine", margins=True, weights="deferred"),
    "ldam_drw_reversed": Arm("cosine", margins=True, weights="deferred", counts="reversed"),
    "ce_other": Arm(other=True),
    "ce_balanced": Arm(balanced=True),
    "ldam_drw_balanced": Arm("cosine", margins=True, weights="deferred", balanced=True),
}


@dataclasses.dataclass(frozen=True)
class Config(LongTailConfig):
    """Settings.

    Args:
        arms: Of `ARMS`: `"ce"` and `"ldam_drw"` at least.
        max_margin: Margin of the rarest class, in units of cosines.
        scale: Factor of the cosines in the loss.
        beta: Of the class-balanced weights, see `tfphen.losses.effective_number_weights`.
        deferral: Share of the training before which deferred weights are all 1.
        least_gain: Gain in balanced test error that counts, a threshold of signatures and controls.
        curve: Updates after which the balanced test error is measured as well as at the end.
    """

    arms: tuple[str, ...] = tuple(ARMS)
    max_margin: float = 0.5
    scale: float = 30.0
    beta: float = 0.9999
    deferral: float = 0.8
    least_gain: float = 0.007
    curve: tuple[int, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        arms = set(self.arms)
        if not {"ce", "ldam_drw"} <= arms <= set(ARMS):
            raise UsageError(
                f"`arms` are of {', '.join(ARMS)}, ce and ldam_drw among them. "
                f"Received: arms={self.arms}"
            )
        if len({"ce_balanced", "ldam_drw_balanced"} & arms) == 1:
            raise UsageError(
                "`arms` holds both ce_balanced and ldam_drw_balanced, which are compared, or "
                f"neither. Received: arms={self.arms}"
            )
        checks.number("deferral", self.deferral, 0, 1, low_open=True, high_open=True)


# ---- measures ----------------------------------------------------------------------------------


def _of_classes(name: str, function) -> Measure:
    """A number of each class that follows from the objective and the class counts."""

    def measure(trained):
        import numpy as np

        pairs = zip(trained.trials, trained.class_counts, strict=True)
        return np.stack([function(trial.objective, counts) for trial, counts in pairs])

    return Measure(name, measure)


def _margins(objective: Spec, counts):
    """The margin that the loss asks of each class, 0 where it asks none."""
    import numpy as np

    from tfphen.losses.margins import ldam_margins

    settings = objective.settings
    if objective.name != "ldam":
        return np.zeros(len(counts))
    return ldam_margins(_seen(counts, settings["counts"]), settings["max_margin"])


def _weights(objective: Spec, counts):
    """The weight of each class at the end of the training."""
    import numpy as np

    from tfphen.losses import effective_number_weights

    settings = objective.settings.get("weighting")
    if settings is None:
        return np.ones(len(counts))
    return effective_number_weights(_seen(counts, settings["counts"]), settings["beta"])


def _seen(counts, which: str):
    """Class counts as a loss takes them."""
    from tfphen.losses.class_counts import reversed_class_counts

    return counts if which == "own" else reversed_class_counts(counts)


def _train_margins(trained):
    """Mean over the training examples of a class of its logit minus the largest other.

    Of cosines, without the scale of the loss. `[members, K]`.
    """
    import numpy as np

    logits, labels = trained.logits("train"), trained.labels("train")
    own = np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    others = logits.copy()
    np.put_along_axis(others, labels[..., None], -np.inf, -1)
    margins = own - others.max(-1)
    means = []
    for margin, label, counts in zip(margins, labels, trained.class_counts, strict=True):
        size = counts.sum()  # Rows beyond are padding.
        means.append(np.bincount(label[:size], margin[:size], len(counts)) / counts)
    return np.stack(means)


# ---- phenomenon --------------------------------------------------------------------------------


class LdamDrw(Phenomenon):
    """Arms differ in head, loss and weights; all comparisons are paired by seed."""

    title = "Margins for rare classes and deferred re-weighting"
    claim = (
        "On imbalanced classes, margins that are larger for rarer classes, with examples weighted "
        "by class only late in the training, lower the error on balanced test data, and the gain "
        "is that of the rare classes."
    )
    paper = (
        "K. Cao, C. Wei, A. Gaidon, N. Arechiga, T. Ma, Learning Imbalanced Datasets with "
        "Label-Distribution-Aware Margin Loss, NeurIPS 2019, arXiv 1906.07413"
    )
    Config = Config
    measures = (
        BALANCED_ERROR,
        error("train"),
        class_counts(),
        class_recall("train"),
        class_recall("test"),
        _of_classes("class_margin", _margins),
        _of_classes("class_weight", _weights),
        Measure("train_class_margin", _train_margins),
    )
    curve_measures = (BALANCED_ERROR,)

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for arm in config.arms:
                yield _trial(config, arm, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        arms = set(config.arms)
        for arm, other in (("ldam_drw", "ce"), ("ldam_drw", "ce_cosine"), ("ldam", "ce")):
            if {arm, other} <= arms:
                found = readings.gain(table, arm, other)
                yield Signature(f"{arm}_beats_{other}", found, above=config.least_gain)
        for kind, half in ((Signature, "rare"), (Control, "frequent")):
            found = readings.recall_gain(table, half, "ldam_drw", "ce")
            yield kind(f"{half}_classes_gain", found, above=TAIL)
        pairs = [("ldam_drw_reversed", "ce"), ("ce_other", "ce")]
        for arm, other in [*pairs, ("ldam_drw_balanced", "ce_balanced")]:
            if {arm, other} <= arms:
                found = readings.gain(table, arm, other)
                yield Control(f"{arm}_beats_{other}", found, above=config.least_gain)
        # Two classes have no order to speak of.
        if "ce_cosine" in arms and len(table.class_counts.iloc[0]) > 3:
            for kind, arm in ((Signature, "ldam"), (Control, "ldam_drw_reversed")):
                if arm in arms:
                    found = readings.margin_order(table, arm, "ce_cosine")
                    yield kind(f"{arm}_margins_rise_with_rarity", found, above=RISE)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        arm, reviews = number.setting.get("arm"), number.setting.get("reviews")
        if arm not in config.arms or number.metric not in ("test error, %", "test accuracy, %"):
            return None

        def percent(name):
            values = readings.errors(table, name)
            if reviews is not None:
                recalls = readings.by_rank(table, name, "test_class_recall")
                values = 1 - recalls[:, ("positive", "negative").index(reviews)]
            values = 1 - values if "accuracy" in number.metric else values
            return stats.mean(100 * values, number.metric)

        return percent(arm), percent("ce")


def _trial(config: Config, arm: str, seed: int) -> Trial:
    kind = ARMS[arm]
    weighted, streams = {}, {}
    if kind.weights is not None:
        weighting = {"kind": "effective_number", "beta": config.beta, "divide_by": "weights"}
        start = config.deferral if kind.weights == "deferred" else 0.0
        weighted["weighting"] = weighting | {"start": start, "counts": kind.counts}
    objective = Spec("cross_entropy", **weighted)
    if kind.head == "cosine":
        margin = config.max_margin if kind.margins else 0.0
        settings = {"max_margin": margin, "scale": config.scale, "counts": kind.counts}
        objective = Spec("ldam", **settings, **weighted)
    if kind.other:
        streams |= dict.fromkeys(("init", "order", "augmentation"), seed + 1)
    return long_tail_trial(
        config,
        seed,
        objective,
        balanced=kind.balanced,
        head=kind.head,
        stream_seeds=streams,
        curve=config.curve,
        tags={"arm": arm, "seed": seed},
    )
