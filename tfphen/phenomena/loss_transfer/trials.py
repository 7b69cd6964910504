"""Networks that differ only in their loss, probed and fine-tuned on other data; pairs of draws."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError, nearest
from tfphen.core.trial import Data, Result, Spec, Trial

# Similarity indices of draws.
INDICES = ("plain", "unbiased", "rbf")
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
# Objectives with their own last layer, and those of their settings that belong to it.
HEADS = {"dropout": ("rate",), "cosine_softmax": ("normalize_features",)}
# Networks whose layers are measured, and the number of these; None for all hidden layers.
DEPTHS = {"mlp": None, "lenet5": 4}
MAX_LAYERS = 4
# Number of classes of the sources for fine-tuning.
CLASSES = 10
# Softmax networks with another initialization and data order: offsets of the seeds of both.
OTHER_SEEDS = {"softmax_again": 300, "softmax_reference": 600}
# Seed of the draw with published similarities.
PUBLISHED_DRAW = 1337


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`.
        options: Settings of the source.
        classes: Those that networks are trained on; a probe learns the others. Empty: all.
        transfer: Source whose test split a probe learns instead, with the same options, or "".
        objectives: Settings by name of the objectives besides softmax cross-entropy, as in
            `tfphen.losses.transfer_objective`.
        gated: Those of them that verdicts depend on.
        model: Builder, `"mlp"` or `"lenet5"`, and its settings.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        batch_size, epochs: Of each training.
        fine_tuning: Epochs on the other classes, from trained bodies and from scratch; 0 leaves
            them out.
        draws: Whether to compare pairs of normal features instead, without training.
        differs: Deviations of a paper experiment from the published one, as far as they matter.
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
                "A probe learns the classes besides `classes`, or else `transfer`, with `classes` "
                f"empty and no `fine_tuning`. Received: classes={list(self.classes)}, "
                f"transfer={self.transfer!r}, fine_tuning={self.fine_tuning}"
            )
        if self.fine_tuning and len(set(self.classes)) != CLASSES // 2:
            raise UsageError(
                "With `fine_tuning` there are as many other classes as `classes`, "
                f"{CLASSES // 2}. Received: classes={list(self.classes)}"
            )
        if self.model.get("name") not in DEPTHS or self.depth > MAX_LAYERS:
            raise UsageError(
                f"`model` has a name of {', '.join(DEPTHS)}, and at most {MAX_LAYERS} hidden "
                f"layers. Received: model={self.model}"
            )

    @property
    def depth(self) -> int:
        """Number of layers that are measured."""
        return DEPTHS[self.model["name"]] or len(self.model.get("hidden_units", [128]))


def trials(config: Config) -> Iterator[Trial]:
    """Yields all trainings, or all pairs of draws, seed by seed."""
    for seed in config.seed_range():
        yield from _draws(seed) if config.draws else _arms(config, seed)


def _draws(seed: int) -> Iterator[Trial]:
    """Pair of one seed, and the published one."""
    for name, generator_seed in (("drawn", seed), ("published", PUBLISHED_DRAW)):
        yield Trial(
            model=Spec("none"),
            data=Data("normal_pairs", options={"generator_seed": generator_seed}),
            solver=Spec("compare"),
            seed=seed,
            measures=[f"{index}_cka" for index in INDICES],
            tags={"arm": name, "stage": "draw", "seed": seed},
        )


def _arms(config: Config, seed: int) -> Iterator[Trial]:
    """Trainings of one seed."""
    evaluated = {}
    if config.transfer:
        evaluated = {"transfer": Spec(config.transfer, **config.options)}
    settings = {"options": config.options, "classes": config.classes or None, "further": evaluated}
    data = Data(config.data, config.train, config.test, config.split, **settings)
    representations = [f"representation_{place}" for place in range(config.depth)]
    probed = ["train_error", "test_error", "probe_first", "probe_penultimate", "separation"]
    kept_weights = ["weights"] if config.fine_tuning else []

    def trial(arm, objective="softmax", stage="trained", rate=None, **changes):
        settings = {"data": data, "epochs": config.epochs, "curve": (0,)} | changes
        optimizer = config.optimizer_settings | ({} if rate is None else {"learning_rate": rate})
        return Trial(
            **_network_and_loss(config, objective),
            optimizer=Spec(config.optimizer, **optimizer),
            batch_size=config.batch_size,
            seed=seed,
            tags={"arm": arm, "stage": stage, "seed": seed},
            **settings,
        )

    # All softmax networks have the same measures, so that they train together.
    softmax = {"measures": [*probed, *representations, *kept_weights, "probe_inputs"]}
    bodies = {"softmax": trial("softmax", **softmax)}
    for name, offset in OTHER_SEEDS.items():
        streams = {"init": seed + offset, "order": seed + offset}
        bodies[name] = trial(name, stream_seeds=streams, **softmax)
    # A rate of 0 keeps the initial weights.
    bodies["untrained"] = trial("untrained", rate=0.0, **softmax)
    for name in config.objectives:
        bodies[name] = trial(name, name, measures=[*probed, *representations, *kept_weights])
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
    """Model and loss of one of the nine objectives, as settings of a trial."""
    settings = dict(config.objectives.get(objective, {}))
    head = {name: settings.pop(name) for name in HEADS.get(objective, ()) if name in settings}
    shape = {name: value for name, value in config.model.items() if name != "name"}
    if objective in HEADS:
        shape |= {"head": objective, "head_settings": head}
    model = Spec("network_for_objective", body=config.model["name"], **shape)
    return {"model": model, "objective": Spec(LOSSES[objective], **settings)}


def _of_other_classes(config: Config, data: Data) -> Data:
    others = tuple(label for label in range(CLASSES) if label not in config.classes)
    return dataclasses.replace(data, classes=others)
