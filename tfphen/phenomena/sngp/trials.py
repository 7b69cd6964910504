"""Networks with and without the two changes of SNGP: what they are trained on, as trials. Light.

Reference:
    J. Z. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep Learning
    via Distance Awareness", NeurIPS 2020, arXiv 2006.10108; its released code.
"""

import dataclasses
import math
from collections.abc import Iterator

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena._shared import image_training

# Which of the two changes each network has: bounded layers, and a Gaussian process.
ARMS = {
    "deterministic": (False, False),
    "spectral_norm": (True, False),
    "gaussian_process": (False, True),
    "sngp": (True, True),
}
# Gains over the deterministic network that SNGP can be held to; those of detection have a score.
DETECTION = ("auroc", "aupr_out")
CLAIMS = (*DETECTION, "test_ece", "corrupted_ece")
# Constant of a trial: places on each side of the grid on which distances are taken.
SIDE = "grid_side"


@dataclasses.dataclass(frozen=True)
class Training:
    """How the networks of one part are trained, and their covariance computed.

    Args:
        arms: Of `ARMS`, with `"deterministic"` and `"sngp"`.
        model_settings: Of the model builder, without those below.
        norm_multiplier: Bound of each layer's norm. Published with 0.9 to 0.95, which the theory
            asks for, on small networks and 6 on wide ResNets.
        gaussian_process: Settings of `tfphen.layers.RandomFeatureGaussianProcess`. Published,
            on wide ResNets, with orthogonal features of deviation 0.05 that are not scaled.
            `likelihood="softmax"` is equation 9 of the paper, `"gaussian"` the released code;
            `ridge_penalty` 0.001 that of the paper, 1 that of the code; the code's covariance has
            the ridge as a factor (`scale_covariance_by_ridge`), the paper's has not.
        mean_field_factor: Of `tfphen.layers.mean_field_logits`. Pi / 8 for features that are
            scaled; published with 20 and 7.5, tuned, for some that are not.
        covariance_share: Share of the training examples in the precision. 1 is right; 0.125 is what
            released code gathers on eight replicas, of which it keeps the first one's.
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
                "`arms` hold 'deterministic' and 'sngp', which are compared. "
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
    """Two moons, where distance can be seen.

    Args:
        options: Settings of `two_moons.two_moons`, without `generator_seed`.
        side: Places on each side of the grid on which uncertainty is measured.
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
    """Images or texts, of which some are from outside the distribution.

    Args:
        data, options, train, classes: As in `tfphen.core.trial.Data`. With `classes` the others are
            from outside.
        others: Data sets from outside, and their options, by name.
        corruptions, severities: Of the test images, see `tfphen.data.image_corruptions`.
        corrupted_examples: How many of them under each corruption; None for all.
        model: `"sngp_residual"`, `"sngp_wide_resnet"` or `"sngp_transformer"`.
        drops, drop_factors: Shares of the training after which the learning rate falls, and the
            rate from there on, relative to the optimizer's.
        warmup_epochs: Epochs in which the rate rises.
        crop: Pixels of padding before a random crop; with it images are mirrored too. None for
            images as they are.
        claims: Of `CLAIMS`: in what SNGP is to gain.
        score: By which it is to tell what is outside: `"variance"`, `"probability"`, one minus
            the largest one, or `"evidence"`, after Dempster and Shafer. The deterministic network
            has its `"probability"`.
        bound_is_control: Whether a bound alone must not gain in detection. It does not on digits;
            it does on Fashion-MNIST, and in the tables of the paper.
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
                "`claims` are one at least, and have a control: those of calibration the arm "
                f"'spectral_norm'. Received: claims={self.claims}, arms={self.arms}"
            )
        if "corrupted_ece" in self.claims and not self.corruptions:
            raise UsageError(
                "The claim 'corrupted_ece' needs `corruptions`. "
                f"Received: claims={self.claims}, corruptions=()"
            )
        if self.classes is None and not self.others and set(self.claims) & set(DETECTION):
            raise UsageError(
                "What is to be detected are other classes or other data: set `classes` or "
                f"`others`. Received: claims={self.claims}, classes=None, others={{}}"
            )

    def further(self) -> dict[str, Spec]:
        """Returns the splits from outside and the corrupted ones."""
        found = {name: Spec(name, **options) for name, options in self.others.items()}
        count = {"examples": self.corrupted_examples} if self.corrupted_examples else {}
        for corruption in self.corruptions:
            for severity in self.severities:
                kind = {"corruption": corruption, "severity": severity}
                found[f"{corruption}_{severity}"] = Spec(self.data, **self.options, **kind, **count)
        return found

    def outside(self) -> list[str]:
        """Returns the names of the splits from outside."""
        return [*self.others, *(["other_test"] if self.classes is not None else [])]

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the trainings of one seed."""
        chosen = {"options": self.options, "classes": self.classes, "further": self.further()}
        data = Data(self.data, self.train, **chosen)
        schedule = Spec("constant")
        if self.drops:
            pieces = {"fractions": self.drops, "factors": self.drop_factors}
            schedule = Spec("piecewise", **pieces, warmup=self.warmup_epochs / self.epochs)
        augmentation = image_training.crop_and_flip(self.crop, self.options)
        settings = {"schedule": schedule, "augmentation": augmentation}
        for arm in self.arms:
            yield self.trial("task", arm, seed, self.model, data, **settings)
