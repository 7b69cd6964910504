"""The grid: networks with and without spectral normalization and a Gaussian process.

Reference:
    J. Z. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep Learning
    via Distance Awareness", NeurIPS 2020, arXiv 2006.10108; its released code.
"""

import dataclasses
import math
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena._shared import image_training

# Whether each arm has spectral normalization, and a Gaussian process.
ARMS = {
    "deterministic": (False, False),
    "spectral_norm": (True, False),
    "gaussian_process": (False, True),
    "sngp": (True, True),
}
# Gains over the deterministic network that can be claimed; those of OOD detection have a score.
DETECTION = ("auroc", "aupr_out")
CLAIMS = (*DETECTION, "test_ece", "corrupted_ece")
# What is measured in OOD detection. That of `"aupr"` ends in its positive class.
DETECTION_STATISTICS = ("auroc", "aupr_out", "aupr_in")
# Uncertainty scores: the posterior variance of the logits, the variance before any example, one
# minus the largest probability, and the Dempster-Shafer uncertainty mass. The last two are of the
# mean-field logits, and the only ones of a dense layer.
SCORES = ("variance", "prior", "probability", "evidence")
# Constant of a trial: points on each side of the grid on which distances are measured.
SIDE = "grid_side"


def has_process(trial: Trial) -> bool:
    """Whether the last layer of a trial's model is a Gaussian process."""
    return trial.model.settings.get("head") == "gaussian_process"


def scores_of(trial: Trial) -> tuple[str, ...]:
    """Returns the uncertainty scores that a trial's model has."""
    return SCORES if has_process(trial) else SCORES[2:]


@dataclasses.dataclass(frozen=True)
class Training:
    """How the networks of one part are trained, and their covariance computed.

    Args:
        arms: Of `ARMS`, with `"deterministic"` and `"sngp"`.
        model_settings: Of the model builder, without those below.
        norm_multiplier: Upper bound of each layer's spectral norm. Published: 0.9 to 0.95, as the
            theory requires, on small networks and 6 on wide ResNets.
        gaussian_process: Settings of `tfphen.layers.RandomFeatureGaussianProcess`. Published
            on wide ResNets: unscaled orthogonal features of standard deviation 0.05.
            `likelihood="softmax"` is equation 9 of the paper, `"gaussian"` the released code;
            `ridge_penalty` is 0.001 in the paper, 1 in the code; the code multiplies the covariance
            by the ridge (`scale_covariance_by_ridge`), the paper does not.
        mean_field_factor: Of `tfphen.layers.mean_field_logits`. Pi / 8 for scaled
            features; published with 20 and 7.5, tuned, for unscaled ones.
        covariance_share: Share of the training examples in the precision. 1 is correct; 0.125 is
            what released code accumulates on eight replicas, since it keeps the first one only.
        optimizer, optimizer_settings: Name and settings of a Keras optimizer.
        batch_size, epochs: Of each training.
    """

    arms: tuple[str, ...] = tuple(ARMS)
    model_settings: dict = dataclasses.field(default_factory=dict)
    norm_multiplier: float = 0.9
    gaussian_process: dict = dataclasses.field(default_factory=dict)
    mean_field_factor: float = math.pi / 8
    covariance_share: float = 1.0
    optimizer: str = "adam"
    optimizer_settings: dict = dataclasses.field(default_factory=lambda: {"learning_rate": 1e-3})
    batch_size: int = 128
    epochs: float = 40.0

    def __post_init__(self):
        for arm in self.arms:
            checks.one_of("arms", arm, ARMS)
        if not {"deterministic", "sngp"} <= set(self.arms):
            raise UsageError(
                "`arms` must include 'deterministic' and 'sngp', which are compared. "
                f"Received: arms={self.arms}"
            )
        checks.number("covariance_share", self.covariance_share, 0, 1, low_open=True)

    def trial(self, part: str, arm: str, seed: int, model: str, data: Data, **settings) -> Trial:
        """Returns the training of one arm."""
        bounded, process = ARMS[arm]
        built, constants = dict(self.model_settings), dict(settings.pop("constants", {}))
        if bounded:
            built["norm_multiplier"] = self.norm_multiplier
        if process:
            built |= {"head": "gaussian_process", "gaussian_process": self.gaussian_process}
            constants["mean_field_factor"] = self.mean_field_factor
            constants["covariance_share"] = self.covariance_share
        return Trial(
            model=Spec(model, **built),
            data=data,
            optimizer=Spec(self.optimizer, **self.optimizer_settings),
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=seed,
            constants=constants,
            tags={"part": part, "arm": arm, "seed": seed},
            **settings,
        )


@dataclasses.dataclass(frozen=True)
class Moons(Training):
    """Two moons, where the distance to the data is visible.

    Args:
        options: Settings of `two_moons.two_moons`, without `generator_seed`.
        side: Points on each side of the grid on which uncertainty is measured.
    """

    options: dict = dataclasses.field(default_factory=dict)
    side: int = 50

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the trainings of one seed."""
        data = Data("two_moons", options={**self.options, "generator_seed": seed})
        for arm in self.arms:
            places = {"constants": {SIDE: self.side}}
            yield self.trial("moons", arm, seed, "sngp_residual", data, **places)


@dataclasses.dataclass(frozen=True)
class Task(Training):
    """Images or texts, some of them out of distribution (OOD).

    Args:
        data, options, train, classes: As in `tfphen.core.trial.Data`. With `classes` the other
            classes are held out, as OOD data.
        others: OOD datasets, and their options, by name.
        corruptions, severities: Of the test images, see `tfphen.data.image_corruptions`.
        corrupted_examples: Number of test images per corruption; None for all.
        model: `"sngp_residual"`, `"sngp_wide_resnet"` or `"sngp_transformer"`.
        drops, drop_factors: Learning-rate decay milestones, as fractions of the training, and the
            rate from there on, relative to the optimizer's.
        warmup_epochs: Epochs of learning-rate warmup.
        crop: Pixels of padding before a random crop, which comes with random horizontal flips.
            None for no augmentation.
        claims: Of `CLAIMS`: in what SNGP must gain.
        score: With which SNGP detects OOD examples: `"variance"`, `"probability"`, one minus the
            largest one, or `"evidence"`, after Dempster and Shafer. The deterministic network
            always has `"probability"`.
        bound_is_control: Whether spectral normalization alone must not gain in OOD detection. It
            does not on digits; it does on Fashion-MNIST, and in the paper's tables.
    """

    data: str = "digits"
    options: dict = dataclasses.field(default_factory=dict)
    train: int | None = None
    classes: tuple[int, ...] | None = None
    others: dict = dataclasses.field(default_factory=dict)
    corruptions: tuple[str, ...] = ()
    severities: tuple[int, ...] = (3,)
    corrupted_examples: int | None = None
    model: str = "sngp_residual"
    drops: tuple[float, ...] = ()
    drop_factors: tuple[float, ...] = ()
    warmup_epochs: float = 0.0
    crop: int | None = None
    claims: tuple[str, ...] = ("auroc",)
    score: str = "variance"
    bound_is_control: bool = True

    def __post_init__(self):
        super().__post_init__()
        for claim in self.claims:
            checks.one_of("claims", claim, CLAIMS)
        checks.one_of("score", self.score, ("variance", "probability", "evidence"))
        image_training.check_falls(self.drops, self.drop_factors)
        of_all = set(self.claims) <= set(DETECTION)
        if not self.claims or not (of_all or "spectral_norm" in self.arms):
            raise UsageError(
                "`claims` are one at least, and have a control: that of calibration is the arm "
                f"'spectral_norm'. Received: claims={self.claims}, arms={self.arms}"
            )
        if "corrupted_ece" in self.claims and not self.corruptions:
            raise UsageError(
                "The claim 'corrupted_ece' needs `corruptions`. "
                f"Received: claims={self.claims}, corruptions=()"
            )
        if self.classes is None and not self.others and set(self.claims) & set(DETECTION):
            raise UsageError(
                "OOD detection needs held-out classes or other datasets: set `classes` or "
                f"`others`. Received: claims={self.claims}, classes=None, others={{}}"
            )

    def eval_sets(self) -> dict[str, Spec]:
        """Returns the OOD datasets and the corrupted test sets."""
        sets = {name: Spec(name, **options) for name, options in self.others.items()}
        count = {"examples": self.corrupted_examples} if self.corrupted_examples else {}
        for corruption in self.corruptions:
            for severity in self.severities:
                kind = {"corruption": corruption, "severity": severity}
                sets[f"{corruption}_{severity}"] = Spec(self.data, **self.options, **kind, **count)
        return sets

    def ood_sets(self) -> list[str]:
        """Returns the names of the OOD splits."""
        return [*self.others, *(["other_test"] if self.classes is not None else [])]

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the trainings of one seed."""
        chosen = {"options": self.options, "classes": self.classes, "further": self.eval_sets()}
        data = Data(self.data, self.train, **chosen)
        schedule = Spec("constant")
        if self.drops:
            pieces = {"fractions": self.drops, "factors": self.drop_factors}
            schedule = Spec("piecewise", **pieces, warmup=self.warmup_epochs / self.epochs)
        augmentation = image_training.crop_and_flip(self.crop, self.options)
        settings = {"schedule": schedule, "augmentation": augmentation}
        for arm in self.arms:
            yield self.trial("task", arm, seed, self.model, data, **settings)


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        moons: Those of two moons, or None to leave them out.
        task: Those of images or texts, or None.
        differs: Known deviations of a paper experiment from the published protocol.
    """

    moons: Moons | None = None
    task: Task | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.moons is None and self.task is None:
            raise UsageError("Give `moons`, `task` or both. Received: neither")


def trials(config: Config) -> Iterator[Trial]:
    """Yields the grid of trials."""
    for seed in config.seed_range():
        for part in (config.moons, config.task):
            yield from part.trials(seed) if part is not None else ()
