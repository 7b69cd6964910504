"""The grid: hard margins, dots, orthogonal signals and images, with and without invariance."""

import dataclasses
from collections.abc import Iterator, Mapping

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.phenomena.shift_invariance.attack import Attack
from tfphen.phenomena.shift_invariance.images import Images

ARMS = ("fully_connected", "convolution")
NO_POOLING, LINEAR, ZERO_MEAN = "no_pooling", "linear", "linear_zero_mean"


def _trial(seed: int, model: Spec, data: Data, attack: Attack, training: Mapping, **tags) -> Trial:
    return Trial(
        model=model,
        data=data,
        seed=seed,
        measures=attack.measures(),
        constants=attack.constants(),
        tags=tags | {"seed": seed},
        **training,
    )


@dataclasses.dataclass(frozen=True)
class Margins:
    """Hard-margin SVMs on signals with all their circular shifts, and without.

    Args:
        length: Of the signals.
        per_class: Signals of each class.
        gap: Minimum difference of the classes in the constant (DC) component.
    """

    length: int = 12
    per_class: int = 3
    gap: float = 1.0

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields the SVM on all shifts, and that on the signals alone."""
        options = {"length": self.length, "per_class": self.per_class, "gap": self.gap}
        data = Data("offset_signals", options=options | {"generator_seed": seed})
        for case, shifts in (("all_shifts", True), ("no_shifts", False)):
            yield Trial(
                model=Spec("linear"),
                data=data,
                solver=Spec("hard_margin", shifts=shifts),
                seed=seed,
                measures=("margin_over_dc_margin", "cosine_with_constant"),
                tags={"part": "margins", "case": case, "seed": seed},
            )


@dataclasses.dataclass(frozen=True)
class Dots:
    """A bright and a dark dot on signals or images of several sizes.

    Args:
        sizes: Lengths of signals, or sides of images.
        control_sizes: Those at which a convolution without pooling and a linear one with average
            pooling are trained, the latter at the last size also on zero-mean dots.
        dimensions: 1 for signals, 2 for images.
        contrast, background, place: As in `dots`.
        units: Hidden units of the perceptron, and channels of the convolution.
        normalized: Whether inputs are batch-normalized.
        rates: Learning rates of gradient descent, each for an equal part of the training.
        steps: Length of the training.
        attack: See `Attack`.
    """

    sizes: tuple[int, ...] = (9, 25, 81, 169)
    control_sizes: tuple[int, ...] = (9, 169)
    dimensions: int = 1
    contrast: float = 1.0
    background: float = 0.0
    place: int | None = None
    units: int = 100
    normalized: bool = False
    rates: tuple[float, ...] = (1.0, 0.5, 0.1)
    steps: int = 1500
    attack: Attack = dataclasses.field(default_factory=Attack)

    def __post_init__(self):
        if not self.sizes or not set(self.control_sizes) <= set(self.sizes):
            raise UsageError(
                "`control_sizes` are some of `sizes`, of which there is at least one. "
                f"Received: sizes={self.sizes}, control_sizes={self.control_sizes}"
            )
        checks.one_of("dimensions", self.dimensions, (1, 2))

    def pixels(self, size: int) -> int:
        """Returns the number of inputs of one size."""
        return size**self.dimensions

    def _sizes_of(self, control: str) -> tuple[int, ...]:
        return self.control_sizes[-1:] if control == ZERO_MEAN else self.control_sizes

    def models(self) -> dict[str, Spec]:
        """Returns the model of each arm."""
        torch = {"defaults": "torch"}
        normalized = {"input_normalization": True} if self.normalized else {}
        convolution = {"filters": self.units, **normalized, **torch}
        dense = Spec("mlp", hidden_units=(self.units,), **torch)
        if self.normalized:
            dense = Spec("normalized_mlp", hidden_units=(self.units,), **torch)
        linear = Spec("circular_convnet", activation="linear", **convolution)
        return {
            "fully_connected": dense,
            "convolution": Spec("circular_convnet", **convolution),
            NO_POOLING: Spec("circular_convnet", pooling="none", **convolution),
            LINEAR: linear,
            ZERO_MEAN: linear,
        }

    def trials(self, seed: int) -> Iterator[Trial]:
        """Yields both arms at each size, and the controls."""
        first, *others = self.rates
        starts = [number / len(self.rates) for number in range(1, len(self.rates))]
        factors = [rate / first for rate in others]
        schedule = Spec("piecewise", fractions=starts, factors=factors)
        training = {
            "optimizer": Spec("sgd", learning_rate=first),
            "schedule": schedule if others else Spec("constant"),
            "batch_size": None,
            "steps": self.steps,
        }
        given = {"dimensions": self.dimensions, "contrast": self.contrast}
        given |= {"background": self.background} if self.background else {}
        given |= {} if self.place is None else {"place": self.place}
        for size in self.sizes:
            for arm, model in self.models().items():
                if arm not in ARMS and size not in self._sizes_of(arm):
                    continue
                options = {"size": size} | given
                options |= {"zero_mean": True} if arm == ZERO_MEAN else {}
                tags = {"part": "dots", "arm": arm, "pixels": self.pixels(size)}
                data = Data("dots", options=options)
                yield _trial(seed, model, data, self.attack, training, **tags)


@dataclasses.dataclass(frozen=True)
class Signals:
    """Orthogonal signals in two classes.

    Args:
        counts: Numbers of signals in each class.
        convolution_counts: Those on which the convolution is trained as well; None for all.
        length: Of the signals.
        grid: Of `dots.orthogonal_frequencies`.
        kernel: Length of the convolution's kernel.
        filters: Its channels.
        units: Hidden units of the perceptron.
        learning_rate: Of full-batch Adam, divided by 10 in the second half.
        steps: Length of the training.
        attack: See `Attack`.
    """

    counts: tuple[int, ...] = (20,)
    convolution_counts: tuple[int, ...] | None = None
    length: int = 256
    grid: str = "periodic"
    kernel: int = 128
    filters: int = 32
    units: int = 100
    learning_rate: float = 0.01
    steps: int = 1000
    attack: Attack = dataclasses.field(default_factory=Attack)

    @property
    def compared_counts(self) -> tuple[int, ...]:
        """The counts on which both arms are trained."""
        return self.counts if self.convolution_counts is None else self.convolution_counts

    def __post_init__(self):
        if not set(self.compared_counts) <= set(self.counts):
            raise UsageError(
                "`convolution_counts` are some of `counts`. Received: "
                f"counts={self.counts}, convolution_counts={self.convolution_counts}"
            )

    def trials(self, kind: str, seed: int) -> Iterator[Trial]:
        """Yields both arms on each count of `"frequencies"` or random `"vectors"`."""
        training = {
            "optimizer": Spec("adam", learning_rate=self.learning_rate, epsilon=1e-8),
            "schedule": Spec("piecewise", fractions=(0.5,), factors=(0.1,)),
            "batch_size": None,
            "steps": self.steps,
        }
        given = {"grid": self.grid} if kind == "frequencies" else {"generator_seed": seed}
        shape = {"filters": self.filters, "kernel_size": self.kernel}
        models = {
            "fully_connected": Spec("mlp", hidden_units=(self.units,), defaults="torch"),
            "convolution": Spec("circular_convnet", defaults="torch", **shape),
        }
        for count in self.counts:
            options = {"length": self.length, "per_class": count} | given
            data = Data(f"orthogonal_{kind}", options=options)
            for arm, model in models.items():
                if arm == "convolution" and count not in self.compared_counts:
                    continue
                tags = {"part": kind, "arm": arm, "count": count}
                yield _trial(seed, model, data, self.attack, training, **tags)


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        margins, dots, vectors, frequencies, images: Of each part, or None to skip it; dots are the
            control of orthogonal vectors and frequencies.
        gate_images: Whether the robustness on images is tested, or only reported.
        differs: Known deviations of a paper experiment from the published protocol.
    """

    margins: Margins | None = None
    dots: Dots | None = None
    vectors: Signals | None = None
    frequencies: Signals | None = None
    images: Images | None = None
    gate_images: bool = True
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        tested = self.margins or (self.images is not None and self.gate_images)
        controlled = self.dots is not None and self.dots.control_sizes
        if (self.vectors or self.frequencies) and not controlled:
            raise UsageError(
                "`vectors` and `frequencies` need `dots` with `control_sizes`, their control. "
                f"Received: dots={self.dots}"
            )
        if not (tested or controlled):
            raise UsageError(
                "At least one of `margins`, `dots` with `control_sizes`, and `images` that are "
                "tested is given. Received: none of them"
            )


def trials(config: Config) -> Iterator[Trial]:
    """Yields the grid of trials."""
    for seed in config.seed_range():
        for part in (config.margins, config.dots, config.images):
            yield from part.trials(seed) if part is not None else ()
        for kind in ("vectors", "frequencies"):
            part = getattr(config, kind)
            yield from part.trials(kind, seed) if part is not None else ()
