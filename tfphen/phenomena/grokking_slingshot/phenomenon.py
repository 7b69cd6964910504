"""Networks memorise a table long before they generalise; adaptive optimizers cycle late on.

Power et al. 2022 (arXiv 2201.02177): trained on part of an operation's table, a network is right on
the rest long after it is right on what it saw. Thilak et al. 2022 (arXiv 2206.04817): late in
training, Adam goes through cycles. Gromov 2023 (arXiv 2301.02679): a network that groks in seconds.
"""

import dataclasses
import math
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.grokking_slingshot.findings import LAG, slingshots_of, times_of
from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.stats import Estimate, geometric_ratio, mean_if_defined, paired_difference

# What findings are held against.
GENERAL, NEAR_CHANCE, SLOWER, PERIODIC, CYCLIC, NO_CYCLE = 0.95, 0.1, 1.5, 0.3, 1.5, 0.5
# Further trainings on a part of the table, and the statements that each is a control of.
OTHERS = {
    "larger": (),
    "most": ("memorises_first", "generalises_late"),
    "sparse": ("generalises",),
    "random_labels": ("generalises", "becomes_periodic"),
}


@dataclasses.dataclass(frozen=True)
class Part:
    """Settings of both parts.

    Args:
        operation, modulus: As in `tfphen.data.modular_arithmetic`.
        fraction: Share of the table that trains.
        model, optimizer: `name` of a builder, and of a Keras optimizer, with settings.
        batch_size, steps: As in `tfphen.core.trial.Trial`.
        every: Updates between two measurements of the errors.
    """

    operation: str = "addition"
    modulus: int = 59
    fraction: float = 0.5
    model: dict = dataclasses.field(default_factory=lambda: {"name": "square_mlp"})
    optimizer: dict = dataclasses.field(default_factory=lambda: {"name": "adamw"})
    batch_size: int | None = None
    steps: int = 300
    every: int = 2


@dataclasses.dataclass(frozen=True)
class Grokking(Part):
    """Training on part of a table.

    Args:
        others: Shares of the table for further trainings: `larger`, which generalises sooner, and
            the controls `most`, without a delay, `sparse`, too little, and `random_labels`.
        objective, schedule: As in `tfphen.core.trial.Trial`, by `name` and with settings.
    """

    others: dict = dataclasses.field(default_factory=lambda: {"random_labels": 0.5})
    objective: dict = dataclasses.field(default_factory=lambda: {"name": "squared_error"})
    schedule: dict = dataclasses.field(default_factory=lambda: {"name": "constant"})

    def __post_init__(self):
        if self.others.keys() - OTHERS or not any(OTHERS[other] for other in self.others):
            raise UsageError(
                f"`others` are of {', '.join(OTHERS)}, with a control: one of the last three. "
                f"Received: others={self.others}"
            )

    def arms(self) -> dict[str, float]:
        """Returns the share of the table that trains, by arm."""
        return {"main": self.fraction, **self.others}


@dataclasses.dataclass(frozen=True)
class Slingshot(Part):
    """Long training without weight decay, whose loss and last-layer norm are recorded.

    Args:
        large_epsilon: An epsilon of the optimizer without cycles.
        sgd_rate: Learning rate of a control by gradient descent.
        record_every: Updates between two records, a divisor of 10.
    """

    large_epsilon: float = 1e-5
    sgd_rate: float = 0.5
    record_every: int = 1

    def __post_init__(self):
        if self.record_every < 1 or LAG % self.record_every:
            raise UsageError(
                f"`record_every` divides {LAG}. Received: record_every={self.record_every}"
            )
        if not self.optimizer.get("epsilon", math.inf) < self.large_epsilon:
            raise UsageError(
                "`optimizer` has an `epsilon` below `large_epsilon`. "
                f"Received: optimizer={self.optimizer}, large_epsilon={self.large_epsilon}"
            )

    def arms(self) -> dict[str, tuple[Spec, Spec]]:
        """Returns the optimizer and the objective of each arm."""
        adaptive, plain = Spec(**self.optimizer), Spec("cross_entropy")
        return {
            "small_epsilon": (adaptive, plain),
            "large_epsilon": (Spec(**self.optimizer | {"epsilon": self.large_epsilon}), plain),
            "float64_loss": (adaptive, Spec("cross_entropy", dtype="float64")),
            "sgd": (Spec("sgd", learning_rate=self.sgd_rate), plain),
        }


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. A seed draws the split of the table, the initial weights and the order.

    Args:
        grokking, slingshot: The two parts, each None to leave it out.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    grokking: Grokking | None = None
    slingshot: Slingshot | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.grokking is None and self.slingshot is None:
            raise UsageError("There is nothing to train. Received: grokking=None, slingshot=None")


def _new_pair_error(trained):
    """Test error on the pairs (a, b) whose mirror (b, a) was not trained on either, `[members]`."""
    import numpy as np

    inputs, p = trained.inputs("test"), trained.num_classes
    if inputs.shape[-1] == 2 * p:
        a, b = inputs[..., :p].argmax(-1), inputs[..., p:].argmax(-1)
    else:  # Tokens "EOS a op b =".
        a, b = inputs[..., 1].astype(int), inputs[..., 3].astype(int)
    new = np.stack([np.isin(x * p + y, y * p + x) for x, y in zip(a, b, strict=True)])
    wrong = trained.logits("test").argmax(-1) != trained.labels("test")
    return (wrong & new).sum(1) / np.maximum(new.sum(1), 1)


def _periodicity(trained):
    """Inverse participation ratio of the rows of U, mean over hidden units, `[members]`."""
    from tfphen.metrics import inverse_participation_ratio

    kernels = trained.members.value_of("hidden/kernel")[:, : trained.num_classes]
    return inverse_participation_ratio(kernels.swapaxes(1, 2)).mean(1)


class GrokkingSlingshot(Phenomenon):
    """Two parts with trainings of their own."""

    title = "Grokking and the slingshot mechanism"
    claim = (
        "A network that learns part of an operation's table is right on the rest long after it has "
        "memorised that part, and later the smaller the part. Late in training, Adam with a small "
        "epsilon goes through cycles: the last layer's norm grows, the loss spikes, the norm rests."
    )
    paper = (
        "V. Thilak, E. Littwin, S. Zhai, O. Saremi, R. Paiss, J. Susskind, The Slingshot "
        "Mechanism: An Empirical Study of Adaptive Optimizers and the Grokking Phenomenon, 2022, "
        "arXiv 2206.04817; A. Power et al., Grokking, 2022, arXiv 2201.02177"
    )
    Config = Config
    measures = (error("test"), error("train"), Measure("new_pair_error", _new_pair_error))
    curve_measures = (*measures[:2], Measure("periodicity", _periodicity))

    step_hook = f"{__package__}.measures:LAST_LAYER_NORM"

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for part in filter(None, (config.grokking, config.slingshot)):
                for arm in part.arms():
                    yield _trial(part, arm, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if config.grokking is not None:
            yield from _grokking_findings(table, config.grokking)
        if config.slingshot is not None:
            yield from _slingshot_findings(table, config.slingshot)

    def reproductions(self, table, config: Config, number):
        rows = rows_of(table, arm=number.setting.get("arm", "main"))
        split, _, step = number.metric.partition(" accuracy, % after step ")
        if step and len(rows):
            place = list(rows.curve_step.iloc[0]).index(int(step))
            values = [100 - 100 * curve[place] for curve in rows[f"curve_{split}_error"]]
        elif number.metric == "final test accuracy, %" and len(rows):
            values = 100 - 100 * rows.test_error
        elif number.metric == "steps to 99% training accuracy" and len(rows):
            values = times_of(rows).memorised
        else:
            return None
        return mean_if_defined(values, number.metric), None


def _trial(part: Part, arm: str, seed: int) -> Trial:
    model, own = part.model, {}
    measures = ["test_error", "train_error", "new_pair_error"]
    if isinstance(part, Grokking):
        fraction, own["optimizer"] = part.arms()[arm], Spec(**part.optimizer)
        own |= {"objective": Spec(**part.objective), "schedule": Spec(**part.schedule)}
    else:
        fraction, own["record_every"] = part.fraction, part.record_every
        own["optimizer"], own["objective"] = part.arms()[arm]
    form = "one_hot_pair"
    if model["name"] == "transformer":
        # Tokens are the numbers, the operation, the equals sign and EOS.
        form, model = "tokens", {"vocabulary_size": part.modulus + 3, **model}
    elif model["name"] == "square_mlp":
        measures.append("periodicity")
    table = {"operation": part.operation, "modulus": part.modulus, "train_fraction": fraction}
    table |= {"form": form, "generator_seed": seed}
    noise = (Spec("random_labels"),) if arm == "random_labels" else ()
    return Trial(
        model=Spec(**model),
        data=Data("modular_arithmetic", corruptions=noise, options=table),
        batch_size=part.batch_size,
        steps=part.steps,
        seed=seed,
        curve=tuple(range(0, part.steps, part.every)),
        measures=tuple(measures),
        tags={"arm": arm, "fraction": fraction, "seed": seed},
        **own,
    )


def _grokking_findings(table, part: Grokking) -> Iterator[Signature]:
    said = {arm: _statements(rows_of(table, arm=arm)) for arm in part.arms()}
    for name, (estimate, threshold) in said["main"].items():
        yield Signature(name, estimate, **threshold)
        for arm, controlled in OTHERS.items():
            if arm in part.others and name in controlled:
                yield Control(f"{arm}_{name}", said[arm][name][0], **threshold)
    if "larger" in part.others:
        main, larger = (times_of(rows_of(table, arm=arm)) for arm in ("main", "larger"))
        name = f"{part.fraction:g} over {part.others['larger']:g} of the table, geom. mean"
        later = geometric_ratio(
            main.generalised, larger.generalised, f"steps to generalise, {name}"
        )
        yield Signature("fewer_pairs_generalise_later", later, above=SLOWER)
        later = geometric_ratio(main.memorised, larger.memorised, f"steps to memorise, {name}")
        yield Control("fewer_pairs_are_memorised_later", later, above=SLOWER)


def _statements(rows) -> dict[str, tuple[Estimate, dict]]:
    """Returns, by statement about one arm, its estimate and what that is held against."""
    times, new_pairs = times_of(rows), 1 - rows.new_pair_error
    accuracy = mean_if_defined(new_pairs, "final test accuracy on pairs whose mirror is new too")
    name = "test accuracy when 99% of the training pairs are learned"
    early = mean_if_defined(times.test_accuracy, name)
    name = "steps to 99%, test over training pairs, geom. mean"
    delay = geometric_ratio(times.generalised, times.memorised, name)
    found = {
        "generalises": (accuracy, {"above": GENERAL}),
        "memorises_first": (early, {"below": NEAR_CHANCE}),
        "generalises_late": (delay, {"above": SLOWER}),
    }
    if "curve_periodicity" in rows:
        rises = [curve[-1] - curve[0] for curve in rows.curve_periodicity]
        rise = mean_if_defined(rises, "rise of the inverse participation ratio of U")
        found["becomes_periodic"] = (rise, {"above": PERIODIC})
    return found


def _slingshot_findings(table, part: Slingshot) -> Iterator[Signature]:
    found = {arm: slingshots_of(rows_of(table, arm=arm), part.record_every) for arm in part.arms()}
    cycles = {arm: [each.cycles for each in trainings] for arm, trainings in found.items()}
    means = {arm: mean_if_defined(n, f"slingshots a run, {arm}") for arm, n in cycles.items()}
    yield Signature("small_epsilon_cycles", means["small_epsilon"], above=CYCLIC)
    for arm in ("large_epsilon", "float64_loss"):
        name = f"slingshots a run, small_epsilon minus {arm}"
        fewer = paired_difference(cycles["small_epsilon"], cycles[arm], name)
        yield Signature(f"{arm}_has_fewer_cycles", fewer, above=CYCLIC)
    for arm in ("large_epsilon", "float64_loss", "sgd"):
        yield Control(f"{arm}_cycles", means[arm], above=NO_CYCLE)
