"""Mixing hidden states and labels calms a network down (Verma et al. 2019, arXiv 1806.05236).

Each step mixes the hidden states of a random layer, or the inputs, of two examples, and their
labels by the same share. Arms that mix nothing, the inputs only, or labels of other examples than
the hidden states train from the same initial weights on the same order of examples.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, loss
from tfphen.phenomena._shared.image_training import check_falls, crop_and_flip
from tfphen.phenomena.manifold_mixup import findings as readings
from tfphen.verdicts.findings import Control, Signature

ARMS = ("none", "input", "manifold", "independent_labels", "lambda_one", "none_other")
INPUTS = "inputs"
TESTED = ("loss", "error", "flattening")

# What the objective is called in the table of published numbers, and here.
LOSSES = ("cross_entropy", "softmax_binary_crossentropy")

# Layers whose features are short enough for the spectra of their classes.
LAYERS = ("hidden_1", "hidden_2", "hidden_3", "hidden_4", "features")


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. The defaults are those of the small size.

    Args:
        data: A data source of `tfphen.core.trial.Data`.
        options: Its settings, without `generator_seed`.
        redraw: Whether each seed has data of its own, as generated sources can.
        train: Number of training examples, None for all; which ones each seed draws.
        model: Name of a model builder.
        model_settings: Its settings.
        loss: What is minimised, of `LOSSES`: `"cross_entropy"`, or the binary cross-entropy of
            softmax outputs that the published code has in all arms.
        layers: Places that the manifold arms draw from, `"inputs"` or names of layers.
        alpha: Their coefficients are Beta(alpha, alpha).
        input_alpha: As `alpha`, of the arm that mixes inputs only.
        parts: Partners are drawn within each of so many equal parts of a batch: a multiple of the
            number of replicas, which then does not change the result.
        arms: Of `ARMS`: `"none"` and `"manifold"` at least. `"independent_labels"` mixes labels of
            other examples than the hidden states, `"lambda_one"` mixes nothing by a share of 1,
            `"none_other"` starts from other weights, in another order.
        optimizer: Name of a Keras optimizer.
        optimizer_settings: Its settings.
        batch_size: Of each update.
        epochs: Length of a training.
        drops: Shares of the training after which the rate falls.
        drop_factors: The rate from each of `drops` on, relative to the optimizer's.
        crop: Pixels of black around an image before a random crop; None for images as they are.
        flip: Whether cropped images are mirrored at random too.
        curve: Updates after which test error and loss are measured as well as at the end.
        flattened: Layers, of `LAYERS`, whose spectra are taken; the last is tested.
        flatter_than: Arms that vary within classes more than the manifold arm, as is claimed.
        attacked: Whether accuracy under attacks is measured.
        tested: What findings are about, of `TESTED`.
        least_nll: Fall of the test loss that counts, in nats.
        least_error: Fall of the test error that counts.
        least_flattening: Fall of the share of energy outside first directions that counts.
        differs: In what a paper experiment departs from the published one, as far as it matters.
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
                f"`arms` are of {', '.join(ARMS)}, none and manifold among them. "
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
        silent = {"none_other"}
        silent |= {"lambda_one"} if tested & {"loss", "error"} else set()
        silent |= {"independent_labels"} if "error" in tested else set()
        if not arms & silent:
            raise UsageError(
                f"`arms` holds a control of what is tested: {' or '.join(sorted(silent))}. "
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


# ---- measures ----------------------------------------------------------------------------------


def _of_classes(name: str, layer: str) -> Measure:
    """What a function of the readings finds of each class at a layer, in the training set."""

    def measure(trained):
        import numpy as np

        function = getattr(readings, name)
        pairs = zip(trained.activations("train", layer), trained.labels("train"), strict=True)
        return np.stack([function(states, labels) for states, labels in pairs])

    return Measure(f"{name}_{layer}", measure)


# ---- phenomenon --------------------------------------------------------------------------------


class ManifoldMixup(Phenomenon):
    """Arms differ in what is mixed; all comparisons are paired by seed."""

    title = "Mixing hidden states and labels"
    claim = (
        "Training on mixtures of hidden states, with labels mixed alike, lowers negative "
        "log-likelihood and error on test data, and leaves each class fewer directions of "
        "variance than mixing inputs does."
    )
    paper = (
        "V. Verma, A. Lamb, C. Beckham, A. Najafi, I. Mitliagkas, D. Lopez-Paz, Y. Bengio, "
        "Manifold Mixup: Better Representations by Interpolating Hidden States, ICML 2019, "
        "arXiv 1806.05236"
    )
    Config = Config
    measures = (
        error("test"),
        loss("test"),
        error("train"),
        loss("train"),
        Measure("attacked_accuracy", readings.attacked_accuracy),
        *(_of_classes("flattening", layer) for layer in LAYERS),
        *(_of_classes("spectrum", layer) for layer in LAYERS),
    )
    curve_measures = (error("test"), loss("test"))

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for arm in config.arms:
                yield _trial(config, arm, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        arms = set(config.arms)
        for name, least in (("loss", config.least_nll), ("error", config.least_error)):
            if name not in config.tested:
                continue
            # Labels of other examples soften the loss too, so that the test loss falls as well.
            controls = ["lambda_one", "none_other"]
            controls += ["independent_labels"] if name == "error" else []
            for arm in ("manifold", *controls):
                if arm in arms:
                    fall = readings.fall(table, f"test_{name}", arm, "none")
                    kind = Signature if arm == "manifold" else Control
                    yield kind(f"{arm}_lowers_{name}", fall, above=least)
            if "independent_labels" in arms:
                fall = readings.fall(table, f"test_{name}", "manifold", "independent_labels")
                yield Signature(f"matching_labels_lower_{name}", fall, above=least)
        for layer in config.flattened[-1:] if "flattening" in config.tested else ():
            pairs = [(Signature, "manifold", other) for other in config.flatter_than]
            for kind, arm, other in (*pairs, (Control, "none_other", "none")):
                if {arm, other} <= arms:
                    fall = readings.flatter(table, layer, arm, other)
                    name = f"{arm}_is_flatter_than_{other}"
                    yield kind(name, fall, above=config.least_flattening)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        arm = number.setting.get("arm")

        def ours(name):
            if number.metric == "test error, %":
                return 100 * readings.values(table, name, "test_error")
            if number.metric == "test NLL":
                return readings.values(table, name, "test_loss")
            if number.metric == "largest singular value, mean over classes" and config.flattened:
                return readings.largest_singular_values(table, config.flattened[-1], name)
            return None

        if arm not in config.arms or ours(arm) is None:
            return None
        return tuple(stats.mean(ours(name), number.metric) for name in (arm, "none"))


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


def _trial(config: Config, arm: str, seed: int) -> Trial:
    names = ["test_error", "test_loss", "train_error", "train_loss"]
    if arm != "lambda_one":  # What it shows is that nothing changes.
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
