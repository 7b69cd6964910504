"""Networks fit patterns first and noise later, and noise in another way than real data.

D. Arpit et al., *A Closer Look at Memorization in Deep Networks*, ICML 2017, arXiv 1706.05394. In
its terms, randX has Gaussian noise for inputs, and randY has uniform random labels.
"""

import dataclasses
from collections.abc import Iterator

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error, wrong
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.memorization import findings as statistics
from tfphen.verdicts.findings import Control, Signature
from tfphen.verdicts.stats import mean

_MOST_RUNS = 100_000  # Keeps the seeds of different splits apart.
_AGAIN = 1_000_000  # Added to the seed of what is drawn a second time, for a control.
# Of the search for critical samples, for inputs in [0, 1]: at 0.05 noise has nearly nothing else.
_RADIUS = 0.02
# Least ratio of dispersions; least drop behind the peak, difference in fit, in critical sample
# ratio, in Gini coefficient, in training accuracy; most change of a validation accuracy.
_RATIO, _DROP, _FIT, _CRITICAL, _GINI, _FALL, _BAND = 3.0, 0.03, 0.5, 0.1, 0.03, 0.15, 0.015
# Of weight decay in arithmetic: least difference in the fit of redrawn labels, test accuracy.
_FORGOTTEN, _KNOWN = 0.5, 0.9

DATA = {"real": (), "randX": (Spec("gaussian_inputs"),), "randY": (Spec("random_labels"),)}
_VARIANTS = ("again", "decay", "dropout")  # Of real data and of randY, in long trainings.
_ERRORS = tuple(map(error, ("train", "test", "validation")))
_SHORT = {
    "model": Spec("mlp", hidden_units=(64, 64)),
    "optimizer": Spec("adam", learning_rate=1e-3),
    "batch_size": 16,
    "epochs": 1,
    "measures": ("train_wrong",),
}
_REPLAYED = {
    "model": Spec("mlp", hidden_units=(16, 16), activation="tanh"),
    "optimizer": Spec("sgd", learning_rate=0.2),
    "batch_size": None,
    "measures": ("train_error", "loss_sensitivity"),
}


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings. A seed is a split, a draw of all noise, and initial weights.

    Args:
        data, train, validation, split: As in `tfphen.core.trial.Data`; inputs in [0, 1].
        runs: Runs of one epoch for each seed and kind of data; 0 leaves them out.
        epochs: Length of the trainings that fit all labels; 0 leaves them out.
        hidden_units, learning_rate, batch_size: Their perceptron and Adam.
        curve_epochs: Epochs after which they are measured, beside the last.
        label_noise: Share of labels that are redrawn over all classes, in one arm.
        dropout, weight_decay: The regularizers, each in arms of its own.
        replayed_steps: Updates of the full batch that are differentiated; 0 leaves them out.
        replayed_train: Number of examples in these.
        decays: Weight decays for sums modulo `modulus`, the first of them 0. Empty leaves
            arithmetic out.
        best_decay: The one of them that is compared with none.
        decay_steps: Updates under each of them.
        decay_curve: Updates after which these are measured, beside the last.
        modulus, units, redrawn: The modulus, units of the network, and the share of training sums
            that are redrawn over all results.
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
        if self.runs == 1 or not 0 <= self.runs < _MOST_RUNS:
            raise UsageError(f"`runs` is 0, or 2 to {_MOST_RUNS - 1}. Received: runs={self.runs}")
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


def _fit(name: str, flipped: bool) -> Measure:
    """Accuracy on the training examples whose labels are clean, or on those with wrong ones."""

    def function(trained):
        import numpy as np

        is_flipped = trained.labels("train") != trained.labels("train", "clean_labels")
        right = trained.logits("train").argmax(-1) == trained.labels("train")
        return np.ma.array(right, mask=is_flipped != flipped).mean(1).filled(np.nan)

    return Measure(name, function)


def _critical_sample_ratio(trained):
    """On validation examples, at the last point of a curve and every third before it."""
    import numpy as np

    from tfphen.phenomena.memorization.critical_samples import member_critical_sample_ratios

    members = trained.members
    if sum(step > trained.step for step in trained.trials[0].curve) % 3:
        return np.full(members.size, np.nan)
    searched = members.model, members.values(), trained.inputs("validation")
    return member_critical_sample_ratios(*searched, _RADIUS)


def _loss_sensitivity(trained):
    """Of each training example, at six evenly spaced steps of the training just done."""
    from tfphen.metrics import loss_sensitivity

    trial, model = trained.trials[0], trained.members.model
    at = [round(trial.steps * part / 6) for part in range(1, 7)]
    rate, weights = trial.optimizer.settings["learning_rate"], trained.initial_weights()
    data = trained.inputs("train"), trained.labels("train")
    return loss_sensitivity(model, *data, rate, trial.steps, at, weights).sensitivity


class Memorization(Phenomenon):
    title = "Memorization: patterns first, noise later"
    claim = (
        "Networks that could memorise noise fit what many examples share first, and noise later. "
        "On real data some examples are easy for every run, and few matter most for the loss; "
        "noise makes decision surfaces more complex, and dropout hinders noise, not patterns."
    )
    paper = (
        "Arpit et al., A Closer Look at Memorization in Deep Networks, ICML 2017, arXiv 1706.05394"
    )
    Config = Config
    measures = (*_ERRORS, wrong("train"), Measure("loss_sensitivity", _loss_sensitivity))
    curve_measures = (
        *_ERRORS,
        _fit("clean_fit", flipped=False),
        _fit("flipped_fit", flipped=True),
        Measure("critical_sample_ratio", _critical_sample_ratio),
    )

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from _short(config, seed)
            if config.epochs:
                yield from _long(config, seed)
            if config.replayed_steps:
                yield from _replayed(config, seed)
            yield from _arithmetic(config, seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if config.runs:
            for kind, arm in ((Signature, "real"), (Control, "randX_again")):
                found = statistics.dispersion_ratio(table, arm)
                yield kind(f"easy_for_all_runs_{arm}", found, above=_RATIO)
        if config.epochs:
            for kind, arm in ((Signature, "noisy"), (Control, "real")):
                found = statistics.drop(table, arm)
                yield kind(f"validation_drops_{arm}", found, above=_DROP)
            for kind, when in ((Signature, "at_the_peak"), (Control, "at_the_end")):
                found = statistics.fit_gap(table, when)
                yield kind(f"clean_labels_fitted_{when}", found, above=_FIT)
            for kind, arm in ((Signature, "randY"), (Signature, "randX"), (Control, "real_again")):
                found = statistics.difference(table, arm, "real", "curve_critical_sample_ratio")
                yield kind(f"more_critical_samples_{arm}", found, above=_CRITICAL)
            for kind, arm in ((Signature, "randY_dropout"), (Control, "randY_again")):
                found = statistics.difference(table, arm, "randY", "train_error")
                yield kind(f"fit_hindered_{arm}", found, above=_FALL)
            for kind, arm in ((Signature, "real_dropout"), (Control, "noisy")):
                found = statistics.difference(table, arm, "real", "validation_error")
                yield kind(f"validation_kept_{arm}", found, within=(-_BAND, _BAND))
        if config.replayed_steps:
            for kind, arm in ((Signature, "real"), (Control, "randX_again")):
                found = statistics.difference(table, arm, "randX", "loss_sensitivity", "replayed")
                yield kind(f"few_examples_matter_{arm}", found, above=_GINI)
        if config.decays:
            # At the end weight decay has kept the rule and forgotten the noise; early it has not.
            times = ((Signature, "at_the_end", None), (Control, "early", config.decay_curve[0]))
            for kind, when, step in times:
                found = statistics.forgotten_and_known(table, config.best_decay, when, step)
                yield kind(f"decay_forgets_noise_{when}", found[0], above=_FORGOTTEN)
                yield kind(f"rule_known_{when}", found[1], above=_KNOWN)

    def reproductions(self, table, config: Config, number):
        column = {"train accuracy": "train_error", "test accuracy": "test_error"}.get(number.metric)
        arm = f"{number.setting['weight_decay']:g}"
        rows = rows_of(table, study="arithmetic", arm=arm)
        if column is None or not len(rows):
            return None
        found = statistics.at_step(rows, column, number.setting.get("step"))
        return (mean(1 - found, number.metric), None) if len(found) else None


# ---- trials ------------------------------------------------------------------------------------


def _trial(config: Config, study: str, arm: str, seed: int, **settings) -> Trial:
    """Returns a training of one arm. Those whose name ends with "again" draw their noise anew."""
    kind, _, variant = arm.partition("_")
    noisy = (Spec("label_noise", rate=config.label_noise, kind="all"),)
    corruptions = (DATA | {"noisy": noisy})[kind]
    streams = dict.fromkeys(("split", "validation", "subset"), seed)
    streams |= {spec.name: seed + _AGAIN * (variant == "again") for spec in corruptions}
    source = config.data, settings.pop("train", config.train), None, config.split, corruptions
    return Trial(
        data=Data(*source, validation=config.validation),
        seed=settings.pop("run_seed", seed),
        stream_seeds=streams | settings.pop("streams", {}),
        tags={"study": study, "arm": arm, "seed": seed},
        **settings,
    )


def _short(config: Config, seed: int) -> Iterator[Trial]:
    """Yields runs of one epoch that share their data and differ in initial weights and order."""
    for arm in (*DATA, "randX_again"):
        for run in range(config.runs):
            run_seed = seed * _MOST_RUNS + run
            yield _trial(config, "short", arm, seed, run_seed=run_seed, **_SHORT)


def _replayed(config: Config, seed: int) -> Iterator[Trial]:
    """Yields gradient descent on the full batch, from one start for each kind of data."""
    size = {"train": config.replayed_train, "steps": config.replayed_steps}
    for arm in ("real", "randX", "randX_again"):
        yield _trial(config, "replayed", arm, seed, **size, **_REPLAYED)


def _long(config: Config, seed: int) -> Iterator[Trial]:
    """Yields trainings that go on until labels are fitted."""
    per_epoch = -(-config.train // config.batch_size)
    epochs = (*(epoch for epoch in config.curve_epochs if epoch < config.epochs), config.epochs)
    length = {"steps": per_epoch * config.epochs, "curve": [per_epoch * at for at in epochs]}
    variants = [f"{kind}_{name}" for kind in ("real", "randY") for name in _VARIANTS]
    for arm in (*DATA, "noisy", *variants):
        dropout = config.dropout if arm.endswith("dropout") else 0.0
        decay = config.weight_decay if arm.endswith("decay") else 0.0
        again = dict.fromkeys(("init", "order"), seed + _AGAIN) if arm.endswith("again") else {}
        more = () if dropout else ("clean_fit", "flipped_fit", "critical_sample_ratio")
        settings = {
            "model": Spec("mlp", hidden_units=config.hidden_units, dropout=dropout),
            "optimizer": Spec("adam", learning_rate=config.learning_rate, weight_decay=decay),
            "batch_size": config.batch_size,
            "measures": ("train_error", "validation_error", *more),
        }
        yield _trial(config, "long", arm, seed, streams=again, **length, **settings)


def _arithmetic(config: Config, seed: int) -> Iterator[Trial]:
    """Yields trainings on sums modulo a number, some of them wrong, under each weight decay."""
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
