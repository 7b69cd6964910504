"""Settings and the grid: networks on randomized data, and two exact solutions beside them."""

import dataclasses
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

# Randomizations of the training data. One permutation shuffles the pixels of test images too.
RANDOMIZATIONS = {
    "true": (),
    "shuffled_pixels": (Spec("shuffled_pixels", test=True),),
    "gaussian": (Spec("gaussian_inputs"),),
    "random_pixels": (Spec("random_pixels"),),
    "random_labels": (Spec("random_labels"),),
}
RANDOM = RANDOMIZATIONS["random_labels"]
# Fraction of corrupted labels with which dropout is tried.
DROPOUT_NOISE = 0.4
# With more points a rank correlation under the null scatters less; these kernels are cheap.
NULL_RATES = tuple(rate / 10 for rate in range(1, 10))
ERRORS = ("train_error", "test_error")
# Per-member diagnostics of the kernel interpolation.
KERNEL = ("iterations", "residual", "norm")


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data, train, test, split: As in `tfphen.core.trial.Data`; a source of ten classes.
        arms: Training data of the networks, names of `RANDOMIZATIONS`.
        rates: Fractions of corrupted labels, between 0 and 1, with which models are trained too.
        weight_decay: Weight decay of another network on true labels, or None. It is decoupled with
            `"adam"`, and a penalty with `"sgd"`.
        dropout: Rate of other networks, on true labels and with 40% of them corrupted, or None.
        controls: Whether to train softmax regression on random labels, and a network on labels
            resampled at every step.
        model: `"mlp"`, or `"whitened_mlp"` for center crops, each whitened.
        hidden_units: Widths of the network.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        decay: Decay factor of the learning rate, applied after every epoch.
        batch_size, epochs: Of each training.
        gamma: Of a Gaussian kernel, exp(-gamma |x - x'|²), or None.
        kernel_settings: Of `kernel_solver.interpolate`.
        construction: How many examples the constructed network fits, or None.
        differs: Deviations of a paper experiment from the published protocol that could matter.
    """

    data: str = "digits"
    train: int = 1437
    test: int | None = None
    split: str = "seeded"
    arms: tuple[str, ...] = tuple(RANDOMIZATIONS)
    rates: tuple[float, ...] = ()
    weight_decay: float | None = None
    dropout: float | None = None
    controls: bool = True
    model: str = "mlp"
    hidden_units: tuple[int, ...] = (256, 256)
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    decay: float = 1.0
    batch_size: int = 64
    epochs: int = 60
    gamma: float | None = None
    kernel_settings: dict = dataclasses.field(default_factory=dict)
    construction: int | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        arms, ends = set(self.arms), {"true", "random_labels"}
        if arms and not ends <= arms <= set(RANDOMIZATIONS):
            names = ", ".join(RANDOMIZATIONS)
            self._refuse("arms", f"are of {names}, and hold the first and last, or nothing")
        if len(self.rates) == 1 or not all(0 < rate < 1 for rate in self.rates):
            self._refuse("rates", "lie between 0 and 1, and are two at least, or none")
        if self.dropout is not None and DROPOUT_NOISE not in self.rates:
            rule = f"is tried with corrupted labels too: `rates` must hold {DROPOUT_NOISE}"
            self._refuse("dropout", rule)
        if not 0 < self.decay <= 1:
            self._refuse("decay", "is above 0 and at most 1")

    def _refuse(self, name: str, rule: str) -> None:
        received = f"{name}={getattr(self, name)!r}, rates={self.rates}"
        raise UsageError(f"`{name}` {rule}. Received: {received}")


def trials(config: Config) -> Iterator[Trial]:
    """Yields the networks and the exact solutions of each seed."""
    for seed in config.seed_range():
        yield from _networks(config, seed) if config.arms else ()
        yield from _exact_solutions(config, seed)


def _trial(config: Config, seed: int, arm: str, corruptions, rate=0.0, **settings) -> Trial:
    data = Data(config.data, config.train, config.test, config.split, corruptions)
    return Trial(data=data, seed=seed, tags={"arm": arm, "rate": rate, "seed": seed}, **settings)


def _noise(rate: float) -> tuple[Spec, ...]:
    return (Spec("label_noise", rate=rate, kind="all"),) if rate else ()


def _networks(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the networks of one seed, trained by gradient descent."""
    later, every = range(1, config.epochs), -(-config.train // config.batch_size)
    schedule = Spec("constant")
    if config.decay < 1:
        factors = [config.decay**epoch for epoch in later]
        fractions = [epoch / config.epochs for epoch in later]
        schedule = Spec("piecewise", fractions=fractions, factors=factors)

    def network(arm, corruptions=(), rate=0.0, shape=(), decay=(), curve=True, **settings):
        model = Spec(config.model, hidden_units=config.hidden_units, **dict(shape))
        own = dict(decay) | ({"coupled": True} if config.optimizer == "sgd" else {})
        settings = {"model": model, "schedule": schedule, "measures": ERRORS} | settings
        settings |= {"batch_size": config.batch_size, "steps": every * config.epochs}
        settings["optimizer"] = Spec(config.optimizer, **config.optimizer_settings, **own)
        settings["curve"] = [epoch * every for epoch in later] if curve else ()
        return _trial(config, seed, arm, corruptions, rate, **settings)

    for arm in config.arms:
        yield network(arm, RANDOMIZATIONS[arm])
    for rate in config.rates:
        yield network("true", _noise(rate), rate)
    if config.weight_decay is not None:
        yield network("weight_decay", decay={"weight_decay": config.weight_decay})
    for rate in (0.0, DROPOUT_NOISE) if config.dropout is not None else ():
        yield network("dropout", _noise(rate), rate, {"dropout": config.dropout}, curve=False)
    if config.controls:
        yield network("linear", RANDOM, model=Spec("linear"), curve=False)
        yield network("redrawn", RANDOM, objective=Spec("redrawn_labels"), curve=False)


def _exact_solutions(config: Config, seed: int) -> Iterator[Trial]:
    """Yields the kernel interpolations and the constructed networks of one seed."""
    if config.gamma is not None:
        arms = [("kernel_true", (), 0.0), ("kernel_random_labels", RANDOM, 0.0)]
        arms += [("kernel_true", _noise(rate), rate) for rate in config.rates]
        if config.rates:
            arms += [("kernel_null_noise", RANDOM + _noise(rate), rate) for rate in NULL_RATES]
        settings = {
            "model": Spec("gaussian_kernel", gamma=config.gamma),
            "solver": Spec("kernel_interpolation", **config.kernel_settings),
            "measures": (*ERRORS, *KERNEL),
        }
        for arm, corruptions, rate in arms:
            yield _trial(config, seed, arm, corruptions, rate, **settings)
    if (count := config.construction) is not None:
        few = dataclasses.replace(config, train=count)
        settings = {"solver": Spec("threshold_construction"), "measures": (*ERRORS, "misfit")}
        for arm, units in (("construction", count), ("half_construction", count // 2)):
            settings["model"] = Spec("threshold_network", units=units)
            yield _trial(few, seed, arm, RANDOM, **settings)
