"""Training on imbalanced classes: a small mixture, and the protocol of LDAM-DRW on CIFAR.

Reference:
    K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
    NeurIPS 2019, arXiv 1906.07413, appendix B; its published code.
"""

import dataclasses
from typing import Any

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena._shared import image_training

IMBALANCES = ("long_tail", "step_imbalance", "class_fractions")


@dataclasses.dataclass(frozen=True)
class LongTailConfig(configs.Config):
    """Settings that phenomena of class imbalance share. The defaults are a small mixture.

    Args:
        data: A data source of `tfphen.core.trial.Data`.
        options: Its settings, without `generator_seed`.
        redraw: Whether each seed has data of its own, as generated sources can.
        imbalance: `"long_tail"`, `"step_imbalance"` or `"class_fractions"`, see
            `tfphen.data.corruptions`.
        ratio: Count of the most frequent class over that of the rarest.
        max_count: Count of the most frequent class.
        fractions: Of `"class_fractions"`, which has no other setting: the share of each class.
        balanced_count: Count of every class in balanced controls.
        permute_classes: Whether each seed draws which class has which frequency.
        subset_seed: Seed of the choice of the examples that are kept, one for all trainings; None
            for that of each trial.
        model: Name of a model builder.
        model_settings: Its settings, without `head`.
        optimizer: Name of a Keras optimizer.
        optimizer_settings: Its settings.
        batch_size: Of each update.
        epochs: Length of a training.
        warmup_epochs: Epochs in which the rate rises, an epoch at a time: k of n in epoch k.
        drops: Shares of the training after which the rate falls.
        drop_factors: The rate from each of `drops` on, relative to the optimizer's.
        crop: Pixels of padding before a random crop; with it images are mirrored too. None for
            images as they are.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    data: str = "gaussian_mixture"
    options: dict = dataclasses.field(default_factory=dict)
    redraw: bool = True
    imbalance: str = "long_tail"
    ratio: float = 50.0
    max_count: int | None = None
    fractions: tuple[float, ...] = ()
    balanced_count: int | None = None
    permute_classes: bool = True
    subset_seed: int | None = None
    model: str = "mlp"
    model_settings: dict = dataclasses.field(default_factory=dict)
    optimizer: str = "sgd"
    optimizer_settings: dict = dataclasses.field(default_factory=dict)
    batch_size: int = 64
    epochs: float = 60.0
    warmup_epochs: int = 0
    drops: tuple[float, ...] = ()
    drop_factors: tuple[float, ...] = ()
    crop: int | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        checks.one_of("imbalance", self.imbalance, IMBALANCES)
        if bool(self.fractions) != (self.imbalance == "class_fractions"):
            raise UsageError(
                '`fractions` go with the imbalance "class_fractions", and only with it. '
                f"Received: imbalance={self.imbalance!r}, fractions={self.fractions}"
            )
        if not all(0 < fraction <= 1 for fraction in self.fractions):
            raise UsageError(
                "`fractions` are shares of each class, above 0 and at most 1. "
                f"Received: fractions={self.fractions}"
            )
        image_training.check_falls(self.drops, self.drop_factors)

    def schedule(self) -> Spec:
        """Returns the learning rate over steps: a staircase up, then the drops."""
        # A training cut to a few epochs, to try it, ends within its warm-up.
        rising = [e for e in range(1, self.warmup_epochs + 1) if e - 1 < self.epochs]
        fractions = [(epoch - 1) / self.epochs for epoch in rising]
        factors = [epoch / self.warmup_epochs for epoch in rising]
        falls = zip(self.drops, self.drop_factors, strict=True)
        kept = [(at, factor) for at, factor in falls if at * self.epochs >= self.warmup_epochs]
        fractions += [at for at, _ in kept]
        factors += [factor for _, factor in kept]
        if not fractions:
            return Spec("constant")
        return Spec("piecewise", fractions=fractions, factors=factors)

    def augmentation(self) -> Spec:
        """Returns what is done to the images of a batch."""
        return image_training.crop_and_flip(self.crop, self.options)


def long_tail_trial(
    config: LongTailConfig,
    seed: int,
    objective: Spec,
    *,
    balanced: bool = False,
    head: str = "linear",
    **settings: Any,
) -> Trial:
    """Returns a training on imbalanced classes.

    Args:
        config: The settings.
        seed: Of the trial; with `config.redraw` of the data too.
        objective: What is minimized.
        balanced: Whether all classes have `config.balanced_count` examples instead.
        head: `"linear"`, or `"cosine"` for logits that are cosines.
        **settings: Further fields of the trial, such as `tags` and `curve`; `stream_seeds` are
            joined with that of the subset.

    Raises:
        UsageError: `balanced` without `config.balanced_count`.
    """
    options = dict(config.options)
    if config.redraw:
        options["generator_seed"] = seed
    model = dict(config.model_settings)
    if head != "linear":
        model["head"] = head
    streams = {} if config.subset_seed is None else {config.imbalance: config.subset_seed}
    return Trial(
        model=Spec(config.model, **model),
        data=Data(config.data, corruptions=(_thinning(config, balanced),), options=options),
        objective=objective,
        optimizer=Spec(config.optimizer, **config.optimizer_settings),
        schedule=config.schedule(),
        batch_size=config.batch_size,
        epochs=config.epochs,
        augmentation=config.augmentation(),
        seed=seed,
        stream_seeds=streams | dict(settings.pop("stream_seeds", {})),
        **settings,
    )


def _thinning(config: LongTailConfig, balanced: bool) -> Spec:
    if config.fractions and not balanced:
        return Spec("class_fractions", fractions=config.fractions)
    ratio, count = config.ratio, config.max_count
    if balanced:
        if config.balanced_count is None:
            raise UsageError("A balanced control needs the setting `balanced_count`.")
        ratio, count = 1.0, config.balanced_count
    kind = "long_tail" if config.fractions else config.imbalance
    thinning = {"ratio": ratio, "permute_classes": config.permute_classes}
    if count is not None:
        thinning["max_count"] = count
    return Spec(kind, **thinning)
