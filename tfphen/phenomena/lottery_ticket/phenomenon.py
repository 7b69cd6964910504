"""Sparse subnetworks train from their original initial values (Frankle & Carbin 2019).

Iterative magnitude pruning: train from theta_0, remove the smallest weights of each layer, set
the others back to theta_0, train again, and so on. What is left after a round is a ticket. Its
controls train what is as large with one thing changed: the mask, the values, their order or signs.

A mask that removes the smallest *initial* weights is none of them: its survivors are larger numbers
than a fresh draw, and train faster for that alone.
"""

import dataclasses
from collections.abc import Iterator, Mapping

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Result, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss, masks, weights
from tfphen.verdicts.findings import Control, Signature

# The same mask on a fresh draw; on the ticket's values in another order, on its signs with permuted
# magnitudes, on its magnitudes with random signs; a mask as large in each layer at random places,
# and that one on a fresh draw.
VALUES = ("permuted", "kept_signs", "redrawn_signs")
CONTROLS = ("reinit", *VALUES, "random_mask", "random_mask_reinit")
# Added to a seed, it gives one that no run of a sensible number of seeds uses.
_FAR = 1_000_000

# Metrics of the published numbers, of an arm a and another b: what is compared, how, and its value
# where the two do not differ.
METRICS = {
    "test accuracy at early stopping, pp above": ("accuracy", lambda a, b: 100 * (a - b), 0.0),
    "final test accuracy, pp above": ("final_accuracy", lambda a, b: 100 * (a - b), 0.0),
    "early-stopping iteration, % earlier": ("stopped_step", lambda a, b: 100 * (1 - a / b), 0.0),
    "early-stopping iteration, times earlier": ("stopped_step", lambda a, b: b / a, 1.0),
}


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, validation, split: As in `tfphen.core.trial.Data`.
        model, model_settings: Name and settings of a model whose last kernel is the output layer's.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        batch_size, steps: Of every training.
        check_every: Updates between two looks at validation loss and test error.
        early_step: The update after which early losses are compared, one of these looks.
        rounds: How often weights are pruned.
        rate, output_rate, convolution_rate: Share of its remaining weights that a dense layer, the
            output layer and a convolution lose in a round, see `pruning.layer_rates`.
        scope: `"layer"` prunes layer by layer, `"global"` all layers at `rate`, together.
        rewind_steps: Survivors go back to where the dense network was after so many updates
            instead of to where it began.
        matching_rounds: After which of the rounds the ticket is held against the dense network.
        control_rounds: After which of the rounds it is held against `controls`.
        controls: Names of `CONTROLS`.
        draws: Fresh draws for each ticket in the control `"reinit"`.
        match, gain, faster: Thresholds: accuracy that a matching ticket may lack, accuracy that
            one arm has more than another, validation loss at `early_step` that it has less.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    data: str = "digits"
    train: int | None = None
    test: int | None = None
    validation: int = 300
    split: str = "seeded"
    model: str = "lenet_300_100"
    model_settings: dict = dataclasses.field(default_factory=dict)
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=lambda: {"learning_rate": 1.2e-3})
    batch_size: int = 60
    steps: int = 600
    check_every: int = 20
    early_step: int = 100
    rounds: int = 6
    rate: float = 0.4
    output_rate: float | None = None
    convolution_rate: float | None = None
    scope: str = "layer"
    rewind_steps: int = 0
    matching_rounds: tuple[int, ...] = (2, 3)
    control_rounds: tuple[int, ...] = (5, 6)
    controls: tuple[str, ...] = CONTROLS
    draws: int = 1
    match: float = 0.01
    gain: float = 0.005
    faster: float = 0.3
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        checks.wholes(check_every=self.check_every, rounds=self.rounds, draws=self.draws)
        checks.whole("rewind_steps", self.rewind_steps, 0)
        checks.number("rate", self.rate, 0, 1, high_open=True)
        checks.one_of("scope", self.scope, ("layer", "global"))
        if self.scope == "global" and (self.output_rate, self.convolution_rate) != (None, None):
            raise UsageError(
                "Where layers are pruned together they have one rate. Received: scope='global', "
                f"output_rate={self.output_rate}, convolution_rate={self.convolution_rate}"
            )
        if unknown := sorted(set(self.controls) - set(CONTROLS)):
            raise UsageError(f"`controls` is of {', '.join(CONTROLS)}. Received: {unknown}")
        numbers = {*self.matching_rounds, *self.control_rounds}
        if not self.matching_rounds or not numbers <= set(range(1, self.rounds + 1)):
            raise UsageError(
                f"`matching_rounds`, of which there is one, and `control_rounds` are from 1 to "
                f"{self.rounds}. Received: {self.matching_rounds} and {self.control_rounds}"
            )
        if self.early_step not in self.looks():
            raise UsageError(
                "`early_step` is a multiple of `check_every`, and at most `steps`. Received: "
                f"early_step={self.early_step}, check_every={self.check_every}, steps={self.steps}"
            )

    def looks(self) -> tuple[int, ...]:
        """Returns the updates after which the curve measures are taken."""
        return tuple(range(self.check_every, self.steps + 1, self.check_every))


def _ticket(drawn, inputs, generator, **settings):
    from tfphen.phenomena.lottery_ticket.pruning import ticket

    return ticket(drawn, inputs, generator, **settings)


def _density(trained):
    from tfphen.phenomena.lottery_ticket.pruning import densities

    return densities(trained.members.masks, trained.members.model.weights, trained.members.size)


class LotteryTicket(Phenomenon):
    """A chain of trials for each seed, one a round; controls branch off where they are wanted."""

    title = "Lottery tickets"
    claim = (
        "A dense network contains a sparse subnetwork that reaches its accuracy when it is trained "
        "alone from its original initial values, in as many steps or fewer. With the same mask and "
        "other initial values, or with a random mask, it learns more slowly and ends lower."
    )
    paper = (
        "J. Frankle, M. Carbin, The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural "
        "Networks, ICLR 2019, arXiv 1803.03635"
    )
    Config = Config
    measures = (error("test"), Measure("density", _density), weights(), masks())
    curve_measures = (loss("validation"), error("test"))
    starts: Mapping = {"ticket": _ticket}

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from _chain(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        runs, rounds = read_curves(table, config), config.control_rounds
        limits = {
            "matches": ("accuracy", {"above": -config.match}),
            "learns_faster_than": ("early_loss", {"below": -config.faster}),
            "ends_above": ("accuracy", {"above": config.gain}),
        }

        def finding(kind, arm, verb, other, numbers=rounds, after=""):
            column, limit = limits[verb]
            return kind(
                f"{arm}_{verb}_{other}{after}", _gap(runs, column, arm, other, numbers), **limit
            )

        for number in config.matching_rounds:
            after = f"_after_{number}_rounds"
            yield finding(Signature, "ticket", "matches", "dense", (number,), after)
        for kind, arm, verb, other in (
            (Signature, "ticket", "learns_faster_than", "reinit"),
            (Signature, "ticket", "learns_faster_than", "permuted"),
            # Signs against magnitudes: each in place while the other is not.
            (Signature, "kept_signs", "learns_faster_than", "permuted"),
            (Control, "redrawn_signs", "learns_faster_than", "permuted"),
            (Control, "random_mask", "learns_faster_than", "random_mask_reinit"),
            (Signature, "ticket", "ends_above", "reinit"),
            (Signature, "ticket", "ends_above", "permuted"),
            (Signature, "ticket", "ends_above", "random_mask"),
        ):
            if rounds and {arm, other} <= {"ticket", *config.controls}:
                yield finding(kind, arm, verb, other)
        for verb in ("learns_faster_than", "ends_above"):
            yield finding(Control, "dense", verb, "dense_reinit", (0,))
        if rounds and "random_mask" in config.controls:
            yield finding(Control, "random_mask", "matches", "dense", (max(rounds),))

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        column, compare, neutral = METRICS[number.metric]
        runs = read_curves(table, config)
        a, b = (
            _by_seed(runs, column, number.setting[name], number.setting["round"])
            for name in ("arm", "against")
        )
        if not len(a) or not len(b):
            return None
        ours = compare(a, b).to_numpy()
        return stats.mean(ours, number.metric), stats.mean(0 * ours + neutral, "no difference")


def _chain(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the dense network of one seed, its tickets and their controls."""
    names = ("rate", "output_rate", "convolution_rate", "scope")
    settings = {name: getattr(config, name) for name in names}
    previous = _trial(config, seed, "dense", 0)
    yield previous
    yield _trial(config, seed, "dense_reinit", 0, draw=1)
    rewound = {}
    if config.rewind_steps:
        short = {"steps": config.rewind_steps, "curve": (), "measures": ("weights",)}
        rewound = {"rewound": Result(dataclasses.replace(previous, **short), "weights")}
    for number in range(1, config.rounds + 1):
        inputs = {name: Result(previous, name) for name in ("weights", "masks")} | rewound
        for arm in ("ticket", *(config.controls if number in config.control_rounds else ())):
            fresh = arm.endswith("reinit")
            start = Spec(
                "ticket",
                mask="random" if arm.startswith("random_mask") else "magnitude",
                values=arm if arm in VALUES else "original",
                rewound=bool(rewound) and not fresh,
                **settings,
            )
            for draw in range(config.draws if arm == "reinit" else 1):
                trial = _trial(config, seed, arm, number, draw + 1 if fresh else 0)
                trial = dataclasses.replace(trial, inputs=inputs, start=start)
                yield trial
                previous = trial if arm == "ticket" else previous


def _trial(config: Config, seed: int, arm: str, number: int, draw: int = 0) -> Trial:
    """Returns one training from where it is drawn: with a `draw`, from fresh initial values."""
    split = {"split": config.split, "validation": config.validation}
    return Trial(
        model=Spec(config.model, **config.model_settings),
        data=Data(config.data, config.train, config.test, **split),
        optimizer=Spec(config.optimizer, **config.optimizer_settings),
        batch_size=config.batch_size,
        steps=config.steps,
        seed=seed,
        stream_seeds={"init": seed + draw * _FAR} if draw else {},
        curve=config.looks(),
        # Weights and masks where a next round needs them. Controls take what the tickets of their
        # round take, so that they train in one population.
        measures=None if number < config.rounds else ("test_error", "density", "validation_loss"),
        tags={"arm": arm, "round": number, "draw": draw, "seed": seed},
    )


def read_curves(table, config: Config):
    """Returns the records with what their curves say: where validation loss is lowest, accuracy
    there and at the end, and the loss at the early step."""
    runs = table.copy()
    curves = list(zip(table.curve_step, table.curve_validation_loss, strict=True))
    lowest = [losses.argmin() for _, losses in curves]
    runs["stopped_step"] = [float(curves[i][0][at]) for i, at in enumerate(lowest)]
    runs["accuracy"] = [1 - e[at] for e, at in zip(table.curve_test_error, lowest, strict=True)]
    runs["early_loss"] = [losses[steps == config.early_step].item() for steps, losses in curves]
    runs["final_accuracy"] = 1 - table.test_error
    return runs


def _by_seed(runs, column: str, arm: str, number: int):
    """Returns a column of an arm after a round, by seed, as the mean over its draws."""
    rows = runs[(runs.arm == arm) & (runs["round"] == (0 if "dense" in arm else number))]
    return rows.groupby("seed")[column].mean()


def _gap(runs, column: str, arm: str, other: str, numbers: tuple[int, ...]):
    """Returns the difference of two arms, averaged over rounds before the seeds are compared."""
    from tfphen.verdicts import stats

    gaps = [_by_seed(runs, column, arm, n) - _by_seed(runs, column, other, n) for n in numbers]
    shares = [f"{100 * _by_seed(runs, 'density', arm, n).mean():.3g}%" for n in numbers]
    what = {"accuracy": "test accuracy at early stopping", "early_loss": "early validation loss"}
    name = f"{what[column]}, {arm} minus {other}, {' and '.join(shares)} of weights left"
    return stats.mean(sum(gaps).to_numpy() / len(gaps), name.replace("_", " "))
