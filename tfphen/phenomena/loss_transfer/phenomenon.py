"""Losses that separate classes more give features that transfer less (Kornblith et al. 2021).

S. Kornblith, T. Chen, H. Lee, M. Norouzi, *Why Do Better Loss Functions Lead to Less Transferable
Features?*, NeurIPS 2021, arXiv 2010.16402. Networks that differ in their loss alone are trained on
some classes; a linear probe of their frozen layers is trained on others.
"""

import dataclasses
import importlib
from collections.abc import Iterator, Mapping

from tfphen.core import config as configs
from tfphen.core.errors import UsageError, nearest
from tfphen.core.trial import Data, Result, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, report, weights
from tfphen.phenomena.loss_transfer import findings as readings
from tfphen.verdicts.findings import Signature

# The loss of each of the nine objectives, by the names of `tfphen.losses.transfer_objective`.
LOSSES = {
    "softmax": "cross_entropy",
    "label_smoothing": "label_smoothing",
    "dropout": "cross_entropy",
    "final_layer_l2": "final_layer_penalty",
    "logit_penalty": "logit_penalty",
    "logit_normalization": "logit_normalization",
    "cosine_softmax": "cosine_softmax",
    "sigmoid": "sigmoid_crossentropy",
    "squared_error": "transfer_squared_error",
}
# Those that have a last layer of their own, and the settings of theirs that belong to it.
HEADS = {"dropout": ("rate",), "cosine_softmax": ("normalize_features",)}
# Networks whose layers are known by name, and how many of them are looked at.
DEPTHS = {"mlp": None, "lenet5": 4}
MOST_LAYERS = 4
# Of all sources that are fine-tuned on.
CLASSES = 10
# Softmax networks that start elsewhere and see examples in another order: by how much the seeds of
# the two streams differ.
OTHER_SEEDS = {"softmax_again": 300, "softmax_reference": 600}
# Seed of the draw whose similarity was published.
PUBLISHED_DRAW = 1337


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`.
        options: Of the source.
        classes: What networks are trained on; a probe learns the others. Empty: all of them.
        transfer: Source whose test split a probe learns instead, with the same options, or "".
        objectives: Settings by name, of the objectives beside softmax cross-entropy, as in
            `tfphen.losses.transfer_objective`.
        gated: Those of them on which verdicts rest.
        model: Builder, `"mlp"` or `"lenet5"`, and its settings.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        batch_size, epochs: Of each training.
        fine_tuning: Epochs on the other classes for networks that start from a trained body, and
            for one that does not; 0 leaves them out.
        draws: Compare pairs of normal features instead, and train nothing.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    data: str = "digits"
    train: int | None = None
    test: int | None = None
    split: str = "seeded"
    options: dict = dataclasses.field(default_factory=dict)
    classes: tuple[int, ...] = (0, 1, 2, 3, 4)
    transfer: str = ""
    objectives: dict = dataclasses.field(default_factory=dict)
    gated: tuple[str, ...] = ()
    model: dict = dataclasses.field(
        default_factory=lambda: {"name": "mlp", "hidden_units": [128, 128, 64]}
    )
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 64
    epochs: float = 60.0
    fine_tuning: float = 0.0
    draws: bool = False
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        allowed = [name for name in LOSSES if name != "softmax"]
        for name in self.objectives:
            if name not in allowed:
                raise UsageError(
                    f"`objectives` are of {', '.join(allowed)}.{nearest(name, allowed)} "
                    f"Received: {name}"
                )
        if self.draws:
            return
        if len(self.gated) < 2 or not set(self.gated) <= set(self.objectives):
            raise UsageError(
                "`gated` are two or more of `objectives`. "
                f"Received: gated={list(self.gated)}, objectives={list(self.objectives)}"
            )
        if bool(self.classes) == bool(self.transfer) or (self.fine_tuning and self.transfer):
            raise UsageError(
                "A probe learns the classes beside `classes`, or else `transfer`, with `classes` "
                f"empty and no `fine_tuning`. Received: classes={list(self.classes)}, "
                f"transfer={self.transfer!r}, fine_tuning={self.fine_tuning}"
            )
        if self.fine_tuning and len(set(self.classes)) != CLASSES // 2:
            raise UsageError(
                "With `fine_tuning` there are as many other classes as `classes`, "
                f"{CLASSES // 2}. Received: classes={list(self.classes)}"
            )
        if self.model.get("name") not in DEPTHS or self.depth > MOST_LAYERS:
            raise UsageError(
                f"`model` has a name of {', '.join(DEPTHS)}, and at most {MOST_LAYERS} hidden "
                f"layers. Received: model={self.model}"
            )

    @property
    def depth(self) -> int:
        """Number of layers that are looked at."""
        return DEPTHS[self.model["name"]] or len(self.model.get("hidden_units", [128]))


def _late(name: str, *arguments):
    """A function of `measures`, which is heavy to import."""

    def function(*given, **settings):
        module = importlib.import_module("tfphen.phenomena.loss_transfer.measures")
        return getattr(module, name)(*given, *arguments, **settings)

    return function


def _normal_pairs(*, generator_seed: int = PUBLISHED_DRAW):
    return _late("normal_pairs")(generator_seed=generator_seed)


class LossTransfer(Phenomenon):
    """All comparisons are paired by seed: the same start, examples, order and probe."""

    title = "Class separation and linear transfer across losses"
    claim = (
        "Objectives other than softmax cross-entropy classify as well and separate classes more, "
        "and a linear readout of their penultimate features does worse on other classes. The "
        "difference sits in the last layers, and nearly vanishes once networks are fine-tuned."
    )
    paper = (
        "S. Kornblith, T. Chen, H. Lee, M. Norouzi, Why Do Better Loss Functions Lead to Less "
        "Transferable Features?, NeurIPS 2021, arXiv 2010.16402"
    )
    Config = Config
    measures = (
        error("train"),
        error("test"),
        Measure("probe_inputs", _late("probe", None)),
        Measure("probe_first", _late("probe", 0)),
        Measure("probe_penultimate", _late("probe", -1)),
        *(
            Measure(f"representation_{place}", _late("representation", place))
            for place in range(MOST_LAYERS)
        ),
        weights(),
        *(report(f"{index}_cka") for index in readings.INDICES),
    )
    curve_measures = (Measure("separation", _late("separation")),)
    models: Mapping = {"network_for_objective": _late("network")}
    sources: Mapping = {"normal_pairs": _normal_pairs}
    starts: Mapping = {"trained_body": _late("trained_body")}
    solvers: Mapping = {"compare": _late("compare")}

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from _draws(seed) if config.draws else _arms(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        yield from readings.of_draws(table) if config.draws else readings.of_losses(table, config)

    def reproductions(self, table, config: Config, number):
        index = number.setting.get("index")
        if not config.draws or index not in readings.INDICES:
            return None
        return readings.similarity_of_draws(table, index, "published"), None


def _draws(seed: int) -> Iterator[Trial]:
    """Yields a pair of one seed, and the one that was published."""
    for name, generator_seed in (("drawn", seed), ("published", PUBLISHED_DRAW)):
        yield Trial(
            model=Spec("none"),
            data=Data("normal_pairs", options={"generator_seed": generator_seed}),
            optimizer=Spec("compare"),
            seed=seed,
            measures=[f"{index}_cka" for index in readings.INDICES],
            tags={"arm": name, "stage": "draw", "seed": seed},
        )


def _arms(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the trainings of one seed."""
    further = {}
    if config.transfer:
        further = {"transfer": Spec(config.transfer, **config.options)}
    kept = {"options": config.options, "classes": config.classes or None, "further": further}
    data = Data(config.data, config.train, config.test, config.split, **kept)
    seen = [f"representation_{place}" for place in range(config.depth)]
    probed = ["train_error", "test_error", "probe_first", "probe_penultimate", "separation"]
    kept_weights = ["weights"] if config.fine_tuning else []

    def trial(arm, objective="softmax", stage="trained", rate=None, **further):
        settings = {"data": data, "epochs": config.epochs, "curve": (0,)} | further
        optimizer = config.optimizer_settings | ({} if rate is None else {"learning_rate": rate})
        return Trial(
            **_network_and_loss(config, objective),
            optimizer=Spec(config.optimizer, **optimizer),
            batch_size=config.batch_size,
            seed=seed,
            tags={"arm": arm, "stage": stage, "seed": seed},
            **settings,
        )

    # All softmax networks take the same, and so train together.
    more = {"measures": [*probed, *seen, *kept_weights, "probe_inputs"]}
    bodies = {"softmax": trial("softmax", **more)}
    for name, apart in OTHER_SEEDS.items():
        other = {"init": seed + apart, "order": seed + apart}
        bodies[name] = trial(name, stream_seeds=other, **more)
    # A rate of 0 keeps the initial weights.
    bodies["untrained"] = trial("untrained", rate=0.0, **more)
    for name in config.objectives:
        bodies[name] = trial(name, name, measures=[*probed, *seen, *kept_weights])
    yield from bodies.values()
    for name in ("untrained", "softmax", *config.objectives) if config.fine_tuning else ():
        yield trial(
            name,
            stage="fine_tuned",
            data=_of_other_classes(config, data),
            epochs=config.fine_tuning,
            curve=(),
            start=Spec("trained_body"),
            inputs={"weights": Result(bodies[name], "weights")},
            measures=["test_error"],
        )


def _network_and_loss(config: Config, objective: str) -> dict:
    """Returns the model and the loss of one of the nine objectives, as settings of a trial."""
    given = dict(config.objectives.get(objective, {}))
    head = {name: given.pop(name) for name in HEADS.get(objective, ()) if name in given}
    shape = {name: value for name, value in config.model.items() if name != "name"}
    if objective in HEADS:
        shape |= {"head": objective, "head_settings": head}
    model = Spec("network_for_objective", body=config.model["name"], **shape)
    return {"model": model, "objective": Spec(LOSSES[objective], **given)}


def _of_other_classes(config: Config, data: Data) -> Data:
    others = tuple(label for label in range(CLASSES) if label not in config.classes)
    return dataclasses.replace(data, classes=others)
