"""Settings and the grid: real data, noise inputs, random labels, label noise, and arithmetic."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

MAX_RUNS = 100_000  # Keeps the seeds of different splits apart.
AGAIN = 1_000_000  # Added to the seed of what a control samples a second time.

# In the terms of the paper, randX has Gaussian noise for inputs, and randY uniform random labels.
DATA = {"real": (), "randX": (Spec("gaussian_inputs"),), "randY": (Spec("random_labels"),)}
VARIANTS = ("again", "decay", "dropout")  # Of real data and of randY, in long trainings.
SHORT = {
    "model": Spec("mlp", hidden_units=(64, 64)),
    "optimizer": Spec("adam", learning_rate=1e-3),
    "batch_size": 16,
    "epochs": 1,
    "measures": ("train_wrong",),
}
REPLAYED = {
    "model": Spec("mlp", hidden_units=(16, 16), activation="tanh"),
    "optimizer": Spec("sgd", learning_rate=0.2),
    "batch_size": None,
    "measures": ("train_error", "loss_sensitivity"),
}


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. A seed draws the split, all noise, and the initial weights.

    Args:
        data, train, validation, split: As in `tfphen.core.trial.Data`; inputs in [0, 1].
        runs: One-epoch runs for each seed and kind of data; 0 leaves them out.
        epochs: Length of the trainings that fit every label; 0 leaves them out.
        hidden_units, learning_rate, batch_size: Of their MLP and of Adam.
        curve_epochs: Epochs after which they are evaluated, besides the last.
        label_noise: Fraction of labels resampled over all classes, in one arm.
        dropout, weight_decay: The regularizers, each in its own arms.
        replayed_steps: Full-batch updates that are differentiated; 0 leaves them out.
        replayed_train: Number of examples in them.
        decays: Weight decays for sums modulo `modulus`, the first of them 0. Empty leaves
            arithmetic out.
        best_decay: The one that is compared with no weight decay.
        decay_steps: Updates under each of them.
        decay_curve: Updates after which these are evaluated, besides the last.
        modulus, units, redrawn: The modulus, units of the network, and the fraction of training
            sums whose result is resampled over all results.
    """

    data: str = "digits"
    train: int = 1137
    validation: int = 300
    split: str = "seeded"
    runs: int = 0
    epochs: int = 0
    hidden_units: tuple[int, ...] = (256, 256)
    learning_rate: float = 1e-3
    batch_size: int = 60
    curve_epochs: tuple[int, ...] = ()
    label_noise: float = 0.4
    dropout: float = 0.5
    weight_decay: float = 1.0
    replayed_steps: int = 0
    replayed_train: int = 300
    decays: tuple[float, ...] = ()
    best_decay: float = 15.0
    decay_steps: tuple[int, ...] = ()
    decay_curve: tuple[int, ...] = ()
    modulus: int = 97
    units: int = 500
    redrawn: float = 0.35

    def __post_init__(self):
        super().__post_init__()
        if self.runs == 1 or not 0 <= self.runs < MAX_RUNS:
            raise UsageError(f"`runs` is 0, or 2 to {MAX_RUNS - 1}. Received: runs={self.runs}")
        if self.epochs and (self.seeds < 2 or len(self.curve_epochs) < 2):
            raise UsageError(
                "A peak needs 2 seeds or more, and 2 `curve_epochs` or more. Received: "
                f"seeds={self.seeds}, curve_epochs={list(self.curve_epochs)}"
            )
        lengths = {len(self.decays), len(self.decay_steps)}
        good = 0 in self.decays[:1] and self.best_decay in self.decays[1:] and self.decay_curve
        if lengths != {0} and not (good and len(lengths) == 1):
            raise UsageError(
                "`decays` are 0 and others, with `best_decay` among them, each has its "
                "`decay_steps`, and there is a `decay_curve`. Received: "
                f"decays={list(self.decays)}, best_decay={self.best_decay}, "
                f"decay_steps={list(self.decay_steps)}, decay_curve={list(self.decay_curve)}"
            )


def trials(config: Config) -> Iterator[Trial]:
    """Yields, for each seed, the trainings of all parts that the settings have."""
    for seed in config.seed_range():
        yield from _short(config, seed)
        if config.epochs:
            yield from _long(config, seed)
        if config.replayed_steps:
            yield from _replayed(config, seed)
        yield from _arithmetic(config, seed)


def _trial(config: Config, study: str, arm: str, seed: int, **settings) -> Trial:
    """Returns a training of one arm. Arms whose name ends with "again" resample their noise."""
    kind, _, variant = arm.partition("_")
    noisy = (Spec("label_noise", rate=config.label_noise, kind="all"),)
    corruptions = (DATA | {"noisy": noisy})[kind]
    streams = dict.fromkeys(("split", "validation", "subset"), seed)
    streams |= {spec.name: seed + AGAIN * (variant == "again") for spec in corruptions}
    source = config.data, settings.pop("train", config.train), None, config.split, corruptions
    return Trial(
        data=Data(*source, validation=config.validation),
        seed=settings.pop("run_seed", seed),
        stream_seeds=streams | settings.pop("streams", {}),
        tags={"study": study, "arm": arm, "seed": seed},
        **settings,
    )


def _short(config: Config, seed: int) -> Iterator[Trial]:
    """Yields one-epoch runs that share their data and differ in initial weights and order."""
    for arm in (*DATA, "randX_again"):
        for run in range(config.runs):
            run_seed = seed * MAX_RUNS + run
            yield _trial(config, "short", arm, seed, run_seed=run_seed, **SHORT)


def _replayed(config: Config, seed: int) -> Iterator[Trial]:
    """Yields full-batch gradient descent, from the same initial weights for each kind of data."""
    size = {"train": config.replayed_train, "steps": config.replayed_steps}
    for arm in ("real", "randX", "randX_again"):
        yield _trial(config, "replayed", arm, seed, **size, **REPLAYED)


def _long(config: Config, seed: int) -> Iterator[Trial]:
    """Yields trainings that continue until the labels are fitted."""
    per_epoch = -(-config.train // config.batch_size)
    epochs = (*(epoch for epoch in config.curve_epochs if epoch < config.epochs), config.epochs)
    length = {"steps": per_epoch * config.epochs, "curve": [per_epoch * at for at in epochs]}
    variants = [f"{kind}_{name}" for kind in ("real", "randY") for name in VARIANTS]
    for arm in (*DATA, "noisy", *variants):
        dropout = config.dropout if arm.endswith("dropout") else 0.0
        decay = config.weight_decay if arm.endswith("decay") else 0.0
        again = dict.fromkeys(("init", "order"), seed + AGAIN) if arm.endswith("again") else {}
        more = () if dropout else ("clean_fit", "flipped_fit", "critical_sample_ratio")
        settings = {
            "model": Spec("mlp", hidden_units=config.hidden_units, dropout=dropout),
            "optimizer": Spec("adam", learning_rate=config.learning_rate, weight_decay=decay),
            "batch_size": config.batch_size,
            "measures": ("train_error", "validation_error", *more),
        }
        yield _trial(config, "long", arm, seed, streams=again, **length, **settings)


def _arithmetic(config: Config, seed: int) -> Iterator[Trial]:
    """Yields trainings on sums modulo a number, some mislabeled, under each weight decay."""
    rule = {"operation": "addition", "modulus": config.modulus, "generator_seed": seed}
    noise = (Spec("label_noise", rate=config.redrawn, kind="all"),)
    settings = {"learning_rate": 1e-2, "beta_2": 0.98, "epsilon": 1e-8}
    for decay, steps in zip(config.decays, config.decay_steps, strict=True):
        yield Trial(
            model=Spec("square_mlp", units=config.units),
            data=Data("modular_arithmetic", corruptions=noise, options=rule),
            objective=Spec("squared_error"),
            optimizer=Spec("adamw", weight_decay=decay, **settings),
            batch_size=None,
            steps=steps,
            curve=[*(step for step in config.decay_curve if step < steps), steps],
            measures=("train_error", "test_error", "clean_fit", "flipped_fit"),
            seed=seed,
            tags={"study": "arithmetic", "arm": f"{decay:g}", "weight_decay": decay, "seed": seed},
        )
