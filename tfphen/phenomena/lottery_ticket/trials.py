"""Settings and the grid: a chain of trials for each seed, one a round, from which controls branch.

A mask that removes the smallest *initial* weights is no control: its survivors are larger numbers
than a fresh draw, and train faster for that alone.
"""

import dataclasses
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Result, Spec, Trial

# The same mask on a fresh draw; on the ticket's values in another order, on its signs with permuted
# magnitudes, on its magnitudes with random signs; a mask as large in each layer at random places,
# and that one on a fresh draw.
VALUES = ("permuted", "kept_signs", "redrawn_signs")
CONTROLS = ("reinit", *VALUES, "random_mask", "random_mask_reinit")
# Added to the seed of the initial values of a fresh draw, beyond any sensible number of seeds.
FRESH_DRAW = 1_000_000


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, validation, split: As in `tfphen.core.trial.Data`.
        model, model_settings: Name and settings of a model whose last kernel is the output layer's.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        batch_size, steps: Of every training.
        check_every: Updates between two evaluations of validation loss and test error.
        early_step: The update after which early losses are compared, one of these evaluations.
        rounds: Number of pruning rounds.
        rate, output_rate, convolution_rate: Fraction of its remaining weights that a dense layer,
            the output layer and a convolution lose in a round, see `pruning.layer_rates`.
        scope: `"layer"` prunes layer by layer, `"global"` all layers at `rate`, together.
        rewind_steps: Surviving weights are rewound to their values in the dense network after so
            many updates instead of to their initial ones.
        matching_rounds: Rounds after which the ticket is compared with the dense network.
        control_rounds: Rounds after which it is compared with `controls`.
        controls: Names of `CONTROLS`.
        draws: Fresh draws for each ticket in the control `"reinit"`.
        match, gain, faster: Thresholds of the findings: how far the accuracy of a matching ticket
            may lie below that of the dense network, how far the accuracy of one arm lies above
            that of another, and how far its validation loss at `early_step` lies below.
        differs: Deviations of a paper experiment from the published protocol that could matter.
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
        if self.early_step not in self.evaluation_steps():
            raise UsageError(
                "`early_step` is a multiple of `check_every`, and at most `steps`. Received: "
                f"early_step={self.early_step}, check_every={self.check_every}, steps={self.steps}"
            )

    def evaluation_steps(self) -> tuple[int, ...]:
        """Returns the updates after which the curve measures are taken."""
        return tuple(range(self.check_every, self.steps + 1, self.check_every))


def trials(config: Config) -> Iterator[Trial]:
    """Yields the chain of each seed."""
    for seed in config.seed_range():
        yield from _chain(config, seed)


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
    """Returns one training from random initial values, with a `draw` from fresh ones."""
    split = {"split": config.split, "validation": config.validation}
    return Trial(
        model=Spec(config.model, **config.model_settings),
        data=Data(config.data, config.train, config.test, **split),
        optimizer=Spec(config.optimizer, **config.optimizer_settings),
        batch_size=config.batch_size,
        steps=config.steps,
        seed=seed,
        stream_seeds={"init": seed + draw * FRESH_DRAW} if draw else {},
        curve=config.evaluation_steps(),
        # Weights and masks where the next round needs them. Controls take the measures of the
        # tickets of their round, so that they train in one population.
        measures=None if number < config.rounds else ("test_error", "density", "validation_loss"),
        tags={"arm": arm, "round": number, "draw": draw, "seed": seed},
    )
