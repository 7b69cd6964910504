"""The grid: arms that differ in what is mixed, from the same weights on the same data order."""

import dataclasses
import enum
from collections.abc import Iterator
from typing import Any

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena._shared.image_training import check_falls, crop_and_flip

ARMS = ("none", "input", "manifold", "independent_labels", "lambda_one", "none_other")
INPUTS = "inputs"
TESTED = ("loss", "error", "flattening")

# Names of the training loss in the registry of objectives.
LOSSES = ("cross_entropy", "softmax_binary_crossentropy")

# Layers whose features are few enough for the spectra of their classes.
LAYERS = ("hidden_1", "hidden_2", "hidden_3", "hidden_4", "features")

# Directions of a class in its spectrum.
DIRECTIONS = 20

# Sizes of attacks in standard deviations of the inputs.
ATTACK_SIZES = (0.05, 0.1)


class Flattening(enum.IntEnum):
    """Positions in the last axis of the measure `flattening`."""

    SHARE_OUTSIDE_FIRST = 0
    PARTICIPATION_RATIO = 1
    LARGEST_SINGULAR_VALUE = 2
    SUM_OF_OTHER_SINGULAR_VALUES = 3


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. The defaults are those of the small size.

    Args:
        data: A data source of `tfphen.core.trial.Data`.
        options: Its settings, without `generator_seed`.
        redraw: Whether each seed draws its own dataset, for generated sources.
        train: Number of training examples, drawn by each seed; None for all.
        model: Name of a model builder.
        model_settings: Its settings.
        loss: Training loss, of `LOSSES`: `"cross_entropy"`, or the binary cross-entropy of softmax
            outputs that the published code has in all arms.
        layers: Mixing layers of the manifold arms: `"inputs"` or names of layers.
        alpha: Their mixing coefficients are Beta(alpha, alpha).
        input_alpha: As `alpha`, of the arm that mixes inputs only.
        parts: Number of equal parts of a batch within which partners are drawn: a multiple of the
            number of replicas, which then does not change the result.
        arms: Of `ARMS`: `"none"` and `"manifold"` at least. `"independent_labels"` mixes the labels
            of other examples than the hidden states, `"lambda_one"` has the mixing coefficient 1,
            `"none_other"` has another initialization and data order.
        optimizer: Name of a Keras optimizer.
        optimizer_settings: Its settings.
        batch_size: Of each update.
        epochs: Length of a training.
        drops: Learning-rate decay milestones, as fractions of the training.
        drop_factors: The rate from each of `drops` on, relative to the optimizer's.
        crop: Pixels of black padding before a random crop; None for no augmentation.
        flip: Whether cropped images are also flipped horizontally at random.
        curve: Updates after which test error and loss are measured, besides the end.
        flattened: Layers, of `LAYERS`, whose spectra are measured; the last is tested.
        flatter_than: Arms whose within-class variance the claim says is less flat than manifold's.
        attacked: Whether accuracy under adversarial attacks is measured.
        tested: Quantities that are tested, of `TESTED`.
        least_nll: Minimum reduction of the test loss, in nats.
        least_error: Minimum reduction of the test error.
        least_flattening: Minimum reduction of the share of energy outside first directions.
        differs: Known deviations of a paper experiment from the published protocol.
    """

    data: str = "mnist1d"
    options: dict = dataclasses.field(default_factory=dict)
    redraw: bool = True
    train: int | None = None
    model: str = "mlp"
    model_settings: dict = dataclasses.field(default_factory=dict)
    loss: str = "cross_entropy"
    layers: tuple[str, ...] = (INPUTS, "hidden_1", "hidden_2")
    alpha: float = 2.0
    input_alpha: float = 1.0
    parts: int = 1
    arms: tuple[str, ...] = ARMS
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 100
    epochs: float = 100.0
    drops: tuple[float, ...] = ()
    drop_factors: tuple[float, ...] = ()
    crop: int | None = None
    flip: bool = True
    curve: tuple[int, ...] = ()
    flattened: tuple[str, ...] = ()
    flatter_than: tuple[str, ...] = ("input",)
    attacked: bool = True
    tested: tuple[str, ...] = ("loss", "error")
    least_nll: float = 0.0
    least_error: float = 0.0
    least_flattening: float = 0.0
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        arms = set(self.arms)
        if not {"none", "manifold"} <= arms <= set(ARMS):
            raise UsageError(
                f"`arms` are of {', '.join(ARMS)}, including none and manifold. "
                f"Received: arms={self.arms}"
            )
        tested = set(self.tested)
        if not tested or not tested <= set(TESTED):
            raise UsageError(
                f"`tested` is of {', '.join(TESTED)}, one at least. Received: tested={self.tested}"
            )
        if "flattening" in tested and not self.flattened:
            raise UsageError(
                "Flattening is tested at the last layer of `flattened`. Received: flattened=()"
            )
        controls = {"none_other"}
        controls |= {"lambda_one"} if tested & {"loss", "error"} else set()
        controls |= {"independent_labels"} if "error" in tested else set()
        if not arms & controls:
            raise UsageError(
                f"`arms` must include a control: {' or '.join(sorted(controls))}. "
                f"Received: arms={self.arms}, tested={self.tested}"
            )
        checks.one_of("loss", self.loss, LOSSES)
        checks.wholes(parts=self.parts)
        for name in ("alpha", "input_alpha"):
            checks.positive(name, getattr(self, name))
        for name in self.flattened:
            checks.one_of("flattened", name, LAYERS)
        for name in self.flatter_than:
            checks.one_of("flatter_than", name, ("none", "input"))
        check_falls(self.drops, self.drop_factors)


def _mixing(config: Config, arm: str) -> Spec:
    if arm in ("none", "none_other"):
        return Spec("none")
    if arm == "input":
        return Spec("manifold", layers=(0,), alpha=config.input_alpha, parts=config.parts)
    alpha = 0.0 if arm == "lambda_one" else config.alpha
    settings: dict[str, Any] = {"alpha": alpha, "parts": config.parts}
    if arm == "independent_labels":
        settings["label_partners"] = "independent"
    layers = tuple(0 if name == INPUTS else name for name in config.layers)
    return Spec("manifold", layers=layers, **settings)


def trials(config: Config) -> Iterator[Trial]:
    """Yields the grid of trials."""
    for seed in config.seed_range():
        for arm in config.arms:
            yield _trial(config, arm, seed)


def _trial(config: Config, arm: str, seed: int) -> Trial:
    names = ["test_error", "test_loss", "train_error", "train_loss"]
    if arm != "lambda_one":  # Its network is that of "none".
        names += ["attacked_accuracy"] if config.attacked else []
        for layer in config.flattened:
            names += [f"flattening_{layer}", f"spectrum_{layer}"]
    schedule = Spec("constant")
    if config.drops:
        schedule = Spec("piecewise", fractions=config.drops, factors=config.drop_factors)
    other = dict.fromkeys(("init", "order", "augmentation"), seed + 1)
    options = {**config.options, "generator_seed": seed} if config.redraw else config.options
    return Trial(
        model=Spec(config.model, **config.model_settings),
        data=Data(config.data, train=config.train, options=options),
        objective=Spec(config.loss),
        optimizer=Spec(config.optimizer, **config.optimizer_settings),
        schedule=schedule,
        batch_size=config.batch_size,
        epochs=config.epochs,
        augmentation=crop_and_flip(config.crop, config.options, flip=config.flip),
        mixing=_mixing(config, arm),
        seed=seed,
        stream_seeds=other if arm == "none_other" else {},
        curve=config.curve,
        measures=tuple(names),
        tags={"arm": arm, "seed": seed},
    )
