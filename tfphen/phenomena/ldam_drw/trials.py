"""The arms of LDAM-DRW: settings, and one training per arm and seed."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec, Trial
from tfphen.phenomena._shared.long_tail import LongTailConfig, long_tail_trial


@dataclasses.dataclass(frozen=True)
class Arm:
    """How an arm differs from plain cross-entropy.

    Args:
        head: `"linear"` or `"cosine"`.
        margins: Whether the loss has class-dependent margins.
        weights: None, `"early"` (class weights from the first update on) or `"deferred"`.
        counts: `"own"`, or `"reversed"` to assign margins and weights as if rare classes were
            frequent and vice versa.
        balanced: Whether all classes are equally frequent.
        other: Whether initialization and data order use another seed than the data.
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
        arms: Names in `ARMS`; at least `"ce"` and `"ldam_drw"`.
        max_margin: Margin of the rarest class, in units of cosines.
        scale: Factor of the cosines in the loss.
        beta: Of the class-balanced weights, see `tfphen.losses.effective_number_weights`.
        deferral: Fraction of the training after which deferred weights take effect.
        least_gain: Minimum gain in balanced test error, the threshold of signatures and controls.
        curve: Updates after which the balanced test error is also measured.
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
                f"`arms` must be among {', '.join(ARMS)}, and include ce and ldam_drw. "
                f"Received: arms={self.arms}"
            )
        if len({"ce_balanced", "ldam_drw_balanced"} & arms) == 1:
            raise UsageError(
                "`arms` must include both ce_balanced and ldam_drw_balanced, which are compared, "
                f"or neither. Received: arms={self.arms}"
            )
        checks.number("deferral", self.deferral, 0, 1, low_open=True, high_open=True)


def trials(config: Config) -> Iterator[Trial]:
    """Yields the trainings of all arms, seed by seed."""
    for seed in config.seed_range():
        for name in config.arms:
            yield _trial(config, name, seed)


def _trial(config: Config, name: str, seed: int) -> Trial:
    arm = ARMS[name]
    weighted, streams = {}, {}
    if arm.weights is not None:
        weighting = {"kind": "effective_number", "beta": config.beta, "divide_by": "weights"}
        start = config.deferral if arm.weights == "deferred" else 0.0
        weighted["weighting"] = weighting | {"start": start, "counts": arm.counts}
    objective = Spec("cross_entropy", **weighted)
    if arm.head == "cosine":
        margin = config.max_margin if arm.margins else 0.0
        settings = {"max_margin": margin, "scale": config.scale, "counts": arm.counts}
        objective = Spec("ldam", **settings, **weighted)
    if arm.other:
        streams |= dict.fromkeys(("init", "order", "augmentation"), seed + 1)
    return long_tail_trial(
        config,
        seed,
        objective,
        balanced=arm.balanced,
        head=arm.head,
        stream_seeds=streams,
        curve=config.curve,
        tags={"arm": name, "seed": seed},
    )
